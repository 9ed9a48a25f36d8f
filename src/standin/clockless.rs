//! The stand-in without clock and socket: whoever has a time of their own brings it along.

use super::brain::{Brain, Out, Query};
use super::desk::{Desk, Report};
use super::fault::{Fault, Mood};
use crate::base::event::Wire;
use crate::base::unit::Moment;
use std::sync::Arc;

/// Unix time in ms at [`Moment::ZERO`]: any will do.
const EPOCH_MS: u64 = 1_790_000_000_000;

/// A stand-in in its caller's time, with one connection at a time. What ends a connection (`drop`,
/// `close`, `silence`) only ends what it says.
#[derive(Debug)]
pub struct Clockless {
    desk: Arc<Desk>,
    brain: Option<Brain>,
    number: u32,
}

impl Clockless {
    /// A stand-in nobody is connected to.
    pub fn new(faults: &[Fault], transcripts: Vec<String>) -> Self {
        let desk = Desk::new(Mood::new(faults), true, transcripts, EPOCH_MS);
        Self { desk: Arc::new(desk), brain: None, number: 0 }
    }

    /// A new connection with these parameters of the URL; an earlier one is over.
    pub fn connect(&mut self, now: Moment, query: &[(String, String)]) {
        self.leave(now);
        let find = |name: &str| query.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone());
        let query = Query { model: find("model"), conversation: find("conversation_id") };
        self.number += 1;
        let seed = u64::from(self.number);
        self.brain = Some(Brain::new(self.desk.clone(), self.number, seed, &query, now));
    }

    /// The connection is over.
    pub fn leave(&mut self, now: Moment) {
        if let Some(brain) = self.brain.take() {
            brain.leave(now);
        }
    }

    /// The client says something.
    pub fn hear(&mut self, now: Moment, wire: &Wire) {
        match (&mut self.brain, wire) {
            (Some(brain), Wire::Text(text)) => brain.text(now, text),
            (Some(brain), Wire::Binary(bytes)) => brain.binary(now, bytes),
            (None, _) => {}
        }
    }

    /// The next thing said to the client by now.
    pub fn say(&mut self, now: Moment) -> Option<Wire> {
        match self.brain.as_mut()?.poll(now)? {
            Out::Event(event) => Some(Wire::Text(event.to_string())),
            Out::Junk(text) => Some(Wire::Text(text)),
            Out::Audio(bytes) => Some(Wire::Binary(bytes)),
            Out::Close(_) | Out::Drop | Out::Hush => {
                self.leave(now);
                None
            }
        }
    }

    /// When [`Clockless::say`] has something next.
    pub fn deadline(&self) -> Option<Moment> {
        self.brain.as_ref()?.deadline()
    }

    /// What has been seen so far.
    pub fn report(&self) -> Report {
        self.desk.report()
    }
}
