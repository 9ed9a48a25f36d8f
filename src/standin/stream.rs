//! DOOR tokio: a stream whose first bytes were read ahead, and from which WebSocket pings can be
//! taken out before the WebSocket library answers them.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes read at once.
const READ: usize = 8 * 1024;

/// Takes ping frames (RFC 6455 section 5.5.2) out of what a client sends.
#[derive(Debug, Default)]
struct Sieve {
    header: Vec<u8>,
    payload: u64,
    dropping: bool,
}

impl Sieve {
    fn push(&mut self, mut input: &[u8], deaf: bool, out: &mut Vec<u8>) {
        while let Some(byte) = input.first() {
            if self.payload > 0 {
                let count = usize::try_from(self.payload).unwrap_or(usize::MAX).min(input.len());
                if !self.dropping {
                    out.extend_from_slice(&input[..count]);
                }
                self.payload -= count as u64;
                input = &input[count..];
                continue;
            }
            self.header.push(*byte);
            input = &input[1..];
            if let Some(length) = length(&self.header) {
                self.payload = length;
                self.dropping = deaf && self.header[0] & 0x0f == 0x9;
                if !self.dropping {
                    out.extend_from_slice(&self.header);
                }
                self.header.clear();
            }
        }
    }
}

/// The payload length of a complete frame header (RFC 6455 section 5.2).
fn length(header: &[u8]) -> Option<u64> {
    let second = *header.get(1)?;
    let mask = if second & 0x80 != 0 { 4 } else { 0 };
    let wide = match second & 0x7f {
        126 => 2,
        127 => 8,
        short => return (header.len() == 2 + mask).then_some(u64::from(short)),
    };
    if header.len() < 2 + wide + mask {
        return None;
    }
    Some(header[2..2 + wide].iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
}

/// The stream of one connection after its handshake.
#[derive(Debug)]
pub(crate) struct Stream<S> {
    inner: S,
    sieve: Sieve,
    deaf: Arc<AtomicBool>,
    ready: Vec<u8>,
    taken: usize,
}

impl<S> Stream<S> {
    /// `ahead` was read before; while `deaf` is set, pings vanish.
    pub(crate) fn new(inner: S, ahead: &[u8], deaf: Arc<AtomicBool>) -> Self {
        let mut stream = Self { inner, sieve: Sieve::default(), deaf, ready: Vec::new(), taken: 0 };
        stream.sift(ahead);
        stream
    }

    fn sift(&mut self, bytes: &[u8]) {
        let deaf = self.deaf.load(Ordering::Relaxed);
        self.sieve.push(bytes, deaf, &mut self.ready);
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Stream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        while self.taken == self.ready.len() {
            (self.taken, _) = (0, self.ready.clear());
            let mut space = [0; READ];
            let mut fresh = ReadBuf::new(&mut space);
            ready!(Pin::new(&mut self.inner).poll_read(cx, &mut fresh))?;
            if fresh.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            let bytes = fresh.filled().to_vec();
            self.sift(&bytes);
        }
        let count = buf.remaining().min(self.ready.len() - self.taken);
        buf.put_slice(&self.ready[self.taken..self.taken + count]);
        self.taken += count;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Stream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pings_are_taken_out() {
        let text = [0x81, 0x83, 1, 2, 3, 4, b'a', b'b', b'c'];
        let ping = [0x89, 0x82, 1, 2, 3, 4, 9, 9];
        let mut long = vec![0x82, 0xfe, 0x01, 0x00, 0, 0, 0, 0];
        long.extend([0x89; 256]);
        let all = [&text[..], &ping, &long, &ping, &text].concat();
        for piece in [1, 3, 1000] {
            for (deaf, want) in [(false, all.clone()), (true, [&text[..], &long, &text].concat())] {
                let (mut sieve, mut out) = (Sieve::default(), Vec::new());
                for part in all.chunks(piece) {
                    sieve.push(part, deaf, &mut out);
                }
                assert_eq!(out, want);
            }
        }
    }
}
