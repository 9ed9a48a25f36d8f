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
/// The same in the band, where nothing is as loud as a vowel: -7 dB. The voice of a cough comes after its
/// burst, and 13 dB below it.
const LEFT_IN_BAND: f32 = 0.2;
/// Blocks of late: 400 ms.
const LATE: usize = 40;
/// Blocks in which vowels are counted: 450 ms.
const COUNTED: u32 = 45;
/// Of these so many must be of a vowel: 60 ms. The few voiced moments of most coughs are fewer.
const ENOUGH: u32 = 6;
/// Fewer that have a pitch are enough for what costs nobody a reply: 40 ms, a short call over a small speaker.
const NEARLY: u32 = 4;
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
    level: Recent,
    in_band: Recent,
    /// One bit a block, newest lowest: a vowel.
    found: u64,
    /// The same: a pitch, of a vowel or of what is left of a louder sound. It is speech most likely, but so are
    /// some coughs.
    pitched: u64,
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
            level: Recent::default(),
            in_band: Recent::default(),
            found: 0,
            pitched: 0,
        }
    }

    /// Forgets what was found, not the sound.
    pub(super) fn forget(&mut self) {
        (self.found, self.pitched) = (0, 0);
    }

    /// Takes the next block; `speech` says that it scored as speech.
    pub(super) fn process(&mut self, block: &Block, speech: bool) {
        let band = self.filter(block);
        let power = power(&block.0) / BLOCK as f32;
        let left = self.level.is_left(power, LEFT);
        let loud = self.in_band.is_left(band, LEFT_IN_BAND);
        let pitched = speech && left && band > SHARE * power && self.likeness() > ALIKE;
        self.pitched = self.pitched << 1 | u64::from(pitched);
        self.found = self.found << 1 | u64::from(pitched && loud);
    }

    /// Whether there were enough of late, `clear` frames being clearly speech.
    pub(super) fn enough(&self, clear: u32) -> bool {
        is_enough(self.found, ENOUGH, clear)
    }

    /// Whether there was pitch enough for what would cost nobody a reply.
    pub(super) fn nearly_enough(&self, clear: u32) -> bool {
        is_enough(self.pitched, NEARLY, clear)
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

/// Powers of the last blocks.
#[derive(Debug)]
struct Recent {
    before: f32,
    levels: [f32; LATE],
    at: usize,
}

impl Default for Recent {
    fn default() -> Self {
        Self { before: 0.0, levels: [0.0; LATE], at: 0 }
    }
}

impl Recent {
    /// Takes the power of the next block; whether so much is left of the loudest.
    fn is_left(&mut self, power: f32, share: f32) -> bool {
        let level = 0.5 * (power + self.before);
        self.before = power;
        self.levels[self.at] = level;
        self.at = (self.at + 1) % LATE;
        let loudest = self.levels.iter().fold(0.0f32, |top, x| top.max(*x));
        level > share * loudest
    }
}

fn is_enough(blocks: u64, least: u32, clear: u32) -> bool {
    let count = (blocks & ((1 << COUNTED) - 1)).count_ones();
    let of = |(frames, blocks): (u32, u32)| clear >= frames && count >= blocks;
    count >= least || of(CLEAR) || of(CLEARER)
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
    fn the_voice_of_a_cough_is_pitch_and_no_vowel() {
        let mut seed = 1u32;
        let mut vowels = Vowels::new();
        for block in 0..35 {
            let sound = Block(std::array::from_fn(|i| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let noise = (seed >> 16) as f32 / 32_768.0 - 1.0;
                let t = (block * BLOCK + i) as f32 / 16_000.0;
                let part = |k: u32| (TAU * 150.0 * k as f32 * t).cos();
                let voice = 0.15 * (part(1) + part(2)) + 0.025 * (4..10).map(part).sum::<f32>();
                if block < 6 { 0.9 * noise } else { voice }
            }));
            vowels.process(&sound, true);
        }
        assert!(vowels.nearly_enough(0) && !vowels.enough(CLEARER.0));
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
        assert_eq!([0, 3, 4, 9, 10, 25].map(&mut least), [6, 6, 5, 5, 1, 1].map(Some));
        vowels.found = 0;
        assert!(!vowels.enough(25), "without any it is none");
    }
}
