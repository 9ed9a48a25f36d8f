//! HTTPS beside HTTP: what a browser that trusts the speaker's own authority, and nothing else, sees.

use super::desk::{Desk, Reply, SOON, Session, clock, read_reply};
use futures_util::{SinkExt, StreamExt};
use grok_speaker::panel::trust::Role;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::tungstenite::{Message, client::IntoClientRequest};

fn desk() -> Desk {
    Desk::with(|options| options.listen_tls = Some(SocketAddr::from(([127, 0, 0, 1], 0))))
}

/// The authority's certificate as a phone downloads it.
async fn anchor(desk: &Desk) -> CertificateDer<'static> {
    let reply = desk.http("GET /ca.crt", &[], "").await;
    assert_eq!((reply.status, reply.header("content-type")), (200, Some(KIND)));
    assert!(!reply.body.contains("PRIVATE"));
    CertificateDer::from_pem_slice(reply.body.as_bytes()).unwrap()
}

const KIND: &str = "application/x-x509-ca-cert";

async fn connect(
    desk: &Desk,
    anchor: &CertificateDer<'static>,
    name: &str,
    alpn: &[&[u8]],
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(anchor.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    let tcp = TcpStream::connect(desk.tls_address.unwrap()).await.unwrap();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, tcp).await
}

/// One request over TLS.
async fn https(desk: &Desk, head: &str, lines: &[&str], body: &str) -> Reply {
    let anchor = anchor(desk).await;
    https_by(&anchor, desk, head, lines, body).await
}

async fn https_by(
    anchor: &CertificateDer<'static>,
    desk: &Desk,
    head: &str,
    lines: &[&str],
    body: &str,
) -> Reply {
    let mut tls = connect(desk, anchor, "127.0.0.1", &[b"h2", b"http/1.1"]).await.unwrap();
    assert_eq!(tls.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    let mut text = format!("{head} HTTP/1.1\r\nHost: {}\r\n", desk.tls_address.unwrap());
    for line in lines {
        text += &format!("{line}\r\n");
    }
    text += &format!("Content-Length: {}\r\n\r\n{body}", body.len());
    tls.write_all(text.as_bytes()).await.unwrap();
    timeout(SOON, read_reply(&mut tls, true)).await.expect("no whole answer")
}

async fn pair(desk: &Desk) -> (Session, Vec<String>) {
    let code = desk.trust.open_window(Role::Admin, desk.now()).to_string();
    let body = json!({"code": code, "name": "phone"}).to_string();
    let reply = https(desk, "POST /api/pair", &[], &body).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    let mut parts = reply.header("set-cookie").unwrap().split("; ").map(str::to_owned);
    let cookie = parts.next().unwrap();
    let answer: Value = serde_json::from_str(&reply.body).unwrap();
    let csrf = answer["csrf"].as_str().unwrap().to_owned();
    (Session { cookie, csrf }, parts.collect())
}

#[tokio::test]
async fn the_downloaded_authority_is_all_a_browser_needs() {
    let desk = desk();
    let anchor = anchor(&desk).await;
    for name in ["127.0.0.1", "localhost"] {
        assert!(connect(&desk, &anchor, name, &[]).await.is_ok(), "{name}");
    }
    assert!(connect(&desk, &anchor, "bank.example", &[]).await.is_err());
    assert!(connect(&desk, &anchor, "127.0.0.1", &[b"h2"]).await.is_err(), "only HTTP/1.1");
    // Another speaker's is of no use, and this one's is the same after a restart.
    let other = self::desk();
    let theirs = self::anchor(&other).await;
    assert!(connect(&desk, &theirs, "127.0.0.1", &[]).await.is_err());
    let dir = desk.dir.clone();
    let mode = std::fs::metadata(dir.join("tls.json")).unwrap().permissions();
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&mode) & 0o777, 0o600);
    assert_eq!(https(&desk, "GET /", &[], "").await.status, 200);
}

