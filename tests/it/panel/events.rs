//! What panels are told and what they ask.

use super::desk::{Desk, Heard, SOON};
use super::poll::Poll;
use grok_speaker::base::event::{Scene, Tag};
use grok_speaker::base::unit::{Rate, Volume};
use grok_speaker::panel::ask::ASKS;
use grok_speaker::panel::event::{
    Answer, Audio, ClientId, Command, Direction, Event, Refusal, Speaker, State, Tick, Traffic,
    Transcript, Turn,
};
use grok_speaker::panel::trust::Role;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;
use tokio::time::{sleep, timeout};

pub(super) fn state(percent: u8) -> Event {
    Event::State(State {
        state: Scene::Listening,
        volume: Volume::new(percent).unwrap(),
        muted: false,
        online: true,
        mode: "open".into(),
        voice: "eve".into(),
        model: "m".into(),
        trouble: String::new(),
        settings: 0,
        barge_in: "speech".into(),
        name: "Kitchen".into(),
    })
}

/// What this machine is called.
fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    name.trim().split('.').next().unwrap().to_ascii_lowercase()
}

#[tokio::test]
async fn a_speaker_without_a_name_goes_by_that_of_its_machine() {
    let desk = Desk::start();
    let mut panel = desk.panel(Role::Viewer).await;
    desk.tell(state(40)).await;
    assert_eq!(panel.wait("grok-voice:state").await.body["name"], "Kitchen");
    let Event::State(news) = state(40) else { unreachable!("it is one") };
    desk.tell(Event::State(State { name: String::new(), ..news })).await;
    assert_eq!(panel.wait("grok-voice:state").await.body["name"], host());
}

pub(super) fn line(item: &str, text: &str, interrupted: bool) -> Event {
    Event::Transcript(Transcript {
        item: item.into(),
        role: Speaker::Assistant,
        text: text.into(),
        r#final: interrupted,
        interrupted,
    })
}

pub(super) fn audio(item: &str, to: Option<ClientId>, pcm: Vec<i16>) -> Event {
    Event::Audio(Audio { item: item.into(), tag: Tag(1), rate: Rate(24_000), pcm, to })
}

fn ramp(from: i16, count: i16) -> Vec<i16> {
    (from..from + count).collect()
}

fn bytes(pcm: &[i16]) -> Vec<u8> {
    pcm.iter().flat_map(|s| s.to_le_bytes()).collect()
}

fn seq(heard: &Heard) -> u64 {
    heard.body["seq"].as_u64().unwrap()
}

#[tokio::test]
async fn hello_comes_first_with_what_the_role_may_see() {
    let desk = Desk::start();
    desk.tell(state(40)).await;
    desk.tell(line("a", "one", false)).await;
    desk.tell(line("a", "one two", false)).await;
    let marks = BTreeMap::from([("first_audio".to_owned(), 640)]);
    let turn = Turn { turn: 1, marks, cost: 0.5, reason: "completed".into() };
    desk.tell(Event::Turn(turn.clone())).await;
    let mut admin = desk.panel(Role::Admin).await;
    let hello = admin.heard().await.unwrap();
    assert_eq!(hello.event, "grok-voice:hello");
    assert_eq!((&hello.body["build"], &hello.body["role"]), (&json!("test"), &json!("admin")));
    let snapshot = &hello.body["snapshot"];
    assert_eq!((&snapshot["state"], &snapshot["volume"]), (&json!("listening"), &json!(40)));
    let line = json!({
        "item": "a", "role": "assistant", "text": "one two", "final": false, "interrupted": false
    });
    assert_eq!(snapshot["transcript"], json!([line]));
    assert_eq!(snapshot["turns"], json!([turn]));
    let mut viewer = desk.panel(Role::Viewer).await;
    let hello = viewer.heard().await.unwrap();
    assert_eq!(hello.body["snapshot"]["state"], "listening");
    for hidden in ["transcript", "turns"] {
        assert_eq!(hello.body["snapshot"].get(hidden), None);
    }
    // Afterwards each is told only what is for it.
    desk.tell(self::line("b", "secret", false)).await;
    desk.tell(Event::Turn(turn)).await;
    desk.tell(state(41)).await;
    let next = viewer.heard().await.unwrap();
    assert_eq!((next.event.as_str(), &next.body["volume"]), ("grok-voice:state", &json!(41)));
    assert_eq!(admin.heard().await.unwrap().body["text"], "secret");
    assert_eq!(admin.heard().await.unwrap().event, "grok-voice:turn");
    assert_eq!(seq(&admin.heard().await.unwrap()), seq(&next));
}

