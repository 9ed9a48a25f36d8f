//! DOOR tungstenite: accepts, refuses, and gives each connection's brain its clock and its socket.

use super::brain::{Brain, Out, Query};
use super::desk::{Desk, Report};
use super::fault::Mood;
use super::http::{Answer, BODY_LIMIT, Credential, HEAD_LIMIT, Request, head_end, switching};
use super::stream::Stream;
use super::tls;
use super::wire::{Pen, encode};
use super::wirelog::WireLog;
use super::{Options, StandinError};
use crate::base::secret::Secret;
use crate::base::unit::Moment;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, SystemTime};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::frame::{CloseFrame, Frame};
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

/// TLS handshake and request head must be here by then: a slow client may not hold a place.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// A client that takes nothing for so long is given up.
const SEND: Duration = Duration::from_secs(10);
/// A connection without any frame of the client for so long is dead; it answers our pings.
const DEAD: Duration = Duration::from_secs(60);
/// WebSocket pings, beside the service's own.
const PING: Duration = Duration::from_secs(20);
/// Connections at a time: far more than a desk needs, far fewer than file descriptors.
const CONNECTIONS: usize = 64;
/// Connections that are still told why; beyond that they are dropped.
const CONNECTIONS_HEARD: usize = 2 * CONNECTIONS;
/// Pause after a failed accept, for instance without file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long `stop` waits for connections to close.
const STOP: Duration = Duration::from_millis(500);
/// Longest message of a client: five minutes of audio as JSON.
const MESSAGE_LIMIT: usize = 16 * 1024 * 1024;
/// Sizes of fragments with the fault `split-frames`.
const FRAGMENTS: [usize; 4] = [1, 13, 700, 4096];
const PATH: &str = "/v1/realtime";

/// The clock of the stand-in: its own, since it plays a machine of its own.
#[derive(Debug, Clone, Copy)]
struct Clock(Instant);

impl Clock {
    fn start() -> Self {
        #[expect(clippy::disallowed_methods, reason = "the stand-in plays another machine")]
        Self(Instant::now())
    }

    fn now(&self) -> Moment {
        Moment::from_micros(u64::try_from(self.0.elapsed().as_micros()).unwrap_or(u64::MAX))
    }

    fn instant(&self, at: Moment) -> Instant {
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
struct House {
    desk: Arc<Desk>,
    log: WireLog,
    key: Option<Secret>,
    clock: Clock,
    seed: u64,
    numbers: AtomicU32,
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
        let accept = derive_accept_key(key.as_bytes());
        Ok(switching(&accept, request.chosen_protocol().as_deref()))
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

    async fn talk<S: AsyncRead + AsyncWrite + Unpin + Send>(
        &self,
        mut stream: S,
        request: &Request,
        reply: &[u8],
        ahead: &[u8],
        stopped: watch::Receiver<bool>,
    ) {
        if !matches!(timeout(SEND, stream.write_all(reply)).await, Ok(Ok(()))) {
            return;
        }
        self.desk.count(|r| r.connections += 1);
        let number = self.numbers.fetch_add(1, Ordering::Relaxed) + 1;
        let query = Query {
            model: request.parameter("model").map(str::to_owned),
            conversation: request.parameter("conversation_id").map(str::to_owned),
        };
        let seed = self.seed.wrapping_add(u64::from(number) << 32);
        let brain = Brain::new(self.desk.clone(), number, seed, &query, self.clock.now());
        let deaf = Arc::new(AtomicBool::new(self.desk.mood.no_pong));
        let config = WebSocketConfig::default()
            .max_message_size(Some(MESSAGE_LIMIT))
            .max_frame_size(Some(MESSAGE_LIMIT));
        let stream = Stream::new(stream, ahead, deaf.clone());
        let socket = WebSocketStream::from_raw_socket(stream, Role::Server, Some(config)).await;
        Connection { house: self, number, brain, socket, deaf, hushed: false }.run(stopped).await;
    }
}

/// One open connection.
struct Connection<'a, S> {
    house: &'a House,
    number: u32,
    brain: Brain,
    socket: WebSocketStream<Stream<S>>,
    deaf: Arc<AtomicBool>,
    hushed: bool,
}

/// The connection is over.
struct Over;

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Connection<'_, S> {
    async fn run(mut self, stopped: watch::Receiver<bool>) {
        let _ = self.pump(stopped).await;
        self.brain.leave(self.house.clock.now());
    }

