//! Clients that do as little as they can: read, count, answer heartbeats.

use crate::{now, pause, runtime, task, thread};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Half of the time between two slices of sound.
const STEP: Duration = Duration::from_millis(10);
/// A server's PING as a frame, and the masked answer to it.
const PING: &[u8] = &[0x81, 1, b'2'];
const PONG: &[u8] = &[0x81, 0x81, 0, 0, 0, 0, b'3'];
/// The answer to a handshake.
const JOINED: &[u8] = b"40{\"sid\"";
/// What meters begin with.
const TICK: &[u8] = b"grok-voice:tick";

#[derive(Default)]
struct Counts {
    bytes: AtomicU64,
    ticks: AtomicU64,
    over: AtomicBool,
}

/// They leave when dropped.
pub(crate) struct Crowd(Arc<Counts>);

impl Drop for Crowd {
    fn drop(&mut self) {
        self.0.over.store(true, Ordering::Relaxed);
    }
}

/// What a server has to tell.
#[derive(Clone, Copy)]
pub(crate) enum News {
    Sound,
    Meters,
}

/// Slices of sound each 20 ms and meters 20 times a second, never both at once, for so long; `each` is
/// told what and which step it is.
pub(crate) fn feed(span: Duration, mut each: impl FnMut(News, u32)) {
    let start = now();
    let mut n = 0;
    while start.elapsed() < span {
        match n % 10 {
            0 | 2 | 4 | 6 | 8 => each(News::Sound, n),
            3 | 7 => each(News::Meters, n),
            _ => {}
        }
        n += 1;
        pause((STEP * n).saturating_sub(start.elapsed()));
    }
}

/// A WebSocket by hand.
fn upgraded(address: SocketAddr, path: &str, lines: &str) -> TcpStream {
    let mut tcp = TcpStream::connect(address).unwrap();
    let head = format!(
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{lines}\r\n"
    );
    tcp.write_all(head.as_bytes()).unwrap();
    let mut answer = Vec::new();
    let mut byte = [0];
    while !answer.ends_with(b"\r\n\r\n") {
        tcp.read_exact(&mut byte).unwrap();
        answer.push(byte[0]);
    }
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.starts_with("HTTP/1.1 101"), "{answer}");
    tcp
}

/// A short text, masked with zeros.
fn text(words: &str) -> Vec<u8> {
    let mut frame = vec![0x81, 0x80 | u8::try_from(words.len()).unwrap(), 0, 0, 0, 0];
    frame.extend(words.as_bytes());
    frame
}

impl Crowd {
    /// Panels of one browser that listen.
    pub(crate) fn of_panel(address: SocketAddr, cookie: &str, csrf: &str, count: usize) -> Self {
        let path = "/socket.io/?EIO=4&transport=websocket";
        let join = |_| {
            let mut tcp = upgraded(address, path, &format!("Cookie: {cookie}\r\n"));
            tcp.write_all(&text(&format!("40{{\"csrf\":\"{csrf}\"}}"))).unwrap();
            // Whoever speaks before the answer is put out.
            let mut answer = Vec::<u8>::new();
            let mut bytes = [0; 4096];
            while !answer.windows(JOINED.len()).any(|w| w == JOINED) {
                let count = tcp.read(&mut bytes).unwrap();
                answer.extend(&bytes[..count]);
            }
            if answer.windows(PING.len()).any(|w| w == PING) {
                tcp.write_all(PONG).unwrap();
            }
            tcp.write_all(&text("421[\"grok-voice:listen\",{\"on\":true}]")).unwrap();
            tcp
        };
        Self::read((0..count).map(join).collect())
    }

    pub(crate) fn of_bare(address: SocketAddr, count: usize) -> Self {
        Self::read((0..count).map(|_| upgraded(address, "/", "")).collect())
    }

    fn read(all: Vec<TcpStream>) -> Self {
        let counts = Arc::new(Counts::default());
        let shared = Arc::clone(&counts);
        thread("crowd", move || {
            runtime().block_on(async {
                for tcp in all {
                    tcp.set_nonblocking(true).unwrap();
                    let tcp = tokio::net::TcpStream::from_std(tcp).unwrap();
                    task(client(tcp, Arc::clone(&shared)));
                }
                while !shared.over.load(Ordering::Relaxed) {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            });
        });
        Self(counts)
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.0.bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn ticks(&self) -> u64 {
        self.0.ticks.load(Ordering::Relaxed)
    }
}

async fn client(mut tcp: tokio::net::TcpStream, counts: Arc<Counts>) {
    let mut bytes = [0; 8192];
    while let Ok(count) = tcp.read(&mut bytes).await {
        if count == 0 {
            break;
        }
        let piece = &bytes[..count];
        counts.bytes.fetch_add(count as u64, Ordering::Relaxed);
        let ticks = piece.windows(TICK.len()).filter(|w| *w == TICK).count();
        counts.ticks.fetch_add(ticks as u64, Ordering::Relaxed);
        if piece.windows(PING.len()).any(|w| w == PING) && tcp.write_all(PONG).await.is_err() {
            break;
        }
    }
}
