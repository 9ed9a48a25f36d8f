//! Scenes in a simulated room, scored: what the tests and `make acoustic` share.

use grok_speaker::base::pcm::{BLOCK, from_i16};
use grok_speaker::base::unit::Rate;
use grok_speaker::dsp::resample::Resampler;
use grok_speaker::speech::chain::Chain;
use grok_speaker::speech::offline::{Line, Sound, pass};
use grok_speaker::speech::{Known, Level, Options};
use grok_speaker_sim::room::{Scene, Speaker, play};
use grok_speaker_sim::score::{Score, score};
use std::path::Path;
use std::time::Duration;

/// The scenes and their thresholds.
pub(crate) fn table() -> toml::Table {
    include_str!("thresholds.toml").parse().expect("thresholds.toml")
}

/// A scene as the table describes it.
pub(crate) fn scene(entry: &toml::Value) -> Scene {
    let mut scene = Scene::default();
    for (key, value) in entry["scene"].as_table().expect("a scene") {
        let number = || number(value);
        match key.as_str() {
            "delay_ms" => scene.delay_ms = number(),
            "decay_s" => scene.decay_s = number(),
            "direct_db" => scene.direct_db = number(),
            "echo_db" => scene.echo_db = number(),
            "person_db" => scene.person_db = number(),
            "noise_db" => scene.noise_db = number(),
            "drift_ppm" => scene.drift_ppm = number(),
            "jump_ms" => scene.jump_ms = number(),
            "moved" => scene.moved = value.as_bool().expect("a yes or no"),
            "music" => scene.music = value.as_bool().expect("a yes or no"),
            "speaker" => {
                scene.speaker = match value.as_str() {
                    Some("ideal") => Speaker::Ideal,
                    Some("mild") => Speaker::Mild,
                    Some("small") => Speaker::Small,
                    Some("clips") => Speaker::Clips,
                    other => panic!("no speaker {other:?}"),
                }
            }
            other => panic!("no parameter {other}"),
        }
    }
    scene
}

/// A number, written as a whole one or not.
pub(crate) fn number(value: &toml::Value) -> f64 {
    value.as_float().or(value.as_integer().map(|n| n as f64)).expect("a number")
}

/// What of `score` misses the thresholds of `entry`, in words.
pub(crate) fn missed(score: &Score, all: &toml::Value, entry: &toml::Value) -> Vec<String> {
    let values = [
        ("erle", score.erle, true),
        ("early", score.early, true),
        ("after", score.after, true),
        ("clear", score.clear, true),
        ("heard", score.heard, true),
        ("lost", score.lost, false),
        ("false_speech", score.false_speech, false),
    ];
    values
        .iter()
        .filter_map(|&(name, value, floor)| {
            let limit = number(entry.get(name).or(all.get(name))?);
            let good = if floor { value >= limit } else { value <= limit };
            (!good).then(|| format!("{name} is {value:.2}, not {limit}"))
        })
        .collect()
}

/// The two voices, without their long pauses.
pub(crate) struct Voices {
    pub(crate) far: Vec<f32>,
    pub(crate) near: Vec<f32>,
}

impl Voices {
    /// From `tests/`.
    pub(crate) fn read() -> Self {
        let far = [wav("speech/two_turns.wav"), wav("speech/five_turns.wav")].concat();
        let near = [wav("speech/barge_in.wav"), wav("golden/speech/question.wav")].concat();
        Self { far, near }
    }
}

/// Speech at 16 kHz; pauses are cut to 300 ms.
fn wav(name: &str) -> Vec<f32> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name);
    let mut wav = hound::WavReader::open(path).expect("a recording");
    let rate = wav.spec().sample_rate;
    let sound: Vec<f32> = wav.samples::<i16>().map(|s| from_i16(s.expect("a sample"))).collect();
    let mut resampler = Resampler::new(Rate(rate), Rate(16_000), sound.len());
    let mut out = Vec::with_capacity(resampler.output_max(sound.len()));
    resampler.process(&sound, &mut out);
    let mut quiet = 0;
    out.chunks(BLOCK)
        .filter(|block| {
            let silent = block.iter().all(|x| x.abs() < 0.003);
            quiet = if silent { quiet + 1 } else { 0 };
            quiet <= 30
        })
        .flatten()
        .copied()
        .collect()
}

/// Without gain control, which would move the levels that are compared.
fn plain() -> Options {
    Options { gain_control: Level::Off, ..Options::default() }
}

/// Plays a scene, runs the front end over it and scores what comes out. With `hint`, the delay is
/// told as a driver would.
pub(crate) fn trial(scene: &Scene, seed: u64, voices: &Voices, hint: bool) -> Score {
    heard(&mut Chain::new(&plain()), scene, seed, voices, hint)
}

/// The same with the echo path that was kept when the device heard other words in the same room.
pub(crate) fn second_trial(scene: &Scene, seed: u64, voices: &Voices, hint: bool) -> Score {
    let mut before = Chain::new(&plain());
    let (begin, rest) = voices.far.split_at(voices.far.len() / 3);
    let other = [rest, begin].concat();
    heard(&mut before, scene, seed, &Voices { far: other, near: voices.near.clone() }, hint);
    let path = before.path().copied();
    assert!(path.is_some(), "nothing was worth keeping");
    let mut chain = Chain::new(&plain());
    chain.know(&Known { delay: None, path });
    heard(&mut chain, scene, seed, voices, hint)
}

fn heard(chain: &mut Chain, scene: &Scene, seed: u64, voices: &Voices, hint: bool) -> Score {
    let sounds = play(scene, seed, &voices.far, &voices.near);
    let sound = |samples| Sound { samples, rate: Rate(16_000), channels: 1 };
    let hint = hint.then(|| Duration::from_secs_f64(((scene.delay_ms - 10.0).max(0.0)) / 1e3));
    let (mut out, mut edges) = (Vec::new(), Vec::new());
    let end = pass(
        chain,
        sound(&sounds.mic),
        Some(sound(&sounds.far)),
        hint,
        &mut |line| match line {
            Line::SpeechStart { t } => edges.push((t, true)),
            Line::SpeechStop { t } => edges.push((t, false)),
            Line::Wake { .. } | Line::Level { .. } | Line::End { .. } => {}
        },
        &mut |block| out.extend_from_slice(&block.0),
    );
    let mut talking = false;
    let mut edges = edges.into_iter().peekable();
    let said: Vec<bool> = (0..out.len() / BLOCK)
        .map(|i| {
            while let Some((_, on)) = edges.next_if(|(t, _)| *t <= i as f64 / 100.0) {
                talking = on;
            }
            talking
        })
        .collect();
    score(&sounds, &out, &said, (end.delay.as_secs_f64() * 16_000.0).round() as usize)
}
