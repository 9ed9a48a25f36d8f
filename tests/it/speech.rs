//! The front end on recordings, as the command `listen` runs it.
//!
//! `tests/golden/speech/question.wav` is speech from 1 s on, made by
//! ```text
//! espeak-ng -v en-us -s 150 -w raw.wav "What is the weather like today, and will it rain tomorrow?"
//! sox raw.wav -r 16000 -b 16 -c 1 question.wav gain -n -12 \
//!     silence 1 0.01 1% reverse silence 1 0.01 1% reverse pad 1 1.5
//! ```

use grok_speaker::base::pcm::from_i16;
use grok_speaker::base::unit::Rate;
use grok_speaker::dsp::resample::Resampler;
use grok_speaker::speech::offline::{End, Line, Sound, run};
use grok_speaker::speech::{Channel, Level, Options};
use std::time::Duration;

const SILENCE_BEFORE_S: f64 = 1.0;
const SILENCE_AFTER_S: f64 = 1.5;

fn question() -> Vec<f32> {
    let path =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/speech/question.wav");
    let mut wav = hound::WavReader::open(path).expect("the recording");
    assert_eq!(wav.spec().sample_rate, 16_000);
    wav.samples::<i16>().map(|s| from_i16(s.expect("a sample"))).collect()
}

fn mono(samples: &[f32], rate: u32) -> Sound<'_> {
    Sound { samples, rate: Rate(rate), channels: 1 }
}

struct Heard {
    lines: Vec<Line>,
    out: Vec<f32>,
    end: End,
}

fn listen(options: &Options, mic: Sound<'_>, far: Option<Sound<'_>>) -> Heard {
    let (mut lines, mut out) = (Vec::new(), Vec::new());
    let end = run(options, mic, far, None, &mut |line| lines.push(line), &mut |block| {
        out.extend_from_slice(&block.0);
    });
    Heard { lines, out, end }
}

/// Times of starts and stops.
fn edges(lines: &[Line]) -> (Vec<f64>, Vec<f64>) {
    let (mut starts, mut stops) = (Vec::new(), Vec::new());
    for line in lines {
        match line {
            Line::SpeechStart { t } => starts.push(*t),
            Line::SpeechStop { t } => stops.push(*t),
            Line::Wake { .. } | Line::Level { .. } | Line::End { .. } => {}
        }
    }
    (starts, stops)
}

fn resampled(samples: &[f32], to: u32) -> Vec<f32> {
    let mut resampler = Resampler::new(Rate(16_000), Rate(to), samples.len());
    let mut out = Vec::new();
    resampler.process(samples, &mut out);
    out
}

#[test]
fn a_question_starts_and_stops_once() {
    let mic = question();
    let speech_end = mic.len() as f64 / 16_000.0 - SILENCE_AFTER_S;
    let heard = listen(&Options::default(), mono(&mic, 16_000), None);
    let (starts, stops) = edges(&heard.lines);
    assert_eq!((starts.len(), stops.len()), (1, 1), "{starts:?} {stops:?}");
    let delay = starts[0] - SILENCE_BEFORE_S;
    assert!((0.0..=0.5).contains(&delay), "start {delay} s after the first sound");
    let hang = stops[0] - speech_end;
    assert!((0.1..=0.7).contains(&hang), "stop {hang} s after the last sound");
}

#[test]
fn an_i2s_microphone_in_one_slot_with_an_offset_is_heard_alike() {
    let plain = listen(&Options::default(), mono(&question(), 16_000), None);
    let loud = resampled(&question(), 48_000);
    for slot in 0..2 {
        // Speech at -20 dB with a microphone's noise and 3 % offset in one slot, a constant in the
        // other.
        let mut seed = 1u32;
        let mic: Vec<f32> = loud
            .iter()
            .flat_map(|x| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let noise = ((seed >> 16) as f32 / 32_768.0 - 1.0) * 1e-4;
                let mut frame = [0.4, 0.4];
                frame[slot] = x * 0.1 + noise + 0.03;
                frame
            })
            .collect();
        let sound = Sound { samples: &mic, rate: Rate(48_000), channels: 2 };
        let heard = listen(&Options::default(), sound, None);
        let (starts, stops) = edges(&heard.lines);
        let (starts_plain, stops_plain) = edges(&plain.lines);
        assert_eq!((starts.len(), stops.len()), (1, 1), "slot {slot}: {starts:?} {stops:?}");
        assert!((starts[0] - starts_plain[0]).abs() < 0.1, "{starts:?} {starts_plain:?}");
        assert!((stops[0] - stops_plain[0]).abs() < 0.25, "{stops:?} {stops_plain:?}");
    }
    // With the wrong slot named there is nothing to hear.
    let mic: Vec<f32> = loud.iter().flat_map(|x| [x * 0.03, 0.4]).collect();
    let sound = Sound { samples: &mic, rate: Rate(48_000), channels: 2 };
    let options = Options { channel: Channel::Number(1), ..Options::default() };
    assert!(edges(&listen(&options, sound, None).lines).0.is_empty());
}

