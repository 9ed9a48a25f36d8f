//! Listening: audio in, turns out, by the service's own ear or by the client's commits.

use super::answer::millis_since;
use super::brain::Brain;
use super::desk::{Heard as Sound, Line, Role};
use super::items::shown;
use super::queue::{Deed, What};
use super::session::Session;
use super::sound::{frames, millis};
use super::vad::{Heard, Vad};
use super::wire::{Refusal, item};
use crate::base::unit::Moment;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// From a stop to its commit (recorded: a few hundred ms); until then more speech takes the stop
/// back (Q3).
const TO_COMMIT_MS: u64 = 300;
/// From a stop to the reply that is opened before the commit.
const TO_EARLY: Duration = Duration::from_millis(200);
/// From a commit to the final transcript.
const TO_FINAL: Duration = Duration::from_millis(60);
/// From a commit to the reply.
const TO_REPLY: Duration = Duration::from_millis(100);
/// From a commit to the item's second coming.
const TO_AGAIN: Duration = Duration::from_millis(110);
/// From speech to its event in manual mode (recorded).
const TO_SPEECH: Duration = Duration::from_millis(80);
/// Longest uncommitted audio: ten minutes. The oldest goes first.
const LONGEST_MS: u64 = 600_000;
/// Audio kept in silence for the largest allowed `prefix_padding_ms`.
const PREFIX_MS: u64 = 10_000;
/// How far the buffer may grow beyond that before it is trimmed.
const SLACK_MS: u64 = 5000;
/// A caption every so much speech, and the speech behind one word of it.
const CAPTION_MS: (u64, u64) = (600, 350);

/// A turn that has begun.
#[derive(Debug, Clone)]
pub(super) struct Open {
    pub(super) item: String,
    /// Absolute sample at which its audio begins, with the prefix.
    since: u64,
    /// What the speaker will have said.
    text: String,
    /// Absolute sample of the next caption.
    caption: u64,
}

#[derive(Debug)]
pub(super) enum Turn {
    Quiet,
    Speaking(Open),
    /// Stopped, not yet committed.
    Stopped(Open, u64),
}

/// What the service has heard and not yet used.
#[derive(Debug)]
pub(crate) struct Ear {
    vad: Vad,
    buffer: Vec<i16>,
    /// Absolute sample of the buffer's beginning.
    start: u64,
    /// Speech has been heard since the buffer was emptied.
    spoke: bool,
    pub(super) turn: Turn,
    /// Turns so far.
    pub(super) turns: u32,
    /// The item of a manual turn in which speech has been heard.
    hand: Option<String>,
    pub(crate) deaf_until: Option<Moment>,
}

impl Ear {
    /// An ear for a session; its first sample is number `start`.
    pub(crate) fn new(session: &Session, start: u64) -> Self {
        Self {
            vad: vad(session, start),
            buffer: Vec::new(),
            start,
            spoke: false,
            turn: Turn::Quiet,
            turns: 0,
            hand: None,
            deaf_until: None,
        }
    }

    pub(super) const fn end(&self) -> u64 {
        self.start + self.buffer.len() as u64
    }

    /// Whether a turn is under way.
    pub(crate) const fn busy(&self) -> bool {
        !matches!(self.turn, Turn::Quiet)
    }

    /// Drops what lies before an absolute sample.
    fn forget(&mut self, before: u64) {
        let count = usize::try_from(before.saturating_sub(self.start)).unwrap_or(usize::MAX);
        let count = count.min(self.buffer.len());
        self.buffer.drain(..count);
        self.start += count as u64;
    }

    /// The samples from an absolute one on.
    fn since(&self, from: u64) -> Vec<i16> {
        let skip = usize::try_from(from.saturating_sub(self.start)).unwrap_or(usize::MAX);
        self.buffer.get(skip..).unwrap_or_default().to_vec()
    }
}

