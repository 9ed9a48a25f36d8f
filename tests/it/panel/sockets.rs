//! Attacks on the two handshakes and on what follows them: sessions, namespaces, roles, and what
//! people say in other people's pages and logs.

use super::desk::{Desk, Panel, SOON};
use super::poll::Poll;
use crate::socket::capture;
use grok_speaker::panel::ask::ASKS;
use grok_speaker::panel::event::{Event, Speaker, Transcript};
use grok_speaker::panel::trust::Role;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::Duration;

const WEBSOCKET: &str = "GET /socket.io/?EIO=4&transport=websocket";
const UPGRADE: [&str; 4] = [
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
];

/// Upgrades a polling session that has joined.
async fn upgrade(desk: &Desk, poll: &Poll<'_>, cookie: &str) -> Panel {
    let mut panel = desk.dial_at(&format!("&sid={}", poll.sid), cookie).await;
    panel.say("2probe").await;
    assert_eq!(panel.text().await.unwrap(), "3probe");
    panel.say("5").await;
    panel
}

/// A05: an id that has moved to a WebSocket is of no use on polling or on a second one, to its own
/// client either.
#[tokio::test]
async fn a05_an_upgraded_session_cannot_be_taken_over() {
    let desk = Desk::start();
    let (session, other) = (desk.pair(Role::Admin).await, desk.pair(Role::Admin).await);
    let poll = Poll::connect(&desk, &session, Value::Null).await;
    let mut panel = upgrade(&desk, &poll, &session.cookie).await;
    assert_eq!(panel.ask("grok-voice:listen", json!({"on": true})).await["ok"], true);
    let second = format!("{WEBSOCKET}&sid={}", poll.sid);
    for (line, status) in [(session.line(), 400), (other.line(), 400), (String::new(), 401)] {
        let lines: Vec<_> = [line.as_str()].into_iter().filter(|line| !line.is_empty()).collect();
        let polled = desk.http(&format!("GET {}", poll.path()), &lines, "").await;
        assert_eq!(polled.status, status, "{line}");
        let posted = desk.http(&format!("POST {}", poll.path()), &lines, "41").await;
        assert_eq!(posted.status, status, "{line}");
    }
    assert_eq!(desk.http(&second, &UPGRADE, "").await.status, 401);
    // The first panel noticed nothing.
    assert_eq!(panel.ask("grok-voice:listen", json!({"on": false})).await["ok"], true);
    assert_eq!(desk.trust.clients(), 1);
}

/// A07: other namespaces, one handshake after another, and one that is too large.
#[tokio::test]
async fn a07_handshakes_that_make_no_sense_leave_nothing() {
    let desk = Desk::start();
    let session = desk.pair(Role::Admin).await;
    let mut panel = desk.connect(&session, Value::Null).await;
    panel.wait("grok-voice:hello").await;
    let word = json!({"csrf": session.csrf});
    for space in ["/admin", "/#", "/%", "/../", "/custom/0", &format!("/{}", "x".repeat(2000))] {
        panel.say(&format!("40{space},{word}")).await;
        let answer = panel.text().await.unwrap();
        assert!(answer.starts_with(&format!("44{space},")), "{answer}");
    }
    panel.say(&format!("40{word}")).await;
    assert_eq!(panel.ask("grok-voice:listen", json!({"on": true})).await["ok"], true);
    assert_eq!(desk.trust.clients(), 1);
    let large = format!("40{}", json!({"csrf": session.csrf, "x": "x".repeat(1 << 20)}));
    let mut joined = desk.dial(&session).await;
    joined.say(&large).await;
    assert!(joined.closes().await);
    panel.say(&large).await;
    assert!(panel.closes().await);
    desk.live(0, SOON).await;
    // The places of those that came to nothing are free again after a while.
    for round in 0..3 {
        for _ in 0..8 {
            let mut stranger = desk.dial(&session).await;
            stranger.say("40/nowhere").await;
            assert!(stranger.text().await.unwrap().starts_with("44"), "{round}");
        }
        desk.skip(Duration::from_secs(11));
        tokio::time::sleep(Duration::from_millis(1100)).await;
    }
    desk.connect(&session, Value::Null).await;
}

/// A08: nobody acts before his role is known, and whoever asks for more is written down once.
#[tokio::test]
async fn a08_a_viewer_gets_nothing_and_is_noted_once() {
    capture::install();
    let mut desk = Desk::start();
    let session = desk.pair(Role::Viewer).await;
    let mut early = desk.dial(&session).await;
    for (event, _) in ASKS {
        early.say(&format!("421{}", json!([event, {"on": true, "text": "x", "percent": 1}]))).await;
    }
    let mut viewer = desk.connect(&session, Value::Null).await;
    let before = noted();
    for _ in 0..2 {
        // All of it twice would be more than may come at once.
        desk.skip(Duration::from_secs(5));
        for (event, _) in ASKS.iter().filter(|(_, needed)| *needed > Role::Viewer) {
            let answer = viewer.ask(event, json!({"on": true, "text": "x", "percent": 1})).await;
            assert_eq!((&answer["ok"], &answer["code"]), (&json!(false), &json!("forbidden")));
        }
    }
    assert!(desk.requests.try_recv().is_err());
    assert!(noted() > before);
    assert!(noted() - before <= 1 + OTHERS, "{} lines", noted() - before);
}

