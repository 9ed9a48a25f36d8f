//! What must hold at every step, whatever happens. A broken rule is a panic with its words.

use grok_speaker::base::event::{Link, PlayoutFact, Scene, Tag, Voice, Wire};
use grok_speaker::base::ring::Epoch;
use grok_speaker::base::unit::Moment;
use grok_speaker::conversation::{Input, Output};
use grok_speaker::panel::event::Event;
use std::collections::BTreeMap;

/// Outputs that may wait after one input: a burst of sound and what goes with it.
const QUEUE: usize = 400;

/// The checkers' memory.
#[derive(Debug)]
pub struct Checks {
    scene: Scene,
    scene_before: Scene,
    appended: bool,
    muted: bool,
    ready: bool,
    dialled: bool,
    epoch: Epoch,
    sent: BTreeMap<Tag, u64>,
    heard: BTreeMap<Tag, u64>,
    ended: Vec<Tag>,
    turn: u32,
    outputs: usize,
    last_dials: Vec<Moment>,
    received: BTreeMap<String, u64>,
    person: bool,
    /// The link behaves as it likes: what depends on its order is not checked.
    pub forgiving: bool,
    /// How many turns were reported.
    pub turns: u32,
    /// How many of them were completed.
    pub completed: u32,
    /// Speech chunks that left.
    pub chunks: u64,
}

impl Default for Checks {
    fn default() -> Self {
        Self::new()
    }
}

impl Checks {
    /// At the beginning.
    pub fn new() -> Self {
        Self {
            scene: Scene::Asleep,
            scene_before: Scene::Asleep,
            appended: false,
            muted: false,
            ready: false,
            dialled: false,
            epoch: Epoch(0),
            sent: BTreeMap::new(),
            heard: BTreeMap::new(),
            ended: Vec::new(),
            turn: 0,
            outputs: 0,
            last_dials: Vec::new(),
            received: BTreeMap::new(),
            person: false,
            forgiving: false,
            turns: 0,
            completed: 0,
            chunks: 0,
        }
    }

    /// Before an input is handled.
    pub fn input(&mut self, _now: Moment, input: &Input) {
        self.outputs = 0;
        self.appended = false;
        self.scene_before = self.scene;
        match input {
            Input::Playout(PlayoutFact::Heard { tag, samples }) => {
                self.heard.insert(*tag, *samples);
            }
            Input::Link(Link::Up) => self.ready = false,
            Input::Link(Link::Failed { .. } | Link::Lost { .. }) => {
                self.ready = false;
                self.dialled = false;
            }
            Input::Link(Link::Congested | Link::Clear) => {}
            Input::Message(Wire::Text(text)) if text.contains("\"session.updated\"") => {
                self.ready = true;
            }
            Input::Hand(_) | Input::Panel(_) | Input::Fault(_) => self.person = true,
            Input::Near(near) => {
                if near.voice != Voice::Quiet || near.wake.is_some() {
                    self.person = true;
                }
            }
            Input::Playout(_)
            | Input::Message(_)
            | Input::Duplex(_)
            | Input::Wall(_)
            | Input::Place(_)
            | Input::Policy(_)
            | Input::Tick
            | Input::Stop => {}
        }
    }

    /// Each output as it comes.
    pub fn output(&mut self, now: Moment, output: &Output) {
        self.outputs += 1;
        assert!(self.outputs <= QUEUE, "{now}: outputs are bounded");
        match output {
            Output::Transmit(wire) => self.transmit(now, wire),
            Output::Dial(_) => {
                assert!(!self.dialled || self.forgiving, "{now}: one connection at a time");
                self.dialled = true;
                self.dial(now);
            }
            Output::HangUp => {
                self.dialled = false;
                self.ready = false;
            }
            Output::Play { epoch, tag, samples } => {
                assert!(*epoch >= self.epoch, "{now}: nothing old is played after a flush");
                assert!(!self.ended.contains(tag), "{now}: nothing follows the end of t{}", tag.0);
                *self.sent.entry(*tag).or_default() += samples.len() as u64;
            }
            Output::PlayEnd { tag, .. } => {
                assert!(!self.ended.contains(tag), "{now}: t{} ends once", tag.0);
                self.ended.push(*tag);
                if self.ended.len() > 64 {
                    self.ended.remove(0);
                }
            }
            Output::Flush(epoch) => {
                assert!(*epoch > self.epoch, "{now}: epochs grow");
                self.epoch = *epoch;
            }
            Output::Show(scene) => {
                assert!(*scene != self.scene || *scene == Scene::Asleep, "{now}: told once");
                self.scene = *scene;
            }
            Output::Store(settings) => self.muted = settings.muted,
            Output::Publish(Event::Turn(turn)) => {
                assert_eq!(turn.turn, self.turn + 1, "{now}: every turn is reported once");
                self.turn = turn.turn;
                self.turns += 1;
                self.completed += u32::from(turn.reason == "completed");
                assert!(turn.cost >= 0.0 && turn.cost < 1.0, "{now}: cost {}", turn.cost);
            }
            Output::Publish(_)
            | Output::Duck(_)
            | Output::SetVolume(_)
            | Output::Sound(_)
            | Output::Ready
            | Output::Invite
            | Output::Log { .. } => {}
        }
    }

    fn transmit(&mut self, now: Moment, wire: &Wire) {
        let (append, text) = match wire {
            Wire::Binary(_) => (true, ""),
            Wire::Text(text) => (text.contains("input_audio_buffer.append"), text.as_str()),
        };
        let configuration = text.contains("\"session.update\"");
        assert!(self.dialled || self.forgiving, "{now}: nothing is sent without a connection");
        assert!(
            self.ready || configuration || self.forgiving,
            "{now}: nothing before session.updated: {text:.60}"
        );
        if append {
            self.chunks += 1;
            self.appended = true;
            assert!(!self.muted, "{now}: nothing leaves while muted");
        }
        if text.contains("conversation.item.truncate") {
            let event: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
            let item = event["item_id"].as_str().unwrap_or_default().to_owned();
            let ms = event["audio_end_ms"].as_u64().unwrap_or(u64::MAX);
            if let Some(received) = self.received.get(&item) {
                assert!(ms <= *received, "{now}: cut {item} at {ms} of {received} ms");
            }
        }
    }

    /// Without a person's doing the tenth last dialling is long ago.
    fn dial(&mut self, now: Moment) {
        if std::mem::take(&mut self.person) {
            self.last_dials.clear();
        }
        self.last_dials.push(now);
        if self.last_dials.len() > 10 {
            let first = self.last_dials.remove(0);
            let span = (now - first).as_secs();
            assert!(span >= 45 || self.forgiving, "{now}: ten diallings in {span} s");
        }
    }

    /// The simulated service says how much of an item it has sent.
    pub fn received(&mut self, item: &str, ms: u64) {
        *self.received.entry(item.to_owned()).or_default() += ms;
    }

    /// After an input.
    pub fn after(&mut self, now: Moment) {
        for (tag, heard) in &self.heard {
            let sent = self.sent.get(tag).copied().unwrap_or(0);
            assert!(*heard <= sent, "{now}: t{}: heard {heard} of {sent}", tag.0);
        }
        while self.heard.len() > 32 {
            self.heard.pop_first();
        }
        while self.sent.len() > 64 {
            self.sent.pop_first();
        }
        let asleep = self.scene == Scene::Asleep && self.scene_before == Scene::Asleep;
        assert!(!(self.appended && asleep), "{now}: nothing leaves while asleep");
    }

    /// The scene that shows.
    pub fn scene(&self) -> Scene {
        self.scene
    }
}
