//! Wait-free single-producer rings for sound, and the bells that wake the other side.
//!
//! A ring is the truth, a bell is a hint: a woken thread drains the ring, a missed ring costs only
//! the time until the next one.

use super::unit::{Moment, Rate};
use rtrb::{Consumer, Producer, RingBuffer};
use std::time::Duration;

/// Wakes another thread. Never blocks, never allocates: real-time threads ring it.
pub trait Bell: Send + Sync {
    /// Wakes whoever waits; many rings before it wakes count as one.
    fn ring(&self);
}

/// The other end of a [`Bell`] for a thread that may block.
pub trait Wait: Send {
    /// Returns `true` when rung, `false` when `limit` has passed first.
    fn wait(&self, limit: Duration) -> bool;
}

/// A bell nobody listens to.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Bell for Silent {
    fn ring(&self) {}
}

/// Generation of audible speech: what carries an older one is silent.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(transparent)]
pub struct Epoch(pub u32);

impl Epoch {
    /// The generation after this one.
    pub const fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }
}

/// What is known about one period of sound from or to a card.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PeriodHead {
    /// When its first frame was at the converter, by our clock.
    pub at: Moment,
    /// When it was read from the card, or given to it.
    pub moved: Moment,
    /// Index of its first frame since the stream began; it jumps where frames were lost.
    pub position: u64,
    /// Frames lost just before it: the reader fills in that much silence to keep the time axis true.
    pub gap: u32,
    /// Frames in it.
    pub frames: u32,
    /// Frames a second.
    pub rate: Rate,
    /// Channels, interleaved.
    pub channels: u16,
    /// Goes up by one when the card was opened anew: nothing before it belongs to the same time axis.
    pub stream: u32,
}

/// Makes a ring of periods: room for `periods` heads and `samples` interleaved samples.
pub fn periods(periods: usize, samples: usize) -> (PeriodWriter, PeriodReader) {
    let (heads_in, heads_out) = RingBuffer::new(periods);
    let (samples_in, samples_out) = RingBuffer::new(samples);
    (
        PeriodWriter { heads: heads_in, samples: samples_in, dropped: 0 },
        PeriodReader { heads: heads_out, samples: samples_out },
    )
}

/// The producing end: owned by one real-time thread.
#[derive(Debug)]
pub struct PeriodWriter {
    heads: Producer<PeriodHead>,
    samples: Producer<f32>,
    /// Frames that found no room since the last period that did; they become its gap.
    dropped: u32,
}

impl PeriodWriter {
    /// Hands over one period. When the reader is too slow the newest period is dropped, and the
    /// next one that fits carries the loss in its gap. Returns whether it was taken.
    pub fn push(&mut self, mut head: PeriodHead, samples: &[f32]) -> bool {
        debug_assert_eq!(samples.len(), head.frames as usize * usize::from(head.channels));
        head.gap = head.gap.saturating_add(self.dropped);
        if self.heads.is_full() || self.samples.slots() < samples.len() {
            self.dropped = head.gap.saturating_add(head.frames);
            return false;
        }
        // Samples first: whoever sees the head finds them there.
        let taken = self.samples.push_entire_slice(samples).is_ok();
        debug_assert!(taken, "room was checked");
        self.dropped = 0;
        self.heads.push(head).is_ok()
    }
}

/// The consuming end: owned by one thread.
#[derive(Debug)]
pub struct PeriodReader {
    heads: Consumer<PeriodHead>,
    samples: Consumer<f32>,
}

impl PeriodReader {
    /// The next period, its samples appended to `into` (whose capacity the caller reserves).
    pub fn pop(&mut self, into: &mut Vec<f32>) -> Option<PeriodHead> {
        let head = self.heads.pop().ok()?;
        let count = head.frames as usize * usize::from(head.channels);
        if let Ok(chunk) = self.samples.read_chunk(count) {
            let (first, second) = chunk.as_slices();
            into.extend_from_slice(first);
            into.extend_from_slice(second);
            chunk.commit_all();
        }
        Some(head)
    }

    /// Looks at the next period without taking it.
    pub fn peek(&self) -> Option<PeriodHead> {
        self.heads.peek().ok().copied()
    }

    /// Periods waiting.
    pub fn waiting(&self) -> usize {
        self.heads.slots()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(position: u64, frames: u32) -> PeriodHead {
        PeriodHead {
            at: Moment::ZERO,
            moved: Moment::ZERO,
            position,
            gap: 0,
            frames,
            rate: Rate(16_000),
            channels: 1,
            stream: 0,
        }
    }

    #[test]
    fn periods_come_out_as_they_went_in() {
        let (mut w, mut r) = periods(4, 64);
        let mut out = Vec::new();
        for round in 0..50u64 {
            let samples: Vec<f32> = (0..20).map(|i| (round * 20 + i) as f32).collect();
            assert!(w.push(head(round * 20, 20), &samples));
            out.clear();
            assert_eq!(r.pop(&mut out).unwrap().position, round * 20);
            assert_eq!(out, samples);
        }
        assert!(r.pop(&mut out).is_none());
    }

    #[test]
    fn a_full_ring_drops_the_newest_and_the_next_period_says_how_much() {
        let (mut w, mut r) = periods(8, 40);
        assert!(w.push(head(0, 20), &[0.0; 20]));
        assert!(w.push(head(20, 20), &[0.0; 20]));
        assert!(!w.push(head(40, 20), &[0.0; 20]));
        assert!(!w.push(head(60, 20), &[0.0; 20]));
        let mut out = Vec::new();
        r.pop(&mut out);
        assert!(w.push(head(80, 20), &[0.0; 20]));
        r.pop(&mut out);
        let last = r.pop(&mut out).unwrap();
        assert_eq!((last.position, last.gap), (80, 40));
    }

    #[test]
    fn rings_never_allocate() {
        let (mut w, mut r) = periods(4, 64);
        let mut out = Vec::with_capacity(64);
        assert_no_alloc::assert_no_alloc(|| {
            for _ in 0..100 {
                assert!(w.push(head(0, 20), &[0.5; 20]));
                out.clear();
                r.pop(&mut out);
            }
        });
        assert_eq!(out.len(), 20);
    }
}
