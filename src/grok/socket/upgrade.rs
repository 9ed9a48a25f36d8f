//! The opening handshake of RFC 6455 section 4, from the request line to the first frame.
//!
//! By hand, because the library's own drops the connection as soon as it has seen a status other
//! than 101, and with it the body that says why; and because it writes the whole request, key
//! included, into its trace log. What it computes and parses is still the library's.

use super::target::Target;
use super::words::Failure;
use crate::base::event::Trouble;
use crate::base::secret::Secret;
use http::{HeaderMap, StatusCode, header};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_tungstenite::tungstenite::handshake::client::{Response, generate_key};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::handshake::machine::TryParse;

/// Bytes of an answer's head: far more than any service sends.
const HEAD_MAX: usize = 16 * 1024;
/// Bytes read of a refusal's body.
const BODY_MAX: usize = 4 * 1024;
/// How long a refusal's body is waited for: it nearly always comes with the head.
const BODY_WAIT: Duration = Duration::from_secs(1);

/// Asks for a WebSocket. Returns what was read beyond the answer: the first frames.
pub(super) async fn upgrade<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    target: &Target,
    query: &[(String, String)],
    key: Option<&Secret>,
) -> Result<Vec<u8>, Failure> {
    let broken = |e: std::io::Error| Failure::handshake(&target.host, target.port, &e);
    let nonce = generate_key();
    let request = request(target, query, key, &nonce)?;
    stream.write_all(request.as_bytes()).await.map_err(broken)?;
    stream.flush().await.map_err(broken)?;

    let mut bytes = Vec::with_capacity(1024);
    let (length, response) = loop {
        if stream.read_buf(&mut bytes).await.map_err(broken)? == 0 {
            return Err(broken(std::io::ErrorKind::UnexpectedEof.into()));
        }
        if bytes.starts_with(b"HTTP/1.0 ") {
            // Simple servers and old proxies refuse in HTTP/1.0, which the parser does not take.
            bytes[7] = b'1';
        }
        match Response::try_parse(&bytes) {
            Ok(Some(parsed)) => break parsed,
            Ok(None) if bytes.len() < HEAD_MAX => {}
            Ok(None) | Err(_) => return Err(strange(target, "the answer is not HTTP")),
        }
    };
    let mut rest = bytes.split_off(length);
    let (status, headers) = (response.status(), response.headers());
    if status != StatusCode::SWITCHING_PROTOCOLS {
        // Whatever ends the reading, what has come is what can be shown.
        let _ = tokio::time::timeout(BODY_WAIT, read_body(stream, headers, &mut rest)).await;
        if is_chunked(headers) {
            rest = dechunk(&rest);
        }
        let secret = key.map(Secret::expose);
        return Err(Failure::refused(status, headers, &rest, secret, wall_seconds()));
    }
    let has = |name, token: &str| {
        let values = headers.get_all(name).iter().filter_map(|v| v.to_str().ok());
        values.flat_map(|v| v.split(',')).any(|v| v.trim().eq_ignore_ascii_case(token))
    };
    if !has(header::UPGRADE, "websocket") || !has(header::CONNECTION, "upgrade") {
        return Err(strange(target, "the answer does not switch to WebSocket"));
    }
    if headers.get(header::SEC_WEBSOCKET_ACCEPT).map(http::HeaderValue::as_bytes)
        != Some(derive_accept_key(nonce.as_bytes()).as_bytes())
    {
        return Err(strange(target, "the answer is not for our request"));
    }
    if headers.contains_key(header::SEC_WEBSOCKET_PROTOCOL)
        || headers.contains_key(header::SEC_WEBSOCKET_EXTENSIONS)
    {
        return Err(strange(target, "the answer uses what was not offered"));
    }
    Ok(rest)
}

/// The request as it goes out.
fn request(
    target: &Target,
    query: &[(String, String)],
    key: Option<&Secret>,
    nonce: &str,
) -> Result<String, Failure> {
    let authorization = match key {
        // Anything else would end the header, or the request.
        Some(key) if !key.expose().bytes().all(|b| b.is_ascii_graphic()) => {
            return Err(Failure::new(
                Trouble::Refused,
                "the API key holds characters that no key has: enter it again",
            ));
        }
        Some(key) => format!("Authorization: Bearer {}\r\n", key.expose()),
        None => String::new(),
    };
    Ok(format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: {nonce}\r\nSec-WebSocket-Version: 13\r\n\
         User-Agent: grok-speaker/{version}\r\n{authorization}\r\n",
        path = target.request_path(query),
        host = target.host_header(),
        version = env!("CARGO_PKG_VERSION"),
    ))
}

/// Reads the body up to its stated end, the end of the connection or the limit.
async fn read_body<S: AsyncRead + Unpin>(stream: &mut S, headers: &HeaderMap, body: &mut Vec<u8>) {
    let stated = headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok());
    let wanted = stated.and_then(|v| v.trim().parse().ok()).unwrap_or(BODY_MAX).min(BODY_MAX);
    let chunked = is_chunked(headers);
    while body.len() < wanted && !(chunked && body.ends_with(b"0\r\n\r\n")) {
        match stream.read_buf(body).await {
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
    }
    body.truncate(wanted);
}

fn is_chunked(headers: &HeaderMap) -> bool {
    let coding = headers.get(header::TRANSFER_ENCODING).and_then(|v| v.to_str().ok());
    coding.is_some_and(|v| v.trim().eq_ignore_ascii_case("chunked"))
}

/// What is there of a chunked body (RFC 9112 section 7.1).
fn dechunk(mut bytes: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = bytes.windows(2).position(|pair| pair == b"\r\n") {
        let size = bytes[..end].split(|&byte| byte == b';').next().unwrap_or_default();
        let size = std::str::from_utf8(size).ok().and_then(|s| usize::from_str_radix(s, 16).ok());
        let rest = &bytes[end + 2..];
        let Some(size @ 1..) = size else { break };
        body.extend_from_slice(&rest[..size.min(rest.len())]);
        bytes = rest.get(size.saturating_add(2)..).unwrap_or_default();
    }
    body
}

fn strange(target: &Target, what: &str) -> Failure {
    Failure::new(
        Trouble::Protocol,
        format!("{} port {}: {what}: check grok.url", target.host, target.port),
    )
}

/// Wall time in Unix seconds.
fn wall_seconds() -> i64 {
    #[expect(clippy::disallowed_methods, reason = "only to count from to a Retry-After date")]
    let now = std::time::SystemTime::now();
    now.duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |d| i64::try_from(d.as_secs()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_cannot_smuggle_headers() {
        let target = Target::parse("wss://h/p").unwrap();
        let request = |key: &str| request(&target, &[], Secret::new(key).as_ref(), "n");
        assert!(request("xai-ok").unwrap().contains("\r\nAuthorization: Bearer xai-ok\r\n"));
        let failure = request("xai-1\r\nX: y").unwrap_err();
        assert_eq!(failure.trouble, Trouble::Refused);
        assert!(!failure.words.contains("xai-1"));
        assert!(!request("").unwrap().contains("Authorization"));
    }

    #[test]
    fn a_chunked_body_is_put_together_as_far_as_it_came() {
        assert_eq!(dechunk(b"3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n"), b"abc0123456789");
        assert_eq!(dechunk(b"5\r\nabc"), b"abc");
        assert_eq!(dechunk(b"ffffffffffffffff\r\nabc"), b"abc");
        for nothing in ["", "\r\n", "zz\r\nabc", "0\r\n\r\n", "5"] {
            assert_eq!(dechunk(nothing.as_bytes()), b"", "{nothing:?}");
        }
    }
}