#[tokio::test]
async fn how_to_trust_is_said_to_everybody_and_only_where_there_is_tls() {
    let desk = desk();
    let port = desk.tls_address.unwrap().port();
    let said = |reply: Reply| serde_json::from_str::<Value>(&reply.body).unwrap();
    let plain = said(desk.http("GET /api/trust", &[], "").await);
    assert_eq!((&plain["secure"], &plain["tls"]["port"]), (&json!(false), &json!(port)));
    assert_eq!(plain["plain"], json!(desk.address.port()));
    let secure = said(https(&desk, "GET /api/trust", &[], "").await);
    assert_eq!((&secure["secure"], &secure["secrets"]), (&json!(true), &json!(true)));
    assert_eq!(secure["tls"], plain["tls"]);
    let groups = plain["tls"]["groups"].as_str().unwrap();
    assert!(groups.len() == 19 && plain["tls"]["sha256"].as_str().unwrap().len() == 95);

    let without = Desk::start();
    let plain = said(without.http("GET /api/trust", &[], "").await);
    assert_eq!(plain["tls"], Value::Null);
    assert_eq!(without.http("GET /ca.crt", &[], "").await.status, 404);
    assert!(!without.dir.join("tls.json").exists());
}

/// Attack A15, the cookie's part of it.
#[tokio::test]
async fn a15_a_cookie_of_https_stays_there() {
    let desk = desk();
    let (session, flags) = pair(&desk).await;
    assert!(session.cookie.starts_with("__Host-spk_"), "{}", session.cookie);
    assert_eq!(flags, ["Path=/", "HttpOnly", "SameSite=Strict", "Max-Age=2592000", "Secure"]);
    let reply = https(&desk, "GET /api/session", &[&session.line()], "").await;
    assert_eq!(reply.status, 200);
    assert!(reply.header("set-cookie").unwrap().starts_with(&session.cookie));
    // No browser sends it over HTTP, and who does all the same is nobody.
    assert_eq!(desk.http("GET /api/session", &[&session.line()], "").await.status, 401);

    // Who paired over HTTP is known over HTTPS, and gets a cookie that stays there.
    let plain = desk.pair(Role::Viewer).await;
    let reply = https(&desk, "GET /api/session", &[&plain.line()], "").await;
    let (_, token) = plain.cookie.split_once('=').unwrap();
    let fresh = reply.header("set-cookie").unwrap();
    assert!(fresh.starts_with("__Host-spk_") && fresh.contains(token) && fresh.contains("Secure"));
    let reply = desk.http("GET /api/session", &[&plain.line()], "").await;
    let kept = reply.header("set-cookie").unwrap();
    assert!(kept.starts_with("spk_") && !kept.contains("Secure"), "{kept}");
}

#[tokio::test]
async fn the_guard_stands_before_https_too() {
    let desk = desk();
    let (session, _) = pair(&desk).await;
    let line = session.line();
    let at = desk.tls_address.unwrap();
    let polling = "GET /socket.io/?EIO=4&transport=polling";
    for (origin, status) in [
        (format!("https://{at}"), 200),
        // The same host without TLS: anybody on the network can have changed that page.
        (format!("http://{at}"), 403),
        ("https://evil.example".to_owned(), 403),
        ("null".to_owned(), 403),
    ] {
        let origin = format!("Origin: {origin}");
        let reply = https(&desk, polling, &[&line, &origin], "").await;
        assert_eq!(reply.status, status, "{origin}");
        assert!(reply.header("content-security-policy").is_some());
    }
    assert_eq!(https(&desk, polling, &[], "").await.status, 401);
}

