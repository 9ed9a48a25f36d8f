//! `check --sound` on a card made of software, and what a daemon makes of it.

use crate::daemon::{Folder, Process, once};
use crate::sheet;
use crate::sound::{SoftCard, TURN};
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::PoisonError;
use std::time::Duration;

/// A card, and the place where what is known of it is kept.
struct Bench {
    card: SoftCard,
    folder: Folder,
}

impl Bench {
    fn new(name: &str, environment: &[(&str, &str)]) -> Self {
        Self { card: SoftCard::within(name, environment), folder: Folder::new(name) }
    }

    fn sets(&self, speaker: &str) -> Vec<String> {
        let path = |name: &str| self.folder.join(name).display().to_string();
        let sets = [
            "grok.url=ws://127.0.0.1:9/".to_owned(),
            "audio.input=mic".to_owned(),
            format!("audio.output={speaker}"),
            "panel.listen=off".to_owned(),
            format!("state.directory={}", path("state")),
            format!("control.socket={}", path("control.sock")),
        ];
        std::fs::write(self.folder.join("config.toml"), "").unwrap();
        let mut arguments = vec!["--config".to_owned(), path("config.toml")];
        arguments.extend(sets.into_iter().flat_map(|set| ["--set".to_owned(), set]));
        arguments
    }

    fn check(&self) -> (Output, String) {
        let out = Command::new(env!("CARGO_BIN_EXE_grok-speaker"))
            .args(["check", "--sound"])
            .args(self.sets("speaker"))
            .envs(self.card.environment.iter().cloned())
            .output()
            .unwrap();
        let words = String::from_utf8_lossy(&out.stdout).into_owned();
        (out, words)
    }

    /// What a running daemon says may interrupt it.
    fn barge_in(&self, speaker: &str) -> String {
        let sets = self.sets(speaker);
        let mut arguments = vec!["run"];
        arguments.extend(sets.iter().map(String::as_str));
        let _daemon = Process::within(&self.card.environment, &arguments);
        let mut ask = vec!["status", "--json"];
        ask.extend(sets.iter().map(String::as_str));
        for _ in 0..200 {
            let status: Option<serde_json::Value> = serde_json::from_slice(&once(&ask).stdout).ok();
            if let Some(word) = status.as_ref().and_then(|s| s["barge_in"].as_str()) {
                return word.to_owned();
            }
            sheet::pause(Duration::from_millis(100));
        }
        panic!("the daemon says nothing of itself");
    }

    /// The one file of the state directory that begins and ends so.
    fn kept(&self, begin: &str, end: &str) -> PathBuf {
        let names = std::fs::read_dir(self.folder.join("state")).unwrap();
        let mut found = names.map(|entry| entry.unwrap().path()).filter(|path| {
            let name = path.file_name().unwrap().to_string_lossy();
            name.starts_with(begin) && name.ends_with(end)
        });
        let path = found.next().unwrap_or_else(|| panic!("no {begin}*{end}"));
        assert_eq!(found.next(), None);
        path
    }
}

#[test]
fn what_was_measured_decides_what_may_interrupt() {
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let bench = Bench::new("calibration-room", &[("CARD_ECHO_MS", "60")]);
    assert_eq!(bench.barge_in("speaker"), "speech", "nothing is known");
    let (_, words) = bench.check();
    let line = words.lines().find(|l| l.starts_with("ok   sound ")).unwrap_or_else(|| {
        panic!("not measured: {words}");
    });
    let delay = line.split("delay ").nth(1).unwrap().split(' ').next().unwrap();
    // What the sound server adds is not known to the millisecond.
    assert!((20.0..200.0).contains(&delay.parse::<f64>().unwrap()), "{line}");
    assert!(line.contains("full duplex"), "{line}");
    assert_eq!(bench.barge_in("speaker"), "speech");

    // The same speaker, but one that distorts; and an echo path that was damaged.
    let file = bench.kept("sound-", ".json");
    let mut kept: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    kept["content"]["measured"]["bent_db"] = 6.0.into();
    std::fs::write(&file, kept.to_string()).unwrap();
    let path = bench.kept("echo-", ".path");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[5000] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    assert_eq!(bench.barge_in("speaker"), "off");
    bench.kept("echo-", ".path.bad");
    // What was measured with one card is not said of another.
    assert_eq!(bench.barge_in("default"), "speech");
    drop(turn);
}

#[test]
fn a_dead_microphone_is_said_and_nothing_is_kept() {
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let bench = Bench::new("calibration-dead", &[]);
    let (out, words) = bench.check();
    assert_eq!(out.status.code(), Some(1));
    assert!(words.contains("FAIL sound      the microphone is dead"), "{words}");
    let names = std::fs::read_dir(bench.folder.join("state")).unwrap();
    assert_eq!(names.count(), 0);
    drop(turn);
}

#[test]
fn files_are_no_room() {
    let folder = Folder::new("calibration-files");
    let state = format!("state.directory={}", folder.join("state").display());
    let speaker = format!("audio.output=file:{}", folder.join("out.wav").display());
    let sets = ["--set", "grok.url=ws://127.0.0.1:9/", "--set", &state];
    let sets = [&["--set", "audio.input=null", "--set", &speaker], &sets[..]].concat();
    let out = once(&[&["check", "--sound"], &sets[..]].concat());
    let words = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(words.contains("ok   sound      not measured"), "{words}");
}
