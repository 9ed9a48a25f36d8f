//! Attacks by mass: connections, sessions, frames, events, and readers that do not read. Memory is
//! watched in `siege`, on a speaker in a process of its own.

use super::desk::{Desk, SOON, clock, read_reply};
use crate::fair;
use grok_speaker::base::event::Tag;
use grok_speaker::base::unit::Rate;
use grok_speaker::panel::errand::{Doing, Errand};
use grok_speaker::panel::event::{Audio, Event, Tick};
use grok_speaker::panel::trust::Role;
use serde_json::{Value, json};
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{sleep, timeout};

/// A neighbour of its own for every sixteen connections.
async fn connect(desk: &Desk, n: usize) -> Option<TcpStream> {
    let socket = TcpSocket::new_v4().unwrap();
    let last = u8::try_from(1 + n / 16 % 200).unwrap();
    socket.bind(SocketAddr::from((Ipv4Addr::new(127, 0, 2, last), 0))).unwrap();
    timeout(SOON, socket.connect(desk.address)).await.ok()?.ok()
}

/// A16: 300 connections with half a head, 300 that say nothing and some with half a body are gone
/// within 15 s, and meanwhile the owner comes in and is served.
#[tokio::test]
async fn a16_slow_and_silent_connections_are_gone_within_15_s() {
    let desk = Desk::start();
    let owner = desk.pair(Role::Admin).await;
    let mut slow = Vec::new();
    for n in 0..600 {
        let Some(mut tcp) = connect(&desk, n).await else { continue };
        if n % 2 == 0 {
            // It may have made room for a newer one already.
            let _ = tcp.write_all(b"GET / HTTP/1.1\r\nHost: ").await;
        }
        slow.push((tcp, clock()));
    }
    let head = format!(
        "POST /api/pair HTTP/1.1\r\nHost: {}\r\nContent-Length: 50\r\n\r\n{{",
        desk.address
    );
    for n in 600..608 {
        let mut tcp = connect(&desk, n).await.expect("the newest find room");
        tcp.write_all(head.as_bytes()).await.expect("the newest are not the first to go");
        slow.push((tcp, clock()));
    }
    let mut panel = desk.connect(&owner, Value::Null).await;
    let ends = slow.into_iter().map(|(mut tcp, opened)| async move {
        let mut rest = Vec::new();
        let limit = Duration::from_secs(15).saturating_sub(opened.elapsed());
        // Closed or reset: it is gone.
        timeout(limit, tcp.read_to_end(&mut rest)).await.map(|_| opened.elapsed())
    });
    let mut ends = pin!(futures_util::future::join_all(ends));
    // Whoever does not read does not answer the speaker's pings, and is gone itself.
    let lives = loop {
        assert_eq!(panel.ask("grok-voice:listen", json!({"on": true})).await["ok"], true);
        if let Ok(lives) = timeout(Duration::from_millis(500), &mut ends).await {
            break lives;
        }
    };
    let open = lives.iter().filter(|life| life.is_err()).count();
    assert_eq!(open, 0, "still open after 15 s");
    let longest = lives.into_iter().flatten().max();
    assert!(longest > Some(Duration::from_secs(8)), "slow is not yet hostile: {longest:?}");
}

/// A17: whoever came in is heard before those behind him are, also when all of them stood at the door
/// while the panel was busy.
#[tokio::test]
async fn a17_a_crowd_at_the_door_does_not_push_out_who_came_first() {
    let busy = |_, _: Errand| -> Doing {
        std::thread::park_timeout(Duration::from_millis(600));
        Box::pin(async { Ok(json!({})) })
    };
    let desk = Desk::served(Desk::folder(), |_| {}, Arc::new(busy));
    let owner = desk.pair(Role::Admin).await;
    let mut panel = desk.panel(Role::Admin).await;
    panel.send("grok-voice:clients", json!({})).await;
    sleep(Duration::from_millis(100)).await;
    let mut first = TcpStream::connect(desk.address).await.unwrap();
    let (host, cookie) = (desk.address, owner.line());
    let head = format!("GET /api/session HTTP/1.1\r\nHost: {host}\r\n{cookie}\r\n\r\n");
    first.write_all(head.as_bytes()).await.unwrap();
    let mut crowd = Vec::new();
    for n in 0..300 {
        crowd.push(connect(&desk, n).await);
    }
    assert_eq!(timeout(SOON, read_reply(&mut first, true)).await.unwrap().status, 200);
}

