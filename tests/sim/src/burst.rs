//! Sounds of a household that are no speech: what must not stop a reply.

use crate::room::{RATE, at, noise};
use crate::seed::Seed;
use std::f64::consts::{PI, TAU};

/// What makes the sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Burst {
    /// A switch, a key, a knock: some milliseconds, once to three times.
    Click,
    /// A door: a crack and a boom that fades.
    Slam,
    /// Two or three coughs.
    Cough,
    /// Somebody breathes at the microphone.
    Breath,
    /// Things of metal and glass.
    Cutlery,
}

impl Burst {
    /// All.
    pub const ALL: [Self; 5] = [Self::Click, Self::Slam, Self::Cough, Self::Breath, Self::Cutlery];

    /// One of its sounds, with a peak of about 1.
    pub fn sound(self, dice: &mut Seed) -> Vec<f32> {
        match self {
            Self::Click => click(dice),
            Self::Slam => slam(dice),
            Self::Cough => cough(dice),
            Self::Breath => breath(dice),
            Self::Cutlery => cutlery(dice),
        }
    }
}

fn span(dice: &mut Seed, low: f64, high: f64) -> f64 {
    low + (high - low) * dice.unit()
}

/// A tone that fades to 1/e in `fade` seconds.
fn ring(out: &mut [f32], hz: f64, fade: f64, size: f64, start: f64) {
    for (i, x) in out.iter_mut().enumerate() {
        let t = i as f64 / RATE as f64;
        *x += (size * (-t / fade).exp() * (TAU * hz * t + start).sin()) as f32;
    }
}

fn click(dice: &mut Seed) -> Vec<f32> {
    let mut out = vec![0.0; at(0.9)];
    let mut begin = 0.0;
    for _ in 0..dice.between(1, 4) {
        let (hz, fade) = (span(dice, 1200.0, 5000.0), span(dice, 0.001, 0.006));
        ring(&mut out[at(begin)..], hz, fade, 0.6, 0.0);
        for x in &mut out[at(begin)..at(begin + 0.003)] {
            *x += 0.5 * noise(dice);
        }
        begin += span(dice, 0.08, 0.25);
    }
    out
}

fn slam(dice: &mut Seed) -> Vec<f32> {
    let mut out = vec![0.0; at(0.7)];
    for _ in 0..5 {
        let (hz, fade) = (span(dice, 50.0, 350.0), span(dice, 0.04, 0.18));
        let (size, start) = (span(dice, 0.2, 0.6), span(dice, 0.0, TAU));
        ring(&mut out, hz, fade, size, start);
    }
    let fade = span(dice, 0.02, 0.06) * RATE as f64;
    let mut low = 0.0;
    for (i, x) in out.iter_mut().enumerate() {
        low += 0.25 * (noise(dice) - low);
        *x += 1.2 * low * (-(i as f64) / fade).exp() as f32;
    }
    out
}

/// Noise through the resonances of a throat; a third of them end with voice.
fn cough(dice: &mut Seed) -> Vec<f32> {
    let mut out = vec![0.0; at(1.6)];
    let formants =
        [span(dice, 450.0, 800.0), span(dice, 1200.0, 1900.0), span(dice, 2400.0, 3300.0)];
    let (voiced, hz) = (dice.once_in(3), span(dice, 110.0, 240.0));
    let mut begin = 0.0;
    for _ in 0..dice.between(2, 4) {
        let length = at(span(dice, 0.15, 0.3));
        let fade = span(dice, 0.05, 0.1) * RATE as f64;
        let attack = span(dice, 0.004, 0.012) * RATE as f64;
        let mut source: Vec<f32> = (0..length)
            .map(|i| {
                let i = i as f64;
                noise(dice) * ((i / attack).min(1.0) * (-i / fade).exp()) as f32
            })
            .collect();
        if voiced {
            let (from, to) = (length / 3, length * 3 / 4);
            let period = (RATE as f64 / hz) as usize;
            for i in (from..to).step_by(period) {
                let shape = (PI * (i - from) as f64 / (to - from) as f64).sin();
                source[i] += (1.5 * shape) as f32;
            }
        }
        resonate(&mut source, &formants);
        for (x, s) in out[at(begin)..].iter_mut().zip(&source) {
            *x += s;
        }
        begin += length as f64 / RATE as f64 + span(dice, 0.08, 0.2);
    }
    level(out)
}

fn resonate(sound: &mut [f32], formants: &[f64]) {
    let mut sum = vec![0.0f32; sound.len()];
    for (k, hz) in formants.iter().enumerate() {
        let radius = (-PI * (120.0 + 60.0 * k as f64) / RATE as f64).exp();
        let (a, b) = (2.0 * radius * (TAU * hz / RATE as f64).cos(), -radius * radius);
        let (mut one, mut two) = (0.0, 0.0);
        for (x, y) in sound.iter().zip(&mut sum) {
            let now = f64::from(*x) * (1.0 - radius) + a * one + b * two;
            (one, two) = (now, one);
            *y += now as f32;
        }
    }
    for (x, y) in sound.iter_mut().zip(&sum) {
        *x = *y + 0.05 * *x;
    }
}

fn breath(dice: &mut Seed) -> Vec<f32> {
    let length = at(span(dice, 0.3, 0.8));
    let (mut low, mut slow) = (0.0, 0.0);
    let (wide, floor) = (span(dice, 0.3, 0.7) as f32, span(dice, 0.02, 0.1) as f32);
    let out = (0..length)
        .map(|i| {
            low += wide * (noise(dice) - low);
            slow += floor * (low - slow);
            (low - slow) * (PI * i as f64 / length as f64).sin().powi(2) as f32
        })
        .collect();
    level(out)
}

fn cutlery(dice: &mut Seed) -> Vec<f32> {
    let mut out = vec![0.0; at(1.0)];
    for _ in 0..dice.between(1, 5) {
        let begin = at(span(dice, 0.0, 0.5));
        let size = span(dice, 0.3, 1.0);
        for _ in 0..dice.between(3, 7) {
            let (hz, fade) = (span(dice, 1800.0, 7000.0), span(dice, 0.02, 0.12));
            ring(&mut out[begin..], hz, fade, size * 0.3, span(dice, 0.0, TAU));
        }
    }
    out
}

fn level(mut sound: Vec<f32>) -> Vec<f32> {
    let top = sound.iter().fold(1e-9f32, |top, x| top.max(x.abs()));
    sound.iter_mut().for_each(|x| *x /= top);
    sound
}

/// Mean power of the loudest 20 ms: what a short sound's level is.
pub fn loudest(sound: &[f32]) -> f64 {
    sound
        .chunks(RATE / 50)
        .map(|c| c.iter().map(|x| f64::from(x * x)).sum::<f64>() / c.len() as f64)
        .fold(1e-20, f64::max)
}
