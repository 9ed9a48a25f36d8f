//! Who gets in: host, origin, session, pairing.

use super::desk::Desk;
use super::poll::Poll;
use grok_speaker::panel::trust::{Role, SESSIONS};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

const POLLING: &str = "/socket.io/?EIO=4&transport=polling";
const WEBSOCKET: &str = "/socket.io/?EIO=4&transport=websocket";
pub(super) const UPGRADE: [&str; 4] = [
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
];

/// The same lines on a page, a polling handshake, a POST and a WebSocket handshake.
pub(super) async fn statuses(desk: &Desk, lines: &[&str]) -> [u16; 4] {
    let upgrade: Vec<_> = UPGRADE.iter().chain(lines).copied().collect();
    [
        desk.http("GET /api/session", lines, "").await.status,
        desk.http(&format!("GET {POLLING}"), lines, "").await.status,
        desk.http("POST /api/pair", lines, "{}").await.status,
        desk.http(&format!("GET {WEBSOCKET}"), &upgrade, "").await.status,
    ]
}

/// A01, A02, A04. A socket without `Origin` is let in with a cookie, because programs that are no
/// browser do not say where they come from; inside, the word of the page is asked.
#[tokio::test]
async fn the_guard_stands_before_every_transport() {
    let desk = Desk::start();
    let session = desk.pair(Role::Admin).await;
    let cookie = session.line();
    let own = format!("Origin: http://{}", desk.address);
    let port = desk.address.port();
    assert_eq!(statuses(&desk, &[&cookie, &own]).await, [200, 200, 403, 101]);
    assert_eq!(statuses(&desk, &[&cookie]).await, [200, 200, 403, 101]);
    assert_eq!(statuses(&desk, &[&own]).await, [401, 401, 403, 401]);
    let wrong = format!("{}0", &cookie[..cookie.len() - 1]);
    let wrong = if wrong == cookie { format!("{}1", &cookie[..cookie.len() - 1]) } else { wrong };
    assert_eq!(statuses(&desk, &[&wrong]).await, [401, 401, 403, 401]);
    for host in [
        "evil.example".to_owned(),
        format!("evil.example:{port}"),
        format!("LOCALHOST:{port}"),
        format!("localhost.:{port}"),
        format!("user@127.0.0.1:{port}"),
        format!("127.0.0.2:{port}"),
        format!("[fe80::1%25lo]:{port}"),
        format!("127.0.0.1:{port}, evil.example"),
        String::new(),
    ] {
        let (host, origin) = (format!("Host: {host}"), format!("Origin: http://{host}"));
        assert_eq!(statuses(&desk, &[&cookie, &host, &origin]).await, [421; 4], "{host}");
        assert_eq!(statuses(&desk, &[&cookie, &host]).await, [421; 4], "{host}");
    }
    let twice = [&*cookie, &format!("Host: {}", desk.address), "Host: evil.example"];
    assert_eq!(statuses(&desk, &twice).await, [421; 4]);
    assert_eq!(statuses(&desk, &[&cookie, "Host:"]).await, [421; 4]);
    for origin in ["null", "http://evil.example", "http://127.0.0.1", "http://localhost", ""] {
        let origin = format!("Origin: {origin}");
        assert_eq!(statuses(&desk, &[&cookie, &origin]).await, [403; 4], "{origin}");
        assert_eq!(statuses(&desk, &[&cookie, &own, &origin]).await, [403; 4], "{origin}");
    }
    for site in ["cross-site", "same-site"] {
        let site = format!("Sec-Fetch-Site: {site}");
        assert_eq!(statuses(&desk, &[&cookie, &site]).await, [403; 4], "{site}");
    }
    let localhost = [format!("Host: localhost:{port}"), format!("Origin: http://localhost:{port}")];
    let localhost = [&*cookie, &localhost[0], &localhost[1]];
    assert_eq!(statuses(&desk, &localhost).await, [200, 200, 403, 101]);
    let absolute = format!("GET http://{}/api/session", desk.address);
    assert_eq!(desk.http(&absolute, &[&cookie], "").await.status, 421);
    assert_eq!(desk.trust.clients(), 0);
}

