//! Health, log and support bundle, carried out by the speaker's own desk.

use super::desk::Desk;
use grok_speaker::base::event::{Fault, Scene, Side};
use grok_speaker::base::secret::Secret;
use grok_speaker::base::unit::{Moment, Volume};
use grok_speaker::config::{self, Sources};
use grok_speaker::host::cards::Wanted;
use grok_speaker::host::counters::Counters;
use grok_speaker::host::health::Health;
use grok_speaker::host::logbook::Logbook;
use grok_speaker::host::records::Records;
use grok_speaker::host::store::Store;
use grok_speaker::host::vitals::Vitals;
use grok_speaker::host::{desk, redact};
use grok_speaker::panel::Trust;
use grok_speaker::panel::event::{Event, State, Turn, name};
use grok_speaker::panel::trust::Role;
use grok_speaker::speech::tape::tape;
use grok_speaker::speech::thread::Counts;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// As an owner would have it who put it where it does not belong.
const KEY: &str = "xai-TESTSECRET-0123456789";
const PERSONAL: &str = "You live with Ada and Max in Graz.";

/// What the main thread would hold.
struct House {
    desk: Desk,
    vitals: Arc<Vitals>,
    book: Arc<Logbook>,
    counters: Arc<Counters>,
}

impl House {
    fn new() -> Self {
        let folder = Desk::folder();
        let sets = vec![
            format!("grok.instructions={PERSONAL}"),
            format!("panel.hosts=[\"{KEY}.lan\"]"),
            format!("state.directory={}", folder.display()),
        ];
        let config = config::load(&Sources { sets, ..Sources::default() }).unwrap();
        let clock: grok_speaker::base::Clock = Arc::new(|| Moment::from_millis(7000));
        let (vitals, book, counters) = <(Arc<Vitals>, Arc<Logbook>, Arc<Counters>)>::default();
        let health = Arc::new(Health::new(Arc::clone(&clock)));
        health.tell(Ok(()));
        let records = Records::new(
            &config,
            health,
            Arc::clone(&counters),
            Arc::clone(&vitals),
            Arc::clone(&book),
            vec!["capture: normal priority".to_owned()],
            Arc::new(Counts::default()),
        );
        let trust = Trust::open(&folder, Arc::new(|| 1_800_000_000));
        let store = Arc::new(Store::open(&folder));
        let orders = tokio::sync::mpsc::channel(desk::ORDERS).0;
        let cards = Arc::new(Wanted::new(config.audio.clone()));
        let booth = desk::Booth::new(tape().1);
        let carrier =
            desk::open(desk::Desk { trust, clock, records, cards, config, store, orders, booth });
        let desk = Desk::served(folder, |_| {}, carrier);
        Self { desk, vitals, book, counters }
    }
}

async fn data(house: &House, role: Role, event: &str, payload: Value) -> Value {
    let mut panel = house.desk.panel(role).await;
    let answer = panel.ask(event, payload).await;
    assert_eq!(answer["ok"], true, "{event}: {answer}");
    answer["data"].clone()
}

#[tokio::test]
async fn health_is_for_everybody_and_says_only_what_is_known() {
    let house = House::new();
    let health = data(&house, Role::Viewer, name::HEALTH, json!({})).await;
    assert_eq!((&health["word"], &health["up_s"]), (&json!("ok"), &json!(7)));
    assert_eq!(health["sound"], json!({"overruns": 0, "underruns": 0, "clipped": 0}));
    assert_eq!(health["service"], json!({"online": false, "reconnects": 0}));
    assert_eq!(health["threads"], json!(["capture: normal priority"]));
    house.counters.xruns(Side::Capture, 2);
    house.counters.reconnects.add("dropped", 1);
    let words = "Some Card, 48000 Hz".to_owned();
    house.vitals.fault(&Fault::CardReady { side: Side::Capture, words: words.clone() });
    let health = data(&house, Role::Viewer, name::HEALTH, json!({})).await;
    assert_eq!(
        health["sound"],
        json!({"input": words, "overruns": 2, "underruns": 0, "clipped": 0})
    );
    assert_eq!(health["service"]["reconnects"], 1);
    if cfg!(target_os = "linux") {
        assert!(health["device"]["memory"]["own"].as_u64() > Some(1 << 20), "{health}");
        assert!(health["device"]["disk"]["total"].as_u64() > Some(0), "{health}");
    }
}

