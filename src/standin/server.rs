//! DOOR tokio: listens, answers requests, refuses, and hands handshakes to `socket`.

use super::desk::{Desk, Report};
use super::fault::Mood;
use super::http::{Answer, BODY_LIMIT, Credential, HEAD_LIMIT, Request, head_end, switching};
use super::socket::accept_key;
use super::tls::{self, TlsAcceptor};
use super::wire::Pen;
use super::wirelog::WireLog;
use super::{Options, StandinError};
use crate::base::secret::Secret;
use crate::base::unit::Moment;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

/// TLS handshake and request head must be here by then: a slow client may not hold a place.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// A client that takes nothing for so long is given up.
pub(crate) const SEND: Duration = Duration::from_secs(10);
/// Connections at a time: far more than a desk needs, far fewer than file descriptors.
const CONNECTIONS: usize = 64;
/// Connections that are still told why; beyond that they are dropped.
const CONNECTIONS_HEARD: usize = 2 * CONNECTIONS;
/// Pause after a failed accept, for instance without file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long `stop` waits for connections to close.
pub(crate) const STOP: Duration = Duration::from_millis(500);
const PATH: &str = "/v1/realtime";

/// The clock of the stand-in: its own, since it plays a machine of its own.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock(Instant);

impl Clock {
    fn start() -> Self {
        #[expect(clippy::disallowed_methods, reason = "the stand-in plays another machine")]
        Self(Instant::now())
    }

    pub(crate) fn now(&self) -> Moment {
        Moment::from_micros(u64::try_from(self.0.elapsed().as_micros()).unwrap_or(u64::MAX))
    }

    pub(crate) fn instant(&self, at: Moment) -> Instant {
        self.0 + Duration::from_micros(at.micros())
    }
}

fn unix() -> Duration {
    #[expect(clippy::disallowed_methods, reason = "the service's events carry wall time")]
    let now = SystemTime::now();
    now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

/// What every task of one stand-in shares.
#[derive(Debug)]
pub(crate) struct House {
    pub(crate) desk: Arc<Desk>,
    pub(crate) log: WireLog,
    key: Option<Secret>,
    pub(crate) clock: Clock,
    pub(crate) seed: u64,
    pub(crate) numbers: AtomicU32,
    handshakes: AtomicU32,
}

/// A stand-in that is running. Dropping it ends it at once; [`Running::stop`] says goodbye.
#[derive(Debug)]
pub struct Running {
    addr: SocketAddr,
    certificate: Option<PathBuf>,
    house: Arc<House>,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl Running {
    /// Where it listens.
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The URL for a client: `wss://localhost:PORT/v1/realtime` with TLS, else `ws://ADDR/...`.
    pub fn url(&self) -> String {
        match &self.certificate {
            Some(_) if self.addr.ip().is_loopback() => {
                format!("wss://localhost:{}{PATH}", self.addr.port())
            }
            Some(_) => format!("wss://{}{PATH}", self.addr),
            None => format!("ws://{}{PATH}", self.addr),
        }
    }

    /// With TLS the PEM file a client has to trust.
    pub fn ca_file(&self) -> Option<&Path> {
        self.certificate.as_deref()
    }

    /// What has been seen so far.
    pub fn report(&self) -> Report {
        self.house.desk.report()
    }

    /// Closes every connection (code 1001) and waits for them, at most half a second.
    pub async fn stop(mut self) {
        let _ = self.stop.send(true);
        let wait = async { while self.tasks.join_next().await.is_some() {} };
        let _ = timeout(STOP, wait).await;
    }
}

/// Starts a stand-in on the runtime that calls this; its tasks run there.
///
/// # Errors
/// When the address, the certificate's folder or the wire log cannot be had.
pub async fn start(options: Options) -> Result<Running, StandinError> {
    let (acceptor, certificate) = match &options.tls {
        Some(folder) => {
            let (acceptor, path) = tls::acceptor(folder)?;
            (Some(acceptor), Some(path))
        }
        None => (None, None),
    };
    let log = WireLog::open(options.wire_log.as_deref())?;
    let listen = options.listen;
    let bound = TcpListener::bind(listen).await;
    let bound = bound.and_then(|listener| Ok((listener.local_addr()?, listener)));
    let (addr, listener) = bound.map_err(|source| StandinError::Listen { addr: listen, source })?;
    let unix = unix();
    let epoch_ms = u64::try_from(unix.as_millis()).unwrap_or(0);
    let mood = Mood::new(&options.faults);
    let house = Arc::new(House {
        desk: Arc::new(Desk::new(mood, options.delays, options.transcripts, epoch_ms)),
        log,
        key: options.key,
        clock: Clock::start(),
        seed: u64::try_from(unix.as_nanos() & u128::from(u64::MAX)).unwrap_or(0),
        numbers: AtomicU32::new(0),
        handshakes: AtomicU32::new(0),
    });
    let (stop, stopped) = watch::channel(false);
    let mut tasks = JoinSet::new();
    tasks.spawn(accept(listener, acceptor, house.clone(), stopped));
    Ok(Running { addr, certificate, house, stop, tasks })
}

async fn accept(
    listener: TcpListener,
    acceptor: Option<TlsAcceptor>,
    house: Arc<House>,
    mut stopped: watch::Receiver<bool>,
) {
    let mut connections = JoinSet::new();
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    log::warn!(error:% = error; "stand-in cannot accept");
                    sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
            Some(_) = connections.join_next() => continue,
            _ = stopped.changed() => break,
        };
        if connections.len() >= CONNECTIONS_HEARD {
            continue;
        }
        let full = connections.len() >= CONNECTIONS;
        connections.spawn(welcome(stream, acceptor.clone(), house.clone(), full, stopped.clone()));
    }
    while connections.join_next().await.is_some() {}
}

