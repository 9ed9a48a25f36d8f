//! DOOR realfft: the sweep divided out of its recording.

use crate::base::pcm::BLOCK_RATE;
use crate::dsp::sweep;
use realfft::num_complex::Complex32;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};
use std::sync::Arc;

/// Samples looked at, 4 s: silence, the sweep, and what the room does with it.
pub(super) const LONGEST: usize = 65_536;
/// Edges of the sweep within which it is loud enough to be divided out, in Hz.
const LOW: f64 = 1.2 * sweep::LOW;
const HIGH: f64 = 0.97 * sweep::HIGH;
/// Where the answer may be: stamps may be wrong by a few milliseconds, and sound servers are half a
/// second late.
const EARLIEST: i32 = -millis(20);
const LATEST: i32 = millis(600);
/// How long an answer is, after its loudest, and what is looked at before that.
const LONG: i32 = millis(250);
const BEFORE: i32 = millis(3);
/// Where nothing but noise is left of an answer, as late as it may be.
const NOISE: i32 = millis(900);
/// How long the answer to a harmonic is, before that to the next one begins.
const HARMONIC: i32 = millis(80);
/// Level from which the reference sounds: -60 dBFS.
pub(super) const SOUNDS: f32 = 1e-3;

const fn millis(ms: i32) -> i32 {
    ms * (BLOCK_RATE.0 as i32 / 1000)
}

/// What was played, as a spectrum.
pub(super) struct Reference {
    spectrum: Vec<Complex32>,
    forward: Arc<dyn RealToComplex<f32>>,
    inverse: Arc<dyn ComplexToReal<f32>>,
    /// The sample at which it begins to sound.
    pub(super) begin: usize,
    /// Its level while it sounds.
    pub(super) level_dbfs: f64,
}

/// What the room answers to a click, and its figures.
#[derive(Clone)]
pub(super) struct Answer {
    samples: Vec<f32>,
    /// The sample of its loudest, after the click.
    pub(super) late: i32,
    pub(super) echo_db: f64,
    pub(super) clear_db: f64,
    pub(super) bent_db: f64,
}

impl Answer {
    /// Prepares what was played.
    pub(super) fn reference(far: &[f32]) -> Reference {
        let mut planner = RealFftPlanner::new();
        let (forward, inverse) =
            (planner.plan_fft_forward(LONGEST), planner.plan_fft_inverse(LONGEST));
        let begin = far.iter().position(|x| x.abs() > SOUNDS).unwrap_or(far.len());
        let end = far.iter().rposition(|x| x.abs() > SOUNDS).map_or(begin, |last| last + 1);
        let power = crate::dsp::meter::power(&far[begin..end]);
        let spectrum = transform(&*forward, far);
        let level_dbfs = decibels(power);
        Reference { spectrum, forward, inverse, begin, level_dbfs }
    }

    /// The sample `lag` after the click.
    pub(super) fn at(&self, lag: i32) -> f32 {
        self.samples[lag.rem_euclid(LONGEST as i32) as usize]
    }

    fn energy(&self, from: i32, length: i32) -> f32 {
        (from..from + length).map(|lag| self.at(lag).powi(2)).sum()
    }
}

impl Reference {
    /// What was heard under it, as long as [`LONGEST`].
    pub(super) fn answer(&self, near: &[f32]) -> Answer {
        let mut divided = transform(&*self.forward, near);
        for (k, (m, x)) in divided.iter_mut().zip(&self.spectrum).enumerate() {
            let weight = within(k);
            *m = if weight > 0.0 {
                *m * x.conj() * (weight / x.norm_sqr().max(f32::MIN_POSITIVE))
            } else {
                Complex32::ZERO
            };
        }
        let mut samples = vec![0.0; LONGEST];
        let done = self.inverse.process(&mut divided, &mut samples);
        debug_assert!(done.is_ok(), "the sizes are those of the plan");
        samples.iter_mut().for_each(|x| *x /= LONGEST as f32);
        let mut answer = Answer { samples, late: 0, echo_db: 0.0, clear_db: 0.0, bent_db: 0.0 };
        let size = |lag: i32| answer.at(lag).abs();
        let top = (EARLIEST..LATEST).map(size).fold(0.0, f32::max);
        // The direct sound may be weaker than what a wall bundles, but not by much: then it counts.
        let first = (EARLIEST..LATEST).find(|lag| size(*lag) > 0.5 * top).unwrap_or(0);
        answer.late = (first..first + millis(1) / 2)
            .max_by(|a, b| size(*a).total_cmp(&size(*b)))
            .unwrap_or(first);
        let noise = answer.energy(NOISE, LONG + BEFORE);
        let whole = answer.energy(answer.late - BEFORE, LONG + BEFORE);
        answer.clear_db = decibels(whole / noise.max(f32::MIN_POSITIVE));
        answer.echo_db = self.heard(&answer);
        // A harmonic's answer as long as the echo's of the same length, less the noise in both.
        let part = HARMONIC as f32 / (LONG + BEFORE) as f32 * noise;
        let harmonic = |n: u32| {
            let ahead = (sweep::ahead(n) * f64::from(BLOCK_RATE.0)).round() as i32;
            (answer.energy(answer.late - ahead - BEFORE, HARMONIC) - part).max(0.0)
        };
        let linear = answer.energy(answer.late - BEFORE, HARMONIC);
        answer.bent_db = decibels((harmonic(2) + harmonic(3)) / linear.max(f32::MIN_POSITIVE));
        answer
    }

    /// How loud the answer makes what was played, compared with it.
    fn heard(&self, answer: &Answer) -> f64 {
        let mut only = vec![0.0; LONGEST];
        for lag in answer.late - BEFORE..answer.late + LONG {
            only[lag.rem_euclid(LONGEST as i32) as usize] = answer.at(lag);
        }
        let spectrum = transform(&*self.forward, &only);
        let (mut echo, mut played) = (0.0, 0.0);
        for (k, (h, x)) in spectrum.iter().zip(&self.spectrum).enumerate() {
            if within(k) > 0.0 {
                echo += h.norm_sqr() * x.norm_sqr();
                played += x.norm_sqr();
            }
        }
        decibels(echo / played.max(f32::MIN_POSITIVE))
    }
}

/// Whether a bin is inside the sweep, with soft edges of a sixth of an octave.
fn within(bin: usize) -> f32 {
    let hz = bin as f64 * f64::from(BLOCK_RATE.0) / LONGEST as f64;
    let inside = (hz / LOW).log2().min((HIGH / hz.max(1.0)).log2()) * 6.0;
    let edge = inside.clamp(0.0, 1.0);
    (0.5 - 0.5 * (std::f64::consts::PI * edge).cos()) as f32
}

fn transform(forward: &dyn RealToComplex<f32>, sound: &[f32]) -> Vec<Complex32> {
    let mut samples = vec![0.0; LONGEST];
    let count = sound.len().min(LONGEST);
    samples[..count].copy_from_slice(&sound[..count]);
    let mut spectrum = forward.make_output_vec();
    let done = forward.process(&mut samples, &mut spectrum);
    debug_assert!(done.is_ok(), "the sizes are those of the plan");
    spectrum
}

fn decibels(power: f32) -> f64 {
    f64::from(crate::base::unit::Db::from_power(power).0)
}
