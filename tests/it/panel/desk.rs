//! A panel on loopback with a host played by the test, and small clients of our own: raw HTTP,
//! Socket.IO over WebSocket.

use futures_util::{SinkExt, StreamExt};
use grok_speaker::base::pulse::Pulse;
use grok_speaker::base::unit::Moment;
use grok_speaker::panel::errand::{Asker, Doing, Errand};
use grok_speaker::panel::event::{Answer, Event, Request};
use grok_speaker::panel::trust::Role;
use grok_speaker::panel::{self, Options, Tls, Trust, Wires};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{Message, client::IntoClientRequest};

/// Everything here happens within this, or the test fails instead of hanging.
pub(super) const SOON: Duration = Duration::from_secs(5);

#[expect(clippy::disallowed_methods, reason = "a test measures real time")]
pub(super) fn clock() -> Instant {
    Instant::now()
}

fn moment(started: Instant, ahead: &AtomicU64) -> Moment {
    let micros = u64::try_from(started.elapsed().as_micros()).unwrap();
    Moment::from_micros(micros + ahead.load(Ordering::Relaxed))
}

/// Seconds since 1970: who looks at a certificate looks at the clock.
#[expect(clippy::disallowed_methods, reason = "a test measures real time")]
fn wall() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()
}

pub(super) struct Desk {
    pub(super) address: SocketAddr,
    pub(super) tls_address: Option<SocketAddr>,
    pub(super) trust: Trust,
    pub(super) events: Sender<Event>,
    pub(super) requests: Receiver<Request>,
    pub(super) stop: Arc<Pulse>,
    pub(super) dir: PathBuf,
    started: Instant,
    /// Microseconds the panel's clock is ahead of ours.
    ahead: Arc<AtomicU64>,
    /// Its thread below `/proc`.
    pub(super) task: PathBuf,
    thread: Option<std::thread::JoinHandle<Result<(), panel::Error>>>,
}

impl Desk {
    pub(super) fn start() -> Self {
        Self::with(|_| {})
    }

    pub(super) fn with(adjust: impl FnOnce(&mut Options)) -> Self {
        Self::at(Self::folder(), adjust)
    }

