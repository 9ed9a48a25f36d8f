//! The daemon under measurement.

use crate::card::{Card, Witness, between, bytes, click, tone};
use crate::service::Service;
use crate::{measuring, now, pause};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_grok-speaker");
/// Rate of the speech the service sends.
const SPEECH: f64 = 24_000.0;

/// A daemon with its front end off that sends everything it hears.
pub(crate) struct Daemon {
    child: Child,
    listener: Child,
    began: Instant,
    opened: Arc<Mutex<Option<Instant>>>,
    control: String,
}

/// What a stretch of work took.
pub(crate) struct Work {
    pub(crate) cpu: f64,
    pub(crate) wakes: f64,
    pub(crate) pss: f64,
    pub(crate) threads: usize,
    pub(crate) by_thread: Vec<(String, (f64, f64))>,
}

impl Daemon {
    pub(crate) fn start(card: &Card, service: &Service) -> Self {
        let path = |n: &str| card.folder.join(n).display().to_string();
        let opened = Arc::new(Mutex::new(None));
        let listener = listen(card, &opened);
        pause(Duration::from_millis(200));
        std::fs::write(path("config.toml"), "").unwrap();
        let control = format!("control.socket={}", path("control.sock"));
        let sets = [
            format!("grok.url=wss://localhost:{}/v1/realtime", service.port),
            format!("grok.ca_file={}", path("ca.pem")),
            format!("state.directory={}", path("state")),
            control.clone(),
        ];
        let fixed = [
            "audio.input=mic",
            "audio.output=speaker",
            "turn.mode=open",
            "turn.gate=always",
            "speech.echo_cancellation=off",
            "speech.noise_suppression=off",
            "speech.gain_control=off",
            "panel.listen=127.0.0.1:0",
            "log.level=warn",
        ];
        let mut command = card.command(BINARY);
        command.args(["run", "--config", &path("config.toml")]).env("XAI_API_KEY", "bench");
        for set in sets.iter().map(String::as_str).chain(fixed) {
            command.args(["--set", set]);
        }
        service.forget();
        *opened.lock().unwrap() = None;
        let began = now();
        let child = command.stdout(Stdio::null()).stderr(Stdio::inherit()).spawn().unwrap();
        Self { child, listener, began, opened, control }
    }

    /// Milliseconds from exec to the open microphone, and to the first append at the service.
    pub(crate) fn start_times(&self, service: &Service) -> (f64, f64) {
        for _ in 0..200 {
            pause(Duration::from_millis(50));
            let opened = *self.opened.lock().unwrap();
            if let (Some(open), Some(append)) = (opened, service.first_append()) {
                let ms = |t: Instant| (t - self.began).as_secs_f64() * 1000.0;
                return (ms(open), ms(append));
            }
        }
        panic!("the daemon sent nothing within 10 s");
    }

    fn threads(&self) -> BTreeMap<String, (f64, f64)> {
        let mut found = BTreeMap::<String, (f64, f64)>::new();
        let folder = format!("/proc/{}/task", self.child.id());
        for task in std::fs::read_dir(folder).unwrap().filter_map(Result::ok) {
            let read = |n: &str| std::fs::read_to_string(task.path().join(n)).unwrap_or_default();
            let first = |s: &str| s.split_whitespace().next().and_then(|w| w.parse::<f64>().ok());
            let wakes = read("status")
                .lines()
                .find_map(|l| l.strip_prefix("voluntary_ctxt_switches:").and_then(first))
                .unwrap_or(0.0);
            let entry = found.entry(read("comm").trim().to_owned()).or_default();
            entry.0 += first(&read("schedstat")).unwrap_or(0.0);
            entry.1 += wakes;
        }
        found
    }

