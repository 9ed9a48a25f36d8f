//! The pure heart: what is heard, asked, answered, said and interrupted.
//!
//! Runs on the main thread, in the simulator, under the fuzzer and in `replay` alike. Never reads a
//! clock, a socket or a file, and never looks inside PCM: it decides on the numbers beside it.
//! An input is routed by `flow`, the service's facts by `service`, each moves the `turn`, whose
//! deeds are done in `deed`; then everything that waits is looked at once, in the order of
//! [`Conversation::settle`]. The drawing of the states is `tests/golden/turn.mmd`.

mod adopt;
mod barge_in;
mod budget;
mod cue;
mod deed;
mod downlink;
mod duplex;
mod flow;
mod history;
pub mod journal;
pub mod report;
mod service;
mod talk;
mod timer;
mod tool;
mod turn;
mod uplink;

pub use budget::Spent;

use crate::base::event::{
    Dial, Duplex, Earcon, Fault, Hand, Link, Near, PlayoutFact, Scene, Tag, Voice, Wire,
};
use crate::base::ring::Epoch;
use crate::base::unit::{Moment, Volume};
use crate::grok::session;
use crate::panel::event::{ClientId, Event, Request, State};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
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

impl Mode {
    /// As `turn.mode` has it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Wake => "wake",
            Self::Open => "open",
            Self::Push => "push",
        }
    }
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
    /// `grok.budget_per_day`; 0 is no ceiling.
    #[serde(default)]
    pub budget_per_day: f64,
    /// `panel.name`.
    #[serde(default)]
    pub name: String,
    /// Of the service connection.
    pub session: session::Options,
}

/// What a person may change while it runs, and what was spent; stored in the state directory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// How loud.
    pub volume: Volume,
    /// Microphone off.
    pub muted: bool,
    /// What the day has cost.
    #[serde(default)]
    pub spent: Spent,
}

/// Wall time, given from outside now and then (at start, each minute, after a step).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wall {
    /// Unix seconds.
    pub unix: i64,
    /// Local time less UTC, in seconds.
    pub offset: i32,
}

/// Everything that can happen to a conversation. Serialised without the sound of [`Input::Near`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "the commonest variant is the largest")]
pub enum Input {
    /// 10 ms of microphone.
    Near(#[serde(with = "journal::near")] Near),
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
    /// The cards were measured: what may interrupt a reply in `auto`.
    Duplex(Duplex),
    /// What time it is.
    Wall(Wall),
    /// Where a browser finds the panel, what is best to type first; nothing where it is off.
    Place(Vec<String>),
    /// Other numbers, from the next quiet moment on. What the sound was opened with (rates,
    /// transport) stays as it was.
    Policy(Box<Policy>),
    /// Time has passed ([`Conversation::deadline`] came).
    Tick,
    /// The owner wants it to end: say goodbye to the service.
    Stop,
}

/// Everything a conversation asks of the world.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
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
    /// A button was held: open a pairing window for an admin and say its code.
    Invite,
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
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// The session waits for the service or for its next dialling.
    Session,
    /// The reply is late, or its end is.
    Reply,
    /// Sound is waiting to be sent.
    Backlog,
    /// The stretch of listening has a limit.
    Listening,
    /// The follow-up window closes.
    Linger,
    /// Nobody talks: the connection is closed.
    HangUp,
    /// The session is recycled.
    Recycle,
    /// A turn waits for the link, and not for ever.
    Unanswered,
}

/// A typed line that is not answered yet.
#[derive(Debug, Clone)]
struct Typed {
    client: ClientId,
    item: String,
    text: String,
    sent: bool,
}

/// What the microphone told last.
#[derive(Debug, Default)]
struct Mic {
    voice: Voice,
    /// When the voice detector left `Quiet`.
    first_sign: Option<Moment>,
    /// The last block that scored as speech.
    last_speech: Moment,
    /// When somebody stopped talking.
    quiet_since: Moment,
    /// Talking began, and nothing has come of it yet.
    fresh: bool,
    /// The service would hear the reply.
    echo: bool,
    last_block: Moment,
}