fn vad(session: &Session, start: u64) -> Vad {
    let detection = session.detection.unwrap_or_default();
    Vad::new(session.input.rate(), detection.threshold, detection.silence_ms, start)
}

impl Brain {
    /// The session's format or its turn detection changed.
    pub(super) fn reset_ear(&mut self, format: bool) {
        if format {
            let turns = self.ear.turns;
            self.ear = Ear { turns, ..Ear::new(&self.session, self.ear.end()) };
        } else {
            self.ear.vad = vad(&self.session, self.ear.end());
            self.ear.turn = Turn::Quiet;
        }
    }

    pub(super) fn audio(&mut self, now: Moment, bytes: &[u8]) {
        if !self.ready {
            self.desk.violation("audio before session.updated");
        }
        let format = self.session.input;
        if !bytes.len().is_multiple_of(format.width()) {
            self.desk.violation("odd number of bytes");
        }
        if self.ear.deaf_until.is_some_and(|until| now < until) {
            return;
        }
        let mut samples = format.decode(bytes);
        self.mix_echo(now, &mut samples);
        let ms = millis(samples.len() as u64, format.rate());
        self.billed_ms += ms;
        self.desk.count(|r| r.audio_in_ms += ms);
        self.ear.buffer.extend_from_slice(&samples);
        let mut heard = Vec::new();
        self.ear.vad.feed(&samples, &mut heard);
        let manual = self.session.detection.is_none();
        for fact in heard {
            if manual { self.hear_by_hand(now, fact) } else { self.hear(now, fact) }
        }
        let keep = if manual || self.ear.busy() { LONGEST_MS } else { PREFIX_MS };
        let oldest = self.ear.end().saturating_sub(frames(keep, format.rate()) as u64);
        // In steps, so that the buffer is not moved with every message.
        if oldest > self.ear.start + frames(SLACK_MS, format.rate()) as u64 {
            self.ear.forget(oldest);
        }
    }

    /// Speech in manual mode: it is told of (Q2), and it stops a reply without a word (Q11).
    fn hear_by_hand(&mut self, now: Moment, fact: Heard) {
        if self.pen.documented {
            self.ear.spoke |= !matches!(fact, Heard::Stopped(_));
            return;
        }
        let at = now + self.delay(TO_SPEECH);
        match fact {
            Heard::Started(_) => {
                self.ear.spoke = true;
                let item = self.ear.hand.take().unwrap_or_else(|| self.pen.id("item"));
                self.tell_speech(at, true, &item);
                self.ear.hand = Some(item);
                if self.active.is_some() {
                    self.desk.violation("speech during a reply in manual mode");
                    self.stop(now, false);
                }
            }
            Heard::Going(_) => {}
            Heard::Stopped(_) => {
                if let Some(item) = self.ear.hand.clone() {
                    self.tell_speech(at, false, &item);
                }
            }
        }
    }

    /// `speech_started` or `speech_stopped` with the time since connect (Q12).
    fn tell_speech(&mut self, at: Moment, started: bool, item: &str) {
        let ms = millis_since(self.born, at);
        let (kind, fields) = if started {
            ("input_audio_buffer.speech_started", json!({ "item_id": item, "audio_start_ms": ms }))
        } else {
            ("input_audio_buffer.speech_stopped", json!({ "item_id": item, "audio_end_ms": ms }))
        };
        let event = self.pen.event(kind, fields);
        self.send(at, event);
    }

    fn hear(&mut self, now: Moment, fact: Heard) {
        match fact {
            Heard::Started(at) => self.started(now, at),
            Heard::Going(at) => self.caption(now, at),
            Heard::Stopped(at) => self.stopped(now, at),
        }
    }

    /// `audio_start_ms` and `audio_end_ms`: by the wall clock as recorded (Q12).
    fn position(&self, now: Moment, sample: u64) -> u64 {
        if self.pen.documented {
            millis(sample, self.session.input.rate())
        } else {
            millis_since(self.born, now)
        }
    }

