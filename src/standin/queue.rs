//! What a connection will do and when: the only place where the stand-in waits.

use super::sound::{Format, Sound};
use crate::base::unit::Moment;
use serde_json::Value;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// Which reply an entry belongs to; 0 is none.
pub(crate) type Tag = u32;

/// A stretch of a reply's audio.
#[derive(Debug, Clone)]
pub(crate) struct Delta {
    pub(crate) response: String,
    pub(crate) item: String,
    pub(crate) rid: String,
    pub(crate) index: u64,
    pub(crate) first: bool,
    pub(crate) sound: Arc<Sound>,
    /// Which bytes of it, in `format`.
    pub(crate) range: Range<usize>,
    /// A change of the session counts from the next reply on.
    pub(crate) format: Format,
    pub(crate) binary: bool,
}

/// The end of a reply.
#[derive(Debug, Clone)]
pub(crate) struct Done {
    pub(crate) response: String,
    pub(crate) status: &'static str,
    pub(crate) output: Value,
    pub(crate) meta: Value,
}

/// Something the connection does to itself at a given time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deed {
    /// Send the service's own keep-alive.
    Ping,
    /// `session.updated` has been sent: audio may come.
    Ready,
    /// Open the reply to a spoken turn before its commit.
    OpenReply(u32),
    /// Commit the spoken turn with this number.
    Commit(u32),
    /// Take back its stop.
    TakeBack(u32),
    /// Stop it once more.
    StopAgain(u32),
    /// Answer the manual commit.
    AnswerCommit,
    /// The idle time-out of this generation ran out.
    CheckIn(u32),
    /// Look whether the client has been quiet for too long.
    Inactive,
    /// The conversation has lasted long enough.
    MaxDuration,
    /// Close the WebSocket with a code.
    Close(u16),
    /// End the TCP connection.
    Drop,
    /// Say and hear nothing from now on.
    Hush,
}

/// One thing to do.
#[derive(Debug, Clone)]
pub(crate) enum What {
    Event(Value),
    Delta(Delta),
    Done(Done),
    Deed(Deed),
}

/// Things to do by time, then by the order in which they were put in.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    entries: BTreeMap<(Moment, u64), (Tag, What)>,
    count: u64,
}

impl Delta {
    /// The bytes of this stretch; they may begin or end within a sample.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let width = self.format.width();
        let first = self.range.start / width;
        let samples = self.sound.part(first..self.range.end.div_ceil(width));
        let mut bytes = self.format.encode(&samples);
        bytes.truncate(self.range.end - first * width);
        bytes.drain(..self.range.start - first * width);
        bytes
    }
}

impl Queue {
    /// Adds something.
    pub(crate) fn push(&mut self, at: Moment, tag: Tag, what: What) {
        self.count += 1;
        self.entries.insert((at, self.count), (tag, what));
    }

    /// The first thing that is due.
    pub(crate) fn pop(&mut self, now: Moment) -> Option<(Tag, What)> {
        let first = self.entries.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }

    /// Takes out everything of one reply, in order.
    pub(crate) fn take(&mut self, tag: Tag) -> Vec<What> {
        let keys: Vec<_> =
            self.entries.iter().filter(|(_, e)| e.0 == tag).map(|(key, _)| *key).collect();
        keys.iter().filter_map(|key| self.entries.remove(key)).map(|(_, what)| what).collect()
    }

    /// Takes out every deed that `is` recognises.
    pub(crate) fn cancel(&mut self, is: impl Fn(Deed) -> bool) {
        self.entries.retain(|_, (_, what)| !matches!(what, What::Deed(deed) if is(*deed)));
    }

    /// Whether a deed is still to be done.
    pub(crate) fn holds(&self, deed: Deed) -> bool {
        self.entries.values().any(|(_, what)| matches!(what, What::Deed(d) if *d == deed))
    }

    /// When the next thing is due.
    pub(crate) fn deadline(&self) -> Option<Moment> {
        self.entries.keys().next().map(|(at, _)| *at)
    }
}