async fn welcome(
    stream: TcpStream,
    acceptor: Option<TlsAcceptor>,
    house: Arc<House>,
    full: bool,
    stopped: watch::Receiver<bool>,
) {
    let _ = stream.set_nodelay(true);
    match acceptor {
        None => serve(stream, &house, full, stopped).await,
        Some(acceptor) => match timeout(HANDSHAKE, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => serve(stream, &house, full, stopped).await,
            Ok(Err(error)) => log::debug!(error:% = error; "stand-in: TLS handshake failed"),
            Err(_) => log::debug!("stand-in: TLS handshake took too long"),
        },
    }
}

/// Reads until `enough` says where the message ends.
async fn read<S: AsyncRead + Unpin>(
    stream: &mut S,
    bytes: &mut Vec<u8>,
    limit: usize,
    enough: impl Fn(&[u8]) -> Option<usize>,
) -> Result<usize, u16> {
    let reading = async {
        loop {
            if let Some(end) = enough(bytes) {
                return Ok(end);
            }
            if bytes.len() > limit {
                return Err(413);
            }
            match stream.read_buf(bytes).await {
                Ok(0) | Err(_) => return Err(0),
                Ok(_) => {}
            }
        }
    };
    timeout(HANDSHAKE, reading).await.unwrap_or(Err(408))
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin + Send>(
    mut stream: S,
    house: &House,
    full: bool,
    stopped: watch::Receiver<bool>,
) {
    let mut bytes = Vec::new();
    let answer = match read(&mut stream, &mut bytes, HEAD_LIMIT, head_end).await {
        Err(0) => return,
        Err(status) => Answer::refusal(status),
        Ok(end) => {
            let rest = bytes.split_off(end);
            match Request::parse(&bytes) {
                None => Answer::refusal(400),
                Some(_) if full => Answer::refusal(429),
                Some(request) => match (request.method.as_str(), request.path.as_str()) {
                    ("GET", PATH) => match house.handshake(&request).await {
                        Ok(reply) => {
                            return house.talk(stream, &request, &reply, &rest, stopped).await;
                        }
                        Err(refusal) => refusal,
                    },
                    ("POST", "/v1/realtime/client_secrets") => {
                        house.client_secret(&mut stream, &request, rest).await
                    }
                    ("GET", "/v1/tts/voices") => voices(),
                    _ => Answer::refusal(404),
                },
            }
        }
    };
    if answer.status != 200 {
        house.desk.count(|r| r.refused += 1);
    }
    let _ = timeout(SEND, async {
        stream.write_all(&answer.bytes()).await?;
        stream.shutdown().await
    })
    .await;
}

fn voices() -> Answer {
    let list: Vec<_> = ["Eve", "Ara", "Rex", "Sal", "Leo"]
        .iter()
        .map(|name| json!({ "voice_id": name.to_lowercase(), "name": name }))
        .collect();
    Answer { status: 200, retry_after_s: None, body: json!({ "voices": list }) }
}

impl House {
    /// Whether a request may come in: 401 without a usable credential, 400 with a wrong key.
    fn check(&self, request: &Request) -> Result<(), Answer> {
        match (request.credential(), &self.key) {
            (Credential::Missing | Credential::Malformed, _) => Err(Answer::refusal(401)),
            (Credential::Key(_), None) => Ok(()),
            (Credential::Key(key), Some(right)) => {
                let known = key == right.expose() || self.desk.issued(&key, self.clock.now());
                if known { Ok(()) } else { Err(Answer::refusal(400)) }
            }
        }
    }

    async fn handshake(&self, request: &Request) -> Result<Vec<u8>, Answer> {
        let mood = self.desk.mood;
        sleep(mood.slow_handshake).await;
        let count = self.handshakes.fetch_add(1, Ordering::Relaxed);
        if let Some((status, times)) = mood.refuse
            && times.is_none_or(|times| count < times)
        {
            let retry_after_s = mood.retry_after.map(|s| s.as_secs());
            return Err(Answer { retry_after_s, ..Answer::refusal(status) });
        }
        self.check(request)?;
        let Some(key) = request.websocket_key() else { return Err(Answer::refusal(400)) };
        Ok(switching(&accept_key(&key), request.chosen_protocol().as_deref()))
    }

    async fn client_secret<S: AsyncRead + Unpin>(
        &self,
        stream: &mut S,
        request: &Request,
        mut body: Vec<u8>,
    ) -> Answer {
        if let Err(refusal) = self.check(request) {
            return refusal;
        }
        let length = request.header("content-length").and_then(|l| l.parse::<usize>().ok());
        let length = length.unwrap_or(0);
        if length > BODY_LIMIT {
            return Answer::refusal(413);
        }
        let whole = |bytes: &[u8]| (bytes.len() >= length).then_some(length);
        if let Err(status) = read(stream, &mut body, BODY_LIMIT, whole).await {
            return Answer::refusal(status);
        }
        let given: Value = serde_json::from_slice(&body[..length]).unwrap_or(Value::Null);
        let seconds = match given.pointer("/expires_after/seconds") {
            None => Some(600),
            Some(seconds) => seconds.as_u64().filter(|s| (1..=3600).contains(s)),
        };
        let Some(seconds) = seconds else { return Answer::refusal(400) };
        let now = self.clock.now();
        let number = u64::from(self.numbers.fetch_add(1, Ordering::Relaxed));
        let secret = Pen::new(self.seed ^ !number, false).uuid();
        let secret = format!("xai-realtime-client-secret-{secret}");
        self.desk.issue(&secret, now + Duration::from_secs(seconds));
        let expires_at = self.desk.unix_ms(now) / 1000 + seconds;
        let body = json!({ "value": secret, "expires_at": expires_at });
        Answer { status: 200, retry_after_s: None, body }
    }
}
