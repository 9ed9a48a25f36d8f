//! The attacks: each is a thread of its own, and goes on until the siege is over.

use super::guest::{Guest, frame, is_quiet};
use super::watch::{Blows, clock};
use crate::sheet::pause;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A socket that is too large or makes no sense is closed so soon, on a busy machine.
const CLOSED: Duration = Duration::from_secs(5);

/// What an attacker knows.
#[derive(Clone)]
pub(super) struct Field {
    pub(super) address: SocketAddr,
    /// The same panel over TLS.
    pub(super) tls: SocketAddr,
    /// A paired admin.
    pub(super) owner: Guest,
    /// A paired controller.
    pub(super) guest: Guest,
    pub(super) over: Arc<AtomicBool>,
    pub(super) blows: Blows,
}

impl Field {
    pub(super) fn goes_on(&self) -> bool {
        !self.over.load(Ordering::Relaxed)
    }
}

/// A19, again and again.
pub(super) fn oversize(field: &Field) {
    while field.goes_on() {
        each_oversize(&field.guest, &field.blows);
        pause(Duration::from_millis(100));
    }
}

/// A19: each of these ends its own socket; what is written after that fails, as it should.
pub(super) fn each_oversize(guest: &Guest, blows: &Blows) {
    let closes = |what: &str, pieces: &mut dyn Iterator<Item = Vec<u8>>| {
        let mut ws = guest.join();
        for piece in pieces {
            if ws.get_mut().write_all(&piece).is_err() {
                break;
            }
            blows.strike();
        }
        let start = clock();
        while !ws.read().is_err_and(|e| !is_quiet(&e)) {
            assert!(start.elapsed() < CLOSED, "{what} did not close the socket");
        }
    };
    let text = |text: String| frame(0x81, text.len(), text.as_bytes());
    let once = std::iter::once::<Vec<u8>>;
    let event = |rest: &str| text(format!("42[\"grok-voice:text\",{rest}]"));
    let deep = |depth| event(&format!("{}{}", "[".repeat(depth), "]".repeat(depth)));
    closes("an unfinished frame", &mut once(frame(0x81, 16 << 20, &vec![b'x'; 15 << 20])));
    let part = frame(0x00, 60_000, &[b'x'; 60_000]);
    let parts = std::iter::repeat_n(part, (64 << 20) / 60_000);
    closes("64 MiB in fragments", &mut once(frame(0x01, 0, b"")).chain(parts));
    let empty = frame(0x00, 0, b"").repeat(1000);
    let empties = std::iter::repeat_n(empty, 1000);
    closes("empty fragments", &mut once(frame(0x01, 0, b"")).chain(empties));
    let announced = text("45100000-[\"grok-voice:text\",{}]".to_owned());
    closes("many attachments", &mut once(announced));
    closes("nesting that is too long", &mut once(deep(100_000)));
    closes("nesting", &mut once(deep(30_000)));
    closes("no text", &mut once(frame(0x81, 4, &[b'4', b'2', 0xff, 0xfe])));
    let cut = text("451-[\"grok-voice:text\",{\"_placeholder\":true,\"num\":9}".to_owned());
    closes("half a placeholder", &mut [cut, frame(0x82, 1, &[0])].into_iter());
    let endless = format!("42{}[\"grok-voice:inspect\",{{\"on\":false}}]", "9".repeat(60_000));
    closes("a number without end", &mut once(text(endless)));
}

/// A connection from a neighbour of its own for every sixteen.
pub(super) fn neighbour(net: [u8; 3], n: u32, to: SocketAddr) -> Option<socket2::Socket> {
    let last = u8::try_from(1 + n / 16).unwrap();
    connection(Ipv4Addr::new(net[0], net[1], net[2], last), to)
}

fn connection(from: Ipv4Addr, to: SocketAddr) -> Option<socket2::Socket> {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((from, 0)).into()).unwrap();
    socket.connect_timeout(&to.into(), Duration::from_millis(200)).ok().map(|()| socket)
}

/// A17: 2000 connections from one address, and 2000 from many, sixteen from each; as many as are let
/// live stay open.
pub(super) fn crowd(field: &Field) {
    let mut kept = Vec::new();
    for n in 0..2000 {
        kept.extend(connection(LONER, field.address));
        kept.extend(neighbour([127, 0, 3], n, field.address));
        field.blows.strike();
    }
    while field.goes_on() {
        pause(Duration::from_millis(50));
    }
}

/// A18: handshakes without a cookie, ten in one piece, up to 1000 a second.
pub(super) fn strangers(field: &Field) {
    let host = field.address;
    let one = format!("GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: {host}\r\n\r\n");
    let mut bytes = [0; 1 << 14];
    while field.goes_on() {
        // It is one of those that make room, so it may have to begin anew.
        let Ok(mut tcp) = TcpStream::connect(field.address) else { continue };
        'connection: for _ in 0..200 {
            if tcp.write_all(one.repeat(10).as_bytes()).is_err() {
                break;
            }
            let mut text = String::new();
            while text.matches("HTTP/1.1 401").count() < 10 {
                match tcp.read(&mut bytes) {
                    Ok(count) if count > 0 => text += &String::from_utf8_lossy(&bytes[..count]),
                    Ok(_) | Err(_) => break 'connection,
                }
            }
            assert!(!text.contains("sid"), "{text}");
            for _ in 0..10 {
                field.blows.strike();
            }
            pause(Duration::from_millis(10));
        }
    }
}

/// A20: up to 10 000 events a second, again and again. Each time it is warned, then closed.
pub(super) fn chatter(field: &Field) {
    while field.goes_on() {
        let mut ws = field.guest.join();
        for n in 1..10_000 {
            if n % 100 == 0 {
                pause(Duration::from_millis(10));
            }
            let event = "421[\"grok-voice:inspect\",{\"on\":false}]";
            if ws.get_mut().write_all(&frame(0x81, event.len(), event.as_bytes())).is_err() {
                break;
            }
            field.blows.strike();
        }
        let (mut warned, start) = (0, clock());
        loop {
            assert!(start.elapsed() < CLOSED, "a flood of events went on");
            match ws.read() {
                Ok(message) => {
                    warned += usize::from(message.to_text().is_ok_and(|t| t.contains(WARNING)));
                }
                Err(e) if is_quiet(&e) => {}
                Err(_) => break,
            }
        }
        assert!(warned > 0, "closed without a warning");
    }
}

/// One neighbour who wants all places.
const LONER: Ipv4Addr = Ipv4Addr::new(127, 0, 4, 1);

/// What comes before the end of those who ask too much.
const WARNING: &str = "\"code\":\"limit\"";
