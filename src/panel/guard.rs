//! DOOR to every request before anything else sees it: host, origin, session, then the rest of the
//! house; and to every answer after it. It stands outside the Socket.IO layer, because that layer
//! answers before the router and would let strangers past any check further in.

use super::heads;
use super::pairing::{Trust, Visitor};
use super::rule;
use super::socket::{self, Hub};
use super::stream::Peer;
use crate::base::Clock;
use crate::base::unit::Moment;
use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, StatusCode, Uri};
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tower::Service;

/// A body that takes longer is given up: as long as a request head may take.
const BODY: Duration = Duration::from_secs(10);
/// Different refused hosts and origins that are logged, once each.
const LOGGED: usize = 64;

/// Stands before the house.
pub(super) struct Guard {
    pub(super) names: Vec<String>,
    pub(super) trust: Trust,
    pub(super) hub: Arc<Hub>,
    pub(super) clock: Clock,
    pub(super) logged: Mutex<BTreeSet<String>>,
    pub(super) house: Router,
}

/// Why not.
struct Refused(StatusCode, &'static str);

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let no_store = [(header::CACHE_CONTROL, "no-store")];
        let mut response = (self.0, no_store, format!("{}\n", self.1)).into_response();
        if self.0 == StatusCode::LENGTH_REQUIRED {
            // Where its body ends is in doubt, and so is what follows.
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(header::CONNECTION, close);
        }
        response
    }
}

impl Guard {
    /// Answers one request.
    pub(super) async fn answer<B>(
        &self,
        mut request: Request<B>,
        peer: Arc<Peer>,
    ) -> Result<Response, Infallible>
    where
        B: axum::body::HttpBody<Data = axum::body::Bytes> + Send + 'static,
        B::Error: Into<axum::BoxError>,
    {
        let host = one(request.headers(), &header::HOST).unwrap_or_default();
        let heeded = rule::is_trustworthy(host, peer.secure);
        let connection = peer.clone();
        let mut response = match self.admit(&mut request, peer) {
            Ok(visitor) => self.pass(request.map(Body::new), visitor).await,
            Err(refused) => refused.into_response(),
        };
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            connection.upgraded.store(true, Ordering::Relaxed);
        }
        let kind = response.headers().get(header::CONTENT_TYPE);
        let is_page = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
        let opener = (heeded || !is_page).then_some(rule::OPENER);
        for (name, value) in rule::HEADERS.into_iter().chain(opener) {
            let name = HeaderName::from_static(name);
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        Ok(response)
    }

    /// Checks a request and notes whose it is.
    fn admit<B>(
        &self,
        request: &mut Request<B>,
        peer: Arc<Peer>,
    ) -> Result<Option<Visitor>, Refused> {
        let headers = request.headers();
        let path = request.uri().path();
        // No browser sends a body without its length, and where it ends is then no matter of opinion.
        if headers.contains_key(header::TRANSFER_ENCODING) {
            let words = "A request must say how long its body is.";
            return Err(Refused(StatusCode::LENGTH_REQUIRED, words));
        }
        let host = one(headers, &header::HOST)
            .filter(|host| self.is_ours(host, &peer))
            .filter(|_| request.uri().authority().is_none());
        let Some(host) = host else {
            self.log_once("host", headers.get(header::HOST), &peer);
            return Err(Refused(
                StatusCode::MISDIRECTED_REQUEST,
                "This speaker does not go by that name. Open its address, or add the name to panel.hosts.",
            ));
        };
        if !is_our_page(headers, host, path, peer.secure) {
            self.log_once("origin", headers.get(header::ORIGIN), &peer);
            let words = "Requests from pages of other sites are refused.";
            return Err(Refused(StatusCode::FORBIDDEN, words));
        }
        let now = (self.clock)();
        let visitor = recognise(headers, &self.trust, peer.secure, now).map(|(_, visitor)| visitor);
        if visitor.is_some() {
            peer.trusted.store(true, Ordering::Relaxed);
        }
        let guest = || self.trust.guest().filter(|_| is_engine(path)).cloned();
        let visitor = visitor.or_else(guest);
        if visitor.is_none() && !rule::is_open(path, peer.remote.ip()) {
            let words = "Pair first: open the panel and type the code of \"grok-speaker pair\".";
            return Err(Refused(StatusCode::UNAUTHORIZED, words));
        }
        if let Some(visitor) = &visitor
            && is_engine(path)
        {
            self.engine(request, visitor, &peer)?;
            request.extensions_mut().insert(visitor.clone());
        } else if let Some(visitor) = &visitor {
            request.extensions_mut().insert(visitor.clone());
        }
        request.extensions_mut().insert(peer);
        Ok(visitor)
    }

    /// Whether the host is this device, by any of its names.
    fn is_ours(&self, host: &str, peer: &Peer) -> bool {
        let is_one = |names: &[String]| rule::is_our_host(host, peer.local.ip(), names);
        is_one(&self.names) || self.trust.alias().is_some_and(|alias| is_one(&[alias]))
    }

