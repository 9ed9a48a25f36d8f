//! DOOR to the tasks of errands: each runs by itself on the panel's runtime, and is asked for with
//! the turns of the panel's loop.

use crate::panel::ask::refusal;
use crate::panel::errand::{Doing, LIMIT, Outcome};
use crate::panel::event::ClientId;
use socketioxide::extract::AckSender;
use tokio::task::{Id, JoinSet};
use tokio::time::timeout;

/// Errands under way; each client has a few at most.
#[derive(Default)]
pub(super) struct Errands {
    tasks: JoinSet<Outcome>,
    senders: Vec<(Id, ClientId, AckSender)>,
}

/// An errand that is over.
pub(super) struct Back {
    pub(super) client: ClientId,
    pub(super) ack: AckSender,
    pub(super) outcome: Outcome,
    /// It was a panic that ended it.
    pub(super) panicked: bool,
}

impl Errands {
    /// Sends somebody on one.
    pub(super) fn send(&mut self, client: ClientId, doing: Doing, ack: AckSender) {
        let task = self.tasks.spawn(async move {
            let late = |_| Err(refusal("busy", "the speaker did not answer in time"));
            timeout(LIMIT, doing).await.unwrap_or_else(late)
        });
        self.senders.push((task.id(), client, ack));
    }

    /// The next one that is over.
    pub(super) fn back(&mut self) -> Option<Back> {
        let ended = self.tasks.try_join_next_with_id()?;
        let panicked = ended.is_err();
        let (id, outcome) = ended.unwrap_or_else(|error| {
            (error.id(), Err(refusal("failed", "something is wrong inside the speaker")))
        });
        let place = self.senders.iter().position(|(known, ..)| *known == id)?;
        let (_, client, ack) = self.senders.swap_remove(place);
        Some(Back { client, ack, outcome, panicked })
    }

    /// Whether none is under way.
    pub(super) fn is_empty(&self) -> bool {
        self.senders.is_empty()
    }
}
