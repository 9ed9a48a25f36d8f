//! Samples in and out of the wire's formats, and a resampler for what is said back.

use crate::base::pcm::{from_i16, to_i16};
use std::f32::consts::PI;
use std::ops::Range;
use std::sync::Arc;

/// PCM rates the service lists (11025 stands in its schema only).
pub(crate) const RATES: [u32; 8] = [8000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000];

/// How audio travels in one direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// 16-bit little-endian at a rate in Hz.
    Pcm(u32),
    /// G.711 mu-law, 8 kHz.
    Ulaw,
    /// G.711 A-law, 8 kHz.
    Alaw,
}

impl Format {
    /// Samples a second.
    pub(crate) const fn rate(self) -> u32 {
        match self {
            Self::Pcm(rate) => rate,
            Self::Ulaw | Self::Alaw => 8000,
        }
    }

    /// Bytes of one sample.
    pub(crate) const fn width(self) -> usize {
        match self {
            Self::Pcm(_) => 2,
            Self::Ulaw | Self::Alaw => 1,
        }
    }

    /// The samples in `bytes`; an odd byte at the end is dropped.
    pub(crate) fn decode(self, bytes: &[u8]) -> Vec<i16> {
        match self {
            Self::Pcm(_) => {
                bytes.chunks_exact(2).map(|b| i16::from_le_bytes([b[0], b[1]])).collect()
            }
            Self::Ulaw => bytes.iter().map(|b| from_ulaw(*b)).collect(),
            Self::Alaw => bytes.iter().map(|b| from_alaw(*b)).collect(),
        }
    }

    /// `samples` as bytes.
    pub(crate) fn encode(self, samples: &[i16]) -> Vec<u8> {
        match self {
            Self::Pcm(_) => samples.iter().flat_map(|s| s.to_le_bytes()).collect(),
            Self::Ulaw => samples.iter().map(|s| to_ulaw(*s)).collect(),
            Self::Alaw => samples.iter().map(|s| to_alaw(*s)).collect(),
        }
    }
}

/// ITU-T G.711, mu-law expansion.
fn from_ulaw(byte: u8) -> i16 {
    let bits = !byte;
    let step = (i32::from(bits & 0x0f) << 3) + 0x84;
    let size = (step << (i32::from(bits & 0x70) >> 4)) - 0x84;
    clip(if bits & 0x80 != 0 { -size } else { size })
}

/// ITU-T G.711, A-law expansion.
fn from_alaw(byte: u8) -> i16 {
    let bits = byte ^ 0x55;
    let segment = i32::from(bits & 0x70) >> 4;
    let low = (i32::from(bits & 0x0f) << 4) + 8;
    let size = if segment == 0 { low } else { (low + 0x100) << (segment - 1) };
    clip(if bits & 0x80 != 0 { size } else { -size })
}

fn clip(value: i32) -> i16 {
    i16::try_from(value.clamp(i32::from(i16::MIN), i32::from(i16::MAX))).unwrap_or(0)
}

/// The code whose expansion is nearest: compression by search, since 256 codes are few.
fn nearest(sample: i16, expand: fn(u8) -> i16) -> u8 {
    (0..=u8::MAX).min_by_key(|b| (i32::from(expand(*b)) - i32::from(sample)).abs()).unwrap_or(0)
}

fn to_ulaw(sample: i16) -> u8 {
    let negative = sample < 0;
    let size = i32::from(sample).abs().min(32_635) + 0x84;
    let segment = (0..8).rev().find(|s| size >= (0x84 << s)).unwrap_or(0);
    let low = (size >> (segment + 3)) & 0x0f;
    let code = u8::try_from((segment << 4) | low).unwrap_or(0) | if negative { 0x80 } else { 0 };
    !code
}

fn to_alaw(sample: i16) -> u8 {
    nearest(sample, from_alaw)
}

/// Zero crossings of the sinc on either side: enough for speech, -70 dB of images.
const HALF: usize = 16;

/// Samples at another rate, one by one: a windowed sinc with a set of weights per phase of the
/// ratio. Equal rates give the same samples, bit for bit.
#[derive(Debug)]
struct Resampler {
    step: usize,
    phases: usize,
    reach: usize,
    weights: Vec<Vec<f32>>,
}

impl Resampler {
    fn new(from: u32, to: u32) -> Self {
        let common = gcd(from, to);
        let (step, phases) = ((from / common) as usize, (to / common) as usize);
        let cutoff = f64::from(to.min(from)) / f64::from(from) * 0.95;
        let reach = whole((HALF as f64 / cutoff).ceil());
        let weights = match step == phases {
            true => Vec::new(),
            false => (0..phases).map(|p| kernel(p as f64 / phases as f64, reach, cutoff)).collect(),
        };
        Self { step, phases, reach, weights }
    }

