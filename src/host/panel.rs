//! The panel's thread as the main thread sees it: two bounded channels that never block, and a new
//! panel when the old one died.

use crate::base::Clock;
use crate::base::pulse::Pulse;
use crate::base::ring::Silent;
use crate::base::unit::Moment;
use crate::host::counters::Counters;
use crate::host::health::Health;
use crate::host::lan::{self, urls};
use crate::host::systemd::Sockets;
use crate::host::thread::{self, PANEL, Priority, Worker};
use crate::panel::event::{Event, Request};
use crate::panel::{self, Fingerprint, Listener, Tls, Trust, Wires};
use std::net::{SocketAddr, TcpListener};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// Events under way to the panel: a reply of ten minutes in pieces of 0.5 s would fit. When the
/// panel is too slow the newest event is dropped and counted; a browser notices the gap by `seq`.
const EVENTS: usize = 1024;
/// Meters, sound and what is inspected leave this much room to what must arrive.
const RESERVE: usize = 512;
/// Commands under way from all panels together; a full queue is answered `busy` by the panel.
const REQUESTS: usize = 64;
/// A panel that died is started anew, but not in a tight loop.
const RESTART_AFTER: Duration = Duration::from_secs(2);

/// The panel, running or about to be.
pub struct PanelLine {
    start: Box<dyn Fn() -> std::io::Result<Running>>,
    clock: Clock,
    counters: Arc<Counters>,
    /// Where it listens, or is to listen, for HTTP and for HTTPS.
    addresses: [Option<SocketAddr>; 2],
    fingerprint: Option<Fingerprint>,
    trust: Trust,
    running: Option<Running>,
    /// Since when it does not run.
    down: Option<Moment>,
    /// What was said about a start that failed: not again until it changes.
    said: String,
}

impl std::fmt::Debug for PanelLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PanelLine").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}

/// What each life of the panel is given.
#[derive(Clone)]
pub struct Shared {
    /// Who may use it.
    pub trust: Trust,
    /// Carries errands out.
    pub desk: panel::errand::Desk,
    /// Why the speaker does not hear.
    pub health: Arc<Health>,
    /// What is counted.
    pub counters: Arc<Counters>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

/// One life of the panel.
struct Running {
    addresses: [Option<SocketAddr>; 2],
    events: mpsc::Sender<Event>,
    requests: mpsc::Receiver<Request>,
    pulse: Arc<Pulse>,
    worker: Worker,
}

impl PanelLine {
    /// Binds the addresses, or takes the sockets that were handed over, and starts the thread. A port
    /// that is taken costs the panel only: it is tried again until it is free. `tls` is what HTTPS
    /// is served with.
    pub fn open(
        options: panel::Options,
        handed: Sockets,
        tls: Option<Tls>,
        clock: Clock,
        shared: Shared,
    ) -> Self {
        let (time, counters) = (Arc::clone(&clock), Arc::clone(&shared.counters));
        let addresses = [options.listen, options.listen_tls];
        let fingerprint = tls.as_ref().map(|tls| tls.fingerprint().clone());
        let trust = shared.trust.clone();
        let start = move || {
            let listener = listener(&options, &handed, tls.as_ref())?;
            let addresses = [listener.address(), listener.tls_address()];
            let (events, from_host) = mpsc::channel(EVENTS);
            let (to_host, requests) = mpsc::channel(REQUESTS);
            let pulse = Arc::new(Pulse::default());
            let Shared { trust, desk, health, counters } = shared.clone();
            let wires = Wires {
                events: from_host,
                requests: to_host,
                desk,
                health: Arc::new(move || health.word()),
                metrics: Arc::new(move || counters.prometheus()),
                clock: Arc::clone(&time),
            };
            let (options, stop) = (options.clone(), Arc::clone(&pulse));
            let worker = Worker::spawn("panel", Priority::Normal, Arc::new(Silent), move || {
                // By itself: the speaker waits for nobody who lets others go first.
                let _ = thread::ask(PANEL);
                let serving = panel::serve(options, listener, trust.clone(), wires, stop);
                let serve =
                    || super::runtime().map_err(Into::into).and_then(|r| r.block_on(serving));
                match catch_unwind(AssertUnwindSafe(serve)) {
                    Ok(Ok(())) => {}
                    Ok(Err(e)) => log::error!("the panel has ended: {e}"),
                    Err(_) => trust.count_panic(),
                }
            })?;
            Ok(Running { addresses, events, requests, pulse, worker })
        };
        let now = clock();
        let mut line = Self {
            start: Box::new(start),
            clock,
            counters,
            addresses,
            fingerprint,
            trust,
            running: None,
            down: None,
            said: String::new(),
        };
        line.begin(now);
        line
    }

