//! Attacks on pairing and on what it leaves behind: codes, tokens, the table of sessions.

use super::desk::{Desk, SOON, Session, clock, read_reply};
use super::poll::Poll;
use crate::socket::capture;
use grok_speaker::base::event::Tag;
use grok_speaker::base::unit::Rate;
use grok_speaker::panel::event::{Audio, Command, Event};
use grok_speaker::panel::trust::{Role, SESSIONS, TRIES};
use serde_json::{Value, json};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

/// A connection from a neighbour of its own.
async fn from(desk: &Desk, last: u8) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from((Ipv4Addr::new(127, 0, 1, last), 0))).unwrap();
    socket.connect(desk.address).await.unwrap()
}

fn claim(desk: &Desk, code: u32) -> String {
    let body = json!({"code": format!("{code:06}"), "name": "thief"}).to_string();
    let (host, length) = (desk.address, body.len());
    format!("POST /api/pair HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\n\r\n{body}")
}

/// Tries codes one after another on one connection; says how often it was told that one was wrong,
/// and how often one was right.
async fn guess(desk: &Desk, last: u8, codes: impl Iterator<Item = u32>) -> (usize, usize) {
    let mut tcp = from(desk, last).await;
    let (mut tried, mut won) = (0, 0);
    for code in codes {
        tcp.write_all(claim(desk, code).as_bytes()).await.unwrap();
        let reply = timeout(SOON, read_reply(&mut tcp, true)).await.unwrap();
        won += usize::from(reply.status == 200);
        tried += usize::from(reply.body.contains("wrong code"));
    }
    (tried, won)
}

/// A09, A11: 10 000 codes from 16 addresses at once, over four windows. Each window stands five, and
/// whoever is paired or stands at the device notices nothing.
#[tokio::test]
async fn a09_a11_guessing_ends_with_the_window() {
    capture::install();
    let desk = Desk::start();
    let owner = desk.pair(Role::Admin).await;
    for window in 0..4 {
        let right: u32 =
            desk.trust.open_window(Role::Admin, desk.now()).to_string().parse().unwrap();
        // The right one comes too late to be a lucky guess.
        let near = (0..156).map(|n| (right + 1 + n) % 1_000_000).chain([right]);
        let guesses = (0..16u8).map(|last| guess(&desk, 10 + last, near.clone()));
        let results = futures_util::future::join_all(guesses).await;
        let tried: usize = results.iter().map(|(tried, _)| tried).sum();
        let won: usize = results.iter().map(|(_, won)| won).sum();
        assert_eq!((tried, won), (TRIES as usize, 0), "window {window}");
        let reply = desk.http("GET /api/session", &[&owner.line()], "").await;
        assert_eq!(reply.status, 200);
    }
    desk.pair(Role::Controller).await;
    assert_eq!(desk.trust.paired(), 2);
    // What was told after a window had closed is not worth a line each.
    let said = capture::text();
    assert!(said.contains("DEBUG grok_speaker::panel::pages pairing refused: no pairing window"));
    assert!(!said.contains("WARN grok_speaker::panel::pages pairing refused: no pairing window"));
}

/// A10: whoever polls while the owner pairs gets nothing; a code is good once, on its own speaker,
/// for two minutes.
#[tokio::test]
async fn a10_a_code_makes_one_session_only() {
    let (desk, other) = (Desk::start(), Desk::start());
    let right: u32 = desk.trust.open_window(Role::Admin, desk.now()).to_string().parse().unwrap();
    other.trust.open_window(Role::Admin, other.now());
    // One number in a million is the same on both.
    let (_, won) = guess(&other, 2, [right].into_iter()).await;
    assert_eq!((won, other.trust.paired()), (0, 0));
    let racers = (0..16u8).map(|last| guess(&desk, 10 + last, [right; 20].into_iter()));
    let results = futures_util::future::join_all(racers).await;
    assert_eq!(results.iter().map(|(_, won)| won).sum::<usize>(), 1);
    assert_eq!(desk.trust.paired(), 1);
    let late: u32 = desk.trust.open_window(Role::Admin, desk.now()).to_string().parse().unwrap();
    desk.skip(Duration::from_secs(121));
    assert_eq!(guess(&desk, 3, [late].into_iter()).await, (0, 0));
    assert_eq!(desk.trust.paired(), 1);
}

/// A13: how much of a token is right makes no difference in time. Early and late mistakes are sent
/// in turn, so that whatever else the machine does meets both.
#[tokio::test]
async fn a13_a_token_is_not_guessed_by_the_clock() {
    let desk = Desk::start();
    let session = desk.pair(Role::Admin).await;
    let flip = |at: usize| {
        let mut bytes = session.cookie.clone().into_bytes();
        bytes[at] = if bytes[at] == b'0' { b'1' } else { b'0' };
        String::from_utf8(bytes).unwrap()
    };
    let first = session.cookie.find('=').unwrap() + 1;
    let requests = [flip(first), flip(session.cookie.len() - 1)].map(|cookie| {
        let host = desk.address;
        format!("GET /api/session HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}\r\n\r\n")
    });
    let mut tcp = TcpStream::connect(desk.address).await.unwrap();
    tcp.set_nodelay(true).unwrap();
    let mut spans = [Vec::new(), Vec::new()];
    for n in 0..6000 {
        let side = n % 2;
        let start = clock();
        tcp.write_all(requests[side].as_bytes()).await.unwrap();
        assert_eq!(read_reply(&mut tcp, true).await.status, 401);
        spans[side].push(start.elapsed());
    }
    let [early, late] = spans.map(|mut spans| {
        spans.sort();
        spans[spans.len() / 2].as_secs_f64()
    });
    assert!((0.85..1.18).contains(&(early / late)), "early {early} s, late {late} s");
}

