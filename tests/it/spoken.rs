//! The pairing code through the speaker: the daemon itself, with recordings that can be told apart.

use crate::daemon::{Folder, once};
use crate::sheet;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Recordings are a constant each: digit n is this times n + 1, "the pairing code is" comes next.
const STEP: i16 = 1000;
const CODE: i16 = 11;

fn record(folder: &Path, name: &str, level: i16) {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: 24_000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut out = hound::WavWriter::create(folder.join(format!("{name}.wav")), spec).unwrap();
    (0..2400).for_each(|_| out.write_sample(level).unwrap());
    out.finalize().unwrap();
}

/// What it takes to say a code.
fn record_all(folder: &Folder) {
    let english = folder.join("prompts/en");
    std::fs::create_dir_all(&english).unwrap();
    for digit in 0..10 {
        record(&english, &digit.to_string(), STEP * (digit + 1));
    }
    record(&english, "code", STEP * CODE);
}

/// The daemon in a folder of its own, where its prompts are looked for first.
fn start(folder: &Folder) -> (Daemon, Vec<String>) {
    std::fs::write(folder.join("config.toml"), "").unwrap();
    let path = |name: &str| folder.join(name).display().to_string();
    let sets = [
        "turn.mode=push".to_owned(),
        "grok.url=ws://127.0.0.1:1/".to_owned(),
        "audio.input=null".to_owned(),
        format!("audio.output=file:{}", path("speaker.wav")),
        "audio.volume=100".to_owned(),
        "panel.listen=127.0.0.1:0".to_owned(),
        format!("state.directory={}", path("state")),
        format!("control.socket={}", path("control.sock")),
    ];
    let mut common = vec!["--config".to_owned(), path("config.toml")];
    common.extend(sets.into_iter().flat_map(|set| ["--set".to_owned(), set]));
    let daemon = Command::new(env!("CARGO_BIN_EXE_grok-speaker"))
        .current_dir(folder.join(""))
        .arg("run")
        .args(&common)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    (Daemon(daemon), common)
}

/// Does not outlive its test.
struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn pair(common: &[String]) -> String {
    let arguments: Vec<&str> =
        ["pair"].into_iter().chain(common.iter().map(String::as_str)).collect();
    for _ in 0..50 {
        let out = once(&arguments);
        if out.status.success() {
            return String::from_utf8(out.stdout).unwrap().trim().to_owned();
        }
        sheet::pause(Duration::from_millis(100));
    }
    panic!("no answer to pair");
}

/// The levels that were said, in order, each as often as silence came between.
fn said(file: &Path) -> Vec<i16> {
    let mut reader = hound::WavReader::open(file).unwrap();
    let rate = reader.spec().sample_rate as usize;
    let samples: Vec<i32> = reader.samples().map(Result::unwrap).collect();
    let full = i32::from(STEP);
    let mut levels: Vec<(i16, usize)> = Vec::new();
    for sample in samples.iter().step_by(usize::from(reader.spec().channels)) {
        let level = i16::try_from((sample + full / 2).div_euclid(full)).unwrap();
        match levels.last_mut() {
            Some((last, count)) if *last == level => *count += 1,
            Some(_) | None => levels.push((level, 1)),
        }
    }
    // The flanks between two levels are short.
    let long = levels.into_iter().filter(|(level, count)| *level != 0 && *count > rate / 20);
    long.map(|(level, _)| level).collect()
}

#[test]
fn the_code_that_pair_prints_is_said_twice() {
    let folder = Folder::new("spoken");
    record_all(&folder);
    let wav = folder.join("speaker.wav");
    let (_daemon, common) = start(&folder);
    let code = pair(&common);
    let mut once: Vec<i16> = vec![CODE];
    once.extend(code.bytes().map(|digit| i16::from(digit - b'0') + 1));
    let wanted = [once.as_slice(), &once].concat();
    // 14 words of 0.1 s with their pauses take 5 s; the header is written once a second.
    let mut heard = Vec::new();
    for _ in 0..200 {
        sheet::pause(Duration::from_millis(100));
        heard = said(&wav);
        if heard.len() >= wanted.len() {
            break;
        }
    }
    assert_eq!(heard, wanted, "code {code}");
}

#[test]
fn a_code_that_was_typed_is_not_said_on() {
    let folder = Folder::new("typed");
    record_all(&folder);
    let (_daemon, common) = start(&folder);
    let code = pair(&common);
    let arguments: Vec<&str> =
        ["status", "--json"].into_iter().chain(common.iter().map(String::as_str)).collect();
    let status: serde_json::Value =
        serde_json::from_slice(&once(&arguments).stdout).expect("status");
    let host = status["panel"].as_str().unwrap().trim_start_matches("http://");
    let host = host.trim_end_matches('/');
    let body = format!(r#"{{"code":"{code}","name":"it"}}"#);
    let request = format!(
        "POST /api/pair HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut tcp = std::net::TcpStream::connect(host).unwrap();
    tcp.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    tcp.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    // All of it would take 5 s.
    sheet::pause(Duration::from_secs(8));
    let heard = said(&folder.join("speaker.wav"));
    assert!(heard.len() < 14, "{heard:?}");
}

#[test]
fn without_recordings_pair_is_as_good() {
    let folder = Folder::new("unspoken");
    let (_daemon, common) = start(&folder);
    assert_eq!(pair(&common).len(), 6);
}