    /// Whether it runs.
    pub fn is_up(&self) -> bool {
        self.running.is_some()
    }

    /// Where a person finds it, HTTP first; where it listens, or is to listen.
    pub fn urls(&self) -> Vec<String> {
        let alias = self.trust.alias();
        let schemes = ["http", "https"].into_iter().zip(self.addresses);
        let urls = |(scheme, at): (_, Option<_>)| {
            at.map_or_else(Vec::new, |at| urls(scheme, at, alias.as_deref()))
        };
        schemes.flat_map(urls).collect()
    }

    /// Its address as it is said aloud; where it has one of numbers alone.
    pub fn said(&self) -> Option<String> {
        self.addresses[0].and_then(lan::said)
    }

    /// Tells the log where a person finds it.
    pub fn greet(&self) {
        let panel = self.urls().join(" ");
        if !panel.is_empty() {
            log::info!(panel = panel.as_str(); "the panel is up; pair with the code of `grok-speaker pair`");
        }
    }

    /// By what its owner recognises it over TLS, where that is on.
    pub fn fingerprint(&self) -> Option<&Fingerprint> {
        self.fingerprint.as_ref()
    }

    /// Hands an event over, or drops it; never waits.
    pub fn tell(&self, event: Event) {
        let Some(running) = &self.running else { return };
        let may_be_lost = matches!(event, Event::Tick(_) | Event::Audio(_) | Event::Traffic(_));
        let lost = may_be_lost && running.events.capacity() < RESERVE;
        if lost || running.events.try_send(event).is_err() {
            self.counters.queue_dropped.add("panel", 1);
        }
    }

    /// The next command. Pending while there is no panel.
    pub async fn next(&mut self) -> Request {
        if let Some(running) = &mut self.running {
            if let Some(request) = running.requests.recv().await {
                return request;
            }
            self.running = None;
            self.down = Some((self.clock)());
            log::error!("the panel died; the speaker goes on and the panel is started anew");
        }
        std::future::pending().await
    }

    /// Starts a panel that does not run when its time has come. Called once a second. Whether a
    /// new one has begun, which knows nothing yet.
    pub fn revive(&mut self, now: Moment) -> bool {
        if self.down.is_none_or(|at| now.since(at) < RESTART_AFTER) {
            return false;
        }
        self.begin(now);
        self.is_up()
    }

    fn begin(&mut self, now: Moment) {
        match (self.start)() {
            Ok(running) => {
                self.addresses = running.addresses;
                (self.running, self.down) = (Some(running), None);
                self.said.clear();
            }
            Err(e) => {
                self.down = Some(now);
                let words = e.to_string();
                if self.said != words {
                    log::error!("the panel cannot start: {words}; it is tried again until it can");
                    self.said = words;
                }
            }
        }
    }

