//! How much of the echo is gone and how much of the person is left.

use crate::room::{PARTS, RATE, Sounds, active, at};
use realfft::num_complex::Complex32;
use realfft::{RealFftPlanner, RealToComplex};
use std::sync::Arc;

/// What a front end reached in a scene. Decibels, shares of time, or 0..1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Score {
    /// Echo attenuation while the speaker is alone, from the third second on.
    pub erle: f64,
    /// In the first two seconds.
    pub early: f64,
    /// From a second after the change on.
    pub after: f64,
    /// Intelligibility of the person while both talk.
    pub clear: f64,
    /// The same of the microphone.
    pub clear_before: f64,
    /// Level the person loses where nothing else is.
    pub lost: f64,
    /// Share of the time with the speaker alone (from the third second on, and from a second after
    /// the change) in which somebody is said to speak.
    pub false_speech: f64,
    /// Share of the person's sound in both that is said to be speech.
    pub heard: f64,
}

/// Scores `out`, which is `delay` samples late; `talking` is the decision for every 10 ms of `out`.
pub fn score(sounds: &Sounds, out: &[f32], talking: &[bool], delay: usize) -> Score {
    let out: Vec<f32> =
        (0..sounds.mic.len()).map(|i| out.get(i + delay).copied().unwrap_or(0.0)).collect();
    let [alone, person, both, change, end] = PARTS;
    let erle = |from: f64, to: f64| attenuation(sounds, &out, at(from), at(to));
    let part = at(both + 0.8)..at(change - 0.4);
    let ear = Ear::new();
    let truth = ear.bands(&sounds.person[part.clone()]);
    let quiet = [(alone + 3.0, person - 0.5), (change + 1.0, end - 0.5)];
    let floor = active(&sounds.person) / 100.0;
    let said = |i: usize| talking.get(i).copied().unwrap_or(false);
    let blocks = |from: f64, to: f64| at(from) / BLOCK..at(to) / BLOCK;
    let silent: Vec<bool> = quiet.iter().flat_map(|&(a, b)| blocks(a, b)).map(said).collect();
    let spoken: Vec<bool> = (part.start / BLOCK..part.end / BLOCK)
        .filter(|i| active_power(&sounds.person[i * BLOCK..][..BLOCK]) > floor)
        .map(said)
        .collect();
    Score {
        erle: erle(alone + 3.0, person - 0.5),
        early: erle(alone + 0.3, alone + 2.3),
        after: erle(change + 1.0, end - 0.5),
        clear: likeness(&truth, &ear.bands(&out[part.clone()])),
        clear_before: likeness(&truth, &ear.bands(&sounds.mic[part.clone()])),
        lost: ear.lost(sounds, &out, part.start, part.end),
        false_speech: share(&silent),
        heard: share(&spoken),
    }
}

/// What noise suppression did to a person in noise.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Clean {
    /// Intelligibility of the person.
    pub clear: f64,
    /// The same of the microphone.
    pub clear_before: f64,
    /// By how much the noise is lowered in the pause at the end, in decibels.
    pub lowered: f64,
    /// Level of the person at the end of the speech, in dBFS.
    pub level: f64,
    /// Highest level of 100 ms of the pause at the end, in dBFS.
    pub pause: f64,
    /// Largest sample.
    pub peak: f32,
}

/// Scores `out`, which is `delay` samples late, of a scene of [`crate::background`].
pub fn clean(sounds: &Sounds, out: &[f32], delay: usize) -> Clean {
    let out: Vec<f32> =
        (0..sounds.mic.len()).map(|i| out.get(i + delay).copied().unwrap_or(0.0)).collect();
    let [_, speech, pause, end] = crate::background::PARTS;
    let ear = Ear::new();
    let spoken = at(speech)..at(pause);
    let truth = ear.bands(&sounds.person[spoken.clone()]);
    let rest = at(pause + 0.7)..at(end - 0.1);
    let db = |power: f64| 10.0 * power.max(1e-15).log10();
    let pauses = out[rest.clone()].chunks(RATE / 10).map(active_power);
    Clean {
        clear: likeness(&truth, &ear.bands(&out[spoken.clone()])),
        clear_before: likeness(&truth, &ear.bands(&sounds.mic[spoken.clone()])),
        lowered: db(active_power(&sounds.mic[rest.clone()])) - db(active_power(&out[rest])),
        level: db(active(&out[at(pause - 3.0)..at(pause)])),
        pause: db(pauses.fold(0.0, f64::max)),
        peak: out.iter().fold(0.0, |top, x| top.max(x.abs())),
    }
}

const BLOCK: usize = RATE / 100;

fn share(of: &[bool]) -> f64 {
    of.iter().filter(|x| **x).count() as f64 / of.len().max(1) as f64
}

fn active_power(sound: &[f32]) -> f64 {
    sound.iter().map(|x| f64::from(x * x)).sum::<f64>() / sound.len().max(1) as f64
}

