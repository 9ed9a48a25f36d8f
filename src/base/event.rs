//! What can happen (past tense) and what can be asked (imperative), as plain data.

use super::pcm::Block;
use super::ring::Epoch;
use super::unit::{Db, Moment, Score};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What the voice detector believes, after hysteresis and hang-over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Voice {
    /// Nobody speaks.
    #[default]
    Quiet,
    /// A first sign of speech: worth dialling and ducking for, not worth acting on.
    Maybe,
    /// Speech over what the speaker plays that may still be a cough: not worth a reply.
    Likely,
    /// Somebody speaks (until the hang-over has passed).
    Talking,
}

/// 10 ms of the near end as the speech front end hands it on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Near {
    /// When the first sample of `block` was at the microphone.
    pub at: Moment,
    /// The cleaned sound.
    pub block: Block,
    /// Raw score of the voice detector.
    pub speech: Score,
    /// Its decision.
    pub voice: Voice,
    /// Score of a wake word that ended in this block.
    pub wake: Option<Score>,
    /// Level of the microphone after DC removal.
    pub mic: Db,
    /// Level of the reference (what the speaker plays).
    pub far: Db,
    /// Echo attenuation while only the far end is active.
    pub erle: Db,
}

/// Which stretch of speech a slice in the playout ring belongs to. The conversation numbers them.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Tag(pub u32);

/// What playout reports. Samples are at the rate the slices came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlayoutFact {
    /// The first sample of a tag was written to the card; it is audible at `at`.
    Started {
        /// Which.
        tag: Tag,
        /// When it leaves the speaker.
        at: Moment,
    },
    /// So many samples of this tag have left the speaker.
    Heard {
        /// Which.
        tag: Tag,
        /// Samples at the service's rate.
        samples: u64,
    },
    /// The end that was marked for this tag has left the speaker.
    Drained {
        /// Which.
        tag: Tag,
    },
    /// The ring ran dry in the middle of a tag: the sound has a gap until more arrives.
    Starved {
        /// Which.
        tag: Tag,
    },
    /// Everything up to this epoch is silent.
    Flushed {
        /// The epoch that is audible from here on.
        epoch: Epoch,
    },
}

/// A wire message, either way.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wire {
    /// A JSON event.
    Text(String),
    /// Audio of the binary transport.
    Binary(Vec<u8>),
}

impl std::fmt::Debug for Wire {
    /// Sizes only: what people say does not belong into a log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(t) => write!(f, "Text({} bytes)", t.len()),
            Self::Binary(b) => write!(f, "Binary({} bytes)", b.len()),
        }
    }
}

/// A request for a connection: what goes into the URL's query besides what the socket was given.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dial {
    /// Query parameters in order, not yet escaped.
    pub query: Vec<(String, String)>,
    /// What ended the connection before or kept it from being made anew.
    pub after: Option<Trouble>,
}

/// Why a connection could not be made or ended, sorted by what an owner can do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trouble {
    /// No API key is set.
    NoKey,
    /// The service refused the key or the plan (400, 401, 403): permanent until something changes.
    Refused,
    /// Too many requests or sessions (429), or the service is ill (5xx).
    Busy,
    /// The name could not be looked up.
    NoName,
    /// Nothing answered in time, or the network is down.
    NoNetwork,
    /// The certificate is not (or not yet) valid: most likely our own clock is wrong.
    WrongClock,
    /// The certificate is not trusted or names another host.
    NotTrusted,
    /// The far end does not speak the protocol.
    Protocol,
    /// The link fell silent or was reset after it had been up.
    Dropped,
}

impl Trouble {
    /// Its name in notices and metrics.
    pub const fn word(self) -> &'static str {
        match self {
            Self::NoKey => "no_key",
            Self::Refused => "refused",
            Self::Busy => "busy",
            Self::NoName => "no_name",
            Self::NoNetwork => "no_network",
            Self::WrongClock => "wrong_clock",
            Self::NotTrusted => "not_trusted",
            Self::Protocol => "protocol",
            Self::Dropped => "dropped",
        }
    }

    /// Whether trying again without a change is pointless.
    pub const fn is_permanent(self) -> bool {
        matches!(self, Self::NoKey | Self::Refused)
    }
}

