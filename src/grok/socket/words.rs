//! What went wrong, in words an owner can act on.

use crate::base::event::{Link, Trouble};
use http::{HeaderMap, StatusCode, header};
use rustls::CertificateError;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio_tungstenite::tungstenite::Error as WsError;
use tokio_tungstenite::tungstenite::error::ProtocolError;

/// Characters of a refusal's body that are shown.
const SHOWN: usize = 200;
/// A longer `Retry-After` is a mistake: nobody waits more than a day.
const RETRY_MAX: Duration = Duration::from_secs(86_400);

/// Why a dial failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) trouble: Trouble,
    pub(super) status: Option<u16>,
    pub(super) retry_after: Option<Duration>,
    pub(super) words: String,
}

impl Failure {
    /// A failure without an HTTP answer.
    pub(super) fn new(trouble: Trouble, words: impl Into<String>) -> Self {
        Self { trouble, status: None, retry_after: None, words: words.into() }
    }

    pub(super) fn into_link(self) -> Link {
        let Self { trouble, status, retry_after, words } = self;
        Link::Failed { trouble, status, retry_after, words }
    }

    /// No key, and the service is not on this machine.
    pub(super) fn no_key() -> Self {
        Self::new(
            Trouble::NoKey,
            "no API key: put it into grok.key_file, the credential xai_api_key or the panel",
        )
    }

    /// The name has no address.
    pub(super) fn lookup(host: &str, error: &io::Error) -> Self {
        Self::new(
            Trouble::NoName,
            format!(
                "{host} cannot be looked up ({error}): check the network, its DNS server and \
                 grok.url"
            ),
        )
    }

    /// No address could be connected to.
    pub(super) fn connect(host: &str, port: u16, failed: &[(SocketAddr, io::Error)]) -> Self {
        let refused = |e: &io::Error| e.kind() == io::ErrorKind::ConnectionRefused;
        let list: Vec<_> = failed.iter().map(|(a, e)| format!("{}: {e}", a.ip())).collect();
        let list = shown(&list.join(", "));
        let words = if !failed.is_empty() && failed.iter().all(|(_, e)| refused(e)) {
            format!("{host} refuses connections on port {port}: is the service running there?")
        } else {
            format!("{host} cannot be reached on port {port} ({list}): check the network")
        };
        Self::new(Trouble::NoNetwork, words)
    }

    /// The far end ended or garbled the handshake, or TLS did not accept it.
    pub(super) fn handshake(host: &str, port: u16, error: &io::Error) -> Self {
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        match inner {
            Some(error) => Self::tls(host, port, error),
            None if error.kind() == io::ErrorKind::TimedOut => {
                Self::new(Trouble::NoNetwork, format!("{host} stopped answering ({error})"))
            }
            None => Self::new(
                Trouble::Protocol,
                format!(
                    "{host} port {port} ended the connection during the handshake ({error}): \
                     is that the service, or something in between?"
                ),
            ),
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the library's errors: the rest is told alike"
    )]
    fn tls(host: &str, port: u16, error: &rustls::Error) -> Self {
        match error {
            rustls::Error::InvalidCertificate(error) => Self::certificate(host, error),
            rustls::Error::InvalidMessage(_) => Self::new(
                Trouble::Protocol,
                format!("{host} port {port} does not speak TLS: check grok.url"),
            ),
            error => {
                Self::new(Trouble::Protocol, format!("TLS with {host} port {port} failed: {error}"))
            }
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the library's errors: the rest is told alike"
    )]
    fn certificate(host: &str, error: &CertificateError) -> Self {
        let clock = |what: &str, limit: u64, now: u64| {
            format!(
                "the certificate of {host} {what} {}, and this device's clock says {}: \
                 set its date and time",
                date(limit),
                date(now)
            )
        };
        let (trouble, words) = match error {
            CertificateError::ExpiredContext { time, not_after } => {
                (Trouble::WrongClock, clock("expired on", not_after.as_secs(), time.as_secs()))
            }
            CertificateError::NotValidYetContext { time, not_before } => (
                Trouble::WrongClock,
                clock("is not valid before", not_before.as_secs(), time.as_secs()),
            ),
            CertificateError::Expired | CertificateError::NotValidYet => (
                Trouble::WrongClock,
                format!("the certificate of {host} is not valid today: set this device's clock"),
            ),
            CertificateError::UnknownIssuer => (
                Trouble::NotTrusted,
                format!(
                    "the certificate of {host} is signed by nobody this device trusts: name the \
                     signer in grok.ca_file, or find out who is in between"
                ),
            ),
            CertificateError::NotValidForNameContext { presented, .. } => (
                Trouble::NotTrusted,
                format!(
                    "the certificate is for another name than {host} ({}): check grok.url",
                    shown(&presented.join(", "))
                ),
            ),
            CertificateError::NotValidForName => (
                Trouble::NotTrusted,
                format!("the certificate is for another name than {host}: check grok.url"),
            ),
            other => {
                (Trouble::NotTrusted, format!("the certificate of {host} is not accepted: {other}"))
            }
        };
        Self::new(trouble, words)
    }

