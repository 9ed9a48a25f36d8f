//! DOOR tungstenite: one WebSocket, pumped between its brain and its client.

use super::brain::{Brain, Out, Query};
use super::http::Request;
use super::server::{House, SEND, STOP};
use super::stream::Stream;
use super::wire::encode;
use crate::base::unit::Moment;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::sync::watch;
use tokio::time::{sleep_until, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::frame::{CloseFrame, Frame};
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

/// A connection without any frame of the client for so long is dead; it answers our pings.
const DEAD: Duration = Duration::from_secs(60);
/// WebSocket pings, beside the service's own.
const PING: Duration = Duration::from_secs(20);
/// Longest message of a client: five minutes of audio as JSON.
const MESSAGE_LIMIT: usize = 16 * 1024 * 1024;
/// Sizes of fragments with the fault `split-frames`.
const FRAGMENTS: [usize; 4] = [1, 13, 700, 4096];

/// What a handshake answers to the client's key (RFC 6455 section 4.2.2).
pub(crate) fn accept_key(key: &str) -> String {
    derive_accept_key(key.as_bytes())
}

impl House {
    /// Answers the handshake with `reply` and serves the connection until it ends.
    pub(crate) async fn talk<S: AsyncRead + AsyncWrite + Unpin + Send>(
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
