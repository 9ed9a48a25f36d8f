//! What a panel may ask and what it may know; the Socket.IO names in one place.

use crate::base::event::{Scene, Tag};
use crate::base::unit::{Rate, Volume};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Socket.IO event names, the same for pages and programs of other people.
pub mod name {
    /// A typed turn.
    pub const TEXT: &str = "grok-voice:text";
    /// Push-to-talk.
    pub const TALK: &str = "grok-voice:talk";
    /// Be quiet.
    pub const STOP: &str = "grok-voice:stop";
    /// Microphone off or on.
    pub const MUTE: &str = "grok-voice:mute";
    /// How loud.
    pub const VOLUME: &str = "grok-voice:volume";
    /// Change settings.
    pub const SETTINGS: &str = "grok-voice:settings";
    /// Receive the sound of every reply.
    pub const LISTEN: &str = "grok-voice:listen";
    /// Change a paired client.
    pub const CLIENT: &str = "grok-voice:client";
    /// Open a pairing window.
    pub const INVITE: &str = "grok-voice:invite";
    /// Where the API key is, or another one.
    pub const KEY: &str = "grok-voice:key";
    /// How far the first set-up has come.
    pub const SETUP: &str = "grok-voice:setup";
    /// Prove presence with a fresh code.
    pub const STEP_UP: &str = "grok-voice:step_up";
    /// Who is paired.
    pub const CLIENTS: &str = "grok-voice:clients";
    /// How the speaker and its board do.
    pub const HEALTH: &str = "grok-voice:health";
    /// The last lines of the log.
    pub const LOGS: &str = "grok-voice:logs";
    /// What helps to find a fault.
    pub const BUNDLE: &str = "grok-voice:bundle";
    /// The sound cards there are.
    pub const CARDS: &str = "grok-voice:cards";
    /// Let the speaker sound.
    pub const TONE: &str = "grok-voice:tone";
    /// Record the microphone for a few seconds.
    pub const RECORD: &str = "grok-voice:record";
    /// Fetch what was recorded.
    pub const RECORDING: &str = "grok-voice:recording";
    /// Play a sweep and measure the cards with it.
    pub const MEASURE: &str = "grok-voice:measure";
    /// Receive wire events.
    pub const INSPECT: &str = "grok-voice:inspect";
    /// First word of the speaker.
    pub const HELLO: &str = "grok-voice:hello";
    /// What changes slowly.
    pub const STATE: &str = "grok-voice:state";
    /// A line of the conversation.
    pub const TRANSCRIPT: &str = "grok-voice:transcript";
    /// A slice of a reply.
    pub const AUDIO: &str = "grok-voice:audio";
    /// Meters; the only volatile event, because a connection has one volatile slot.
    pub const TICK: &str = "grok-voice:tick";
    /// A message between the speaker and the service.
    pub const EVENT: &str = "grok-voice:event";
    /// A finished turn.
    pub const TURN: &str = "grok-voice:turn";
    /// What a person should know.
    pub const NOTICE: &str = "grok-voice:notice";
}

/// A connected panel. Numbers are never used twice in one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClientId(pub u64);

/// What a person at a panel asks of the speaker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// A typed turn.
    Text {
        /// What was typed.
        text: String,
    },
    /// Push-to-talk with the speaker's own microphone.
    Talk {
        /// Down or up.
        on: bool,
    },
    /// Be quiet.
    Stop,
    /// Let the speaker sound.
    Tone,
    /// Microphone off or on.
    Mute {
        /// Whether it is to be off.
        on: bool,
    },
    /// How loud.
    Volume {
        /// 0..=100.
        percent: Volume,
    },
}

/// A command with the address its answer goes to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Who asks.
    pub client: ClientId,
    /// Unique per client.
    pub id: u64,
    /// What.
    pub command: Command,
}

/// Why a command was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// For programs: `bad_request`, `forbidden`, `busy`, `offline`, `muted`, `limit`.
    pub code: String,
    /// For a person.
    pub message: String,
}

