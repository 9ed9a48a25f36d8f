//! Pairs each block of the microphone with the reference of the same time.
//!
//! Both sides stamp their samples on one clock, so the pairing is arithmetic. What matters is that
//! it holds still: a canceller learns the path in samples, and a pairing that followed every
//! jitter of a stamp would move the path under it. So the distance between the two sample counts
//! is kept until the stamps jump by more than they jitter. When the two clocks drift apart, the canceller
//! sees the path move and says how fast; the reference is then read that much slower.

use crate::base::pcm::{BLOCK, BLOCK_RATE, Block};
use crate::base::unit::Moment;
use crate::dsp::fraction::{Fraction, HALF};

/// Reference kept, in samples: 2 s, longer than anything queued in a card. A power of two.
const KEPT: usize = 32_768;
/// Samples by which the stamps may jump: 2 ms, above their smoothed jitter.
const SLACK: f64 = 32.0;
/// Share of the stamps' deviation that is expected the next time: drift moves them slowly.
const FOLLOW: f64 = 1.0 / 64.0;
/// Samples by which the pairing may slide away from what the stamps say: 20 ms, a tenth of what a
/// canceller covers.
const SLIDE: f64 = 320.0;

/// The recent past (and the near future: what is queued in the card) of the speaker.
pub struct Reference {
    ring: Box<[f32]>,
    /// Samples since the beginning.
    written: u64,
    /// When the sample after the newest leaves the speaker, in microseconds.
    end_us: f64,
    pair: Option<Pair>,
    fraction: Fraction,
}

/// Index in the reference less index in the microphone.
struct Pair {
    /// As it is used.
    used: f64,
    /// As the stamps have said of late.
    said: f64,
}

impl std::fmt::Debug for Reference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reference").field("written", &self.written).finish_non_exhaustive()
    }
}

impl Default for Reference {
    fn default() -> Self {
        Self::new()
    }
}

impl Reference {
    /// A speaker that has said nothing.
    pub fn new() -> Self {
        Self {
            ring: vec![0.0; KEPT].into(),
            written: 0,
            end_us: 0.0,
            pair: None,
            fraction: Fraction::new(),
        }
    }

    /// Appends sound at 16 kHz whose first sample leaves the speaker at `at`.
    pub fn push(&mut self, at: Moment, samples: &[f32]) {
        for &sample in samples {
            self.ring[slot(self.written)] = sample;
            self.written += 1;
        }
        self.end_us = at.micros() as f64 + samples.len() as f64 * US;
    }

    /// The speaker's side began anew.
    pub fn restart(&mut self) {
        self.written = 0;
        self.pair = None;
    }

    /// The microphone's side began anew.
    pub fn realign(&mut self) {
        self.pair = None;
    }

    /// The reference for the microphone's block that begins with its sample `index` at `at`;
    /// `drift` is the part of time by which it is read slower. Silence where there is none.
    pub fn block(&mut self, index: u64, at: Moment, drift: f64) -> Block {
        let mut block = Block::SILENCE;
        if self.written == 0 {
            return block;
        }
        let now = self.written as f64 - (self.end_us - at.micros() as f64) / US - index as f64;
        let pair = self.pair.get_or_insert(Pair { used: now.round(), said: now });
        let jump = now - pair.said;
        if jump.abs() > SLACK {
            *pair = Pair { used: pair.used + jump.round(), said: now };
        }
        if (now - pair.used).abs() > SLIDE {
            *pair = Pair { used: now.round(), said: now };
        }
        pair.said += (now - pair.said) * FOLLOW;
        let from = index as f64 + pair.used;
        pair.used -= drift * BLOCK as f64;
        let whole = from.floor();
        let mut around = [0.0; BLOCK + 2 * HALF];
        self.copy(whole as i64 - HALF as i64 + 1, &mut around);
        self.fraction.read(&around, (from - whole) as f32, &mut block.0);
        block
    }

    /// What was written from sample `from` on; silence where there is nothing.
    fn copy(&self, from: i64, to: &mut [f32]) {
        let oldest = self.written.saturating_sub(KEPT as u64);
        for (i, sample) in to.iter_mut().enumerate() {
            let wanted = u64::try_from(from + i as i64).ok();
            *sample = match wanted {
                Some(n) if (oldest..self.written).contains(&n) => self.ring[slot(n)],
                Some(_) | None => 0.0,
            };
        }
    }
}

