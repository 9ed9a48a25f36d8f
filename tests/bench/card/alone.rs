//! The card alone: what a click costs through `arecord` and `aplay`. A bridge of another make is
//! measured in the same way: a file of its own beside this one, with rows of its own.

use crate::card::{Card, RATE, Witness, between, bytes, click};
use crate::{measuring, now, pause};
use std::io::Write;
use std::process::Stdio;
use std::time::{Duration, Instant};

const SHAPE: [&str; 8] = ["-q", "-t", "raw", "-f", "S16_LE", "-r", "48000", "-c1"];

/// Microphone to a reader of `arecord` at periods of 20 ms.
pub(crate) fn capture(card: &Card, count: usize) -> Vec<f64> {
    let mut command = card.command("arecord");
    command.args(["-D", "mic"]).args(SHAPE).args(["--period-size=960", "--buffer-size=7680"]);
    let reader = Witness::new(command);
    pause(Duration::from_millis(500));
    let witness = Witness::of(card, "voice");
    card.click(count);
    pause(Duration::from_millis(300));
    let (truth, read) = (witness.end(), reader.end());
    let spoken = truth.spoken();
    let from: Vec<Instant> = truth.sounds.iter().map(|s| spoken(s.0)).collect();
    let to: Vec<Instant> = read.sounds.iter().map(|s| read.arrived(s.0)).collect();
    between(&from, &to)
}

/// A writer of `aplay` to the ear, at three periods of 5 ms.
pub(crate) fn playback(card: &Card, count: usize) -> Vec<f64> {
    let mut command = card.command("aplay");
    command.args(["-D", "speaker"]).args(SHAPE).args(["--period-size=240", "--buffer-size=720"]);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    let mut pipe = child.stdin.take().unwrap();
    let witness = Witness::of(card, "speaker");
    let writer = measuring(move || {
        let (piece, mut times) = (240, Vec::new());
        let start = now();
        for i in 0..(count + 4) * 60 {
            let due = start + Duration::from_secs_f64((i * piece) as f64 / RATE);
            pause(due.saturating_duration_since(now()));
            let mut sound = vec![0; piece];
            if i % 60 == 59 {
                sound = click(RATE);
                times.push(now());
            }
            if pipe.write_all(&bytes(&sound)).is_err() {
                break;
            }
        }
        times
    });
    let from = writer.join().unwrap();
    pause(Duration::from_millis(300));
    let _ = child.kill();
    let _ = child.wait();
    let truth = witness.end();
    let played = truth.played();
    let to: Vec<Instant> = truth.sounds.iter().map(|s| played(s.0)).collect();
    between(&from, &to)
}
