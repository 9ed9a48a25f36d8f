//! Settings: decided and kept by the main thread.

use super::{Desk, Order};
use crate::config::Changes;
use crate::panel::ask::refusal;
use crate::panel::errand::Outcome;
use tokio::sync::oneshot;

/// Changes, all or none; answered with what may be changed and what it is now.
pub(super) async fn change(desk: &Desk, changes: Changes) -> Outcome {
    let (reply, answer) = oneshot::channel();
    desk.order(Order::Settings(changes, reply))?;
    answer.await.unwrap_or_else(|_| Err(refusal("busy", "the speaker is stopping")))
}