/// Microseconds of a sample.
const US: f64 = 1e6 / BLOCK_RATE.0 as f64;

const fn slot(index: u64) -> usize {
    (index & (KEPT as u64 - 1)) as usize
}

const _: () = assert!(KEPT.is_power_of_two() && KEPT > 2 * BLOCK);

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp(from: usize, count: usize) -> Vec<f32> {
        (from..from + count).map(|i| i as f32).collect()
    }

    #[test]
    fn pairs_by_time() {
        let mut reference = Reference::new();
        // Sample n leaves the speaker at 1 s + n samples.
        reference.push(Moment::from_millis(1000), &ramp(0, 1600));
        let block = reference.block(0, Moment::from_millis(1020), 0.0);
        assert_eq!((block.0[0], block.0[159]), (320.0, 479.0));
        // Before its beginning and after its end there is silence.
        let mut reference = Reference::new();
        reference.push(Moment::from_millis(1000), &ramp(1, 1600));
        assert_eq!(reference.block(0, Moment::from_millis(995), 0.0).0[79..82], [0.0, 1.0, 2.0]);
        assert_eq!(reference.block(1680, Moment::from_millis(1100), 0.0).0, [0.0; BLOCK]);
    }

    #[test]
    fn jitter_of_the_stamps_does_not_move_the_pairing() {
        let mut reference = Reference::new();
        let mut first = None;
        for k in 0..1000u64 {
            let jitter = (k * 7919) % 1900;
            let at = Moment::from_micros(1_000_000 + k * 10_000 + jitter);
            reference.push(at, &ramp(k as usize * 160, 160));
            let block = reference.block(k * 160, Moment::from_micros(1_000_000 + k * 10_000), 0.0);
            let lag = block.0[159] - (k * 160 + 159) as f32;
            if k > 0 {
                assert_eq!(lag, *first.get_or_insert(lag), "block {k}");
            }
        }
    }

    #[test]
    fn a_jump_is_followed_at_once() {
        let mut reference = Reference::new();
        reference.push(Moment::from_millis(1000), &ramp(0, 1600));
        reference.block(0, Moment::from_millis(1000), 0.0);
        // 40 ms vanished on the speaker's side.
        reference.push(Moment::from_millis(1140), &ramp(1600, 1600));
        let block = reference.block(2240, Moment::from_millis(1140), 0.0);
        assert_eq!(block.0[0], 1600.0);
    }

    #[test]
    fn a_drift_is_read_slower_and_is_no_jump() {
        let mut reference = Reference::new();
        // The stamps know nothing of the drift.
        let block = |reference: &mut Reference, k: u64| {
            let at = Moment::from_millis(1000 + k * 10);
            reference.push(at + BLOCK_RATE.span(160), &ramp((k as usize + 1) * 160, 160));
            reference.block(k * 160, at, 200e-6).0[100] - (k * 160 + 100) as f32
        };
        reference.push(Moment::from_millis(1000), &ramp(0, 160));
        for k in 0..500u64 {
            let late = block(&mut reference, k);
            if k > 10 {
                assert!((late + 0.032 * k as f32).abs() < 0.1, "block {k}: {late}");
            }
        }
    }

    #[test]
    fn stamps_that_drift_move_nothing_by_themselves() {
        let mut reference = Reference::new();
        for k in 0..1000u64 {
            // 100 ppm.
            reference
                .push(Moment::from_micros(1_000_000 + k * 10_001), &ramp(k as usize * 160, 160));
            let at = Moment::from_micros(1_000_000 + k * 10_000);
            let block = reference.block(k * 160, at, 0.0);
            if k > 10 {
                assert_eq!(block.0[0], (k * 160) as f32, "block {k}");
            }
        }
    }

    #[test]
    fn a_flood_keeps_the_newest() {
        let mut reference = Reference::new();
        reference.push(Moment::from_millis(1000), &ramp(0, 160_000));
        assert_eq!(reference.block(0, Moment::from_millis(1000), 0.0).0, [0.0; BLOCK]);
        let block = reference.block(158_400, Moment::from_millis(10_900), 0.0);
        assert_eq!(block.0[0], 158_400.0);
    }
}