    /// The handshake was answered with something else than a WebSocket. `secret` does not appear
    /// in the words even when the service repeats it; `now` is wall time in Unix seconds, for a
    /// `Retry-After` that is a date.
    pub(super) fn refused(
        status: StatusCode,
        headers: &HeaderMap,
        body: &[u8],
        secret: Option<&str>,
        now: i64,
    ) -> Self {
        let code = status.as_u16();
        let said = said(body, secret).map(|said| format!(": {said}")).unwrap_or_default();
        let (trouble, words) = match code {
            400 => (
                Trouble::Refused,
                format!("the service refuses the request or the API key (400){said}"),
            ),
            401 => {
                (Trouble::Refused, format!("the service does not accept the API key (401){said}"))
            }
            402 | 403 => (
                Trouble::Refused,
                format!("the API key, its team or its plan may not do this ({code}){said}"),
            ),
            404 => (
                Trouble::Protocol,
                format!("there is no such service at this address (404): check grok.url{said}"),
            ),
            429 => (Trouble::Busy, format!("too many requests or sessions (429){said}")),
            500..=599 => (Trouble::Busy, format!("the service is out of order ({code}){said}")),
            300..=399 => {
                (Trouble::Protocol, format!("the address has moved ({code}): check grok.url"))
            }
            _ => (
                Trouble::Protocol,
                format!(
                    "the address answers, but not as a WebSocket ({code}): check grok.url{said}"
                ),
            ),
        };
        Self { trouble, status: Some(code), retry_after: retry_after(headers, now), words }
    }
}

/// Seconds, or a date counted from the answer's own `Date` where it has one (our clock may be
/// wrong), else from `now`. RFC 9110 section 10.2.3.
fn retry_after(headers: &HeaderMap, now: i64) -> Option<Duration> {
    let text = |name| headers.get(name).and_then(|v| v.to_str().ok()).map(str::trim);
    let value = text(header::RETRY_AFTER)?;
    if let Ok(seconds) = value.parse::<u64>() {
        return Some(Duration::from_secs(seconds).min(RETRY_MAX));
    }
    let unix = |text| jiff::fmt::rfc2822::parse(text).ok().map(|date| date.timestamp().as_second());
    let then = unix(value)?;
    let now = text(header::DATE).and_then(unix).unwrap_or(now);
    Some(Duration::from_secs(u64::try_from(then - now).unwrap_or(0)).min(RETRY_MAX))
}

/// `code` and `error` of a JSON body, else its text; bounded, printable, without the secret.
fn said(body: &[u8], secret: Option<&str>) -> Option<String> {
    let text = match serde_json::from_slice::<serde_json::Value>(body) {
        Ok(serde_json::Value::Object(fields)) => {
            let mut parts = Vec::new();
            for name in ["code", "error", "message"] {
                match fields.get(name) {
                    Some(serde_json::Value::String(s)) => parts.push(s.clone()),
                    Some(serde_json::Value::Object(inner)) => {
                        parts.extend(inner.get("message").and_then(|m| m.as_str()).map(Into::into));
                    }
                    _ => {}
                }
            }
            parts.join(": ")
        }
        Ok(_) => return None,
        // A web page says nothing to a person in one line.
        Err(_) if body.trim_ascii_start().starts_with(b"<") => return None,
        Err(_) => String::from_utf8_lossy(body).into_owned(),
    };
    let text = match secret {
        Some(secret) if !secret.is_empty() => text.replace(secret, "***"),
        _ => text,
    };
    let text = shown(&text);
    (!text.is_empty()).then_some(text)
}

/// One printable line of bounded length.
pub(super) fn shown(text: &str) -> String {
    let flat: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let flat = flat.trim();
    match flat.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &flat[..end]),
        None => flat.to_owned(),
    }
}

/// `2026-11-24`.
fn date(unix: u64) -> String {
    i64::try_from(unix)
        .ok()
        .and_then(|s| jiff::Timestamp::from_second(s).ok())
        .map_or_else(|| format!("{unix} s"), |t| t.strftime("%Y-%m-%d").to_string())
}

