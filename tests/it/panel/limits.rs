//! What floods, stalls and breaks: it costs its own connection and nothing else.

use super::desk::{Desk, Panel, SOON, clock};
use super::poll::Poll;
use grok_speaker::base::event::{Scene, Tag};
use grok_speaker::base::unit::{Rate, Volume};
use grok_speaker::panel::event::{Audio, Command, Event, State};
use grok_speaker::panel::trust::Role;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A paired panel beside the one that misbehaves.
async fn is_served(witness: &mut Panel) {
    let start = clock();
    let answer = witness.ask("grok-voice:inspect", json!({"on": true})).await;
    assert_eq!(answer["ok"], true);
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
}

/// A20.
#[tokio::test]
async fn a_flood_is_refused_then_closed() {
    let desk = Desk::start();
    let mut witness = desk.panel(Role::Admin).await;
    let mut panel = desk.panel(Role::Controller).await;
    for _ in 0..80 {
        panel.send("grok-voice:inspect", json!({})).await;
    }
    let mut codes = Vec::new();
    for n in 1..=80 {
        codes.push(panel.answer(n).await["code"].as_str().unwrap().to_owned());
    }
    assert!(codes[..40].iter().all(|code| code == "bad_request"), "{codes:?}");
    assert_eq!(codes[79], "limit");
    for _ in 0..10_000 {
        panel.send("grok-voice:stop", json!({})).await;
    }
    assert!(panel.closes().await);
    is_served(&mut witness).await;
    desk.live(1, SOON).await;
}

#[tokio::test]
async fn unknown_events_are_counted() {
    let desk = Desk::start();
    let mut panel = desk.panel(Role::Admin).await;
    for n in 0..20 {
        let answer = panel.ask(&format!("grok-voice:x{n}"), json!({})).await;
        assert_eq!(answer["code"], "unsupported");
    }
    panel.send("grok-voice:x", json!({})).await;
    assert!(panel.is_cut().await);
}

/// A19.
#[tokio::test]
async fn what_is_too_large_or_senseless_closes_its_socket() {
    let desk = Desk::start();
    let mut witness = desk.panel(Role::Admin).await;
    let session = desk.pair(Role::Admin).await;
    let long = format!("42{}", json!(["grok-voice:text", {"text": "x".repeat(70_000)}]));
    let deep = format!("42[\"grok-voice:text\",{}{}]", "[".repeat(20_000), "]".repeat(20_000));
    for bad in [
        long.as_str(),
        deep.as_str(),
        "42[\"grok-voice:stop\",{\"on\":",
        "4599999-[\"grok-voice:text\",{}]",
        "451-[\"x\",{}]",
        "49",
        "xyz",
        "42",
    ] {
        let mut panel = desk.connect(&session, Value::Null).await;
        panel.say(bad).await;
        assert!(panel.closes().await, "{}", &bad[..bad.len().min(40)]);
    }
    let mut panel = desk.connect(&session, Value::Null).await;
    panel.say_binary(vec![0; 10]).await;
    assert!(panel.closes().await);
    // An announced frame of 15 MiB that never comes.
    let mut panel = desk.connect(&session, Value::Null).await;
    panel.say_raw(&[0x81, 0xff, 0, 0, 0, 0, 0, 0xf0, 0, 0, 1, 2, 3, 4]).await;
    assert!(panel.closes().await);
    // Frames that never make a message.
    let mut panel = desk.connect(&session, Value::Null).await;
    panel.say_raw(&[0x01, 0x80, 1, 2, 3, 4]).await;
    for _ in 0..1000 {
        panel.say_raw(&[0x00, 0x80, 1, 2, 3, 4].repeat(1000)).await;
    }
    assert!(panel.is_cut().await);
    // A number too long for an answer; the longest that is not.
    let numbered = |id: &str| format!("42{id}[\"grok-voice:inspect\",{{\"on\":false}}]");
    let (endless, long) = (numbered(&"9".repeat(60_000)), i64::MAX.to_string());
    for bad in [&endless, &numbered(&"9".repeat(20)), &"x".repeat(70_000)] {
        let mut panel = desk.connect(&session, Value::Null).await;
        panel.say(&numbered(&long)).await;
        assert_eq!(panel.answer(i64::MAX.unsigned_abs()).await["ok"], true);
        panel.say(bad).await;
        assert!(panel.is_cut().await);
        let mut poll = Poll::connect(&desk, &session, Value::Null).await;
        poll.wait("grok-voice:hello").await;
        poll.say(&numbered(&long)).await;
        while !poll.packet().await.starts_with(&format!("43{long}[{{\"ok\":true")) {}
        let path = format!("POST {}", poll.path());
        // Who is still writing may miss the answer.
        let status = desk.http(&path, &[&session.line()], bad).await.status;
        assert!(matches!(status, 0 | 400), "{status}");
        // Its last packets may still be fetched for a moment.
        let start = clock();
        while desk.http(&path, &[&session.line()], "3").await.status != 400 {
            assert!(start.elapsed() < SOON);
        }
    }
    assert_eq!(desk.trust.panics(), 0);
    is_served(&mut witness).await;
}

