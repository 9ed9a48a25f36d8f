//! A room with a speaker, a microphone and a person: what the microphone hears, and of what it is
//! made.
//!
//! The echo's path is a delay, a loudspeaker and a decaying response; the person's is a response of
//! its own. A talker is recorded speech; music and noise are made here. Sound is mono at 16 kHz.

use crate::seed::Seed;

/// Samples a second.
pub const RATE: usize = 16_000;
/// Seconds of a scene, and where its parts begin: the speaker alone, the person alone, both, the
/// speaker alone behind a change.
pub const PARTS: [f64; 5] = [0.0, 6.0, 8.5, 13.5, 18.0];

/// What the loudspeaker does to sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaker {
    /// Nothing.
    Ideal,
    /// Bends it a little.
    Mild,
    /// As a small one at its limit.
    Small,
    /// Cuts its peaks off.
    Clips,
}

/// A situation. Levels are those of sound while it is active.
#[derive(Debug, Clone)]
pub struct Scene {
    /// From playing to hearing.
    pub delay_ms: f64,
    /// Seconds until the room's answer is 60 dB down.
    pub decay_s: f64,
    /// Direct sound above the rest of the echo's path.
    pub direct_db: f64,
    /// Echo at the microphone.
    pub echo_db: f64,
    /// The person above the echo.
    pub person_db: f64,
    /// The person above the noise.
    pub noise_db: f64,
    /// The speaker.
    pub speaker: Speaker,
    /// The microphone's clock above the speaker's.
    pub drift_ppm: f64,
    /// The delay grows by this before the last part.
    pub jump_ms: f64,
    /// The device is moved before the last part.
    pub moved: bool,
    /// Music is played instead of speech.
    pub music: bool,
}

impl Default for Scene {
    fn default() -> Self {
        Self {
            delay_ms: 60.0,
            decay_s: 0.2,
            direct_db: 8.0,
            echo_db: -24.0,
            person_db: -10.0,
            noise_db: 30.0,
            speaker: Speaker::Mild,
            drift_ppm: 0.0,
            jump_ms: 0.0,
            moved: false,
            music: false,
        }
    }
}

/// What a scene sounds like.
#[derive(Debug, Clone)]
pub struct Sounds {
    /// What the microphone hears: everything below together.
    pub mic: Vec<f32>,
    /// What was played.
    pub far: Vec<f32>,
    /// Of the speaker.
    pub echo: Vec<f32>,
    /// Of the person.
    pub person: Vec<f32>,
}

/// Plays a scene. `far` and `near` are the speech of the two voices.
pub fn play(scene: &Scene, seed: u64, far: &[f32], near: &[f32]) -> Sounds {
    let mut dice = Seed::new(seed);
    let length = at(PARTS[4]);
    let mut played = vec![0.0; length];
    let music = scene.music.then(|| music(&mut dice, length));
    let voice = music.as_deref().unwrap_or(far);
    let half = voice.len() / 2;
    place(&mut played, PARTS[0] + 0.3, PARTS[1] - 0.4, voice);
    place(&mut played, PARTS[2], PARTS[4] - 0.3, &voice[half..]);
    let top = played.iter().fold(1e-9f32, |top, x| top.max(x.abs()));
    played.iter_mut().for_each(|x| *x *= 0.7 / top);
    let mut dry = vec![0.0; length];
    let half = near.len() / 2;
    place(&mut dry, PARTS[1] + 0.1, PARTS[2] - 0.3, near);
    place(&mut dry, PARTS[2] + 0.8, PARTS[3] - 0.4, &near[half..]);

    let loud: Vec<f32> = played.iter().map(|&x| speak(x, scene.speaker)).collect();
    let [before, after] = [0, 1].map(|_| response(&mut dice, scene.decay_s, scene.direct_db));
    let delay = scene.delay_ms + dice.unit() * 10.0 - 5.0;
    let change = at(PARTS[3]);
    let late = travel(&loud, delay, scene.drift_ppm, scene.jump_ms, change);
    let mut echo = through(&late, &before);
    if scene.moved {
        let other = through(&late, &after);
        echo[change..].copy_from_slice(&other[change..]);
    }
    let mut person = through(&dry, &response(&mut dice, scene.decay_s, 2.0));
    let level = scene.echo_db + scene.person_db;
    scale(&mut echo, scene.echo_db);
    scale(&mut person, level);
    let mut hiss = vec![0.0; length];
    let mut low = 0.0;
    for x in &mut hiss {
        low += 0.3 * (noise(&mut dice) - low);
        *x = low;
    }
    scale(&mut hiss, level - scene.noise_db);
    let mic = (0..length).map(|i| (echo[i] + person[i] + hiss[i]).clamp(-1.0, 1.0)).collect();
    Sounds { mic, far: played, echo, person }
}

/// Samples from the beginning.
pub fn at(seconds: f64) -> usize {
    (seconds * RATE as f64) as usize
}

pub(crate) fn noise(dice: &mut Seed) -> f32 {
    (dice.unit() * 2.0 - 1.0) as f32
}

fn place(to: &mut [f32], begin: f64, end: f64, sound: &[f32]) {
    for (x, s) in to[at(begin)..at(end)].iter_mut().zip(sound) {
        *x = *s;
    }
}

