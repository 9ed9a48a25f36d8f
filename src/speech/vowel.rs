//! Whether what sounds like speech has vowels. Coughs, breath and cutlery have no pitch, and what a
//! door leaves ringing is low and only fades.
//!
//! A band in which voices are strong and rooms do not boom is compared with itself one period
//! earlier, for every period a voice can have.

use crate::base::pcm::{BLOCK, Block};
use std::f32::consts::TAU;

/// Samples that become one: the band ends below 2 kHz.
const STEP: usize = 4;
/// Reduced samples that are compared: 40 ms, four periods of a deep voice.
const WINDOW: usize = 160;
/// Shortest and longest period of a voice, in reduced samples: 400 and 80 Hz.
const PERIODS: (usize, usize) = (10, 50);
/// The band, in Hz: first formants, and above the modes of a room.
const BAND: (f32, f32) = (500.0, 1400.0);
/// Likeness from which there is a pitch: noise of 40 ms reaches 0.5 now and then.
const ALIKE: f32 = 0.7;
/// Share of the power that must be in the band: -12 dB, less than that of most vowels.
const SHARE: f32 = 0.063;
/// Share of the loudest power of late that must be left: -12 dB; speech rises again, a bang does
/// not.
const LEFT: f32 = 0.063;
/// Blocks of late: 400 ms.
const LATE: usize = 40;
/// Blocks in which vowels are counted: 450 ms.
const COUNTED: u32 = 45;
/// Of these so many must be of a vowel: 70 ms. The few voiced moments of most coughs are fewer.
const ENOUGH: u32 = 7;
/// One block less and it is speech most likely, but so are some coughs.
const NEARLY: u32 = 6;
/// Where so many frames are clearly speech, fewer do: 50 ms, the vowel of a short call before it
/// closes; and after 160 ms one block, which a slam has not.
const CLEAR: (u32, u32) = (4, 5);
const CLEARER: (u32, u32) = (10, 1);

/// Counts them.
#[derive(Debug)]
pub(super) struct Vowels {
    band: [Section; 4],
    phase: usize,
    kept: [f32; WINDOW + PERIODS.1],
    before: f32,
    levels: [f32; LATE],
    at: usize,
    /// One bit a block, newest lowest.
    found: u64,
}

impl Vowels {
    pub(super) fn new() -> Self {
        Self {
            // Butterworth filters of the fourth order.
            band: [
                Section::low(BAND.1, 0.541),
                Section::low(BAND.1, 1.307),
                Section::high(BAND.0, 0.541),
                Section::high(BAND.0, 1.307),
            ],
            phase: 0,
            kept: [0.0; WINDOW + PERIODS.1],
            before: 0.0,
            levels: [0.0; LATE],
            at: 0,
            found: 0,
        }
    }

    /// Forgets what was found, not the sound.
    pub(super) fn forget(&mut self) {
        self.found = 0;
    }

    /// Takes the next block; `speech` says that it scored as speech.
    pub(super) fn process(&mut self, block: &Block, speech: bool) {
        let share = self.filter(block);
        let power = power(&block.0) / BLOCK as f32;
        let level = 0.5 * (power + self.before);
        self.before = power;
        self.levels[self.at] = level;
        self.at = (self.at + 1) % LATE;
        let loudest = self.levels.iter().fold(0.0f32, |top, x| top.max(*x));
        let vowel =
            speech && level > LEFT * loudest && share > SHARE * power && self.likeness() > ALIKE;
        self.found = self.found << 1 | u64::from(vowel);
    }

    /// Whether there were enough of late, `clear` frames being clearly speech.
    pub(super) fn enough(&self, clear: u32) -> bool {
        let of = |(frames, blocks): (u32, u32)| clear >= frames && self.counted() >= blocks;
        self.counted() >= ENOUGH || of(CLEAR) || of(CLEARER)
    }

    /// Whether there were enough for what would cost nobody a reply.
    pub(super) fn nearly_enough(&self) -> bool {
        self.counted() >= NEARLY
    }

    fn counted(&self) -> u32 {
        (self.found & ((1 << COUNTED) - 1)).count_ones()
    }

    /// Keeps the band of a block; its mean power.
    fn filter(&mut self, block: &Block) -> f32 {
        self.kept.copy_within(BLOCK / STEP.., 0);
        let mut at = self.kept.len() - BLOCK / STEP;
        let mut sum = 0.0;
        for &sample in &block.0 {
            let y = self.band.iter_mut().fold(sample, |x, section| section.step(x));
            sum += y * y;
            self.phase = (self.phase + 1) % STEP;
            if self.phase == 0 {
                self.kept[at] = y;
                at += 1;
            }
        }
        sum / BLOCK as f32
    }