    /// An empty state directory of its own.
    pub(super) fn folder() -> PathBuf {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("panel-it-{}-{count}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        dir
    }

    pub(super) fn at(dir: PathBuf, adjust: impl FnOnce(&mut Options)) -> Self {
        Self::served(dir, adjust, Arc::new(errand))
    }

    /// With somebody else to carry errands out.
    pub(super) fn served(
        dir: PathBuf,
        adjust: impl FnOnce(&mut Options),
        desk: panel::errand::Desk,
    ) -> Self {
        let mut options = Options {
            listen: Some(SocketAddr::from(([127, 0, 0, 1], 0))),
            state_dir: dir.clone(),
            build: "test".to_owned(),
            ..Options::default()
        };
        adjust(&mut options);
        let started = clock();
        let ahead = Arc::new(AtomicU64::new(0));
        let skipped = ahead.clone();
        let time: grok_speaker::base::Clock = Arc::new(move || moment(started, &skipped));
        let trust = Trust::open(&dir, Arc::new(|| 1_800_000_000));
        let mut listener = panel::bind(&options).unwrap();
        let address = listener.address().unwrap();
        if let Some(at) = options.listen_tls {
            let tls = Tls::open(&dir, &options.hosts, Arc::new(wall)).unwrap();
            listener = listener.with_tls(TcpListener::bind(at).unwrap(), tls).unwrap();
        }
        let tls_address = listener.tls_address();
        let (events, events_out) = channel(4096);
        let (requests_in, requests) = channel(64);
        let stop = Arc::new(Pulse::default());
        let wires = Wires {
            events: events_out,
            requests: requests_in,
            desk,
            health: Arc::new(|| Err("deaf")),
            metrics: Arc::new(|| panic!("on purpose")),
            clock: time,
        };
        let (theirs, stopped) = (trust.clone(), stop.clone());
        let (told, task) = std::sync::mpsc::sync_channel(1);
        let thread = std::thread::Builder::new().spawn(move || {
            let task = std::fs::read_link("/proc/thread-self").unwrap_or_default();
            told.send(Path::new("/proc").join(task)).unwrap();
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(panel::serve(options, listener, theirs, wires, stopped))
        });
        let thread = Some(thread.unwrap());
        let task = task.recv().unwrap();
        Self {
            address,
            tls_address,
            trust,
            events,
            requests,
            stop,
            dir,
            started,
            ahead,
            task,
            thread,
        }
    }

    pub(super) fn now(&self) -> Moment {
        moment(self.started, &self.ahead)
    }

    /// Lets time pass for the panel.
    pub(super) fn skip(&self, time: Duration) {
        self.ahead.fetch_add(u64::try_from(time.as_micros()).unwrap(), Ordering::Relaxed);
    }

    /// Ends the panel and says how it ended.
    pub(super) fn end(&mut self) -> Result<(), panel::Error> {
        self.stop.stop();
        self.thread.take().unwrap().join().unwrap()
    }

    pub(super) async fn tell(&self, event: Event) {
        self.events.send(event).await.unwrap();
    }

    /// The next command, answered as done.
    pub(super) async fn obey(&mut self) -> Request {
        let request = timeout(SOON, self.requests.recv()).await.unwrap().unwrap();
        let (client, id) = (request.client, request.id);
        self.tell(Event::Answer(Answer { client, id, result: Ok(()) })).await;
        request
    }

    /// One request with our own `Host`, which `lines` may replace.
    pub(super) async fn http(&self, head: &str, lines: &[&str], body: &str) -> Reply {
        let mut text = format!("{head} HTTP/1.1\r\n");
        if !lines.iter().any(|line| line.to_ascii_lowercase().starts_with("host:")) {
            text += &format!("Host: {}\r\n", self.address);
        }
        for line in lines.iter().filter(|line| **line != "Host:") {
            text += &format!("{line}\r\n");
        }
        text += &format!("Content-Length: {}\r\n\r\n{body}", body.len());
        self.raw(text.as_bytes()).await
    }

    pub(super) async fn raw(&self, bytes: &[u8]) -> Reply {
        let mut tcp = TcpStream::connect(self.address).await.unwrap();
        tcp.write_all(bytes).await.unwrap();
        let body = !bytes.starts_with(b"HEAD ");
        timeout(SOON, read_reply(&mut tcp, body)).await.expect("no whole answer")
    }

    pub(super) async fn pair(&self, role: Role) -> Session {
        let code = self.trust.open_window(role, self.now());
        let body = json!({"code": code.to_string(), "name": "test"}).to_string();
        let reply = self.http("POST /api/pair", &["Content-Type: application/json"], &body).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        let cookie = reply.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
        let answer: Value = serde_json::from_str(&reply.body).unwrap();
        assert_eq!(answer["role"], role.word());
        Session { cookie, csrf: answer["csrf"].as_str().unwrap().to_owned() }
    }

    /// Pairs and connects over WebSocket; hello is still to be read.
    pub(super) async fn panel(&self, role: Role) -> Panel {
        let session = self.pair(role).await;
        self.connect(&session, Value::Null).await
    }

    pub(super) async fn connect(&self, session: &Session, seq: Value) -> Panel {
        let mut panel = self.dial(session).await;
        panel.say(&format!("40{}", json!({"csrf": session.csrf, "seq": seq}))).await;
        let answer = panel.text().await.unwrap();
        assert!(answer.starts_with("40{\"sid\""), "{answer}");
        panel
    }

    /// A WebSocket that has not joined the namespace.
    pub(super) async fn dial(&self, session: &Session) -> Panel {
        let mut panel = self.dial_at("", &session.cookie).await;
        assert!(panel.text().await.unwrap().starts_with("0{"));
        panel
    }

    /// A WebSocket with more in its query, for example an open session.
    pub(super) async fn dial_at(&self, query: &str, cookie: &str) -> Panel {
        let url = format!("ws://{}/socket.io/?EIO=4&transport=websocket{query}", self.address);
        let mut request = url.into_client_request().unwrap();
        request.headers_mut().insert("cookie", cookie.parse().unwrap());
        let origin = format!("http://{}", self.address);
        request.headers_mut().insert("origin", origin.parse().unwrap());
        let tcp = TcpStream::connect(self.address).await.unwrap();
        let (ws, _) = tokio_tungstenite::client_async(request, tcp).await.unwrap();
        Panel { ws, seen: VecDeque::new(), next: 0 }
    }

    /// Waits until so many panels are live.
    pub(super) async fn live(&self, wanted: usize, limit: Duration) -> Duration {
        let start = clock();
        while self.trust.clients() != wanted {
            assert!(start.elapsed() < limit, "{} live, not {wanted}", self.trust.clients());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        start.elapsed()
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.stop.stop();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// A desk played by the test: says who asked what.
fn errand(asker: Asker, errand: Errand) -> Doing {
    let heard = json!({"me": asker.session.to_string(), "secure": asker.secure, "what": format!("{errand:?}")});
    Box::pin(async move { Ok(heard) })
}

pub(super) struct Session {
    pub(super) cookie: String,
    pub(super) csrf: String,
}

impl Session {
    pub(super) fn line(&self) -> String {
        format!("Cookie: {}", self.cookie)
    }
}

#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: String,
}

impl Reply {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// Status 0 when the connection was closed without an answer.
pub(super) async fn read_reply(tcp: &mut (impl AsyncRead + Unpin), has_body: bool) -> Reply {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            break end;
        }
        if tcp.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
            return Reply { status: 0, headers: Vec::new(), body: String::new() };
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let mut lines = head.split("\r\n");
    let status: u16 = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers: Vec<_> = lines
        .map(|line| line.split_once(": ").unwrap())
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length = length.filter(|_| has_body);
    let length: usize = length.map_or(0, |(_, value)| value.parse().unwrap());
    if status == 101 {
        return Reply { status, headers, body: String::new() };
    }
    let mut body = bytes[end + 4..].to_vec();
    while body.len() < length {
        assert_ne!(tcp.read_buf(&mut body).await.unwrap(), 0, "body cut short");
    }
    Reply { status, headers, body: String::from_utf8(body).unwrap() }
}

/// A Socket.IO event as received.
#[derive(Debug, Clone)]
pub(super) struct Heard {
    pub(super) event: String,
    pub(super) body: Value,
    /// Binary attachments.
    pub(super) bytes: Vec<Vec<u8>>,
}

/// A Socket.IO client over WebSocket.
pub(super) struct Panel {
    ws: tokio_tungstenite::WebSocketStream<TcpStream>,
    seen: VecDeque<Heard>,
    next: u64,
}

impl Panel {
    pub(super) async fn say(&mut self, text: &str) {
        let _ = self.ws.send(Message::text(text)).await;
    }

    pub(super) async fn say_binary(&mut self, bytes: Vec<u8>) {
        let _ = self.ws.send(Message::binary(bytes)).await;
    }

    /// Bytes below WebSocket.
    pub(super) async fn say_raw(&mut self, bytes: &[u8]) {
        let _ = self.ws.get_mut().write_all(bytes).await;
    }

    /// Takes so many bytes from below WebSocket, where they are lost.
    pub(super) async fn sip(&mut self, count: usize) {
        let mut bytes = vec![0; count];
        let _ = self.ws.get_mut().read(&mut bytes).await;
    }

    async fn message(&mut self) -> Option<Message> {
        match timeout(SOON, self.ws.next()).await.expect("nothing came") {
            Some(Ok(message)) if !message.is_close() => Some(message),
            Some(Ok(_) | Err(_)) | None => None,
        }
    }

    /// The next text packet; pings are answered. `None` when closed.
    pub(super) async fn text(&mut self) -> Option<String> {
        loop {
            let message = self.message().await?;
            let text = message.to_text().expect("a text packet").to_owned();
            assert!(message.is_text(), "unexpected {message:?}");
            if text != "2" {
                return Some(text);
            }
            self.say("3").await;
        }
    }

    /// The next event, `None` when closed.
    pub(super) async fn heard(&mut self) -> Option<Heard> {
        if let Some(heard) = self.seen.pop_front() {
            return Some(heard);
        }
        loop {
            let text = self.text().await?;
            if text == "41" || text == "1" {
                return None;
            }
            if let Some(heard) = self.event(&text).await {
                return Some(heard);
            }
        }
    }

    async fn event(&mut self, text: &str) -> Option<Heard> {
        let (count, json) = split(text)?;
        let mut bytes = Vec::new();
        for _ in 0..count {
            bytes.push(self.message().await?.into_data().to_vec());
        }
        Some(heard(json, bytes))
    }

    /// The next event of this name; others are dropped.
    pub(super) async fn wait(&mut self, event: &str) -> Heard {
        loop {
            let heard = self.heard().await.expect("closed");
            if heard.event == event {
                return heard;
            }
        }
    }

    /// Whether it is closed by the other side soon, whatever comes before.
    pub(super) async fn closes(&mut self) -> bool {
        let end = async { while self.heard().await.is_some() {} };
        timeout(SOON, end).await.is_ok()
    }

    /// Whether the connection itself ends soon, not only the namespace.
    pub(super) async fn is_cut(&mut self) -> bool {
        let end = async { while self.message().await.is_some() {} };
        timeout(SOON, end).await.is_ok()
    }

    /// Sends a command without waiting.
    pub(super) async fn send(&mut self, event: &str, payload: Value) -> u64 {
        self.next += 1;
        let id = self.next;
        self.say(&format!("42{id}{}", json!([event, payload]))).await;
        id
    }

    /// The answer to a command; events before it are kept.
    pub(super) async fn answer(&mut self, id: u64) -> Value {
        let start = format!("43{id}[");
        loop {
            let text = self.text().await.expect("closed");
            if text.starts_with(&start) {
                let json: Value = serde_json::from_str(&text[start.len() - 1..]).unwrap();
                return json[0].clone();
            }
            if let Some(heard) = self.event(&text).await {
                self.seen.push_back(heard);
            }
        }
    }

    pub(super) async fn ask(&mut self, event: &str, payload: Value) -> Value {
        let id = self.send(event, payload).await;
        self.answer(id).await
    }
}

/// Number of attachments and JSON of an event packet.
pub(super) fn split(text: &str) -> Option<(usize, &str)> {
    if let Some(json) = text.strip_prefix("42") {
        return Some((0, json));
    }
    let (count, json) = text.strip_prefix("45")?.split_once('-')?;
    Some((count.parse().ok()?, json))
}

pub(super) fn heard(json: &str, bytes: Vec<Vec<u8>>) -> Heard {
    let packet: Value = serde_json::from_str(json).unwrap();
    let event = packet[0].as_str().unwrap().to_owned();
    Heard { event, body: packet[1].clone(), bytes }
}
