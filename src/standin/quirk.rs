//! The service's quirks: the table of what acts each, and the acts that have a switch of their own.

use super::brain::Brain;
use super::desk::{Line, Role};
use super::items::shown;
use super::queue::{Deed, What};
use super::sound::Sound;
use super::talk::Turn;
use super::wire::{Refusal, item};
use crate::base::unit::Moment;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// From a stop that was taken back to the one that stands.
const TO_STOP_AGAIN: Duration = Duration::from_millis(300);

/// A quirk of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quirk {
    /// Its number in the sources (`Q3`).
    pub number: u8,
    /// What the service does.
    pub words: &'static str,
    /// Faults that act it always; none where recorded behaviour, the default, does.
    pub on: &'static [&'static str],
    /// Faults without which it is not acted any more; none where nothing ends it.
    pub off: &'static [&'static str],
}

const fn quirk(
    number: u8,
    words: &'static str,
    on: &'static [&'static str],
    off: &'static [&'static str],
) -> Quirk {
    Quirk { number, words, on, off }
}

const DOCUMENTED: &[&str] = &["documented"];

/// Every quirk with its switches.
pub const QUIRKS: &[Quirk] = &[
    quirk(
        1,
        "a manual commit of speech is answered by itself, of silence not at all",
        &[],
        DOCUMENTED,
    ),
    quirk(2, "speech events come in manual turns, too", &[], DOCUMENTED),
    quirk(3, "a stop can be taken back, and the reply to it with it", &["stop-taken-back"], &[]),
    quirk(4, "the event of the final transcript carries snapshots before it", &[], DOCUMENTED),
    quirk(5, "a user's item comes again, late and older", &["late-items"], DOCUMENTED),
    quirk(6, "requests are ignored without a word", &["drop-create"], DOCUMENTED),
    quirk(7, "a truncation may not be answered", &["truncate-ignored"], DOCUMENTED),
    quirk(8, "tools of the service's own are called on the wire", &["own-calls"], &[]),
    quirk(9, "create_response is not looked at", &[], &["heed-create-response"]),
    quirk(10, "replies are always spoken", &["old-names"], &[]),
    quirk(11, "speech in a manual turn stops a reply without an end", &[], DOCUMENTED),
    quirk(12, "positions of speech follow the time since connect", &[], DOCUMENTED),
    quirk(13, "items are not found, confirmations name none", &["lost-items"], DOCUMENTED),
    quirk(14, "harmless refusals are told by their text", &["busy-create", "cancel-fails"], &[]),
    quirk(15, "the service hears its own reply and interrupts it", &["echo"], &[]),
    quirk(16, "replies are slow now and then", &["slow-audio=9"], &[]),
    quirk(17, "replayed lines carry text, not a transcript", &[], &["resume=off"]),
    quirk(18, "session.updated is no echo", &[], DOCUMENTED),
];

/// What becomes of the next `response.create`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Next {
    /// The first of its turn.
    #[default]
    First,
    /// One was ignored; so are more until there is other input.
    Ignored,
    /// Heeded.
    Heeded,
}

/// Where the switched quirks of a connection stand.
#[derive(Debug, Default)]
pub(crate) struct Tricks {
    /// The turn whose stop has been taken back.
    taken_back: u32,
    next: Next,
    /// The reply that is being heard, and since when.
    pub(super) playing: Option<(Moment, Arc<Sound>)>,
}

impl Tricks {
    /// Input other than a request came.
    pub(super) fn other_input(&mut self) {
        if self.next == Next::Ignored {
            self.next = Next::Heeded;
        }
    }
}

impl Brain {
    /// Whether the stop of this turn is to be taken back: once.
    pub(super) fn takes_back(&mut self, turn: u32) -> bool {
        let first = std::mem::replace(&mut self.tricks.taken_back, turn) != turn;
        first && self.desk.mood.stop_taken_back
    }

    /// The stop is taken back although nothing more was said (Q3).
    pub(super) fn take_back(&mut self, now: Moment, turn: u32) {
        let Turn::Stopped(open, at) = std::mem::replace(&mut self.ear.turn, Turn::Quiet) else {
            return;
        };
        self.stop(now, false);
        self.tell_started(now, at, &open.item);
        self.ear.turn = Turn::Speaking(open);
        self.queue.push(now + TO_STOP_AGAIN, 0, What::Deed(Deed::StopAgain(turn)));
    }

    pub(super) fn stop_again(&mut self, now: Moment, turn: u32) {
        if turn == self.ear.turns {
            self.stopped(now, self.ear.end());
        }
    }

    /// Whether spoken turns are answered: recorded always, whatever `create_response` says (Q9).
    pub(super) fn answers(&self) -> bool {
        let asked = self.session.detection.is_some_and(|d| d.answers);
        asked || !self.desk.mood.heed_create_response
    }

    /// The item once more, late, with an older caption (Q5).
    pub(super) fn tell_again(&mut self, at: Moment, id: &str, text: &str) {
        let line = Line { spoken: true, ..Line::new(id.to_owned(), Role::User, String::new()) };
        let added = item(&self.pen, shown(&line, "text", "in_progress"), false);
        let mut fields = serde_json::json!({ "item": added });
        if self.desk.mood.late_items {
            fields["previous_item_id"] = self.pen.id("item").into();
        }
        let added = self.pen.event("conversation.item.added", fields);
        self.send(at, added);
        let older: Vec<&str> = text.split_whitespace().collect();
        let older = older[..older.len().saturating_sub(1)].join(" ");
        self.snapshot(at, id, &older);
    }

    /// Whether a `response.create` comes to nothing: ignored (Q6), or refused under a code that
    /// says nothing (Q14).
    pub(super) fn turns_away(&mut self, now: Moment, event: &Value) -> bool {
        let mood = self.desk.mood;
        match (self.tricks.next, mood.drop_create, mood.busy_create) {
            (Next::First, true, _) | (Next::Ignored, ..) => {
                self.tricks.next = Next::Ignored;
                true
            }
            (Next::First, false, true) => {
                self.tricks.next = Next::Heeded;
                let other = self.pen.id("resp");
                let words =
                    format!("Conversation already has an active response in progress: {other}");
                self.refuse(now, &Refusal::request("invalid_value", words), event);
                true
            }
            (Next::First, false, false) | (Next::Heeded, ..) => {
                self.tricks.next = Next::First;
                false
            }
        }
    }

    /// Adds the reply that is being heard to what a microphone hears (Q15).
    pub(super) fn mix_echo(&self, now: Moment, samples: &mut [i16]) {
        let Some((since, sound)) = &self.tricks.playing else { return };
        if !self.desk.mood.echo || now < *since {
            return;
        }
        let at = |rate: u32, span: Duration| {
            usize::try_from(span.as_micros() * u128::from(rate) / 1_000_000).unwrap_or(usize::MAX)
        };
        let (from, to) = (self.session.output.rate(), self.session.input.rate());
        let first = at(from, now - *since);
        let count = samples.len() * from as usize / to as usize;
        let heard = sound.part(first.min(sound.len())..first.saturating_add(count));
        for (n, sample) in samples.iter_mut().enumerate().filter(|(_, s)| **s != 0) {
            let echo = heard.get(n * from as usize / to as usize).copied().unwrap_or(0);
            *sample = sample.saturating_add(echo);
        }
    }
}
