//! DOOR tokio-tungstenite + rustls + socket2: dials, pumps messages, closes.
//!
//! Owned by the main task; each dial is a task of its own on the same thread. Never looks into a
//! message and never decides what is held back: it says [`Link::Congested`] and the conversation
//! does.
//!
//! Bounds: a dial takes at most 10 s; a received message at most 16 MiB and at most four wait for
//! the host, then TCP holds the far end back; the send queue holds what `send` says. A full send
//! queue means that the host went on sending into a congested link: the link is given up.

mod dial;
mod pump;
mod race;
mod target;
mod tls;
mod upgrade;
mod words;

use crate::base::event::{Dial, Link, Trouble, Wire};
use crate::base::secret::Secret;
use crate::base::unit::Moment;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use target::Target;
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};

/// Messages the send queue holds: 30 s of speech in 20 ms chunks that may be handed over in one
/// go, and a reserve for control messages.
const QUEUE_MESSAGES: usize = 2048;
/// Bytes the send queue holds: 30 s of speech at 24 kHz in base64, with as much again in reserve.
const QUEUE_BYTES: usize = 4 << 20;
/// Received messages that may wait for the host. Few, because each may have 16 MiB.
const INBOX: usize = 4;

/// What the socket needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// `grok.url`: `wss://`, or `ws://` to loopback.
    pub url: String,
    /// `grok.ca_file`: further trust anchors in PEM.
    pub ca_file: Option<PathBuf>,
}

/// Why a socket cannot be made from its options.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address makes no sense.
    #[error("grok.url \"{url}\": {why}")]
    BadUrl {
        /// As written.
        url: String,
        /// What is wrong and what is allowed.
        why: &'static str,
    },
    /// Unencrypted to another machine.
    #[error("grok.url: ws:// is allowed to this machine only, not to {host}; use wss://")]
    PlainAbroad {
        /// To whom.
        host: String,
    },
    /// The file with trust anchors is of no use.
    #[error("grok.ca_file {path}: {why}")]
    CaFile {
        /// Which file.
        path: String,
        /// What is wrong.
        why: String,
    },
    /// No TLS with this machine's set-up.
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
}

/// The send queue is full; the link has been given up and [`Link::Lost`] follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the send queue is full")]
pub struct Full;

/// What the socket reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// About the connection.
    Link(Link),
    /// From the service, whole.
    Message(Wire),
    /// It has answered the ping with this stamp.
    Pong(u64),
}

/// What holds for the open connection, as the system and the TLS library say it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InForce {
    /// To whom.
    pub peer: SocketAddr,
    /// Whether small messages leave at once.
    pub nodelay: bool,
    /// After how long unacknowledged bytes end the connection; `None` where the system has no such
    /// option.
    pub user_timeout: Option<Duration>,
    /// Whether an idle connection is probed.
    pub keepalive: bool,
    /// The kernel's send buffer in bytes as it accounts for it: Linux counts its own overhead and
    /// says twice what was asked for.
    pub send_buffer: usize,
    /// TLS version, cipher suite and whether the session was resumed; `None` without TLS.
    pub tls: Option<String>,
}

/// Told when a message is in the kernel: the moment that was handed over beside it. Must not wait.
pub type Left = Arc<dyn Fn(Moment) + Send + Sync>;

/// What is to be sent, and since when it could have been.
type Order = (Wire, Option<Moment>);

/// The connection to the service: at most one, made anew by each [`Socket::dial`].
pub struct Socket {
    target: Arc<Target>,
    /// `None` where the address says `ws://`.
    tls: Option<tls::Ready>,
    /// The current dial and older ones that still say goodbye (1 s at most).
    tasks: JoinSet<()>,
    line: Option<Line>,
    /// A fact made on this side, told next.
    ready: Option<Link>,
    left: Left,
}

