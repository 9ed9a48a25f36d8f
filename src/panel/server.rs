//! DOOR to the listening socket: takes connections in, gives each a task, and turns the one loop of
//! the panel thread.

use super::guard::Guard;
use super::heads;
use super::mdns::{Card, Herald};
use super::pages::{self, Sources};
use super::pairing::Trust;
use super::socket::Hub;
use super::stream::{Crowd, Peer, Stream};
use super::tls::Tls;
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
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{Receiver, Sender};
use tokio::task::{JoinError, JoinSet, yield_now};
use tokio::time::{MissedTickBehavior, interval, timeout};

/// From the connection to encrypted bytes; with the time for a request head after it, a stranger holds a
/// connection for 15 s at most.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// How often the loop turns by itself while somebody is there: answers due, queues.
const TURN: Duration = Duration::from_millis(50);
/// How often the silent are looked for, and at least whether to stop.
const SWEEP: Duration = Duration::from_secs(1);
/// The same while nobody is there. A timer of up to four seconds wakes the thread twice: once to be
/// looked at more closely.
const REST: Duration = Duration::from_secs(3);
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
    /// No certificate can be made.
    #[error("no certificate for the panel can be made: {0}")]
    Certificate(String),
    /// The host has gone without saying stop.
    #[error("nobody feeds the panel any more")]
    Deserted,
}

/// Bound sockets that do not serve yet; none by default.
#[derive(Debug, Default)]
pub struct Listener {
    plain: Option<TcpListener>,
    tls: Option<(TcpListener, Tls)>,
}

impl Listener {
    /// A socket for HTTP that was handed over, already listening.
    pub fn adopt(socket: TcpListener) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        Ok(Self { plain: Some(socket), tls: None })
    }

    /// The same sockets and one for HTTPS, already listening.
    pub fn with_tls(mut self, socket: TcpListener, tls: Tls) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        self.tls = Some((socket, tls));
        Ok(self)
    }

    /// Where it listens for HTTP.
    pub fn address(&self) -> Option<SocketAddr> {
        self.plain.as_ref()?.local_addr().ok()
    }

    /// Where it listens for HTTPS.
    pub fn tls_address(&self) -> Option<SocketAddr> {
        self.tls.as_ref()?.0.local_addr().ok()
    }
}

/// The same sockets, once there is a runtime.
struct Doors {
    plain: Option<tokio::net::TcpListener>,
    tls: Option<(tokio::net::TcpListener, Tls)>,
}

impl Doors {
    fn open(listener: Listener) -> io::Result<Self> {
        let Listener { plain, tls } = listener;
        let plain = plain.map(tokio::net::TcpListener::from_std).transpose()?;
        let tls = match tls {
            Some((socket, tls)) => Some((tokio::net::TcpListener::from_std(socket)?, tls)),
            None => None,
        };
        Ok(Self { plain, tls })
    }

    /// The next connection, and what encrypts it. May be dropped while it waits.
    async fn next(&self) -> (io::Result<TcpStream>, Option<&Tls>) {
        tokio::select! {
            tcp = accept(self.plain.as_ref()) => (tcp, None),
            tcp = accept(self.tls.as_ref().map(|(socket, _)| socket)) => {
                (tcp, self.tls.as_ref().map(|(_, tls)| tls))
            }
        }
    }
}

async fn accept(listener: Option<&tokio::net::TcpListener>) -> io::Result<TcpStream> {
    match listener {
        Some(listener) => listener.accept().await.map(|(tcp, _)| tcp),
        None => std::future::pending().await,
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

/// The names under which the device is reached, `hosts` among them.
pub(super) fn own_names(hosts: &[String]) -> Vec<String> {
    let hostname = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    rule::names(hostname.as_deref(), hosts)
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
    let Wires { mut events, requests, desk, health, metrics, clock } = wires;
    let names = own_names(&options.hosts);
    let card = Card::new(&names, &listener, trust.device(), (&options.name, &options.build));
    let mut herald = card.filter(|_| options.mdns).map(Herald::new);
    let plain = listener.address().map(|address| address.port());
    let doors = Doors::open(listener)?;
    let crowd = Arc::new(Crowd::new(&options));
    let tls = match &doors.tls {
        Some((socket, tls)) => Some((socket.local_addr()?.port(), tls.clone())),
        None => None,
    };
    let asks = (requests, desk);
    let host = names.iter().find_map(|name| name.strip_suffix(".local")).unwrap_or_default();
    let words = (options.build, host.to_owned());
    let hub = Hub::new(trust.clone(), clock.clone(), asks, words, options.max_per_session);
    let (layer, io) = hub.layer();
    let sources =
        Sources { trust: trust.clone(), clock: clock.clone(), health, metrics, plain, tls };
    let guard = Arc::new(Guard {
        names,
        trust: trust.clone(),
        hub: hub.clone(),
        clock: clock.clone(),
        logged: Mutex::new(BTreeSet::new()),
        house: pages::router(sources).layer(layer),
    });
    if options.open_view {
        trust.let_watch();
        log::warn!("everybody on the local network may watch, without pairing (panel.open_view)");
    }
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
            (accepted, tls) = doors.next() => match accepted {
                Ok(tcp) => {
                    if !std::mem::replace(&mut visited, true) {
                        sweep.reset();
                    }
                    match (crowd.admit(tcp, tls.is_some(), &clock), tls) {
                        (Some(stream), Some(tls)) => {
                            tasks.spawn(encrypted(stream, tls.clone(), guard.clone()));
                        }
                        (Some(stream), None) => {
                            let peer = stream.peer.clone();
                            tasks.spawn(connection(stream, peer, guard.clone()));
                        }
                        (None, _) => {}
                    }
                    // Whoever is in is heard before the next one comes: a crowd at the door would else
                    // push out a paired panel that has not been asked who it is.
                    yield_now().await;
                }
                Err(error) => {
                    log::debug!(error:%; "accept failed");
                    tokio::time::sleep(BREATH).await;
                }
            },
            event = events.recv() => match event {
                Some(event) => {
                    if let (Event::State(state), Some(herald)) = (&event, &mut herald) {
                        herald.rename(&state.name);
                    }
                    hub.tell(event);
                }
                None => break if stop.stopped() { Ok(()) } else { Err(Error::Deserted) },
            },
            _ = turn.tick(), if visited => hub.turn(),
            _ = sweep.tick() => {
                hub.sweep();
                if let Some(herald) = &mut herald {
                    let notice = herald.look(clock());
                    trust.go_by(herald.alias());
                    notice.into_iter().for_each(|notice| hub.tell(Event::Notice(notice)));
                }
                visited = !(hub.is_idle() && tasks.is_empty());
                if !visited {
                    sweep.reset_after(REST);
                }
            }
            Some(ended) = tasks.join_next() => note(&trust, ended),
        }
    };
    let _ = timeout(GOODBYE, io.close()).await;
    result
}

/// One connection over TLS.
async fn encrypted(stream: Stream, tls: Tls, guard: Arc<Guard>) {
    let peer = stream.peer.clone();
    let acceptor = tls.acceptor(peer.local.ip(), guard.trust.alias());
    match timeout(HANDSHAKE, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => connection(stream, peer, guard).await,
        Ok(Err(error)) => log::trace!(error:%; "TLS failed"),
        Err(_) => log::trace!("TLS took too long"),
    }
}

/// One connection: HTTP/1.1, until a WebSocket takes it over.
async fn connection<S>(stream: S, peer: Arc<Peer>, guard: Arc<Guard>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let stream = heads::watched(stream, peer.clone());
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
