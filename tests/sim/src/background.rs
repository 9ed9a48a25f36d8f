//! A person in a room with something that makes noise, and nothing played.

use crate::burst::Burst;
use crate::room::{RATE, Sounds, at, music, noise, response, scale, through};
use crate::seed::Seed;

/// Seconds of a scene, and where its parts begin: the noise alone, the person in it, the noise alone.
pub const PARTS: [f64; 4] = [0.0, 2.0, 11.0, 13.0];

/// What makes the noise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Noise that falls 3 dB an octave.
    Pink,
    /// Deep noise and a hum.
    Fan,
    /// Chords.
    Music,
    /// Many voices.
    Babble,
    /// Hardly anything: what a microphone makes by itself.
    Silence,
    /// Switches, keys and knocks, about one a second.
    Clicks,
    /// An appliance that calls.
    Beeps,
}

/// The person at `level_db`, `above_db` above the noise. `voices` are the speech of two talkers;
/// the person is the second.
pub fn talk(
    source: Source,
    level_db: f64,
    above_db: f64,
    seed: u64,
    voices: [&[f32]; 2],
) -> Sounds {
    let mut dice = Seed::new(seed);
    let length = at(PARTS[3]);
    let mut dry = vec![0.0; length];
    let said = &mut dry[at(PARTS[1])..at(PARTS[2])];
    for (x, s) in said.iter_mut().zip(voices[1].iter().cycle()) {
        *x = *s;
    }
    let mut person = through(&dry, &response(&mut dice, 0.1, 6.0));
    person[at(PARTS[2] + 0.1)..].fill(0.0);
    let mut hiss = sound(source, &mut dice, length, voices);
    scale(&mut person, level_db);
    scale(&mut hiss, level_db - above_db);
    let mic = person.iter().zip(&hiss).map(|(p, n)| (p + n).clamp(-1.0, 1.0)).collect();
    Sounds { mic, far: vec![0.0; length], echo: vec![0.0; length], person }
}

/// `seconds` of the noise alone, at `level_db`.
pub fn alone(
    source: Source,
    level_db: f64,
    seconds: f64,
    seed: u64,
    voices: [&[f32]; 2],
) -> Vec<f32> {
    let mut hiss = sound(source, &mut Seed::new(seed), at(seconds), voices);
    scale(&mut hiss, level_db);
    hiss
}

fn sound(source: Source, dice: &mut Seed, length: usize, voices: [&[f32]; 2]) -> Vec<f32> {
    match source {
        Source::Pink => pink(dice, length),
        Source::Fan => fan(dice, length),
        Source::Music => music(dice, length),
        Source::Babble => babble(dice, length, voices),
        Source::Silence => (0..length).map(|_| noise(dice)).collect(),
        Source::Clicks => clicks(dice, length),
        Source::Beeps => beeps(dice, length),
    }
}

/// Noise through poles an octave and a half apart.
fn pink(dice: &mut Seed, length: usize) -> Vec<f32> {
    let mut poles = [0.0f32; 5];
    (0..length)
        .map(|_| {
            let white = noise(dice);
            let mut sum = 0.1 * white;
            for (i, pole) in poles.iter_mut().enumerate() {
                let rate = 0.8 * 0.35f32.powi(i as i32);
                *pole += rate * (white - *pole);
                sum += *pole;
            }
            sum
        })
        .collect()
}

fn fan(dice: &mut Seed, length: usize) -> Vec<f32> {
    let mut low = [0.0f32; 2];
    (0..length)
        .map(|i| {
            low[0] += 0.35 * (noise(dice) - low[0]);
            low[1] += 0.35 * (low[0] - low[1]);
            let w = std::f64::consts::TAU * i as f64 / RATE as f64;
            let hum = (118.0 * w).sin() + 0.5 * (236.0 * w).sin() + 0.3 * (472.0 * w).sin();
            low[1] + 0.05 * hum as f32
        })
        .collect()
}

/// Either voice from seven places in it.
fn babble(dice: &mut Seed, length: usize, voices: [&[f32]; 2]) -> Vec<f32> {
    let mut sum = vec![0.0; length];
    for i in 0..7 {
        let voice = voices[i % 2];
        let from = (dice.unit() * voice.len() as f64) as usize;
        for (x, s) in sum.iter_mut().zip(voice.iter().cycle().skip(from)) {
            *x += *s;
        }
    }
    through(&sum, &response(dice, 0.4, -6.0))
}

fn clicks(dice: &mut Seed, length: usize) -> Vec<f32> {
    let mut out = Vec::with_capacity(length + at(2.0));
    while out.len() < length {
        out.extend(Burst::Click.sound(dice));
        let pause = at(0.6 * dice.unit());
        out.resize(out.len() + pause, 0.0);
    }
    out.truncate(length);
    out
}

/// Three tones of 200 ms, and a pause.
fn beeps(dice: &mut Seed, length: usize) -> Vec<f32> {
    let hz = 800.0 + 1600.0 * dice.unit();
    let sounds = |t: f64| t % 2.0 < 1.2 && t % 0.4 < 0.2;
    (0..length)
        .map(|i| i as f64 / RATE as f64)
        .map(|t| if sounds(t) { (std::f64::consts::TAU * hz * t).sin() as f32 } else { 0.0 })
        .collect()
}
