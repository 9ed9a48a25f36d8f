//! A service of the bench's own: it answers `session.update` after 60 ms, keeps what it hears with
//! the time, and says what it is told to. No part of the stand-in, whose delays would be measured.

use crate::tls;
use crate::{measuring, now, pause};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;

/// From `session.update` to its answer.
const TO_UPDATED: Duration = Duration::from_millis(60);
/// From what somebody said to the reply: whoever starts its player anew for each has done so.
const TO_REPLY: Duration = Duration::from_millis(300);
/// Samples of silence between two clicks at 16 kHz.
const APART: usize = 1600;

/// Messages to send; the moment before the marked one is told.
struct Order {
    messages: Vec<String>,
    marked: usize,
    told: SyncSender<Instant>,
}

/// What came in since it was last forgotten.
type Appends = Arc<Mutex<Vec<(Instant, String)>>>;

pub(crate) struct Service {
    pub(crate) port: u16,
    orders: mpsc::Sender<Order>,
    appends: Appends,
    number: AtomicUsize,
}

impl Service {
    /// Listens on a free loopback port; its certificate is `ca.pem` in the folder.
    pub(crate) fn start(folder: &Path) -> Self {
        let (certificate, config) = tls::server();
        std::fs::write(folder.join("ca.pem"), certificate.pem()).unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(config);
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (orders, mut incoming) = mpsc::channel(16);
        let appends = Appends::default();
        let kept = appends.clone();
        measuring(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    stream.set_nodelay(true).unwrap();
                    let Ok(stream) = acceptor.accept(stream).await else { continue };
                    if let Ok(ws) = tokio_tungstenite::accept_async(stream).await {
                        serve(ws, &mut incoming, &kept).await;
                    }
                }
            });
        });
        Self { port, orders, appends, number: AtomicUsize::new(0) }
    }

    pub(crate) fn forget(&self) {
        self.appends.lock().unwrap().clear();
    }

    pub(crate) fn first_append(&self) -> Option<Instant> {
        self.appends.lock().unwrap().first().map(|a| a.0)
    }

    /// When the message with the first sample of each click came.
    pub(crate) fn clicks(&self) -> Vec<Instant> {
        let (mut found, mut position, mut last) = (Vec::new(), 0, None::<usize>);
        for (at, text) in self.appends.lock().unwrap().iter() {
            let event: Value = serde_json::from_str(text).unwrap();
            let sound = STANDARD.decode(event["audio"].as_str().unwrap()).unwrap();
            for pair in sound.as_chunks::<2>().0 {
                if i16::from_le_bytes(*pair).abs() > crate::card::LOUD {
                    if last.is_none_or(|l| position - l > APART) {
                        found.push(*at);
                    }
                    last = Some(position);
                }
                position += 1;
            }
        }
        found
    }

    fn send(&self, messages: &[Value], marked: usize) -> Instant {
        let messages = messages.iter().map(Value::to_string).collect();
        let (told, tell) = sync_channel(1);
        self.orders.blocking_send(Order { messages, marked, told }).ok().unwrap();
        // Whoever is measured may have hung up.
        tell.recv_timeout(Duration::from_secs(10)).unwrap()
    }

    /// A whole turn: what somebody said, and the reply to it. Returns when the first delta was
    /// handed to the socket.
    pub(crate) fn reply(&self, deltas: &[Vec<u8>]) -> Instant {
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let user = format!("user_{number}");
        let spoken = json!({"id": user, "object": "realtime.item",
            "type": "message", "role": "user", "content": [{"type": "input_audio"}]});
        let turn = [
            json!({"type": "input_audio_buffer.speech_started", "item_id": user}),
            json!({"type": "conversation.item.added", "item": spoken}),
            json!({"type": "input_audio_buffer.speech_stopped", "item_id": user}),
            json!({"type": "input_audio_buffer.committed", "item_id": user}),
        ];
        self.send(&turn, 0);
        pause(TO_REPLY);
        let (response, item) = (format!("resp_{number}"), format!("item_{number}"));
        let line = json!({"id": item, "object": "realtime.item", "type": "message",
            "role": "assistant", "status": "in_progress", "content": []});
        let mut all = vec![
            json!({"type": "response.created",
                "response": {"id": response, "status": "in_progress", "output": []}}),
            json!({"type": "response.output_item.added", "response_id": response, "item": line}),
            json!({"type": "conversation.item.added", "item": line}),
        ];
        let marked = all.len();
        all.extend(deltas.iter().map(|d| {
            json!({"type": "response.output_audio.delta", "response_id": response,
                "item_id": item, "output_index": 0, "content_index": 0,
                "delta": STANDARD.encode(d)})
        }));
        all.push(json!({"type": "response.output_audio.done", "response_id": response,
            "item_id": item}));
        all.push(json!({"type": "response.done",
            "response": {"id": response, "status": "completed", "output": []}}));
        self.send(&all, marked)
    }

    /// Says that the person has begun to speak; returns when it was handed to the socket.
    pub(crate) fn interrupt(&self) -> Instant {
        let user = format!("user_{}", self.number.load(Ordering::Relaxed));
        self.send(&[json!({"type": "input_audio_buffer.speech_started", "item_id": user})], 0)
    }
}

async fn serve<S>(
    mut ws: tokio_tungstenite::WebSocketStream<S>,
    orders: &mut mpsc::Receiver<Order>,
    appends: &Appends,
) where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let created = json!({"type": "session.created", "session": {"id": "sess_bench"}});
    let _ = ws.send(Message::text(created.to_string())).await;
    // A service that says nothing for half a minute counts as dead.
    let mut ping = tokio::time::interval(Duration::from_secs(10));
    loop {
        tokio::select! {
            biased;
            item = ws.next() => {
                let Some(Ok(message)) = item else { return };
                let at = now();
                let Message::Text(text) = message else { continue };
                if text.starts_with("{\"type\":\"input_audio_buffer.append\"") {
                    appends.lock().unwrap().push((at, text.as_str().to_owned()));
                } else if text.contains("\"session.update\"") {
                    let mut event: Value = serde_json::from_str(&text).unwrap();
                    event["type"] = "session.updated".into();
                    tokio::time::sleep(TO_UPDATED).await;
                    let _ = ws.send(Message::text(event.to_string())).await;
                }
            }
            _ = ping.tick() => {
                let _ = ws.send(Message::text(json!({"type": "ping"}).to_string())).await;
            }
            Some(order) = orders.recv() => {
                for (i, message) in order.messages.into_iter().enumerate() {
                    if i == order.marked {
                        let _ = order.told.try_send(now());
                    }
                    if ws.send(Message::text(message)).await.is_err() {
                        return;
                    }
                }
            }
        }
    }
}
