//! A16: connections that take their time, of four kinds, and the owner who comes in among them. In the
//! crowd they make room for others before their time is over; `flood` and `tls` see that it ends.

use super::attack::{Field, neighbour};
use super::watch::{clock, held};
use crate::sheet::pause;
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// What the list allows them.
const GONE: Duration = Duration::from_secs(15);
/// Of each kind.
const COUNT: u32 = 300;
/// Their addresses begin with it.
const NET: [u8; 3] = [127, 0, 5];
/// Of the 64 places, beside the crowd that has the others: most of them on a quiet machine.
const AMONG: usize = 12;
/// After so many it is looked whether they stand.
const EVERY: u32 = 25;
/// How long the owner may have to try among them, on a busy machine.
const LET_IN: Duration = Duration::from_secs(5);

struct Slow {
    tcp: TcpStream,
    opened: Instant,
    /// What it says at first; a byte now and then follows.
    words: &'static [u8],
}

pub(super) fn slow(field: &Field) {
    let body: &[u8] = b"POST /api/pair HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 50\r\n\r\n{";
    let kinds = [
        (field.address, &b"GET / HTTP/1.1\r\nHost: "[..]),
        (field.address, b""),
        (field.address, body),
        // The head of a ClientHello of 512 bytes.
        (field.tls, &[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc]),
    ];
    let (mut met, mut most) = (0, 0);
    while field.goes_on() {
        let mut slow = Vec::new();
        for (n, (to, words)) in (0..4 * COUNT).zip(kinds.iter().cycle()) {
            if !field.goes_on() {
                break;
            }
            slow.extend(open(*to, n, words));
            field.blows.strike();
            if n % EVERY != 0 {
                continue;
            }
            let places = standing(field);
            most = most.max(places);
            if places >= AMONG {
                let start = clock();
                drop(field.owner.join());
                let span = start.elapsed();
                assert!(span < LET_IN, "the owner was let in after {span:?}");
                met += 1;
            }
        }
        while field.goes_on() && !slow.is_empty() {
            slow.retain_mut(|slow| {
                let open = is_open(slow);
                assert!(!open || slow.opened.elapsed() < GONE, "still open after {GONE:?}");
                open
            });
            field.blows.strike();
            pause(Duration::from_millis(500));
        }
    }
    assert!(met > 0, "the owner never met slow connections: {most} stood at most");
}

/// Places they have; those that still wait to be taken in hold none.
fn standing(field: &Field) -> usize {
    let peers = [field.address, field.tls].into_iter().flat_map(held);
    peers.filter(|peer| is_ours(peer.ip())).count()
}

fn open(to: SocketAddr, n: u32, words: &'static [u8]) -> Option<Slow> {
    let mut tcp = TcpStream::from(neighbour(NET, n, to)?);
    let opened = clock();
    // It may have made room for a newer one already.
    let _ = tcp.write_all(words);
    tcp.set_nonblocking(true).unwrap();
    Some(Slow { tcp, opened, words })
}

fn is_ours(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V4(ip) if ip.octets().starts_with(&NET))
}

/// Says one byte more, unless it is one that says nothing.
fn is_open(slow: &mut Slow) -> bool {
    if !slow.words.is_empty() {
        let _ = slow.tcp.write(b"1");
    }
    let mut answer = [0; 1024];
    match slow.tcp.read(&mut answer) {
        Ok(count) => count > 0,
        Err(e) => e.kind() == ErrorKind::WouldBlock,
    }
}
