//! What we believe about the service connection. Pure.
//!
//! ```text
//! Closed --demand--> Dialling --Up--> Greeting --session.updated--> Ready
//!    ^                  |  Failed         | Lost, silence, limit       |
//!    |                  v                 v                            v
//!    +--hang_up--    Waiting (back-off) <-+----------------------------+
//!                    Refused (until the world or a person says so)
//! ```
//! Every connection is configured anew and whole; nothing but that configuration leaves before
//! `session.updated`, so that sound never meets another rate (section 2). While the link is
//! congested everything waits here, in order and with a limit. A lost link that had served for a
//! while is dialled again at once; otherwise the pauses of `backoff` apply (R9).

use super::backoff::Backoff;
use super::client::ClientEvent;
pub use super::convert::Converter;
use super::reply::{Ask as ReplyAsk, News, Replies};
pub use super::reply::{Over, Wish};
pub use super::server::{Call, UserText};
use super::stream::{Parts, Seen};
use crate::base::event::{Dial, Trouble, Wire};
use crate::base::unit::{Moment, Rate};
use std::collections::VecDeque;
use std::time::Duration;

mod line;
mod receive;
mod send;

/// `session.created` and `session.updated` must have come by then (R2).
const GREETING: Duration = Duration::from_secs(10);
/// The socket gives up a dialling after 10 s and says so; this is for one that does not.
const DIALLING: Duration = Duration::from_secs(30);
/// No message for so long means that the link is dead: pings come every 10 s (R2).
const SILENCE: Duration = Duration::from_secs(30);

/// How audio travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// Base64 in JSON events.
    #[default]
    Json,
    /// Binary frames.
    Binary,
}

/// What the session is told; part of the journal's head.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Options {
    /// `grok.model`, goes into the URL.
    pub model: String,
    /// `grok.voice`.
    pub voice: String,
    /// `grok.instructions`.
    pub instructions: String,
    /// `grok.language`: a BCP-47 code, or `auto`.
    pub language: String,
    /// `grok.reasoning`.
    pub reasoning: String,
    /// `grok.transport`.
    pub transport: Transport,
    /// `grok.input_rate`.
    pub input_rate: Rate,
    /// `grok.output_rate`.
    pub output_rate: Rate,
    /// `grok.session_minutes`: recycle the session at a quiet moment before the service ends it.
    pub life: Duration,
}

/// The service's turn detection.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Detection {
    /// How loud speech must be, 0.1..0.9.
    pub threshold: f64,
    /// Sound kept from before speech began.
    pub prefix_padding_ms: u32,
    /// Silence that ends a turn.
    pub silence_duration_ms: u32,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// Connect.
    Dial(Dial),
    /// Close.
    HangUp,
    /// Send.
    Transmit(Wire),
}

/// Whose lines of an earlier connection the service replayed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Restored {
    /// What the person said or typed.
    pub user: bool,
    /// What the service said.
    pub assistant: bool,
}

