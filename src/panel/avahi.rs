//! DOOR to avahi: asks it where this machine's name leads, because it tells nobody when it found the
//! name taken and goes by another one.

use std::io::{self, Read, Write};
use std::net::{IpAddr, UdpSocket};
use std::os::unix::net::UnixStream;
use std::path::Path;

/// Longest answer: a name and an address.
const ANSWER: usize = 512;

/// A question that is under way. Nobody waits for it.
pub(super) struct Question {
    socket: UnixStream,
    answer: Vec<u8>,
}

impl Question {
    /// Asks for the address of `host`.
    pub(super) fn ask(avahi: &Path, host: &str) -> io::Result<Self> {
        let mut socket = UnixStream::connect(avahi)?;
        socket.set_nonblocking(true)?;
        socket.write_all(format!("RESOLVE-HOSTNAME-IPV4 {host}\n").as_bytes())?;
        Ok(Self { socket, answer: Vec::new() })
    }

    /// Whether the name leads to another device; `None` as long as there is no answer.
    pub(super) fn is_taken(&mut self) -> Option<bool> {
        let mut bytes = [0; ANSWER];
        match self.socket.read(&mut bytes) {
            Ok(0) => Some(false),
            Ok(count) => {
                self.answer.extend_from_slice(&bytes[..count]);
                let end = self.answer.iter().position(|byte| *byte == b'\n');
                let whole = end.or_else(|| (self.answer.len() >= ANSWER).then_some(ANSWER))?;
                Some(leads_to(&self.answer[..whole]).is_some_and(|address| !is_ours(address)))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            Err(_) => Some(false),
        }
    }
}

/// `+ INTERFACE PROTOCOL NAME ADDRESS`, or an error, which begins with its number.
fn leads_to(line: &[u8]) -> Option<IpAddr> {
    let line = std::str::from_utf8(line).ok()?.strip_prefix('+')?;
    line.split_whitespace().nth(3)?.parse().ok()
}

/// The kernel binds to no other address.
fn is_ours(address: IpAddr) -> bool {
    UdpSocket::bind((address, 0)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    /// What comes of these answers, each of them sent in one piece.
    fn asked(answers: &[&str]) -> Option<bool> {
        let name = format!("avahi-{}-{:?}", std::process::id(), std::thread::current().id());
        let path = std::env::temp_dir().join(name);
        let listener = UnixListener::bind(&path).unwrap();
        let mut question = Question::ask(&path, "kitchen.local").unwrap();
        let _ = std::fs::remove_file(&path);
        let (mut avahi, _) = listener.accept().unwrap();
        let mut line = [0; 36];
        avahi.read_exact(&mut line).unwrap();
        assert_eq!(&line, b"RESOLVE-HOSTNAME-IPV4 kitchen.local\n");
        assert_eq!(question.is_taken(), None);
        let mut taken = None;
        for answer in answers {
            assert_eq!(taken, None);
            avahi.write_all(answer.as_bytes()).unwrap();
            taken = question.is_taken();
        }
        taken
    }

    /// As avahi 0.8 answers.
    #[test]
    fn the_name_leads_here_or_to_another() {
        assert_eq!(asked(&["+ 3 0 kitchen.local 127.0.0.1\n"]), Some(false));
        assert_eq!(asked(&["+ 3 0 kitchen.local 192.0.2.7\n"]), Some(true));
        assert_eq!(asked(&["+ 3 0 kitch", "en.local 192.0.2.7\n"]), Some(true));
        assert_eq!(asked(&["-15 Timeout reached\n"]), Some(false));
        assert_eq!(asked(&["+ 3 0 kitchen.local 192.0"]), None);
        assert_eq!(asked(&[&"x".repeat(ANSWER)]), Some(false));
    }
}
