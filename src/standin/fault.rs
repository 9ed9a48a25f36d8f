//! Everything that can be made to go wrong, as `NAME[=VALUE]`, and the mood that results from it.

use std::str::FromStr;
use std::time::Duration;
use thiserror::Error;

/// How much of an earlier conversation comes back on `conversation_id`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resume {
    /// Every transcript, call and output, as the documents say.
    Full,
    /// The assistant's lines only, as recorded.
    Partial,
    /// Nothing: a new conversation with a new id.
    Off,
}

/// One thing that goes wrong, or one departure from recorded behaviour.
///
/// Written `NAME[=VALUE]`; [`faults`] lists the names with their meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Handshakes are refused with this HTTP status.
    Refuse {
        /// HTTP status.
        status: u16,
        /// How many handshakes; `None` is all of them.
        times: Option<u32>,
    },
    /// Refusals carry `Retry-After`.
    RetryAfter(Duration),
    /// The answer to a handshake is late by this much.
    SlowHandshake(Duration),
    /// The connection is reset without a close frame.
    Drop {
        /// Time after `session.updated`.
        after: Duration,
        /// How many connections suffer it.
        times: u32,
    },
    /// The connection is closed with a code 3 s after `session.updated`.
    Close {
        /// WebSocket close code.
        code: u16,
        /// How many connections suffer it.
        times: u32,
    },
    /// The connection stays open but nothing is heard from it any more.
    Silence {
        /// Time after `session.updated`.
        after: Duration,
        /// How many connections suffer it.
        times: u32,
    },
    /// Text messages come in several WebSocket fragments.
    SplitFrames,
    /// The whole audio of a reply comes in one delta.
    HugeDelta,
    /// Audio deltas end in the middle of a sample.
    OddDeltas,
    /// Every event comes twice.
    Duplicate,
    /// Neighbouring events change places.
    Reorder,
    /// Event kinds and fields nobody has heard of, and calls of undeclared functions.
    UnknownEvents,
    /// Text messages that are not JSON, or not an object.
    BadJson,
    /// Optional fields are null.
    NullFields,
    /// Deltas of a stopped reply keep coming for a while.
    LateDeltas,
    /// `response.done` never comes.
    NoDone,
    /// An `error` event ends every reply half way.
    ErrorMidReply,
    /// The conversation ends with `max_duration` after this time.
    MaxDuration(Duration),
    /// The conversation ends with `timeout` after so long without an event of the client.
    Timeout(Duration),
    /// Replies have a transcript but no audio.
    NoAudio,
    /// The first audio of every reply is late by this much.
    SlowAudio(Duration),
    /// WebSocket pings are not answered.
    NoPong,
    /// `conversation.created` comes before `session.created`.
    ConversationFirst,
    /// `conversation.item.truncate` is never answered.
    TruncateIgnored,
    /// What a resumed connection gets back.
    Resume(Resume),
    /// The first stop of a spoken turn is taken back (Q3).
    StopTakenBack,
    /// User items come again behind their final transcript (Q5).
    LateItems,
    /// The first `response.create` of a turn is ignored (Q6).
    DropCreate,
    /// Calls of the service's own tools (Q8).
    OwnCalls,
    /// `create_response` counts (Q9).
    HeedCreateResponse,
    /// Replies come under the old names of their events, too (Q10).
    OldNames,
    /// No item is found (Q13).
    LostItems,
    /// The first `response.create` of a turn is refused as if a reply were active (Q14).
    BusyCreate,
    /// `response.cancel` fails (Q14).
    CancelFails,
    /// The client's microphone hears the replies (Q15).
    Echo,
    /// Everything as the documents say instead of as recorded.
    Documented,
}

/// A fault that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FaultError {
    /// No fault has this name.
    #[error("no fault is called `{0}`; there are: {names}", names = names())]
    Name(String),
    /// The value is not one of those allowed.
    #[error("fault `{name}` {wants}, not `{value}`")]
    Value {
        /// Name of the fault.
        name: String,
        /// What was given.
        value: String,
        /// What is allowed.
        wants: &'static str,
    },
}