/// A14: a hundred pairings keep the newest, and the owner.
#[tokio::test]
async fn a14_a_hundred_pairings_lock_nobody_out() {
    let desk = Desk::start();
    let owner = desk.pair(Role::Admin).await;
    let mut all = Vec::new();
    for _ in 0..100 {
        all.push(desk.pair(Role::Viewer).await);
    }
    assert_eq!(desk.trust.paired(), SESSIONS);
    let status = async |session: &Session| {
        desk.http("GET /api/session", &[&session.line()], "").await.status
    };
    assert_eq!(status(&owner).await, 200);
    for (n, session) in all.iter().enumerate() {
        let kept = n >= 100 - (SESSIONS - 1);
        assert_eq!(status(session).await, if kept { 200 } else { 401 }, "{n}");
    }
}

/// A15, A38: who is no longer paired hears nothing more, on either transport, within a second or so.
#[tokio::test]
async fn a15_a38_whoever_loses_the_role_loses_the_sound() {
    let desk = Desk::start();
    let session = desk.pair(Role::Admin).await;
    let mut listener = desk.connect(&session, Value::Null).await;
    listener.ask("grok-voice:listen", json!({"on": true})).await;
    let poll = Poll::connect(&desk, &session, Value::Null).await;
    poll.say(r#"421["grok-voice:listen",{"on":true}]"#).await;
    let path = format!("GET {}", poll.path());
    // A newer owner, and so many others that the first one is forgotten.
    for _ in 0..SESSIONS {
        desk.pair(Role::Admin).await;
    }
    let start = clock();
    assert!(listener.closes().await);
    desk.live(0, SOON).await;
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    let (item, tag, rate) = ("a".to_owned(), Tag(1), Rate(24_000));
    desk.tell(Event::Audio(Audio { item, tag, rate, pcm: vec![7; 480], to: None })).await;
    assert_eq!(desk.http(&path, &[&session.line()], "").await.status, 401);
    assert!(listener.heard().await.is_none());
}

/// A15: who leaves is gone within a second, with everything that was open, and may pair again.
#[tokio::test]
async fn a15_who_leaves_is_gone_at_once() {
    let desk = Desk::start();
    let session = desk.pair(Role::Admin).await;
    let mut panel = desk.connect(&session, Value::Null).await;
    let poll = Poll::connect(&desk, &session, Value::Null).await;
    let other = desk.panel(Role::Viewer).await;
    let own = format!("Origin: http://{}", desk.address);
    assert_eq!(desk.http("POST /api/leave", &[&own], "").await.status, 401);
    assert_eq!(desk.http("GET /api/leave", &[&session.line(), &own], "").await.status, 405);
    let elsewhere = "Origin: http://evil.example";
    let refused = desk.http("POST /api/leave", &[&session.line(), elsewhere], "").await;
    assert_eq!(refused.status, 403);
    // A04: the cookie alone changes nothing.
    for path in ["POST /api/leave", "POST /api/trusted"] {
        assert_eq!(desk.http(path, &[&session.line()], "").await.status, 403, "{path}");
    }
    let start = clock();
    let left = desk.http("POST /api/leave", &[&session.line(), &own], "").await;
    assert_eq!(left.status, 204);
    let cookie = left.header("set-cookie").unwrap();
    assert!(cookie.contains("=; ") && cookie.contains("Max-Age=0"), "{cookie}");
    assert!(panel.closes().await);
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    for path in ["GET /api/session".to_owned(), format!("GET {}", poll.path())] {
        assert_eq!(desk.http(&path, &[&session.line()], "").await.status, 401);
    }
    assert_eq!(desk.trust.clients(), 1, "the other stays");
    drop(other);
    desk.panel(Role::Admin).await;
}

/// A37: a captured handshake or command is worth nothing without its own session, and a command said
/// twice on it says the same thing twice.
#[tokio::test]
async fn a37_captured_words_do_not_work_elsewhere() {
    let mut desk = Desk::start();
    let owner = desk.pair(Role::Admin).await;
    let mut panel = desk.connect(&owner, Value::Null).await;
    let captured = format!("40{}", json!({"csrf": owner.csrf}));
    let thief = desk.pair(Role::Viewer).await;
    let mut dialled = desk.dial(&thief).await;
    dialled.say(&captured).await;
    assert!(dialled.text().await.unwrap().starts_with("44"));
    let mut viewer = desk.connect(&thief, Value::Null).await;
    let volume = r#"427["grok-voice:volume",{"percent":30}]"#;
    for panel in [&mut viewer, &mut dialled] {
        panel.say(volume).await;
    }
    assert_eq!(viewer.answer(7).await["code"], "forbidden");
    assert!(desk.requests.try_recv().is_err());
    for _ in 0..2 {
        panel.say(volume).await;
        let asked = desk.obey().await.command;
        assert!(matches!(asked, Command::Volume { percent } if percent.percent() == 30));
        assert_eq!(panel.answer(7).await["ok"], true);
    }
}
