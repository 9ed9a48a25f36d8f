//! The software card, its witnesses, and the sounds that are measured with.

use crate::{measuring, now, pause};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// With these a shell makes its programs read more trust anchors; a service's environment has none.
const ANCHORS: [&str; 3] = ["SSL_CERT_FILE", "SSL_CERT_DIR", "NODE_EXTRA_CA_CERTS"];
/// Rate of the card.
pub(crate) const RATE: f64 = 48_000.0;
/// Above this is sound; the card's silence is exact zeros.
pub(crate) const LOUD: i16 = 300;
/// Silence that separates one sound from the next, in seconds.
const APART: f64 = 0.1;
/// What comes within so short a time is one block of the sink, whose blocks are 5 ms or longer.
const TOGETHER: Duration = Duration::from_millis(2);

/// The card; stopped and removed when dropped.
pub(crate) struct Card {
    pub(crate) folder: PathBuf,
    pub(crate) environment: Vec<(String, String)>,
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/card/card.sh")
}

impl Card {
    pub(crate) fn start() -> Self {
        let folder = std::env::temp_dir().join(format!("bench-{}", std::process::id()));
        let out = Command::new(script()).arg("start").arg(&folder).output().unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        let environment = String::from_utf8_lossy(&out.stdout)
            .lines()
            .filter_map(|l| l.split_once('='))
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .collect();
        Self { folder, environment }
    }

    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.envs(self.environment.iter().cloned());
        for name in ANCHORS {
            command.env_remove(name);
        }
        command.stdin(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// Speaks `count` clicks into the microphone, unevenly apart; returns when they are spoken.
    pub(crate) fn click(&self, count: usize) {
        let mut sound = vec![0i16; 14_400];
        for i in 0..count {
            sound.extend(click(RATE));
            // Steps that fall everywhere in a period: 211 and 48 000 / 50 have no common divisor.
            sound.resize(sound.len() + 12_000 + (i * 211) % 960, 0);
        }
        let mut child = self
            .command("pacat")
            .args(["--raw", "--rate=48000", "--channels=1", "--format=s16le"])
            .args(["--latency-msec=200", "--device=voice"])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let mut pipe = child.stdin.take().unwrap();
        pipe.write_all(&bytes(&sound)).unwrap();
        drop(pipe);
        child.wait().unwrap();
    }
}

impl Drop for Card {
    fn drop(&mut self) {
        let _ = Command::new(script()).arg("stop").arg(&self.folder).status();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

pub(crate) fn bytes(sound: &[i16]) -> Vec<u8> {
    sound.iter().flat_map(|s| s.to_le_bytes()).collect()
}

/// 5 ms of a sine at half of full scale that begins at its full slope.
pub(crate) fn click(rate: f64) -> Vec<i16> {
    tone(rate, 0.005)
}

pub(crate) fn tone(rate: f64, seconds: f64) -> Vec<i16> {
    let w = std::f64::consts::TAU * 1000.0 / rate;
    (0..(rate * seconds) as usize).map(|i| (16_000.0 * (w * i as f64).sin()) as i16).collect()
}

/// Samples before a piece, samples after it, when it came.
type Piece = (usize, usize, Instant);

/// Reads a stream of samples and keeps when each piece arrived.
#[derive(Default)]
struct Seen {
    samples: Vec<i16>,
    pieces: Vec<Piece>,
}

/// A recording with the moment of each piece.
pub(crate) struct Witness {
    child: Child,
    seen: Arc<Mutex<Seen>>,
}

impl Witness {
    /// Of the monitor of a sink, without making the sink any quicker than its users do.
    pub(crate) fn of(card: &Card, sink: &str) -> Self {
        let mut command = card.command("parec");
        command.args(["--raw", "--rate=48000", "--channels=1", "--format=s16le"]);
        command.args(["--latency-msec=20", &format!("--device={sink}.monitor")]);
        let witness = Self::new(command);
        pause(Duration::from_millis(500));
        witness
    }

    /// Of anything that writes 48 kHz mono to its standard output.
    pub(crate) fn new(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut pipe = child.stdout.take().unwrap();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let shared = seen.clone();
        measuring(move || {
            let mut buffer = [0; 16_384];
            while let Ok(count @ 1..) = pipe.read(&mut buffer) {
                let at = now();
                let mut seen = shared.lock().unwrap();
                let before = seen.samples.len();
                let read = buffer[..count].as_chunks::<2>().0;
                seen.samples.extend(read.iter().map(|b| i16::from_le_bytes(*b)));
                let after = seen.samples.len();
                seen.pieces.push((before, after, at));
            }
        });
        Self { child, seen }
    }

    /// Ends it. Each sound: first sample, last sample; and the pieces.
    pub(crate) fn end(mut self) -> Heard {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let seen = self.seen.lock().unwrap();
        let apart = (APART * RATE) as usize;
        let mut sounds: Vec<(usize, usize)> = Vec::new();
        for (i, _) in seen.samples.iter().enumerate().filter(|(_, s)| s.abs() > LOUD) {
            match sounds.last_mut() {
                Some(last) if i - last.1 < apart => last.1 = i,
                _ => sounds.push((i, i)),
            }
        }
        Heard { sounds, pieces: seen.pieces.clone(), gaps: gaps(&seen.samples) }
    }
}

/// Silences of more than 2 ms and less than [`APART`]: a tone of 1 kHz has none of its own.
fn gaps(samples: &[i16]) -> usize {
    let lengths = 96..(APART * RATE) as usize;
    let mut last = None;
    let mut found = 0;
    for (i, _) in samples.iter().enumerate().filter(|(_, s)| s.abs() > LOUD) {
        found += usize::from(last.is_some_and(|l| lengths.contains(&(i - l))));
        last = Some(i);
    }
    found
}

/// What a witness saw.
pub(crate) struct Heard {
    pub(crate) sounds: Vec<(usize, usize)>,
    /// Holes in a steady tone.
    pub(crate) gaps: usize,
    pieces: Vec<Piece>,
}

impl Heard {
    /// The moment of each sample: of the microphone's side, whose block is there when it is over.
    pub(crate) fn spoken(&self) -> impl Fn(usize) -> Instant {
        self.line(|p| p.1)
    }

    /// The same of the speaker's side, which takes a block when it begins.
    pub(crate) fn played(&self) -> impl Fn(usize) -> Instant {
        self.line(|p| p.0)
    }

    fn line(&self, edge: impl Fn(&Piece) -> usize) -> impl Fn(usize) -> Instant {
        let blocks = self.blocks();
        let start = blocks[0].2;
        let late = |p: &Piece| (p.2 - start).as_secs_f64() - edge(p) as f64 / RATE;
        // The first ones may be of before the stream ran evenly.
        let origin = blocks.iter().skip(10).map(late).fold(f64::INFINITY, f64::min);
        move |sample| {
            let seconds = origin + sample as f64 / RATE;
            if seconds < 0.0 {
                start - Duration::from_secs_f64(-seconds)
            } else {
                start + Duration::from_secs_f64(seconds)
            }
        }
    }

    /// The sink's blocks. One that it mixed in parts comes in as many pieces, and the last of them
    /// by itself would seem to be early.
    fn blocks(&self) -> Vec<Piece> {
        let mut blocks: Vec<Piece> = Vec::new();
        for piece in &self.pieces {
            match blocks.last_mut() {
                Some(block) if piece.2 - block.2 < TOGETHER => block.1 = piece.1,
                _ => blocks.push(*piece),
            }
        }
        blocks
    }

    /// When the piece with this sample arrived.
    pub(crate) fn arrived(&self, sample: usize) -> Instant {
        self.pieces.iter().find(|p| p.1 > sample).unwrap().2
    }
}

/// Milliseconds from each of `from` to its own of `to`. Where their numbers differ, to the first
/// after it, less than a quarter second on.
pub(crate) fn between(from: &[Instant], to: &[Instant]) -> Vec<f64> {
    let ms = |a: &Instant, b: &Instant| {
        let (later, earlier) = (b.saturating_duration_since(*a), a.saturating_duration_since(*b));
        (later.as_secs_f64() - earlier.as_secs_f64()) * 1000.0
    };
    if from.len() == to.len() {
        return from.iter().zip(to).map(|(a, b)| ms(a, b)).collect();
    }
    let next = |a: &Instant| {
        let early = *a - Duration::from_millis(20);
        let span = ms(a, to.iter().find(|b| **b > early)?);
        (span < 250.0).then_some(span)
    };
    from.iter().filter_map(next).collect()
}