/// What the socket reports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Link {
    /// The WebSocket is open.
    Up,
    /// Bytes do not leave: hold audio back until [`Link::Clear`].
    Congested,
    /// Bytes leave again.
    Clear,
    /// Dialling failed.
    Failed {
        /// What kind.
        trouble: Trouble,
        /// HTTP status of a refused handshake.
        status: Option<u16>,
        /// From the service's `Retry-After`.
        retry_after: Option<Duration>,
        /// For a person: what happened and what to do.
        words: String,
    },
    /// An open connection ended, by whatever cause.
    Lost {
        /// What kind.
        trouble: Trouble,
        /// Close code, where there was a close frame.
        code: Option<u16>,
        /// For a person.
        words: String,
    },
}

/// What fingers do: buttons, after debouncing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hand {
    /// The talk button went down.
    Pressed,
    /// The talk button came up.
    Released,
    /// The talk button was held long: a pairing window is wanted, if nobody talks.
    Held,
    /// The mute button went down.
    Mute {
        /// Whether the microphone is to be off.
        on: bool,
    },
    /// Volume one step up or down.
    Step {
        /// Up or down.
        up: bool,
    },
}

/// Which side of the sound card.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The microphone.
    Capture,
    /// The speaker.
    Playout,
}

/// Who can be heard over the speaker; more is greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Duplex {
    /// Nobody.
    Half,
    /// A wake word.
    Wake,
    /// A person who talks.
    Full,
}

impl Duplex {
    /// Echo attenuation that lets a person talk over the speaker: with less, a detector takes what is
    /// left of the echo for a person at times.
    pub const FULL: Db = Db(15.0);
    /// And that lets a wake word: with less it would drown.
    pub const WAKE: Db = Db(8.0);

    /// What so much echo attenuation allows.
    pub fn of(erle: Db) -> Self {
        match erle {
            erle if erle >= Self::FULL => Self::Full,
            erle if erle >= Self::WAKE => Self::Wake,
            _ => Self::Half,
        }
    }
}

/// What goes wrong (and right again) around the conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// A card is missing, busy or broken; it is being reopened.
    CardLost {
        /// Which side.
        side: Side,
        /// For a person: what happened and what happens next.
        words: String,
    },
    /// A card works (again).
    CardReady {
        /// Which side.
        side: Side,
        /// Its name, rate and shape, for a person.
        words: String,
    },
    /// A file of the state directory was unreadable and set aside.
    StateSetAside {
        /// For a person.
        words: String,
    },
    /// The wall clock stepped or the API key changed: what failed permanently may work.
    WorldChanged,
}

/// What the speaker is doing, for lights, panel and status alike.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scene {
    /// Waiting to be addressed; nothing leaves the device.
    #[default]
    Asleep,
    /// Hearing a person.
    Listening,
    /// Waiting for the reply.
    Thinking,
    /// Saying the reply.
    Speaking,
    /// Open for a follow-up without wake word.
    Lingering,
    /// The microphone is off by the owner's will.
    Muted,
    /// The service cannot be reached.
    Offline,
    /// Something needs a person: key refused, card gone.
    Error,
}

impl Scene {
    /// The word of the panel and of `status`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Asleep => "asleep",
            Self::Listening => "listening",
            Self::Thinking => "thinking",
            Self::Speaking => "speaking",
            Self::Lingering => "lingering",
            Self::Muted => "muted",
            Self::Offline => "offline",
            Self::Error => "error",
        }
    }
}

/// A short sound with a meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Earcon {
    /// I am listening.
    Woke,
    /// I stopped listening.
    Slept,
    /// That did not work.
    Failed,
    /// Microphone off.
    Muted,
    /// Microphone on.
    Unmuted,
    /// How loud it is now.
    Volume,
    /// What the speaker sounds like, for who sets it up.
    Test,
}
