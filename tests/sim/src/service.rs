//! The service in small: detects turns in the sound it gets, answers, and has its moods.

use crate::event;
use crate::seed::Seed;
use base64::Engine;
use grok_speaker::base::event::{Link, Trouble, Wire};
use grok_speaker::base::unit::Moment;
use grok_speaker::conversation::Output;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::time::Duration;

/// What happens to the conversation next.
#[derive(Debug, Clone)]
pub enum Happening {
    /// The link.
    Link(Link),
    /// An event.
    Event(Value),
    /// The same event once more, with the same id.
    Again,
}

/// How ill-tempered it is: once in so many times each fault happens; 0 never.
#[derive(Debug, Clone, Copy, Default)]
pub struct Mood {
    /// A dialling fails.
    pub refuse: u64,
    /// The link drops in mid-turn.
    pub drop: u64,
    /// An event comes twice.
    pub duplicate: u64,
    /// A reply is not closed.
    pub no_done: u64,
    /// A turn is not answered.
    pub mute: u64,
    /// Bytes do not leave for a while.
    pub congest: u64,
    /// Garbage between the events.
    pub garbage: u64,
}

/// The service.
#[derive(Debug)]
pub struct Service {
    seed: Seed,
    /// Its moods.
    pub mood: Mood,
    up: bool,
    manual: bool,
    queue: VecDeque<(Moment, Happening)>,
    next_ping: Option<Moment>,
    counter: u64,
    item: Option<String>,
    silence: usize,
    heard: bool,
    reply: Option<(String, String, Moment)>,
    wanted: bool,
    /// Samples of each chunk that arrived with speech in it.
    pub speech: u64,
}

impl Service {
    /// In a good mood.
    pub fn new(seed: Seed) -> Self {
        Self {
            seed,
            mood: Mood::default(),
            up: false,
            manual: false,
            queue: VecDeque::new(),
            next_ping: None,
            counter: 0,
            item: None,
            silence: 0,
            heard: false,
            reply: None,
            wanted: false,
            speech: 0,
        }
    }

    fn happens(&mut self, odds: u64) -> bool {
        odds > 0 && self.seed.once_in(odds)
    }

    fn at(&mut self, now: Moment, low: u64, high: u64, what: Happening) {
        let at = now + Duration::from_millis(self.seed.between(low, high));
        // One connection keeps its order.
        let at = self.queue.back().map_or(at, |(last, _)| at.max(*last));
        self.queue.push_back((at, what));
    }

    fn say(&mut self, now: Moment, low: u64, high: u64, value: Value) {
        self.at(now, low, high, Happening::Event(value));
        if self.happens(self.mood.duplicate) {
            self.at(now, low, high, Happening::Again);
        }
        if self.happens(self.mood.garbage) {
            self.at(now, low, high, Happening::Event(json!({"type": "weather", "x": null})));
        }
    }

    /// When it does something by itself.
    pub fn next(&self) -> Option<Moment> {
        let queued = self.queue.front().map(|(at, _)| *at);
        [queued, self.next_ping.filter(|_| self.up)].into_iter().flatten().min()
    }

    /// What is due.
    pub fn due(&mut self, now: Moment) -> Option<Happening> {
        if self.up && self.next_ping.is_some_and(|at| at <= now) {
            self.next_ping = Some(now + Duration::from_secs(10));
            return Some(Happening::Event(event::ping()));
        }
        if self.queue.front().is_some_and(|(at, _)| *at <= now) {
            let what = self.queue.pop_front().map(|(_, what)| what)?;
            if let Happening::Link(Link::Lost { .. } | Link::Failed { .. }) = what {
                self.close();
            }
            return Some(what);
        }
        None
    }

    fn close(&mut self) {
        self.up = false;
        self.queue.clear();
        self.item = None;
        self.silence = 0;
        self.heard = false;
        self.reply = None;
        self.wanted = false;
    }

    /// What the conversation asks.
    pub fn take(&mut self, now: Moment, output: &Output) {
        match output {
            Output::Dial(_) => self.dialled(now),
            Output::HangUp => self.close(),
            Output::Transmit(Wire::Text(text)) => self.text(now, text),
            _ => {}
        }
    }

    fn dialled(&mut self, now: Moment) {
        self.close();
        if self.happens(self.mood.refuse) {
            let words = "No network.".to_owned();
            let trouble = if self.seed.once_in(2) { Trouble::Busy } else { Trouble::NoNetwork };
            let failed = Link::Failed { trouble, status: None, retry_after: None, words };
            self.at(now, 20, 2000, Happening::Link(failed));
            return;
        }
        self.up = true;
        self.at(now, 100, 600, Happening::Link(Link::Up));
    }