    fn started(&mut self, now: Moment, at: u64) {
        self.idle += 1;
        let window = frames(TO_COMMIT_MS, self.session.input.rate()) as u64;
        let turn = std::mem::replace(&mut self.ear.turn, Turn::Quiet);
        let open = match turn {
            // The stop is taken back: the same item goes on, the reply that was opened is gone.
            Turn::Stopped(open, stop) if at.saturating_sub(stop) < window => {
                self.cancel_commit();
                self.stop(now, false);
                self.tell_started(now, at, &open.item);
                self.ear.turn = Turn::Speaking(open);
                return;
            }
            Turn::Stopped(open, stop) => {
                self.ear.turn = Turn::Stopped(open, stop);
                self.commit(now, self.ear.turns);
                self.new_turn(at)
            }
            // Its stop was taken back, and now there is more indeed.
            Turn::Speaking(open) => {
                self.cancel_commit();
                self.ear.turn = Turn::Speaking(open);
                return;
            }
            Turn::Quiet => self.new_turn(at),
        };
        self.tell_started(now, at, &open.item);
        self.barge_in(now);
        self.tell_item(now, &open.item, "", "in_progress");
        self.ear.turn = Turn::Speaking(open);
    }

    fn new_turn(&mut self, at: u64) -> Open {
        self.ear.turns += 1;
        let rate = self.session.input.rate();
        let prefix = self.session.detection.unwrap_or_default().prefix_ms;
        let since = at.saturating_sub(frames(prefix, rate) as u64).max(self.ear.start);
        let caption = at + frames(CAPTION_MS.0, rate) as u64;
        Open { item: self.pen.id("item"), since, text: self.desk.transcript(), caption }
    }

    pub(super) fn tell_started(&mut self, now: Moment, at: u64, item: &str) {
        let fields = json!({ "item_id": item, "audio_start_ms": self.position(now, at) });
        let event = self.pen.event("input_audio_buffer.speech_started", fields);
        self.send(now, event);
    }

    /// Live captions while the user speaks: never the whole text before the stop.
    fn caption(&mut self, now: Moment, at: u64) {
        let rate = self.session.input.rate();
        let Turn::Speaking(open) = &mut self.ear.turn else { return };
        if at < open.caption {
            return;
        }
        open.caption = at + frames(CAPTION_MS.0, rate) as u64;
        let words: Vec<&str> = open.text.split_whitespace().collect();
        let spoken = usize::try_from(millis(at - open.since, rate) / CAPTION_MS.1).unwrap_or(0);
        let shown = words[..spoken.clamp(1, words.len().max(2) - 1).min(words.len())].join(" ");
        let item = open.item.clone();
        self.snapshot(now, &item, &shown);
    }

    /// A caption and its snapshot through the event of the final transcript (Q4).
    pub(super) fn snapshot(&mut self, at: Moment, item: &str, text: &str) {
        if !self.session.captions {
            return;
        }
        let fields = json!({ "item_id": item, "transcript": text, "content_index": 0 });
        let kind = "conversation.item.input_audio_transcription.updated";
        let updated = self.pen.event(kind, fields);
        self.send(at, updated);
        if !self.pen.documented {
            self.transcript(at, item, text, "in_progress");
        }
    }

    fn transcript(&mut self, at: Moment, item: &str, text: &str, status: &str) {
        let mut fields = json!({ "item_id": item, "transcript": text, "content_index": 0 });
        if !self.pen.documented {
            fields["status"] = status.into();
        }
        let kind = "conversation.item.input_audio_transcription.completed";
        let event = self.pen.event(kind, fields);
        self.send(at, event);
    }

