//! A speaker in a process of its own that holds a conversation of two turns while everything that
//! floods is done to its panel at once. It must talk on, stay small, and keep its key.

use crate::daemon::{Folder, Pair, speech};
use crate::sheet::pause;
use serde_json::{Value, json};
use std::fs::Permissions;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message, WebSocket, client};

const KEY: &str = "xai-TESTSECRET-0123456789abcdef";

/// A paired panel.
#[derive(Clone)]
struct Guest {
    address: SocketAddr,
    cookie: String,
    csrf: String,
}

impl Guest {
    fn pair(address: SocketAddr, code: &str) -> Self {
        let body = json!({"code": code, "name": "siege"}).to_string();
        let text = request(address, "POST /api/pair", "", &body);
        let line = text.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap();
        let cookie = line.split(';').next().unwrap().to_owned();
        let answer: Value = serde_json::from_str(text.split("\r\n\r\n").nth(1).unwrap()).unwrap();
        Self { address, cookie, csrf: answer["csrf"].as_str().unwrap().to_owned() }
    }

    /// A WebSocket that has joined. In the crowd a connection may have to make room before it has
    /// said who it is; then it tries again.
    fn join(&self) -> WebSocket<TcpStream> {
        for _ in 0..200 {
            if let Some(ws) = self.try_join() {
                return ws;
            }
            pause(Duration::from_millis(20));
        }
        panic!("a paired panel is kept out");
    }

    fn try_join(&self) -> Option<WebSocket<TcpStream>> {
        let url = format!("ws://{}/socket.io/?EIO=4&transport=websocket", self.address);
        let mut request = url.into_client_request().unwrap();
        request.headers_mut().insert("cookie", self.cookie.parse().unwrap());
        let tcp = TcpStream::connect(self.address).ok()?;
        // One that is flooded does not read; then it is cut, and that is what is wanted.
        tcp.set_write_timeout(Some(Duration::from_secs(5))).unwrap();
        let (mut ws, _) = client(request, tcp).ok()?;
        ws.get_ref().set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        let hello = format!("40{}", json!({"csrf": self.csrf}));
        ws.send(Message::text(hello)).ok()?;
        // Whoever speaks before the answer is put out.
        for _ in 0..20 {
            match ws.read() {
                Ok(message) if message.to_text().is_ok_and(|text| text.starts_with("40")) => {
                    return Some(ws);
                }
                Ok(message) if message.to_text().is_ok_and(|text| text == "2") => {
                    ws.send(Message::text("3")).ok()?;
                }
                Ok(_) => {}
                Err(e) if is_quiet(&e) => {}
                Err(_) => return None,
            }
        }
        None
    }
}

#[expect(clippy::disallowed_methods, reason = "the test is the host here")]
fn spawn<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    std::thread::spawn(body)
}

/// One request on a connection of its own: the whole answer.
fn request(address: SocketAddr, head: &str, lines: &str, body: &str) -> String {
    let mut tcp = TcpStream::connect(address).unwrap();
    let length = body.len();
    let text = format!(
        "{head} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {length}\r\n{lines}\r\n{body}"
    );
    tcp.write_all(text.as_bytes()).unwrap();
    let mut answer = String::new();
    tcp.read_to_string(&mut answer).unwrap();
    answer
}

/// Nothing came for a while.
fn is_quiet(error: &Error) -> bool {
    matches!(error, Error::Io(e) if e.kind() == ErrorKind::WouldBlock)
}