    fn text(&mut self, now: Moment, text: &str) {
        let event: Value = serde_json::from_str(text).unwrap_or_default();
        match event["type"].as_str().unwrap_or_default() {
            "session.update" => {
                self.manual = event["session"]["turn_detection"].is_null();
                self.next_ping = Some(now + Duration::from_secs(10));
                for greeting in event::greeting("c1") {
                    self.say(now, 1, 30, greeting);
                }
                self.say(now, 100, 400, event::updated());
            }
            "input_audio_buffer.append" => {
                let audio = event["audio"].as_str().unwrap_or_default();
                self.hear(now, audio);
            }
            "input_audio_buffer.commit" if self.manual && self.heard => self.commit(now),
            "input_audio_buffer.clear" => {
                self.heard = false;
                self.item = None;
                self.say(now, 10, 50, json!({"type": "input_audio_buffer.cleared"}));
            }
            "response.create" if self.reply.is_some() => {
                let words = "Conversation already has an active response in progress";
                self.say(now, 10, 60, event::error("invalid_request_error", "", words));
            }
            "response.create" => self.answer(now),
            "response.cancel" => match self.reply.take() {
                Some((id, ..)) => self.interrupt(now, &id),
                None => {
                    let words = "Cancellation failed: no active response found";
                    self.say(now, 10, 60, event::error("invalid_request_error", "", words));
                }
            },
            _ => {}
        }
        let congested = self.happens(self.mood.congest);
        if self.up && congested {
            self.at(now, 1, 100, Happening::Link(Link::Congested));
            self.at(now, 300, 3000, Happening::Link(Link::Clear));
        }
    }

    /// What is under way of this reply is not sent any more, but for one late piece.
    fn interrupt(&mut self, now: Moment, id: &str) {
        let mut late = 1;
        self.queue.retain(|(_, what)| match what {
            Happening::Event(e) if e["response_id"] == id || e["response"]["id"] == id => {
                late -= 1;
                late >= 0
            }
            Happening::Again => false,
            Happening::Event(_) | Happening::Link(_) => true,
        });
        let unclosed = self.happens(self.mood.no_done);
        if !unclosed {
            self.say(now, 20, 200, event::done(id, "cancelled"));
        }
    }

    fn hear(&mut self, now: Moment, audio: &str) {
        let bytes = base64::engine::general_purpose::STANDARD.decode(audio).unwrap_or_default();
        assert!(bytes.len().is_multiple_of(2), "{now}: whole samples");
        let loud = bytes.chunks_exact(2).any(|b| i16::from_le_bytes([b[0], b[1]]).abs() > 1000);
        let samples = bytes.len() / 2;
        if loud {
            self.heard = true;
            self.silence = 0;
            self.speech += samples as u64;
            if !self.manual && self.item.is_none() {
                self.counter += 1;
                let item = format!("u{}", self.counter);
                self.say(now, 20, 120, event::buffer("speech_started", &item));
                self.item = Some(item);
                if let Some((id, ..)) = self.reply.take() {
                    self.interrupt(now, &id);
                }
            }
            return;
        }
        self.silence += samples;
        if !self.manual && self.item.is_some() && self.silence >= 8000 {
            self.commit(now);
        }
    }

    fn commit(&mut self, now: Moment) {
        self.counter += 1;
        let item = self.item.take().unwrap_or_else(|| format!("u{}", self.counter));
        self.heard = false;
        self.silence = 0;
        self.say(now, 20, 100, event::buffer("speech_stopped", &item));
        self.say(now, 20, 100, event::buffer("committed", &item));
        self.say(now, 30, 200, event::user_text(&item, "Hello?", "completed"));
        let lost = self.happens(self.mood.drop);
        if lost {
            let words = "The link was lost.".to_owned();
            let lost = Link::Lost { trouble: Trouble::Dropped, code: None, words };
            self.at(now, 50, 1500, Happening::Link(lost));
            return;
        }
        let silent = self.happens(self.mood.mute);
        if !silent {
            self.answer(now);
        }
    }

    fn answer(&mut self, now: Moment) {
        self.counter += 1;
        let (id, item) = (format!("r{}", self.counter), format!("a{}", self.counter));
        self.say(now, 100, 400, event::created(&id));
        let pieces = self.seed.between(1, 8);
        for piece in 0..pieces {
            let samples = usize::try_from(self.seed.between(31, 890) * 24).unwrap_or(24);
            let (low, high) = if piece == 0 { (300, 900) } else { (40, 200) };
            self.say(now, low, high, event::sound(&id, &item, &vec![500; samples]));
            self.say(now, 1, 20, event::words(&id, &item, "word "));
        }
        self.say(now, 10, 50, event::sound_done(&id, &item));
        let unclosed = self.happens(self.mood.no_done);
        if !unclosed {
            self.say(now, 10, 50, event::done(&id, "completed"));
        }
        let end = self.queue.back().map_or(now, |(at, _)| *at);
        self.reply = Some((id, item, end));
    }

    /// Forgets a reply that was sent to its end.
    pub fn settle(&mut self, now: Moment) {
        if self.reply.as_ref().is_some_and(|(.., end)| *end < now) {
            self.reply = None;
        }
    }
}