/// F01.
#[tokio::test]
async fn what_was_missed_is_replayed_once_and_in_order() {
    const MISSED: u64 = 990;
    let desk = Desk::start();
    desk.tell(state(1)).await;
    let session = desk.pair(Role::Admin).await;
    let mut panel = desk.connect(&session, Value::Null).await;
    let start = seq(&panel.heard().await.unwrap());
    drop(panel);
    desk.live(0, SOON).await;
    for n in 0..MISSED {
        desk.tell(line("a", &format!("{n} {}", "x".repeat(100)), false)).await;
    }
    let mut panel = desk.connect(&session, json!(start)).await;
    let hello = panel.heard().await.unwrap();
    desk.tell(state(2)).await;
    let mut poll = Poll::connect(&desk, &session, json!(start)).await;
    assert_eq!(poll.heard().await.event, "grok-voice:hello");
    for n in 0..MISSED {
        let (one, two) = (panel.heard().await.unwrap(), poll.heard().await);
        assert_eq!((seq(&one), seq(&two)), (start + 1 + n, start + 1 + n));
        assert!(two.body["text"].as_str().unwrap().starts_with(&format!("{n} ")));
        assert_eq!(one.body, two.body);
    }
    assert!(seq(&hello) >= start);
    assert_eq!(seq(&panel.heard().await.unwrap()), start + MISSED + 1);
    assert_eq!(seq(&poll.heard().await), start + MISSED + 1);
    // Numbers that were never given, or are too old: the snapshot is all.
    for odd in [json!(0), json!(start + 5000), json!(-1), json!("x"), json!(null)] {
        let mut panel = desk.connect(&session, odd).await;
        assert_eq!(seq(&panel.heard().await.unwrap()), start + MISSED + 1);
        desk.tell(Event::Tick(tick(0.0))).await;
        assert_eq!(panel.heard().await.unwrap().event, "grok-voice:tick");
    }
}

#[tokio::test]
async fn commands_reach_the_host_and_its_answers_come_back() {
    let mut desk = Desk::start();
    let mut panel = desk.panel(Role::Controller).await;
    for (event, payload, command) in [
        ("grok-voice:text", json!({"text": "hi"}), Command::Text { text: "hi".into() }),
        ("grok-voice:talk", json!({"on": true}), Command::Talk { on: true }),
        ("grok-voice:talk", json!({"on": false}), Command::Talk { on: false }),
        ("grok-voice:stop", json!({}), Command::Stop),
        ("grok-voice:mute", json!({"on": true}), Command::Mute { on: true }),
        (
            "grok-voice:volume",
            json!({"percent": 7}),
            Command::Volume { percent: Volume::new(7).unwrap() },
        ),
    ] {
        let id = panel.send(event, payload).await;
        assert_eq!(desk.obey().await.command, command);
        let answer = panel.answer(id).await;
        assert_eq!(answer["ok"], true);
        assert!(answer["seq"].is_u64());
    }
    let id = panel.send("grok-voice:text", json!({"text": "hi"})).await;
    let request = timeout(SOON, desk.requests.recv()).await.unwrap().unwrap();
    let refusal = Refusal { code: "offline".into(), message: "no network".into() };
    let (client, number) = (request.client, request.id);
    desk.tell(Event::Answer(Answer { client, id: number, result: Err(refusal) })).await;
    let wanted = json!({"ok": false, "code": "offline", "message": "no network"});
    assert_eq!(panel.answer(id).await, wanted);
    let answer = panel.ask("grok-voice:text", json!({"text": ""})).await;
    assert_eq!((&answer["ok"], &answer["code"]), (&json!(false), &json!("bad_request")));
    assert!(desk.requests.try_recv().is_err());
    // A host that does not answer does not leave a page waiting.
    let answer = panel.ask("grok-voice:stop", json!({})).await;
    assert_eq!(answer["code"], "busy");
}

