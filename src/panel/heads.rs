//! DOOR to what a panel sends, before the libraries have it: the head of each Socket.IO packet. They
//! read it and show it to nobody, and a number in it may be as long as a message. Only heads are
//! looked at, and the headers of frames; a payload is passed by.

use super::stream::Peer;
use std::sync::Arc;
use tokio::io::AsyncRead;
use tokio_util::io::InspectReader;

/// Digits of a number: kinds of Engine.IO and Socket.IO, and the 19 of the longest number of an answer.
const DIGITS: u8 = 21;
/// What stands between the packets of one polling payload.
const BETWEEN: u8 = 0x1e;
/// The longest header of a frame.
const HEADER: usize = 14;

/// Where in a head the next byte stands.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Head {
    /// After so many digits.
    Number(u8),
    /// In the name of a namespace.
    Name,
    /// Behind it.
    Over,
}

impl Head {
    /// Whether that byte may come next.
    fn takes(&mut self, byte: u8) -> bool {
        *self = match (*self, byte) {
            (Self::Number(DIGITS), b'0'..=b'9') => return false,
            (Self::Number(digits), b'0'..=b'9') => Self::Number(digits + 1),
            (Self::Number(_), b'-') | (Self::Name, b',') => Self::Number(0),
            (Self::Number(_), b'/') | (Self::Name, _) => Self::Name,
            (Self::Number(_) | Self::Over, _) => Self::Over,
        };
        true
    }
}

/// Whether a number in a polling payload is too long.
pub(super) fn is_endless(payload: &[u8]) -> bool {
    payload.split(|byte| *byte == BETWEEN).any(|packet| {
        let mut head = Head::Number(0);
        !packet.iter().all(|byte| head.takes(*byte))
    })
}

/// Follows the frames of a WebSocket (RFC 6455), in pieces of any size.
#[derive(Debug)]
struct Frames {
    header: [u8; HEADER],
    /// Bytes of the header that are there; none while a payload comes.
    have: usize,
    mask: [u8; 4],
    /// Bytes of the payload still to come.
    left: u64,
    /// Bytes of the payload that came.
    at: usize,
    /// The payload belongs to a text.
    text: bool,
    head: Head,
}

impl Frames {
    const fn new() -> Self {
        Self {
            header: [0; HEADER],
            have: 0,
            mask: [0; 4],
            left: 0,
            at: 0,
            text: false,
            head: Head::Over,
        }
    }

    /// Whether these bytes may come next.
    fn takes(&mut self, mut bytes: &[u8]) -> bool {
        while let Some((first, rest)) = bytes.split_first() {
            if self.left == 0 {
                self.header[self.have] = *first;
                self.have += 1;
                self.begin();
                bytes = rest;
                continue;
            }
            let count = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
            let (part, rest) = bytes.split_at(count);
            if self.text && !self.reads(part) {
                return false;
            }
            self.left -= count as u64;
            bytes = rest;
        }
        true
    }

    /// Ends the header, once it is whole.
    fn begin(&mut self) {
        let [kind, length, ..] = self.header;
        let longer = match length & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let masked = if length & 0x80 == 0 { 0 } else { 4 };
        if self.have < 2 || self.have < 2 + longer + masked {
            return;
        }
        let big =
            self.header[2..2 + longer].iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
        self.left = if longer == 0 { u64::from(length & 0x7f) } else { big };
        // Without one it is refused by the library, whatever is in it.
        self.mask.copy_from_slice(&self.header[2 + longer..6 + longer]);
        (self.have, self.at) = (0, 0);
        // A part goes on with the head of its message; what may stand between parts has none.
        self.text = matches!(kind & 0x0f, 0 | 1);
        match kind & 0x0f {
            1 => self.head = Head::Number(0),
            2 => self.head = Head::Over,
            _ => {}
        }
    }

    fn reads(&mut self, part: &[u8]) -> bool {
        for byte in part {
            if self.head == Head::Over {
                break;
            }
            if !self.head.takes(byte ^ self.mask[self.at % 4]) {
                return false;
            }
            self.at += 1;
        }
        true
    }
}