const FAULTS: &[(&str, &str)] = &[
    ("refuse=STATUS[xN]", "refuse every handshake (or the first N) with 400, 401, 403, 429 or 503"),
    ("retry-after=S", "send Retry-After: S with each refusal"),
    ("slow-handshake=S", "answer every handshake S seconds late"),
    (
        "drop=S[xN]",
        "S seconds after session.updated end the TCP connection without a close frame: the first connection (or the first N), later ones live",
    ),
    (
        "close=CODE[xN]",
        "3 s after session.updated close with CODE (1000..4999): the first connection (or the first N)",
    ),
    (
        "silence=S[xN]",
        "S seconds after session.updated send nothing more, not even pongs, and hear nothing: the first connection (or the first N)",
    ),
    ("split-frames", "split every text message into WebSocket fragments of uneven size"),
    ("huge-delta", "send the whole audio of a reply as one delta"),
    ("odd-deltas", "cut audio deltas in the middle of a sample"),
    ("duplicate", "send every event twice, with the same event_id"),
    (
        "reorder",
        "let neighbouring events change places; audio and text deltas keep their own order and stay ahead of response.done",
    ),
    (
        "unknown-events",
        "mix in unknown event types and fields, and a call of an undeclared function in every reply",
    ),
    ("bad-json", "mix in text messages that are no JSON, or JSON but no object"),
    ("null-fields", "send null for every field a client can do without"),
    ("late-deltas", "keep sending three audio deltas of a reply that was stopped, 100 ms apart"),
    ("no-done", "never send response.done; the reply ends all the same"),
    ("error-mid-reply", "end every reply half way with an error event and response.done failed"),
    (
        "max-duration=S",
        "end every connection S seconds after its start with error max_duration and close 1000",
    ),
    (
        "timeout=S",
        "end every connection after S seconds without an event of the client, with error timeout and close 1000",
    ),
    ("no-audio", "send replies with a transcript but without audio"),
    ("slow-audio=S", "send the first audio of every reply S seconds late"),
    ("no-pong", "do not answer WebSocket pings"),
    ("conversation-first", "send conversation.created before session.created"),
    (
        "truncate-ignored",
        "never answer conversation.item.truncate (else only while a reply is active)",
    ),
    (
        "resume=full|partial|off",
        "what conversation_id brings back: everything, the assistant's lines (the default), or nothing",
    ),
    (
        "stop-taken-back",
        "take the first stop of every spoken turn back: the same item is reopened, the reply opened in between is dropped without a word",
    ),
    (
        "late-items",
        "send every user item again behind its final transcript: in progress, with an older caption, after an item that was never announced",
    ),
    (
        "drop-create",
        "ignore the first response.create of every turn until input_audio_buffer.clear or other input comes",
    ),
    (
        "own-calls",
        "call x_keyword_search, a tool of the service's own, in every reply; who answers it gets an apology",
    ),
    (
        "heed-create-response",
        "answer spoken turns only where turn_detection.create_response is true (else it is not looked at)",
    ),
    ("old-names", "send sound and words of a reply a second time under the events' old names"),
    ("lost-items", "answer conversation.item.truncate and delete with \"Item not found\""),
    (
        "busy-create",
        "refuse the first response.create of every turn as if a reply were active, under another code",
    ),
    (
        "cancel-fails",
        "answer response.cancel with \"no active response found\" under another code; the reply ends unclosed",
    ),
    (
        "echo",
        "hear replies, while they would be heard, in all of the client's audio that is not digital silence",
    ),
    (
        "documented",
        "behave as the documents say instead of as recorded: a manual commit is not answered, interrupted replies are always closed, usage is nested, no ping, full resumption",
    ),
];

/// The names of all faults with their values, and one line on what each does: for `--help`.
pub const fn faults() -> &'static [(&'static str, &'static str)] {
    FAULTS
}

fn names() -> String {
    FAULTS.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}

/// Longest time a fault may name: a day. Longer is a typing error.
const LONGEST_S: f64 = 86_400.0;

fn seconds(name: &str, value: &str) -> Result<Duration, FaultError> {
    match value.parse::<f64>() {
        Ok(s) if (0.0..=LONGEST_S).contains(&s) => Ok(Duration::from_secs_f64(s)),
        Ok(_) | Err(_) => Err(bad(name, value, "wants seconds, 0 to 86400")),
    }
}

fn bad(name: &str, value: &str, wants: &'static str) -> FaultError {
    FaultError::Value { name: name.to_owned(), value: value.to_owned(), wants }
}

/// Splits `VALUE[xN]`.
fn times<'a>(name: &str, value: &'a str) -> Result<(&'a str, Option<u32>), FaultError> {
    let Some((head, count)) = value.split_once('x') else { return Ok((value, None)) };
    match count.parse::<u32>() {
        Ok(n) if n > 0 => Ok((head, Some(n))),
        Ok(_) | Err(_) => Err(bad(name, value, "wants a count of at least 1 after the x")),
    }
}

fn timed(name: &str, value: &str) -> Result<(Duration, u32), FaultError> {
    let (head, count) = times(name, value)?;
    Ok((seconds(name, head)?, count.unwrap_or(1)))
}