/// A08.
#[tokio::test]
async fn no_role_does_more_than_its_own() {
    let mut desk = Desk::start();
    for role in [Role::Viewer, Role::Controller, Role::Admin] {
        let mut panel = desk.panel(role).await;
        for &(event, needed) in ASKS {
            let payload = json!({"on": false, "text": "x", "percent": 1, "changes": {}});
            let id = panel.send(event, payload).await;
            let commands = needed == Role::Controller && event != "grok-voice:inspect";
            if commands && role >= needed {
                desk.obey().await;
            }
            let answer = panel.answer(id).await;
            let forbidden = answer["code"] == "forbidden";
            assert_eq!(forbidden, role < needed, "{event} {role:?} {answer}");
            assert!(desk.requests.try_recv().is_err(), "{event} {role:?}");
        }
    }
}

/// A38.
#[tokio::test]
async fn a_reply_is_heard_by_its_sender_and_by_listeners_only() {
    let mut desk = Desk::start();
    let mut sender = desk.panel(Role::Controller).await;
    let mut bystander = desk.panel(Role::Admin).await;
    let mut listener = desk.panel(Role::Admin).await;
    assert_eq!(listener.ask("grok-voice:listen", json!({"on": true})).await["ok"], true);
    let id = sender.send("grok-voice:text", json!({"text": "x"})).await;
    let from = desk.obey().await.client;
    sender.answer(id).await;
    let session = desk.pair(Role::Controller).await;
    let mut poll = Poll::connect(&desk, &session, Value::Null).await;
    let from_poll = from.0 + 3;
    desk.tell(audio("a", Some(from), ramp(0, 6000))).await;
    desk.tell(audio("p", Some(ClientId(from_poll)), ramp(-50, 100))).await;
    desk.tell(state(9)).await;

    let mut pcm = Vec::new();
    while pcm.len() < 12_000 {
        let slice = sender.wait("grok-voice:audio").await;
        assert_eq!((&slice.body["item"], &slice.body["rate"]), (&json!("a"), &json!(24_000)));
        assert_eq!(slice.body["pcm"], json!({"_placeholder": true, "num": 0}));
        assert_eq!(slice.bytes.len(), 1);
        pcm.extend_from_slice(&slice.bytes[0]);
    }
    assert_eq!(pcm, bytes(&ramp(0, 6000)));
    let slice = poll.wait("grok-voice:audio").await;
    assert_eq!((&slice.body["item"], &slice.bytes[0]), (&json!("p"), &bytes(&ramp(-50, 100))));
    let mut numbers = Vec::new();
    for item in ["a", "a", "p"] {
        let slice = listener.wait("grok-voice:audio").await;
        assert_eq!(slice.body["item"], item);
        numbers.push(seq(&slice));
    }
    assert_eq!(numbers, [1, 2, 3]);
    // State came after the sound: whoever has it without sound was not sent any.
    let mut heard = bystander.heard().await.unwrap();
    while heard.event != "grok-voice:state" {
        assert_ne!(heard.event, "grok-voice:audio");
        heard = bystander.heard().await.unwrap();
    }
    assert_eq!(sender.heard().await.unwrap().event, "grok-voice:state");
    listener.ask("grok-voice:listen", json!({"on": false})).await;
    desk.tell(audio("b", None, ramp(0, 10))).await;
    desk.tell(state(10)).await;
    listener.wait("grok-voice:state").await;
    assert_eq!(listener.heard().await.map(|h| h.event).as_deref(), Some("grok-voice:state"));
}

