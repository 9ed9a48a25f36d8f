//! The only place that knows everyone: opens, wires, starts, waits, and closes in reverse.
//!
//! Runs on the main thread. Decides nothing about the conversation.

pub mod cards;
pub mod clock;
pub mod control;
pub mod counters;
pub mod demo;
pub mod desk;
pub mod device;
pub mod fingers;
pub mod health;
mod inspect;
pub mod journal;
mod keeper;
mod lan;
pub mod listen;
pub mod logbook;
pub mod lore;
pub mod measure;
pub mod meter;
pub mod outlet;
pub mod pages;
pub mod panel;
pub mod probe;
pub mod prompt;
pub mod pump;
pub mod records;
pub mod redact;
pub mod replay;
pub mod round_trip;
pub mod settings;
pub mod standin;
pub mod store;
pub mod supervise;
pub mod systemd;
pub mod tally;
pub mod telemetry;
pub mod thread;
pub mod vitals;

use crate::audio::{self, Xruns, playout};
use crate::base::event::Fault;
use crate::base::pulse::Pulse;
use crate::base::ring::{Bell, Silent, Wait};
use crate::config::key::{self, Found, KeyError, KeySources};
use crate::config::{self, Config, ConfigError, Layers, Sources};
use crate::conversation::Conversation;
use crate::conversation::journal::Line;
use crate::grok::socket::{self, Socket};
use crate::panel::{Fingerprint, Tls, Trust};
use crate::speech;
use crate::speech::thread::{Counts, Fresh};
use anyhow::Context;
use cards::Cards;
use counters::{Counters, Inside};
use desk::Desk;
use health::Health;
use journal::Journal;
use outlet::Outlet;
use panel::PanelLine;
use pump::{Onlooker, Pump};
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use supervise::{Crew, Watched};
use thread::{AsyncWait, FRONT_END, Granted, Priority, Worker};

/// Version and commit-free build name, in `hello`, `status` and journals.
pub const BUILD: &str = env!("CARGO_PKG_VERSION");

/// Blocks between speech and main: 1 s, far beyond any stall of the main thread that is not a bug.
/// When full the newest block is dropped and counted.
const NEAR_BLOCKS: usize = 100;
/// How long the thread of a name look-up stays for the next one: a race of addresses is over then.
const HELPER_REST: std::time::Duration = std::time::Duration::from_secs(1);

/// The last inputs before a bug, in the state directory; `replay` reads it.
pub(crate) const FLIGHT: &str = "flight.jsonl";

/// Our own bug: the process ends with status 70 and is started anew.
#[derive(Debug, thiserror::Error)]
#[error("internal error: {0}")]
pub struct Bug(pub String);

/// Exit status of a [`Bug`] and of a panic.
pub const BUG: u8 = 70;

/// The exit status that says what kind of failure this is.
pub fn exit_code(error: &anyhow::Error) -> u8 {
    let ours = |e: &socket::Error| !matches!(e, socket::Error::Tls(_));
    let address = error.downcast_ref::<socket::Error>().is_some_and(ours);
    if error.is::<ConfigError>() || error.is::<KeyError>() || address {
        78
    } else if error.is::<Bug>() {
        BUG
    } else {
        1
    }
}

/// The daemon: `run`.
pub fn run(sources: &Sources, journal: Option<PathBuf>) -> anyhow::Result<()> {
    let (layers, config) = config::read(sources)?;
    if let Err(e @ KeyError::Open { .. }) = key(&config) {
        return Err(e.into());
    }
    let host = Host::open(layers, config, journal)?;
    if let Some(panel) = host.pump.panel.as_ref().filter(|panel| panel.is_up()) {
        panel.greet();
    }
    host.run(None)
}

/// An open pairing window, for a person.
#[derive(Debug)]
pub struct Invitation {
    /// Where to enter the code, the best first.
    pub urls: Vec<String>,
    /// By what a browser's owner recognises this speaker over TLS, where that is on.
    pub fingerprint: Option<Fingerprint>,
    /// Six digits.
    pub code: String,
    /// How long it counts.
    pub seconds: u64,
}

/// The socket's share of the configuration.
pub(crate) fn socket_options(config: &Config) -> socket::Options {
    socket::Options { url: config.socket.url.clone(), ca_file: config.socket.ca_file.clone() }
}

/// The panel's share of the configuration.
fn panel_options(config: &Config) -> crate::panel::Options {
    crate::panel::Options {
        listen: config.panel.listen,
        listen_tls: config.panel.listen_tls,
        secrets_on_http: config.panel.secrets_on_http,
        open_view: config.panel.open_view,
        mdns: config.panel.mdns,
        name: config.policy.name.clone(),
        hosts: config.panel.hosts.clone(),
        max_connections: config.panel.max_connections,
        max_per_address: config.panel.max_per_address,
        max_per_session: config.panel.max_per_session,
        state_dir: config.state.clone(),
        build: BUILD.to_owned(),
    }
}

