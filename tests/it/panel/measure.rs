//! The cards are measured from the panel: the speaker's own desk and front end in a simulated room.

use super::desk::Desk;
use grok_speaker::base::event::Duplex;
use grok_speaker::base::ring::PeriodHead;
use grok_speaker::base::unit::{Moment, Rate, Volume};
use grok_speaker::config::{self, Sources};
use grok_speaker::dsp::sweep::sweep;
use grok_speaker::host::cards::Wanted;
use grok_speaker::host::desk::{self, Order};
use grok_speaker::host::health::Health;
use grok_speaker::host::records::Records;
use grok_speaker::host::store::Store;
use grok_speaker::panel::Trust;
use grok_speaker::panel::event::name;
use grok_speaker::panel::trust::Role;
use grok_speaker::speech::Options;
use grok_speaker::speech::chain::Chain;
use grok_speaker::speech::tape::{Deck, tape};
use grok_speaker::speech::thread::Counts;
use grok_speaker_sim::room::{Scene, Sounds, play};
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::sync::mpsc::{Receiver, channel};

const PERIOD: usize = 160;

/// A desk with the ends of what it talks to.
fn open(sets: &[&str]) -> (Desk, Receiver<Order>, Deck) {
    let folder = Desk::folder();
    let state = format!("state.directory={}", folder.display());
    let sets = sets.iter().map(|set| (*set).to_owned()).chain([state]).collect();
    let config = config::load(&Sources { sets, ..Sources::default() }).unwrap();
    let clock: grok_speaker::base::Clock = Arc::new(|| Moment::from_millis(7000));
    let records = Records::new(
        &config,
        Arc::new(Health::new(Arc::clone(&clock))),
        Arc::default(),
        Arc::default(),
        Arc::default(),
        Vec::new(),
        Arc::new(Counts::default()),
    );
    let trust = Trust::open(&folder, Arc::new(|| 1_800_000_000));
    let store = Arc::new(Store::open(&folder));
    let (orders, ordered) = channel(desk::ORDERS);
    let (deck, shelf) = tape();
    let cards = Arc::new(Wanted::new(config.audio.clone()));
    let booth = desk::Booth::new(shelf);
    let carrier =
        desk::open(desk::Desk { trust, clock, records, cards, config, store, orders, booth });
    (Desk::served(folder, |_| {}, carrier), ordered, deck)
}

/// Both cards, period by period.
struct Room {
    sounds: Sounds,
    chain: Chain,
    deck: Deck,
    at: usize,
    /// Frames lost before the next period of the microphone.
    lost: u32,
}

impl Room {
    fn new(scene: &Scene, deck: Deck) -> Self {
        let sounds = play(scene, 5, &sweep(Rate(16_000)), &[]);
        Self { sounds, chain: Chain::new(&Options::default()), deck, at: 0, lost: 0 }
    }

    /// So many periods pass; how many blocks were not silent behind the front end.
    fn pass(&mut self, periods: usize) -> usize {
        let mut heard = 0;
        for _ in 0..periods {
            let head = PeriodHead {
                at: Moment::from_micros(1_000_000 + self.at as u64 * 10_000),
                moved: Moment::ZERO,
                position: (self.at * PERIOD) as u64,
                gap: 0,
                frames: PERIOD as u32,
                rate: Rate(16_000),
                channels: 1,
                stream: 0,
            };
            let span = self.at * PERIOD..(self.at + 1) * PERIOD;
            self.at += 1;
            self.deck.turn(&mut self.chain);
            self.chain.far(&head, &self.sounds.far[span.clone()]);
            let head = PeriodHead { gap: std::mem::take(&mut self.lost), ..head };
            self.chain.near(&head, &self.sounds.mic[span], &mut |near| {
                heard += usize::from(near.block.0.iter().any(|x| *x != 0.0));
            });
        }
        self.deck.turn(&mut self.chain);
        heard
    }
}

/// Asks for a measurement in this room; `lost` frames of the microphone go missing in the middle.
async fn measured(scene: &Scene, lost: u32) -> (Value, Option<Order>, Desk) {
    let (desk, mut orders, deck) = open(&[]);
    let mut room = Room::new(scene, deck);
    let mut panel = desk.panel(Role::Admin).await;
    let id = panel.send(name::MEASURE, json!({})).await;
    // The tape is put in at once; the room's sweep begins after half a second.
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    let mut heard = room.pass(45);
    let Some(Order::Sweep(reply)) = orders.recv().await else { panic!("no sweep") };
    reply.send(Ok(Volume::new(60).unwrap())).unwrap();
    heard += room.pass(200);
    room.lost = lost;
    heard += room.pass(200);
    let answer = panel.answer(id).await;
    // A block before the tape was put in, and those after it was full.
    assert!(heard < 50, "{heard} blocks went on");
    let order = orders.try_recv().ok();
    (answer, order, desk)
}

#[tokio::test]
async fn the_panel_measures_what_is_kept_and_used_at_once() {
    let scene = Scene { delay_ms: 120.0, noise_db: 40.0, ..Scene::default() };
    let (answer, order, desk) = measured(&scene, 0).await;
    let data = &answer["data"];
    assert_eq!((&answer["ok"], &data["duplex"]), (&json!(true), &json!("full")), "{answer}");
    assert!((data["delay_ms"].as_f64().unwrap() - 120.0).abs() < 6.0, "{answer}");
    assert_eq!((&data["channels"], &data["wrong"]), (&json!(["alive"]), &json!([])));
    let Some(Order::Measured(known, Duplex::Full)) = order else { panic!("{order:?}") };
    assert!(known.path.is_some() && known.delay.unwrap().as_millis().abs_diff(120) < 6);
    let names = std::fs::read_dir(&desk.dir).unwrap().map(|e| e.unwrap().file_name());
    let names: Vec<String> = names.map(|name| name.to_string_lossy().into_owned()).collect();
    for (begin, end) in [("sound-", ".json"), ("echo-", ".path")] {
        let kept = names.iter().filter(|n| n.starts_with(begin) && n.ends_with(end));
        assert_eq!(kept.count(), 1, "{names:?}");
    }
}

#[tokio::test]
async fn nothing_is_said_of_a_recording_with_a_gap() {
    let (answer, order, _) = measured(&Scene::default(), 80).await;
    assert_eq!(answer["code"], "gaps", "{answer}");
    assert!(order.is_none());
}

#[tokio::test]
async fn a_file_is_no_room() {
    let (desk, _orders, _deck) = open(&["audio.input=null"]);
    let mut panel = desk.panel(Role::Admin).await;
    assert_eq!(panel.ask(name::MEASURE, json!({})).await["code"], "no_card");
    let mut viewer = desk.panel(Role::Controller).await;
    assert_eq!(viewer.ask(name::MEASURE, json!({})).await["code"], "forbidden");
}
