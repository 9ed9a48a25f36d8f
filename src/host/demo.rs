//! The `demo` command: the daemon, unchanged, talking over real TLS to the stand-in in the same
//! process, and a readable account of it on standard output.

use crate::audio::drive;
use crate::base::event::Side;
use crate::base::ring::Silent;
use crate::base::unit::Moment;
use crate::config::{self, Sources};
use crate::host::pump::Onlooker;
use crate::host::thread::{Priority, Worker};
use crate::host::{self, clock, supervise};
use crate::panel::event::{Event, Severity, Speaker};
use crate::standin;
use anyhow::{Context, anyhow};
use std::io::Write;
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Two spoken sentences with room for the replies: what the demo hears without a microphone.
const SPEECH: &[u8] = include_bytes!("../../tests/speech/two_turns.wav");
/// What the stand-in takes them to say; it does not recognise speech.
const SAID: [&str; 2] = [
    "What is the weather like in Lisbon tomorrow?",
    "Thank you, and please play some quiet music.",
];
/// When the file has ended and nothing happens for so long, no more turns will come.
const PATIENCE: Duration = Duration::from_secs(30);
/// Where the panel is looked for unless said otherwise; taken, any free port does.
const PANEL: &str = "127.0.0.1:8080";

/// Options of `demo`.
#[derive(Debug, Default)]
pub struct Demo {
    /// A WAV file as microphone.
    pub mic: Option<PathBuf>,
    /// A WAV file as speaker.
    pub speaker: Option<PathBuf>,
    /// End after so many answered turns.
    pub turns: Option<u32>,
    /// Address of the panel.
    pub listen: Option<SocketAddr>,
    /// The owner's last word.
    pub sets: Vec<String>,
}

/// Runs it.
pub fn run(demo: Demo) -> anyhow::Result<()> {
    let folder = Folder::make()?;
    let service = Service::start(folder.path(), transcripts(demo.mic.as_deref()))?;
    let mut out = std::io::stdout();
    let sets = sets(&demo, folder.path(), &service)?;
    for (what, value) in &sets {
        if matches!(*what, "audio.input" | "audio.output") {
            writeln!(out, "{what}: {value}")?;
        }
    }
    // The owner's own configuration has no say: a demo is the same everywhere.
    let file = folder.path().join("config.toml");
    std::fs::write(&file, "")?;
    let sets = sets.iter().map(|(k, v)| format!("{k}={v}")).chain(demo.sets).collect();
    let (layers, config) = config::read(&Sources::of_process(Some(file), sets))?;
    let host = host::Host::open(layers, config, None)?;
    if let Some(invitation) = host.invite() {
        let host::Invitation { urls, code, seconds, .. } = invitation;
        let url = urls.first().map_or("", String::as_str);
        writeln!(out, "panel: {url} (code {code}, valid {seconds} s)")?;
    }
    let speaker = demo.speaker;
    let result = host.run(Some(account(demo.turns)));
    if let (Ok(()), Some(path)) = (&result, speaker) {
        writeln!(out, "reply: {}", path.display())?;
    }
    service.stop(&clock::clock());
    result
}

/// A folder for the demo's own files; gone when it ends.
struct Folder(PathBuf);

