//! Called once per input period by whoever owns the card's clock: stamp, push, ring.

use super::{Stamp, TimeAxis};
use crate::base::ring::{Bell, PeriodHead, PeriodWriter};
use crate::base::unit::Rate;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The near end of the device. Owned by the capture thread.
pub struct Capture {
    writer: PeriodWriter,
    bell: Arc<dyn Bell>,
    axis: TimeAxis,
    rate: Rate,
    channels: u16,
    stream: u32,
    dropped: Arc<AtomicU64>,
}

impl std::fmt::Debug for Capture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Capture({}, {} channels, stream {})", self.rate, self.channels, self.stream)
    }
}

impl Capture {
    /// Pushes into `writer` and rings `bell` after each period.
    pub fn new(writer: PeriodWriter, bell: Arc<dyn Bell>) -> Self {
        let rate = crate::base::pcm::BLOCK_RATE;
        Self {
            writer,
            bell,
            axis: TimeAxis::default(),
            rate,
            channels: 1,
            stream: 0,
            dropped: Arc::default(),
        }
    }

    /// Periods that the reader was too slow for, counted for whoever reports; each becomes the gap of
    /// the next one that fits.
    pub fn dropped(&self) -> Arc<AtomicU64> {
        self.dropped.clone()
    }

    /// Says that the card was opened (anew) with this shape: a new stream begins at position 0.
    pub fn shape(&mut self, rate: Rate, channels: u16) {
        self.rate = rate;
        self.channels = channels.max(1);
        self.axis = TimeAxis::default();
        self.stream = self.stream.wrapping_add(1);
    }

    /// One period of interleaved samples in [-1, 1], just read. Real-time: neither allocates nor
    /// waits. After an xrun the period carries the frames that were lost, measured by the clock,
    /// so that the reader can keep the time axis true. Samples beyond whole frames are dropped.
    pub fn period(&mut self, samples: &[f32], stamp: Stamp) {
        let frames = samples.len() / usize::from(self.channels);
        let count = u32::try_from(frames).unwrap_or(u32::MAX);
        if count == 0 {
            return;
        }
        let age = self.rate.span(u64::from(stamp.delay) + u64::from(count));
        let at = stamp.at.before(age);
        let (position, gap) = self.axis.place(at, count, self.rate, stamp.xrun);
        let head = PeriodHead {
            at,
            moved: stamp.at,
            position,
            gap,
            frames: count,
            rate: self.rate,
            channels: self.channels,
            stream: self.stream,
        };
        if !self.writer.push(head, &samples[..frames * usize::from(self.channels)]) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        self.bell.ring();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ring::{PeriodReader, Silent, periods};
    use crate::base::unit::Moment;
    use assert_no_alloc::assert_no_alloc;

    fn capture() -> (Capture, PeriodReader) {
        let (writer, reader) = periods(8, 8 * 960);
        let mut capture = Capture::new(writer, Arc::new(Silent));
        capture.shape(Rate(48_000), 2);
        (capture, reader)
    }

    fn stamp(ms: u64, xrun: bool) -> Stamp {
        Stamp { at: Moment::from_millis(ms), delay: 0, xrun }
    }

    #[test]
    fn stamps_the_first_frame() {
        let (mut capture, mut reader) = capture();
        let late = Stamp { at: Moment::from_millis(100), delay: 240, xrun: false };
        assert_no_alloc(|| capture.period(&[0.5; 960], late));
        let mut samples = Vec::new();
        let head = reader.pop(&mut samples).unwrap();
        assert_eq!(head.at, Moment::from_millis(85));
        assert_eq!((head.position, head.frames, head.gap, head.channels), (0, 480, 0, 2));
        assert_eq!((head.rate, head.stream, samples.len()), (Rate(48_000), 1, 960));
    }

    #[test]
    fn an_overrun_becomes_a_gap_of_the_length_the_clock_says() {
        let (mut capture, mut reader) = capture();
        let mut samples = Vec::with_capacity(960);
        capture.period(&[0.0; 960], stamp(10, false));
        capture.period(&[0.0; 960], stamp(57, true));
        capture.period(&[0.0; 960], stamp(67, false));
        let heads: Vec<_> = std::iter::from_fn(|| reader.pop(&mut samples)).collect();
        let seen: Vec<_> = heads.iter().map(|h| (h.position, h.gap)).collect();
        // Expected at 10 ms, came at 47 ms: 37 ms are missing.
        assert_eq!(seen, [(0, 0), (480 + 1776, 1776), (480 + 1776 + 480, 0)]);
        assert_eq!(heads[1].at.since(heads[0].at).as_millis(), 47);
    }

    #[test]
    fn lateness_without_an_overrun_is_not_a_gap() {
        let (mut capture, mut reader) = capture();
        capture.period(&[0.0; 960], stamp(10, false));
        capture.period(&[0.0; 960], stamp(33, false));
        let mut samples = Vec::new();
        reader.pop(&mut samples);
        let head = reader.pop(&mut samples).unwrap();
        assert_eq!((head.position, head.gap), (480, 0));
    }

    #[test]
    fn periods_without_room_are_counted() {
        let (mut capture, mut reader) = capture();
        for i in 1..=10 {
            capture.period(&[0.0; 960], stamp(i * 10, false));
        }
        assert_eq!(capture.dropped().load(Ordering::Relaxed), 2);
        let mut samples = Vec::new();
        reader.pop(&mut samples);
        capture.period(&[0.0; 960], stamp(110, false));
        let last = std::iter::from_fn(|| reader.pop(&mut samples)).last().unwrap();
        assert_eq!((last.position, last.gap), (4800, 960));
    }

    #[test]
    fn a_card_opened_anew_begins_a_new_stream() {
        let (mut capture, mut reader) = capture();
        capture.period(&[0.0; 960], stamp(10, false));
        capture.shape(Rate(16_000), 1);
        capture.period(&[0.0; 160], stamp(900, true));
        let mut samples = Vec::new();
        reader.pop(&mut samples);
        let head = reader.pop(&mut samples).unwrap();
        assert_eq!((head.stream, head.position, head.gap, head.frames), (2, 0, 0, 160));
    }
}