    const fn count(&self, input: usize) -> usize {
        input * self.phases / self.step
    }

    /// Output sample number `n`.
    fn at(&self, input: &[i16], n: usize) -> i16 {
        let (centre, phase) = (n * self.step / self.phases, n * self.step % self.phases);
        let Some(weights) = self.weights.get(phase) else { return input[centre] };
        let first = (centre + 1).saturating_sub(self.reach);
        let skip = first + self.reach - (centre + 1);
        let taps = weights.iter().skip(skip);
        to_i16(input[first..].iter().zip(taps).map(|(x, w)| from_i16(*x) * w).sum())
    }
}

/// The sound of a reply: made samples, then what was heard, resampled only as it is sent.
#[derive(Debug, Default)]
pub(crate) struct Sound {
    head: Vec<i16>,
    tail: Option<(Arc<Vec<i16>>, Resampler)>,
}

impl Sound {
    /// Made samples alone.
    pub(crate) const fn made(head: Vec<i16>) -> Self {
        Self { head, tail: None }
    }

    /// Made samples at the rate `to`, then others that came at the rate `from`.
    pub(crate) fn said_back(head: Vec<i16>, heard: Arc<Vec<i16>>, from: u32, to: u32) -> Self {
        Self { head, tail: Some((heard, Resampler::new(from, to))) }
    }

    /// Samples in all.
    pub(crate) fn len(&self) -> usize {
        self.head.len() + self.tail.as_ref().map_or(0, |(heard, by)| by.count(heard.len()))
    }

    /// Some of the samples.
    pub(crate) fn part(&self, range: Range<usize>) -> Vec<i16> {
        let head = self.head.len();
        let sample = |n: usize| match &self.tail {
            Some((heard, by)) if n >= head => by.at(heard, n - head),
            Some(_) | None => self.head[n],
        };
        (range.start..range.end.min(self.len())).map(sample).collect()
    }
}

/// Weights for a point `offset` samples behind the centre, normalised to unity gain.
fn kernel(offset: f64, reach: usize, cutoff: f64) -> Vec<f32> {
    let raw: Vec<f64> = (0..2 * reach)
        .map(|k| {
            let x = (k as f64) - (reach as f64 - 1.0) - offset;
            let window = (x / reach as f64 * std::f64::consts::FRAC_PI_2).cos().powi(2);
            let phase = x * cutoff * std::f64::consts::PI;
            let sinc = if phase.abs() < 1e-9 { 1.0 } else { phase.sin() / phase };
            sinc * window
        })
        .collect();
    let sum: f64 = raw.iter().sum();
    #[expect(clippy::cast_possible_truncation, reason = "weights are within [-1, 1]")]
    raw.iter().map(|w| (w / sum) as f32).collect()
}

fn whole(value: f64) -> usize {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a small positive count, rounded before"
    )]
    {
        value as usize
    }
}

const fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Level of a run of samples in dB below full scale; silence is -96.
pub(crate) fn level(samples: &[i16]) -> f32 {
    let power: f32 = samples.iter().map(|s| from_i16(*s).powi(2)).sum();
    let count = samples.len().max(1) as f32;
    (10.0 * (power / count).max(2.5e-10).log10()).max(-96.0)
}

/// Milliseconds of `samples` at `rate`, rounded down.
pub(crate) const fn millis(samples: u64, rate: u32) -> u64 {
    samples * 1000 / rate as u64
}

/// Samples in `ms` at `rate`, rounded down.
pub(crate) const fn frames(ms: u64, rate: u32) -> usize {
    (ms * rate as u64 / 1000) as usize
}

/// A chime of two notes, 0.7 s: the preamble of every reply.
pub(crate) fn chime(rate: u32) -> Vec<i16> {
    let mut out = tone(rate, 660.0, 330);
    out.extend(tone(rate, 880.0, 370));
    out
}

/// One note with soft ends, at about -20 dB.
fn tone(rate: u32, hertz: f32, ms: u64) -> Vec<i16> {
    let count = frames(ms, rate);
    let turn = 2.0 * PI * hertz / rate as f32;
    let mut rotor = Rotor::new(turn);
    (0..count).map(|n| to_i16(0.17 * fade(n, count, rate) * rotor.step())).collect()
}

/// Raised-cosine ends of 20 ms.
fn fade(n: usize, count: usize, rate: u32) -> f32 {
    let edge = frames(20, rate).max(1);
    let near = n.min(count - 1 - n);
    if near >= edge { 1.0 } else { 0.5 - 0.5 * (PI * near as f32 / edge as f32).cos() }
}