impl std::fmt::Debug for Socket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { target, tls, line, ready, .. } = self;
        let shown = &mut f.debug_struct("Socket");
        shown.field("target", target).field("tls", tls).field("line", line).field("ready", ready);
        shown.finish_non_exhaustive()
    }
}

/// This side of one dial.
#[derive(Debug)]
struct Line {
    orders: mpsc::Sender<Order>,
    /// Bytes in `orders`: added here, taken off by the pump.
    queued: Arc<AtomicUsize>,
    pings: watch::Sender<u64>,
    facts: mpsc::Receiver<Event>,
    stalled: watch::Receiver<bool>,
    /// What the host was told about `stalled`.
    told: bool,
    task: AbortHandle,
    in_force: Arc<OnceLock<InForce>>,
}

impl Socket {
    /// Checks the address and the file of trust anchors, and has the system's read meanwhile;
    /// connects to nobody. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// When the address or the file of trust anchors is of no use.
    pub fn new(options: Options) -> Result<Self, Error> {
        let target = Target::parse(&options.url)?;
        let draft = tls::draft(options.ca_file.as_deref())?;
        let tls = target.secure.then(|| draft.begin());
        let (target, tasks) = (Arc::new(target), JoinSet::new());
        Ok(Self { target, tls, tasks, line: None, ready: None, left: Arc::new(|_| {}) })
    }

    /// Begins a connection in a task of its own and forgets an older one. Answered by
    /// [`Link::Up`] or [`Link::Failed`] within 10 s. Must be called inside a tokio runtime.
    pub fn dial(&mut self, dial: Dial, key: Option<Secret>) {
        self.hang_up();
        let (orders, orders_out) = mpsc::channel(QUEUE_MESSAGES);
        let (facts_in, facts) = mpsc::channel(INBOX);
        let (stalled_in, stalled) = watch::channel(false);
        let (pings, pings_out) = watch::channel(0);
        let queued = Arc::new(AtomicUsize::new(0));
        let in_force = Arc::new(OnceLock::new());
        let (target, tls) = (Arc::clone(&self.target), self.tls.clone());
        let (counter, slot) = (Arc::clone(&queued), Arc::clone(&in_force));
        let left = Arc::clone(&self.left);
        let task = self.tasks.spawn(async move {
            let opened = match dial::open(&target, tls, &dial, key.as_ref()).await {
                Ok(opened) => opened,
                Err(failure) => {
                    // Nobody listens any more when a newer dial took over: nothing is lost.
                    let _ = facts_in.send(Event::Link(failure.into_link())).await;
                    return;
                }
            };
            log::debug!(peer:% = opened.in_force.peer, tls:? = opened.in_force.tls; "link is up");
            let _ = slot.set(opened.in_force);
            if facts_in.send(Event::Link(Link::Up)).await.is_ok() {
                let orders =
                    pump::Orders { queue: orders_out, queued: counter, pings: pings_out, left };
                pump::run(opened.stream, orders, facts_in, stalled_in).await;
            }
        });
        self.line =
            Some(Line { orders, queued, pings, facts, stalled, told: false, task, in_force });
    }

    /// Sends a WebSocket ping; its answer, where the service gives one, is [`Event::Pong`] with the
    /// same stamp. One that has not left yet gives way to it. Without a connection nothing happens.
    pub fn ping(&self, stamp: u64) {
        if let Some(line) = &self.line {
            line.pings.send_replace(stamp);
        }
    }

    /// Tells somebody how messages leave, from the next dial on.
    pub fn watch(&mut self, left: Left) {
        self.left = left;
    }

