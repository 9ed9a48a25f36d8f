//! DOOR to the accepted TCP connection: counts it, knows when its peer was last heard and whether
//! it takes what we write, and can be cut from outside.
//!
//! Why a stream of our own: the Socket.IO library waits in the middle of a write for a peer that
//! has stopped reading, and then sees neither its own heartbeat nor a request to close. A stream
//! that fails the write ends that wait.

use super::{Options, rule};
use crate::base::Clock;
use crate::base::unit::Moment;
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

#[cfg(any(target_os = "linux", target_os = "android"))]
/// The kernel gives up on a peer that acknowledges nothing for so long.
const USER_TIMEOUT: Duration = Duration::from_secs(15);
/// Bytes the kernel holds for a slow reader; more would only be stale.
const SEND_BUFFER: usize = 64 * 1024;

/// Bytes a peer may send in the long run, a second: a page sends some hundred, and typed turns as large
/// as they may be, one after another, are less.
const INFLOW: u64 = 128 * 1024;
/// And at once: sixteen of the largest messages.
const INFLOW_BURST: u64 = 1 << 20;

/// Bytes of one peer that are worked through before the others have their turn: a hundred of the smallest
/// events. The WebSocket library reads as much as there is and goes through it without a pause.
const TURN: usize = 4096;

/// How much a peer may still send. Frames that never make a message cost memory nothing and the
/// processor much, and the libraries count none of them.
#[derive(Debug)]
struct Inflow {
    credit: u64,
    at: Moment,
}

impl Inflow {
    fn new(now: Moment) -> Self {
        Self { credit: INFLOW_BURST, at: now }
    }

    /// Whether that much more is not too much.
    fn takes(&mut self, bytes: usize, now: Moment) -> bool {
        let waited = u64::try_from(now.since(self.at).as_millis()).unwrap_or(u64::MAX);
        // What is less than a millisecond is waited for again.
        if waited > 0 {
            self.at = now;
        }
        let earned = waited.saturating_mul(INFLOW / 1000);
        let credit = self.credit.saturating_add(earned).min(INFLOW_BURST);
        let rest = credit.checked_sub(bytes as u64);
        self.credit = rest.unwrap_or(0);
        rest.is_some()
    }
}

/// What is known of one connection. Shared by its stream, the guard and the sweep.
#[derive(Debug)]
pub(super) struct Peer {
    id: u64,
    pub(super) remote: SocketAddr,
    pub(super) local: SocketAddr,
    /// Nobody on the way can read along.
    pub(super) secure: bool,
    secrets: bool,
    /// A valid session was seen on it: it is not the first to make room.
    pub(super) trusted: AtomicBool,
    /// It is a WebSocket now.
    pub(super) upgraded: AtomicBool,
    heard_us: AtomicU64,
    blocked: AtomicBool,
    cut: AtomicBool,
    /// Tasks that wait on the stream: one reads, one writes.
    wakers: Mutex<[Option<Waker>; 2]>,
}

impl Peer {
    /// When its last byte came.
    pub(super) fn heard(&self) -> Moment {
        Moment::from_micros(self.heard_us.load(Ordering::Relaxed))
    }

    /// Whether what must stay secret may be asked for on it.
    pub(super) fn may_carry_secrets(&self) -> bool {
        self.secrets
    }

    pub(super) fn is_upgraded(&self) -> bool {
        self.upgraded.load(Ordering::Relaxed)
    }

    /// Whether the kernel takes no more bytes for it.
    pub(super) fn is_blocked(&self) -> bool {
        self.blocked.load(Ordering::Relaxed)
    }

    /// Makes every further read and write fail at once.
    pub(super) fn cut(&self) {
        self.cut.store(true, Ordering::Relaxed);
        let wakers = std::mem::take(&mut *lock(&self.wakers));
        wakers.into_iter().flatten().for_each(Waker::wake);
    }

    fn is_cut(&self) -> bool {
        self.cut.load(Ordering::Relaxed)
    }

    /// Remembers whom to wake when it is cut; says whether it already is.
    fn waits(&self, side: usize, cx: &Context<'_>) -> bool {
        let slot = &mut lock(&self.wakers)[side];
        match slot {
            Some(waker) => waker.clone_from(cx.waker()),
            None => *slot = Some(cx.waker().clone()),
        }
        // Read under the lock: who cuts takes the wakers after saying so.
        self.is_cut()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// All open connections. A newcomer that finds the house full takes the place of the oldest one
/// without a session, so that strangers can neither lock out nor push out a paired panel.
#[derive(Debug)]
pub(super) struct Crowd {
    max: usize,
    max_per_address: usize,
    secrets_on_http: bool,
    next: AtomicU64,
    peers: Mutex<BTreeMap<u64, Arc<Peer>>>,
}

impl Crowd {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            max: options.max_connections,
            max_per_address: options.max_per_address,
            secrets_on_http: options.secrets_on_http,
            next: AtomicU64::new(0),
            peers: Mutex::default(),
        }
    }