/// The API key as it is at this moment: it may have been changed since the last dial.
pub(crate) fn key(config: &Config) -> Result<Option<Found>, KeyError> {
    key::find(&KeySources::of_process(config.socket.key_file.clone(), config.state.clone()))
}

/// Unix seconds; before 1970 it is 0.
pub(crate) fn unix() -> u64 {
    u64::try_from(clock::wall().unix).unwrap_or(0)
}

/// Everything opened and wired; sound flows already.
pub struct Host {
    runtime: tokio::runtime::Runtime,
    pump: Pump,
}

impl Host {
    /// Opens everything in the order of what may wait least: what reads the trust anchors, the
    /// microphone, the speaker, what else the service needs; the panel last.
    pub fn open(layers: Layers, config: Config, journal: Option<PathBuf>) -> anyhow::Result<Self> {
        // What a person changed does not concern the log: it can wait.
        let telemetry = telemetry::install(config.log)?;
        // Where it is refused, messages wait for other programs at times; the unit file grants it.
        let _ = thread::ask(thread::MAIN);
        audio::drive::check(&config.audio)?;
        let clock = clock::clock();
        let pages = pages::Pages::linked(clock());
        let runtime = runtime().context("the kernel refuses an event queue")?;
        let _entered = runtime.enter();
        let counters = Arc::new(Counters::default());
        let health = Arc::new(Health::new(Arc::clone(&clock)));
        let counts = Arc::new(Counts::default());
        let store = Arc::new(store::Store::open(&config.state));
        let (choices, config, faults) = settings::Choices::open(layers, config, &store);
        // Its helper thread starts before the cards: a thread that is made while ALSA loads a plug-in
        // waits for that.
        let mut socket = Socket::new(socket_options(&config))?;
        let sound = Sound::start(&config, &clock, &counts)?;
        let (since, passed) = (Arc::clone(&clock), Arc::clone(&counters));
        socket.watch(Arc::new(move |read| {
            passed.inside(Inside::ChunkToSocket, since().since(read));
        }));
        for fault in faults {
            // The queue was made a moment ago: there is room.
            let _ = sound.report.try_send(fault);
        }
        let settings = choices.settings().clone();
        let seed = getrandom::u64()
            .map_err(|e| anyhow::anyhow!("the kernel has no random numbers: {e}"))?;
        let conversation = Conversation::new(config.policy.clone(), settings.clone(), seed);
        let head =
            Line::Head { policy: config.policy.clone(), settings, seed, build: BUILD.to_owned() };
        let mut recorder = Journal::new(&head, Some(config.state.join(FLIGHT)))?;
        if let Some(path) = journal {
            let place = || format!("{}", path.display());
            recorder.write_to(&path, journal::FILE_MAX).with_context(place)?;
        }
        let options = panel_options(&config);
        let trust = Trust::open(&config.state, Arc::new(unix));
        if let Some(words) = trust.set_aside() {
            // As above.
            let _ = sound.report.try_send(Fault::StateSetAside { words: words.to_owned() });
        }
        let vitals = Arc::new(vitals::Vitals::default());
        let (orders, ordered) = tokio::sync::mpsc::channel(desk::ORDERS);
        let handed = systemd::panel_sockets();
        let tls = if options.listen_tls.is_some() || handed.tls.is_some() {
            Some(Tls::open(&config.state, &options.hosts, Arc::new(unix))?)
        } else {
            None
        };
        if let Some(words) = tls.as_ref().and_then(Tls::set_aside) {
            // As above.
            let _ = sound.report.try_send(Fault::StateSetAside { words: words.to_owned() });
        }
        let plain = options.listen.is_some() || handed.plain.is_some();
        let panel = (plain || tls.is_some()).then(|| {
            let (clock, health) = (Arc::clone(&clock), Arc::clone(&health));
            let records = records::Records::new(
                &config,
                Arc::clone(&health),
                Arc::clone(&counters),
                Arc::clone(&vitals),
                telemetry.book(),
                sound.crew.lesser(),
                Arc::clone(&counts),
            );
            let desk = desk::open(Desk {
                trust: trust.clone(),
                clock: Arc::clone(&clock),
                records,
                config: config.clone(),
                cards: Arc::clone(&sound.wanted),
                store: Arc::clone(&store),
                orders,
                booth: desk::Booth::new(sound.shelf),
            });
            let shared = panel::Shared {
                trust: trust.clone(),
                desk,
                health,
                counters: Arc::clone(&counters),
            };
            PanelLine::open(options, handed, tls, clock, shared)
        });
        let control = control::Control::open(&config)
            .inspect_err(|e| log::warn!("no control socket, so no `status` and no `pair`: {e}"))
            .ok();
        let pump = Pump {
            clock: Arc::clone(&clock),
            conversation,
            socket,
            bell: sound.bell,
            door: sound.door,
            pending: VecDeque::new(),
            near: sound.near,
            lore: lore::Archive::new(&store, sound.keep),
            settled: false,
            cards: sound.wanted,
            outlet: sound.outlet,
            faults: sound.faults,
            capture: sound.capture,
            speech: sound.speech,
            crew: sound.crew,
            xruns: sound.xruns,
            panel,
            trust,
            control,
            fingers: fingers::Fingers::open(&config.profile.buttons, &clock),
            choices,
            orders: ordered,
            journal: recorder,
            tally: tally::Tally::new(
                counters,
                config.policy.session.output_rate,
                Arc::clone(&counts),
            ),
            telemetry,
            health,
            steps: clock::Steps::default(),
            meter: meter::Meter::new(counts),
            vitals,
            pages,
            onlooker: None,
            notice: prompt::Speech::default(),
            lost: 0,
            place: (Vec::new(), None),
            last_near: clock(),
            ended: None,
            config,
        };
        drop(_entered);
        Ok(Self { runtime, pump })
    }

