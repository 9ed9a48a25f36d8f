//! The desk: carries out what panels ask of the device beside the conversation. One row an errand;
//! each has a small file of its own.
//!
//! Runs on the panel's thread, which nobody waits for.

mod bundle;
mod clients;
mod health;
mod logs;

use crate::base::Clock;
use crate::host::records::Records;
use crate::panel::Trust;
use crate::panel::errand::{self, Asker, Errand, Outcome};
use std::sync::Arc;

/// What errands need.
pub struct Desk {
    /// Who is paired.
    pub trust: Trust,
    /// Our own time.
    pub clock: Clock,
    /// What is known of the speaker and its board.
    pub records: Records,
}

impl std::fmt::Debug for Desk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Desk").finish_non_exhaustive()
    }
}

/// Opens it for the panel.
pub fn open(desk: Desk) -> errand::Desk {
    let desk = Arc::new(desk);
    Arc::new(move |asker, errand| {
        let desk = Arc::clone(&desk);
        Box::pin(async move { desk.run(asker, errand).await })
    })
}

impl Desk {
    async fn run(&self, asker: Asker, errand: Errand) -> Outcome {
        match errand {
            Errand::Clients => clients::list(self, asker),
            Errand::Health => health::report(self),
            Errand::Logs { after, level } => logs::after(self, after, level),
            Errand::Bundle => bundle::gather(self),
        }
    }
}
