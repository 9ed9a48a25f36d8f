//! The voice detector in noise: what it takes for speech, and what it does not. Nothing is played.

use super::bench::{Voices, number};
use super::clean::source;
use grok_speaker::base::pcm::BLOCK;
use grok_speaker::base::unit::Rate;
use grok_speaker::speech::Options;
use grok_speaker::speech::offline::{Line, Sound, run};
use grok_speaker_sim::background::{PARTS, alone, talk};

/// Blocks in a second.
const SECOND: f64 = 100.0;
/// Seconds for which the noise goes on before it is judged, and then, alone.
const BEFORE: f64 = 20.0;
const ALONE: f64 = 60.0;
/// Speech ends later for the detector: its hang-over and the decision.
const HANG: f64 = 0.5;

/// What the detector said of a person in noise.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Heard {
    /// Share of the person's blocks that it took for speech.
    pub(crate) heard: f64,
    /// Share of the blocks of noise alone that it took for speech, before and after.
    pub(crate) mistaken: f64,
    /// Seconds from the person's first sound to the decision; the length of the scene if it never came.
    pub(crate) onset: f64,
}

/// What it said of noise alone.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mistaken {
    /// Share of the blocks that it took for speech.
    pub(crate) share: f64,
    /// Times a minute at which speech began.
    pub(crate) starts: f64,
}

/// The scenes and their thresholds.
pub(crate) fn table() -> toml::Table {
    include_str!("voice.toml").parse().expect("voice.toml")
}

/// Block by block, whether somebody speaks.
fn decisions(mic: &[f32]) -> Vec<bool> {
    let mut said = vec![false; mic.len() / BLOCK];
    let mut edge = |t: f64, on: bool| {
        let from = at(t).min(said.len());
        said[from..].fill(on);
    };
    let mut lines = |line| match line {
        Line::SpeechStart { t } => edge(t, true),
        Line::SpeechStop { t } => edge(t, false),
        Line::Wake { .. } | Line::Level { .. } | Line::End { .. } => {}
    };
    let mic = Sound { samples: mic, rate: Rate(16_000), channels: 1 };
    run(&Options::default(), mic, None, None, &mut lines, &mut |_| {});
    said
}

/// A person in noise.
pub(crate) fn in_noise(scene: &toml::Value, seed: u64, voices: &Voices) -> Heard {
    let (level, above) = (number(&scene["level"]), number(&scene["above"]));
    let both = [&voices.far[..], &voices.near[..]];
    let sounds = talk(source(scene), level, above, seed, both);
    let before = alone(source(scene), level - above, BEFORE, seed + 100, both);
    let said = decisions(&[before, sounds.mic].concat());
    let said = &said[at(BEFORE)..];
    let faint = 10f64.powf(0.1 * (level - 25.0));
    let power = |block: &[f32]| block.iter().map(|x| f64::from(x * x)).sum::<f64>() / BLOCK as f64;
    let speaks: Vec<bool> = sounds.person.chunks_exact(BLOCK).map(|b| power(b) > faint).collect();
    let first = speaks.iter().position(|on| *on).expect("somebody speaks");
    let onset = said[first..].iter().position(|on| *on).unwrap_or(said.len());
    let noise = [&said[..first], &said[at(PARTS[2] + HANG)..at(PARTS[3])]].concat();
    // What comes before the decision is the onset, and counted there.
    let blocks = speaks.iter().zip(said).skip(first + onset);
    let person: Vec<bool> = blocks.filter(|(on, _)| **on).map(|(_, said)| *said).collect();
    Heard { heard: share(&person), mistaken: share(&noise), onset: onset as f64 / SECOND }
}

/// Noise alone.
pub(crate) fn of_noise(scene: &toml::Value, seed: u64, voices: &Voices) -> Mistaken {
    let level = number(&scene["level"]);
    let both = [&voices.far[..], &voices.near[..]];
    let said = decisions(&alone(source(scene), level, BEFORE + ALONE, seed, both));
    let said = &said[at(BEFORE)..];
    let starts = said.windows(2).filter(|pair| !pair[0] && pair[1]).count();
    Mistaken { share: share(said), starts: starts as f64 * 60.0 / ALONE }
}

fn at(t: f64) -> usize {
    (t * SECOND) as usize
}

fn share(said: &[bool]) -> f64 {
    said.iter().filter(|on| **on).count() as f64 / said.len().max(1) as f64
}