    async fn pump(&mut self, mut stopped: watch::Receiver<bool>) -> Result<(), Over> {
        let clock = self.house.clock;
        let mut heard = clock.now();
        let mut ping = heard + PING;
        loop {
            while let Some(out) = self.brain.poll(clock.now()) {
                self.put(out).await?;
            }
            let due = self.brain.deadline().unwrap_or(ping).min(ping).min(heard + DEAD);
            tokio::select! {
                message = self.socket.next() => {
                    heard = clock.now();
                    let message = message.and_then(Result::ok).ok_or(Over)?;
                    if message.is_close() {
                        // The answer to the client's close is queued; it has to leave.
                        let _ = timeout(STOP, self.socket.flush()).await;
                        return Err(Over);
                    }
                    self.take(message);
                }
                () = sleep_until(clock.instant(due)) => {}
                _ = stopped.changed() => return self.close(1001).await,
            }
            let now = clock.now();
            if now.since(heard) >= DEAD {
                return Err(Over);
            }
            if now >= ping {
                ping = now + PING;
                if !self.hushed {
                    self.send(Message::Ping(Vec::new().into())).await?;
                }
            }
        }
    }

    /// A message of the client's.
    fn take(&mut self, message: Message) {
        let now = self.house.clock.now();
        match message {
            Message::Text(text) => {
                self.log_text(now, &text);
                if !self.hushed {
                    self.brain.text(now, &text);
                }
            }
            Message::Binary(bytes) => {
                self.log_audio(now, "in", &bytes);
                if !self.hushed {
                    self.brain.binary(now, &bytes);
                }
            }
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) | Message::Close(_) => {}
        }
    }

    fn log_text(&self, now: Moment, text: &str) {
        if !self.house.log.is_on() {
            return;
        }
        let event: Value = serde_json::from_str(text).unwrap_or_else(|_| json!({ "text": text }));
        let kind = event["type"].as_str().unwrap_or("malformed");
        self.house.log.line(now, "in", self.number, kind, &event);
    }

    fn log_audio(&self, now: Moment, dir: &str, bytes: &[u8]) {
        if self.house.log.is_on() {
            let event = json!({ "audio": encode(bytes) });
            self.house.log.line(now, dir, self.number, "binary", &event);
        }
    }

    /// Something of the brain's. While hushed, everything is lost.
    async fn put(&mut self, out: Out) -> Result<(), Over> {
        let now = self.house.clock.now();
        if self.hushed && !matches!(out, Out::Drop) {
            return Ok(());
        }
        match out {
            Out::Event(event) => {
                let kind = event["type"].as_str().unwrap_or_default();
                self.house.log.line(now, "out", self.number, kind, &event);
                self.text(event.to_string()).await
            }
            Out::Junk(text) => {
                let event = json!({ "text": text });
                self.house.log.line(now, "out", self.number, "malformed", &event);
                self.text(text).await
            }
            Out::Audio(bytes) => {
                self.log_audio(now, "out", &bytes);
                self.send(Message::Binary(bytes.into())).await
            }
            Out::Close(code) => self.close(code).await,
            Out::Drop => Err(Over),
            Out::Hush => {
                self.hushed = true;
                self.deaf.store(true, Ordering::Relaxed);
                Ok(())
            }
        }
    }

    async fn text(&mut self, text: String) -> Result<(), Over> {
        if !self.house.desk.mood.split_frames {
            return self.send(Message::Text(text.into())).await;
        }
        let bytes = text.into_bytes();
        let (mut at, mut turn) = (0, 0);
        loop {
            let end = (at + FRAGMENTS[turn % FRAGMENTS.len()]).min(bytes.len());
            let code = OpCode::Data(if turn == 0 { Data::Text } else { Data::Continue });
            let last = end == bytes.len();
            let frame = Frame::message(bytes[at..end].to_vec(), code, last);
            self.send(Message::Frame(frame)).await?;
            if last {
                return Ok(());
            }
            (at, turn) = (end, turn + 1);
        }
    }

    async fn send(&mut self, message: Message) -> Result<(), Over> {
        match timeout(SEND, self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Over),
        }
    }

    /// Closes with a code and waits for the answer.
    async fn close(&mut self, code: u16) -> Result<(), Over> {
        let frame = CloseFrame { code: code.into(), reason: Utf8Bytes::default() };
        let goodbye = async {
            self.socket.close(Some(frame)).await.map_err(|_| Over)?;
            while let Some(Ok(_)) = self.socket.next().await {}
            Err(Over)
        };
        timeout(STOP, goodbye).await.unwrap_or(Err(Over))
    }
}
