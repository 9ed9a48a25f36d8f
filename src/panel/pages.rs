//! DOOR to the plain HTTP side: the page and its files, pairing, health and metrics. The files are
//! part of the program: no path of a request ever reaches the file system.

use super::guard;
use super::pairing::{Trust, Visitor};
use super::redirect::{self, Way};
use super::stream::Peer;
use super::tls::Tls;
use super::trust::{Denied, Role};
use crate::base::Clock;
use axum::body::Body;
use axum::extract::{Extension, Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::{HeaderMap, StatusCode, Uri, header};
use serde::Deserialize;
use serde_json::{Value, json};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

/// Longest pairing request in bytes.
const PAIR_MAX: usize = 1024;
/// How long a browser keeps the cookie: as long as the session lives unused.
const COOKIE_S: u64 = super::trust::IDLE.as_secs();

/// Says in one word why the speaker does not hear.
pub(super) type Health = Arc<dyn Fn() -> Result<(), &'static str> + Send + Sync>;
/// Prometheus text.
pub(super) type Metrics = Arc<dyn Fn() -> String + Send + Sync>;

/// What the answers are made of.
#[derive(Clone)]
pub(super) struct Sources {
    pub(super) trust: Trust,
    pub(super) clock: Clock,
    pub(super) health: Health,
    pub(super) metrics: Metrics,
    /// Port of HTTP.
    pub(super) plain: Option<u16>,
    /// What HTTPS is served with, and its port.
    pub(super) tls: Option<(u16, Tls)>,
}

/// A file of the page, as built.
struct File {
    name: &'static str,
    kind: &'static str,
    bytes: &'static [u8],
    /// The same by gzip, a third of it.
    packed: &'static [u8],
}

/// A file below `web/dist`.
macro_rules! built {
    ($path:literal, $name:literal, $kind:literal) => {
        File {
            name: $name,
            kind: concat!($kind, "; charset=utf-8"),
            bytes: include_bytes!(concat!("../../web/dist/", $path, $name)),
            packed: include_bytes!(concat!("../../web/dist/", $path, $name, ".gz")),
        }
    };
}

const INDEX: File = built!("", "index.html", "text/html");

const ASSETS: [File; 3] = [
    built!("assets/", "panel.js", "text/javascript"),
    built!("assets/", "chart.js", "text/javascript"),
    built!("assets/", "panel.css", "text/css"),
];

/// What is inside the program, with its licences. Packed only, which every browser takes: it is a
/// fifteenth.
const LICENCES: &[u8] = include_bytes!("../../web/dist/licences.txt.gz");

impl File {
    /// The file, packed where the browser takes that, or "not modified" when it names the one it has.
    fn answer(&self, asked: &HeaderMap) -> Response {
        let packed = takes_gzip(asked);
        let bytes = if packed { self.packed } else { self.bytes };
        let mut sum = DefaultHasher::new();
        bytes.hash(&mut sum);
        let tag = format!("\"{:016x}\"", sum.finish());
        let known = asked.get(header::IF_NONE_MATCH).is_some_and(|known| known == tag.as_str());
        let headers = [
            (header::CACHE_CONTROL, "no-cache".to_owned()),
            (header::VARY, "accept-encoding".to_owned()),
            (header::ETAG, tag),
        ];
        if known {
            return (StatusCode::NOT_MODIFIED, headers).into_response();
        }
        let coding = packed.then_some([(header::CONTENT_ENCODING, "gzip")]);
        (headers, coding, [(header::CONTENT_TYPE, self.kind)], bytes).into_response()
    }
}

/// Whether a browser can unpack gzip; `q=0` says that it will not.
fn takes_gzip(asked: &HeaderMap) -> bool {
    let all = asked.get_all(header::ACCEPT_ENCODING).into_iter().filter_map(|v| v.to_str().ok());
    all.flat_map(|list| list.split(',')).any(|one| {
        let (coding, weight) = one.split_once(';').unwrap_or((one, ""));
        let weight = weight.trim().strip_prefix("q=").map_or(Ok(1.0), str::parse::<f32>);
        coding.trim().eq_ignore_ascii_case("gzip") && weight.is_ok_and(|weight| weight > 0.0)
    })
}

/// The routes, without any guard.
pub(super) fn router(sources: Sources) -> Router {
    Router::new()
        .route("/", get(index))
        .route("/assets/{name}", get(asset))
        .route("/licences.txt", get(licences))
        .route("/healthz", get(healthz))
        .route("/metrics", get(metrics))
        .route("/api/pair", post(pair))
        .route("/api/session", get(session))
        .route("/api/leave", post(leave))
        .route("/api/trust", get(trust))
        .route("/api/trusted", post(redirect::remember))
        .route("/trusted.js", get(redirect::probe))
        .route("/ca.crt", get(anchor))
        .with_state(sources)
}

async fn index(
    State(sources): State<Sources>,
    Extension(peer): Extension<Arc<Peer>>,
    visitor: Option<Extension<Visitor>>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let visitor = visitor.as_deref();
    match redirect::way(&sources, &peer, visitor, &uri, &headers) {
        Way::Stay => INDEX.answer(&headers),
        Way::Unmark(cookie) => {
            ([(header::SET_COOKIE, cookie)], INDEX.answer(&headers)).into_response()
        }
        Way::On(elsewhere) => elsewhere,
    }
}

async fn asset(Path(name): Path<String>, headers: HeaderMap) -> Response {
    let file = ASSETS.iter().find(|file| file.name == name);
    file.map_or_else(|| StatusCode::NOT_FOUND.into_response(), |file| file.answer(&headers))
}

async fn licences() -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
        (header::CONTENT_ENCODING, "gzip"),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, LICENCES).into_response()
}

