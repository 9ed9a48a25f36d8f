//! The main thread's end of playout.

use crate::base::event::{Earcon, PlayoutFact, Tag};
use crate::base::ring::{Bell, Epoch};
use crate::base::unit::{Db, Gain, Rate};
use rtrb::{Consumer, Producer, RingBuffer};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering, fence};

/// Speech held ready, in seconds: far longer than the main thread is ever busy. The service sends
/// faster than real time, and the host keeps what does not fit.
pub const RING_S: usize = 5;
/// Slices and end marks held ready: 5 s of 20 ms slices four times. When full, nothing more is
/// accepted until one has been played.
const HEADS: usize = 1024;
/// Places that slices leave free for end marks, which must not be refused.
const END_MARKS: usize = 64;
/// Facts on their way to the main thread: it wakes with each but `Heard`, of which 5 s fit.
const FACTS: usize = 256;
/// Earcons waiting: more would be heard long after their cause. When full the newest is dropped.
const EARCONS: usize = 4;

/// What stands before its samples in the ring.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head {
    pub(super) epoch: Epoch,
    pub(super) tag: Tag,
    pub(super) samples: u32,
    pub(super) end: bool,
}

/// Written by the main thread, read by playout; `rests`, `level` and `dropped` the other way round.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) wanted: AtomicU32,
    /// Bits of an f32.
    pub(super) gain: AtomicU32,
    pub(super) duck: AtomicBool,
    /// Whether playout rests and must be woken; written by playout.
    pub(super) rests: AtomicBool,
    /// End marks pushed, wrapping.
    pub(super) ends: AtomicU32,
    /// Bits of an f32: mean power of what was written.
    pub(super) level: AtomicU32,
    /// Periods of the reference that found no room, wrapping.
    pub(super) dropped: AtomicU32,
}

/// Playout's end of the same rings.
pub(super) struct Source {
    pub(super) heads: Consumer<Head>,
    pub(super) samples: Consumer<i16>,
    pub(super) earcons: Consumer<Earcon>,
    pub(super) facts: Producer<PlayoutFact>,
    pub(super) shared: Arc<Shared>,
}

/// Hands speech and earcons to playout and takes its facts. Owned by the main thread; nothing here
/// waits.
pub struct Feed {
    heads: Producer<Head>,
    samples: Producer<i16>,
    earcons: Producer<Earcon>,
    facts: Consumer<PlayoutFact>,
    shared: Arc<Shared>,
    wake: Arc<dyn Bell>,
}

impl std::fmt::Debug for Feed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Feed(room {})", self.room())
    }
}

/// Rings for speech at `rate`, starting at volume `gain`. `wake` ends a rest of playout.
pub(super) fn feed(rate: Rate, gain: Gain, wake: Arc<dyn Bell>) -> (Source, Feed) {
    let (heads_in, heads) = RingBuffer::new(HEADS);
    let (samples_in, samples) = RingBuffer::new(rate.0 as usize * RING_S);
    let (earcons_in, earcons) = RingBuffer::new(EARCONS);
    let (facts, facts_out) = RingBuffer::new(FACTS);
    let shared = Arc::new(Shared {
        wanted: AtomicU32::new(0),
        gain: AtomicU32::new(gain.0.to_bits()),
        duck: AtomicBool::new(false),
        rests: AtomicBool::new(false),
        ends: AtomicU32::new(0),
        level: AtomicU32::new(0),
        dropped: AtomicU32::new(0),
    });
    let feed = Feed {
        heads: heads_in,
        samples: samples_in,
        earcons: earcons_in,
        facts: facts_out,
        shared: shared.clone(),
        wake,
    };
    (Source { heads, samples, earcons, facts, shared }, feed)
}

impl Feed {
    /// Appends speech of a tag. Returns how many samples were accepted, from the front; the caller
    /// keeps the rest. Speech of an epoch that was flushed is silent: it is accepted and dropped.
    pub fn play(&mut self, epoch: Epoch, tag: Tag, samples: &[i16]) -> usize {
        if is_older(epoch, Epoch(self.shared.wanted.load(Ordering::Relaxed))) {
            return samples.len();
        }
        let count = samples.len().min(self.room());
        if count == 0 {
            return 0;
        }
        // Samples first: whoever sees the head finds them there.
        if self.samples.push_entire_slice(&samples[..count]).is_err() {
            return 0;
        }
        let length = u32::try_from(count).unwrap_or(u32::MAX);
        let pushed = self.heads.push(Head { epoch, tag, samples: length, end: false }).is_ok();
        debug_assert!(pushed, "room was checked");
        self.rouse();
        count
    }

    /// How many samples [`Self::play`] would accept now.
    pub fn room(&self) -> usize {
        if self.heads.slots() > END_MARKS { self.samples.slots() } else { 0 }
    }

    /// Says that nothing more of this tag comes: it drains instead of starving. Returns whether
    /// there was room for the mark; there is while fewer than 64 tags wait.
    pub fn end(&mut self, epoch: Epoch, tag: Tag) -> bool {
        let pushed = self.heads.push(Head { epoch, tag, samples: 0, end: true }).is_ok();
        if pushed {
            self.shared.ends.fetch_add(1, Ordering::Release);
        }
        self.rouse();
        pushed
    }

    /// Silences everything older than `epoch`: one atomic store. Playout fades within 3 ms and
    /// tells `Flushed` when the last of it has left the speaker. Several flushes in a row may be
    /// answered by one `Flushed` with the newest epoch.
    pub fn flush(&mut self, epoch: Epoch) {
        self.shared.wanted.store(epoch.0, Ordering::Release);
        self.rouse();
    }

    /// Sets the volume; it is ramped.
    pub fn gain(&mut self, gain: Gain) {
        self.shared.gain.store(gain.0.to_bits(), Ordering::Relaxed);
    }

    /// Lowers speech while the device listens under it, or restores it.
    pub fn duck(&mut self, on: bool) {
        self.shared.duck.store(on, Ordering::Relaxed);
    }

    /// Plays a short sound. Dropped when several already wait.
    pub fn earcon(&mut self, earcon: Earcon) {
        let _ = self.earcons.push(earcon);
        self.rouse();
    }

    /// Wakes playout where it rests. What was put down before is seen: either by it, when it looks
    /// once more after it has said that it rests, or by us, that it rests.
    fn rouse(&self) {
        fence(Ordering::SeqCst);
        if self.shared.rests.load(Ordering::Relaxed) {
            self.wake.ring();
        }
    }

    /// The next fact, oldest first; call until `None` when the bell rings.
    pub fn fact(&mut self) -> Option<PlayoutFact> {
        self.facts.pop().ok()
    }

    /// Periods of the reference that its reader was too slow for, wrapping.
    pub fn dropped(&self) -> u32 {
        self.shared.dropped.load(Ordering::Relaxed)
    }

    /// How loud the speaker is now (after volume), over about 50 ms.
    pub fn level(&self) -> Db {
        Db::from_power(f32::from_bits(self.shared.level.load(Ordering::Relaxed)))
    }
}

/// Whether `epoch` is of an earlier generation than `than`; generations wrap.
pub(super) const fn is_older(epoch: Epoch, than: Epoch) -> bool {
    than.0.wrapping_sub(epoch.0).wrapping_sub(1) < u32::MAX / 2
}