fn refuse(name: &str, value: &str) -> Result<Fault, FaultError> {
    let (head, times) = times(name, value)?;
    match head.parse::<u16>() {
        Ok(status @ (400 | 401 | 403 | 429 | 503)) => Ok(Fault::Refuse { status, times }),
        Ok(_) | Err(_) => Err(bad(name, value, "wants 400, 401, 403, 429 or 503")),
    }
}

fn close(name: &str, value: &str) -> Result<Fault, FaultError> {
    let (head, count) = times(name, value)?;
    match head.parse::<u16>() {
        // RFC 6455 section 7.4: these three never appear in a close frame.
        Ok(code @ 1000..=4999) if !matches!(code, 1005 | 1006 | 1015) => {
            Ok(Fault::Close { code, times: count.unwrap_or(1) })
        }
        Ok(_) | Err(_) => {
            Err(bad(name, value, "wants a close code, 1000 to 4999 without 1005, 1006 and 1015"))
        }
    }
}

fn resume(name: &str, value: &str) -> Result<Fault, FaultError> {
    match value {
        "full" => Ok(Fault::Resume(Resume::Full)),
        "partial" => Ok(Fault::Resume(Resume::Partial)),
        "off" => Ok(Fault::Resume(Resume::Off)),
        _ => Err(bad(name, value, "wants full, partial or off")),
    }
}

fn plain(name: &str) -> Option<Fault> {
    Some(match name {
        "split-frames" => Fault::SplitFrames,
        "huge-delta" => Fault::HugeDelta,
        "odd-deltas" => Fault::OddDeltas,
        "duplicate" => Fault::Duplicate,
        "reorder" => Fault::Reorder,
        "unknown-events" => Fault::UnknownEvents,
        "bad-json" => Fault::BadJson,
        "null-fields" => Fault::NullFields,
        "late-deltas" => Fault::LateDeltas,
        "no-done" => Fault::NoDone,
        "error-mid-reply" => Fault::ErrorMidReply,
        "no-audio" => Fault::NoAudio,
        "no-pong" => Fault::NoPong,
        "conversation-first" => Fault::ConversationFirst,
        "truncate-ignored" => Fault::TruncateIgnored,
        "stop-taken-back" => Fault::StopTakenBack,
        "late-items" => Fault::LateItems,
        "drop-create" => Fault::DropCreate,
        "own-calls" => Fault::OwnCalls,
        "heed-create-response" => Fault::HeedCreateResponse,
        "old-names" => Fault::OldNames,
        "lost-items" => Fault::LostItems,
        "busy-create" => Fault::BusyCreate,
        "cancel-fails" => Fault::CancelFails,
        "echo" => Fault::Echo,
        "documented" => Fault::Documented,
        _ => return None,
    })
}

impl FromStr for Fault {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, FaultError> {
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name.trim(), Some(value.trim())),
            None => (text.trim(), None),
        };
        if let Some(fault) = plain(name) {
            return match value {
                None => Ok(fault),
                Some(value) => Err(bad(name, value, "takes no value")),
            };
        }
        let value = value.unwrap_or_default();
        match name {
            "refuse" => refuse(name, value),
            "retry-after" => seconds(name, value).map(Self::RetryAfter),
            "slow-handshake" => seconds(name, value).map(Self::SlowHandshake),
            "drop" => timed(name, value).map(|(after, times)| Self::Drop { after, times }),
            "close" => close(name, value),
            "silence" => timed(name, value).map(|(after, times)| Self::Silence { after, times }),
            "max-duration" => seconds(name, value).map(Self::MaxDuration),
            "timeout" => seconds(name, value).map(Self::Timeout),
            "slow-audio" => seconds(name, value).map(Self::SlowAudio),
            "resume" => resume(name, value),
            _ => Err(FaultError::Name(name.to_owned())),
        }
    }
}

/// What a list of faults adds up to. The last of two that contradict each other wins.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Mood {
    pub(crate) refuse: Option<(u16, Option<u32>)>,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) slow_handshake: Duration,
    pub(crate) drop: Option<(Duration, u32)>,
    pub(crate) close: Option<(u16, u32)>,
    pub(crate) silence: Option<(Duration, u32)>,
    pub(crate) split_frames: bool,
    pub(crate) huge_delta: bool,
    pub(crate) odd_deltas: bool,
    pub(crate) duplicate: bool,
    pub(crate) reorder: bool,
    pub(crate) unknown_events: bool,
    pub(crate) bad_json: bool,
    pub(crate) null_fields: bool,
    pub(crate) late_deltas: bool,
    pub(crate) no_done: bool,
    pub(crate) error_mid_reply: bool,
    pub(crate) max_duration: Option<Duration>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) no_audio: bool,
    pub(crate) slow_audio: Duration,
    pub(crate) no_pong: bool,
    pub(crate) conversation_first: bool,
    pub(crate) truncate_ignored: bool,
    pub(crate) resume: Option<Resume>,
    pub(crate) stop_taken_back: bool,
    pub(crate) late_items: bool,
    pub(crate) drop_create: bool,
    pub(crate) own_calls: bool,
    pub(crate) heed_create_response: bool,
    pub(crate) old_names: bool,
    pub(crate) lost_items: bool,
    pub(crate) busy_create: bool,
    pub(crate) cancel_fails: bool,
    pub(crate) echo: bool,
    pub(crate) documented: bool,
}

