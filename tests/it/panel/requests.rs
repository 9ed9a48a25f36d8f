//! Attacks on HTTP itself: how a request is framed, what it claims of itself, which path it names.

use super::desk::{Desk, SOON};
use grok_speaker::panel::rule;
use grok_speaker::panel::trust::Role;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

const ENGINE: &str = "/socket.io/?EIO=4&transport=polling";

/// Status and body of all answers to these bytes until the connection ends.
async fn answers(desk: &Desk, bytes: &str) -> Vec<(u16, String)> {
    let mut tcp = TcpStream::connect(desk.address).await.unwrap();
    tcp.write_all(bytes.as_bytes()).await.unwrap();
    // Where the last request asks for the end, an end from here could come before its answer.
    if !bytes.contains("Connection: close") {
        tcp.shutdown().await.unwrap();
    }
    let mut read = Vec::new();
    // The end may come as a reset.
    let _ = timeout(SOON, tcp.read_to_end(&mut read)).await.expect("neither answer nor end");
    let text = String::from_utf8(read).unwrap();
    let mut replies = Vec::new();
    let mut rest = text.as_str();
    while let Some((head, after)) = rest.split_once("\r\n\r\n") {
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let (body, next) = after.split_at(length.map_or(0, |n| n.parse().unwrap()));
        replies.push((status, body.to_owned()));
        rest = next;
    }
    replies
}

/// A30: what two readers could understand differently is refused, and with it what follows.
#[tokio::test]
async fn a30_smuggled_requests_are_refused() {
    let desk = Desk::start();
    let session = desk.pair(Role::Admin).await;
    let host = format!("Host: {}\r\n{}\r\n", desk.address, session.line());
    let inner = format!("GET /api/session HTTP/1.1\r\n{host}\r\n");
    let long = inner.len();
    let chunked = "Transfer-Encoding: chunked\r\n";
    for (name, request) in [
        (
            "CL and TE",
            format!(
                "POST /api/pair HTTP/1.1\r\n{host}Content-Length: 4\r\n{chunked}\r\n0\r\n\r\n{inner}"
            ),
        ),
        (
            "TE and CL",
            format!(
                "POST /api/pair HTTP/1.1\r\n{host}{chunked}Content-Length: {long}\r\n\r\n0\r\n\r\n{inner}"
            ),
        ),
        (
            "TE alone",
            format!("POST /api/pair HTTP/1.1\r\n{host}{chunked}\r\n2\r\n{{}}\r\n0\r\n\r\n{inner}"),
        ),
        (
            "TE on the socket",
            format!("POST {ENGINE} HTTP/1.1\r\n{host}{chunked}\r\n0\r\n\r\n{inner}"),
        ),
        (
            "TE not last",
            format!(
                "POST /api/pair HTTP/1.1\r\n{host}Transfer-Encoding: chunked, gzip\r\n\r\n{inner}"
            ),
        ),
        (
            "odd TE",
            format!("POST /api/pair HTTP/1.1\r\n{host}Transfer-Encoding: xchunked\r\n\r\n{inner}"),
        ),
        (
            "two lengths",
            format!(
                "POST /api/pair HTTP/1.1\r\n{host}Content-Length: 0\r\nContent-Length: {long}\r\n\r\n{inner}"
            ),
        ),
        (
            "list of lengths",
            format!("POST /api/pair HTTP/1.1\r\n{host}Content-Length: 0, {long}\r\n\r\n{inner}"),
        ),
        (
            "signed length",
            format!("POST /api/pair HTTP/1.1\r\n{host}Content-Length: +2\r\n\r\n{{}}{inner}"),
        ),
        ("folded line", format!("GET /api/session HTTP/1.1\r\n{host}X: a\r\n b\r\n\r\n{inner}")),
        (
            "space before colon",
            format!("GET /api/session HTTP/1.1\r\nHost : x\r\n{host}\r\n{inner}"),
        ),
        ("HTTP/0.9", "GET /api/session\r\n\r\n".to_owned()),
        ("HTTP/2", format!("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n{inner}")),
        ("bare CR", format!("GET /api/session HTTP/1.1\r\n{host}X: a\rY: b\r\n\r\n{inner}")),
    ] {
        let replies = answers(&desk, &request).await;
        let refused = |(status, body): &(u16, String)| *status >= 400 && !body.contains("csrf");
        assert!(replies.len() <= 1 && replies.iter().all(refused), "{name}: {replies:?}");
    }
}