    /// Opens a pairing window for an admin.
    pub fn invite(&self) -> Option<Invitation> {
        self.pump.invite(crate::panel::trust::Role::Admin)
    }

    /// Runs until a signal, a bug, or the onlooker ends it.
    pub fn run(mut self, onlooker: Option<Onlooker>) -> anyhow::Result<()> {
        self.pump.onlooker = onlooker;
        let result = self.runtime.block_on(self.pump.run());
        // A name look-up under way would hold the end up for seconds.
        self.runtime.shutdown_background();
        result
    }
}

/// The three threads of the audio path and the main thread's ends of what connects them.
struct Sound {
    bell: Arc<dyn Bell>,
    door: AsyncWait,
    near: rtrb::Consumer<Fresh>,
    keep: speech::lore::Keep,
    shelf: speech::tape::Shelf,
    outlet: Outlet,
    faults: std::sync::mpsc::Receiver<Fault>,
    report: std::sync::mpsc::SyncSender<Fault>,
    capture: Arc<Pulse>,
    speech: Arc<Pulse>,
    crew: Crew,
    xruns: Arc<Xruns>,
    wanted: Arc<cards::Wanted>,
}

impl Sound {
    fn start(
        config: &Config,
        clock: &crate::base::Clock,
        counts: &Arc<Counts>,
    ) -> anyhow::Result<Self> {
        let (bell, door) = thread::bell()?;
        let door = door.into_async()?;
        let (speech_bell, speech_wait) = thread::bell()?;
        let playout_options = playout::PlayoutOptions {
            rate: config.policy.session.output_rate,
            // The conversation sets the one of the last run before anything is played.
            gain: config.settings.volume.gain(),
        };
        let cards = Cards::start(&config.audio, playout_options, clock, speech_bell, &bell)?;
        let Cards { near: near_out, far: far_out, mut crew, .. } = cards;

        let (near_to_main, near) = rtrb::RingBuffer::new(NEAR_BLOCKS);
        let pulse = Arc::new(Pulse::default());
        let (options, shared, done) =
            (config.speech.clone(), Arc::clone(&pulse), Arc::clone(&bell));
        let counts = Arc::clone(counts);
        let (lore, keep) = speech::lore::lore();
        let (deck, shelf) = speech::tape::tape();
        let worker = start("speech", FRONT_END, &bell, move || {
            speech::thread::run(
                &options,
                near_out,
                far_out,
                near_to_main,
                lore,
                deck,
                &speech_wait as &dyn Wait,
                &*done as &dyn Bell,
                &shared,
                &counts,
            );
        })?;
        crew.add(Watched::new(worker, Arc::clone(&pulse), Arc::new(Silent), clock()));

        Ok(Self {
            bell,
            door,
            near,
            keep,
            shelf,
            outlet: Outlet::new(cards.feed),
            faults: cards.faults,
            report: cards.report,
            capture: cards.capture,
            speech: pulse,
            crew,
            xruns: cards.xruns,
            wanted: cards.wanted,
        })
    }
}

/// Starts a worker and says when it runs with less than it should.
fn start(
    name: &'static str,
    priority: Priority,
    bell: &Arc<dyn Bell>,
    body: impl FnOnce() + Send + 'static,
) -> std::io::Result<Worker> {
    let worker = Worker::spawn(name, priority, Arc::clone(bell), body)?;
    if let Granted::Less { words } = &worker.granted {
        log::info!(thread = name; "{words}");
    }
    Ok(worker)
}

/// An event loop for the calling thread.
pub(crate) fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .thread_keep_alive(HELPER_REST)
        .build()
}

/// SIGINT and SIGTERM.
pub(crate) struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

impl Signals {
    /// Returns when one comes.
    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Listens for the signals that end us. Needs a runtime.
pub(crate) fn signals() -> std::io::Result<Signals> {
    use tokio::signal::unix::{SignalKind, signal};
    Ok(Signals {
        interrupt: signal(SignalKind::interrupt())?,
        terminate: signal(SignalKind::terminate())?,
    })
}
