//! Noise suppression: lowers, bin by bin, what sounds without end.
//!
//! The noise of a bin is followed by how likely it is that nobody speaks in it, after Gerkmann and
//! Hendriks, "Unbiased MMSE-based noise power estimation with low complexity and low tracking delay"
//! (2012): no window has to pass before a rise or a fall is seen. The gain is the root of a Wiener
//! gain: it takes less away than a Wiener gain does, and more words are understood through it.

use super::spectrum::BINS;
use crate::speech::Level;

/// Speech is expected this much above the noise: 15 dB, where taking one for the other is rarest.
const SPEECH: f32 = 31.6;
/// What of the noise estimate stays from block to block.
const STAYS: f32 = 0.94;
/// Rate at which the likelihood of speech is averaged: 200 ms.
const LIKELY_FOLLOW: f32 = 0.05;
/// A bin that was speech so surely on that average is not believed to be speech entirely: no vowel
/// is that long, and a fan that was switched on would never be learned.
const LIKELY_MOST: f32 = 0.97;
/// Blocks from which the noise is taken at the start, whatever sounds: 100 ms. Should it be speech,
/// the next pause corrects it.
const START: u32 = 10;
/// The noise is taken to be this much stronger than found.
const OVER: f32 = 1.5;
/// The same for [`Level::High`].
const OVER_HIGH: f32 = 3.0;
/// Weight of the block before in the estimate of what is wanted.
const BEFORE: f32 = 0.97;
/// A bin with more residual echo than this, beside all that is in it, teaches nothing of the noise.
const ECHO: f32 = 0.25;
/// Least power: -122 dBFS. Keeps every division safe.
const TINY: f32 = 1e-10;

/// The noise of a room, and what to do about it.
pub(super) struct Noise {
    /// Least gain, and how much stronger the noise is taken.
    least: f32,
    over: f32,
    floor: [f32; BINS],
    likely: [f32; BINS],
    wanted: [f32; BINS],
    /// Blocks of the start that have passed.
    seen: u32,
}

impl Noise {
    /// Lowers noise by 7, 12 or 18 dB; nothing at [`Level::Off`]. By itself it takes the middle:
    /// words are understood as well as with less, and the pauses are calm.
    pub(super) fn new(level: Level) -> Option<Self> {
        let (least, over) = match level {
            Level::Off => return None,
            Level::Low => (0.43, OVER),
            Level::Auto | Level::Medium => (0.18, OVER),
            Level::High => (0.08, OVER_HIGH),
        };
        Some(Self {
            least,
            over,
            floor: [0.0; BINS],
            likely: [0.0; BINS],
            wanted: [0.0; BINS],
            seen: 0,
        })
    }

    pub(super) fn reset(&mut self) {
        *self =
            Self { floor: [0.0; BINS], likely: [0.0; BINS], wanted: [0.0; BINS], seen: 0, ..*self };
    }

    /// Lowers `gain`, which is what the residual echo `echo` in `power` asks for. What it lowered is
    /// not taken for noise: a person under the echo would be lowered twice.
    pub(super) fn lower(
        &mut self,
        power: &[f32; BINS],
        echo: &[f32; BINS],
        gain: &mut [f32; BINS],
    ) {
        self.learn(power, echo);
        for k in 0..BINS {
            let noise = self.over * self.floor[k] + TINY;
            let now = (power[k] / noise - 1.0).max(0.0);
            let prior = BEFORE * self.wanted[k] / noise + (1.0 - BEFORE) * now;
            let lower = (prior / (1.0 + prior)).sqrt().max(self.least);
            self.wanted[k] = lower * lower * power[k];
            gain[k] *= lower;
        }
    }