/// The name that the network gave this machine, because a twin was first, is one of its own.
#[tokio::test]
async fn a_name_that_was_counted_up_is_ours_as_long_as_it_is() {
    let desk = Desk::start();
    let host = format!("Host: kitchen-2.local:{}", desk.address.port());
    let status = async || desk.http("GET /", &[&host], "").await.status;
    assert_eq!(status().await, 421);
    desk.trust.go_by(Some("kitchen-2.local"));
    assert_eq!(status().await, 200);
    desk.trust.go_by(None);
    assert_eq!(status().await, 421);
}

/// A06, A31.
#[tokio::test]
async fn spellings_of_the_socket_path_do_not_slip_through() {
    let desk = Desk::start();
    let query = "?EIO=4&transport=polling";
    for path in [
        "/socket.io",
        "/socket.io/",
        "//socket.io/",
        "/socket.io%2f",
        "/socket%2eio/",
        "/socket.iox/",
        "/SOCKET.IO/",
        "/./socket.io/",
        "/assets/../socket.io/",
        "/api/settings",
    ] {
        for method in ["GET", "POST", "HEAD", "OPTIONS", "PUT", "DELETE"] {
            let reply = desk.http(&format!("{method} {path}{query}"), &[], "").await;
            assert!([401, 404, 405].contains(&reply.status), "{method} {path}: {}", reply.status);
            assert!(!reply.body.contains("sid"), "{path}");
        }
    }
}

/// A03, A05.
#[tokio::test]
async fn an_open_session_id_is_of_no_use_to_another_client() {
    let desk = Desk::start();
    let (mine, other) = (desk.pair(Role::Admin).await, desk.pair(Role::Admin).await);
    let poll = Poll::dial(&desk, &mine).await;
    let path = poll.path();
    let upgrade = format!("GET {WEBSOCKET}&sid={}", poll.sid);
    for (line, status) in [(other.line(), 400), ("Cookie: none=1".into(), 401)] {
        let lines: Vec<_> = UPGRADE.iter().copied().chain([line.as_str()]).collect();
        assert_eq!(desk.http(&format!("GET {path}"), &[&line], "").await.status, status);
        assert_eq!(desk.http(&format!("POST {path}"), &[&line], "40").await.status, status);
        assert_eq!(desk.http(&upgrade, &lines, "").await.status, status);
    }
    for guess in ["AAAAAAAAAAAAAAAA", "", "x", "../.."] {
        let guessed = format!("GET {POLLING}&sid={guess}");
        assert_eq!(desk.http(&guessed, &[&mine.line()], "").await.status, 400, "{guess}");
    }
    // A cross-origin POST with the cookie and the id of the owner.
    let evil = [&*mine.line(), "Origin: http://evil.example", "Content-Type: text/plain"];
    assert_eq!(desk.http(&format!("POST {path}"), &evil, "40").await.status, 403);
    poll.say(&format!("40{}", json!({"csrf": mine.csrf}))).await;
    desk.live(1, Duration::from_secs(1)).await;
}

/// A29.
#[tokio::test]
async fn every_answer_carries_the_headers() {
    let desk = Desk::start();
    let session = desk.pair(Role::Admin).await;
    let line = session.line();
    let cookie = line.as_str();
    let upgrade: Vec<_> = UPGRADE.iter().copied().chain([cookie]).collect();
    for (head, lines, body, status) in [
        ("GET /", &[][..], "", 200),
        ("HEAD /", &[], "", 200),
        ("GET /assets/panel.js", &[], "", 200),
        ("GET /assets/../Cargo.toml", &[], "", 404),
        ("GET /api/session", &[], "", 401),
        ("GET /nothing", &[], "", 401),
        ("GET /nothing", &[cookie], "", 404),
        ("DELETE /api/pair", &[cookie], "", 405),
        ("POST /api/pair", &[], "{}", 403),
        ("GET /healthz", &[], "", 503),
        ("GET /", &["Host: evil"], "", 421),
        ("GET /", &["Origin: null"], "", 403),
        (&format!("GET {POLLING}"), &[cookie], "", 200),
        (&format!("GET {POLLING}&sid=none"), &[cookie], "", 400),
        (&format!("GET {WEBSOCKET}"), &upgrade, "", 101),
    ] {
        let reply = desk.http(head, lines, body).await;
        assert_eq!(reply.status, status, "{head}");
        let policy = reply.header("content-security-policy").expect(head);
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"));
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(reply.header(name), Some(value), "{head}");
        }
        assert_eq!(reply.header("cross-origin-opener-policy"), Some("same-origin"), "{head}");
        assert!(reply.header("permissions-policy").is_some(), "{head}");
        assert_eq!(reply.header("access-control-allow-origin"), None, "{head}");
        if head.contains("/api/") && status != 405 {
            assert_eq!(reply.header("cache-control"), Some("no-store"), "{head}");
        }
    }
}

