//! The binary itself, as an owner starts it: with a WAV file as microphone and another as speaker,
//! against the stand-in.

use crate::sheet::{self, Log, Wav};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

/// A folder of its own for each test; kept when the test fails, for a look.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

/// A child that does not outlive its test.
pub(crate) struct Process(Child);

impl Process {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::within(&[], arguments)
    }

    /// With more in its environment.
    pub(crate) fn within(environment: &[(String, String)], arguments: &[&str]) -> Self {
        Self::logging(environment, arguments, Stdio::inherit())
    }

    /// With standard error somewhere else.
    pub(crate) fn logging(
        environment: &[(String, String)],
        arguments: &[&str],
        log: Stdio,
    ) -> Self {
        Self(
            Command::new(env!("CARGO_BIN_EXE_grok-speaker"))
                .args(arguments)
                // Prompts in the checkout would be spoken, and the microphone is silent meanwhile.
                .current_dir(std::env::temp_dir())
                .env("XAI_API_KEY", "test")
                .envs(environment.iter().cloned())
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(log)
                .spawn()
                .unwrap(),
        )
    }

    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        let out = self.0.stdout.as_mut().unwrap();
        let mut byte = [0];
        while out.read(&mut byte).unwrap() == 1 && byte[0] != b'\n' {
            line.push(char::from(byte[0]));
        }
        line
    }

    /// Everything it prints until it ends.
    fn text(&mut self) -> String {
        let mut text = String::new();
        self.0.stdout.as_mut().unwrap().read_to_string(&mut text).unwrap();
        text
    }

    /// SIGTERM, and the exit must come within 2 s.
    pub(crate) fn terminate(mut self) -> Option<i32> {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.0.id()).unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
        for _ in 0..40 {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status.code();
            }
            sheet::pause(Duration::from_millis(50));
        }
        panic!("still running 2 s after SIGTERM");
    }

    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    pub(crate) fn running(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) fn once(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_grok-speaker")).args(arguments).output().unwrap()
}

pub(crate) fn speech(name: &str) -> String {
    format!("{}/tests/speech/{name}.wav", env!("CARGO_MANIFEST_DIR"))
}

/// A stand-in and a daemon in front of it, over TLS.
pub(crate) struct Pair {
    pub(crate) folder: Folder,
    _service: Process,
    pub(crate) speaker: Process,
}

impl Pair {
    pub(crate) fn start(name: &str, mic: &str, faults: &[&str], sets: &[&str]) -> Self {
        Self::logging(Folder::new(name), &[], mic, faults, sets, Stdio::inherit())
    }

    /// In a folder that is there, with more in the speaker's environment, and its log somewhere else.
    pub(crate) fn logging(
        folder: Folder,
        environment: &[(String, String)],
        mic: &str,
        faults: &[&str],
        sets: &[&str],
        log_to: Stdio,
    ) -> Self {
        let path = |n: &str| folder.join(n).display().to_string();
        let (tls, log) = (path("tls"), path("wire.jsonl"));
        let mut arguments =
            vec!["standin", "--listen", "127.0.0.1:0", "--tls", &tls, "--wire-log", &log];
        for fault in faults {
            arguments.extend(["--fault", fault]);
        }
        let mut service = Process::start(&arguments);
        let url = service.line();
        let ca = service.line().trim_start_matches("certificate: ").to_owned();
        std::fs::write(folder.join("config.toml"), "").unwrap();
        let mut all = vec![
            format!("grok.url={url}"),
            format!("grok.ca_file={ca}"),
            format!("audio.input={mic}"),
            format!("audio.output=file:{}", path("speaker.wav")),
            "turn.mode=open".to_owned(),
            "panel.listen=127.0.0.1:0".to_owned(),
            format!("state.directory={}", path("state")),
            format!("control.socket={}", path("control.sock")),
        ];
        all.extend(sets.iter().map(|s| (*s).to_owned()));
        let (config, journal) = (path("config.toml"), path("journal.jsonl"));
        let mut arguments = vec!["run", "--config", &config, "--journal", &journal];
        for set in &all {
            arguments.extend(["--set", set]);
        }
        let speaker = Process::logging(environment, &arguments, log_to);
        Self { folder, _service: service, speaker }
    }