    fn learn(&mut self, power: &[f32; BINS], echo: &[f32; BINS]) {
        if self.seen < START {
            self.seen += 1;
            for (floor, power) in self.floor.iter_mut().zip(power) {
                *floor += (power - *floor) / self.seen as f32;
            }
            return;
        }
        for k in 0..BINS {
            if echo[k] > ECHO * power[k] {
                continue;
            }
            let above = (power[k] / (self.floor[k] + TINY)).min(100.0);
            let silent = (1.0 + SPEECH) * (-above * (SPEECH / (1.0 + SPEECH))).exp();
            let mut speech = 1.0 / (1.0 + silent);
            self.likely[k] += LIKELY_FOLLOW * (speech - self.likely[k]);
            if self.likely[k] > LIKELY_MOST {
                speech = speech.min(LIKELY_MOST);
            }
            let found = speech * self.floor[k] + (1.0 - speech) * power[k];
            self.floor[k] = STAYS * self.floor[k] + (1.0 - STAYS) * found;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Power of white noise, as it scatters: exponential, from a seed.
    fn hiss(seed: &mut u32, mean: f32) -> [f32; BINS] {
        std::array::from_fn(|_| {
            *seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            -mean * ((*seed >> 8) as f32 / 16_777_216.0).max(1e-7).ln()
        })
    }

    /// What `blocks` of hiss come out at, in decibels; the second half is measured.
    fn lowered(noise: &mut Noise, seed: &mut u32, mean: f32, blocks: usize) -> f32 {
        let (mut before, mut after) = (0.0, 0.0);
        for block in 0..blocks {
            let power = hiss(seed, mean);
            let mut gain = [1.0; BINS];
            noise.lower(&power, &[0.0; BINS], &mut gain);
            if block >= blocks / 2 {
                before += power.iter().sum::<f32>();
                after += power.iter().zip(&gain).map(|(p, g)| p * g * g).sum::<f32>();
            }
        }
        10.0 * (before / after).log10()
    }

    #[test]
    fn steady_noise_is_lowered_as_much_as_the_level_says() {
        for (level, from, to) in
            [(Level::Low, 6.0, 8.0), (Level::Medium, 11.0, 14.0), (Level::High, 17.0, 21.0)]
        {
            let mut noise = Noise::new(level).unwrap();
            let by = lowered(&mut noise, &mut 1, 1e-4, 200);
            assert!((from..to).contains(&by), "{level:?}: {by}");
        }
        assert!(Noise::new(Level::Off).is_none());
    }

    #[test]
    fn louder_noise_is_learned_in_five_seconds_and_softer_noise_at_once() {
        let (mut noise, mut seed) = (Noise::new(Level::Medium).unwrap(), 1);
        lowered(&mut noise, &mut seed, 1e-5, 100);
        // 20 dB more.
        lowered(&mut noise, &mut seed, 1e-3, 500);
        assert!(lowered(&mut noise, &mut seed, 1e-3, 50) > 10.0);
        lowered(&mut noise, &mut seed, 1e-6, 50);
        assert!(lowered(&mut noise, &mut seed, 1e-6, 50) > 10.0);
    }

    #[test]
    fn what_is_above_the_noise_stays() {
        let (mut noise, mut seed) = (Noise::new(Level::High).unwrap(), 1);
        lowered(&mut noise, &mut seed, 1e-6, 100);
        // 25 dB above, for a syllable.
        for block in 0..30 {
            let mut gain = [1.0; BINS];
            noise.lower(&hiss(&mut seed, 3e-4), &[0.0; BINS], &mut gain);
            let mean = gain.iter().sum::<f32>() / BINS as f32;
            assert!(block < 2 || mean > 0.85, "block {block}: {mean}");
        }
    }

    #[test]
    fn residual_echo_is_no_noise() {
        let (mut noise, mut seed) = (Noise::new(Level::Medium).unwrap(), 1);
        lowered(&mut noise, &mut seed, 1e-6, 100);
        let floor = noise.floor;
        for _ in 0..300 {
            let power = hiss(&mut seed, 1e-3);
            noise.lower(&power, &power.map(|p| 0.5 * p), &mut [0.1; BINS]);
        }
        assert_eq!(noise.floor, floor);
    }
}