/// A10, A11, A15, A37.
#[tokio::test]
async fn a_code_pairs_once_and_five_wrong_ones_close_the_window() {
    let desk = Desk::start();
    let pair = |body: Value| {
        let body = body.to_string();
        async { desk.http("POST /api/pair", &[], &{ body }).await }
    };
    assert_eq!(pair(json!({"code": "000000", "name": "x"})).await.status, 403);
    let code = desk.trust.open_window(Role::Controller, desk.now()).to_string();
    let reply = pair(json!({"code": code, "name": "phone"})).await;
    assert_eq!(reply.status, 200);
    let cookie = reply.header("set-cookie").unwrap();
    let (name, rest) = cookie.split_once('=').unwrap();
    assert!(name.len() == 12 && name.starts_with("spk_"), "{name}");
    let flags: Vec<_> = rest.split("; ").skip(1).collect();
    assert_eq!(flags, ["Path=/", "HttpOnly", "SameSite=Strict", "Max-Age=2592000"]);
    let answer: Value = serde_json::from_str(&reply.body).unwrap();
    assert_eq!(answer["role"], "controller");
    let again = pair(json!({"code": code, "name": "thief"})).await;
    assert_eq!((again.status, again.header("set-cookie")), (403, None));

    let code = desk.trust.open_window(Role::Admin, desk.now()).to_string();
    let wrong = if code == "111111" { "222222" } else { "111111" };
    for left in (0..5).rev() {
        let reply = pair(json!({"code": wrong, "name": "x"})).await;
        assert_eq!(reply.status, 403);
        assert_eq!(reply.body.contains("tries left"), left > 0, "{}", reply.body);
        let answer: Value = serde_json::from_str(&reply.body).unwrap();
        let word = if left > 0 { "wrong" } else { "lost" };
        assert_eq!((&answer["code"], &answer["left"]), (&json!(word), &json!(left)));
    }
    assert_eq!(pair(json!({"code": code, "name": "x"})).await.status, 403);
    // Whoever is at the device opens the next window at once.
    desk.pair(Role::Admin).await;
    assert_eq!(desk.trust.paired(), 2);

    let long = pair(json!({"code": "1", "name": "x".repeat(2000)})).await;
    assert_eq!(long.status, 413);
    for bad in ["", "[]", "{\"code\":5}", "\u{1}"] {
        assert_eq!(desk.http("POST /api/pair", &[], bad).await.status, 403, "{bad:?}");
    }
}

/// A12.
#[tokio::test]
async fn a_session_outlives_a_restart_and_its_file_holds_only_hashes() {
    let mut desk = Desk::start();
    let session = desk.pair(Role::Controller).await;
    let reply = desk.http("GET /api/session", &[&session.line()], "").await;
    assert!(reply.header("set-cookie").unwrap().starts_with(&session.cookie));
    desk.end().unwrap();
    let file = desk.dir.join("sessions.json");
    let text = std::fs::read_to_string(&file).unwrap();
    let (_, token) = session.cookie.split_once('=').unwrap();
    assert!(!text.contains(token) && !text.contains(&session.csrf));
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let later = Desk::at(desk.dir.clone(), |_| {});
    let reply = later.http("GET /api/session", &[&session.line()], "").await;
    let answer: Value = serde_json::from_str(&reply.body).unwrap();
    assert_eq!(answer, json!({"role": "controller", "csrf": session.csrf}));
    later.connect(&session, Value::Null).await;
}