pub(crate) fn speak(x: f32, speaker: Speaker) -> f32 {
    let bent = |drive: f32, lean: f32| (drive * x + lean * (drive * x).powi(2)).tanh() / drive;
    match speaker {
        Speaker::Ideal => x,
        Speaker::Mild => bent(0.9, 0.05),
        Speaker::Small => bent(1.8, 0.15),
        Speaker::Clips => (4.0 * x + 4.0 * x * x).clamp(-1.0, 0.85) / 4.0,
    }
}

/// Direct sound, a few early reflections, a decaying tail.
pub(crate) fn response(dice: &mut Seed, decay_s: f64, direct_db: f64) -> Vec<f32> {
    let length = at(decay_s * 1.1);
    let mut low = 0.0;
    let mut tail: Vec<f32> = (0..length)
        .map(|i| {
            low += 0.8 * (noise(dice) - low);
            let level = 10f64.powf(-3.0 * i as f64 / RATE as f64 / decay_s) as f32;
            if i < at(0.003) { 0.0 } else { low * level }
        })
        .collect();
    for _ in 0..6 {
        let lag = at(0.001 + 0.011 * dice.unit());
        tail[lag] += (1.0 + dice.unit() as f32) * noise(dice).signum();
    }
    let power: f32 = tail.iter().map(|x| x * x).sum();
    let share = 10f32.powf(-direct_db as f32 / 20.0) / power.sqrt();
    tail.iter_mut().for_each(|x| *x *= share);
    tail[8] += 1.0;
    tail
}

pub(crate) fn through(sound: &[f32], response: &[f32]) -> Vec<f32> {
    let mut out = vec![0.0; sound.len() + response.len()];
    for (i, &x) in sound.iter().enumerate().filter(|(_, x)| x.abs() > 1e-7) {
        for (y, h) in out[i..].iter_mut().zip(response) {
            *y += x * h;
        }
    }
    out.truncate(sound.len());
    out
}

/// The way from the speaker's clock to the microphone's.
fn travel(sound: &[f32], delay_ms: f64, ppm: f64, jump_ms: f64, change: usize) -> Vec<f32> {
    (0..sound.len())
        .map(|i| {
            let ms = if i < change { delay_ms } else { delay_ms + jump_ms };
            between(sound, i as f64 * (1.0 - ppm * 1e-6) - ms * RATE as f64 / 1000.0)
        })
        .collect()
}

/// The sound at a moment between its samples.
pub(crate) fn between(sound: &[f32], from: f64) -> f32 {
    const HALF: i64 = 16;
    let value = |i: i64| usize::try_from(i).ok().and_then(|i| sound.get(i)).copied().unwrap_or(0.0);
    let (whole, part) = (from.floor(), from - from.floor());
    let sum: f64 = (1 - HALF..=HALF)
        .map(|k| {
            let x = k as f64 - part;
            let window = 0.5 + 0.5 * (std::f64::consts::PI * x / HALF as f64).cos();
            let angle = std::f64::consts::PI * x;
            let sinc = if x.abs() < 1e-9 { 1.0 } else { angle.sin() / angle };
            sinc * window * f64::from(value(whole as i64 + k))
        })
        .sum();
    sum as f32
}

/// Mean power of the 10 ms that are within 25 dB of the loud ones.
pub fn active(sound: &[f32]) -> f64 {
    let mut powers: Vec<f64> = sound
        .chunks_exact(RATE / 100)
        .map(|c| c.iter().map(|x| f64::from(x * x)).sum::<f64>() / c.len() as f64)
        .collect();
    powers.sort_by(f64::total_cmp);
    let loud = powers.get(powers.len() * 95 / 100).copied().unwrap_or(0.0);
    let kept: Vec<f64> = powers.into_iter().filter(|p| *p > loud / 316.0).collect();
    kept.iter().sum::<f64>() / kept.len().max(1) as f64
}

pub(crate) fn scale(sound: &mut [f32], level_db: f64) {
    let gain = (10f64.powf(level_db / 10.0) / active(sound).max(1e-20)).sqrt() as f32;
    sound.iter_mut().for_each(|x| *x *= gain);
}

/// Chords that fade, with a click of noise at each beat.
pub fn music(dice: &mut Seed, length: usize) -> Vec<f32> {
    let mut out = vec![0.0; length];
    for (beat, begin) in (0..length).step_by(at(0.4)).enumerate() {
        let root = [220.0, 174.6, 261.6, 196.0][beat / 4 % 4];
        let end = (begin + at(1.2)).min(length);
        for interval in [0.5, 1.0, 1.26, 1.5, 2.0] {
            for partial in 1..7 {
                let w = std::f64::consts::TAU * root * interval * f64::from(partial) / RATE as f64;
                let start = dice.unit() * std::f64::consts::TAU;
                let size = f64::from(partial).powf(-1.4);
                for (i, x) in out[begin..end].iter_mut().enumerate() {
                    let t = i as f64 / RATE as f64;
                    let shape = (-t / 0.35).exp() * (t / 0.004).min(1.0);
                    *x += (size * shape * (w * i as f64 + start).sin()) as f32;
                }
            }
        }
        for (i, x) in out[begin..end].iter_mut().take(at(0.05)).enumerate() {
            *x += noise(dice) * (-(i as f32) / 200.0).exp();
        }
    }
    out
}
