//! Just enough HTTP/1.1 for a handshake and two small requests; pure.

use serde_json::{Value, json};
use std::fmt::Write as _;

/// Longest request head: browsers send about 2 kB.
pub(crate) const HEAD_LIMIT: usize = 16 * 1024;
/// Longest request body: an ephemeral secret is asked for in about 50 bytes.
pub(crate) const BODY_LIMIT: usize = 64 * 1024;

/// A request without its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    query: Vec<(String, String)>,
    headers: Vec<(String, String)>,
}

/// Where the head in `bytes` ends, once it is complete.
pub(crate) fn head_end(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|w| w == b"\r\n\r\n").map(|at| at + 4)
}

impl Request {
    /// Reads a head; `None` is not HTTP/1.
    pub(crate) fn parse(head: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(head).ok()?;
        let mut lines = text.split("\r\n");
        let mut first = lines.next()?.split(' ');
        let (method, target, version) = (first.next()?, first.next()?, first.next()?);
        if !version.starts_with("HTTP/1.") || first.next().is_some() {
            return None;
        }
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let query = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (unescape(name), unescape(value))
        });
        let mut headers = Vec::new();
        for line in lines.take_while(|line| !line.is_empty()) {
            let (name, value) = line.split_once(':')?;
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        Some(Self {
            method: method.to_owned(),
            path: path.to_owned(),
            query: query.collect(),
            headers,
        })
    }

    /// A header by its lower-case name; several of one name are one list.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let values: Vec<_> =
            self.headers.iter().filter(|(n, _)| n == name).map(|(_, v)| v.as_str()).collect();
        (!values.is_empty()).then(|| values.join(", "))
    }

    /// A parameter of the URL; empty counts as absent.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        let found = self.query.iter().find(|(n, _)| n == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    fn lists(&self, header: &str, word: &str) -> bool {
        self.header(header)
            .is_some_and(|value| value.split(',').any(|w| w.trim().eq_ignore_ascii_case(word)))
    }

    /// The key of a WebSocket handshake (RFC 6455 section 4.2.1); `None` is no handshake.
    pub(crate) fn websocket_key(&self) -> Option<String> {
        let upgrade = self.lists("upgrade", "websocket") && self.lists("connection", "upgrade");
        let version = self.header("sec-websocket-version").is_some_and(|v| v == "13");
        self.header("sec-websocket-key").filter(|_| upgrade && version && self.method == "GET")
    }

    /// The subprotocols a client offers.
    fn protocols(&self) -> Vec<String> {
        let list = self.header("sec-websocket-protocol").unwrap_or_default();
        list.split(',').map(|p| p.trim().to_owned()).filter(|p| !p.is_empty()).collect()
    }

    /// The subprotocol to be named in the answer; a browser hangs up where none is.
    pub(crate) fn chosen_protocol(&self) -> Option<String> {
        let offers = self.protocols();
        let secret = offers.iter().find(|p| p.starts_with("xai-client-secret."));
        secret.or_else(|| offers.iter().find(|p| *p == "realtime")).or(offers.first()).cloned()
    }

    /// What the client shows: from the header, or from a subprotocol as browsers must.
    pub(crate) fn credential(&self) -> Credential {
        if let Some(value) = self.header("authorization") {
            let bearer =
                value.split_once(' ').filter(|(kind, _)| kind.eq_ignore_ascii_case("bearer"));
            return match bearer.map(|(_, key)| key.trim()).filter(|key| !key.is_empty()) {
                Some(key) => Credential::Key(key.to_owned()),
                None => Credential::Malformed,
            };
        }
        for offer in self.protocols() {
            for prefix in ["xai-client-secret.", "openai-insecure-api-key."] {
                if let Some(key) = offer.strip_prefix(prefix) {
                    return Credential::Key(key.to_owned());
                }
            }
        }
        Credential::Missing
    }
}

/// What a request shows to be let in. Not `Debug`: it holds a key.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Credential {
    Key(String),
    Missing,
    Malformed,
}