    /// Takes a connection in, or drops it: from outside the local network, or no room.
    pub(super) fn admit(
        self: &Arc<Self>,
        tcp: TcpStream,
        secure: bool,
        clock: &Clock,
    ) -> Option<Stream> {
        let (remote, local) = (tcp.peer_addr().ok()?, tcp.local_addr().ok()?);
        if !rule::is_local(remote.ip()) {
            log::debug!(address:% = remote.ip(); "connection from outside the local network refused");
            return None;
        }
        tune(&tcp);
        let mut peers = lock(&self.peers);
        let near = rule::neighbour(remote.ip());
        let is_near = |peer: &Arc<Peer>| rule::neighbour(peer.remote.ip()) == near;
        let from_near = peers.values().filter(|peer| is_near(peer)).count();
        if from_near >= self.max_per_address {
            make_room(&mut peers, is_near)?;
        } else if peers.len() >= self.max {
            make_room(&mut peers, |_| true)?;
        }
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let peer = Arc::new(Peer {
            id,
            remote,
            local,
            secure,
            secrets: rule::may_carry_secrets(secure, remote.ip(), self.secrets_on_http),
            trusted: AtomicBool::new(false),
            upgraded: AtomicBool::new(false),
            heard_us: AtomicU64::new(clock().micros()),
            blocked: AtomicBool::new(false),
            cut: AtomicBool::new(false),
            wakers: Mutex::default(),
        });
        peers.insert(id, peer.clone());
        let inflow = Inflow::new(peer.heard());
        Some(Stream { tcp, peer, inflow, taken: 0, crowd: self.clone(), clock: clock.clone() })
    }
}

/// Cuts the oldest connection without a session among those that `may` go.
fn make_room(peers: &mut BTreeMap<u64, Arc<Peer>>, may: impl Fn(&Arc<Peer>) -> bool) -> Option<()> {
    let oldest =
        peers.values().find(|peer| may(peer) && !peer.trusted.load(Ordering::Relaxed))?.clone();
    peers.remove(&oldest.id);
    oldest.cut();
    Some(())
}

/// Small messages leave at once, a peer that is gone is noticed, a slow one shows early. A system
/// that refuses one of these still serves.
fn tune(tcp: &TcpStream) {
    let _ = tcp.set_nodelay(true);
    let socket = socket2::SockRef::from(tcp);
    let _ = socket.set_send_buffer_size(SEND_BUFFER);
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let _ = socket.set_tcp_user_timeout(Some(USER_TIMEOUT));
}

/// A connection that can be watched and cut.
pub(super) struct Stream {
    tcp: TcpStream,
    pub(super) peer: Arc<Peer>,
    inflow: Inflow,
    /// Bytes taken since others had their turn.
    taken: usize,
    crowd: Arc<Crowd>,
    clock: Clock,
}

impl Drop for Stream {
    fn drop(&mut self) {
        lock(&self.crowd.peers).remove(&self.peer.id);
    }
}

fn was_cut() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "cut by the panel")
}

impl Stream {
    /// Does `work` unless the connection is cut, and lets whoever has to wait for it be woken by a cut.
    fn unless_cut<T>(
        &mut self,
        side: usize,
        cx: &mut Context<'_>,
        work: impl FnOnce(Pin<&mut TcpStream>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if self.peer.is_cut() {
            return Poll::Ready(Err(was_cut()));
        }
        let result = work(Pin::new(&mut self.tcp), cx);
        if result.is_pending() && self.peer.waits(side, cx) {
            return Poll::Ready(Err(was_cut()));
        }
        result
    }

    /// Writes, and notes whether the kernel took it.
    fn write<T>(
        &mut self,
        cx: &mut Context<'_>,
        work: impl FnOnce(Pin<&mut TcpStream>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let result = self.unless_cut(1, cx, work);
        self.peer.blocked.store(result.is_pending(), Ordering::Relaxed);
        result
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.taken >= TURN {
            this.taken = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let room = buf.remaining().min(TURN);
        let mut part = ReadBuf::new(buf.initialize_unfilled_to(room));
        let result = this.unless_cut(0, cx, |tcp, cx| tcp.poll_read(cx, &mut part));
        let came = part.filled().len();
        buf.advance(came);
        this.taken = if result.is_pending() { 0 } else { this.taken + came };
        if came > 0 {
            let now = (this.clock)();
            this.peer.heard_us.store(now.micros(), Ordering::Relaxed);
            if !this.inflow.takes(came, now) {
                log::debug!(address:% = this.peer.remote.ip(); "a connection that sent too much was cut");
                this.peer.cut();
                return Poll::Ready(Err(was_cut()));
            }
        }
        result
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().write(cx, |tcp, cx| tcp.poll_write(cx, buf))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().tcp).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().tcp).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().write(cx, |tcp, cx| tcp.poll_write_vectored(cx, bufs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt as _;

    #[test]
    fn a_page_may_send_for_ever_and_a_flood_may_not() {
        let mut page = Inflow::new(Moment::ZERO);
        assert!((0..100_000).all(|n| page.takes(64 * 1024, Moment::from_millis(600 * n))));
        let mut fine = Inflow::new(Moment::ZERO);
        let often = |n: u64| Moment::from_micros(100 * n);
        assert!((0..1_000_000).all(|n| fine.takes(12, often(n))), "less than a millisecond counts");
        let mut flood = Inflow::new(Moment::ZERO);
        let taken = (0..1000).take_while(|_| flood.takes(4096, Moment::ZERO)).count();
        assert_eq!(taken, 256);
        assert!(flood.takes(4096, Moment::from_millis(100)));
    }

    #[tokio::test]
    async fn others_have_their_turn_while_a_peer_has_more_to_be_read() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut peer = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        peer.write_all(&[0; 3 * TURN]).await.unwrap();
        let (tcp, _) = listener.accept().await.unwrap();
        tcp.readable().await.unwrap();
        let clock: Clock = Arc::new(|| Moment::ZERO);
        let crowd = Arc::new(Crowd::new(&Options::default()));
        let mut stream = crowd.admit(tcp, false, &clock).unwrap();
        let (mut bytes, mut cx) = ([0; 3 * TURN], Context::from_waker(Waker::noop()));
        let mut read = || {
            let mut buf = ReadBuf::new(&mut bytes);
            let result = Pin::new(&mut stream).poll_read(&mut cx, &mut buf);
            result.is_ready().then_some(buf.filled().len())
        };
        assert_eq!([read(), read(), read()], [Some(TURN), None, Some(TURN)]);
    }
}