    /// Counts work for a while.
    pub(crate) fn work(&self, span: Duration) -> Work {
        let (before, start) = (self.threads(), now());
        pause(span);
        let (after, seconds) = (self.threads(), start.elapsed().as_secs_f64());
        let by_thread: Vec<_> = after
            .into_iter()
            .map(|(name, (ns, wakes))| {
                let old = before.get(&name).copied().unwrap_or_default();
                let share = ((ns - old.0) / 1e7 / seconds, (wakes - old.1) / seconds);
                (name, share)
            })
            .collect();
        let status = std::fs::read_to_string(format!("/proc/{}/smaps_rollup", self.child.id()));
        let pss = status
            .unwrap()
            .lines()
            .find_map(|l| l.strip_prefix("Pss:")?.split_whitespace().next()?.parse::<f64>().ok())
            .unwrap_or(f64::NAN);
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap().count();
        Work {
            cpu: by_thread.iter().map(|t| t.1.0).sum(),
            wakes: by_thread.iter().map(|t| t.1.1).sum(),
            pss: pss / 1000.0,
            threads: tasks,
            by_thread,
        }
    }

    /// A click in the microphone to the message that carries its first sample.
    pub(crate) fn microphone_to_service(
        &self,
        card: &Card,
        service: &Service,
        count: usize,
    ) -> Vec<f64> {
        let witness = Witness::of(card, "voice");
        service.forget();
        card.click(count);
        pause(Duration::from_millis(500));
        let truth = witness.end();
        let spoken = truth.spoken();
        let from: Vec<Instant> = truth.sounds.iter().map(|s| spoken(s.0)).collect();
        between(&from, &service.clicks())
    }

    /// The first delta of a reply, as it is handed to the socket, to its sound.
    pub(crate) fn service_to_ear(&self, card: &Card, service: &Service, count: usize) -> Vec<f64> {
        let witness = Witness::of(card, "speaker");
        let mut from = Vec::new();
        let mut sound = click(SPEECH);
        sound.resize(4800, 0);
        for i in 0..count {
            from.push(service.reply(&[bytes(&sound)]));
            pause(Duration::from_millis(400 + (i as u64 * 7) % 20));
        }
        let truth = witness.end();
        let played = truth.played();
        let to: Vec<Instant> = truth.sounds.iter().map(|s| played(s.0)).collect();
        between(&from, &to)
    }

    /// `speech_started`, as it is handed to the socket, to the last sound of a reply.
    pub(crate) fn started_to_silence(
        &self,
        card: &Card,
        service: &Service,
        count: usize,
    ) -> Vec<f64> {
        let witness = Witness::of(card, "speaker");
        let mut from = Vec::new();
        let sound = bytes(&tone(SPEECH, 3.0));
        let deltas: Vec<Vec<u8>> = sound.chunks(9600).map(<[u8]>::to_vec).collect();
        for i in 0..count {
            service.reply(&deltas);
            pause(Duration::from_millis(600 + (i as u64 * 7) % 20));
            from.push(service.interrupt());
            pause(Duration::from_millis(400));
        }
        let truth = witness.end();
        let played = truth.played();
        let to: Vec<Instant> = truth.sounds.iter().map(|s| played(s.1)).collect();
        between(&from, &to)
    }

    /// Overruns and underruns since its start.
    pub(crate) fn xruns(&self) -> (u64, u64) {
        let out = Command::new(BINARY).args(["status", "--json", "--set", &self.control]).output();
        let status: serde_json::Value = serde_json::from_slice(&out.unwrap().stdout).unwrap();
        let count = |name: &str| status[name].as_u64().unwrap_or(u64::MAX);
        (count("overruns"), count("underruns"))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        for child in [&mut self.child, &mut self.listener] {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Notes when a recording begins on the card.
fn listen(card: &Card, opened: &Arc<Mutex<Option<Instant>>>) -> Child {
    let mut child = card.command("pactl").arg("subscribe").stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let opened = opened.clone();
    measuring(move || {
        for line in lines.map_while(Result::ok) {
            if line.contains("'new' on source-output") {
                opened.lock().unwrap().get_or_insert_with(now);
            }
        }
    });
    child
}
