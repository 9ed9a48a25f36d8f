//! Instructions a second of sound takes, counted by callgrind: `make bench`.
//!
//! The rooms of the daemon in one thread, in the order in which its threads pass the sound on:
//! memory in the place of the card and the socket, the true TLS and WebSocket libraries between. What
//! is not counted: the kernel, ALSA's library, the event loop and the bells. Beside it the floor:
//! JSON, base64, mask and TLS of the same sound with nothing around. The same on every machine with
//! the same instruction set, as seconds are not.
//!
//! Each pass runs twice, with [`SHORT`] and with [`LONG`] seconds of sound; the difference is free of
//! what happens once. Where the instructions go is written to `target/bench/`.
//!
//! At the end, in time and not in counts, the slowest block of the front end: a mean hides it.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench prints, and ends where something is missing"
)]

mod floor;
mod front;
mod line;
mod main_thread;
mod microphone;
mod speaker;
#[path = "../tls.rs"]
mod tls;

use front::{Card, Far};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Seconds of sound in the two runs of a pass.
const SHORT: u32 = 5;
const LONG: u32 = 10;

/// A pass: its name, what it does, which pass is its floor.
const PASSES: [(&str, &str, Option<&str>); 8] = [
    ("append", "floor of the way out: base64, JSON, mask, TLS", None),
    ("delta", "floor of the way in: TLS, JSON, base64", None),
    ("microphone", "capture -> wire", Some("append")),
    ("speaker", "wire -> card", Some("delta")),
    ("silence", "nothing said -> card", None),
    ("front", "front end, the speaker audible", None),
    ("front-i2s", "the same of 48 kHz and two channels", None),
    ("front-still", "front end, the speaker silent", None),
];

/// Callgrind counts inside this function only; it knows it by its name.
#[inline(never)]
pub(crate) fn counted(body: &mut dyn FnMut()) {
    body();
    // Not a tail call: the count would go on outside.
    std::hint::black_box(());
}

fn main() {
    let words: Vec<String> = std::env::args().collect();
    let after = |word: &str| words.iter().skip_while(|w| *w != word).nth(1);
    // `cargo test` runs benches too, without the word.
    if !words.iter().any(|w| w == "--bench") {
        return;
    }
    match (after("--pass"), after("--seconds")) {
        (Some(name), Some(seconds)) => pass(name, seconds.parse().unwrap()),
        _ => drive(),
    }
}

fn pass(name: &str, seconds: u32) {
    match name {
        "append" => floor::append(seconds),
        "delta" => floor::delta(seconds),
        "microphone" => microphone::to_the_wire(seconds),
        "speaker" => speaker::from_the_wire(seconds),
        "silence" => speaker::of_nothing(seconds),
        "front" => front::chain(Far::Audible, Card::Plain, seconds),
        "front-i2s" => front::chain(Far::Audible, Card::I2s, seconds),
        "front-still" => front::chain(Far::Silent, Card::Plain, seconds),
        other => panic!("no pass {other}"),
    }
}

fn drive() {
    let there = Command::new("valgrind").arg("--version").stdout(Stdio::null()).status();
    if !there.is_ok_and(|s| s.success()) {
        println!("No valgrind here: instructions are not counted.");
        return;
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("bench");
    std::fs::create_dir_all(&folder).unwrap();
    println!("millions of instructions a second of sound           of the floor");
    let mut counts: Vec<(&str, f64)> = Vec::new();
    for (name, words, floor) in PASSES {
        let [short, long] = [SHORT, LONG].map(|seconds| count(&folder, name, seconds));
        let each = (long - short) / f64::from(LONG - SHORT) / 1e6;
        let floor = floor
            .and_then(|f| counts.iter().find(|c| c.0 == f))
            .map_or_else(String::new, |(_, floor)| {
                format!("{:5.1} x (floor {:.0} %)", each / floor, 100.0 * floor / each)
            });
        println!("{words:46} {each:8.3}    {floor}");
        counts.push((name, each));
        for (which, inclusive) in [("self", "no"), ("inclusive", "yes")] {
            annotate(&folder, name, which, inclusive);
        }
    }
    println!("Where they go: {}", folder.display());
    for (card, words) in [(Card::Plain, "16 kHz"), (Card::I2s, "48 kHz and two channels")] {
        let (slowest, mean) = front::slowest(card);
        let [slowest, mean] = [slowest, mean].map(|time| time.as_micros());
        println!("front end, {words}: slowest block {slowest} us, mean {mean} us, here");
    }
}

fn output(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.callgrind"))
}

/// Instructions of a pass.
fn count(folder: &Path, name: &str, seconds: u32) -> f64 {
    let file = output(folder, name);
    let run = Command::new("valgrind")
        .args(["-q", "--tool=callgrind", "--toggle-collect=*count::counted*"])
        .arg(format!("--callgrind-out-file={}", file.display()))
        .arg(std::env::current_exe().unwrap())
        .args(["--bench", "--pass", name, "--seconds", &seconds.to_string()])
        .status();
    assert!(run.unwrap().success(), "the pass {name} failed");
    let text = std::fs::read_to_string(file).unwrap();
    let total = text.lines().find_map(|l| l.strip_prefix("totals: ")?.trim().parse::<f64>().ok());
    total.filter(|t| *t > 0.0).unwrap_or_else(|| panic!("nothing was counted in the pass {name}"))
}

/// Where the instructions of the longer run went.
fn annotate(folder: &Path, name: &str, which: &str, inclusive: &str) {
    let out = Command::new("callgrind_annotate")
        .args([format!("--inclusive={inclusive}"), "--threshold=98".into(), "--auto=no".into()])
        .arg(output(folder, name))
        .output();
    let text = out.map(|o| o.stdout).unwrap_or_default();
    std::fs::write(folder.join(format!("{name}.{which}.txt")), text).unwrap();
}
