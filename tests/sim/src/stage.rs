//! A conversation with a microphone and a speaker in virtual time; the service is up to the caller.

use crate::card::Card;
use crate::check::Checks;
use crate::event;
use grok_speaker::base::event::{Link, Near, Trouble, Voice, Wire};
use grok_speaker::base::pcm::{BLOCK_MS, Block};
use grok_speaker::base::unit::{Db, Moment, Rate, Score, Volume};
use grok_speaker::conversation::journal::Scribe;
use grok_speaker::conversation::{
    BargeIn, Conversation, Gate, Input, Mode, Output, Policy, Settings, Spent,
};
use grok_speaker::grok::session::{Options, Transport};
use serde_json::Value;
use std::time::Duration;

/// The usual numbers.
pub fn policy(mode: Mode) -> Policy {
    Policy {
        mode,
        gate: Gate::Speech,
        barge_in: BargeIn::Auto,
        linger: Duration::from_secs(6),
        hang_up_after: Some(Duration::from_secs(30)),
        price_per_minute: 0.08,
        price_per_text: 0.004,
        budget_per_day: 0.0,
        name: String::new(),
        session: Options {
            model: "grok-voice-latest".into(),
            voice: "eve".into(),
            instructions: "Be brief.".into(),
            language: "auto".into(),
            reasoning: "high".into(),
            transport: Transport::Json,
            input_rate: Rate(16_000),
            output_rate: Rate(24_000),
            life: Duration::from_secs(25 * 60),
        },
    }
}

/// The usual settings.
pub fn settings() -> Settings {
    let volume = Volume::try_from(60).unwrap_or_else(|_| unreachable!("60 is a volume"));
    Settings { volume, muted: false, spent: Spent::default() }
}

/// The stage.
pub struct Stage {
    /// What is tested.
    pub conversation: Conversation,
    /// The speaker.
    pub card: Card,
    /// What the world demands at every step.
    pub checks: Checks,
    /// Everything that was asked, with its time.
    pub outputs: Vec<(Moment, Output)>,
    /// The transcript so far.
    pub lines: Vec<String>,
    /// Whether outputs and lines are kept.
    pub keep: bool,
    /// Whether inputs are kept.
    pub record: bool,
    /// They.
    pub recorded: Vec<(Moment, Input)>,
    /// The time.
    pub now: Moment,
    /// The numbers of the moment.
    pub policy: Policy,
    scribe: Scribe,
    voice: Voice,
    wake: bool,
    /// Microphone level when nobody speaks, and when somebody does.
    pub levels: (f32, f32),
    /// Speaker level at the microphone's reference while it plays.
    pub far: f32,
    next_block: Moment,
    /// Blocks come from somebody else.
    pub deaf: bool,
    /// One block is heard in this many; the rest of the silence is left out.
    pub sparse: u64,
    events: u64,
    fresh: Vec<Output>,
}

impl Stage {
    /// With these numbers.
    pub fn new(policy: Policy, seed: u64) -> Self {
        Self::with(policy, settings(), seed)
    }

    /// With what an earlier run kept, too.
    pub fn with(policy: Policy, settings: Settings, seed: u64) -> Self {
        Self {
            policy: policy.clone(),
            card: Card::new(policy.session.output_rate),
            checks: Checks::new(),
            conversation: Conversation::new(policy, settings, seed),
            outputs: Vec::new(),
            lines: Vec::new(),
            keep: true,
            record: false,
            recorded: Vec::new(),
            now: Moment::ZERO,
            scribe: Scribe::default(),
            voice: Voice::Quiet,
            wake: false,
            levels: (-70.0, -25.0),
            far: -20.0,
            next_block: Moment::ZERO,
            deaf: false,
            sparse: 1,
            events: 0,
            fresh: Vec::new(),
        }
    }

