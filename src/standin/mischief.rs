//! Faults of single messages: what goes out is doubled, swapped, dressed up or torn.

use super::brain::Out;
use super::fault::Mood;
use super::wire::{Pen, nullify};
use crate::base::unit::Moment;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::time::Duration;

/// How long an event waits for the one it changes places with.
const HOLD: Duration = Duration::from_millis(150);
/// Something strange after every so many events.
const EVERY: u32 = 4;

/// The last station before the socket.
#[derive(Debug)]
pub(crate) struct Mischief {
    mood: Mood,
    out: VecDeque<Out>,
    held: Option<(Moment, Value)>,
    count: u32,
}

/// Events whose order among themselves is the meaning: swapping them loses something for good.
fn ordered(event: &Value) -> bool {
    let kind = event["type"].as_str().unwrap_or_default();
    kind.ends_with(".delta")
        || matches!(kind, "response.done" | "response.created" | "error" | "ping")
}

/// The same sound or words under the event's old name and a new id.
fn old_name(event: &Value, pen: &mut Pen) -> Option<Value> {
    let part = event["type"].as_str()?.strip_prefix("response.output_audio")?;
    let mut fields = event.clone();
    fields["event_id"] = pen.id("event").into();
    Some(pen.event(&format!("response.audio{part}"), fields))
}

impl Mischief {
    pub(crate) const fn new(mood: Mood) -> Self {
        Self { mood, out: VecDeque::new(), held: None, count: 0 }
    }

    /// Takes a message of the brain's.
    pub(crate) fn push(&mut self, now: Moment, out: Out, pen: &mut Pen) {
        match out {
            Out::Event(event) if self.mood.reorder => self.swap(now, event, pen),
            Out::Event(event) => self.emit(event, pen),
            Out::Junk(_) | Out::Audio(_) | Out::Close(_) | Out::Drop | Out::Hush => {
                if let Some((_, held)) = self.held.take() {
                    self.emit(held, pen);
                }
                self.out.push_back(out);
            }
        }
    }

    fn swap(&mut self, now: Moment, event: Value, pen: &mut Pen) {
        match self.held.take() {
            None => self.held = Some((now + HOLD, event)),
            Some((_, held)) if ordered(&held) && ordered(&event) => {
                self.emit(held, pen);
                self.held = Some((now + HOLD, event));
            }
            Some((_, held)) => {
                self.emit(event, pen);
                self.emit(held, pen);
            }
        }
    }

    fn emit(&mut self, mut event: Value, pen: &mut Pen) {
        let mood = self.mood;
        self.count += 1;
        if mood.unknown_events {
            event["x_unheard_of"] = json!({ "depth": [1, null, "three"] });
        }
        if mood.null_fields {
            nullify(&mut event);
        }
        if mood.duplicate {
            self.out.push_back(Out::Event(event.clone()));
        }
        let again = if mood.old_names { old_name(&event, pen) } else { None };
        self.out.push_back(Out::Event(event));
        self.out.extend(again.map(Out::Event));
        if !self.count.is_multiple_of(EVERY) {
            return;
        }
        let turn = (self.count / EVERY) as usize;
        if mood.unknown_events {
            const KINDS: [&str; 4] = [
                "response.mystery.delta",
                "rate_limits.updated",
                "conversation.item.done",
                "session.weather",
            ];
            let event = pen.event(
                KINDS[turn % KINDS.len()],
                json!({ "item": 7, "delta": ["?"], "response": null }),
            );
            self.out.push_back(Out::Event(event));
        }
        if mood.bad_json {
            const JUNK: [&str; 5] = [
                "{\"type\":\"response.output_audio.delta\",\"delta\":\"AAA",
                "[1,2,3]",
                "null",
                "",
                "{\"type\":17}",
            ];
            self.out.push_back(Out::Junk(JUNK[turn % JUNK.len()].to_owned()));
        }
    }

    /// The next message, if one is to go out now.
    pub(crate) fn pop(&mut self, now: Moment, pen: &mut Pen) -> Option<Out> {
        if self.out.is_empty()
            && let Some((_, event)) = self.held.take_if(|(due, _)| *due <= now)
        {
            self.emit(event, pen);
        }
        self.out.pop_front()
    }

    /// When a held event goes out by itself.
    pub(crate) fn deadline(&self) -> Option<Moment> {
        self.held.as_ref().map(|(due, _)| *due)
    }
}