    /// Asks it to end and waits for it, but not long.
    pub fn stop(self, limit: Moment) {
        if let Some(running) = self.running {
            running.pulse.stop();
            drop((running.events, running.requests));
            // One that hangs is left to the end of the process.
            let _ = super::supervise::join_by(running.worker, &self.clock, limit);
        }
    }
}

/// What was handed over goes before what is configured.
fn listener(
    options: &panel::Options,
    handed: &Sockets,
    tls: Option<&Tls>,
) -> std::io::Result<Listener> {
    let plain = match (&handed.plain, options.listen) {
        (Some(socket), _) => Listener::adopt(socket.try_clone()?)?,
        (None, Some(address)) => Listener::adopt(bind(address, "panel.listen")?)?,
        (None, None) => Listener::default(),
    };
    match (tls, &handed.tls, options.listen_tls) {
        (Some(tls), Some(socket), _) => plain.with_tls(socket.try_clone()?, tls.clone()),
        (Some(tls), None, Some(address)) => {
            plain.with_tls(bind(address, "panel.listen_tls")?, tls.clone())
        }
        (Some(_) | None, _, _) => Ok(plain),
    }
}

/// A port that is taken is said with its address and the key that chose it.
fn bind(address: SocketAddr, key: &str) -> std::io::Result<TcpListener> {
    let words = |e: std::io::Error| format!("it cannot listen on {address}: {e} ({key})");
    TcpListener::bind(address).map_err(|e| std::io::Error::new(e.kind(), words(e)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::unit::Rate;
    use crate::host::tally::Tally;
    use std::io::{Read, Write};
    use std::net::TcpStream;
    use std::sync::atomic::{AtomicBool, Ordering};

    /// A clock that fails the panel's thread once, when `fuse` is lit.
    fn clock(fuse: &Arc<AtomicBool>) -> Clock {
        let fuse = Arc::clone(fuse);
        Arc::new(move || {
            let panel = std::thread::current().name() == Some("panel");
            assert!(!(panel && fuse.swap(false, Ordering::Relaxed)), "on purpose");
            Moment::from_millis(5000)
        })
    }

    fn page(line: &PanelLine) -> std::io::Result<String> {
        let address = line.addresses[0].unwrap();
        let mut tcp = TcpStream::connect(address)?;
        tcp.set_read_timeout(Some(Duration::from_secs(5)))?;
        let request =
            format!("GET /metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        tcp.write_all(request.as_bytes())?;
        let mut text = String::new();
        tcp.read_to_string(&mut text)?;
        Ok(text)
    }

    /// Attack A40 where it hurts most: in the one loop of the panel.
    #[test]
    fn a_panel_that_panics_is_counted_and_begun_anew() {
        let folder = std::env::temp_dir().join(format!("panel-line-{}", std::process::id()));
        let fuse = Arc::new(AtomicBool::new(false));
        let clock = clock(&fuse);
        let trust = Trust::open(&folder, Arc::new(|| 1_800_000_000));
        let counters = Arc::new(Counters::default());
        let shared = Shared {
            trust: trust.clone(),
            desk: Arc::new(|_, _| Box::pin(async { Ok(serde_json::Value::Null) })),
            health: Arc::new(Health::new(Arc::clone(&clock))),
            counters: Arc::clone(&counters),
        };
        let options = panel::Options {
            listen: Some(SocketAddr::from(([127, 0, 0, 1], 0))),
            mdns: false,
            state_dir: folder.clone(),
            ..panel::Options::default()
        };
        let mut line = PanelLine::open(options, Sockets::default(), None, clock, shared);
        assert!(page(&line).unwrap().contains("panel_panics_total 0"));
        fuse.store(true, Ordering::Relaxed);
        let runtime = crate::host::runtime().unwrap();
        runtime.block_on(async {
            // Whoever comes next meets the end of it.
            drop(TcpStream::connect(line.addresses[0].unwrap()));
            for _ in 0..100 {
                let next = tokio::time::timeout(Duration::from_millis(50), line.next());
                assert!(next.await.is_err(), "a command of a dead panel");
                if line.running.is_none() && trust.panics() > 0 {
                    break;
                }
            }
        });
        assert_eq!(trust.panics(), 1);
        assert!(line.running.is_none() && !line.revive(Moment::from_millis(5500)));
        assert!(line.revive(Moment::from_millis(8000)));
        Tally::new(counters, Rate(24_000), Arc::default()).second(&Arc::default(), &trust);
        assert!(page(&line).unwrap().contains("panel_panics_total 1"));
        line.stop(Moment::from_millis(9000));
        let _ = std::fs::remove_dir_all(folder);
    }
}
