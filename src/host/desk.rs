//! The desk: carries out what panels ask of the device beside the conversation. One row an errand;
//! each has a small file of its own.
//!
//! Runs on the panel's thread, which nobody waits for. What the main thread has to do goes to it
//! through a bounded channel.

mod bundle;
mod cards;
mod clients;
mod health;
mod key;
mod logs;
mod measure;
mod record;
mod settings;
mod setup;
#[cfg(test)]
mod tests;

pub use record::Booth;

use crate::base::Clock;
use crate::base::event::Duplex;
use crate::base::unit::Volume;
use crate::config::{Changes, Config};
use crate::host::cards::Wanted;
use crate::host::records::Records;
use crate::host::store::Store;
use crate::panel::Trust;
use crate::panel::ask::refusal;
use crate::panel::errand::{self, Asker, Errand, Outcome};
use crate::panel::event::Refusal;
use crate::speech::Known;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// Orders under way to the main thread: more than panels together have errands in a moment.
pub const ORDERS: usize = 16;

/// What the main thread does for an errand.
#[derive(Debug)]
pub enum Order {
    /// Change settings, all or none, and say what they are.
    Settings(Changes, oneshot::Sender<Outcome>),
    /// Another key may be there: what was refused may be accepted.
    KeyChanged,
    /// Play a sweep, and say at what volume.
    Sweep(oneshot::Sender<Result<Volume, Refusal>>),
    /// The cards were measured: this is known of them now.
    Measured(Box<Known>, Duplex),
}

/// What errands need.
pub struct Desk {
    /// Who is paired.
    pub trust: Trust,
    /// Our own time.
    pub clock: Clock,
    /// What is known of the speaker and its board.
    pub records: Records,
    /// How the service is reached, and where state is.
    pub config: Config,
    /// Which cards are wanted.
    pub cards: Arc<Wanted>,
    /// Files.
    pub store: Arc<Store>,
    /// To the main thread.
    pub orders: mpsc::Sender<Order>,
    /// Records the microphone.
    pub booth: Booth,
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
            Errand::Bundle => bundle::gather(self),
            Errand::Health => health::report(self),
            Errand::Logs { after, level } => logs::after(self, after, level),
            Errand::Clients => Ok(clients::list(self, asker)),
            Errand::Client { id, deed } => clients::change(self, asker, &id, deed),
            Errand::Invite { role } => clients::invite(self, asker, role),
            Errand::Key { key: None, .. } => Ok(key::status(self)),
            Errand::Key { key: Some(key), accept } => key::set(self, asker, key, accept).await,
            Errand::Settings { changes } => settings::change(self, changes).await,
            Errand::Setup { news } => setup::run(self, news),
            Errand::StepUp { code } => clients::step_up(self, asker, &code),
            Errand::Cards => cards::list(self).await,
            Errand::Record { seconds } => self.booth.record(self, asker, seconds).await,
            Errand::Measure => measure::run(self).await,
            Errand::Recording { id, part } => self.booth.part(asker, id, part),
        }
    }

    /// Hands something to the main thread.
    fn order(&self, order: Order) -> Result<(), Refusal> {
        let busy = |_| refusal("busy", "the speaker has too much to do; try again");
        self.orders.try_send(order).map_err(busy)
    }

    /// Goes on only when a person was at the device a moment ago.
    fn presence(&self, asker: Asker) -> Result<(), Refusal> {
        if self.trust.stepped(&asker.session, (self.clock)()).is_some() {
            return Ok(());
        }
        let words = "this needs a fresh code: run \"grok-speaker pair\" on the speaker and type it";
        Err(refusal("step_up", words))
    }
}