/// Microphone over output where there is echo.
fn attenuation(sounds: &Sounds, out: &[f32], from: usize, to: usize) -> f64 {
    let floor = active(&sounds.echo) / 100.0;
    let (mut before, mut after) = (1e-12, 1e-12);
    for begin in (from..to - BLOCK).step_by(BLOCK) {
        if active_power(&sounds.echo[begin..begin + BLOCK]) > floor {
            before += active_power(&sounds.mic[begin..begin + BLOCK]);
            after += active_power(&out[begin..begin + BLOCK]);
        }
    }
    10.0 * (before / after).log10()
}

const WINDOW: usize = 512;
const HOP: usize = 256;
const BANDS: usize = 15;
/// Frames of a segment: 400 ms.
const SEGMENT: usize = 25;

struct Ear {
    transform: Arc<dyn RealToComplex<f32>>,
    window: Vec<f32>,
}

impl Ear {
    fn new() -> Self {
        let step = std::f32::consts::PI / WINDOW as f32;
        Self {
            transform: RealFftPlanner::new().plan_fft_forward(WINDOW),
            window: (0..WINDOW).map(|i| (i as f32 * step).sin().powi(2)).collect(),
        }
    }

    fn frames(&self, sound: &[f32]) -> Vec<Vec<f64>> {
        sound
            .windows(WINDOW)
            .step_by(HOP)
            .map(|frame| {
                let mut work: Vec<f32> =
                    frame.iter().zip(&self.window).map(|(x, w)| x * w).collect();
                let mut bins = vec![Complex32::ZERO; WINDOW / 2 + 1];
                let done = self.transform.process(&mut work, &mut bins);
                debug_assert!(done.is_ok(), "the sizes are those of the plan");
                bins.iter().map(|bin| f64::from(bin.norm_sqr())).collect()
            })
            .collect()
    }

    /// Magnitudes in thirds of an octave from 150 Hz on.
    fn bands(&self, sound: &[f32]) -> Vec<[f64; BANDS]> {
        let edge = |band: usize| {
            let hz = 150.0 * 2f64.powf((2.0 * band as f64 - 1.0) / 6.0);
            (hz * WINDOW as f64 / RATE as f64).round() as usize
        };
        self.frames(sound)
            .iter()
            .map(|bins| {
                std::array::from_fn(|band| {
                    bins[edge(band)..edge(band + 1).max(edge(band) + 1)].iter().sum::<f64>().sqrt()
                })
            })
            .collect()
    }

    /// Level lost in bins in which the person is 10 dB above everything else.
    fn lost(&self, sounds: &Sounds, out: &[f32], from: usize, to: usize) -> f64 {
        let other: Vec<f32> = (from..to).map(|i| sounds.mic[i] - sounds.person[i]).collect();
        let person = self.frames(&sounds.person[from..to]);
        let (other, out) = (self.frames(&other), self.frames(&out[from..to]));
        let floor = person.iter().flatten().fold(0.0f64, |top, p| top.max(*p)) * 1e-5;
        let (mut before, mut after) = (1e-12, 1e-12);
        for ((person, other), out) in person.iter().zip(&other).zip(&out) {
            for ((p, o), y) in person.iter().zip(other).zip(out) {
                if *p > floor && *p > 10.0 * o {
                    before += p;
                    after += y.min(*p);
                }
            }
        }
        10.0 * (before / after).log10()
    }
}

/// Extended short-time objective intelligibility, after Jensen and Taal (2016): how alike segments
/// of both are, level and colour taken out.
fn likeness(truth: &[[f64; BANDS]], other: &[[f64; BANDS]]) -> f64 {
    let (mut sum, mut count) = (0.0, 0.0f64);
    let loud = truth.iter().map(|f| f.iter().sum::<f64>()).fold(0.0, f64::max);
    for (a, b) in truth.windows(SEGMENT).zip(other.windows(SEGMENT)) {
        if a.iter().map(|f| f.iter().sum::<f64>()).fold(0.0, f64::max) < loud / 100.0 {
            continue;
        }
        let (a, b) = (flattened(a), flattened(b));
        sum += a.iter().flatten().zip(b.iter().flatten()).map(|(x, y)| x * y).sum::<f64>()
            / SEGMENT as f64;
        count += 1.0;
    }
    sum / count.max(1.0)
}

/// Rows, then columns, with mean 0 and length 1.
fn flattened(segment: &[[f64; BANDS]]) -> Vec<Vec<f64>> {
    let mut rows: Vec<Vec<f64>> =
        (0..BANDS).map(|band| segment.iter().map(|f| f[band]).collect()).collect();
    rows.iter_mut().for_each(|row| normalise(row));
    let mut columns: Vec<Vec<f64>> =
        (0..segment.len()).map(|k| rows.iter().map(|row| row[k]).collect()).collect();
    columns.iter_mut().for_each(|column| normalise(column));
    columns
}

fn normalise(values: &mut [f64]) {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    values.iter_mut().for_each(|x| *x -= mean);
    let size = values.iter().map(|x| x * x).sum::<f64>().sqrt().max(1e-12);
    values.iter_mut().for_each(|x| *x /= size);
}
