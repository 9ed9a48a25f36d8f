//! Voice activity in audio time: energy over an adaptive floor, in steps of 10 ms.
//!
//! The floor is the quietest 50 ms of the last two seconds, so that steady noise is not speech for
//! longer than that; speech has gaps between its syllables and keeps the floor down.

use super::sound::{frames, level};
use std::collections::VecDeque;

/// One step of the detector.
const STEP_MS: u64 = 10;
/// Steps in one entry of the floor's history.
const SLOT: u32 = 5;
/// Entries of the floor's history: 2 s.
const SLOTS: usize = 40;
/// Until this many entries are there, the floor is believed to be this low in dB.
const YOUNG: (usize, f32) = (10, -55.0);
/// Loud steps of the last [`WINDOW`] that make speech: 60 ms of 100 ms.
const ONSET: u32 = 6;
/// Bits of the onset window.
const WINDOW: u32 = 0x3ff;
/// Speech goes on until the level is this many dB under the threshold that began it.
const HYSTERESIS: f32 = 4.0;

/// What the detector noticed, at an absolute sample of the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heard {
    /// Speech began here.
    Started(u64),
    /// 10 ms more of speech (or of a pause within it), up to here.
    Going(u64),
    /// The silence was long enough, here.
    Stopped(u64),
}

/// The detector. Feed it any number of samples at a time.
#[derive(Debug)]
pub(crate) struct Vad {
    rate: u32,
    threshold: f32,
    silence_ms: u64,
    pending: Vec<i16>,
    position: u64,
    recent: u32,
    slot: (u32, f32),
    slots: VecDeque<f32>,
    talking: bool,
    quiet_ms: u64,
}

impl Vad {
    /// A detector for samples at `rate` whose first sample is number `position`.
    pub(crate) fn new(rate: u32, threshold: f64, silence_ms: u64, position: u64) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "0.1 to 0.9")]
        let threshold = threshold as f32;
        Self {
            rate,
            threshold,
            silence_ms,
            pending: Vec::new(),
            position,
            recent: 0,
            slot: (0, 0.0),
            slots: VecDeque::with_capacity(SLOTS),
            talking: false,
            quiet_ms: 0,
        }
    }

    /// Takes samples and says what happened in them.
    pub(crate) fn feed(&mut self, samples: &[i16], heard: &mut Vec<Heard>) {
        self.pending.extend_from_slice(samples);
        let step = frames(STEP_MS, self.rate);
        let mut pending = std::mem::take(&mut self.pending);
        let whole = pending.len() / step * step;
        for block in pending[..whole].chunks_exact(step) {
            self.position += step as u64;
            heard.extend(self.step(level(block)));
        }
        pending.drain(..whole);
        self.pending = pending;
    }

    /// Whether speech is going on.
    pub(crate) const fn talking(&self) -> bool {
        self.talking
    }

    fn floor(&self) -> f32 {
        let least = self.slots.iter().copied().fold(f32::INFINITY, f32::min);
        if self.slots.len() < YOUNG.0 { least.min(YOUNG.1) } else { least }
    }

    fn remember(&mut self, level: f32) {
        self.slot.0 += 1;
        self.slot.1 += level;
        if self.slot.0 == SLOT {
            if self.slots.len() == SLOTS {
                self.slots.pop_front();
            }
            self.slots.push_back(self.slot.1 / SLOT as f32);
            self.slot = (0, 0.0);
        }
    }

    fn step(&mut self, level: f32) -> Option<Heard> {
        self.remember(level);
        let margin = 6.0 + 6.0 * self.threshold;
        let bar = (-60.0 + 18.0 * self.threshold).max(self.floor() + margin);
        let bar = if self.talking { bar - HYSTERESIS } else { bar };
        self.recent = (self.recent << 1 | u32::from(level > bar)) & WINDOW;
        if !self.talking {
            if self.recent.count_ones() < ONSET {
                return None;
            }
            (self.talking, self.quiet_ms) = (true, 0);
            let back = frames(STEP_MS * u64::from(ONSET + 2), self.rate) as u64;
            return Some(Heard::Started(self.position.saturating_sub(back)));
        }
        self.quiet_ms = if level > bar { 0 } else { self.quiet_ms + STEP_MS };
        // The word does not end with its last loud step, even where no silence is asked for.
        if self.quiet_ms > self.silence_ms.max(STEP_MS * 5) {
            (self.talking, self.recent) = (false, 0);
            return Some(Heard::Stopped(self.position));
        }
        Some(Heard::Going(self.position))
    }
}

#[cfg(test)]
mod tests {
    use super::super::sound::speak;
    use super::*;

    fn events(samples: &[i16], piece: usize) -> Vec<Heard> {
        let mut vad = Vad::new(16_000, 0.85, 500, 0);
        let mut heard = Vec::new();
        for part in samples.chunks(piece) {
            vad.feed(part, &mut heard);
        }
        heard.retain(|h| !matches!(h, Heard::Going(_)));
        heard
    }

    fn noise(count: usize, size: i32) -> Vec<i16> {
        let mut seed = 1u32;
        (0..count)
            .map(|_| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                i16::try_from((seed >> 16) as i32 % (2 * size + 1) - size).unwrap()
            })
            .collect()
    }

    #[test]
    fn speech_in_quiet_begins_and_ends_once() {
        let mut sound = vec![0; 8000];
        let said = speak("hello my name is alex and i like tea", 16_000);
        sound.extend(&said);
        sound.extend(vec![0; 16_000]);
        for piece in [37, 320, 160_000] {
            let heard = events(&sound, piece);
            let [Heard::Started(start), Heard::Stopped(stop)] = heard[..] else {
                panic!("{heard:?}");
            };
            assert!(start.abs_diff(8000) < 1200, "{start}");
            let end = 8000 + said.len() as u64 + 8000;
            assert!(stop.abs_diff(end) < 2400, "{stop} {end}");
        }
    }

    #[test]
    fn noise_is_not_speech_but_speech_in_noise_is() {
        let mut sound = noise(32_000, 500);
        assert_eq!(events(&noise(160_000, 200), 320), []);
        let from = sound.len();
        let mut said = speak("hello my name is alex", 16_000);
        for (s, n) in said.iter_mut().zip(noise(160_000, 500)) {
            *s = s.saturating_add(n);
        }
        sound.extend(said);
        sound.extend(noise(16_000, 500));
        let heard = events(&sound, 320);
        assert!(
            matches!(heard[..], [.., Heard::Started(s), Heard::Stopped(_)] if s.abs_diff(from as u64) < 2000),
            "{heard:?}"
        );
    }
}