/// A07, A08.
#[tokio::test]
async fn the_word_of_the_page_is_needed_inside_socket_io() {
    let desk = Desk::start();
    let (session, other) = (desk.pair(Role::Admin).await, desk.pair(Role::Admin).await);
    for auth in [
        "",
        "{}",
        r#"{"csrf":""}"#,
        r#"{"csrf":5}"#,
        "[1]",
        &json!({"csrf": other.csrf}).to_string(),
    ] {
        let mut panel = desk.dial(&session).await;
        panel.say(&format!("40{auth}")).await;
        let answer = panel.text().await.unwrap();
        assert!(answer.starts_with("44") && answer.contains("auth.csrf"), "{auth}: {answer}");
        // What was refused may not act either.
        panel.say(r#"421["grok-voice:stop",{}]"#).await;
        assert!(panel.closes().await);
        let mut poll = Poll::dial(&desk, &session).await;
        poll.say(&format!("40{auth}")).await;
        while !poll.packet().await.starts_with("44") {}
    }
    assert_eq!(desk.trust.clients(), 0);
    let mut panel = desk.dial(&session).await;
    panel.say(r#"40/admin,{"csrf":"x"}"#).await;
    assert!(panel.text().await.unwrap().starts_with("44/admin,"));
}

/// A07.
#[tokio::test]
async fn a_second_handshake_on_one_socket_changes_nothing() {
    let desk = Desk::start();
    let session = desk.pair(Role::Admin).await;
    let mut panel = desk.connect(&session, Value::Null).await;
    panel.wait("grok-voice:hello").await;
    for _ in 0..10 {
        panel.say(&format!("40{}", json!({"csrf": session.csrf}))).await;
    }
    let answer = panel.ask("grok-voice:listen", json!({"on": true})).await;
    assert_eq!((&answer["ok"], desk.trust.clients()), (&json!(true), 1));
}

#[tokio::test]
async fn a_browser_keeps_the_page_until_it_changes() {
    let desk = Desk::start();
    for path in ["GET /", "GET /assets/panel.js", "GET /assets/panel.css"] {
        let reply = desk.http(path, &[], "").await;
        let tag = format!("If-None-Match: {}", reply.header("etag").unwrap());
        assert!(reply.status == 200 && reply.body.len() > 500);
        let again = desk.http(path, &[&tag], "").await;
        assert_eq!((again.status, again.body.len()), (304, 0), "{path}");
    }
}

#[tokio::test]
async fn a_page_that_no_browser_trusts_asks_for_no_opener_policy() {
    let desk = Desk::with(|o| o.hosts = vec!["panel.lan".into()]);
    let host = format!("Host: panel.lan:{}", desk.address.port());
    for (head, opener) in [("GET /", None), ("GET /assets/panel.js", Some("same-origin"))] {
        let reply = desk.http(head, &[&host], "").await;
        assert_eq!(reply.status, 200, "{head}");
        assert_eq!(reply.header("cross-origin-opener-policy"), opener, "{head}");
    }
}

#[tokio::test]
async fn the_page_comes_packed_to_who_can_unpack_it() {
    let desk = Desk::start();
    for (asked, packed) in [
        ("gzip, deflate, br", true),
        ("br;q=1.0, GZIP;q=0.5", true),
        ("gzip;q=0", false),
        ("gzip;q=much", false),
        ("identity", false),
    ] {
        let asked = format!("Accept-Encoding: {asked}");
        let reply = desk.http("HEAD /assets/panel.js", &[&asked], "").await;
        assert_eq!(reply.header("content-encoding"), packed.then_some("gzip"), "{asked}");
        assert_eq!(reply.header("vary"), Some("accept-encoding"));
        // The other form is not taken for the one the browser has.
        let tag = format!("If-None-Match: {}", reply.header("etag").unwrap());
        let other = if packed { "Accept-Encoding: br" } else { "Accept-Encoding: gzip" };
        assert_eq!(desk.http("HEAD /assets/panel.js", &[&tag, other], "").await.status, 200);
        assert_eq!(desk.http("HEAD /assets/panel.js", &[&tag, &asked], "").await.status, 304);
    }
}

#[tokio::test]
async fn health_is_for_all_neighbours() {
    let desk = Desk::start();
    let reply = desk.http("GET /healthz", &[], "").await;
    assert_eq!((reply.status, reply.body.as_str()), (503, "deaf"));
}

/// A14, A15.
#[tokio::test]
async fn a_client_that_is_no_longer_paired_is_cut_off() {
    let desk = Desk::start();
    let mut panel = desk.panel(Role::Viewer).await;
    panel.wait("grok-voice:hello").await;
    for _ in 0..SESSIONS {
        desk.pair(Role::Viewer).await;
    }
    assert_eq!(desk.trust.paired(), SESSIONS);
    assert!(panel.closes().await);
}