impl Folder {
    fn make() -> anyhow::Result<Self> {
        let path = std::env::temp_dir().join(format!("grok-speaker-demo-{}", std::process::id()));
        std::fs::create_dir_all(&path).with_context(|| format!("{}", path.display()))?;
        Ok(Self(path))
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Left over in the folder for temporary files, it harms nobody.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The stand-in on a thread of its own.
struct Service {
    url: String,
    ca_file: Option<PathBuf>,
    stop: tokio::sync::oneshot::Sender<()>,
    worker: Worker,
}

impl Service {
    fn start(folder: &Path, transcripts: Vec<String>) -> anyhow::Result<Self> {
        let options = standin::Options {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            tls: Some(folder.join("tls")),
            key: None,
            transcripts,
            faults: Vec::new(),
            wire_log: None,
            delays: true,
        };
        let (ready, started) = std::sync::mpsc::sync_channel(1);
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let worker = Worker::spawn("standin", Priority::Normal, Arc::new(Silent), move || {
            let served = super::runtime().map(|runtime| {
                runtime.block_on(async {
                    match standin::start(options).await {
                        Ok(running) => {
                            let place = (running.url(), running.ca_file().map(Path::to_owned));
                            // The demo is gone if nobody takes it.
                            let _ = ready.send(Ok(place));
                            // An error means the same: the demo has ended.
                            let _ = stopped.await;
                            running.stop().await;
                        }
                        Err(e) => {
                            let _ = ready.send(Err(e));
                        }
                    }
                });
            });
            if let Err(e) = served {
                log::error!("the stand-in has no event queue: {e}");
            }
        })?;
        let (url, ca_file) =
            started.recv().context("the stand-in did not start")?.context("the stand-in")?;
        Ok(Self { url, ca_file, stop, worker })
    }

    fn stop(self, clock: &crate::base::Clock) {
        // It may have ended by itself.
        let _ = self.stop.send(());
        let _ = supervise::join_by(self.worker, clock, clock() + Duration::from_secs(1));
    }
}

/// What the demo sets below the owner's `--set`.
fn sets(
    demo: &Demo,
    folder: &Path,
    service: &Service,
) -> anyhow::Result<Vec<(&'static str, String)>> {
    let card = demo.mic.is_none() && has_card();
    let mic = match &demo.mic {
        Some(path) => format!("file:{}", path.display()),
        None if card => "default".to_owned(),
        None => {
            let path = folder.join("speech.wav");
            std::fs::write(&path, SPEECH).with_context(|| format!("{}", path.display()))?;
            format!("file:{}", path.display())
        }
    };
    let speaker = match &demo.speaker {
        Some(path) => format!("file:{}", path.display()),
        None if card => "default".to_owned(),
        None => format!("file:{}", std::env::temp_dir().join("grok-speaker-demo.wav").display()),
    };
    let panel = demo.listen.map_or_else(free_panel, |a| a.to_string());
    let mut sets = vec![
        ("turn.mode", "open".to_owned()),
        ("grok.url", service.url.clone()),
        ("audio.input", mic),
        ("audio.output", speaker),
        ("panel.listen", panel),
        // A demo is gone in a minute, and its name would stay in the neighbours' memory.
        ("panel.mdns", "off".to_owned()),
        ("state.directory", folder.join("state").display().to_string()),
        ("control.socket", folder.join("control.sock").display().to_string()),
        ("log.level", "warn".to_owned()),
    ];
    let key = folder.join("key");
    write_key(&key).with_context(|| format!("{}", key.display()))?;
    sets.push(("grok.key_file", key.display().to_string()));
    if let Some(ca) = &service.ca_file {
        sets.push(("grok.ca_file", ca.display().to_string()));
    }
    Ok(sets)
}

/// What the stand-in is to understand: only our own speech is known.
fn transcripts(mic: Option<&Path>) -> Vec<String> {
    let ours = mic.is_none_or(|path| std::fs::read(path).is_ok_and(|wav| wav == SPEECH));
    if ours { SAID.map(str::to_owned).to_vec() } else { vec!["(speech)".to_owned()] }
}

/// The stand-in takes any key, but wants one, as the service does.
fn write_key(path: &Path) -> std::io::Result<()> {
    let mut file =
        std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(b"demo")
}

/// Whether there is a card with a microphone and one with a speaker.
fn has_card() -> bool {
    let cards = drive::cards();
    let has = |side| cards.iter().flat_map(|card| &card.sides).any(|facts| facts.side == side);
    has(Side::Capture) && has(Side::Playout)
}

fn free_panel() -> String {
    match std::net::TcpListener::bind(PANEL) {
        Ok(_) => PANEL.to_owned(),
        Err(_) => "127.0.0.1:0".to_owned(),
    }
}

/// Prints what happens and ends after `turns` answered turns.
fn account(turns: Option<u32>) -> Onlooker {
    let mut answered = 0;
    let mut last = Moment::ZERO;
    let mut shown = None;
    Box::new(move |now, event| {
        let mut out = std::io::stdout();
        let said = match event {
            Event::State(s) => {
                last = now;
                let word = if s.trouble.is_empty() {
                    s.state.word().to_owned()
                } else {
                    format!("{} ({})", s.state.word(), s.trouble)
                };
                (shown.as_ref() != Some(&word)).then(|| {
                    shown = Some(word.clone());
                    format!("[{word}]")
                })
            }
            Event::Transcript(t) if t.r#final => {
                let who = match t.role {
                    Speaker::User => "you ",
                    Speaker::Assistant => "grok",
                };
                let cut = if t.interrupted { " (interrupted)" } else { "" };
                Some(format!("{who}: {}{cut}", t.text))
            }
            Event::Turn(t) => {
                last = now;
                answered += u32::from(t.reason == "completed");
                let mut marks: Vec<_> = t.marks.iter().collect();
                marks.sort_by_key(|(_, ms)| **ms);
                let marks: Vec<_> = marks.iter().map(|(name, ms)| format!("{name} {ms}")).collect();
                Some(format!("turn {} {}: {} (ms)", t.turn, t.reason, marks.join(", ")))
            }
            Event::Notice(n) if n.level != Severity::Info => Some(format!("! {}", n.message)),
            Event::Transcript(_)
            | Event::Notice(_)
            | Event::Audio(_)
            | Event::Traffic(_)
            | Event::Tick(_)
            | Event::Answer(_) => None,
        };
        if let Some(line) = said
            && let Err(e) = writeln!(out, "{now} {line}")
        {
            return ControlFlow::Break(Err(e).context("standard output"));
        }
        match turns {
            Some(n) if answered >= n => ControlFlow::Break(Ok(())),
            Some(n) if now.since(last) > PATIENCE => ControlFlow::Break(Err(anyhow!(
                "{answered} of {n} turns were answered, and nothing more happens"
            ))),
            Some(_) | None => ControlFlow::Continue(()),
        }
    })
}