#[tokio::test]
async fn a_panel_lives_over_tls() {
    let desk = desk();
    let (session, _) = pair(&desk).await;
    let anchor = anchor(&desk).await;
    let at = desk.tls_address.unwrap();
    let url = format!("wss://{at}/socket.io/?EIO=4&transport=websocket");
    let mut request = url.into_client_request().unwrap();
    request.headers_mut().insert("cookie", session.cookie.parse().unwrap());
    request.headers_mut().insert("origin", format!("https://{at}").parse().unwrap());
    let tls = connect(&desk, &anchor, "127.0.0.1", &[]).await.unwrap();
    let (mut ws, _) = tokio_tungstenite::client_async(request, tls).await.unwrap();
    let join = format!("40{}", json!({"csrf": session.csrf}));
    ws.send(Message::text(join)).await.unwrap();
    let mut hello = String::new();
    while !hello.contains("grok-voice:hello") {
        let message = timeout(SOON, ws.next()).await.expect("hello").unwrap().unwrap();
        hello = message.into_text().unwrap().to_string();
    }
    desk.live(1, Duration::from_secs(1)).await;
    // What is looked at is looked at here too (A19).
    let endless = format!("42{}[\"grok-voice:stop\",{{}}]", "9".repeat(1000));
    ws.send(Message::text(endless)).await.unwrap();
    desk.live(0, SOON).await;
}

/// What a browser that trusts the speaker is given to say so from then on.
async fn mark(desk: &Desk, session: &Session) -> String {
    let own = format!("Origin: https://{}", desk.tls_address.unwrap());
    let reply = https(desk, "POST /api/trusted", &[&session.line(), &own], "").await;
    assert_eq!(reply.status, 204, "{}", reply.body);
    let mut parts = reply.header("set-cookie").unwrap().split("; ");
    let mark = parts.next().unwrap().to_owned();
    let flags: Vec<_> = parts.collect();
    assert_eq!(flags, ["Path=/", "HttpOnly", "SameSite=Strict", "Max-Age=2592000"]);
    mark
}

#[tokio::test]
async fn a_browser_that_trusts_the_speaker_is_sent_to_the_encrypted_page() {
    let desk = desk();
    let port = desk.tls_address.unwrap().port();
    let (session, _) = pair(&desk).await;
    let mark = mark(&desk, &session).await;
    let cookie = format!("Cookie: {mark}");
    let reply = desk.http("GET /", &[&cookie], "").await;
    assert_eq!((reply.status, reply.header("cache-control")), (307, Some("no-store")));
    assert_eq!(reply.header("location"), Some(&*format!("https://127.0.0.1:{port}/")));
    // By the name that was asked for, and with the word that it is paired.
    let plain = desk.pair(Role::Viewer).await;
    let both = format!("Cookie: {}; {mark}", plain.cookie);
    let host = format!("Host: localhost:{}", desk.address.port());
    let reply = desk.http("GET /?paired", &[&both, &host], "").await;
    assert_eq!(reply.header("location"), Some(&*format!("https://localhost:{port}/?paired")));
    // The mark opens nothing, and nothing else is moved.
    for (path, status) in [("/api/session", 401), ("/api/trust", 200), ("/healthz", 503)] {
        assert_eq!(desk.http(&format!("GET {path}"), &[&cookie], "").await.status, status);
    }
    for path in ["/metrics", "/socket.io/?EIO=4&transport=polling", "/assets/panel.js"] {
        assert_ne!(desk.http(&format!("GET {path}"), &[&both], "").await.status, 307, "{path}");
    }
    assert_eq!(https(&desk, "GET /", &[&cookie], "").await.status, 200);
    let evil = ["Host: evil.example", &cookie];
    assert_eq!(desk.http("GET /", &evil, "").await.status, 421);
    // Who wants the plain page has it, and is not sent on any more.
    let (name, value) = mark.split_once('=').unwrap();
    let gone = format!("{name}=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0");
    for lines in [&[&*cookie][..], &[]] {
        let reply = desk.http("GET /?plain", lines, "").await;
        assert_eq!((reply.status, reply.header("set-cookie")), (200, Some(&*gone)));
    }
    // Another authority's mark is taken away; without one nothing is said.
    assert_eq!(value.len(), 16);
    let other = format!("Cookie: {name}={}", "0".repeat(16));
    let reply = desk.http("GET /", &[&other], "").await;
    assert_eq!((reply.status, reply.header("set-cookie")), (200, Some(&*gone)));
    let reply = desk.http("GET /", &[], "").await;
    assert_eq!((reply.status, reply.header("set-cookie")), (200, None));
    // A speaker without TLS has nowhere to send anybody.
    let without = Desk::start();
    let theirs = without.pair(Role::Viewer).await.cookie;
    let theirs = theirs.split_once('=').unwrap().0;
    let reply = without.http("GET /", &[&format!("Cookie: {theirs}_tls={value}")], "").await;
    assert_eq!(reply.status, 200);
    assert!(reply.header("set-cookie").unwrap().ends_with("Max-Age=0"));
}