    pub(crate) fn log(&self) -> Log {
        Log::read(&self.folder.join("wire.jsonl"))
    }

    /// Ends the speaker and compares what it played with what the service sent: so many replies,
    /// each whole, and nothing else. Gives what it played, and each reply with its place in it.
    pub(crate) fn said(self, count: usize) -> (Wav, Vec<(f64, Wav)>) {
        let log = self.log();
        assert_eq!(self.speaker.terminate(), Some(0));
        let wav = Wav::read(&self.folder.join("speaker.wav"));
        let mut said = Vec::new();
        let mut from = 0.0;
        for reply in log.replies() {
            let (at, likeness) = wav.find_next(&reply, from);
            assert!(likeness > 0.9, "a reply is found with a correlation of {likeness:.3} only");
            from = at + reply.seconds();
            said.push((at, reply));
        }
        assert_eq!(said.len(), count);
        let rest = wav.without(&said);
        assert!(rest < 1e-4, "power {rest} of something the service did not say");
        assert_eq!(log.violations(), Vec::<String>::new());
        (wav, said)
    }

    /// What a command says once the daemon answers it.
    pub(crate) fn ask(&self, arguments: &[&str]) -> String {
        let config = self.folder.join("config.toml").display().to_string();
        let socket = format!("control.socket={}", self.folder.join("control.sock").display());
        for _ in 0..50 {
            let out = once(&[arguments, &["--config", &config, "--set", &socket]].concat());
            if out.status.success() {
                return String::from_utf8(out.stdout).unwrap();
            }
            sheet::pause(Duration::from_millis(100));
        }
        panic!("no answer to {arguments:?}");
    }

    /// Waits until the wire log satisfies `enough`, with a limit.
    pub(crate) fn wait(
        &mut self,
        what: &str,
        limit: Duration,
        mut enough: impl FnMut(&Log) -> bool,
    ) -> Log {
        for _ in 0..limit.as_millis() / 100 {
            let log = self.log();
            if enough(&log) {
                return log;
            }
            assert!(self.speaker.running(), "the speaker ended before {what}");
            sheet::pause(Duration::from_millis(100));
        }
        panic!("{what}: not within {limit:?}\n{}", self.log().summary());
    }
}

#[test]
fn demo_holds_two_turns_and_ends() {
    let folder = Folder::new("demo");
    let wav = folder.join("reply.wav");
    let out = once(&[
        "demo",
        "--mic",
        &speech("two_turns"),
        "--speaker",
        wav.to_str().unwrap(),
        "--turns",
        "2",
        "--listen",
        "127.0.0.1:0",
    ]);
    let text = String::from_utf8_lossy(&out.stdout);
    assert_eq!(out.status.code(), Some(0), "{text}\n{}", String::from_utf8_lossy(&out.stderr));
    assert_eq!(text.matches("turn ").count(), 2, "{text}");
    assert!(text.contains("panel: http://127.0.0.1:") && text.contains("code "), "{text}");
    assert!(Wav::read(&wav).loudest() > 0.05, "the reply is silent");
}

#[test]
fn the_speaker_says_what_the_service_sent_and_nothing_else() {
    let mut pair = Pair::start("say", &format!("file:{}", speech("two_turns")), &[], &[]);
    let log = pair.wait("two replies", Duration::from_secs(40), |log| log.done() == 2);
    sheet::pause(log.last_reply_length() + Duration::from_millis(700));
    pair.said(2);
}

#[test]
fn every_quirk_of_a_spoken_turn_at_once_is_lived_with() {
    let faults = [
        "stop-taken-back",
        "late-items",
        "own-calls",
        "heed-create-response",
        "old-names",
        "lost-items",
        "cancel-fails",
        "echo",
        "truncate-ignored",
    ];
    let mic = format!("file:{}", speech("two_turns"));
    let mut pair = Pair::start("quirks", &mic, &faults, &[]);
    let log = pair.wait("two replies", Duration::from_secs(40), |log| log.done() == 2);
    sheet::pause(log.last_reply_length() + Duration::from_millis(700));
    let (log, journal) = (pair.log(), pair.folder.join("journal.jsonl"));
    assert_eq!(pair.speaker.terminate(), Some(0));
    assert_eq!(log.times("out", "input_audio_buffer.speech_started").len(), 4);
    assert_eq!(log.times("out", "response.created").len(), 4);
    assert_eq!(log.violations(), Vec::<String>::new());
    let out = once(&["replay", journal.to_str().unwrap()]);
    let text = String::from_utf8_lossy(&out.stdout);
    for turn in ["turn 1 completed", "turn 2 completed"] {
        assert!(text.contains(turn), "{turn}: {text}");
    }
}

