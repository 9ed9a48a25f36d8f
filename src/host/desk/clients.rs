//! The paired clients.

use super::Desk;
use crate::base::unit::Moment;
use crate::panel::errand::{Asker, Outcome};
use crate::panel::trust::Session;
use serde_json::{Value, json};
use std::time::Duration;

/// A live panel is seen once a second.
const LIVE: Duration = Duration::from_secs(3);

/// All of them, each with what may be known of it.
pub(super) fn list(desk: &Desk, asker: Asker) -> Outcome {
    let now = (desk.clock)();
    let sessions = desk.trust.sessions();
    let clients: Vec<_> = sessions.iter().map(|session| client(session, asker, now)).collect();
    Ok(json!({"clients": clients}))
}

fn client(session: &Session, asker: Asker, now: Moment) -> Value {
    let live = session.seen.is_some_and(|seen| now.since(seen) < LIVE);
    json!({
        "id": session.token.id(),
        "name": session.name,
        "role": session.role,
        "paired": session.created,
        "used": session.used,
        "live": live,
        "me": session.token == asker.session,
    })
}