/// Answer to a [`Request`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// To whom.
    pub client: ClientId,
    /// Of the request.
    pub id: u64,
    /// Done, or why not.
    pub result: Result<(), Refusal>,
}

/// The whole of what changes slowly; sent when any of it changes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// What the speaker is doing.
    pub state: Scene,
    /// How loud it is.
    pub volume: Volume,
    /// Microphone off by the owner's will.
    pub muted: bool,
    /// Whether a session with the service is up.
    pub online: bool,
    /// `wake`, `open` or `push`.
    pub mode: String,
    /// Voice and model in use.
    pub voice: String,
    /// Model in the URL.
    pub model: String,
    /// For a person: what is wrong and what happens next; empty when nothing is.
    pub trouble: String,
    /// Changes of the settings in this run: a page that shows them asks again when it moves.
    #[serde(default)]
    pub settings: u32,
    /// What interrupts a reply now beside a button: `speech`, `wake` or `off`.
    pub barge_in: String,
    /// What its owner calls it; empty for the host name.
    #[serde(default)]
    pub name: String,
}

/// Who said something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Speaker {
    /// The person.
    User,
    /// The service.
    Assistant,
}

/// A line of the conversation, whole each time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transcript {
    /// Stable id of the line.
    pub item: String,
    /// Whose.
    pub role: Speaker,
    /// The whole text so far.
    pub text: String,
    /// It will not change any more.
    pub r#final: bool,
    /// It was cut off by a person.
    pub interrupted: bool,
}

/// One finished turn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Turn {
    /// Counts from 1 in one run.
    pub turn: u32,
    /// Milliseconds from the turn's beginning to each stage that happened, by name.
    pub marks: BTreeMap<String, u64>,
    /// Estimated cost in US dollars.
    pub cost: f64,
    /// How it ended: `completed`, `interrupted`, `stopped`, `failed`, `unanswered`, ...
    pub reason: String,
}

/// How serious a notice is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Good to know.
    Info,
    /// Worth a look.
    Warn,
    /// Something does not work.
    Error,
}

/// What a person should know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// How serious.
    pub level: Severity,
    /// For programs.
    pub code: String,
    /// What happened and what the device does next.
    pub message: String,
    /// What a person can do; may be empty.
    pub action: String,
}

/// Meters, 15-20 a second.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Tick {
    /// Seconds since the daemon began.
    pub t: f64,
    /// Microphone level.
    pub mic_dbfs: f32,
    /// Speaker level.
    pub speaker_dbfs: f32,
    /// Speech score.
    pub speech: f32,
    /// Echo attenuation.
    pub erle_db: f32,
    /// Samples of the microphone at full scale since the last tick.
    pub clipped: u64,
}

/// A slice of a reply as handed to playout, before volume.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audio {
    /// The service's item.
    pub item: String,
    /// Which stretch of speech it belongs to.
    pub tag: Tag,
    /// Samples a second.
    pub rate: Rate,
    /// 16-bit mono.
    pub pcm: Vec<i16>,
    /// The panel whose typed turn is answered; it hears the reply, listening or not.
    pub to: Option<ClientId>,
}

impl std::fmt::Debug for Audio {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Audio({}, {} samples)", self.item, self.pcm.len())
    }
}

/// Which way a message of the wire went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// To the service.
    Sent,
    /// From it.
    Received,
}

/// A message between the speaker and the service, without its sound.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Traffic {
    /// Seconds since the daemon began.
    pub t: f64,
    /// Which way.
    pub dir: Direction,
    /// What kind, as the service names it.
    pub r#type: String,
    /// The message.
    pub event: serde_json::Value,
}

/// What the speaker tells its panels. The panel room numbers them (`seq`) and keeps them for replay.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// Something slow changed.
    State(State),
    /// A line changed.
    Transcript(Transcript),
    /// A turn ended.
    Turn(Turn),
    /// Somebody should know.
    Notice(Notice),
    /// A slice of a reply.
    Audio(Audio),
    /// A message of the wire; only while somebody inspects.
    Traffic(Traffic),
    /// Meters.
    Tick(Tick),
    /// Answer to a command.
    Answer(Answer),
}
