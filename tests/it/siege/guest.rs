//! A paired panel, without a runtime: what it does waits, as an attacker may.

use crate::sheet::pause;
use serde_json::{Value, json};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message, WebSocket, client};

/// A paired panel.
#[derive(Clone)]
pub(super) struct Guest {
    pub(super) address: SocketAddr,
    pub(super) cookie: String,
    csrf: String,
}

impl Guest {
    pub(super) fn pair(address: SocketAddr, code: &str) -> Self {
        let body = json!({"code": code, "name": "siege"}).to_string();
        let text = request(address, "POST /api/pair", "", &body);
        let line = text.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap();
        let cookie = line.split(';').next().unwrap().to_owned();
        let answer: Value = serde_json::from_str(text.split("\r\n\r\n").nth(1).unwrap()).unwrap();
        Self { address, cookie, csrf: answer["csrf"].as_str().unwrap().to_owned() }
    }

    /// A WebSocket that has joined. In the crowd a connection may have to make room before it has
    /// said who it is; then it tries again.
    pub(super) fn join(&self) -> WebSocket<Wire> {
        for _ in 0..200 {
            if let Some(ws) = self.try_join() {
                return ws;
            }
            pause(Duration::from_millis(20));
        }
        panic!("a paired panel is kept out");
    }

    /// What the speaker answers, as it comes.
    pub(super) fn ask(ws: &mut WebSocket<Wire>, event: &str, payload: &Value) -> String {
        ws.send(Message::text(format!("421{}", json!([format!("grok-voice:{event}"), payload]))))
            .unwrap();
        for _ in 0..500 {
            match ws.read() {
                Ok(Message::Text(text)) if text.starts_with("431[") => return text.to_string(),
                Ok(Message::Text(text)) if text.as_str() == "2" => {
                    ws.send(Message::text("3")).unwrap();
                }
                Ok(_) => {}
                Err(e) if is_quiet(&e) => {}
                Err(e) => panic!("lost while it asked for {event}: {e}"),
            }
        }
        panic!("no answer to {event}");
    }

    fn try_join(&self) -> Option<WebSocket<Wire>> {
        let url = format!("ws://{}/socket.io/?EIO=4&transport=websocket", self.address);
        let mut request = url.into_client_request().unwrap();
        request.headers_mut().insert("cookie", self.cookie.parse().unwrap());
        let tcp = TcpStream::connect(self.address).ok()?;
        // One that is flooded does not read; then it is cut, and that is what is wanted.
        tcp.set_write_timeout(Some(Duration::from_secs(5))).unwrap();
        let (mut ws, _) = client(request, Wire { tcp, sips: None }).ok()?;
        ws.get_ref().tcp.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
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

/// The connection of a panel, which may turn slow.
pub(super) struct Wire {
    pub(super) tcp: TcpStream,
    /// Takes a kilobyte a second, if that; and whether there is nothing for now.
    sips: Option<bool>,
}

impl Wire {
    pub(super) fn sip(&mut self) {
        self.sips = Some(false);
    }
}

impl Read for Wire {
    fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
        let Some(pauses) = &mut self.sips else { return self.tcp.read(bytes) };
        if !std::mem::replace(pauses, !*pauses) {
            return Err(ErrorKind::WouldBlock.into());
        }
        pause(Duration::from_millis(100));
        let count = bytes.len().min(100);
        self.tcp.read(&mut bytes[..count])
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.tcp.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.tcp.flush()
    }
}

/// One request on a connection of its own: the whole answer.
pub(super) fn request(address: SocketAddr, head: &str, lines: &str, body: &str) -> String {
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
pub(super) fn is_quiet(error: &Error) -> bool {
    matches!(error, Error::Io(e) if e.kind() == ErrorKind::WouldBlock)
}

/// A frame as a client sends it, its bytes masked with zeros; `length` may promise more than there is.
pub(super) fn frame(first: u8, length: usize, bytes: &[u8]) -> Vec<u8> {
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