/// Viewers of tests that run at the same time.
const OTHERS: usize = 4;

fn noted() -> usize {
    capture::text().matches("asked for more than its role may").count()
}

/// A23, A24: markup, controls and arrows that turn writing round are words like others. They arrive
/// as they are, in JSON, and no page is made of them on the speaker.
#[tokio::test]
async fn a23_a24_hostile_words_stay_words() {
    capture::install();
    let desk = Desk::start();
    let hostile = "<script>alert(1)</script> javascript:x \u{202e}\u{1b}[31m\r\nSet-Cookie: a=b";
    let code = desk.trust.open_window(Role::Admin, desk.now()).to_string();
    let body = json!({"code": code, "name": hostile}).to_string();
    let paired = desk.http("POST /api/pair", &[], &body).await;
    assert_eq!(paired.status, 200);
    assert_eq!(paired.headers.iter().filter(|(name, _)| name == "set-cookie").count(), 1);
    let mut panel = desk.panel(Role::Controller).await;
    desk.tell(Event::Transcript(Transcript {
        item: hostile.into(),
        role: Speaker::User,
        text: hostile.into(),
        r#final: true,
        interrupted: false,
    }))
    .await;
    let heard = panel.wait("grok-voice:transcript").await;
    assert_eq!((&heard.body["text"], &heard.body["item"]), (&json!(hostile), &json!(hostile)));
    let answer = panel.ask("<script>\u{202e}\u{9b}31m", json!({})).await;
    let words = answer["message"].as_str().unwrap();
    assert!(words.contains("<script>") && !words.contains('\u{9b}'), "{words}");
    panel.say(&format!("42{}", json!([hostile, {}]))).await;
    assert!(panel.closes().await, "an event named with controls was taken");
    for path in ["/", "/healthz", "/api/session", "/nothing", "/%3Cscript%3E"] {
        let reply = desk.http(&format!("GET {path}"), &[], "").await;
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert!(!reply.body.contains("alert(1)") && !reply.body.contains("%3Cscript"), "{path}");
    }
    let page = desk.http("GET /", &[], "").await.body;
    assert!(!page.contains("<script>") && !page.contains("style="), "something inline");
}

/// A24: what a stranger calls us or himself is one line in the log.
#[tokio::test]
async fn a24_refused_names_are_one_line_in_the_log() {
    capture::install();
    let desk = Desk::start();
    let odd = "a\u{9b}31m\\n\u{202e}forged";
    desk.http("GET /", &[&format!("Host: {odd}")], "").await;
    desk.http("GET /", &[&format!("Origin: {odd}")], "").await;
    let said = capture::text();
    let lines: Vec<_> = said.lines().filter(|line| line.contains("forged")).collect();
    assert!(lines.iter().any(|line| line.contains("panel refused host")), "{lines:?}");
    assert!(lines.iter().any(|line| line.contains("panel refused origin")), "{lines:?}");
    let clean = |line: &str| !line.chars().any(|c| c.is_control() || c == '\u{202e}');
    assert!(lines.iter().all(|line| clean(line)), "{lines:?}");
}

/// F15: the network has given the machine another address while a panel is open. Each connection is
/// asked for the address that it came to.
#[tokio::test]
async fn f15_another_address_while_a_panel_is_open() {
    let mut desk = Desk::with(|o| o.listen = Some(SocketAddr::from(([0, 0, 0, 0], 0))));
    let port = desk.address.port();
    let [before, after] = [1, 9].map(|last| SocketAddr::from(([127, 0, 0, last], port)));
    desk.address = before;
    let session = desk.pair(Role::Admin).await;
    let mut panel = desk.connect(&session, Value::Null).await;
    let seq = panel.heard().await.unwrap().body["seq"].clone();
    drop(panel);
    desk.live(0, SOON).await;
    desk.tell(Event::Transcript(Transcript {
        item: "a".to_owned(),
        role: Speaker::User,
        text: "meanwhile".to_owned(),
        r#final: true,
        interrupted: false,
    }))
    .await;

    desk.address = after;
    let cookie = session.line();
    for (host, status) in [(after, 200), (before, 421)] {
        let host = format!("Host: {host}");
        assert_eq!(desk.http("GET /api/session", &[&cookie, &host], "").await.status, status);
    }
    // The page of the old address is no page of the new one.
    let stale = [cookie, format!("Origin: http://{before}")];
    let stale = [stale[0].as_str(), stale[1].as_str()];
    assert_eq!(desk.http("GET /api/session", &stale, "").await.status, 403);
    let mut panel = desk.connect(&session, seq).await;
    panel.wait("grok-voice:hello").await;
    assert_eq!(panel.wait("grok-voice:transcript").await.body["text"], "meanwhile");
}