/// A18: handshakes without a cookie make no session, however many.
#[tokio::test]
async fn a18_sessions_are_not_made_without_a_cookie() {
    let desk = Desk::with(|options| options.max_per_session = 2);
    let host = desk.address;
    let request =
        format!("GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: {host}\r\n\r\n");
    let flood = (0..8).map(|_| async {
        let mut tcp = TcpStream::connect(desk.address).await.unwrap();
        for _ in 0..2500 {
            tcp.write_all(request.as_bytes()).await.unwrap();
            assert_eq!(read_reply(&mut tcp, true).await.status, 401);
        }
    });
    futures_util::future::join_all(flood).await;
    // With one, no more than are needed.
    let session = desk.pair(Role::Viewer).await;
    let mut made = 0;
    for _ in 0..50 {
        let head = "GET /socket.io/?EIO=4&transport=polling";
        made += usize::from(desk.http(head, &[&session.line()], "").await.status == 200);
    }
    assert_eq!(made, 4);
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// A20: while one controller sends as fast as it can, every question of another is answered within 100 ms.
#[test]
fn a20_a_flood_of_one_is_not_felt_by_others() {
    let desk = Desk::start();
    let runtime = runtime();
    let (mut witness, session) = runtime
        .block_on(async { (desk.panel(Role::Admin).await, desk.pair(Role::Controller).await) });
    let over = AtomicBool::new(false);
    let start = clock();
    let flood = async {
        // Where the other fails, it ends too.
        while !over.load(Ordering::Relaxed) && start.elapsed() < Duration::from_secs(20) {
            let mut panel = desk.connect(&session, Value::Null).await;
            for _ in 0..10_000 {
                panel.send("grok-voice:inspect", json!({"on": false})).await;
            }
            assert!(panel.closes().await);
        }
    };
    let threads = [fair::Thread::at(&desk.task), fair::Thread::own()];
    let others = async {
        let mut longest = Duration::ZERO;
        for _ in 0..41 {
            let watch = fair::Watch::start(&threads);
            assert_eq!(witness.ask("grok-voice:listen", json!({"on": true})).await["ok"], true);
            longest = longest.max(watch.end());
            // Slower than the pace allows.
            sleep(Duration::from_millis(60)).await;
        }
        longest
    };
    // On a thread of its own: what it costs to flood is not the speaker's.
    let longest = std::thread::scope(|scope| {
        scope.spawn(|| self::runtime().block_on(flood));
        let longest = runtime.block_on(others);
        over.store(true, Ordering::Relaxed);
        longest
    });
    assert!(longest < Duration::from_millis(100), "{longest:?} for an answer");
}

/// A21: one that takes a kilobyte a second and one that has vanished are gone within 20 s, both on
/// one speaker that goes on talking to a third.
#[tokio::test]
async fn a21_slow_and_vanished_readers_are_gone_within_20_s() {
    let desk = Desk::start();
    let mut witness = desk.panel(Role::Admin).await;
    let (slow, gone) = (desk.pair(Role::Admin).await, desk.pair(Role::Admin).await);
    let mut slow = desk.connect(&slow, Value::Null).await;
    slow.ask("grok-voice:listen", json!({"on": true})).await;
    // It stays open below, as a phone that has left the network leaves it.
    let vanished = desk.connect(&gone, Value::Null).await;
    let start = clock();
    let flood = async {
        for n in 0..2000 {
            let (item, tag, rate) = ("a".to_owned(), Tag(1), Rate(24_000));
            desk.tell(Event::Audio(Audio { item, tag, rate, pcm: vec![n; 2400], to: None })).await;
            let t = f64::from(n);
            let tick =
                Tick { t, mic_dbfs: 0.0, clipped: 0, speaker_dbfs: 0.0, speech: 0.0, erle_db: 0.0 };
            desk.tell(Event::Tick(tick)).await;
            while witness.wait("grok-voice:tick").await.body["t"] != t {}
            if desk.trust.clients() == 1 {
                return start.elapsed();
            }
            sleep(Duration::from_millis(20)).await;
        }
        panic!("{} live after {:?}", desk.trust.clients(), start.elapsed());
    };
    let reader = async {
        loop {
            slow.sip(1000).await;
            sleep(Duration::from_secs(1)).await;
        }
    };
    let span = tokio::select! {
        span = flood => span,
        () = reader => unreachable!("it never ends"),
    };
    assert!(span < Duration::from_secs(20), "{span:?}");
    drop(vanished);
}