#[test]
fn a_channel_of_several_is_heard_as_it_is_alone() {
    let loud = resampled(&question(), 48_000);
    let alone = listen(&Options::default(), mono(&loud, 48_000), None);
    for number in 0..3 {
        let mic: Vec<f32> = loud
            .iter()
            .flat_map(|x| {
                let mut frame = [0.4, f32::NAN, 9.0];
                frame[usize::from(number)] = *x;
                frame
            })
            .collect();
        let sound = Sound { samples: &mic, rate: Rate(48_000), channels: 3 };
        let options = Options { channel: Channel::Number(number), ..Options::default() };
        assert_eq!(listen(&options, sound, None).out, alone.out, "channel {number}");
    }
}

#[test]
fn the_output_covers_the_recording_and_is_late_by_delay_ms() {
    let mic = question();
    for rate in [8_000, 16_000, 44_100, 48_000, 96_000] {
        let sound = if rate == 16_000 { mic.clone() } else { resampled(&mic, rate) };
        let up_delay = if rate == 16_000 {
            0.0
        } else {
            Resampler::new(Rate(16_000), Rate(rate), 1).delay().as_secs_f64()
        };
        let heard = listen(&Options::default(), mono(&sound, rate), None);
        let expected = (heard.end.delay.as_secs_f64() + up_delay) * 16_000.0;
        // The shift at which the output is most like the recording.
        let part = &mic[20_000..36_000];
        let likeness = |shift: usize| -> f64 {
            part.iter().zip(&heard.out[20_000 + shift..]).map(|(a, b)| f64::from(a * b)).sum()
        };
        let best = (0..400).max_by(|a, b| likeness(*a).total_cmp(&likeness(*b))).expect("a shift");
        assert!((best as f64 - expected).abs() <= 2.0, "{rate}: {best}, not {expected}");
        let seconds = sound.len() as f64 / f64::from(rate) + heard.end.delay.as_secs_f64();
        let out = heard.out.len() as f64 / 16_000.0;
        assert!((seconds..seconds + 0.021).contains(&out), "{rate}: {out} s of {seconds}");
        assert!(heard.end.delay <= Duration::from_millis(15), "{rate}: {:?}", heard.end.delay);
    }
}

#[test]
fn levels_come_once_a_second() {
    let tone = |amplitude: f64| -> Vec<f32> {
        let w = std::f64::consts::TAU * 1000.0 / 16_000.0;
        (0..56_000).map(|i| (amplitude * (w * f64::from(i)).sin()) as f32).collect()
    };
    let (mic, far) = (tone(0.5), tone(0.05));
    let options = Options {
        echo_cancellation: Level::Off,
        noise_suppression: Level::Off,
        ..Options::default()
    };
    let heard = listen(&options, mono(&mic, 16_000), Some(mono(&far, 16_000)));
    let levels: Vec<_> = heard
        .lines
        .iter()
        .filter_map(|line| match line {
            Line::Level { t, mic_dbfs, far_dbfs, erle_db } => {
                Some((*t, *mic_dbfs, *far_dbfs, *erle_db))
            }
            Line::Wake { .. }
            | Line::SpeechStart { .. }
            | Line::SpeechStop { .. }
            | Line::End { .. } => None,
        })
        .collect();
    assert_eq!(levels, [(1.0, -9.0, -29.0, 0.0), (2.0, -9.0, -29.0, 0.0), (3.0, -9.0, -29.0, 0.0)]);
    assert_eq!(heard.end.audio, Duration::from_millis(3500));
}

#[test]
fn lines_are_the_contract() {
    let json = |line: &Line| serde_json::to_string(line).expect("a line");
    let wake = Line::Wake { t: 1.23, word: "okay".to_owned(), score: 0.97 };
    assert_eq!(json(&wake), r#"{"event":"wake","t":1.23,"word":"okay","score":0.97}"#);
    assert_eq!(json(&Line::SpeechStart { t: 0.5 }), r#"{"event":"speech_start","t":0.5}"#);
    assert_eq!(json(&Line::SpeechStop { t: 0.5 }), r#"{"event":"speech_stop","t":0.5}"#);
    let level = Line::Level { t: 1.0, mic_dbfs: -9.0, far_dbfs: -144.0, erle_db: 0.0 };
    assert_eq!(
        json(&level),
        r#"{"event":"level","t":1.0,"mic_dbfs":-9.0,"far_dbfs":-144.0,"erle_db":0.0}"#
    );
    let end =
        End { audio: Duration::from_millis(3500), delay: Duration::from_millis(1), replaced: 0 };
    assert_eq!(
        json(&end.line(Duration::from_micros(12_340))),
        r#"{"event":"end","audio_s":3.5,"cpu_s":0.0123,"delay_ms":1.0}"#
    );
}

#[test]
fn nothing_in_gives_an_end_and_no_words() {
    for mic in [vec![], vec![0.0; 5], vec![f32::NAN; 48_000]] {
        let heard = listen(&Options::default(), mono(&mic, 16_000), None);
        assert!(edges(&heard.lines).0.is_empty());
        assert!(heard.out.iter().all(|x| *x == 0.0));
        assert_eq!(heard.end.replaced, mic.iter().filter(|x| x.is_nan()).count() as u64);
    }
}
