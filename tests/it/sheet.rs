//! What tests measure with: the stand-in's wire log, WAV files, and correlation between them.

use serde_json::Value;
use std::path::Path;
use std::time::Duration;

/// Samples a second everything is compared at: speech has most of its power below 4 kHz.
const RATE: f64 = 8_000.0;
/// How much coarser the first search is.
const COARSE: usize = 4;
/// Louder than rounding, far below speech.
const SILENCE: f32 = 1e-3;
/// How far from where it is first heard a reply may begin, in seconds: it begins with a breath.
const LEAD: f64 = 0.5;

/// Lets real time pass; the tests of the whole daemon have no other kind.
#[expect(clippy::disallowed_methods, reason = "another process lives in real time")]
pub(crate) fn pause(span: Duration) {
    std::thread::sleep(span);
}

/// A stretch of mono sound at [`RATE`].
#[derive(Clone)]
pub(crate) struct Wav(Vec<f32>);

impl Wav {
    pub(crate) fn read(path: &Path) -> Self {
        let mut reader = hound::WavReader::open(path).unwrap();
        let spec = reader.spec();
        let full = f32::from(i16::MAX);
        let all: Vec<f32> = reader.samples::<i16>().map(|s| f32::from(s.unwrap()) / full).collect();
        let mono: Vec<f32> = all.chunks(usize::from(spec.channels)).map(|f| f[0]).collect();
        Self(decimate(&mono, f64::from(spec.sample_rate)))
    }

    /// Mono sound at `rate`.
    pub(crate) fn of(samples: &[f32], rate: f64) -> Self {
        Self(decimate(samples, rate))
    }

    /// From one second to another; shorter where there is no more.
    pub(crate) fn part(&self, from: f64, to: f64) -> Self {
        let at = |t: f64| ((t.max(0.0) * RATE).round() as usize).min(self.0.len());
        Self(self.0[at(from)..at(to).max(at(from))].to_vec())
    }

    /// The last second at which it is louder than `bar`.
    pub(crate) fn last_above(&self, bar: f32) -> Option<f64> {
        self.0.iter().rposition(|s| s.abs() > bar).map(|i| i as f64 / RATE)
    }

    /// The first second from `from` on at which it is louder than `bar`.
    pub(crate) fn first_above(&self, bar: f32, from: f64) -> Option<f64> {
        let start = ((from * RATE) as usize).min(self.0.len());
        let found = self.0[start..].iter().position(|s| s.abs() > bar)?;
        Some((start + found) as f64 / RATE)
    }

    pub(crate) fn power(&self) -> f64 {
        self.0.iter().map(|s| f64::from(s * s)).sum::<f64>() / self.0.len().max(1) as f64
    }

    pub(crate) fn seconds(&self) -> f64 {
        self.0.len() as f64 / RATE
    }

    pub(crate) fn loudest(&self) -> f32 {
        self.0.iter().fold(0.0, |m, s| m.max(s.abs()))
    }

    /// Where `part` is found from second `from` on, and how like it is there (gain does not count).
    /// Looked for at a quarter of the rate first: the exact search of a minute takes too long.
    pub(crate) fn find(&self, part: &Self, from: f64) -> (f64, f64) {
        let (coarse, coarse_part) = (self.coarse(), part.coarse());
        let first = (from * RATE) as usize / COARSE;
        let last = coarse.0.len().saturating_sub(coarse_part.0.len() * 9 / 10);
        let near = best(first..=last, |at| coarse.likeness(&coarse_part, at)).0 * COARSE;
        let around = near.saturating_sub(2 * COARSE)..=near + 2 * COARSE;
        let (at, likeness) = best(around, |at| self.likeness(part, at));
        (at as f64 / RATE, likeness)
    }

    /// Where `part` is found around the next sound from second `from` on: the search of a whole
    /// recording takes ten times as long.
    pub(crate) fn find_next(&self, part: &Self, from: f64) -> (f64, f64) {
        let sound = self.first_above(SILENCE, from).unwrap_or(from);
        let start = (sound - LEAD).max(from);
        let (at, likeness) = self.part(start, sound + LEAD + part.seconds()).find(part, 0.0);
        (start + at, likeness)
    }

    fn coarse(&self) -> Self {
        Self(decimate(&self.0, RATE * COARSE as f64))
    }

    fn likeness(&self, part: &Self, start: usize) -> f64 {
        let here = &self.0[start.min(self.0.len())..self.0.len().min(start + part.0.len())];
        let (mut xy, mut xx, mut yy) = (0.0f64, 1e-9f64, 1e-9f64);
        for (x, y) in here.iter().zip(&part.0) {
            xy += f64::from(x * y);
            xx += f64::from(x * x);
            yy += f64::from(y * y);
        }
        xy / (xx * yy).sqrt()
    }

    /// Mean power outside all of `parts`, each with the second where it begins.
    pub(crate) fn without(&self, parts: &[(f64, Self)]) -> f64 {
        let mut rest = self.clone();
        for (at, part) in parts {
            let start = ((at * RATE) as usize).min(rest.0.len());
            let end = rest.0.len().min(start + part.0.len());
            rest.0[start..end].fill(0.0);
        }
        rest.power()
    }
}