/// The conversation.
#[derive(Debug)]
pub struct Conversation {
    policy: Policy,
    /// What is to hold from the next quiet moment on.
    next: Option<Policy>,
    /// How often the numbers were changed.
    revision: u32,
    settings: Settings,
    session: session::Session,
    turn: turn::Turn,
    uplink: uplink::Uplink,
    downlink: downlink::Downlink,
    ear: barge_in::Ear,
    reach: duplex::Reach,
    talk: talk::Talk,
    history: history::History,
    calls: tool::Calls,
    report: Option<report::Report>,
    meter: report::Meter,
    /// Dollars of the meter that are counted in the day's.
    counted: f64,
    /// The day's budget is spent.
    over_budget: bool,
    turns: u32,
    mic: Mic,
    held: bool,
    /// Since when, or when it was last.
    pressed: Moment,
    lead: Duration,
    /// The turn has ended by hand; the commit goes out behind its sound.
    commit_due: Option<bool>,
    typed: VecDeque<Typed>,
    /// The turn is a typed one.
    typed_turn: bool,
    typed_count: u64,
    audience: Option<ClientId>,
    /// Since when a turn waits for the link.
    missing_since: Option<Moment>,
    resends: u8,
    last_active: Moment,
    progress: Moment,
    pumped: Moment,
    trouble: String,
    offline: bool,
    refused: bool,
    cards_lost: [bool; 2],
    wall: Option<(Wall, Moment)>,
    place: Vec<String>,
    shown: Option<Scene>,
    published: Option<State>,
    ducked: bool,
    ready_told: bool,
    overflow_told: bool,
    started: bool,
    closing: bool,
    queue: VecDeque<Output>,
}

/// The service's turn detection where it is used. The threshold is below its default of 0.85
/// because only what the local detector took for speech is sent; half a second of silence ends a
/// turn without cutting people off at a comma.
const DETECTION: session::Detection =
    session::Detection { threshold: 0.6, prefix_padding_ms: 333, silence_duration_ms: 500 };

/// Who ends a spoken turn: the service, or the hand that holds the button.
fn detection(mode: Mode) -> Option<session::Detection> {
    match mode {
        Mode::Push => None,
        Mode::Open | Mode::Wake => Some(DETECTION),
    }
}

impl Conversation {
    /// A conversation that nobody has begun.
    pub fn new(policy: Policy, settings: Settings, seed: u64) -> Self {
        let detection = detection(policy.mode);
        let options = policy.session.clone();
        Self {
            uplink: uplink::Uplink::new(options.input_rate),
            downlink: downlink::Downlink::new(options.output_rate),
            session: session::Session::new(options, detection, tool::declared(), seed),
            policy,
            next: None,
            revision: 0,
            settings,
            turn: turn::Turn::Asleep,
            ear: Default::default(),
            reach: Default::default(),
            talk: Default::default(),
            history: Default::default(),
            calls: Default::default(),
            report: None,
            meter: Default::default(),
            counted: 0.0,
            over_budget: false,
            turns: 0,
            mic: Default::default(),
            held: false,
            pressed: Moment::ZERO,
            lead: Duration::ZERO,
            commit_due: None,
            typed: VecDeque::new(),
            typed_turn: false,
            typed_count: 0,
            audience: None,
            missing_since: None,
            resends: 0,
            last_active: Moment::ZERO,
            progress: Moment::ZERO,
            pumped: Moment::ZERO,
            trouble: String::new(),
            offline: false,
            refused: false,
            cards_lost: [false; 2],
            wall: None,
            place: Vec::new(),
            shown: None,
            published: None,
            ducked: false,
            ready_told: false,
            overflow_told: false,
            started: false,
            closing: false,
            queue: VecDeque::new(),
        }
    }

    /// Takes in what happened.
    pub fn handle(&mut self, now: Moment, input: Input) {
        if self.closing {
            return;
        }
        if !self.started {
            self.started = true;
            self.start(now);
        }
        self.take(now, input);
        self.settle(now);
    }

    /// What is to be done next; drain it after every input.
    pub fn poll(&mut self) -> Option<Output> {
        self.queue.pop_front()
    }

    /// Whether sound of the microphone may leave now.
    fn is_streaming(&self) -> bool {
        self.uplink.mouth() != uplink::Mouth::Shut
    }

    /// Whether each block is waited for: sound leaves, or will as soon as the session is up.
    pub fn is_prompt(&self) -> bool {
        let connects = !self.session.is_closed() && !self.session.is_waiting();
        self.is_streaming() || (self.always() && !self.settings.muted && connects)
    }

    /// Whether it leaves as it comes: nothing of before waits.
    pub fn is_live(&self) -> bool {
        self.is_streaming() && !self.uplink.has_backlog()
    }

    /// When to come back with [`Input::Tick`] at the latest, and why.
    pub fn deadline(&self) -> Option<(Moment, Why)> {
        if self.closing {
            return None;
        }
        if !self.started {
            return Some((Moment::ZERO, Why::Session));
        }
        self.timers().min_by_key(|(at, why)| (*at, *why))
    }
}
