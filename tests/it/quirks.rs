//! The speaker through conversations with the stand-in, in virtual time: by default, with each
//! quirk of the service switched on, and with each switched off. What is asked is the same every
//! time, so is what must come of it.

use grok_speaker::base::event::{Link, Voice};
use grok_speaker::conversation::{BargeIn, Gate, Input, Mode, Output, Policy};
use grok_speaker::panel::event::{Event, Severity, Speaker};
use grok_speaker::standin::{Clockless, QUIRKS};
use grok_speaker_sim::script::act;
use grok_speaker_sim::stage::{Stage, policy};
use std::collections::{BTreeMap, BTreeSet};

/// A person, a speaker and the stand-in.
struct Talk {
    stage: Stage,
    service: Clockless,
    faults: String,
}

impl Talk {
    fn new(numbers: Policy, faults: &[&str], said: &[&str]) -> Self {
        let list: Vec<_> = faults.iter().map(|f| f.parse().unwrap()).collect();
        let said = said.iter().map(|s| (*s).to_owned()).collect();
        let mut talk = Self {
            stage: Stage::new(numbers, 1),
            service: Clockless::new(&list, said),
            faults: faults.join(" "),
        };
        talk.run(1500);
        talk
    }

    fn run(&mut self, ms: u64) {
        let end = self.stage.now + std::time::Duration::from_millis(ms);
        while self.stage.now < end {
            let next = self.stage.next().min(end);
            let next = self.service.deadline().map_or(next, |at| next.min(at));
            self.stage.go(next);
            self.exchange();
        }
    }

    fn exchange(&mut self) {
        loop {
            for output in self.stage.fresh() {
                if let Output::Dial(dial) = output {
                    self.service.connect(self.stage.now, &dial.query);
                    self.stage.feed(Input::Link(Link::Up));
                } else if output == Output::HangUp {
                    self.service.leave(self.stage.now);
                } else if let Output::Transmit(wire) = output {
                    self.service.hear(self.stage.now, &wire);
                }
            }
            let said: Vec<_> = std::iter::from_fn(|| self.service.say(self.stage.now)).collect();
            if said.is_empty() {
                return;
            }
            said.into_iter().for_each(|wire| self.stage.feed(Input::Message(wire)));
        }
    }

    fn step(&mut self, step: &str) {
        act(&mut self.stage, step).unwrap_or_else(|| panic!("not understood: {step}"));
        self.exchange();
    }

    /// Somebody speaks for so long.
    fn speak(&mut self, ms: u64) {
        self.stage.voice(Voice::Maybe);
        self.run(100);
        self.stage.voice(Voice::Talking);
        self.run(ms);
        self.stage.voice(Voice::Quiet);
    }

    fn push(&mut self, ms: u64) {
        self.step("press");
        self.speak(ms);
        self.step("release");
    }

    /// Until so many turns are over.
    fn turn(&mut self, number: usize) {
        for _ in 0..600 {
            if self.stage.turns().len() >= number {
                return self.run(500);
            }
            self.run(100);
        }
        panic!("{}: turn {number} does not end: {:?}", self.faults, self.stage.turns());
    }

    /// Until the reply sounds, and a second more.
    fn sounds(&mut self) {
        let plays = |talk: &Self| {
            let is_play = |o: &&(_, Output)| matches!(o.1, Output::Play { .. });
            talk.stage.outputs.iter().filter(is_play).count()
        };
        let before = plays(self);
        for _ in 0..300 {
            if plays(self) > before {
                return self.run(1000);
            }
            self.run(100);
        }
        panic!("{}: no reply sounds", self.faults);
    }

    fn reasons(&self) -> Vec<String> {
        self.stage.turns().into_iter().map(|(_, reason)| reason).collect()
    }