#[tokio::test]
async fn a_whole_long_reply_arrives_at_once_over_both_transports() {
    let desk = Desk::start();
    let mut panel = desk.panel(Role::Admin).await;
    panel.ask("grok-voice:listen", json!({"on": true})).await;
    let session = desk.pair(Role::Admin).await;
    let mut poll = Poll::connect(&desk, &session, Value::Null).await;
    poll.say(r#"421["grok-voice:listen",{"on":true}]"#).await;
    while !poll.packet().await.starts_with("431[") {}
    // 30 s in slices of 20 ms, faster than anybody could play them.
    for n in 0..1500 {
        desk.tell(audio("a", None, vec![n; 480])).await;
    }
    for n in 0..1500i16 {
        let wanted = bytes(&[n; 480]);
        assert_eq!(panel.wait("grok-voice:audio").await.bytes[0], wanted);
        assert_eq!(poll.wait("grok-voice:audio").await.bytes[0], wanted);
    }
}

fn tick(t: f64) -> Tick {
    Tick { t, mic_dbfs: -40.0, speaker_dbfs: -50.0, speech: 0.5, erle_db: 10.0, clipped: 0 }
}

/// A22.
#[tokio::test]
async fn meters_arrive_whole_between_other_events() {
    let desk = Desk::start();
    let mut panel = desk.panel(Role::Admin).await;
    panel.ask("grok-voice:listen", json!({"on": true})).await;
    let session = desk.pair(Role::Viewer).await;
    let mut poll = Poll::connect(&desk, &session, Value::Null).await;
    let speaker = async {
        for n in 0..60 {
            desk.tell(line("a", "x", false)).await;
            desk.tell(audio("a", None, vec![0; 480])).await;
            desk.tell(Event::Tick(tick(f64::from(n)))).await;
            sleep(Duration::from_millis(50)).await;
        }
        desk.tell(state(99)).await;
    };
    let listener = async {
        let mut ticks = 0;
        loop {
            let heard = panel.heard().await.unwrap();
            match heard.event.as_str() {
                "grok-voice:state" => return ticks,
                "grok-voice:tick" => ticks += usize::from(whole(&heard)),
                _ => {}
            }
        }
    };
    let poller = async {
        let mut ticks = 0;
        while let heard = poll.heard().await
            && heard.event != "grok-voice:state"
        {
            ticks += usize::from(heard.event == "grok-voice:tick" && whole(&heard));
        }
        ticks
    };
    let (ticks, polled, ()) = tokio::join!(listener, poller, speaker);
    assert!(ticks >= 57, "{ticks} of 60");
    assert!(polled >= 45, "{polled} of 60");
}

#[tokio::test]
async fn meters_do_not_wait_for_a_slice_that_does_not_come() {
    let desk = Desk::start();
    let mut panel = desk.panel(Role::Controller).await;
    panel.ask("grok-voice:listen", json!({"on": true})).await;
    desk.tell(audio("a", None, vec![0; 480])).await;
    desk.tell(Event::Tick(tick(1.0))).await;
    desk.tell(Event::Tick(tick(2.0))).await;
    while panel.heard().await.unwrap().body["t"] != 2.0 {}
    desk.tell(Event::Tick(tick(3.0))).await;
    assert_eq!(panel.heard().await.unwrap().body["t"], 3.0);
}

fn whole(heard: &Heard) -> bool {
    let fields = ["t", "mic_dbfs", "speaker_dbfs", "speech", "erle_db", "seq"];
    fields.iter().all(|field| heard.body[field].is_number())
}

#[tokio::test]
async fn the_talk_button_is_released_when_its_holder_vanishes() {
    let mut desk = Desk::start();
    let mut panel = desk.panel(Role::Controller).await;
    let id = panel.send("grok-voice:talk", json!({"on": true})).await;
    let request = desk.obey().await;
    assert_eq!(
        (request.command, panel.answer(id).await["ok"].clone()),
        (Command::Talk { on: true }, json!(true))
    );
    drop(panel);
    let released = desk.obey().await;
    assert_eq!((released.client, released.command), (request.client, Command::Talk { on: false }));
    // Politely, and already released: nothing more to release.
    let mut panel = desk.panel(Role::Controller).await;
    for on in [true, false] {
        let id = panel.send("grok-voice:talk", json!({"on": on})).await;
        desk.obey().await;
        panel.answer(id).await;
    }
    panel.say("41").await;
    desk.live(0, SOON).await;
    assert!(desk.requests.try_recv().is_err());
}

#[tokio::test]
async fn an_interrupted_reply_leaves_nothing_in_the_queue() {
    let desk = Desk::start();
    let mut witness = desk.panel(Role::Viewer).await;
    let session = desk.pair(Role::Admin).await;
    let mut poll = Poll::connect(&desk, &session, Value::Null).await;
    poll.say(r#"421["grok-voice:listen",{"on":true}]"#).await;
    while !poll.packet().await.starts_with("431[") {}
    for _ in 0..500 {
        desk.tell(audio("a", None, vec![1; 480])).await;
    }
    desk.tell(line("a", "cut", true)).await;
    desk.tell(audio("b", None, vec![2; 480])).await;
    desk.tell(state(1)).await;
    // Only then the slow listener reads on.
    witness.wait("grok-voice:state").await;
    let mut slices = 0;
    while let slice = poll.wait("grok-voice:audio").await
        && slice.body["item"] == "a"
    {
        slices += 1;
    }
    assert!(slices <= 32, "{slices} slices of the old reply");
}

#[tokio::test]
async fn messages_of_the_wire_reach_only_those_who_inspect() {
    let traffic = |n: u32| {
        let event = json!({"type": "x", "n": n});
        Event::Traffic(Traffic { t: 1.5, dir: Direction::Sent, r#type: "x".into(), event })
    };
    let desk = Desk::start();
    desk.tell(state(1)).await;
    let mut viewer = desk.panel(Role::Viewer).await;
    let mut other = desk.panel(Role::Admin).await;
    let mut inspector = desk.panel(Role::Controller).await;
    for panel in [&mut viewer, &mut other, &mut inspector] {
        panel.wait("grok-voice:hello").await;
    }
    let refused = viewer.ask("grok-voice:inspect", json!({"on": true})).await;
    assert_eq!((&refused["code"], desk.trust.is_inspected()), (&json!("forbidden"), false));
    assert_eq!(inspector.ask("grok-voice:inspect", json!({"on": true})).await["ok"], true);
    assert!(desk.trust.is_inspected());
    desk.tell(traffic(1)).await;
    desk.tell(traffic(2)).await;
    let first = inspector.wait("grok-voice:event").await.body;
    let second = inspector.wait("grok-voice:event").await.body;
    assert_eq!((&first["t"], &first["dir"]), (&json!(1.5), &json!("sent")));
    assert_eq!((&first["type"], &first["event"]), (&json!("x"), &json!({"type": "x", "n": 1})));
    assert_eq!(second["seq"].as_u64().unwrap(), first["seq"].as_u64().unwrap() + 1);
    desk.tell(state(2)).await;
    for panel in [&mut viewer, &mut other] {
        assert_eq!(panel.heard().await.unwrap().event, "grok-voice:state");
    }
    inspector.wait("grok-voice:state").await;
    inspector.ask("grok-voice:inspect", json!({"on": false})).await;
    assert!(!desk.trust.is_inspected());
    desk.tell(traffic(3)).await;
    desk.tell(state(3)).await;
    assert_eq!(inspector.heard().await.unwrap().event, "grok-voice:state");
    // Whoever goes without a word may come back, within a minute, and misses nothing.
    inspector.ask("grok-voice:inspect", json!({"on": true})).await;
    desk.tell(traffic(4)).await;
    let last = inspector.wait("grok-voice:event").await.body["seq"].clone();
    drop(inspector);
    desk.live(2, SOON).await;
    desk.tell(traffic(5)).await;
    let mut again = desk.panel(Role::Controller).await;
    again.ask("grok-voice:inspect", json!({"on": true, "after": last})).await;
    assert_eq!(again.wait("grok-voice:event").await.body["event"]["n"], 5);
    let mut second = desk.panel(Role::Controller).await;
    second.ask("grok-voice:inspect", json!({"on": true})).await;
    assert_eq!(second.wait("grok-voice:event").await.body["event"]["n"], 4);
    drop((again, second));
    desk.live(2, SOON).await;
    assert!(desk.trust.is_inspected());
    desk.skip(Duration::from_secs(61));
    let ended = async {
        while desk.trust.is_inspected() {
            sleep(Duration::from_millis(20)).await
        }
    };
    timeout(SOON, ended).await.unwrap();
}

/// Names in the calls of `ask('name'` and `errand<Shape>('name'`.
fn asked(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices("('").filter_map(|(at, mark)| {
        let before = text[..at].rsplit_once('<').filter(|_| text[..at].ends_with('>'));
        let call = before.map_or(&text[..at], |(call, _)| call);
        let name = text[at + mark.len()..].split('\'').next();
        name.filter(|_| call.ends_with("ask") || call.ends_with("errand"))
    })
}

/// Read off the page's sources: what is not in the table is refused, and twenty of it close the socket.
#[test]
fn the_page_asks_for_what_is_in_the_table() {
    let mut folders: Vec<PathBuf> = vec![concat!(env!("CARGO_MANIFEST_DIR"), "/web/src").into()];
    let mut names = BTreeSet::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let text = std::fs::read_to_string(path).unwrap();
                names.extend(asked(&text).map(|name| format!("grok-voice:{name}")));
            }
        }
    }
    assert_eq!(names, ASKS.iter().map(|(name, _)| (*name).to_owned()).collect());
}