impl Mood {
    /// The sum of `faults`.
    pub(crate) fn new(faults: &[Fault]) -> Self {
        let mut mood = Self::default();
        for fault in faults {
            mood.add(*fault);
        }
        mood
    }

    fn add(&mut self, fault: Fault) {
        match fault {
            Fault::Refuse { status, times } => self.refuse = Some((status, times)),
            Fault::RetryAfter(after) => self.retry_after = Some(after),
            Fault::SlowHandshake(by) => self.slow_handshake = by,
            Fault::Drop { after, times } => self.drop = Some((after, times)),
            Fault::Close { code, times } => self.close = Some((code, times)),
            Fault::Silence { after, times } => self.silence = Some((after, times)),
            Fault::SplitFrames => self.split_frames = true,
            Fault::HugeDelta => self.huge_delta = true,
            Fault::OddDeltas => self.odd_deltas = true,
            Fault::Duplicate => self.duplicate = true,
            Fault::Reorder => self.reorder = true,
            Fault::UnknownEvents => self.unknown_events = true,
            Fault::BadJson => self.bad_json = true,
            Fault::NullFields => self.null_fields = true,
            Fault::LateDeltas => self.late_deltas = true,
            Fault::NoDone => self.no_done = true,
            Fault::ErrorMidReply => self.error_mid_reply = true,
            Fault::MaxDuration(after) => self.max_duration = Some(after),
            Fault::Timeout(after) => self.timeout = Some(after),
            Fault::NoAudio => self.no_audio = true,
            Fault::SlowAudio(by) => self.slow_audio = by,
            Fault::NoPong => self.no_pong = true,
            Fault::ConversationFirst => self.conversation_first = true,
            Fault::TruncateIgnored => self.truncate_ignored = true,
            Fault::Resume(how) => self.resume = Some(how),
            Fault::StopTakenBack => self.stop_taken_back = true,
            Fault::LateItems => self.late_items = true,
            Fault::DropCreate => self.drop_create = true,
            Fault::OwnCalls => self.own_calls = true,
            Fault::HeedCreateResponse => self.heed_create_response = true,
            Fault::OldNames => self.old_names = true,
            Fault::LostItems => self.lost_items = true,
            Fault::BusyCreate => self.busy_create = true,
            Fault::CancelFails => self.cancel_fails = true,
            Fault::Echo => self.echo = true,
            Fault::Documented => self.documented = true,
        }
    }

    /// How much a resumed connection gets back.
    pub(crate) fn resume(&self) -> Resume {
        self.resume.unwrap_or(if self.documented { Resume::Full } else { Resume::Partial })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_listed_fault_can_be_read() {
        for (name, _) in faults() {
            let text = name.split('[').next().unwrap();
            let text = text.replace("STATUS", "429").replace("CODE", "1011").replace("=S", "=1.5");
            let text = text.split('|').next().unwrap();
            assert!(text.parse::<Fault>().is_ok(), "{text}");
        }
        assert_eq!("refuse=503x2".parse(), Ok(Fault::Refuse { status: 503, times: Some(2) }));
        assert_eq!("drop=2".parse(), Ok(Fault::Drop { after: Duration::from_secs(2), times: 1 }));
    }

    #[test]
    fn a_bad_fault_says_what_is_allowed() {
        let words = |text: &str| text.parse::<Fault>().unwrap_err().to_string();
        assert!(words("dorp=2").contains("drop=S[xN]"));
        assert!(words("refuse=200").contains("400, 401, 403, 429 or 503"));
        assert!(words("drop=soon").contains("seconds"));
        assert!(words("duplicate=2").contains("takes no value"));
        assert!(words("close=1006").contains("close code"));
        assert!(words("silence").contains("seconds"));
        assert!(words("resume=most").contains("full, partial or off"));
        assert!(words("refuse=503x0").contains("at least 1"));
    }
}