fn best(range: std::ops::RangeInclusive<usize>, likeness: impl Fn(usize) -> f64) -> (usize, f64) {
    let mut found = (*range.start(), 0.0);
    for at in range {
        let here = likeness(at);
        if here > found.1 {
            found = (at, here);
        }
    }
    found
}

/// Lowers the rate by the mean of neighbours, to `RATE * RATE / rate`.
fn decimate(samples: &[f32], rate: f64) -> Vec<f32> {
    let step = rate / RATE;
    let count = (samples.len() as f64 / step) as usize;
    (0..count)
        .map(|i| {
            let (a, b) = ((i as f64 * step) as usize, ((i + 1) as f64 * step) as usize);
            samples[a..b].iter().sum::<f32>() / (b - a) as f32
        })
        .collect()
}

/// The stand-in's wire log.
pub(crate) struct Log(Vec<Value>);

impl Log {
    pub(crate) fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        Self(text.lines().filter_map(|l| serde_json::from_str(l).ok()).collect())
    }

    fn of<'a>(&'a self, dir: &'a str, kind: &'a str) -> impl Iterator<Item = &'a Value> {
        self.0.iter().filter(move |l| l["dir"] == dir && l["type"] == kind)
    }

    pub(crate) fn done(&self) -> usize {
        self.of("out", "response.done").count()
    }

    /// When each event of a kind passed, in seconds of the log.
    pub(crate) fn times(&self, dir: &str, kind: &str) -> Vec<f64> {
        self.of(dir, kind).filter_map(|l| l["t"].as_f64()).collect()
    }

    /// When the first sound of each reply left the service.
    pub(crate) fn first_deltas(&self) -> Vec<f64> {
        let mut found: Vec<(&Value, f64)> = Vec::new();
        for line in self.of("out", "response.output_audio.delta") {
            let id = &line["event"]["response_id"];
            if found.last().is_none_or(|l| l.0 != id) {
                found.push((id, line["t"].as_f64().unwrap()));
            }
        }
        found.into_iter().map(|f| f.1).collect()
    }

    /// The instructions the client gave last.
    pub(crate) fn instructions(&self) -> Option<&str> {
        self.of("in", "session.update").last()?["event"]["session"]["instructions"].as_str()
    }

    /// Where the client cut replies off, in milliseconds of their sound.
    pub(crate) fn truncations(&self) -> Vec<u64> {
        self.of("in", "conversation.item.truncate")
            .filter_map(|l| l["event"]["audio_end_ms"].as_u64())
            .collect()
    }

    /// Seconds of audio the client sent, at 16 kHz.
    pub(crate) fn audio_sent(&self) -> f64 {
        self.of("in", "input_audio_buffer.append")
            .map(|l| {
                l["event"]["audio"].as_str().unwrap_or_default().len() as f64 * 0.75 / 32_000.0
            })
            .sum()
    }

    /// The sound of each reply, in order.
    pub(crate) fn replies(&self) -> Vec<Wav> {
        use base64::Engine as _;
        let mut replies: Vec<(String, Vec<f32>)> = Vec::new();
        for line in self.of("out", "response.output_audio.delta") {
            let id = line["event"]["response_id"].as_str().unwrap().to_owned();
            let bytes = base64::engine::general_purpose::STANDARD
                .decode(line["event"]["delta"].as_str().unwrap())
                .unwrap();
            let samples = bytes
                .chunks_exact(2)
                .map(|b| f32::from(i16::from_le_bytes([b[0], b[1]])) / 32_768.0);
            match replies.last_mut() {
                Some(last) if last.0 == id => last.1.extend(samples),
                _ => replies.push((id, samples.collect())),
            }
        }
        replies.into_iter().map(|(_, s)| Wav(decimate(&s, 24_000.0))).collect()
    }

    pub(crate) fn last_reply_length(&self) -> Duration {
        Duration::from_secs_f64(self.replies().last().map_or(0.0, Wav::seconds))
    }

    /// What the client did against the rules of the wire.
    pub(crate) fn violations(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut updated = std::collections::BTreeSet::new();
        for line in &self.0 {
            let conn = line["conn"].as_u64().unwrap_or(0);
            match (line["dir"].as_str(), line["type"].as_str()) {
                (Some("out"), Some("session.updated")) => {
                    updated.insert(conn);
                }
                (Some("in"), Some("input_audio_buffer.append")) if !updated.contains(&conn) => {
                    found.push(format!("audio before session.updated: {line}"));
                }
                _ => {}
            }
        }
        found
    }

    pub(crate) fn summary(&self) -> String {
        let mut text = String::new();
        for l in &self.0 {
            if l["type"] != "input_audio_buffer.append" {
                text.push_str(&format!("{} {} {}\n", l["t"], l["dir"], l["type"]));
            }
        }
        text
    }
}