fn unescape(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = text.get(at + 1..at + 3).and_then(|h| u8::from_str_radix(h, 16).ok());
        match (bytes[at], hex) {
            (b'%', Some(byte)) => {
                out.push(byte);
                at += 2;
            }
            (b'+', _) => out.push(b' '),
            (byte, _) => out.push(byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// The answer to a request other than a handshake.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) retry_after_s: Option<u64>,
    pub(crate) body: Value,
}

impl Answer {
    /// A refusal in the service's form.
    pub(crate) fn refusal(status: u16) -> Self {
        let (code, error) = match status {
            400 => ("invalid-argument", "Incorrect API key provided or the request is invalid."),
            401 => ("unauthenticated", "No credentials or malformed authorization."),
            403 => {
                ("permission-denied", "The key, team or plan does not permit realtime sessions.")
            }
            404 => ("not-found", "There is nothing at this path."),
            408 => ("deadline-exceeded", "The request took too long."),
            413 => ("invalid-argument", "The request is too large."),
            429 => ("resource-exhausted", "Too many requests or concurrent sessions."),
            _ => ("unavailable", "The service is temporarily unavailable."),
        };
        Self { status, retry_after_s: None, body: json!({ "code": code, "error": error }) }
    }

    /// The answer as it is sent; the connection ends with it.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let reason = match self.status {
            200 => "OK",
            400 => "Bad Request",
            401 => "Unauthorized",
            403 => "Forbidden",
            404 => "Not Found",
            408 => "Request Timeout",
            413 => "Content Too Large",
            429 => "Too Many Requests",
            _ => "Service Unavailable",
        };
        let body = self.body.to_string();
        let mut out = format!("HTTP/1.1 {} {reason}\r\n", self.status);
        if let Some(s) = self.retry_after_s {
            let _ = write!(out, "Retry-After: {s}\r\n");
        }
        let _ = write!(
            out,
            "Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
        out.into_bytes()
    }
}

/// The answer to a handshake. No extension is offered.
pub(crate) fn switching(accept: &str, protocol: Option<&str>) -> Vec<u8> {
    let mut out = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n"
    );
    if let Some(protocol) = protocol {
        let _ = write!(out, "Sec-WebSocket-Protocol: {protocol}\r\n");
    }
    out.push_str("\r\n");
    out.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(head: &str) -> Request {
        Request::parse(head.replace('\n', "\r\n").as_bytes()).unwrap()
    }

    #[test]
    fn reads_a_handshake() {
        let r = request(
            "GET /v1/realtime?model=grok-voice-latest&x=a%20b HTTP/1.1\nHost: x\nUpgrade: WebSocket\n\
             Connection: keep-alive, Upgrade\nSec-WebSocket-Version: 13\nSec-WebSocket-Key: abc=\n\
             Authorization: Bearer k1\n\n",
        );
        assert_eq!(
            (r.path.as_str(), r.parameter("model")),
            ("/v1/realtime", Some("grok-voice-latest"))
        );
        assert_eq!(r.parameter("x"), Some("a b"));
        assert_eq!(r.websocket_key().as_deref(), Some("abc="));
        assert!(r.credential() == Credential::Key("k1".to_owned()));
        assert_eq!(Request::parse(b"hello\r\n\r\n"), None);
        assert_eq!(head_end(b"a\r\n\r\nb"), Some(5));
    }

    #[test]
    fn browsers_show_their_secret_in_a_subprotocol() {
        let r = request(
            "GET / HTTP/1.1\nSec-WebSocket-Protocol: realtime, openai-insecure-api-key.s1\n\n",
        );
        assert!(r.credential() == Credential::Key("s1".to_owned()));
        assert_eq!(r.chosen_protocol().as_deref(), Some("realtime"));
        let r = request("GET / HTTP/1.1\nSec-WebSocket-Protocol: xai-client-secret.s2\n\n");
        assert!(r.credential() == Credential::Key("s2".to_owned()));
        assert_eq!(r.chosen_protocol().as_deref(), Some("xai-client-secret.s2"));
        let r = request("GET / HTTP/1.1\nAuthorization: Basic x\n\n");
        assert!(r.credential() == Credential::Malformed && r.websocket_key().is_none());
    }

    #[test]
    fn refusals_have_a_code_and_words() {
        let answer = Answer { retry_after_s: Some(3), ..Answer::refusal(429) };
        let text = String::from_utf8(answer.bytes()).unwrap();
        assert!(text.starts_with("HTTP/1.1 429 ") && text.contains("Retry-After: 3\r\n"));
        assert!(text.contains("\"code\":\"resource-exhausted\""));
    }
}