async fn healthz(State(sources): State<Sources>) -> Response {
    let headers = [(header::CACHE_CONTROL, "no-store")];
    match (sources.health)() {
        Ok(()) => (headers, "ok").into_response(),
        Err(word) => (StatusCode::SERVICE_UNAVAILABLE, headers, word).into_response(),
    }
}

async fn metrics(State(sources): State<Sources>) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, (sources.metrics)()).into_response()
}

#[derive(Deserialize)]
struct Pair {
    code: String,
    #[serde(default)]
    name: String,
}

async fn pair(
    State(sources): State<Sources>,
    Extension(peer): Extension<Arc<Peer>>,
    body: Body,
) -> Response {
    let no_store = [(header::CACHE_CONTROL, "no-store")];
    let refuse = |status: StatusCode, words: &str| {
        (status, no_store.clone(), Json(json!({"error": words}))).into_response()
    };
    let Ok(bytes) = axum::body::to_bytes(body, PAIR_MAX).await else {
        return refuse(StatusCode::PAYLOAD_TOO_LARGE, "the request is longer than 1 KiB");
    };
    let Ok(Pair { code, name }) = serde_json::from_slice(&bytes) else {
        return refuse(StatusCode::FORBIDDEN, r#"send {"code":"123456","name":"..."}"#);
    };
    match sources.trust.pair(&code, &name, (sources.clock)()) {
        Ok(paired) => {
            log::info!(role = paired.role.word(); "a panel was paired");
            let cookie = cookie(&sources.trust, &paired.token, peer.secure);
            let body = Json(json!({"role": paired.role, "csrf": paired.csrf}));
            (no_store, [(header::SET_COOKIE, cookie)], body).into_response()
        }
        Err(denied) => {
            // Five wrong codes close a window; whoever goes on cannot fill the log.
            let level = match denied {
                Denied::Wrong { .. } | Denied::Lost => log::Level::Warn,
                Denied::Closed => log::Level::Debug,
            };
            log::log!(level, "pairing refused: {denied}");
            let body = json!({
                "error": denied.to_string(),
                "code": denied.word(),
                "left": denied.left(),
            });
            (StatusCode::FORBIDDEN, no_store, Json(body)).into_response()
        }
    }
}

/// Says who asks, and lets the cookie live on.
async fn session(
    State(sources): State<Sources>,
    Extension(peer): Extension<Arc<Peer>>,
    headers: HeaderMap,
) -> Response {
    let no_store = [(header::CACHE_CONTROL, "no-store")];
    let now = (sources.clock)();
    match guard::recognise(&headers, &sources.trust, peer.secure, now) {
        Some((token, visitor)) => {
            if let Some(paired) = sources.trust.renew(token, now) {
                let cookie = cookie(&sources.trust, &paired.token, peer.secure);
                let body = whoever(&sources.trust, paired.role, &paired.csrf);
                return (no_store, [(header::SET_COOKIE, cookie)], body).into_response();
            }
            let body = whoever(&sources.trust, visitor.role, &visitor.csrf);
            if !sources.trust.is_newest(token) {
                // Another tab has just been given the next one: it must not be put back.
                return (no_store, body).into_response();
            }
            let cookie = cookie(&sources.trust, token, peer.secure);
            (no_store, [(header::SET_COOKIE, cookie)], body).into_response()
        }
        None => {
            if let Some(guest) = sources.trust.guest() {
                let mut body = whoever(&sources.trust, guest.role, &guest.csrf);
                body["guest"] = true.into();
                return (no_store, body).into_response();
            }
            let body = Json(json!({"error": "not paired"}));
            (StatusCode::UNAUTHORIZED, no_store, body).into_response()
        }
    }
}

/// What a page must know of itself; and whether others watch without being paired.
fn whoever(trust: &Trust, role: Role, csrf: &str) -> Json<Value> {
    let mut body = json!({"role": role, "csrf": csrf});
    if trust.guest().is_some() {
        body["open_view"] = true.into();
    }
    Json(body)
}

/// Forgets whoever asks: the browser is not paired any more.
async fn leave(
    State(sources): State<Sources>,
    Extension(peer): Extension<Arc<Peer>>,
    Extension(visitor): Extension<Visitor>,
) -> Response {
    if sources.trust.leave(&visitor.session).is_ok() {
        log::info!("a panel is no longer paired: it asked for that");
    }
    let headers = [
        (header::SET_COOKIE, kept_cookie(&sources.trust, "", peer.secure, 0)),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}

/// How far this connection is to be trusted, and how to have one that is.
async fn trust(State(sources): State<Sources>, Extension(peer): Extension<Arc<Peer>>) -> Response {
    let tls = sources.tls.as_ref().map(|(port, tls)| {
        let print = tls.fingerprint();
        json!({"port": port, "sha256": print.sha256, "groups": print.groups})
    });
    let body = json!({
        "secure": peer.secure,
        "secrets": peer.may_carry_secrets(),
        "plain": sources.plain,
        "open_view": sources.trust.guest().is_some(),
        "tls": tls,
    });
    ([(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
}

/// The certificate of the speaker's own authority, for a phone to install.
async fn anchor(State(sources): State<Sources>) -> Response {
    let Some((_, tls)) = &sources.tls else { return StatusCode::NOT_FOUND.into_response() };
    let headers =
        [(header::CONTENT_TYPE, "application/x-x509-ca-cert"), (header::CACHE_CONTROL, "no-store")];
    (headers, tls.anchor().to_owned()).into_response()
}

fn cookie(trust: &Trust, token: &str, secure: bool) -> String {
    kept_cookie(trust, token, secure, COOKIE_S)
}

fn kept_cookie(trust: &Trust, token: &str, secure: bool, seconds: u64) -> String {
    let name = trust.cookie(secure);
    let only = if secure { "; Secure" } else { "" };
    format!("{name}={token}; Path=/; HttpOnly; SameSite=Strict; Max-Age={seconds}{only}")
}