    /// One input, and everything that follows from it.
    pub fn feed(&mut self, input: Input) {
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            if self.keep {
                self.lines.extend(self.scribe.input(self.now, &input));
            }
            self.checks.input(self.now, &input);
            if self.record {
                self.recorded.push((self.now, input.clone()));
            }
            self.conversation.handle(self.now, input);
            while let Some(output) = self.conversation.poll() {
                self.checks.output(self.now, &output);
                if self.keep {
                    self.lines.extend(self.scribe.output(self.now, &output));
                }
                inputs.extend(self.card.take(self.now, &output).into_iter().map(Input::Playout));
                if self.keep {
                    self.outputs.push((self.now, output.clone()));
                }
                self.fresh.push(output);
            }
            self.checks.after(self.now);
        }
    }

    /// What was asked since the last call.
    pub fn fresh(&mut self) -> Vec<Output> {
        std::mem::take(&mut self.fresh)
    }

    /// When something happens next by itself.
    pub fn next(&self) -> Moment {
        let deadline = self.conversation.deadline().map_or(self.next_block, |(at, _)| at);
        self.next_block.min(deadline.max(self.now))
    }

    /// Goes to a moment that is not after [`Stage::next`], and lets happen what is due.
    pub fn go(&mut self, to: Moment) {
        self.now = to.max(self.now);
        for fact in self.card.advance(self.now) {
            self.feed(Input::Playout(fact));
        }
        if self.now >= self.next_block && !self.deaf {
            let near = self.near();
            self.feed(Input::Near(near));
            let idle = self.voice == Voice::Quiet && !self.card.is_playing();
            let blocks = if idle { self.sparse } else { 1 };
            self.next_block = self.now + Duration::from_millis(BLOCK_MS * blocks);
        }
        if self.conversation.deadline().is_some_and(|(at, _)| at <= self.now) {
            self.feed(Input::Tick);
        }
    }

    /// Lets time pass.
    pub fn run_to(&mut self, ms: u64) {
        let end = Moment::from_millis(ms);
        while self.now < end {
            self.go(self.next().min(end));
        }
    }

    /// Lets time pass from now.
    pub fn run(&mut self, ms: u64) {
        self.run_to(self.now.millis() + ms);
    }

    fn near(&mut self) -> Near {
        // The sound itself says loud or not, so that a service may detect turns in it.
        let (score, level, sample) = match self.voice {
            Voice::Quiet => (0.02, self.levels.0, 0.001),
            Voice::Maybe => (0.6, self.levels.1, 0.1),
            Voice::Likely | Voice::Talking => (0.95, self.levels.1, 0.1),
        };
        Near {
            at: self.now,
            block: Block([sample; 160]),
            speech: Score(score),
            voice: self.voice,
            wake: std::mem::take(&mut self.wake).then_some(Score(0.9)),
            mic: Db(level),
            far: if self.card.is_playing() { Db(self.far) } else { Db::SILENCE },
            erle: Db(0.0),
        }
    }

    /// From here on the detector says this.
    pub fn voice(&mut self, voice: Voice) {
        self.voice = voice;
        self.next_block = self.next_block.min(self.now + Duration::from_millis(BLOCK_MS));
    }

    /// Somebody speaks for so long, with a first sign of 100 ms.
    pub fn speak(&mut self, ms: u64) {
        self.voice(Voice::Maybe);
        self.run(100);
        self.voice(Voice::Talking);
        self.run(ms);
        self.voice(Voice::Quiet);
    }

    /// A wake word ends in the next block.
    pub fn wake(&mut self) {
        self.wake = true;
    }

    /// The service says this, under a new event id.
    pub fn service(&mut self, event: Value) {
        self.events += 1;
        let text = event::stamped(self.events, event);
        self.feed(Input::Message(Wire::Text(text)));
    }

    /// The service says this, literally.
    pub fn raw(&mut self, text: &str) {
        self.feed(Input::Message(Wire::Text(text.to_owned())));
    }

    /// The link comes up and the service accepts the configuration.
    pub fn connect(&mut self) {
        self.feed(Input::Link(Link::Up));
        for event in event::greeting("c1") {
            self.service(event);
        }
        self.service(event::updated());
    }

    /// The link is gone.
    pub fn lose(&mut self) {
        let words = "The link was lost.".to_owned();
        self.feed(Input::Link(Link::Lost { trouble: Trouble::Dropped, code: None, words }));
    }

    /// Dialling failed.
    pub fn refuse(&mut self, trouble: Trouble, status: Option<u16>) {
        let words = format!("Refused: {trouble:?}");
        self.feed(Input::Link(Link::Failed { trouble, status, retry_after: None, words }));
    }

    /// A whole reply: created, sound, words, done.
    pub fn reply(&mut self, response: &str, item: &str, ms: usize) {
        self.service(event::created(response));
        self.service(event::sound(response, item, &vec![100; ms * 24]));
        self.service(event::words(response, item, "Hello there."));
        self.service(event::sound_done(response, item));
        self.service(event::done(response, "completed"));
    }

    /// The transcript, finished.
    pub fn transcript(&mut self) -> String {
        let mut lines = std::mem::take(&mut self.lines);
        while let Some(line) = self.scribe.end() {
            lines.push(line);
        }
        lines.push(String::new());
        lines.join("\n")
    }

    /// The `type` of everything that was sent to the service.
    pub fn sent(&self) -> Vec<String> {
        self.sent_events().iter().map(|e| e["type"].as_str().unwrap_or("").to_owned()).collect()
    }

    /// Everything that was sent to the service as JSON.
    pub fn sent_events(&self) -> Vec<Value> {
        self.outputs
            .iter()
            .filter_map(|(_, output)| match output {
                Output::Transmit(Wire::Text(text)) => serde_json::from_str(text).ok(),
                _ => None,
            })
            .collect()
    }

    /// How often an event of this type was sent.
    pub fn count(&self, kind: &str) -> usize {
        self.sent().iter().filter(|k| *k == kind).count()
    }

    /// Samples that were handed to playout.
    pub fn played(&self) -> Vec<i16> {
        self.outputs
            .iter()
            .filter_map(|(_, output)| match output {
                Output::Play { samples, .. } => Some(samples.clone()),
                _ => None,
            })
            .flatten()
            .collect()
    }

    /// The turns that were reported: number and reason.
    pub fn turns(&self) -> Vec<(u32, String)> {
        use grok_speaker::panel::event::Event;
        self.outputs
            .iter()
            .filter_map(|(_, output)| match output {
                Output::Publish(Event::Turn(turn)) => Some((turn.turn, turn.reason.clone())),
                _ => None,
            })
            .collect()
    }
}