#[tokio::test]
async fn the_log_is_told_once_and_to_admins_only() {
    let house = House::new();
    for (level, text) in [(log::Level::Info, "one"), (log::Level::Warn, "two")] {
        house.book.write(1_000_000, level, "host", text.to_owned());
    }
    let all = data(&house, Role::Admin, name::LOGS, json!({})).await;
    let line = json!({"n": 2, "at": 1000, "level": "warn", "room": "host", "text": "two"});
    assert_eq!((all["lines"].as_array().unwrap().len(), &all["lines"][1]), (2, &line));
    let payload = json!({"after": 0, "level": "warn"});
    assert_eq!(data(&house, Role::Admin, name::LOGS, payload).await["lines"], json!([line]));
    let none = data(&house, Role::Admin, name::LOGS, json!({"after": all["next"]})).await;
    assert_eq!(none, json!({"lines": [], "next": 2, "more": false}));
    for event in [name::LOGS, name::BUNDLE] {
        let mut controller = house.desk.panel(Role::Controller).await;
        assert_eq!(controller.ask(event, json!({})).await["code"], "forbidden", "{event}");
    }
}

/// A27: neither the key nor anything personal, wherever it came from.
#[tokio::test]
async fn a27_a_support_bundle_helps_and_tells_no_secret() {
    let house = House::new();
    redact::hide(&Secret::new("a registered word").unwrap());
    let words = format!("Card of {KEY}, a registered word");
    house.vitals.fault(&Fault::CardReady { side: Side::Playout, words });
    let marks = BTreeMap::from([("first_audio".to_owned(), 640)]);
    let turn = Turn { turn: 1, marks, cost: 0.5, reason: "completed".to_owned() };
    house.vitals.event(&Event::Turn(turn.clone()));
    house.counters.turns.add(KEY, 1);
    let bundle = data(&house, Role::Admin, name::BUNDLE, json!({})).await;
    let text = bundle.to_string();
    for secret in [KEY, "TESTSECRET", PERSONAL, "Ada", "a registered word"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    assert_eq!(bundle["turns"], json!([turn]));
    assert_eq!(bundle["health"]["sound"]["output"], "Card of ***, ***");
    assert_eq!(bundle["board"]["name"], "generic");
    assert!(bundle["metrics"].as_str().unwrap().contains("grok_speaker_turns_total"), "{text}");
    let config = bundle["config"].as_array().unwrap();
    let holds = |key: &str| {
        let setting = config.iter().find(|setting| setting["key"] == key).unwrap();
        (setting["value"].as_str().unwrap(), setting["place"].as_str())
    };
    let length = format!("({} characters)", PERSONAL.len());
    assert_eq!(holds("grok.instructions"), (length.as_str(), Some("--set grok.instructions")));
    assert_eq!(holds("grok.voice"), ("\"eve\"", None));
    // And what is chosen while it runs.
    let sets = vec!["grok.voice=rex".to_owned()];
    let chosen = config::load(&Sources { sets, ..Sources::default() }).unwrap();
    house.vitals.configured(chosen.in_force.0);
    let bundle = data(&house, Role::Admin, name::BUNDLE, json!({})).await;
    let voice = bundle["config"].as_array().unwrap().iter().find(|s| s["key"] == "grok.voice");
    assert_eq!(voice.unwrap()["value"], "\"rex\"");
}

/// The state of a speaker that does this.
fn doing(state: Scene, muted: bool) -> Event {
    Event::State(State {
        state,
        volume: Volume::new(50).unwrap(),
        muted,
        online: true,
        mode: String::new(),
        voice: String::new(),
        model: String::new(),
        trouble: String::new(),
        settings: 0,
        barge_in: String::new(),
        name: String::new(),
    })
}

#[tokio::test]
async fn no_microphone_is_recorded_muted_or_in_a_turn_and_a_mute_ends_it() {
    let house = House::new();
    let mut panel = house.desk.panel(Role::Admin).await;
    let payload = || json!({"seconds": 3});
    for (scene, muted, code) in [
        (Scene::Muted, true, "muted"),
        (Scene::Speaking, true, "muted"),
        (Scene::Listening, false, "busy"),
        (Scene::Thinking, false, "busy"),
    ] {
        house.vitals.event(&doing(scene, muted));
        assert_eq!(panel.ask(name::RECORD, payload()).await["code"], code, "{scene:?}");
        assert_eq!(panel.ask(name::MEASURE, json!({})).await["code"], code, "{scene:?}");
    }
    house.vitals.event(&doing(Scene::Asleep, false));
    let first = panel.send(name::RECORD, payload()).await;
    assert_eq!(panel.ask(name::RECORD, payload()).await["code"], "busy", "one at a time");
    assert_eq!(panel.ask(name::MEASURE, json!({})).await["code"], "busy", "one at a time");
    house.vitals.event(&doing(Scene::Muted, true));
    assert_eq!(panel.answer(first).await["code"], "muted");
    let gone = panel.ask(name::RECORDING, json!({"id": 1, "part": 0})).await;
    assert_eq!(gone["code"], "gone");
}