/// An open connection ended with an error.
#[expect(clippy::wildcard_enum_match_arm, reason = "the library's errors: the rest is told alike")]
pub(super) fn lost(error: &WsError) -> Link {
    let (trouble, words) = match error {
        WsError::ConnectionClosed
        | WsError::AlreadyClosed
        | WsError::Protocol(ProtocolError::ResetWithoutClosingHandshake) => {
            (Trouble::Dropped, "the service ended the connection without a close frame".to_owned())
        }
        WsError::Io(error) if error.kind() == io::ErrorKind::TimedOut => {
            (Trouble::Dropped, "the network is gone: nothing was acknowledged for 10 s".to_owned())
        }
        WsError::Io(error) => match error.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>())
        {
            Some(error) => (Trouble::Protocol, format!("TLS broke: {error}")),
            None => (Trouble::Dropped, format!("the connection broke: {error}")),
        },
        WsError::Capacity(error) => {
            (Trouble::Protocol, format!("the service sent more than is allowed: {error}"))
        }
        other => (Trouble::Protocol, format!("the service broke the WebSocket protocol: {other}")),
    };
    Link::Lost { trouble, code: None, words }
}

/// An open connection on which nothing left for so long.
pub(super) fn stalled(limit: Duration) -> Link {
    let words = format!("the network is gone: nothing could be sent for {} s", limit.as_secs());
    Link::Lost { trouble: Trouble::Dropped, code: None, words }
}

/// The service closed an open connection in due form.
pub(super) fn closed(code: Option<u16>, reason: &str) -> Link {
    let reason = shown(reason);
    let words = match (code, reason.is_empty()) {
        (Some(code), true) => format!("the service closed the connection ({code})"),
        (Some(code), false) => format!("the service closed the connection ({code}): {reason}"),
        (None, _) => "the service closed the connection".to_owned(),
    };
    Link::Lost { trouble: Trouble::Dropped, code, words }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(header::HeaderName, &str)]) -> HeaderMap {
        pairs.iter().map(|(n, v)| (n.clone(), v.parse().unwrap())).collect()
    }

    fn refused(status: u16, body: &str) -> Failure {
        let status = StatusCode::from_u16(status).unwrap();
        Failure::refused(status, &HeaderMap::new(), body.as_bytes(), Some("xai-1234567"), 0)
    }

    #[test]
    fn refusals_are_sorted_by_what_helps() {
        let trouble = |status| refused(status, "").trouble;
        assert_eq!([400, 401, 402, 403].map(trouble), [Trouble::Refused; 4]);
        assert_eq!([429, 500, 502, 503].map(trouble), [Trouble::Busy; 4]);
        assert_eq!([200, 302, 404, 405].map(trouble), [Trouble::Protocol; 4]);
    }

    #[test]
    fn the_body_is_shown_without_the_key() {
        let words = |body| refused(400, body).words;
        assert!(
            words(r#"{"code":"bad","error":"Incorrect API key: xai-1234567"}"#)
                .ends_with(": bad: Incorrect API key: ***")
        );
        assert!(words(r#"{"error":{"message":"no\nplan"}}"#).ends_with(": no plan"));
        assert!(words("just text").ends_with(": just text"));
        assert!(words("<html>busy</html>").ends_with("(400)"));
        assert!(words(r#"[1]"#).ends_with("(400)"));
        assert!(words(&"é".repeat(5000)).chars().count() < SHOWN + 80);
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let later = "Sun, 06 Nov 1994 08:50:37 GMT";
        let now = "Sun, 06 Nov 1994 08:49:37 GMT";
        let seconds = |pairs: &[_], now| retry_after(&headers(pairs), now).map(|d| d.as_secs());
        assert_eq!(seconds(&[(header::RETRY_AFTER, "7")], 0), Some(7));
        assert_eq!(seconds(&[(header::RETRY_AFTER, later), (header::DATE, now)], 0), Some(60));
        assert_eq!(seconds(&[(header::RETRY_AFTER, later)], 784_111_777 + 20), Some(40));
        assert_eq!(seconds(&[(header::RETRY_AFTER, now), (header::DATE, later)], 0), Some(0));
        assert_eq!(seconds(&[(header::RETRY_AFTER, "999999999999")], 0), Some(86_400));
        assert_eq!(seconds(&[(header::RETRY_AFTER, "soon")], 0), None);
        assert_eq!(seconds(&[], 0), None);
    }
}