    pub(super) fn stopped(&mut self, now: Moment, at: u64) {
        let turn = std::mem::replace(&mut self.ear.turn, Turn::Quiet);
        let open = match turn {
            Turn::Speaking(open) => open,
            Turn::Quiet | Turn::Stopped(..) => {
                self.ear.turn = turn;
                return;
            }
        };
        let fields = json!({ "item_id": open.item, "audio_end_ms": self.position(now, at) });
        let event = self.pen.event("input_audio_buffer.speech_stopped", fields);
        self.send(now, event);
        self.ear.turn = Turn::Stopped(open, at);
        let number = self.ear.turns;
        if self.takes_back(number) {
            self.queue.push(now + TO_EARLY, 0, What::Deed(Deed::OpenReply(number)));
            let back = now + Duration::from_millis(TO_COMMIT_MS);
            return self.queue.push(back, 0, What::Deed(Deed::TakeBack(number)));
        }
        if self.pen.documented {
            return self.queue.push(now, 0, What::Deed(Deed::Commit(number)));
        }
        // Recorded both ways: the reply opened before the commit, and after it.
        if number.is_multiple_of(2) {
            self.queue.push(now + TO_EARLY, 0, What::Deed(Deed::OpenReply(number)));
        }
        let commit = now + Duration::from_millis(TO_COMMIT_MS);
        self.queue.push(commit, 0, What::Deed(Deed::Commit(number)));
    }

    pub(super) fn cancel_commit(&mut self) {
        let of_stop = |deed| {
            use Deed::{Commit, OpenReply, StopAgain, TakeBack};
            matches!(deed, Commit(_) | OpenReply(_) | StopAgain(_) | TakeBack(_))
        };
        self.queue.cancel(of_stop);
    }

    pub(super) fn open_early(&mut self, now: Moment, turn: u32) {
        if turn == self.ear.turns && self.active.is_none() && self.answers() {
            self.open(now, Value::Null);
        }
    }

    /// The spoken turn becomes an item and is answered.
    pub(super) fn commit(&mut self, now: Moment, turn: u32) {
        if turn != self.ear.turns || !matches!(self.ear.turn, Turn::Stopped(..)) {
            return;
        }
        self.cancel_commit();
        let Turn::Stopped(open, end) = std::mem::replace(&mut self.ear.turn, Turn::Quiet) else {
            return;
        };
        let mut samples = self.ear.since(open.since);
        samples.truncate(
            usize::try_from(end.saturating_sub(open.since.max(self.ear.start))).unwrap_or(0),
        );
        self.ear.forget(end);
        let committed =
            self.pen.event("input_audio_buffer.committed", json!({ "item_id": open.item }));
        self.send(now, committed);
        self.snapshot(now, &open.item, &open.text);
        let late = now + self.delay(TO_FINAL);
        self.transcript(late, &open.item, &open.text, "completed");
        let mut at = now;
        if self.desk.mood.late_items {
            self.tell_again(now + self.delay(TO_AGAIN), &open.item, &open.text);
        }
        self.keep_turn(open.item, open.text, samples);
        if !self.answers() {
            return;
        }
        if self.active.as_ref().is_none_or(|active| active.filled) {
            // A reply that was asked for meanwhile gives way to what was said.
            self.barge_in(now);
            at += self.delay(TO_REPLY);
            self.open(at, Value::Null);
        }
        let prompt = self.prompt();
        self.fill(at, &prompt);
    }

    fn keep_turn(&mut self, item: String, text: String, samples: Vec<i16>) {
        self.desk.count(|r| r.spoken += 1);
        // Only the newest sound can still be asked for.
        self.lines(|lines| lines.iter_mut().for_each(|line| line.heard = None));
        let heard = Some(Sound { samples: Arc::new(samples), format: self.session.input });
        let line = Line { spoken: true, heard, ..Line::new(item, Role::User, text) };
        self.remember(line);
    }