#[test]
fn nothing_leaves_while_asleep() {
    let mic = format!("file:{}", speech("two_turns"));
    let pair = Pair::start("asleep", &mic, &[], &["turn.mode=wake"]);
    sheet::pause(Duration::from_secs(6));
    assert_eq!(pair.log().audio_sent(), 0.0, "speech left the device without a wake word");
    assert_eq!(pair.speaker.terminate(), Some(0));
}

#[test]
fn what_only_the_start_needed_is_given_back() {
    let mic = format!("file:{}", speech("two_turns"));
    let mut pair = Pair::start("pages", &mic, &[], &[]);
    let status = format!("/proc/{}/status", pair.speaker.id());
    let code = || {
        let text = std::fs::read_to_string(&status).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("RssFile:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<usize>().unwrap()
    };
    let mut most = 0;
    pair.wait("less code in memory", Duration::from_secs(30), |_| {
        most = most.max(code());
        code() * 4 < most * 3
    });
    // And it lives on without it.
    pair.wait("two replies", Duration::from_secs(30), |log| log.done() == 2);
    assert_eq!(pair.speaker.terminate(), Some(0));
}

#[test]
fn a_recorded_run_is_replayed() {
    let mut pair = Pair::start("replay", &format!("file:{}", speech("two_turns")), &[], &[]);
    pair.wait("a reply", Duration::from_secs(20), |log| log.done() == 1);
    let journal = pair.folder.join("journal.jsonl");
    assert_eq!(pair.speaker.terminate(), Some(0));
    let out = once(&["replay", journal.to_str().unwrap()]);
    let text = String::from_utf8_lossy(&out.stdout);
    assert!(out.status.success() && text.contains("session.update"), "{text}");
    // One of a run that was killed ends anywhere; one that is spoilt is read as far as it goes.
    let whole = std::fs::read(&journal).unwrap();
    let cut = &whole[..whole.len() - 20];
    let half = whole[..whole.len() / 2].iter().rposition(|b| *b == b'\n').unwrap() + 1;
    let spoilt = [&whole[..half], b"no line\n", &whole[half..]].concat();
    for (bytes, code) in [(cut, 0), (&spoilt, 1)] {
        std::fs::write(&journal, bytes).unwrap();
        let out = once(&["replay", journal.to_str().unwrap()]);
        let (text, words) =
            (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
        assert_eq!((out.status.code(), words.lines().count()), (Some(code), 1), "{words}");
        assert!(text.contains("session.update"), "{text}");
    }
}

#[test]
fn wrong_usage_and_wrong_configuration_have_their_exit_codes() {
    assert_eq!(once(&["fly"]).status.code(), Some(2));
    let out = once(&["run", "--set", "turn.mode=loud"]);
    let words = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(78), "{words}");
    assert!(words.contains("turn.mode") && words.contains("push"), "{words}");
    let sets = ["turn.mode=push", "grok.ca_file=/none.pem", "state.directory=/dev/null/none"];
    let out = once(&[&["run"], &*sets.map(|set| ["--set", set]).concat()].concat());
    let words = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(78), "nothing is better at the next start: {words}");
    assert!(words.contains("grok.ca_file /none.pem"), "{words}");
    let out = once(&["listen", "--mic", "Cargo.toml"]);
    assert_eq!(out.status.code(), Some(1));
    assert_eq!(String::from_utf8_lossy(&out.stderr).lines().count(), 1);
    // A place without a folder: what is wrong is said once.
    let out = once(&["standin", "--wire-log", "/proc/none/wire"]);
    let words = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(1), "{words}");
    assert_eq!(words.matches("No such file").count(), 1, "{words}");
    // A recording is not written over, by whatever name.
    let folder = Folder::new("apart");
    let (mic, other) = (folder.join("mic.wav"), folder.join("../apart/mic.wav"));
    std::fs::copy(speech("two_turns"), &mic).unwrap();
    let (mic, other) = (mic.to_str().unwrap(), other.to_str().unwrap());
    for arguments in [
        &["listen", "--mic", mic, "--out", other][..],
        &["demo", "--mic", mic, "--speaker", other, "--turns", "1", "--listen", "127.0.0.1:0"],
    ] {
        let out = once(arguments);
        let words = String::from_utf8_lossy(&out.stderr);
        assert_eq!(out.status.code(), Some(1), "{words}");
        assert!(words.contains("would be written over"), "{words}");
    }
    let size = |path: &str| std::fs::metadata(path).unwrap().len();
    assert_eq!(size(mic), size(&speech("two_turns")));
    let out = once(&["--version"]);
    assert!(out.status.success());
    assert!(
        BufReader::new(&out.stdout[..])
            .lines()
            .next()
            .unwrap()
            .unwrap()
            .starts_with("grok-speaker ")
    );
}

