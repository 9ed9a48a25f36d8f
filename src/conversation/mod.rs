//! The pure heart: what is heard, asked, answered, said and interrupted.
//!
//! Runs on the main thread, in the simulator, under the fuzzer and in `replay` alike. Never reads a
//! clock, a socket or a file, and never looks inside PCM: it decides on the numbers beside it.

use crate::base::event::{
    Dial, Earcon, Fault, Hand, Link, Near, PlayoutFact, Scene, Tag, Wire,
};
use crate::base::ring::Epoch;
use crate::base::unit::{Moment, Volume};
use crate::grok::session;
use crate::panel::event::{Event, Request};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How the speaker is addressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// By its wake word.
    #[default]
    Wake,
    /// By speaking.
    Open,
    /// By holding a button.
    Push,
}

/// When sound may leave the device in mode `open`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Gate {
    /// From local speech (with pre-roll) until the service has committed the turn.
    #[default]
    Speech,
    /// Always while unmuted.
    Always,
}

/// What interrupts a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BargeIn {
    /// As the measured echo allows.
    #[default]
    Auto,
    /// Speech.
    Speech,
    /// The wake word.
    Wake,
    /// Nothing but a button.
    Off,
}

/// The numbers the conversation needs; the head of a journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    /// `turn.mode`.
    pub mode: Mode,
    /// `turn.gate`.
    pub gate: Gate,
    /// `turn.barge_in`.
    pub barge_in: BargeIn,
    /// `turn.linger_s`.
    pub linger: Duration,
    /// `grok.hang_up_after_s`; `None` never.
    pub hang_up_after: Option<Duration>,
    /// `grok.price_per_minute`.
    pub price_per_minute: f64,
    /// `grok.price_per_text`.
    pub price_per_text: f64,
    /// Of the service connection.
    pub session: session::Options,
}

/// What a person may change while it runs; stored in the state directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// How loud.
    pub volume: Volume,
    /// Microphone off.
    pub muted: bool,
}

/// Wall time, given from outside now and then (at start, each minute, after a step).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wall {
    /// Unix seconds.
    pub unix: i64,
    /// Local time less UTC, in seconds.
    pub offset: i32,
}

/// Everything that can happen to a conversation.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// 10 ms of microphone.
    Near(Near),
    /// From the speaker.
    Playout(PlayoutFact),
    /// From the socket.
    Link(Link),
    /// From the service.
    Message(Wire),
    /// From buttons.
    Hand(Hand),
    /// From a panel.
    Panel(Request),
    /// From around.
    Fault(Fault),
    /// What time it is.
    Wall(Wall),
    /// Time has passed ([`Conversation::deadline`] came).
    Tick,
    /// The owner wants it to end: say goodbye to the service.
    Stop,
}

/// Everything a conversation asks of the world.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// Connect. Answered by [`Link::Up`] or [`Link::Failed`].
    Dial(Dial),
    /// Close the connection (also one that is being dialled). Not answered.
    HangUp,
    /// Send.
    Transmit(Wire),
    /// Append to the playout ring, at the session's output rate.
    Play {
        /// Generation.
        epoch: Epoch,
        /// Stretch of speech.
        tag: Tag,
        /// 16-bit mono.
        samples: Vec<i16>,
    },
    /// No more will come for this tag: report [`PlayoutFact::Drained`] when it has been heard.
    PlayEnd {
        /// Generation.
        epoch: Epoch,
        /// Stretch of speech.
        tag: Tag,
    },
    /// Silence everything older than this epoch, now.
    Flush(Epoch),
    /// Lower (or restore) speech while someone may be interrupting.
    Duck(bool),
    /// Software volume.
    SetVolume(Volume),
    /// A short sound, mixed over whatever plays.
    Sound(Earcon),
    /// Lights, and what `status` says.
    Show(Scene),
    /// For the panels.
    Publish(Event),
    /// Keep these over a restart.
    Store(Settings),
    /// The session is ready for sound: a `file:` microphone may start.
    Ready,
    /// A line for the log: what a user would notice.
    Log {
        /// Severity.
        level: crate::panel::event::Severity,
        /// The sentence.
        message: String,
        /// Fields beside it.
        fields: Vec<(&'static str, String)>,
    },
}

/// Why a deadline is wanted; makes a stuck timer debuggable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Why(pub u8);

/// The conversation.
#[derive(Debug)]
pub struct Conversation {
    queue: std::collections::VecDeque<Output>,
}

impl Conversation {
    /// A conversation that nobody has begun.
    pub fn new(_policy: Policy, _settings: Settings, _seed: u64) -> Self {
        Self { queue: std::collections::VecDeque::new() }
    }

    /// Takes in what happened.
    pub fn handle(&mut self, _now: Moment, _input: Input) {}

    /// What is to be done next; drain it after every input.
    pub fn poll(&mut self) -> Option<Output> {
        self.queue.pop_front()
    }

    /// When to come back with [`Input::Tick`] at the latest, and why.
    pub fn deadline(&self) -> Option<(Moment, Why)> {
        None
    }
}