/// What happened, as far as a conversation cares.
#[derive(Debug, Clone, PartialEq)]
pub enum Fact {
    /// Sound and items may be sent.
    Ready {
        /// What the service still has of the conversation.
        restored: Restored,
    },
    /// The connection failed or ended without our doing.
    Down {
        /// What kind.
        trouble: Trouble,
        /// For a person.
        words: String,
        /// It had been ready.
        was_ready: bool,
    },
    /// The service hears speech in what we sent.
    SpeechStarted,
    /// It hears the end, perhaps.
    SpeechStopped,
    /// The spoken turn is an item.
    Committed,
    /// A user's words.
    UserText(UserText),
    /// A reply begins.
    ReplyBegan {
        /// Which.
        id: String,
    },
    /// Sound of a reply that may be heard.
    Sound {
        /// Reply.
        response: String,
        /// Item.
        item: String,
        /// At the output rate.
        samples: Vec<i16>,
    },
    /// No more sound for this item.
    SoundEnd {
        /// Reply.
        response: String,
        /// Item.
        item: String,
    },
    /// Words of a reply.
    Words {
        /// Item.
        item: String,
        /// A piece, or the whole.
        text: String,
        /// The whole.
        whole: bool,
    },
    /// A tool is called.
    Call(Call),
    /// What is left of the text after a truncation.
    Truncated {
        /// Item.
        item: String,
        /// The rest.
        text: String,
    },
    /// A reply is over.
    ReplyOver {
        /// Which.
        id: String,
        /// How.
        how: Over,
    },
    /// A wanted reply was given up.
    NoReply {
        /// Somebody waits for it.
        due: bool,
    },
    /// The service refused something, or it is in trouble.
    Complaint {
        /// `error.code`, else its type.
        code: String,
        /// Its words.
        message: String,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    Closed,
    Dialling { since: Moment, resuming: bool },
    Greeting { since: Moment },
    Ready { since: Moment },
    Waiting { until: Moment, asked: bool },
    Refused,
}

/// The protocol relationship with the service.
#[derive(Debug)]
pub struct Session {
    options: Options,
    detection: Option<Detection>,
    tools: serde_json::Value,
    line: Line,
    wanted: bool,
    /// A link has been up.
    met: bool,
    /// Why the next dialling makes a connection anew.
    after: Option<Trouble>,
    congested: bool,
    backoff: Backoff,
    replies: Replies,
    /// Bytes of the last chunk of sound: the memory is used again.
    sound: Vec<u8>,
    seen: Seen,
    parts: Parts,
    conversation: Option<String>,
    same_conversation: bool,
    /// By the items that came before `session.updated`.
    replayed: Restored,
    last_frame: Moment,
    last_append: Option<Moment>,
    spoken_item: Option<String>,
    committed_item: Option<String>,
    /// The committed turn began to be answered aloud: its end is not taken back any more.
    sounded: bool,
    binary_owner: (String, String),
    unacknowledged: Vec<String>,
    /// Names of calls that were told with their item.
    names: VecDeque<(String, String)>,
    outbox: VecDeque<Wire>,
    /// The outbox is full: the link is as good as dead.
    stuck: bool,
    asks: VecDeque<Ask>,
    facts: VecDeque<Fact>,
    /// Kinds that were not known, and messages that were not JSON.
    pub odd_messages: u64,
}

impl Session {
    /// A session nobody has asked for yet. `detection` `None` means manual turns.
    pub fn new(
        options: Options,
        detection: Option<Detection>,
        tools: serde_json::Value,
        seed: u64,
    ) -> Self {
        Self {
            options,
            detection,
            tools,
            line: Line::Closed,
            wanted: false,
            met: false,
            after: None,
            congested: false,
            backoff: Backoff::new(seed),
            replies: Replies::default(),
            sound: Vec::new(),
            seen: Seen::default(),
            parts: Parts::default(),
            conversation: None,
            same_conversation: false,
            replayed: Restored::default(),
            last_frame: Moment::ZERO,
            last_append: None,
            spoken_item: None,
            committed_item: None,
            sounded: false,
            binary_owner: Default::default(),
            unacknowledged: Vec::new(),
            names: VecDeque::new(),
            outbox: VecDeque::new(),
            stuck: false,
            asks: VecDeque::new(),
            facts: VecDeque::new(),
            odd_messages: 0,
        }
    }

    /// What is to be done next.
    pub fn ask(&mut self) -> Option<Ask> {
        self.asks.pop_front()
    }

    /// What happened next.
    pub fn fact(&mut self) -> Option<Fact> {
        self.facts.pop_front()
    }

    /// Whether items and sound may be sent.
    pub fn is_ready(&self) -> bool {
        matches!(self.line, Line::Ready { .. })
    }

    /// Whether it is closed on purpose, or refused for good.
    pub fn is_closed(&self) -> bool {
        matches!(self.line, Line::Closed | Line::Refused)
    }

