//! The daemon, its gate open: everything it hears is sent.

use crate::card::Card;
use crate::service::Service;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

const BINARY: &str = env!("CARGO_BIN_EXE_grok-speaker");

fn control(card: &Card) -> String {
    format!("control.socket={}", card.folder.join("control.sock").display())
}

/// `front` is how much of each stage of the front end: `off` or `auto`.
pub(crate) fn command(card: &Card, service: &Service, front: &str) -> Command {
    let path = |n: &str| card.folder.join(n).display().to_string();
    std::fs::write(path("config.toml"), "").unwrap();
    let sets = [
        format!("grok.url=wss://localhost:{}/v1/realtime", service.port),
        format!("grok.ca_file={}", path("ca.pem")),
        format!("state.directory={}", path("state")),
        control(card),
        format!("speech.echo_cancellation={front}"),
        format!("speech.noise_suppression={front}"),
        format!("speech.gain_control={front}"),
    ];
    let fixed = [
        "audio.input=mic",
        "audio.output=speaker",
        "turn.mode=open",
        "turn.gate=always",
        "panel.listen=127.0.0.1:0",
        "log.level=warn",
    ];
    let mut command = card.command(BINARY);
    command.args(["run", "--config", &path("config.toml")]).env("XAI_API_KEY", "bench");
    for set in sets.iter().map(String::as_str).chain(fixed) {
        command.args(["--set", set]);
    }
    command
}

/// What the one that runs says of itself.
fn status(card: &Card) -> serde_json::Value {
    let mut command = Command::new(BINARY);
    let out = command.args(["status", "--json", "--set", &control(card)]).output().unwrap();
    serde_json::from_slice(&out.stdout).unwrap()
}

/// Overruns and underruns of the one that runs, since its start.
pub(crate) fn xruns(card: &Card) -> (u64, u64) {
    let status = status(card);
    let count = |name: &str| status[name].as_u64().unwrap_or(u64::MAX);
    (count("overruns"), count("underruns"))
}

/// How long sound was on a way inside the one that runs, since its start: for each time the upper
/// bound of its bucket, in milliseconds.
pub(crate) fn inside(card: &Card, way: &str) -> Vec<f64> {
    let status = status(card);
    let address = status["panel"].as_str().unwrap().split('/').nth(2).unwrap();
    let mut tcp = TcpStream::connect(address).unwrap();
    let head = format!("GET /metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    tcp.write_all(head.as_bytes()).unwrap();
    let mut page = String::new();
    tcp.read_to_string(&mut page).unwrap();
    let bucket = format!("grok_speaker_inside_seconds_bucket{{stage=\"{way}\",le=\"");
    let (mut times, mut lines) = (Vec::new(), 0);
    for line in page.lines().filter_map(|line| line.strip_prefix(&bucket)) {
        let (bound, total) = line.split_once("\"} ").unwrap();
        let bound: f64 = bound.replace('+', "").parse().unwrap();
        times.resize(total.parse().unwrap(), bound * 1000.0);
        lines += 1;
    }
    assert!(lines > 0, "no {way} in {page}");
    times
}

/// Megabytes of the binary as it is shipped, without its symbols.
pub(crate) fn size(folder: &Path) -> f64 {
    let stripped = folder.join("stripped");
    let done = Command::new("strip").arg("-o").arg(&stripped).arg(BINARY).status().unwrap();
    assert!(done.success(), "strip failed");
    std::fs::metadata(stripped).unwrap().len() as f64 / 1e6
}