/// A30: each of several requests in one piece is checked, and nothing is upgraded to HTTP/2.
#[tokio::test]
async fn a30_pipelined_and_upgraded_requests_are_each_checked() {
    let desk = Desk::start();
    let session = desk.pair(Role::Admin).await;
    let (host, cookie) = (format!("Host: {}\r\n", desk.address), session.line());
    let request = |path: &str, line: &str| format!("GET {path} HTTP/1.1\r\n{host}{line}\r\n");
    let with = format!("{cookie}\r\n");
    let mixed = [
        request("/api/session", &with),
        request("/api/session", ""),
        request(ENGINE, ""),
        request("/api/session", "Origin: null\r\n"),
        request("/api/session", &format!("Connection: close\r\n{with}")),
    ];
    let statuses: Vec<_> = answers(&desk, &mixed.concat()).await.into_iter().map(|r| r.0).collect();
    assert_eq!(statuses, [200, 401, 401, 403, 200]);

    let h2c = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n";
    for (path, line, status) in [("/api/session", "", 401), ("/", "", 200), (ENGINE, "", 401)] {
        let replies = answers(&desk, &request(path, &format!("{h2c}{line}"))).await;
        assert_eq!((replies.len(), replies[0].0), (1, status), "{path}");
    }
    // After a real upgrade HTTP is over: what looks like a request is no frame, and ends it.
    let mut tcp = TcpStream::connect(desk.address).await.unwrap();
    let socket = "/socket.io/?EIO=4&transport=websocket";
    let upgrade = format!(
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{with}"
    );
    tcp.write_all(request(socket, &upgrade).as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    while !bytes.windows(4).any(|w| w == b"\r\n\r\n") {
        assert_ne!(tcp.read_buf(&mut bytes).await.unwrap(), 0);
    }
    tcp.write_all(request("/api/session", &with).as_bytes()).await.unwrap();
    // The end may come as a reset.
    let _ = timeout(SOON, tcp.read_to_end(&mut bytes)).await.expect("still open");
    let text = String::from_utf8_lossy(&bytes);
    assert!(text.starts_with("HTTP/1.1 101") && !text.contains("csrf"), "{text}");
}

/// A31: another verb opens nothing, and no answer invites other origins.
#[tokio::test]
async fn a31_verbs_do_not_change_what_is_needed() {
    let desk = Desk::start();
    let session = desk.pair(Role::Admin).await;
    let cookie = session.line();
    let override_ = "X-HTTP-Method-Override: GET";
    for path in ["/api/session", "/api/pair", "/api/settings", "/metrics", "/healthz", ENGINE] {
        for verb in ["HEAD", "OPTIONS", "PUT", "DELETE", "PATCH", "TRACE", "CONNECT", "get", "FOO"]
        {
            let bare = desk.http(&format!("{verb} {path}"), &[override_], "").await;
            assert!(!bare.body.contains("csrf") && !bare.body.contains("sid"), "{verb} {path}");
            assert_eq!(bare.header("set-cookie"), None, "{verb} {path}");
            let paired = desk.http(&format!("{verb} {path}"), &[&cookie], "").await;
            for reply in [bare, paired] {
                let cors = reply.headers.iter().any(|(name, _)| name.starts_with("access-control"));
                assert!(!cors && reply.status != 101, "{verb} {path}");
                // The metrics of this desk panic; HEAD runs what GET runs.
                let harmless = verb == "HEAD" || (400..500).contains(&reply.status);
                assert!(harmless, "{verb} {path}: {}", reply.status);
            }
        }
    }
    let head = desk.http("HEAD /api/session", &[], "").await;
    assert_eq!(head.status, 401);
}

/// A35: what a request says of where it comes from is not believed.
#[tokio::test]
async fn a35_proxy_headers_are_ignored() {
    let desk = Desk::start();
    let ours = desk.address.to_string();
    let session = desk.pair(Role::Admin).await;
    let cookie = session.line();
    for (name, value) in [
        ("X-Forwarded-For", "8.8.8.8"),
        ("X-Forwarded-For", "2001:db8::1"),
        ("Forwarded", "for=8.8.8.8;host=evil.example;proto=https"),
        ("X-Real-IP", "8.8.8.8"),
        ("X-Forwarded-Host", "evil.example"),
        ("X-Forwarded-Proto", "https"),
        ("X-Original-URL", "/api/session"),
        ("X-Rewrite-URL", "/api/session"),
    ] {
        let line = format!("{name}: {value}");
        let paired = desk.http("GET /api/session", &[&cookie, &line], "").await;
        assert_eq!(paired.status, 200, "{line}");
        let cookie = paired.header("set-cookie").unwrap();
        assert!(!cookie.contains("Secure"), "{line}: {cookie}");
        let stranger = desk.http(&format!("GET {ENGINE}"), &[&line], "").await;
        assert_eq!(stranger.status, 401, "{line}");
    }
    for line in [
        format!("X-Forwarded-Host: {ours}"),
        format!("Forwarded: host={ours}"),
        format!("X-Host: {ours}"),
    ] {
        let reply = desk.http("GET /", &["Host: evil.example", &line], "").await;
        assert_eq!(reply.status, 421, "{line}");
    }
    // Who is not of this network is not even heard.
    for far in ["8.8.8.8", "2001:db8::1", "::ffff:8.8.8.8"] {
        assert!(!rule::is_local(far.parse().unwrap()), "{far}");
    }
}

/// A36: from elsewhere on the network one learns that it lives, and no more.
#[tokio::test]
async fn a36_strangers_learn_whether_it_lives_and_no_more() {
    let desk = Desk::start();
    desk.pair(Role::Admin).await;
    let lives = desk.http("GET /healthz", &[], "").await;
    assert_eq!((lives.status, lives.body.as_str()), (503, "deaf"));
    assert_eq!(lives.header("server"), None);
    let session = desk.http("GET /api/session", &[], "").await;
    let words: Value = serde_json::from_str(&session.body).unwrap();
    assert_eq!(words, serde_json::json!({"error": "not paired"}));
    let (here, there) = ("127.0.0.1".parse().unwrap(), "192.168.1.7".parse().unwrap());
    for (path, near, far) in [
        ("/", true, true),
        ("/healthz", true, true),
        ("/metrics", true, false),
        ("/metrics/", false, false),
        ("/api/settings", false, false),
        ("/licences.txt", false, false),
        ("/socket.io/", false, false),
    ] {
        assert_eq!((rule::is_open(path, here), rule::is_open(path, there)), (near, far), "{path}");
    }
    assert!(!rule::is_open("/metrics", "::ffff:192.168.1.7".parse().unwrap()));
}

/// A25: no path of a request reaches a file.
#[tokio::test]
async fn a25_paths_lead_nowhere_else() {
    let desk = Desk::start();
    let session = desk.pair(Role::Admin).await;
    for path in [
        "/assets/../Cargo.toml",
        "/assets/..%2fCargo.toml",
        "/assets/%2e%2e/%2e%2e/etc/passwd",
        "/assets/....//....//etc/passwd",
        "/assets/..\\..\\etc\\passwd",
        "/assets/%2fetc%2fpasswd",
        "/assets//etc/passwd",
        "/assets/panel.js%00.css",
        "/assets/panel.js/../../sessions.json",
        "/assets/",
        "/../../etc/passwd",
        "/sessions.json",
    ] {
        let reply = desk.http(&format!("GET {path}"), &[&session.line()], "").await;
        assert!(matches!(reply.status, 400 | 404), "{path}: {}", reply.status);
        assert!(!reply.body.contains("root:") && !reply.body.contains("[package]"), "{path}");
    }
}
