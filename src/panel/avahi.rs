//! DOOR to avahi: asks it where this machine's name leads, because it tells nobody when it found the
//! name taken, and then by which one it goes instead.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

/// Longest answer: a name and an address.
const ANSWER: usize = 512;
/// Of multicast DNS.
const PORT: u16 = 5353;

/// Where the name leads.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// Here, as far as anybody knows.
    Here,
    /// To another device. What this one is called instead, where avahi says so.
    Elsewhere(Option<String>),
}

/// A question that is under way. Nobody waits for it.
pub(super) struct Question {
    avahi: PathBuf,
    line: Line,
    /// The name leads elsewhere, and it is asked now what this machine is called.
    elsewhere: bool,
}

/// One question on one connection: avahi answers no second one there.
struct Line {
    socket: UnixStream,
    read: Vec<u8>,
}

impl Line {
    fn ask(avahi: &Path, question: &str) -> io::Result<Self> {
        let mut socket = UnixStream::connect(avahi)?;
        socket.set_nonblocking(true)?;
        socket.write_all(format!("{question}\n").as_bytes())?;
        Ok(Self { socket, read: Vec::new() })
    }

    /// The answer once it is whole; nothing where there is none.
    fn whole(&mut self) -> Option<String> {
        let mut bytes = [0; ANSWER];
        match self.socket.read(&mut bytes) {
            Ok(0) => Some(String::new()),
            Ok(count) => {
                self.read.extend_from_slice(&bytes[..count]);
                let end = self.read.iter().position(|byte| *byte == b'\n');
                let whole = end.or_else(|| (self.read.len() >= ANSWER).then_some(ANSWER))?;
                Some(String::from_utf8_lossy(&self.read[..whole]).into_owned())
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            Err(_) => Some(String::new()),
        }
    }
}

impl Question {
    /// Asks where `host` leads.
    pub(super) fn ask(avahi: &Path, host: &str) -> io::Result<Self> {
        let line = Line::ask(avahi, &format!("RESOLVE-HOSTNAME-IPV4 {host}"))?;
        Ok(Self { avahi: avahi.to_owned(), line, elsewhere: false })
    }

    /// What came of it; `None` as long as there is no answer.
    pub(super) fn answer(&mut self) -> Option<Answer> {
        let line = self.line.whole()?;
        if self.elsewhere {
            return Some(Answer::Elsewhere(field(&line, 2).map(str::to_ascii_lowercase)));
        }
        let address = field(&line, 3).and_then(|address| address.parse().ok());
        let Some(other) = address.filter(|address| !is_ours(*address)) else {
            return Some(Answer::Here);
        };
        let next = own_towards(other)
            .and_then(|own| Line::ask(&self.avahi, &format!("RESOLVE-ADDRESS {own}")));
        match next {
            Ok(line) => (self.line, self.elsewhere) = (line, true),
            Err(_) => return Some(Answer::Elsewhere(None)),
        }
        None
    }
}

/// Of `+ INTERFACE PROTOCOL NAME`, and behind a name's `ADDRESS`; an error begins with its number.
fn field(line: &str, at: usize) -> Option<&str> {
    line.strip_prefix('+')?.split_whitespace().nth(at)
}

/// The kernel binds to no other address.
fn is_ours(address: IpAddr) -> bool {
    UdpSocket::bind((address, 0)).is_ok()
}

/// Under which address a device on the network knows this one. Nothing is sent.
fn own_towards(other: IpAddr) -> io::Result<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket.connect((other, PORT))?;
    Ok(socket.local_addr()?.ip())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    /// An avahi that is asked about `kitchen.local`; removed afterwards.
    pub(in crate::panel) struct Avahi {
        pub(in crate::panel) path: PathBuf,
        listener: UnixListener,
        /// Whom it talks to.
        now: Option<UnixStream>,
    }

    impl Avahi {
        pub(in crate::panel) fn new() -> Self {
            let name = format!("avahi-{}-{:?}", std::process::id(), std::thread::current().id());
            let path = std::env::temp_dir().join(name);
            let listener = UnixListener::bind(&path).unwrap();
            Self { path, listener, now: None }
        }

        /// Takes the next question.
        pub(in crate::panel) fn asked(&mut self) -> String {
            let (mut socket, _) = self.listener.accept().unwrap();
            let mut line = [0; ANSWER];
            let count = socket.read(&mut line).unwrap();
            self.now = Some(socket);
            String::from_utf8_lossy(&line[..count]).trim_end().to_owned()
        }

        pub(in crate::panel) fn says(&mut self, line: &str) {
            self.now.as_mut().unwrap().write_all(line.as_bytes()).unwrap();
        }
    }

    impl Drop for Avahi {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.path);
        }
    }

    /// The address at which it is asked what this machine is called; none where no network is.
    pub(in crate::panel) fn own() -> Option<IpAddr> {
        own_towards(IpAddr::from([192, 0, 2, 7])).ok()
    }

    /// What comes of these answers, each of them sent in one piece.
    fn asked(answers: &[&str]) -> Option<Answer> {
        let mut avahi = Avahi::new();
        let mut question = Question::ask(&avahi.path, "kitchen.local").unwrap();
        assert_eq!(avahi.asked(), "RESOLVE-HOSTNAME-IPV4 kitchen.local");
        assert_eq!(question.answer(), None);
        let mut came = None;
        for answer in answers {
            assert_eq!(came, None);
            avahi.says(answer);
            came = question.answer();
        }
        if let Some(own) = own().filter(|_| question.elsewhere) {
            assert_eq!(avahi.asked(), format!("RESOLVE-ADDRESS {own}"));
            assert_eq!(question.answer(), None);
            avahi.says("+ 3 0 Kitchen-2.local\n");
            let called = question.answer();
            assert_eq!(called, Some(Answer::Elsewhere(Some("kitchen-2.local".into()))));
            came = Some(Answer::Elsewhere(None));
        }
        came
    }

    /// As avahi 0.8 answers.
    #[test]
    fn the_name_leads_here_or_to_another() {
        let elsewhere = || Some(Answer::Elsewhere(None));
        assert_eq!(asked(&["+ 3 0 kitchen.local 127.0.0.1\n"]), Some(Answer::Here));
        assert_eq!(asked(&["+ 3 0 kitchen.local 192.0.2.7\n"]), elsewhere());
        assert_eq!(asked(&["+ 3 0 kitch", "en.local 192.0.2.7\n"]), elsewhere());
        assert_eq!(asked(&["-15 Timeout reached\n"]), Some(Answer::Here));
        assert_eq!(asked(&["+ 3 0 kitchen.local 192.0"]), None);
        assert_eq!(asked(&[&"x".repeat(ANSWER)]), Some(Answer::Here));
    }
}