/// A frame as a client sends it, its bytes masked with zeros; `length` may promise more than there is.
fn frame(first: u8, length: usize, bytes: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match length {
        0..126 => frame.push(0x80 | u8::try_from(length).unwrap()),
        126..0x1_0000 => {
            frame.push(0xfe);
            frame.extend(u16::try_from(length).unwrap().to_be_bytes());
        }
        _ => {
            frame.push(0xff);
            frame.extend((length as u64).to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(bytes);
    frame
}

/// A19: each of these ends its own socket; what is written after that fails, as it should.
fn oversize(guest: &Guest) {
    let write = |pieces: &mut dyn Iterator<Item = Vec<u8>>| {
        let mut ws = guest.join();
        for piece in pieces {
            if ws.get_mut().write_all(&piece).is_err() {
                break;
            }
        }
        // Until it is closed, or has taken all without a word.
        for _ in 0..20 {
            if ws.read().is_err_and(|e| !is_quiet(&e)) {
                break;
            }
        }
    };
    let text = |text: String| frame(0x81, text.len(), text.as_bytes());
    write(&mut std::iter::once(frame(0x81, 16 << 20, &vec![b'x'; 15 << 20])));
    let part = frame(0x00, 60_000, &[b'x'; 60_000]);
    write(&mut std::iter::once(frame(0x01, 0, b"")).chain(std::iter::repeat_n(part, 1100)));
    let empty = frame(0x00, 0, b"").repeat(1000);
    write(&mut std::iter::once(frame(0x01, 0, b"")).chain(std::iter::repeat_n(empty, 1000)));
    write(&mut std::iter::once(text("45100000-[\"grok-voice:text\",{}]".to_owned())));
    let deep = format!("42[\"grok-voice:text\",{}{}]", "[".repeat(30_000), "]".repeat(30_000));
    write(&mut std::iter::once(text(deep)));
    write(&mut std::iter::once(text(format!(
        "42{}[\"grok-voice:inspect\",{{}}]",
        "9".repeat(60_000)
    ))));
    write(&mut std::iter::once(frame(0x81, 4, &[b'4', b'2', 0xff, 0xfe])));
    let placeholder = "451-[\"grok-voice:text\",{\"_placeholder\":true,\"num\":9}".to_owned();
    write(&mut [text(placeholder), frame(0x82, 1, &[0])].into_iter());
}

/// A17: 2000 connections, sixteen from each address; as many as are let live stay open.
fn crowd(address: SocketAddr, over: &AtomicBool) {
    let mut held = Vec::new();
    for n in 0..2000u32 {
        let socket =
            socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        let last = u8::try_from(1 + n / 16).unwrap();
        socket.bind(&SocketAddr::from((Ipv4Addr::new(127, 0, 3, last), 0)).into()).unwrap();
        if socket.connect(&address.into()).is_ok() {
            held.push(socket);
        }
    }
    while !over.load(Ordering::Relaxed) {
        pause(Duration::from_millis(50));
    }
}

/// A18: handshakes without a cookie, ten in one piece.
fn strangers(address: SocketAddr) {
    let one =
        format!("GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: {address}\r\n\r\n");
    let mut refused = 0;
    while refused < 5000 {
        // It is one of those that make room, so it may have to begin anew.
        let Ok(mut tcp) = TcpStream::connect(address) else { continue };
        let mut bytes = [0; 1 << 14];
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
            refused += 10;
        }
    }
}

/// A20: events as fast as they go, again and again.
fn chatter(guest: &Guest, over: &AtomicBool) {
    while !over.load(Ordering::Relaxed) {
        let mut ws = guest.join();
        for _ in 0..10_000 {
            let event = "421[\"grok-voice:inspect\",{\"on\":false}]";
            if ws.get_mut().write_all(&frame(0x81, event.len(), event.as_bytes())).is_err() {
                break;
            }
        }
    }
}

/// Everything a panel with all rights is told.
fn listen(guest: &Guest, over: Arc<AtomicBool>, heard: Arc<Mutex<Vec<u8>>>) -> JoinHandle<usize> {
    let mut ws = guest.join();
    for event in ["listen", "inspect"] {
        ws.send(Message::text(format!("42[\"grok-voice:{event}\",{{\"on\":true}}]"))).unwrap();
    }
    spawn(move || {
        let mut sound = 0;
        while !over.load(Ordering::Relaxed) {
            match ws.read() {
                Ok(Message::Text(text)) if text.as_str() == "2" => {
                    ws.send(Message::text("3")).unwrap();
                }
                Ok(message) => {
                    sound += usize::from(message.is_binary()) * message.len();
                    heard.lock().unwrap().extend(message.into_data());
                }
                Err(e) if is_quiet(&e) => {}
                Err(e) => panic!("the owner's panel was lost: {e}"),
            }
        }
        sound
    })
}

/// Resident memory in bytes.
fn memory(id: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}

/// A17-A21, A27, A40.
#[test]
fn it_talks_on_under_siege_and_keeps_its_key() {
    let folder = Folder::new("siege");
    std::fs::write(folder.join("key"), format!("{KEY}\n")).unwrap();
    std::fs::set_permissions(folder.join("key"), Permissions::from_mode(0o600)).unwrap();
    let log = std::fs::File::create(folder.join("log")).unwrap();
    let key_file = format!("grok.key_file={}", folder.join("key").display());
    let mic = format!("file:{}", speech("two_turns"));
    let sets = ["log.level=trace", key_file.as_str()];
    let mut pair = Pair::logging(folder, &mic, &[], &sets, log.into());
    let status: Value = serde_json::from_str(&pair.ask(&["status", "--json"])).unwrap();
    let url = status["panel"].as_str().unwrap().trim_end_matches('/');
    let port = url.rsplit(':').next().unwrap().parse().unwrap();
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let owner = Guest::pair(address, pair.ask(&["pair"]).trim());
    let guest = Guest::pair(address, pair.ask(&["pair", "--role", "controller"]).trim());
    let (over, heard) = (Arc::new(AtomicBool::new(false)), Arc::default());
    let listener = listen(&owner, Arc::clone(&over), Arc::clone(&heard));
    // It joined, wants everything and never reads.
    let mut frozen = owner.join();
    frozen.send(Message::text("42[\"grok-voice:listen\",{\"on\":true}]")).unwrap();
    pair.wait("the first reply", Duration::from_secs(30), |log| log.done() == 1);

    let before = memory(pair.speaker.id());
    let attackers = [
        {
            let over = Arc::clone(&over);
            spawn(move || crowd(address, &over))
        },
        spawn(move || strangers(address)),
        {
            let guest = guest.clone();
            spawn(move || oversize(&guest))
        },
        {
            let over = Arc::clone(&over);
            spawn(move || chatter(&guest, &over))
        },
    ];
    let mut most = before;
    while !(attackers[1].is_finished() && attackers[2].is_finished()) {
        most = most.max(memory(pair.speaker.id()));
        pause(Duration::from_millis(20));
    }
    let log = pair.wait("two replies", Duration::from_secs(40), |log| log.done() == 2);
    pause(log.last_reply_length() + Duration::from_millis(700));
    over.store(true, Ordering::Relaxed);
    for attacker in attackers {
        attacker.join().unwrap();
    }
    assert!(listener.join().unwrap() > 10_000, "the owner heard no reply");
    let grown = most - before;
    // What the list allows the crowd alone; all at once took 4 to 11 MB.
    assert!(grown < 20 << 20, "{} MB more", grown >> 20);

    let id = pair.speaker.id();
    let metrics = request(address, "GET /metrics", "", "");
    assert!(metrics.contains("grok_speaker_panel_panics_total 0\n"), "{metrics}");
    let mut places = vec![
        ("metrics", metrics.into_bytes()),
        ("panel", heard.lock().unwrap().clone()),
        ("command line", std::fs::read(format!("/proc/{id}/cmdline")).unwrap()),
        ("environment", std::fs::read(format!("/proc/{id}/environ")).unwrap()),
    ];
    for name in ["log", "journal.jsonl", "state/sessions.json"] {
        places.push((name, std::fs::read(pair.folder.join(name)).unwrap()));
    }
    pair.said(2);
    let contains = |text: &[u8], word: &str| text.windows(word.len()).any(|w| w == word.as_bytes());
    for (place, bytes) in &places {
        assert!(!bytes.is_empty() && !contains(bytes, "TESTSECRET"), "the key is in the {place}");
    }
    let (_, log) = &places[4];
    assert!(contains(log, "TRACE") || contains(log, "DEBUG"), "nothing was logged");
}