    /// Hands a message over to be sent; never waits. Without a connection it is dropped: the fact
    /// that says so has been told or is on its way. `since` is told when it has left.
    ///
    /// # Errors
    /// [`Full`] when 2048 messages or 4 MiB already wait; the link is given up then.
    pub fn send(&mut self, wire: Wire, since: Option<Moment>) -> Result<(), Full> {
        let Some(line) = &self.line else { return Ok(()) };
        let size = size(&wire);
        if line.queued.load(Ordering::Relaxed) + size <= QUEUE_BYTES {
            line.queued.fetch_add(size, Ordering::Relaxed);
            match line.orders.try_send((wire, since)) {
                // Closed: the task has ended and its last fact waits in `facts`.
                Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => return Ok(()),
                Err(mpsc::error::TrySendError::Full(_)) => {}
            }
        }
        line.task.abort();
        self.line = None;
        self.ready = Some(Link::Lost {
            trouble: Trouble::Dropped,
            code: None,
            words: "the link has been stalled for so long that the send queue is full".to_owned(),
        });
        Err(Full)
    }

    /// Closes the connection: what was handed over before is sent, then a close frame; after 1 s
    /// it is dropped in any case. One that is being dialled is dropped at once. Not answered.
    pub fn hang_up(&mut self) {
        self.ready = None;
        // The pump sees its queue end and says goodbye; dropping `facts` silences it.
        if let Some(line) = self.line.take()
            && line.in_force.get().is_none()
        {
            line.task.abort();
        }
    }

    /// Hangs up and waits until the goodbye has been said, 1 s at most.
    pub async fn close(&mut self) {
        self.hang_up();
        while self.tasks.join_next().await.is_some() {}
    }

    /// The next fact or message; waits for ever where there is none. Cancel-safe. A host that does
    /// not call it holds the far end back.
    pub async fn next(&mut self) -> Event {
        loop {
            if let Some(link) = self.ready.take() {
                return Event::Link(link);
            }
            let event = match &mut self.line {
                Some(Line { facts, stalled, told, .. }) => {
                    tokio::select! {
                        biased;
                        Some(ended) = self.tasks.join_next() => {
                            raise(ended);
                            continue;
                        }
                        fact = facts.recv() => fact,
                        Some(fact) = stall(stalled, told) => Some(Event::Link(fact)),
                    }
                }
                None => match self.tasks.join_next().await {
                    Some(ended) => {
                        raise(ended);
                        continue;
                    }
                    None => return std::future::pending().await,
                },
            };
            match &event {
                None | Some(Event::Link(Link::Failed { .. } | Link::Lost { .. })) => {
                    self.line = None;
                }
                Some(
                    Event::Message(_)
                    | Event::Pong(_)
                    | Event::Link(Link::Up | Link::Congested | Link::Clear),
                ) => {}
            }
            if let Some(event) = event {
                return event;
            }
        }
    }

    /// Asks the name servers only: the service's addresses in words.
    ///
    /// # Errors
    /// In words for an owner.
    pub async fn look_up(&self) -> Result<String, String> {
        let Target { host, port, .. } = &*self.target;
        let addresses = tokio::net::lookup_host((host.as_str(), *port)).await;
        let addresses = addresses.map_err(|e| words::Failure::lookup(host, &e).words)?;
        let addresses: Vec<_> = addresses.map(|a| a.ip().to_string()).collect();
        Ok(format!("{host} is {}", addresses.join(", ")))
    }

    /// What holds for the open connection; `None` without one.
    pub fn options_in_force(&self) -> Option<&InForce> {
        self.line.as_ref()?.in_force.get()
    }
}

/// The next change of congestion that the host has not been told; `None` when the task ended.
async fn stall(stalled: &mut watch::Receiver<bool>, told: &mut bool) -> Option<Link> {
    loop {
        let now = *stalled.borrow_and_update();
        if now != *told {
            *told = now;
            return Some(if now { Link::Congested } else { Link::Clear });
        }
        stalled.changed().await.ok()?;
    }
}

/// A panic in a task is a bug like any other: it goes on in the thread that owns the socket.
fn raise(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        std::panic::resume_unwind(error.into_panic());
    }
}

/// Bytes of a message.
fn size(wire: &Wire) -> usize {
    match wire {
        Wire::Text(text) => text.len(),
        Wire::Binary(bytes) => bytes.len(),
    }
}