/// Follows the frames of a connection, once it is a WebSocket, and cuts it at a number that is too
/// long. What came with it is still read.
pub(super) fn watched<S: AsyncRead>(
    stream: S,
    peer: Arc<Peer>,
) -> InspectReader<S, impl FnMut(&[u8])> {
    let mut frames = Frames::new();
    InspectReader::new(stream, move |bytes| {
        if peer.is_upgraded() && !frames.takes(bytes) {
            log::debug!(address:% = peer.remote.ip(); "a connection with an endless number was cut");
            peer.cut();
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MASK: [u8; 4] = [7, 0x99, 0, 0xff];

    fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![kind];
        match payload.len() {
            short @ 0..126 => frame.push(0x80 | u8::try_from(short).unwrap()),
            long if payload.starts_with(b"8") => {
                frame.push(0xff);
                frame.extend((long as u64).to_be_bytes());
            }
            long => {
                frame.push(0xfe);
                frame.extend(u16::try_from(long).unwrap().to_be_bytes());
            }
        }
        frame.extend(MASK);
        frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        frame
    }

    /// The same in pieces of each of these sizes.
    fn takes(bytes: &[u8]) -> bool {
        let all = [1, 2, 3, 5, 7, 13, 4096].map(|size| {
            let mut frames = Frames::new();
            bytes.chunks(size).all(|piece| frames.takes(piece))
        });
        assert!(all.iter().all(|one| *one == all[0]), "{all:?}");
        all[0]
    }

    fn packets() -> Vec<(String, bool)> {
        let digits = |count| "9".repeat(count);
        vec![
            ("2probe".into(), true),
            (format!("42[\"x\",{}]", digits(500)), true),
            (format!("42{}[\"x\"]", i64::MAX), true),
            (format!("42{}[\"x\"]", digits(20)), false),
            (format!("42{}", digits(60_000)), false),
            (format!("4510-/x9999999999999999999999,{}[]", digits(19)), true),
            (format!("4510-/,{}[]", digits(22)), false),
            (format!("45{}-[]", digits(20)), false),
            (format!("40{{\"csrf\":\"{}\"}}", digits(64)), true),
            (format!("42[\"{}\"]", "x".repeat(70_000)), true),
            (String::new(), true),
        ]
    }

    #[test]
    fn a_number_without_end_is_seen_in_any_frame() {
        for (packet, good) in packets() {
            if packet.len() < 65_536 {
                let before = [frame(0x81, b"421[\"x\"]"), frame(0x89, b"999999999999999999999999")];
                let bytes = [before.concat(), frame(0x81, packet.as_bytes())].concat();
                assert_eq!(takes(&bytes), good, "{packet:.40}");
            }
            // In parts, with a ping between them.
            let (first, rest) = packet.split_at(packet.len().min(9));
            let mut bytes = [frame(0x01, first.as_bytes()), frame(0x89, &[b'9'; 40])].concat();
            for part in rest.as_bytes().chunks(40_000) {
                bytes.extend(frame(0x00, part));
            }
            bytes.extend(frame(0x80, b""));
            assert_eq!(takes(&bytes), good, "{packet:.40} in parts");
            assert!(takes(&frame(0x82, packet.get(..1000).unwrap_or(&packet).as_bytes())));
        }
        let long = format!("8{}", "9".repeat(70_000));
        assert!(!takes(&frame(0x81, long.as_bytes())), "a length of eight bytes");
    }

    #[test]
    fn a_number_without_end_is_seen_in_a_polling_payload() {
        for (packet, good) in packets() {
            assert_eq!(is_endless(packet.as_bytes()), !good, "{packet:.40}");
            let several = format!("421[\"x\"]\u{1e}{packet}\u{1e}3");
            assert_eq!(is_endless(several.as_bytes()), !good, "{several:.40}");
        }
        assert!(!is_endless(format!("b{}", "9".repeat(100)).as_bytes()));
    }
}
