//! A speaker in a process of its own that holds a conversation of two turns while everything that
//! floods is done to its panel at once. It must talk on, stay small, and keep its key.

#[path = "siege/attack.rs"]
mod attack;
#[path = "siege/guest.rs"]
mod guest;
#[path = "siege/watch.rs"]
mod watch;

use crate::daemon::{Folder, Pair, speech};
use crate::sheet::pause;
use attack::{Field, chatter, crowd, each_oversize, oversize, strangers};
use guest::{Guest, is_quiet, request};
use serde_json::Value;
use std::fs::Permissions;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio_tungstenite::tungstenite::Message;
use watch::Watch;

/// What goes on at once while the speaker speaks.
const ATTACKS: [fn(&Field); 4] = [crowd, strangers, oversize, chatter];

/// Bytes the speaker may grow by what is too large (A19).
const OVERSIZE: usize = 5 << 20;
/// And by everything at once: what the list allows a crowd alone (A17).
const TOGETHER: usize = 20 << 20;
/// Longer than anything takes that is not attacked.
const SOON: Duration = Duration::from_secs(10);

const KEY: &str = "xai-TESTSECRET-0123456789abcdef";

#[expect(clippy::disallowed_methods, reason = "the test is the host here")]
fn spawn<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    std::thread::spawn(body)
}

/// Everything a panel with all rights is told.
fn listen(guest: &Guest, over: Arc<AtomicBool>, heard: Arc<Mutex<Vec<u8>>>) -> JoinHandle<usize> {
    let mut ws = guest.join();
    for event in ["listen", "inspect"] {
        ws.send(Message::text(format!("42[\"grok-voice:{event}\",{{\"on\":true}}]"))).unwrap();
    }
    spawn(move || {
        let mut sound = 0;
        while !over.load(Ordering::Relaxed) {
            match ws.read() {
                Ok(Message::Text(text)) if text.as_str() == "2" => {
                    ws.send(Message::text("3")).unwrap();
                }
                Ok(message) => {
                    sound += usize::from(message.is_binary()) * message.len();
                    heard.lock().unwrap().extend(message.into_data());
                }
                Err(e) if is_quiet(&e) => {}
                Err(e) => panic!("the owner's panel was lost: {e}"),
            }
        }
        sound
    })
}

/// A17-A21, A27, A40.
#[test]
fn it_talks_on_under_siege_and_keeps_its_key() {
    let folder = Folder::new("siege");
    std::fs::write(folder.join("key"), format!("{KEY}\n")).unwrap();
    std::fs::set_permissions(folder.join("key"), Permissions::from_mode(0o600)).unwrap();
    let log = std::fs::File::create(folder.join("log")).unwrap();
    let key_file = format!("grok.key_file={}", folder.join("key").display());
    let mic = format!("file:{}", speech("two_turns"));
    let sets = ["log.level=trace", key_file.as_str()];
    let mut pair = Pair::logging(folder, &mic, &[], &sets, log.into());
    let status: Value = serde_json::from_str(&pair.ask(&["status", "--json"])).unwrap();
    let url = status["panel"].as_str().unwrap().trim_end_matches('/');
    let port = url.rsplit(':').next().unwrap().parse().unwrap();
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let owner = Guest::pair(address, pair.ask(&["pair"]).trim());
    let guest = Guest::pair(address, pair.ask(&["pair", "--role", "controller"]).trim());
    let (over, heard) = (Arc::new(AtomicBool::new(false)), Arc::default());
    let listener = listen(&owner, Arc::clone(&over), Arc::clone(&heard));
    pair.wait("the session", SOON, |log| !log.times("out", "session.updated").is_empty());
    let watch = Watch::start(pair.speaker.id());
    pause(Duration::from_millis(300));

    let oversize = watch.looks();
    each_oversize(&guest);
    let siege = watch.looks();
    // It joined, wants everything and never reads.
    let mut frozen = owner.join();
    frozen.send(Message::text("42[\"grok-voice:listen\",{\"on\":true}]")).unwrap();
    let field = || Field { address, guest: guest.clone(), over: over.clone() };
    let begin = |attack: &fn(&Field)| {
        let (attack, field) = (*attack, field());
        spawn(move || attack(&field))
    };
    let attackers: Vec<_> = ATTACKS.iter().map(begin).collect();
    let log = pair.wait("two replies", Duration::from_secs(40), |log| log.done() == 2);
    pause(log.last_reply_length() + Duration::from_millis(700));
    over.store(true, Ordering::Relaxed);
    for attacker in attackers {
        attacker.join().unwrap();
    }
    pause(Duration::from_millis(300));
    assert!(listener.join().unwrap() > 10_000, "the owner heard no reply");
    let seen = watch.end();
    let (alone, together) = (seen.grown(oversize, siege), seen.grown(oversize, seen.looks()));
    assert!(alone < OVERSIZE, "{} kB more for what is too large", alone >> 10);
    assert!(together < TOGETHER, "{} kB more for all at once", together >> 10);

    let id = pair.speaker.id();
    let metrics = request(address, "GET /metrics", "", "");
    assert!(metrics.contains("grok_speaker_panel_panics_total 0\n"), "{metrics}");
    let mut places = vec![
        ("metrics", metrics.into_bytes()),
        ("panel", heard.lock().unwrap().clone()),
        ("command line", std::fs::read(format!("/proc/{id}/cmdline")).unwrap()),
        ("environment", std::fs::read(format!("/proc/{id}/environ")).unwrap()),
    ];
    for name in ["log", "journal.jsonl", "state/sessions.json"] {
        places.push((name, std::fs::read(pair.folder.join(name)).unwrap()));
    }
    pair.said(2);
    let contains = |text: &[u8], word: &str| text.windows(word.len()).any(|w| w == word.as_bytes());
    for (place, bytes) in &places {
        assert!(!bytes.is_empty() && !contains(bytes, "TESTSECRET"), "the key is in the {place}");
    }
    let (_, log) = &places[4];
    assert!(contains(log, "TRACE") || contains(log, "DEBUG"), "nothing was logged");
}
