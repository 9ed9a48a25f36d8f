//! Noise suppression and gain control, scored on a person in noise.

use super::bench::{Voices, number};
use grok_speaker::base::unit::Rate;
use grok_speaker::speech::offline::{Sound, run};
use grok_speaker::speech::{Level, Options};
use grok_speaker_sim::background::{Source, talk};
use grok_speaker_sim::score::{Clean, clean};

/// The scenes and their thresholds.
pub(crate) fn table() -> toml::Table {
    include_str!("clean.toml").parse().expect("clean.toml")
}

/// Nothing but noise suppression.
pub(crate) fn suppression(level: Level) -> Options {
    Options { noise_suppression: level, gain_control: Level::Off, ..Options::default() }
}

/// What makes the noise of `scene`.
pub(crate) fn source(scene: &toml::Value) -> Source {
    match scene["noise"].as_str() {
        Some("pink") => Source::Pink,
        Some("fan") => Source::Fan,
        Some("music") => Source::Music,
        Some("babble") => Source::Babble,
        Some("silence") => Source::Silence,
        Some("clicks") => Source::Clicks,
        Some("beeps") => Source::Beeps,
        other => panic!("no noise {other:?}"),
    }
}

/// Plays a scene and scores what comes out.
pub(crate) fn trial(scene: &toml::Value, options: &Options, seed: u64, voices: &Voices) -> Clean {
    let source = source(scene);
    let (level, above) = (number(&scene["level"]), number(&scene["above"]));
    let sounds = talk(source, level, above, seed, [&voices.far, &voices.near]);
    let sound = |samples| Sound { samples, rate: Rate(16_000), channels: 1 };
    let mut out = Vec::new();
    let end = run(
        options,
        sound(&sounds.mic),
        Some(sound(&sounds.far)),
        None,
        &mut |_| {},
        &mut |block| out.extend_from_slice(&block.0),
    );
    clean(&sounds, &out, (end.delay.as_secs_f64() * 16_000.0).round() as usize)
}

/// What of `found` misses the thresholds of `entry` for noise suppression at `level`, in words.
pub(crate) fn harm(found: &Clean, entry: &toml::Value, level: &str) -> Vec<String> {
    let lost = number(&entry[if level == "high" { "lost_high" } else { "lost" }]);
    let least = number(&entry[level]);
    let mut missed = Vec::new();
    if found.clear < found.clear_before - lost {
        missed.push(format!("clear is {:.3} of {:.3}", found.clear, found.clear_before));
    }
    if found.lowered < least {
        missed.push(format!("noise is lowered {:.1} dB, not {least}", found.lowered));
    }
    missed
}

/// What of `found` misses the thresholds of `entry` for gain control, in words.
pub(crate) fn astray(found: &Clean, entry: &toml::Value) -> Vec<String> {
    let (low, high) = (number(&entry["out"][0]), number(&entry["out"][1]));
    let mut missed = Vec::new();
    if !(low..=high).contains(&found.level) {
        missed.push(format!("speech comes out at {:.1}, not {low} to {high}", found.level));
    }
    if found.pause > number(&entry["pause"]) {
        missed.push(format!("the pause is at {:.1}", found.pause));
    }
    if found.peak > 0.892 {
        missed.push(format!("a peak of {:.3}", found.peak));
    }
    missed
}
