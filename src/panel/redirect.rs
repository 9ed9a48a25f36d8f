//! DOOR to the way from the plain page to the encrypted one: a browser that was seen to trust the speaker's
//! authority is sent there by itself. The mark of it is a cookie of the host, which grants nothing.
//!
//! A browser that trusts the certificate keeps an answer that may be kept, and registers a service
//! worker; one in which the warning was clicked away does neither. The page looks at both.

use super::guard;
use super::pages::Sources;
use super::pairing::{Trust, Visitor};
use super::stream::Peer;
use super::tls::Tls;
use super::token::{any_u32, hex};
use axum::extract::{Extension, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, Uri, header};
use std::sync::Arc;

/// How long a browser is sent on without having opened the encrypted page: as long as a session lives
/// unused.
const MARK_S: u64 = super::trust::IDLE.as_secs();
/// How long the probe may be kept: the page asks twice within one round trip.
const PROBE_S: u64 = 60;
/// Digits of the fingerprint in the mark: enough to tell one authority of this speaker from the next.
const DIGITS: usize = 16;
/// What asks for the plain page, come what may.
const PLAIN: &str = "plain";

/// Where a visitor of the front page goes instead, or what becomes of the mark.
pub(super) enum Way {
    /// Nothing to say.
    Stay,
    /// It stays, and the mark goes.
    Unmark(String),
    /// To the encrypted page.
    On(Response),
}

/// For a request of the front page.
pub(super) fn way(
    sources: &Sources,
    peer: &Peer,
    visitor: Option<&Visitor>,
    uri: &Uri,
    headers: &HeaderMap,
) -> Way {
    if peer.secure {
        return Way::Stay;
    }
    if uri.query() == Some(PLAIN) {
        // Whoever comes from the encrypted page comes from another site, and does not bring the mark.
        return Way::Unmark(cookie(&sources.trust, "", 0));
    }
    let name = name(&sources.trust);
    let Some(mark) = guard::cookies(headers, &name).next() else { return Way::Stay };
    let Some((port, _)) = sources.tls.as_ref().filter(|(_, tls)| mark == value(tls)) else {
        return Way::Unmark(cookie(&sources.trust, "", 0));
    };
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let host = without_port(host);
    let port = if *port == 443 { String::new() } else { format!(":{port}") };
    let paired = if visitor.is_some() { "?paired" } else { "" };
    let headers = [
        (header::LOCATION, format!("https://{host}{port}/{paired}")),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    Way::On((StatusCode::TEMPORARY_REDIRECT, headers).into_response())
}

/// Never twice the same: who gets the same again has kept it. As a service worker it does nothing.
pub(super) async fn probe(Extension(peer): Extension<Arc<Peer>>) -> Response {
    if !peer.secure {
        return StatusCode::NOT_FOUND.into_response();
    }
    let headers = [
        (header::CONTENT_TYPE, "text/javascript; charset=utf-8".to_owned()),
        (header::CACHE_CONTROL, format!("private, max-age={PROBE_S}")),
    ];
    (headers, format!("// {}\n", hex(&any_u32().to_le_bytes()))).into_response()
}

/// The encrypted page found that its browser trusts the speaker.
pub(super) async fn remember(
    State(sources): State<Sources>,
    Extension(peer): Extension<Arc<Peer>>,
) -> Response {
    let Some((_, tls)) = sources.tls.as_ref().filter(|_| peer.secure) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let headers = [
        (header::SET_COOKIE, cookie(&sources.trust, &value(tls), MARK_S)),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}

/// Not the session's: that one has no such ending.
fn name(trust: &Trust) -> String {
    format!("{}_tls", trust.cookie(false))
}

/// A new authority is not trusted by who trusted the one before.
fn value(tls: &Tls) -> String {
    let digits = tls.fingerprint().sha256.chars().filter(char::is_ascii_hexdigit);
    digits.take(DIGITS).collect::<String>().to_ascii_lowercase()
}

/// Without `Secure`, because it is the plain page that wants it.
fn cookie(trust: &Trust, value: &str, seconds: u64) -> String {
    let name = name(trust);
    format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={seconds}")
}

/// The name of a `Host` that the guard has accepted.
fn without_port(host: &str) -> &str {
    let name = host.find(']').map_or(0, |end| end + 1);
    host[name..].find(':').map_or(host, |colon| &host[..name + colon])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_the_one_that_was_asked_for() {
        for (host, name) in [
            ("speaker.local", "speaker.local"),
            ("speaker.local:8080", "speaker.local"),
            ("192.168.1.5:80", "192.168.1.5"),
            ("[fe80::1]", "[fe80::1]"),
            ("[fe80::1]:8080", "[fe80::1]"),
        ] {
            assert_eq!(without_port(host), name);
        }
    }
}