/// A17.
#[tokio::test]
async fn strangers_can_neither_lock_out_nor_push_out_a_paired_panel() {
    let desk = Desk::with(|options| options.max_per_address = 6);
    let mut first = desk.panel(Role::Admin).await;
    let mut second = desk.panel(Role::Admin).await;
    let mut strangers = Vec::new();
    for _ in 0..40 {
        strangers.push(TcpStream::connect(desk.address).await.unwrap());
    }
    // The oldest strangers made room for the newest ones and for us.
    let mut third = desk.panel(Role::Admin).await;
    is_served(&mut first).await;
    is_served(&mut second).await;
    is_served(&mut third).await;
    let mut gone = 0;
    for tcp in &mut strangers {
        let mut byte = [0];
        let read = timeout(Duration::from_millis(20), tcp.read(&mut byte)).await;
        gone += usize::from(read.is_ok());
    }
    assert!((36..=38).contains(&gone), "{gone} of 40 gone");
    // A house full of paired panels takes nobody in.
    drop(strangers);
    let _more = (desk.panel(Role::Admin).await, desk.panel(Role::Admin).await);
    let _last = desk.panel(Role::Admin).await;
    assert_eq!(desk.raw(b"GET / HTTP/1.1\r\n\r\n").await.status, 0);
    is_served(&mut first).await;
}

#[tokio::test]
async fn the_newest_panels_of_one_browser_live() {
    let desk = Desk::with(|options| options.max_per_session = 3);
    let session = desk.pair(Role::Viewer).await;
    let mut oldest = desk.connect(&session, Value::Null).await;
    let mut others = Vec::new();
    for _ in 0..3 {
        others.push(desk.connect(&session, Value::Null).await);
    }
    assert!(oldest.closes().await);
    assert_eq!(desk.trust.clients(), 3);
    for panel in &mut others {
        panel.wait("grok-voice:hello").await;
    }
    // Handshakes that are never finished do not pile up either.
    let mut refused = 0;
    for _ in 0..10 {
        let head = "GET /socket.io/?EIO=4&transport=polling";
        refused += u32::from(desk.http(head, &[&session.line()], "").await.status == 429);
    }
    assert!(refused >= 5, "{refused}");
    // Of this browser; another one has its own room.
    desk.panel(Role::Viewer).await;
}

/// What fills the buffers of a reader that has stopped to read.
async fn freezes(flood: impl Fn(u8) -> Event) -> Duration {
    let mut desk = Desk::start();
    let mut witness = desk.panel(Role::Admin).await;
    let mut frozen = desk.panel(Role::Admin).await;
    frozen.ask("grok-voice:listen", json!({"on": true})).await;
    let id = frozen.send("grok-voice:talk", json!({"on": true})).await;
    desk.obey().await;
    frozen.answer(id).await;
    let start = clock();
    let mut n = 0;
    while desk.trust.clients() != 1 {
        assert!(start.elapsed() < Duration::from_secs(20), "still counted after 20 s");
        // Faster than the kernel's buffers of a reader that sleeps could hide.
        for _ in 0..10 {
            n = (n + 1) % 100;
            desk.tell(flood(n)).await;
        }
        desk.tell(state(n, "")).await;
        while witness.wait("grok-voice:state").await.body["volume"] != n {}
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let gone = start.elapsed();
    assert_eq!(desk.obey().await.command, Command::Talk { on: false });
    is_served(&mut witness).await;
    assert!(frozen.is_cut().await);
    gone
}

fn state(percent: u8, trouble: &str) -> Event {
    Event::State(State {
        state: Scene::Asleep,
        volume: Volume::new(percent).unwrap(),
        muted: false,
        online: true,
        mode: String::new(),
        voice: String::new(),
        model: String::new(),
        trouble: trouble.to_owned(),
        settings: 0,
        barge_in: String::new(),
        name: String::new(),
    })
}

/// Sound may be lost, so only the missing heartbeat tells; and the library waits in its write.
/// A21.
#[tokio::test]
async fn a_listener_that_stops_reading_is_gone_within_20_s() {
    let gone = freezes(|_| {
        let (item, tag, rate) = ("a".to_owned(), Tag(1), Rate(24_000));
        Event::Audio(Audio { item, tag, rate, pcm: vec![0; 4800], to: None })
    });
    assert!(gone.await > Duration::from_secs(5));
}

/// Changes may not be lost: whoever is behind the ring starts anew, with a snapshot.
/// A21.
#[tokio::test]
async fn a_reader_that_falls_behind_the_ring_is_cut_off() {
    let trouble = "x".repeat(8000);
    freezes(|n| state(n, &trouble)).await;
}

/// A40.
#[tokio::test]
async fn a_panic_costs_one_connection() {
    let desk = Desk::start();
    let mut witness = desk.panel(Role::Admin).await;
    assert_eq!(desk.http("GET /metrics", &[], "").await.status, 0);
    is_served(&mut witness).await;
    assert_eq!(desk.trust.panics(), 1);
}

#[tokio::test]
async fn it_stops_at_once_and_says_goodbye() {
    let mut desk = Desk::start();
    let mut panel = desk.panel(Role::Admin).await;
    let start = clock();
    desk.end().unwrap();
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    assert!(panel.closes().await);
}

/// A40: also where the panel itself is at work, with everything it knows in its hands: that socket is
/// closed, it is counted, and the others go on.
#[tokio::test]
async fn a40_a_panic_of_the_panel_costs_one_socket() {
    let desk = Desk::served(Desk::folder(), |_| {}, Arc::new(|_, _| panic!("on purpose")));
    let mut witness = desk.panel(Role::Admin).await;
    let mut panel = desk.panel(Role::Admin).await;
    panel.send("grok-voice:clients", json!({})).await;
    assert!(panel.closes().await);
    assert_eq!(desk.trust.panics(), 1);
    is_served(&mut witness).await;
    desk.live(1, SOON).await;
}
