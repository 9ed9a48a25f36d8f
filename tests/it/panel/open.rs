//! With `panel.open_view` whoever is not paired may watch, and nothing else.

use super::desk::{Desk, Panel, Session};
use super::events::{audio, line, state};
use super::gate::{UPGRADE, statuses};
use super::poll::Poll;
use grok_speaker::panel::ask::ASKS;
use grok_speaker::panel::event::{Direction, Event, Notice, Severity, Traffic, Turn};
use grok_speaker::panel::trust::Role;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tokio::net::TcpStream;

fn open() -> Desk {
    Desk::with(|options| options.open_view = true)
}

/// What a page without a cookie is told of itself.
async fn guest(desk: &Desk) -> Session {
    let reply = desk.http("GET /api/session", &[], "").await;
    assert_eq!((reply.status, reply.header("set-cookie")), (200, None));
    let words: Value = serde_json::from_str(&reply.body).unwrap();
    let csrf = words["csrf"].as_str().unwrap().to_owned();
    assert_eq!(words, json!({"role": "viewer", "csrf": csrf, "guest": true, "open_view": true}));
    Session { cookie: "none=1".to_owned(), csrf }
}

async fn is_served(panel: &mut Panel) {
    assert_eq!(panel.ask("grok-voice:health", json!({})).await["ok"], true);
}

