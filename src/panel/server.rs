//! DOOR to the listening socket: takes connections in, gives each a task, and turns the one loop of
//! the panel thread.

use super::guard::Guard;
use super::pages::{self, Sources};
use super::pairing::Trust;
use super::socket::Hub;
use super::stream::{Crowd, Stream};
use super::{Options, engine, errand::Desk, event::Event, event::Request, rule};
use crate::base::Clock;
use crate::base::pulse::Pulse;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::collections::BTreeSet;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::mpsc::{Receiver, Sender};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{MissedTickBehavior, interval, timeout};

/// How often the loop turns by itself while somebody is there: answers due, queues.
const TURN: Duration = Duration::from_millis(50);
/// How often the silent are looked for, and at least whether to stop.
const SWEEP: Duration = Duration::from_secs(1);
/// At the end: time to say goodbye.
const GOODBYE: Duration = Duration::from_millis(300);
/// After an accept that failed for want of file descriptors.
const BREATH: Duration = Duration::from_millis(100);

/// What can go wrong with the panel as a whole.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The socket cannot be used by this runtime.
    #[error("the panel's socket cannot be used: {0}")]
    Listen(#[from] io::Error),
    /// The host has gone without saying stop.
    #[error("nobody feeds the panel any more")]
    Deserted,
}

/// A bound socket that does not serve yet.
#[derive(Debug)]
pub struct Listener(TcpListener);

impl Listener {
    /// A socket that was handed over, already listening.
    pub fn adopt(socket: TcpListener) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        Ok(Self(socket))
    }

    /// Where it listens.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

/// What the panel shares with the host.
pub struct Wires {
    /// What happens. The host uses `try_send` and counts what finds no room.
    pub events: Receiver<Event>,
    /// What panels ask. A full queue is answered with `busy`.
    pub requests: Sender<Request>,
    /// Carries errands out, on the panel's own runtime.
    pub desk: Desk,
    /// One word when the speaker does not hear.
    pub health: Arc<dyn Fn() -> Result<(), &'static str> + Send + Sync>,
    /// Prometheus text.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
    /// Our own time.
    pub clock: Clock,
}

impl std::fmt::Debug for Wires {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wires").finish_non_exhaustive()
    }
}

/// Binds the panel's address, so that it is known before the thread starts.
pub fn bind(options: &Options) -> io::Result<Listener> {
    let address = options
        .listen
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the panel is off"))?;
    Listener::adopt(TcpListener::bind(address)?)
}

/// Serves until `stop`, on a tokio runtime with time and io of the caller's thread. Beats once a
/// turn. A panic while serving costs the connection it happened on and is counted in
/// [`Trust::panics`].
pub async fn serve(
    options: Options,
    listener: Listener,
    trust: Trust,
    wires: Wires,
    stop: Arc<Pulse>,
) -> Result<(), Error> {
    let listener = tokio::net::TcpListener::from_std(listener.0)?;
    let Wires { mut events, requests, desk, health, metrics, clock } = wires;
    let hostname = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let names = rule::names(hostname.as_deref(), &options.hosts);
    let asks = (requests, desk);
    let hub = Hub::new(trust.clone(), clock.clone(), asks, options.build, options.max_per_session);
    let (layer, io) = hub.layer();
    let sources = Sources { trust: trust.clone(), clock: clock.clone(), health, metrics };
    let guard = Arc::new(Guard {
        names,
        trust: trust.clone(),
        hub: hub.clone(),
        clock: clock.clone(),
        logged: Mutex::new(BTreeSet::new()),
        house: pages::router(sources).layer(layer),
    });
    let crowd = Arc::new(Crowd::new(options.max_connections, options.max_per_address));
    let mut tasks = JoinSet::new();
    let (mut turn, mut sweep) = (interval(TURN), interval(SWEEP));
    // Whether anybody was there at the last sweep or has come since.
    let mut visited = false;
    turn.set_missed_tick_behavior(MissedTickBehavior::Delay);
    sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let result = loop {
        stop.beat();
        if stop.stopped() {
            break Ok(());
        }
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((tcp, _)) => {
                    visited = true;
                    if let Some(stream) = crowd.admit(tcp, &clock) {
                        tasks.spawn(connection(stream, guard.clone()));
                    }
                }
                Err(error) => {
                    log::debug!(error:%; "accept failed");
                    tokio::time::sleep(BREATH).await;
                }
            },
            event = events.recv() => match event {
                Some(event) => hub.tell(event),
                None => break if stop.stopped() { Ok(()) } else { Err(Error::Deserted) },
            },
            _ = turn.tick(), if visited => hub.turn(),
            _ = sweep.tick() => {
                hub.sweep();
                visited = !(hub.is_idle() && tasks.is_empty());
            }
            Some(ended) = tasks.join_next() => note(&trust, ended),
        }
    };
    let _ = timeout(GOODBYE, io.close()).await;
    result
}

/// One connection: HTTP/1.1, until a WebSocket takes it over.
async fn connection(stream: Stream, guard: Arc<Guard>) {
    let peer = stream.peer.clone();
    let service = service_fn(move |request| {
        let (guard, peer) = (guard.clone(), peer.clone());
        async move { guard.answer(request, peer).await }
    });
    let served =
        engine::http().serve_connection(TokioIo::new(stream), service).with_upgrades().await;
    if let Err(error) = served {
        log::trace!(error:%; "connection ended");
    }
}

fn note(trust: &Trust, ended: Result<(), JoinError>) {
    if ended.is_err_and(|error| error.is_panic()) {
        trust.count_panic();
        log::error!("a panic in the panel cost one connection; the speaker is not affected");
    }
}