    /// An Engine.IO session belongs to the paired client that opened it.
    fn engine<B>(
        &self,
        request: &Request<B>,
        visitor: &Visitor,
        peer: &Arc<Peer>,
    ) -> Result<(), Refused> {
        let Some(sid) = session(request.uri()) else {
            if self.hub.has_room(&visitor.session) {
                return Ok(());
            }
            let words = "Too many panels of this browser.";
            return Err(Refused(StatusCode::TOO_MANY_REQUESTS, words));
        };
        let upgrade = request.headers().contains_key(header::UPGRADE).then_some(peer);
        let polls = request.method() == Method::GET && upgrade.is_none();
        if self.hub.continues(sid, &visitor.session, polls, upgrade) {
            return Ok(());
        }
        Err(Refused(StatusCode::BAD_REQUEST, r#"{"code":1,"message":"Session ID unknown"}"#))
    }

    /// Lets the house answer.
    async fn pass(&self, request: Request<Body>, visitor: Option<Visitor>) -> Response {
        let engine = is_engine(request.uri().path());
        let opens = engine && session(request.uri()).is_none();
        let writes = request.method() == Method::POST;
        let mut house = self.house.clone();
        let answer = async {
            let request = if engine && writes { self.read(request).await? } else { request };
            let Ok(response) = house.call(request).await;
            Ok(response)
        };
        let response = if writes {
            let Ok(answer) = tokio::time::timeout(BODY, answer).await else {
                let words = "The request took too long.";
                return Refused(StatusCode::REQUEST_TIMEOUT, words).into_response();
            };
            answer
        } else {
            answer.await
        };
        let response = response.unwrap_or_else(Refused::into_response);
        match visitor {
            Some(visitor) if opens && response.status() == StatusCode::OK => {
                self.note(response, &visitor).await
            }
            Some(_) | None => response,
        }
    }

    /// The same request with the packets gathered. Too much, or a number without end in one of them,
    /// ends its session.
    async fn read(&self, request: Request<Body>) -> Result<Request<Body>, Refused> {
        let (head, body) = request.into_parts();
        let bytes = axum::body::to_bytes(body, socket::MESSAGE_MAX).await.ok();
        let Some(bytes) = bytes.filter(|bytes| !heads::is_endless(bytes)) else {
            self.hub.ends(session(&head.uri).unwrap_or_default());
            let words = "That is too much at once, or a number in it has no end.";
            return Err(Refused(StatusCode::BAD_REQUEST, words));
        };
        Ok(Request::from_parts(head, Body::from(bytes)))
    }

    /// Reads the session id out of a polling handshake.
    async fn note(&self, response: Response, visitor: &Visitor) -> Response {
        const HANDSHAKE_MAX: usize = 4096;
        let (head, body) = response.into_parts();
        let Ok(bytes) = axum::body::to_bytes(body, HANDSHAKE_MAX).await else {
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        };
        let open = bytes.strip_prefix(b"0").unwrap_or_default();
        let open = serde_json::from_slice::<serde_json::Value>(open).unwrap_or_default();
        if let Some(sid) = open.get("sid").and_then(|sid| sid.as_str()) {
            self.hub.opened(sid.to_owned(), visitor.session);
        }
        Response::from_parts(head, Body::from(bytes))
    }

    /// Once a name, so that an owner behind a proxy can see why, and nobody can flood the log.
    fn log_once(&self, what: &str, value: Option<&HeaderValue>, peer: &Peer) {
        let shown = value.map_or("none".into(), |v| String::from_utf8_lossy(v.as_bytes()));
        let shown: String = shown.escape_debug().take(100).collect();
        let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        if logged.len() < LOGGED && logged.insert(format!("{what} {shown}")) {
            log::warn!(address:% = peer.remote.ip(); "panel refused {what} {shown}");
        }
    }
}

/// The Socket.IO path as the library sees it; other spellings reach the router, which knows none.
fn is_engine(path: &str) -> bool {
    path.strip_prefix("/socket.io").is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The Engine.IO session that a request names.
fn session(uri: &Uri) -> Option<&str> {
    uri.query()?.split('&').find_map(|pair| pair.strip_prefix("sid="))
}

/// A header that must be there exactly once.
fn one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut all = headers.get_all(name).iter();
    let first = all.next()?;
    all.next().is_none().then(|| first.to_str().ok()).flatten()
}

/// Whether a browser says that one of our own pages asks. A browser sends `Origin` with every
/// WebSocket and every POST, and no cookie of ours along with what other sites ask for, because the
/// cookie is `SameSite=Strict`; so a request without `Origin` is no browser's or harmless, and is
/// refused only where the cookie alone would do something. Following a link to the front page is
/// harmless too.
fn is_our_page(headers: &HeaderMap, host: &str, path: &str, secure: bool) -> bool {
    let origin = if headers.contains_key(header::ORIGIN) {
        one(headers, &header::ORIGIN)
            .is_some_and(|origin| rule::is_our_origin(origin, host, secure))
    } else {
        !rule::wants_origin(path)
    };
    let site = headers.get("sec-fetch-site").is_none_or(|site| {
        path == "/" || [b"same-origin".as_slice(), b"none"].contains(&site.as_bytes())
    });
    origin && site
}

/// Whose cookie a request brings, and its token. Over TLS also the one of a browser that paired
/// without: its owner need not pair again.
pub(super) fn recognise<'a>(
    headers: &'a HeaderMap,
    trust: &Trust,
    secure: bool,
    now: Moment,
) -> Option<(&'a str, Visitor)> {
    let names = if secure { &[true, false][..] } else { &[false] };
    names.iter().find_map(|name| {
        let token = token(headers, &trust.cookie(*name))?;
        Some((token, trust.visitor(token, now)?))
    })
}

/// The session token in the cookies: 64 hexadecimal digits under our name.
fn token<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    cookies(headers, name).find(|value| value.len() == 64)
}

/// What the cookies of this name hold.
pub(super) fn cookies<'a>(headers: &'a HeaderMap, name: &str) -> impl Iterator<Item = &'a str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|cookies| cookies.to_str().ok())
        .flat_map(|cookies| cookies.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(move |(known, _)| *known == name)
        .map(|(_, value)| value)
}