    pub(super) fn clear(&mut self, now: Moment) {
        self.ear.forget(self.ear.end());
        (self.ear.turn, self.ear.spoke, self.ear.hand) = (Turn::Quiet, false, None);
        self.tricks.other_input();
        self.ear.vad = vad(&self.session, self.ear.end());
        self.cancel_commit();
        self.audio_answered = false;
        let cleared = self.pen.event("input_audio_buffer.cleared", json!({}));
        self.send(now, cleared);
    }

    /// `input_audio_buffer.commit`: push-to-talk (5.3, Q1, Q2, Q5).
    pub(super) fn commit_by_hand(&mut self, now: Moment, event: &Value) {
        if self.session.detection.is_some() {
            return;
        }
        if self.ear.buffer.is_empty() {
            if self.pen.documented {
                let words = "Error committing input audio buffer: buffer is empty";
                self.refuse(
                    now,
                    &Refusal::request("input_audio_buffer_commit_empty", words),
                    event,
                );
            }
            return;
        }
        let spoke = std::mem::replace(&mut self.ear.spoke, false);
        // Q1: audio without speech is not committed at all.
        if !spoke && !self.pen.documented {
            return;
        }
        let samples = self.ear.since(self.ear.start);
        let talking = self.ear.vad.talking();
        self.ear.forget(self.ear.end());
        self.ear.vad = vad(&self.session, self.ear.end());
        let id = self.ear.hand.take().unwrap_or_else(|| self.pen.id("item"));
        if self.pen.documented {
            return self.commit_as_documented(now, id, spoke, samples);
        }
        self.ear.turns += 1;
        self.commit_as_recorded(now, id, talking, samples);
    }

    fn commit_as_documented(&mut self, now: Moment, id: String, spoke: bool, samples: Vec<i16>) {
        let committed = self.pen.event("input_audio_buffer.committed", json!({ "item_id": id }));
        self.send(now, committed);
        let text = if spoke { self.desk.transcript() } else { String::new() };
        self.keep_turn(id.clone(), text.clone(), samples);
        self.tell_item(now, &id, &text, "completed");
        self.transcript(now + self.delay(TO_FINAL), &id, &text, "completed");
        if self.desk.mood.late_items {
            self.tell_again(now + self.delay(TO_AGAIN), &id, &text);
        }
    }

    fn tell_item(&mut self, at: Moment, id: &str, text: &str, status: &str) {
        let line = Line { spoken: true, ..Line::new(id.to_owned(), Role::User, text.to_owned()) };
        let added = item(&self.pen, shown(&line, "text", status), false);
        let added = self.pen.event("conversation.item.added", json!({ "item": added }));
        self.send(at, added);
    }

    fn commit_as_recorded(&mut self, now: Moment, id: String, talking: bool, samples: Vec<i16>) {
        let text = self.desk.transcript();
        let after = |ms| now + self.delay(Duration::from_millis(ms));
        let [stop, added, caption, last, reply, late] = [170, 290, 300, 330, 360, 370].map(after);
        if talking {
            self.tell_speech(stop, false, &id);
        }
        let committed = self.pen.event("input_audio_buffer.committed", json!({ "item_id": id }));
        self.send(stop, committed);
        self.tell_item(added, &id, &text, "completed");
        self.snapshot(caption, &id, &text);
        self.transcript(last, &id, &text, "completed");
        self.queue.push(reply, 0, What::Deed(Deed::AnswerCommit));
        self.tell_again(late, &id, &text);
        self.keep_turn(id, text, samples);
    }

    /// Whether the reply to a manual commit is still to come.
    pub(super) fn commit_is_due(&self) -> bool {
        self.queue.holds(Deed::AnswerCommit)
    }

    pub(super) fn answer_commit(&mut self, now: Moment) {
        self.stop(now, false);
        self.audio_answered = true;
        let meta = self.commit_meta.take().unwrap_or(Value::Null);
        self.open(now, meta);
        let prompt = self.prompt();
        self.fill(now, &prompt);
    }
}