#[test]
fn a_panel_without_its_port_is_not_called_up_until_it_is() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = format!("panel.listen={}", taken.local_addr().unwrap());
    let folder = Folder::new("taken");
    let (log, state) = (folder.join("log"), folder.join("state"));
    let (state, control) = (
        format!("state.directory={}", state.display()),
        format!("control.socket={}", folder.join("control.sock").display()),
    );
    let mut arguments = vec!["run"];
    let sets = ["turn.mode=push", "audio.input=null", "audio.output=null", &listen];
    for set in sets.into_iter().chain([&*state, &*control]) {
        arguments.extend(["--set", set]);
    }
    let file = std::fs::File::create(&log).unwrap();
    let speaker = Process::logging(&[], &arguments, file.into());
    let said = |words: &str| std::fs::read_to_string(&log).unwrap().matches(words).count();
    let wait_for = |words: &str| {
        let is_said = (0..100).any(|_| {
            sheet::pause(Duration::from_millis(100));
            said(words) == 1
        });
        assert!(is_said, "{words}");
    };
    wait_for("the panel cannot start");
    sheet::pause(Duration::from_millis(300));
    assert_eq!(said("the panel is up"), 0);
    drop(taken);
    wait_for("the panel is up");
    assert_eq!(speaker.terminate(), Some(0));
}

#[test]
fn check_speaks_of_tls_only_where_it_is_used() {
    let mut service = Process::start(&["standin", "--listen", "127.0.0.1:0"]);
    let url = format!("grok.url={}", service.line());
    let sets = ["--set", &url, "--set", "audio.input=null", "--set", "audio.output=null"];
    let folder = Folder::new("check");
    let state = format!("state.directory={}", folder.join("state").display());
    let out = Process::start(&[&["check"], &sets[..], &["--set", &state]].concat()).text();
    assert!(out.contains("ok   tls        not used: grok.url is ws://"), "{out}");
    assert!(out.contains("ok   service"), "{out}");
}

#[test]
fn status_and_pair_ask_the_running_daemon() {
    let pair = Pair::start("status", "null", &[], &[]);
    let status: serde_json::Value = serde_json::from_str(&pair.ask(&["status", "--json"])).unwrap();
    assert_eq!(status["mode"], "open");
    assert_eq!(status["volume"], 60);
    assert!(status["name"].as_str().is_some_and(|name| !name.is_empty()), "the host's: {status}");
    // One that thinks before it asks: the daemon does other things meanwhile and does not lose it.
    let path = pair.folder.join("control.sock");
    let mut slow = std::os::unix::net::UnixStream::connect(path).unwrap();
    sheet::pause(Duration::from_millis(300));
    slow.write_all(b"{\"ask\":\"status\"}\n").unwrap();
    let mut answer = String::new();
    slow.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("\"volume\":60"), "{answer}");
    let code = pair.ask(&["pair", "--role", "viewer"]);
    assert!(code.trim().len() == 6 && code.trim().bytes().all(|b| b.is_ascii_digit()), "{code}");
    assert_eq!(pair.speaker.terminate(), Some(0));
}