#[tokio::test]
async fn only_a_paired_browser_on_the_encrypted_page_is_marked() {
    let desk = desk();
    let own = format!("Origin: https://{}", desk.tls_address.unwrap());
    assert_eq!(https(&desk, "POST /api/trusted", &[&own], "").await.status, 401);
    let (session, _) = pair(&desk).await;
    let line = session.line();
    let origin = format!("Origin: http://{}", desk.tls_address.unwrap());
    assert_eq!(https(&desk, "POST /api/trusted", &[&line, &origin], "").await.status, 403);
    assert_eq!(https(&desk, "GET /api/trusted", &[&line, &own], "").await.status, 405);
    let plain = desk.pair(Role::Admin).await.line();
    let own = format!("Origin: http://{}", desk.address);
    for head in ["POST /api/trusted", "GET /trusted.js"] {
        let reply = desk.http(head, &[&plain, &own], "").await;
        assert_eq!((reply.status, reply.header("set-cookie")), (404, None), "{head}");
    }
    // What the page tries it with: may be kept, is never the same, and runs nothing.
    assert_eq!(https(&desk, "GET /trusted.js", &[], "").await.status, 401);
    let probe = https(&desk, "GET /trusted.js", &[&line], "").await;
    assert_eq!(probe.header("cache-control"), Some("private, max-age=60"));
    assert_eq!(probe.header("content-type"), Some("text/javascript; charset=utf-8"));
    assert!(probe.body.starts_with("// ") && probe.body.lines().count() == 1);
    assert_ne!(https(&desk, "GET /trusted.js", &[&line], "").await.body, probe.body);
}

/// Attack A16, the part of it below HTTP.
#[tokio::test]
async fn a16_a_slow_handshake_is_dropped() {
    let desk = Desk::with(|options| {
        options.listen_tls = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
        options.max_per_address = 12;
    });
    let (session, _) = pair(&desk).await;
    let anchor = anchor(&desk).await;
    let start = clock();
    let mut slow = Vec::new();
    for n in 0..40 {
        let mut tcp = TcpStream::connect(desk.tls_address.unwrap()).await.unwrap();
        if n % 2 == 0 {
            // The head of a ClientHello of 512 bytes that never comes.
            let _ = tcp.write_all(&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc]).await;
        }
        slow.push(tcp);
    }
    // They cannot lock out: the oldest of them make room.
    let reply = https_by(&anchor, &desk, "GET /api/session", &[&session.line()], "").await;
    assert_eq!(reply.status, 200);
    for tcp in &mut slow {
        let mut rest = Vec::new();
        let read = timeout(Duration::from_secs(15), tcp.read_to_end(&mut rest)).await;
        assert!(read.is_ok(), "still open after 15 s");
    }
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
    // After a handshake the request head has its own limit; plain HTTP on this port is no request.
    let mut idle = connect(&desk, &anchor, "127.0.0.1", &[]).await.unwrap();
    let mut rest = Vec::new();
    assert!(timeout(Duration::from_secs(15), idle.read_to_end(&mut rest)).await.is_ok());
    let mut plain = TcpStream::connect(desk.tls_address.unwrap()).await.unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let read = timeout(SOON, plain.read_to_end(&mut rest)).await;
    assert!(read.is_ok() && !rest.windows(4).any(|w| w == b"HTTP"));
}