    /// Whether the service refused us for good.
    pub fn is_refused(&self) -> bool {
        self.line == Line::Refused
    }

    /// Whether it failed and is waiting to try again.
    pub fn is_waiting(&self) -> bool {
        matches!(self.line, Line::Waiting { .. })
    }

    /// Since when the connection has been ready.
    pub fn ready_since(&self) -> Option<Moment> {
        match self.line {
            Line::Ready { since } => Some(since),
            Line::Closed
            | Line::Dialling { .. }
            | Line::Greeting { .. }
            | Line::Waiting { .. }
            | Line::Refused => None,
        }
    }

    /// Whether sound may be sent now. With manual turns never while a reply is produced: it would
    /// be stopped without an end (Q11).
    pub fn may_stream(&self) -> bool {
        self.is_ready()
            && !self.congested
            && (self.detection.is_some() || self.replies.active().is_none())
    }

    /// The reply that is being produced.
    pub fn active_reply(&self) -> Option<&str> {
        self.replies.active()
    }

    /// Whether a reply is wanted and has not begun.
    pub fn reply_wanted(&self) -> bool {
        self.replies.is_wanted()
    }

    /// Whether a reply has begun and its first sound is still to come; it may be slow (Q16).
    pub fn reply_due(&self) -> bool {
        self.replies.is_due()
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Moment) {
        match self.line {
            Line::Waiting { until, .. } if now >= until => self.dial(now),
            Line::Dialling { since, .. } if now - since >= DIALLING => {
                self.give_up(now, "The connection was never made.");
            }
            Line::Greeting { since } if now - since >= GREETING => {
                self.give_up(now, "The service did not accept the configuration in time.");
            }
            Line::Ready { .. } if now - self.last_frame >= SILENCE => {
                self.give_up(now, "The service fell silent.");
            }
            Line::Ready { .. } if self.stuck => self.give_up(now, "Nothing leaves any more."),
            Line::Closed
            | Line::Refused
            | Line::Waiting { .. }
            | Line::Dialling { .. }
            | Line::Greeting { .. }
            | Line::Ready { .. } => {}
        }
        if self.is_ready() {
            let mut news = Vec::new();
            let ask = self.replies.tick(now, &mut news);
            self.tell(news);
            match ask {
                Some(ReplyAsk::Create) => self.send(&ClientEvent::ResponseCreate),
                Some(ReplyAsk::ClearAndCreate) => {
                    self.send(&ClientEvent::Clear);
                    self.send(&ClientEvent::ResponseCreate);
                }
                None => {}
            }
        }
    }

    /// When [`Session::tick`] is needed at the latest: the line's limit, and the reply's.
    pub fn deadlines(&self) -> (Option<Moment>, Option<Moment>) {
        let line = match self.line {
            Line::Closed | Line::Refused => None,
            Line::Dialling { since, .. } => Some(since + DIALLING),
            Line::Greeting { since } => Some(since + GREETING),
            Line::Ready { .. } if self.stuck => Some(Moment::ZERO),
            Line::Ready { .. } => Some(self.last_frame + SILENCE),
            Line::Waiting { until, .. } => Some(until),
        };
        (line, if self.is_ready() { self.replies.deadline() } else { None })
    }

    fn tell(&mut self, news: Vec<News>) {
        for item in news {
            match item {
                News::Over { id, how } => {
                    if how == Over::TooSlow {
                        let id = Some(id.clone());
                        self.send(&ClientEvent::ResponseCancel { response_id: id });
                    }
                    self.facts.push_back(Fact::ReplyOver { id, how });
                }
                News::NoReply { due } => self.facts.push_back(Fact::NoReply { due }),
                News::Unwanted { id } => {
                    self.send(&ClientEvent::ResponseCancel { response_id: Some(id) });
                }
            }
        }
    }

    fn end_reply(&mut self, now: Moment, how: Over) {
        let mut news = Vec::new();
        self.replies.end(now, how, &mut news);
        self.tell(news);
    }
}
