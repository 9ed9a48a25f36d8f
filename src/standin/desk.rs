//! What all connections of one stand-in share: the script, the archive and the counters.

use super::fault::Mood;
use super::sound::Format;
use crate::base::unit::Moment;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long a conversation can be resumed after its last activity (documented).
const KEEP: Duration = Duration::from_secs(30 * 60);
/// Conversations kept for resumption; the longest unused goes first.
const CONVERSATIONS: usize = 64;
/// Lines kept of one conversation; the oldest goes first. Hours of talk.
pub(crate) const LINES: usize = 2000;
/// What a speaker says when no transcript is given.
const DEFAULT_TRANSCRIPT: &str = "Hello, my name is Alex.";

/// What the stand-in has seen since it started.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// WebSocket connections accepted.
    pub connections: u64,
    /// Handshakes and requests refused.
    pub refused: u64,
    /// Replies that were completed.
    pub replies: u64,
    /// Replies that were stopped, by speech or by `response.cancel`.
    pub stopped: u64,
    /// User turns heard (committed speech).
    pub spoken: u64,
    /// User turns typed.
    pub typed: u64,
    /// Functions called.
    pub calls: u64,
    /// Outputs received for them.
    pub outputs: u64,
    /// Audio received, in milliseconds.
    pub audio_in_ms: u64,
    /// Audio sent, in milliseconds.
    pub audio_out_ms: u64,
    /// What clients did against the service's rules, with counts.
    pub violations: BTreeMap<&'static str, u64>,
}

/// Who said a line of the conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    User,
    Assistant,
    System,
    Call,
    Output,
}

/// Sound the user made, as it came.
#[derive(Debug, Clone)]
pub(crate) struct Heard {
    pub(crate) samples: Arc<Vec<i16>>,
    pub(crate) format: Format,
}

/// One item of a conversation.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub(crate) id: String,
    pub(crate) role: Role,
    pub(crate) text: String,
    pub(crate) name: String,
    pub(crate) call_id: String,
    /// Whether a user's line came as speech.
    pub(crate) spoken: bool,
    /// The speech itself, kept until the turn is answered.
    pub(crate) heard: Option<Heard>,
    /// Where the phrases of an assistant's line start, in ms.
    pub(crate) phrases: Vec<(u64, String)>,
    /// Audio of this line that was sent, in ms.
    pub(crate) sent_ms: u64,
}

impl Line {
    /// A line without sound.
    pub(crate) fn new(id: String, role: Role, text: String) -> Self {
        Self {
            id,
            role,
            text,
            name: String::new(),
            call_id: String::new(),
            spoken: false,
            heard: None,
            phrases: Vec::new(),
            sent_ms: 0,
        }
    }

    /// The text that begins before `ms` of the audio.
    pub(crate) fn until(&self, ms: u64) -> String {
        let said: String =
            self.phrases.iter().filter(|(at, _)| *at < ms).map(|(_, t)| t.as_str()).collect();
        said.trim_end().to_owned()
    }
}

/// A conversation, shared between its connection and the archive.
pub(crate) type History = Arc<Mutex<Vec<Line>>>;

#[derive(Debug)]
struct Kept {
    history: History,
    used: Moment,
}

/// Shared by every connection.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) mood: Mood,
    /// Whether answers are as slow as recorded.
    pub(crate) delays: bool,
    /// Unix time at [`Moment::ZERO`], in ms.
    epoch_ms: u64,
    transcripts: Vec<String>,
    next: Mutex<usize>,
    kept: Mutex<BTreeMap<String, Kept>>,
    report: Mutex<Report>,
    secrets: Mutex<BTreeSet<(Moment, String)>>,
}

/// A lock whose data stays good when a holder panicked: counters and lists, no invariants.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Desk {
    pub(crate) fn new(mood: Mood, delays: bool, transcripts: Vec<String>, epoch_ms: u64) -> Self {
        Self {
            mood,
            delays,
            epoch_ms,
            transcripts,
            next: Mutex::new(0),
            kept: Mutex::new(BTreeMap::new()),
            report: Mutex::new(Report::default()),
            secrets: Mutex::new(BTreeSet::new()),
        }
    }

    /// Unix time in ms.
    pub(crate) const fn unix_ms(&self, now: Moment) -> u64 {
        self.epoch_ms + now.millis()
    }

    /// The text of the next spoken turn: in the given order, then the last one again.
    pub(crate) fn transcript(&self) -> String {
        let mut next = lock(&self.next);
        let text = self.transcripts.get(*next).or(self.transcripts.last());
        *next += 1;
        text.map_or(DEFAULT_TRANSCRIPT, String::as_str).to_owned()
    }

    /// Counts something.
    pub(crate) fn count(&self, change: impl FnOnce(&mut Report)) {
        change(&mut lock(&self.report));
    }

    /// Counts something a client should not have done.
    pub(crate) fn violation(&self, what: &'static str) {
        self.count(|report| *report.violations.entry(what).or_default() += 1);
    }

    /// The counters so far.
    pub(crate) fn report(&self) -> Report {
        lock(&self.report).clone()
    }

    /// Keeps a conversation for resumption.
    pub(crate) fn keep(&self, id: &str, history: &History, now: Moment) {
        let mut kept = lock(&self.kept);
        kept.retain(|_, k| now.since(k.used) < KEEP);
        if kept.len() >= CONVERSATIONS && !kept.contains_key(id) {
            let oldest = kept.iter().min_by_key(|(_, k)| k.used).map(|(id, _)| id.clone());
            oldest.map(|id| kept.remove(&id));
        }
        kept.insert(id.to_owned(), Kept { history: history.clone(), used: now });
    }

    /// A kept conversation that is not too old.
    pub(crate) fn resume(&self, id: &str, now: Moment) -> Option<History> {
        let kept = lock(&self.kept);
        kept.get(id).filter(|k| now.since(k.used) < KEEP).map(|k| k.history.clone())
    }

    /// Remembers an ephemeral secret until `until`. At most [`CONVERSATIONS`] at a time.
    pub(crate) fn issue(&self, secret: &str, until: Moment) {
        let mut secrets = lock(&self.secrets);
        if secrets.len() >= CONVERSATIONS {
            secrets.pop_first();
        }
        secrets.insert((until, secret.to_owned()));
    }

    /// Whether `secret` was issued here and still holds.
    pub(crate) fn issued(&self, secret: &str, now: Moment) -> bool {
        lock(&self.secrets).iter().any(|(until, s)| *until > now && s == secret)
    }
}
