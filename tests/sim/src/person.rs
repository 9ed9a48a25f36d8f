//! Somebody in the room: speaks, types, presses, mutes, and is silent for a long time between.

use crate::seed::Seed;
use crate::stage::Stage;
use grok_speaker::base::event::{Fault, Hand, Voice};
use grok_speaker::base::unit::{Moment, Volume};
use grok_speaker::conversation::{Input, Mode};
use grok_speaker::panel::event::{ClientId, Command, Request};
use std::collections::VecDeque;

#[derive(Debug, Clone, Copy)]
enum Act {
    Voice(Voice),
    Press(bool),
    Talk(bool),
    Mute(bool),
    Wake,
    Type,
    Hush,
    Volume(u8),
    World,
}

/// The person.
#[derive(Debug)]
pub struct Person {
    seed: Seed,
    mode: Mode,
    plan: VecDeque<(Moment, Act)>,
    /// Longest pause between two doings, in seconds.
    pub pause: u64,
    requests: u64,
}

impl Person {
    /// Somebody who knows how this speaker is addressed.
    pub fn new(seed: Seed, mode: Mode) -> Self {
        Self { seed, mode, plan: VecDeque::new(), pause: 20, requests: 0 }
    }

    /// When the next thing is done.
    pub fn next(&mut self, now: Moment) -> Moment {
        if self.plan.is_empty() {
            self.think(now);
        }
        self.plan.front().map_or(now, |(at, _)| *at)
    }

    fn think(&mut self, now: Moment) {
        let start = now.millis() + self.seed.between(500, self.pause * 1000);
        let length = self.seed.between(300, 4000);
        let mut plan = |offset: u64, act| {
            self.plan.push_back((Moment::from_millis(start + offset), act));
        };
        match (self.seed.between(0, 20), self.mode) {
            (0, _) => plan(0, Act::Type),
            (1, _) => plan(0, Act::Hush),
            (2, _) => {
                plan(0, Act::Mute(true));
                plan(length, Act::Mute(false));
            }
            (3, _) => plan(0, Act::Volume(u8::try_from(length % 101).unwrap_or(0))),
            (4, _) => {
                plan(0, Act::Talk(true));
                plan(100, Act::Voice(Voice::Talking));
                plan(length, Act::Voice(Voice::Quiet));
                plan(length + 50, Act::Talk(false));
            }
            (5, _) => {
                plan(0, Act::Voice(Voice::Maybe));
                plan(200, Act::Voice(Voice::Quiet));
            }
            (6, _) => plan(0, Act::World),
            (_, Mode::Push) => {
                plan(0, Act::Press(true));
                plan(200, Act::Voice(Voice::Talking));
                plan(200 + length, Act::Voice(Voice::Quiet));
                plan(300 + length, Act::Press(false));
            }
            (_, mode) => {
                if mode == Mode::Wake {
                    plan(0, Act::Wake);
                }
                plan(200, Act::Voice(Voice::Maybe));
                plan(300, Act::Voice(Voice::Talking));
                plan(300 + length, Act::Voice(Voice::Quiet));
            }
        }
    }

    /// Does what is due.
    pub fn act(&mut self, stage: &mut Stage) {
        while self.plan.front().is_some_and(|(at, _)| *at <= stage.now) {
            let Some((_, act)) = self.plan.pop_front() else { return };
            match act {
                Act::Voice(voice) => stage.voice(voice),
                Act::Press(true) => stage.feed(Input::Hand(Hand::Pressed)),
                Act::Press(false) => stage.feed(Input::Hand(Hand::Released)),
                Act::Mute(on) => stage.feed(Input::Hand(Hand::Mute { on })),
                Act::Wake => stage.wake(),
                Act::World => stage.feed(Input::Fault(Fault::WorldChanged)),
                Act::Talk(on) => self.ask(stage, Command::Talk { on }),
                Act::Type => self.ask(stage, Command::Text { text: "What time is it?".into() }),
                Act::Hush => self.ask(stage, Command::Stop),
                Act::Volume(percent) => {
                    if let Ok(percent) = Volume::try_from(percent) {
                        self.ask(stage, Command::Volume { percent });
                    }
                }
            }
        }
    }

    fn ask(&mut self, stage: &mut Stage, command: Command) {
        self.requests += 1;
        let request = Request { client: ClientId(1), id: self.requests, command };
        stage.feed(Input::Panel(request));
    }
}
