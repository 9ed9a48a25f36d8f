//! A small world: a person, a speaker, a service, one seed.

use crate::person::Person;
use crate::seed::Seed;
use crate::service::{Happening, Mood, Service};
use crate::stage::{Stage, policy};
use grok_speaker::base::event::Scene;
use grok_speaker::base::event::Wire;
use grok_speaker::base::unit::Moment;
use grok_speaker::conversation::{Gate, Input, Mode, Output};

/// The world.
pub struct World {
    /// The speaker and its checks.
    pub stage: Stage,
    /// The service.
    pub service: Service,
    person: Person,
    again: Option<String>,
    events: u64,
    /// A running digest of everything that was asked: the same seed gives the same.
    pub digest: u64,
}

impl World {
    /// Everything follows from the seed: mode, gate, moods, doings.
    pub fn new(seed: u64) -> Self {
        let mut dice = Seed::new(seed);
        let mode =
            [Mode::Open, Mode::Push, Mode::Wake][usize::try_from(dice.between(0, 3)).unwrap_or(0)];
        let mut numbers = policy(mode);
        if mode == Mode::Open && dice.once_in(3) {
            numbers.gate = Gate::Always;
        }
        let mut mood = || if dice.once_in(2) { dice.between(2, 12) } else { 0 };
        let mood = Mood {
            refuse: mood(),
            drop: mood(),
            duplicate: mood(),
            no_done: mood(),
            mute: mood(),
            congest: mood() * 20,
            garbage: mood(),
        };
        let mut service = Service::new(Seed::new(dice.bits()));
        service.mood = mood;
        let mut stage = Stage::new(numbers, seed);
        stage.keep = false;
        stage.sparse = 20;
        Self {
            stage,
            service,
            person: Person::new(Seed::new(dice.bits()), mode),
            again: None,
            events: 0,
            digest: seed,
        }
    }

    /// A world in which nobody is in a hurry and nothing is kept: for long times.
    pub fn calm(seed: u64) -> Self {
        let mut world = Self::new(seed);
        world.person.pause = 600;
        world.stage.sparse = 50;
        world
    }

    /// Lives until then.
    pub fn live(&mut self, seconds: u64) {
        let end = Moment::from_millis(seconds * 1000);
        while self.stage.now < end {
            let now = self.stage.now;
            let person = self.person.next(now);
            self.step(person.min(end));
            if person <= self.stage.now {
                self.person.act(&mut self.stage);
                self.exchange();
            }
        }
    }

    /// To the next thing that happens, but not beyond `limit`.
    fn step(&mut self, limit: Moment) {
        let mut next = self.stage.next().min(limit);
        if let Some(service) = self.service.next() {
            next = next.min(service);
        }
        self.stage.go(next);
        self.exchange();
        self.service.settle(self.stage.now);
        while let Some(happening) = self.service.due(self.stage.now) {
            self.happen(happening);
            self.exchange();
        }
    }

    fn exchange(&mut self) {
        for output in self.stage.fresh() {
            let shape = match &output {
                Output::Play { epoch, tag, samples } => {
                    format!("{} {epoch:?} {tag:?} {}", self.stage.now, samples.len())
                }
                Output::Transmit(Wire::Text(text)) => format!("{} {text}", self.stage.now),
                other => format!("{} {other:?}", self.stage.now),
            };
            for byte in shape.bytes() {
                self.digest = (self.digest ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3);
            }
            self.service.take(self.stage.now, &output);
        }
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Link(link) => self.stage.feed(Input::Link(link)),
            Happening::Event(value) => {
                if value["type"] == "response.output_audio.delta" {
                    let bytes = value["delta"].as_str().unwrap_or_default().len() as u64 * 3 / 4;
                    let item = value["item_id"].as_str().unwrap_or_default();
                    self.stage.checks.received(item, bytes / 48 + 1);
                }
                self.events += 1;
                let text = crate::event::stamped(self.events, value);
                self.again = Some(text.clone());
                self.stage.feed(Input::Message(Wire::Text(text)));
            }
            Happening::Again => {
                if let Some(text) = self.again.clone() {
                    self.stage.feed(Input::Message(Wire::Text(text)));
                }
            }
        }
    }

    /// Everybody goes away and the service is well: it must come to rest.
    ///
    /// # Panics
    /// When it does not.
    pub fn come_to_rest(&mut self) {
        let now = self.stage.now;
        self.service.mood = Mood::default();
        self.stage.sparse = 100;
        self.stage.voice(grok_speaker::base::event::Voice::Quiet);
        let end = now.millis() + 240_000;
        while self.stage.now.millis() < end {
            self.step(Moment::from_millis(end));
        }
        let scene = self.stage.checks.scene();
        assert!(matches!(scene, Scene::Asleep | Scene::Muted), "{now}: rests as {scene:?}");
    }
}