    /// The lines as a panel has them at the end: text, and whether it stands.
    fn lines(&self, who: Speaker) -> Vec<(String, bool)> {
        let mut order = Vec::new();
        let mut lines = BTreeMap::new();
        for (_, output) in &self.stage.outputs {
            if let Output::Publish(Event::Transcript(line)) = output
                && line.role == who
            {
                if !order.contains(&line.item) {
                    order.push(line.item.clone());
                }
                lines.insert(line.item.clone(), (line.text.clone(), line.r#final));
            }
        }
        order.iter().map(|item| lines[item].clone()).collect()
    }

    /// The words of a reply grow, each once.
    fn grows(&self, whole: &str) {
        for (_, output) in &self.stage.outputs {
            if let Output::Publish(Event::Transcript(line)) = output
                && line.role == Speaker::Assistant
                && line.text.starts_with(&whole[..8])
            {
                assert!(whole.starts_with(&line.text), "{}: {}", self.faults, line.text);
            }
        }
    }

    /// Nobody had reason to complain.
    fn peaceful(&self) {
        let complaints: Vec<_> = self
            .stage
            .outputs
            .iter()
            .filter_map(|(at, output)| {
                let Output::Log { level, message, .. } = output else { return None };
                (*level != Severity::Info).then(|| format!("{at}: {message}"))
            })
            .collect();
        assert_eq!(complaints, Vec::<String>::new(), "{}", self.faults);
        assert_eq!(self.service.report().violations, BTreeMap::new(), "{}", self.faults);
    }
}

fn numbers(mode: Mode, gate: Gate) -> Policy {
    let mut numbers = policy(mode);
    numbers.gate = gate;
    numbers.barge_in = BargeIn::Speech;
    numbers
}

/// The faults to be lived with: none, and of each quirk what switches it on, and off.
fn switches() -> BTreeSet<&'static [&'static str]> {
    QUIRKS.iter().flat_map(|quirk| [quirk.on, quirk.off]).collect()
}

const SAID: [&str; 4] =
    ["Hello there, how are you?", "Tell me a long story.", "Enough of that.", "Good night."];

/// A spoken turn, a typed one, one that is spoken into, and one that uses a tool.
fn converse(talk: &mut Talk, speak: fn(&mut Talk)) {
    speak(talk);
    talk.turn(1);
    talk.step("text \"Hello\"");
    talk.turn(2);
    speak(talk);
    talk.sounds();
    speak(talk);
    talk.turn(4);
    talk.step("text \"Set the volume to 40\"");
    talk.turn(5);
    assert_eq!(
        talk.reasons(),
        ["completed", "completed", "interrupted", "completed", "completed"],
        "{}",
        talk.faults
    );
    talk.peaceful();
    let stand = |text: &str| (text.to_owned(), true);
    let user = talk.lines(Speaker::User);
    let want = [SAID[0], "Hello", SAID[1], SAID[2], "Set the volume to 40"];
    assert_eq!(user, want.map(stand), "{}", talk.faults);
    talk.grows("You wrote: Hello");
    let spoken = talk.lines(Speaker::Assistant);
    let want = ["You said: Hello there, how are you?", "You wrote: Hello"].map(stand);
    assert_eq!(spoken[..2], want, "{}", talk.faults);
    assert!(spoken.last().unwrap().0.contains("\"percent\":40"), "{} {spoken:?}", talk.faults);
}

#[test]
fn conversations_go_on_whatever_the_service_does() {
    for faults in switches() {
        let mut talk = Talk::new(numbers(Mode::Open, Gate::Speech), faults, &SAID);
        converse(&mut talk, |talk| talk.speak(900));
    }
}

#[test]
fn so_they_do_with_a_button() {
    for faults in switches() {
        let mut talk = Talk::new(numbers(Mode::Push, Gate::Speech), faults, &SAID);
        converse(&mut talk, |talk| talk.push(900));
        let creates = talk.stage.count("response.create");
        // Nobody speaks: no reply is waited for, nor asked for.
        talk.step("press");
        talk.run(900);
        talk.step("release");
        talk.turn(6);
        assert_eq!(talk.reasons().last().unwrap(), "nothing_heard", "{}", talk.faults);
        assert_eq!(talk.stage.count("response.create"), creates, "{}", talk.faults);
        // Pressed again before the answer has come: it must not be spoken into.
        talk.push(900);
        talk.run(250);
        talk.push(900);
        talk.turn(8);
        assert_eq!(talk.reasons()[6..], ["interrupted", "completed"], "{}", talk.faults);
        // Nothing leaves while the button is up.
        talk.push(900);
        talk.run(50);
        let sent = talk.stage.count("input_audio_buffer.append");
        talk.turn(9);
        assert_eq!(talk.stage.count("input_audio_buffer.append"), sent, "{}", talk.faults);
        talk.peaceful();
    }
}

#[test]
fn so_they_do_with_an_open_microphone_that_hears_the_replies() {
    for faults in switches() {
        let mut policy = numbers(Mode::Open, Gate::Always);
        policy.barge_in = BargeIn::Auto;
        let mut talk = Talk::new(policy, faults, &SAID);
        talk.stage.levels = (-30.0, -25.0);
        talk.speak(900);
        talk.turn(1);
        assert_eq!(talk.stage.count("response.create"), 0, "{}", talk.faults);
        talk.step("text \"Hello\"");
        talk.turn(2);
        talk.speak(900);
        talk.turn(3);
        assert_eq!(talk.reasons(), ["completed"; 3], "{}", talk.faults);
        assert_eq!(talk.stage.count("conversation.item.truncate"), 0, "{}", talk.faults);
        talk.peaceful();
    }
}

#[test]
fn a_lost_connection_costs_no_line_and_tells_none_twice() {
    for (faults, told) in [(&[][..], 1), (&["documented"], 0), (&["resume=off"], 2)] {
        let mut talk = Talk::new(numbers(Mode::Open, Gate::Speech), faults, &SAID);
        talk.step("text \"The word is cobalt.\"");
        talk.turn(1);
        talk.run(10_000);
        let before = talk.stage.count("conversation.item.create");
        talk.service.leave(talk.stage.now);
        talk.stage.lose();
        talk.exchange();
        talk.run(2000);
        let again = talk.stage.count("conversation.item.create") - before;
        assert_eq!(again, told, "{faults:?}");
        talk.step("text \"Hello\"");
        talk.turn(2);
        assert_eq!(talk.reasons(), ["completed", "completed"], "{faults:?}");
    }
}