/// All that happens, and then another state.
async fn everything(desk: &Desk, percent: u8) {
    desk.tell(line("b", "secret", false)).await;
    let turn = Turn { turn: 1, marks: BTreeMap::new(), cost: 0.5, reason: "completed".into() };
    desk.tell(Event::Turn(turn)).await;
    let notice = Notice {
        level: Severity::Warn,
        code: "x".into(),
        message: "secret".into(),
        action: String::new(),
    };
    desk.tell(Event::Notice(notice)).await;
    let traffic =
        Traffic { t: 1.0, dir: Direction::Sent, r#type: "x".into(), event: json!({"secret": 1}) };
    desk.tell(Event::Traffic(traffic)).await;
    desk.tell(audio("b", None, vec![1, 2, 3])).await;
    desk.tell(state(percent)).await;
}

#[tokio::test]
async fn a_stranger_sees_the_state_and_no_more() {
    let desk = open();
    everything(&desk, 40).await;
    let session = guest(&desk).await;
    let mut panel = desk.connect(&session, Value::Null).await;
    let mut poll = Poll::connect(&desk, &session, Value::Null).await;
    for hello in [panel.heard().await.unwrap(), poll.wait("grok-voice:hello").await] {
        assert_eq!(
            (&hello.body["role"], &hello.body["snapshot"]["volume"]),
            (&json!("viewer"), &json!(40))
        );
        for hidden in ["transcript", "turns", "notices"] {
            assert_eq!(hello.body["snapshot"].get(hidden), None);
        }
        assert!(!hello.body.to_string().contains("secret"));
    }
    for &(event, role) in ASKS {
        let answer = panel.ask(event, json!({"on": true, "text": "x", "percent": 1})).await;
        match role {
            Role::Viewer => assert_eq!(answer["ok"], true, "{event}"),
            Role::Controller | Role::Admin => assert_eq!(answer["code"], "forbidden", "{event}"),
        }
    }
    assert!(desk.requests.is_empty());
    everything(&desk, 41).await;
    let next = panel.heard().await.unwrap();
    assert_eq!((next.event.as_str(), &next.body["volume"]), ("grok-voice:state", &json!(41)));
    let next = poll.wait("grok-voice:state").await;
    assert_eq!(next.body["volume"], 41);
    let own = format!("Origin: http://{}", desk.address);
    for head in ["GET /licences.txt", "POST /api/leave", "POST /api/trusted", "GET /metrics/"] {
        assert_eq!(desk.http(head, &[&own], "").await.status, 401, "{head}");
    }
    // Nobody was paired by that, and who pairs is as much as the code says.
    assert_eq!(desk.trust.paired(), 0);
    let admin = desk.pair(Role::Admin).await;
    let reply = desk.http("GET /api/session", &[&admin.line()], "").await;
    let words: Value = serde_json::from_str(&reply.body).unwrap();
    assert_eq!(words, json!({"role": "admin", "csrf": admin.csrf, "open_view": true}));
    let mut admin = desk.connect(&admin, Value::Null).await;
    let hello = admin.heard().await.unwrap();
    assert_eq!(hello.body["snapshot"]["transcript"][0]["text"], "secret");
}

/// A01 to A05 and the second check, for whoever brings no cookie.
#[tokio::test]
async fn the_guard_stands_before_strangers_as_before() {
    let desk = open();
    let own = format!("Origin: http://{}", desk.address);
    assert_eq!(statuses(&desk, &[&own]).await, [200, 200, 403, 101]);
    for host in ["evil.example", "localhost.", "127.0.0.2", ""] {
        let (host, origin) = (format!("Host: {host}"), format!("Origin: http://{host}"));
        assert_eq!(statuses(&desk, &[&host, &origin]).await, [421; 4], "{host}");
    }
    for origin in ["null", "http://evil.example", "http://localhost", ""] {
        let origin = format!("Origin: {origin}");
        assert_eq!(statuses(&desk, &[&origin]).await, [403; 4], "{origin}");
    }
    assert_eq!(statuses(&desk, &["Sec-Fetch-Site: cross-site"]).await, [403; 4]);
    for path in ["//socket.io/", "/socket.io%2f", "/SOCKET.IO/", "/api/settings"] {
        let reply = desk.http(&format!("GET {path}?EIO=4&transport=polling"), &[], "").await;
        assert!([401, 404].contains(&reply.status), "{path}: {}", reply.status);
    }

    let session = guest(&desk).await;
    let wrong = Session { csrf: "0".repeat(64), ..guest(&desk).await };
    let mut panel = desk.dial(&wrong).await;
    panel.say(&format!("40{}", json!({"csrf": wrong.csrf}))).await;
    assert!(panel.text().await.unwrap().starts_with("44"));

    let mine = desk.pair(Role::Admin).await;
    let poll = Poll::dial(&desk, &mine).await;
    let theirs = Poll::dial(&desk, &session).await;
    for (path, line) in [(poll.path(), session.line()), (theirs.path(), mine.line())] {
        let lines: Vec<_> = UPGRADE.iter().copied().chain([line.as_str()]).collect();
        assert_eq!(desk.http(&format!("GET {path}"), &[&line], "").await.status, 400);
        assert_eq!(desk.http(&format!("POST {path}"), &[&line], "40").await.status, 400);
        assert_eq!(desk.http(&format!("GET {path}"), &lines, "").await.status, 400);
    }
}

/// A17, A18: strangers take places from each other, and none from who is paired.
#[tokio::test]
async fn strangers_have_the_places_of_one_browser() {
    let desk = Desk::with(|options| {
        options.open_view = true;
        options.max_per_session = 3;
        options.max_per_address = 16;
    });
    let mut paired = desk.panel(Role::Controller).await;
    let session = guest(&desk).await;
    let mut oldest = desk.connect(&session, Value::Null).await;
    let mut others = Vec::new();
    for _ in 0..3 {
        others.push(desk.connect(&session, Value::Null).await);
    }
    assert!(oldest.closes().await);
    assert_eq!(desk.trust.clients(), 4);
    let mut refused = 0;
    for _ in 0..20 {
        let reply = desk.http("GET /socket.io/?EIO=4&transport=polling", &[], "").await;
        refused += usize::from(reply.status == 429);
    }
    assert!(refused >= 14, "{refused} of 20");
    let mut second = desk.panel(Role::Viewer).await;
    // Whoever watches makes room like any stranger.
    let mut strangers = Vec::new();
    for _ in 0..40 {
        strangers.push(TcpStream::connect(desk.address).await.unwrap());
    }
    for mut other in others {
        assert!(other.is_cut().await);
    }
    is_served(&mut paired).await;
    is_served(&mut second).await;
    is_served(&mut desk.panel(Role::Admin).await).await;
}