    /// Of the last 40 ms with what they were a period earlier, at most 1.
    fn likeness(&self) -> f32 {
        let now = &self.kept[PERIODS.1..];
        let own = power(now);
        let mut best = 0.0f32;
        for period in PERIODS.0..=PERIODS.1 {
            let then = &self.kept[PERIODS.1 - period..][..WINDOW];
            let both: f32 = now.iter().zip(then).map(|(a, b)| a * b).sum();
            if both > 0.0 {
                best = best.max(both * both / (own * power(then)).max(1e-20));
            }
        }
        best.sqrt()
    }
}

fn power(samples: &[f32]) -> f32 {
    samples.iter().map(|x| x * x).sum()
}

/// A filter of the second order.
#[derive(Debug, Clone, Copy)]
struct Section {
    b: [f32; 3],
    a: [f32; 2],
    state: [f32; 2],
}

impl Section {
    fn low(hz: f32, q: f32) -> Self {
        let (cos, width) = corner(hz, q);
        Self::of((1.0 - cos) / 2.0, 1.0 - cos, cos, width)
    }

    fn high(hz: f32, q: f32) -> Self {
        let (cos, width) = corner(hz, q);
        Self::of((1.0 + cos) / 2.0, -1.0 - cos, cos, width)
    }

    fn of(side: f32, middle: f32, cos: f32, width: f32) -> Self {
        let scale = 1.0 / (1.0 + width);
        Self {
            b: [side, middle, side].map(|b| b * scale),
            a: [-2.0 * cos * scale, (1.0 - width) * scale],
            state: [0.0; 2],
        }
    }

    fn step(&mut self, x: f32) -> f32 {
        let y = self.b[0] * x + self.state[0];
        self.state[0] = self.b[1] * x - self.a[0] * y + self.state[1];
        self.state[1] = self.b[2] * x - self.a[1] * y;
        y
    }
}

/// Cosine and width of a corner at 16 kHz.
fn corner(hz: f32, q: f32) -> (f32, f32) {
    let w = TAU * hz / 16_000.0;
    (w.cos(), w.sin() / (2.0 * q))
}

const _: () = assert!(BLOCK.is_multiple_of(STEP) && COUNTED < u64::BITS);

#[cfg(test)]
mod tests {
    use super::*;

    /// Vowels found in half a second of this.
    fn found(mut sound: impl FnMut(f32) -> f32) -> bool {
        let mut vowels = Vowels::new();
        (0..50).any(|block| {
            let at = |i| (block * BLOCK + i) as f32 / 16_000.0;
            vowels.process(&Block(std::array::from_fn(|i| sound(at(i)))), true);
            vowels.enough(CLEAR.0)
        })
    }

    #[test]
    fn a_voice_has_vowels_and_noise_and_a_boom_have_none() {
        let voice =
            |hz: f32| move |t: f32| (1..20).map(|k| 0.02 * (TAU * hz * k as f32 * t).cos()).sum();
        assert!(found(voice(90.0)) && found(voice(150.0)) && found(voice(300.0)));
        let mut seed = 1u32;
        assert!(!found(|_| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 16) as f32 / 32_768.0 - 1.0
        }));
        assert!(!found(|t| 0.5 * (-t / 0.1).exp() * (TAU * 120.0 * t).sin()), "a boom");
        assert!(!found(|t| 0.5 * (-t / 0.02).exp() * (TAU * 800.0 * t).sin()), "a knock");
        assert!(!found(|_| 0.0));
    }

    #[test]
    fn what_does_not_score_as_speech_is_no_vowel() {
        let mut vowels = Vowels::new();
        for block in 0..50 {
            let at = |i| (block * BLOCK + i) as f32 * TAU * 150.0 / 16_000.0;
            let tone = Block(std::array::from_fn(|i| {
                (4..8).map(|k| 0.1 * (k as f32 * at(i)).cos()).sum()
            }));
            vowels.process(&tone, false);
        }
        assert!(!vowels.enough(CLEARER.0));
    }

    #[test]
    fn the_clearer_speech_is_the_fewer_vowels_it_needs() {
        let mut vowels = Vowels::new();
        let mut least = |clear: u32| {
            vowels.found = 0;
            (1..=ENOUGH).find(|_| {
                vowels.found = vowels.found << 1 | 1;
                vowels.enough(clear)
            })
        };
        assert_eq!([0, 3, 4, 9, 10, 25].map(&mut least), [7, 7, 5, 5, 1, 1].map(Some));
        vowels.found = 0;
        assert!(!vowels.enough(25), "without any it is none");
    }
}