/// A sine by rotation: two multiplications a sample.
struct Rotor {
    sin: f32,
    cos: f32,
    turn_sin: f32,
    turn_cos: f32,
}

impl Rotor {
    fn new(turn: f32) -> Self {
        Self { sin: 0.0, cos: 1.0, turn_sin: turn.sin(), turn_cos: turn.cos() }
    }

    fn step(&mut self) -> f32 {
        let sin = self.sin;
        self.sin = sin * self.turn_cos + self.cos * self.turn_sin;
        self.cos = self.cos * self.turn_cos - sin * self.turn_sin;
        sin
    }
}

/// `text` spoken in tones: one sound per vowel group, coloured by the vowel, a pause after each word.
pub(crate) fn speak(text: &str, rate: u32) -> Vec<i16> {
    let mut out = Vec::new();
    for (n, word) in text.split_whitespace().enumerate() {
        let mut open = false;
        for letter in word.to_lowercase().chars() {
            let vowel = matches!(letter, 'a' | 'e' | 'i' | 'o' | 'u' | 'y' | 'ä' | 'ö' | 'ü');
            if vowel && !open {
                out.extend(syllable(rate, letter, n));
            }
            open = vowel;
        }
        if !word.chars().any(|c| "aeiouyäöü".contains(c.to_ascii_lowercase())) {
            out.extend(syllable(rate, 'e', n));
        }
        out.extend(std::iter::repeat_n(0, frames(70, rate)));
    }
    out
}

/// 160 ms of a voice-like sound: a pitch that falls through the sentence and two formants.
fn syllable(rate: u32, vowel: char, word: usize) -> Vec<i16> {
    let (low, high) = match vowel {
        'a' | 'ä' => (730.0, 1090.0),
        'i' | 'y' => (300.0, 2200.0),
        'o' | 'ö' => (500.0, 900.0),
        'u' | 'ü' => (350.0, 800.0),
        _ => (530.0, 1840.0),
    };
    let drop = f32::from(u8::try_from(word % 12).unwrap_or(0));
    let pitch = 150.0 - 3.0 * drop;
    let near = |formant: f32| (formant / pitch).round() * pitch;
    let mut voices = [pitch, near(low), near(high)]
        .map(|hertz: f32| Rotor::new(2.0 * PI * hertz.min(rate as f32 * 0.45) / rate as f32));
    let count = frames(160, rate);
    (0..count)
        .map(|n| {
            let [a, b, c] = &mut voices;
            let sum = 0.12 * a.step() + 0.10 * b.step() + 0.06 * c.step();
            to_i16(fade(n, count, rate) * sum)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g711_is_the_inverse_of_itself() {
        for code in 0..=u8::MAX {
            assert_eq!(from_ulaw(to_ulaw(from_ulaw(code))), from_ulaw(code));
            assert_eq!(from_alaw(to_alaw(from_alaw(code))), from_alaw(code));
        }
        assert_eq!(from_ulaw(0x00), -32_124);
        assert_eq!(from_alaw(0xaa), 32_256);
        let near = from_ulaw(to_ulaw(1000));
        assert!((near - 1000).abs() < 32, "{near}");
    }

    #[test]
    fn resampling_keeps_a_tone_and_its_length() {
        for (from, to) in [(16_000, 24_000), (24_000, 16_000), (8000, 48_000), (44_100, 24_000)] {
            let sound = tone(from, 500.0, 400);
            let sound = Arc::new(sound);
            let out = Sound::said_back(Vec::new(), sound.clone(), from, to);
            let out = [out.part(0..100), out.part(100..out.len())].concat();
            assert!(out.len().abs_diff(frames(400, to)) <= 2);
            assert!((level(&out) - level(&sound)).abs() < 0.1, "{from} {to}");
            let want = tone(to, 500.0, 400);
            let worst = out
                .iter()
                .zip(&want)
                .map(|(a, b)| (i32::from(*a) - i32::from(*b)).abs())
                .max()
                .unwrap();
            assert!(worst < 80, "{from} {to}: {worst}");
        }
        let same = Sound::said_back(vec![9], Arc::new(vec![1, 2, 3]), 8000, 8000);
        assert_eq!(same.part(0..99), [9, 1, 2, 3]);
    }

    #[test]
    fn the_voice_is_audible() {
        let out = speak("You wrote: hello there", 24_000);
        let db = level(&out);
        assert!((-28.0..-14.0).contains(&db), "{db}");
        assert_eq!(chime(24_000).len(), frames(700, 24_000));
        assert!((level(&chime(24_000)) + 19.0).abs() < 3.0);
    }
}
