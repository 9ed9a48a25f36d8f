//! The card alone: what a click costs through `arecord` and `aplay`.

use crate::card::{Card, RATE, Witness, between, bytes, click};
use crate::{measuring, now, pause};
use std::io::{Read, Write};
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

/// Frames of a period of the player, and of what is written at a time.
const PERIOD: usize = 240;
/// Pieces from click to click: 300 ms.
const PIECES: usize = 60;
/// How often the player is started: how much is queued depends on where in a block of the sink
/// that falls, and stays so.
const RUNS: usize = 5;

/// A writer of `aplay` to the ear, at three periods of 5 ms; and how often it ran dry. A click that
/// comes at any moment goes with the next period: that wait is a part of it.
pub(crate) fn playback(card: &Card, count: usize) -> (Vec<f64>, usize) {
    let witness = Witness::of(card, "speaker");
    let (mut from, mut dry) = (Vec::new(), 0);
    for run in 0..RUNS {
        let clicks = count / RUNS;
        // Steps that fall everywhere in a period: 89 and 240 have no common divisor.
        let waits = (0..clicks).map(|i| ((run * clicks + i) * 89 % PERIOD) as f64 / RATE);
        let (written, words) = play(card, clicks);
        from.extend(
            written.iter().zip(waits).map(|(at, wait)| *at - Duration::from_secs_f64(wait)),
        );
        dry += words.matches("underrun").count();
    }
    let truth = witness.end();
    let played = truth.played();
    let to: Vec<Instant> = truth.sounds.iter().map(|s| played(s.0)).collect();
    (between(&from, &to), dry)
}

/// Clicks through one `aplay`: when each was written, and what the player said.
fn play(card: &Card, clicks: usize) -> (Vec<Instant>, String) {
    let mut command = card.command("aplay");
    command.args(["-D", "speaker"]).args(SHAPE).args(["--period-size=240", "--buffer-size=720"]);
    let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut pipe = child.stdin.take().unwrap();
    let writer = measuring(move || {
        let (start, mut times) = (now(), Vec::new());
        for i in 0..(clicks + 1) * PIECES {
            let due = start + Duration::from_secs_f64((i * PERIOD) as f64 / RATE);
            pause(due.saturating_duration_since(now()));
            let mut sound = vec![0; PERIOD];
            if i % PIECES == PIECES - 1 && times.len() < clicks {
                sound = click(RATE);
                times.push(now());
            }
            if pipe.write_all(&bytes(&sound)).is_err() {
                break;
            }
        }
        times
    });
    let times = writer.join().unwrap();
    let _ = child.kill();
    let mut words = String::new();
    let _ = child.stderr.take().unwrap().read_to_string(&mut words);
    let _ = child.wait();
    (times, words)
}
