//! The desk: carries out what panels ask of the device beside the conversation. One row an errand;
//! each has a small file of its own.
//!
//! Runs on the panel's thread, which nobody waits for.

mod clients;

use crate::base::Clock;
use crate::panel::Trust;
use crate::panel::errand::{self, Asker, Errand, Outcome};
use std::sync::Arc;

/// What errands need.
pub struct Desk {
    /// Who is paired.
    pub trust: Trust,
    /// Our own time.
    pub clock: Clock,
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
        }
    }
}
