//! One connection of the service, pure: messages in, timed messages out. Time is passed in.
//!
//! This file takes events apart; `items` keeps the conversation, `talk` listens, `answer` replies,
//! `plan` lays replies out in time, `mischief` spoils what goes out.

use super::answer::Active;
use super::desk::{Desk, History, LINES, Line, Role, lock};
use super::fault::Resume;
use super::items::shown;
use super::mischief::Mischief;
use super::queue::{Deed, Queue, What};
use super::quirk::Tricks;
use super::session::Session;
use super::talk::Ear;
use super::wire::{Pen, Refusal, decode, item};
use crate::base::unit::Moment;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The service's own keep-alive (recorded).
const PING: Duration = Duration::from_secs(10);
/// From `session.update` to `session.updated` (recorded: 0.14 to 0.7 s).
const TO_UPDATED: Duration = Duration::from_millis(140);
/// The longest session (documented).
const LONGEST: Duration = Duration::from_secs(120 * 60);
/// From the error that ends a conversation to the close.
const TO_CLOSE: Duration = Duration::from_millis(50);
/// From `session.updated` to the close of the fault `close`.
const UNTIL_CLOSE: Duration = Duration::from_secs(3);

/// What leaves the connection.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Out {
    /// A JSON event.
    Event(Value),
    /// A text message that is no event.
    Junk(String),
    /// Audio of the binary transport.
    Audio(Vec<u8>),
    /// Close with this code.
    Close(u16),
    /// End the TCP connection without a close frame.
    Drop,
    /// Say nothing more and hear nothing.
    Hush,
}

/// What the URL of a connection said.
#[derive(Debug, Clone, Default)]
pub(crate) struct Query {
    pub(crate) model: Option<String>,
    pub(crate) conversation: Option<String>,
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Brain {
    pub(super) desk: Arc<Desk>,
    /// Counts connections from 1.
    number: u32,
    pub(super) pen: Pen,
    pub(super) session: Session,
    pub(super) queue: Queue,
    mischief: Mischief,
    pub(super) ear: Ear,
    conversation: String,
    history: History,
    /// Lines that have been answered.
    pub(super) answered: usize,
    pub(super) active: Option<Active>,
    pub(super) tags: u32,
    /// Calls whose output is still to come.
    pub(super) owed: BTreeSet<String>,
    /// Q6: the last input was committed audio and has been answered.
    pub(super) audio_answered: bool,
    /// Metadata of a request that the reply to a commit will answer as well.
    pub(super) commit_meta: Option<Value>,
    /// Interruptions by speech so far.
    pub(super) barges: u32,
    /// Generation of the idle time-out.
    pub(super) idle: u32,
    pub(super) born: Moment,
    heard_at: Moment,
    configured: bool,
    pub(super) ready: bool,
    pub(super) deletions: u32,
    /// Audio of this conversation in both directions, in ms.
    pub(super) billed_ms: u64,
    pub(super) tricks: Tricks,
}

impl Brain {
    /// A connection at the moment its handshake is answered.
    pub(crate) fn new(desk: Arc<Desk>, number: u32, seed: u64, query: &Query, now: Moment) -> Self {
        let mood = desk.mood;
        let mut pen = Pen::new(seed, mood.documented);
        let id = if mood.documented { pen.id("sess") } else { pen.hex() };
        let session = Session::new(id, query.model.as_deref(), mood.documented);
        let resumed = match (&query.conversation, mood.resume()) {
            (None, _) | (_, Resume::Off) => None,
            (Some(id), _) => desk.resume(id, now).map(|history| (id.clone(), history)),
        };
        let replay = resumed.is_some();
        let (conversation, history) = resumed
            .unwrap_or_else(|| (pen.id("conv"), Arc::new(Mutex::new(Vec::with_capacity(16)))));
        let answered = lock(&history).len();
        if query.model.is_none() {
            desk.violation("no model in the URL");
        }
        let mut brain = Self {
            number,
            ear: Ear::new(&session, 0),
            mischief: Mischief::new(mood),
            answered,
            desk,
            pen,
            session,
            queue: Queue::default(),
            conversation,
            history,
            active: None,
            tags: 0,
            owed: BTreeSet::new(),
            audio_answered: false,
            commit_meta: None,
            barges: 0,
            idle: 0,
            born: now,
            heard_at: now,
            configured: false,
            ready: false,
            deletions: 0,
            billed_ms: 0,
            tricks: Tricks::default(),
        };
        brain.greet(now, replay);
        brain
    }

    fn greet(&mut self, now: Moment, replay: bool) {
        let mood = self.desk.mood;
        let session = self.session.created();
        let conversation = json!({ "id": self.conversation, "object": "realtime.conversation" });
        let mut first = vec![
            self.pen.event("session.created", json!({ "session": session })),
            self.pen.event("conversation.created", json!({ "conversation": conversation })),
        ];
        if mood.conversation_first {
            first.reverse();
        }
        for event in first {
            self.send(now, event);
        }
        if !mood.documented {
            self.queue.push(now, 0, What::Deed(Deed::Ping));
        }
        if replay {
            self.replay(now);
        }
        let longest = mood.max_duration.unwrap_or(LONGEST);
        self.queue.push(now + longest, 0, What::Deed(Deed::MaxDuration));
        if let Some(after) = mood.timeout {
            self.queue.push(now + after, 0, What::Deed(Deed::Inactive));
        }
    }

    /// The earlier turns of a resumed conversation (5.7, Q17).
    fn replay(&mut self, now: Moment) {
        let full = self.desk.mood.resume() == Resume::Full;
        let lines = lock(&self.history).clone();
        let documented = self.desk.mood.documented;
        let kind = if documented { "conversation.item.created" } else { "conversation.item.added" };
        for line in lines.iter().filter(|line| full || line.role == Role::Assistant) {
            let fields = shown(line, "text", "completed");
            let item = item(&self.pen, fields, true);
            let event = self.pen.event(kind, json!({ "item": item }));
            self.send(now, event);
        }
    }

    /// Queues an event.
    pub(super) fn send(&mut self, at: Moment, event: Value) {
        self.queue.push(at, 0, What::Event(event));
    }

    /// `span` where delays are as recorded, else nothing.
    pub(super) fn delay(&self, span: Duration) -> Duration {
        if self.desk.delays { span } else { Duration::ZERO }
    }

    /// Adds a line to the conversation.
    pub(super) fn remember(&mut self, line: Line) {
        let mut history = lock(&self.history);
        if history.len() == LINES {
            history.remove(0);
            self.answered = self.answered.saturating_sub(1);
        }
        history.push(line);
    }

    /// Looks at the conversation, or changes it.
    pub(super) fn lines<T>(&self, look: impl FnOnce(&mut Vec<Line>) -> T) -> T {
        look(&mut lock(&self.history))
    }

    /// Refuses the client's event.
    pub(super) fn refuse(&mut self, now: Moment, refusal: &Refusal, event: &Value) {
        let about = event.get("event_id").and_then(Value::as_str);
        let error = self.pen.error(refusal, about);
        self.send(now, error);
    }

    /// A text message of the client's.
    pub(crate) fn text(&mut self, now: Moment, text: &str) {
        self.heard_at = now;
        let event: Value = match serde_json::from_str(text) {
            Ok(event @ Value::Object(_)) => event,
            Ok(_) | Err(_) => {
                self.desk.violation("malformed JSON");
                let refusal =
                    Refusal::request("invalid_json", "Could not parse the event as a JSON object");
                return self.refuse(now, &refusal, &Value::Null);
            }
        };
        let kind = event.get("type").and_then(Value::as_str).unwrap_or_default();
        if !self.configured && kind != "session.update" {
            self.desk.violation("event before session.update");
        }
        match kind {
            "session.update" => self.update(now, &event),
            "input_audio_buffer.append" => match event["audio"].as_str().and_then(decode) {
                Some(bytes) => self.audio(now, &bytes),
                None => self.refuse(
                    now,
                    &Refusal::request("invalid_value", "audio must be base64"),
                    &event,
                ),
            },
            "input_audio_buffer.commit" => self.commit_by_hand(now, &event),
            "input_audio_buffer.clear" => self.clear(now),
            "conversation.item.create" => self.create_item(now, &event),
            "conversation.item.delete" => self.delete(now, &event),
            "conversation.item.truncate" => self.truncate(now, &event),
            "response.create" => self.create_response(now, &event),
            "response.cancel" => self.cancel_response(now, &event),
            // Without meaning on the WebSocket (documented for WebRTC and SIP).
            "output_audio_buffer.clear" => {}
            _ => {
                self.desk.violation("unknown event type");
                self.refuse(
                    now,
                    &Refusal::plain("invalid_event", "Unsupported event type"),
                    &event,
                );
            }
        }
    }

    /// A binary message of the client's: audio, whatever the transport is set to.
    pub(crate) fn binary(&mut self, now: Moment, bytes: &[u8]) {
        self.heard_at = now;
        self.audio(now, bytes);
    }

    fn update(&mut self, now: Moment, event: &Value) {
        let before = (self.session.input, self.session.detection);
        let notes = match self.session.update(&event["session"]) {
            Ok(notes) => notes,
            Err(refusal) => return self.refuse(now, &refusal, event),
        };
        if !self.configured && !notes.full {
            self.desk.violation("first session.update without voice or turn_detection at the top");
        }
        if notes.nested {
            self.desk.violation("voice or turn_detection where OpenAI has it");
        }
        if before != (self.session.input, self.session.detection) {
            self.reset_ear(before.0 != self.session.input);
        }
        let first = !std::mem::replace(&mut self.configured, true);
        let at = now + self.delay(TO_UPDATED);
        let updated = self.pen.event("session.updated", json!({ "session": self.session.dump() }));
        self.send(at, updated);
        if first {
            self.queue.push(at, 0, What::Deed(Deed::Ready));
            self.plan_faults(at);
        }
        if self.session.resumption {
            self.desk.keep(&self.conversation, &self.history, now);
        }
    }

    /// The faults of the connection as a whole, counted from `session.updated`.
    fn plan_faults(&mut self, at: Moment) {
        let mood = self.desk.mood;
        let number = self.number;
        let mut on = |after: Duration, times: u32, deed: Deed| {
            if number <= times {
                self.queue.push(at + after, 0, What::Deed(deed));
            }
        };
        if let Some((after, times)) = mood.drop {
            on(after, times, Deed::Drop);
        }
        if let Some((code, times)) = mood.close {
            on(UNTIL_CLOSE, times, Deed::Close(code));
        }
        if let Some((after, times)) = mood.silence {
            on(after, times, Deed::Hush);
        }
    }

    /// The next message that is due.
    pub(crate) fn poll(&mut self, now: Moment) -> Option<Out> {
        loop {
            if let Some(out) = self.mischief.pop(now, &mut self.pen) {
                return Some(out);
            }
            let (tag, what) = self.queue.pop(now)?;
            let out = match what {
                What::Event(event) => Out::Event(event),
                What::Delta(delta) => self.delta(now, tag, &delta),
                What::Done(done) => match self.done(now, tag, done) {
                    Some(event) => Out::Event(event),
                    None => continue,
                },
                What::Deed(deed) => match self.act(now, deed) {
                    Some(out) => out,
                    None => continue,
                },
            };
            self.mischief.push(now, out, &mut self.pen);
        }
    }

    /// When [`Brain::poll`] has something next.
    pub(crate) fn deadline(&self) -> Option<Moment> {
        [self.queue.deadline(), self.mischief.deadline()].into_iter().flatten().min()
    }

    fn act(&mut self, now: Moment, deed: Deed) -> Option<Out> {
        match deed {
            Deed::Ping => {
                self.queue.push(now + PING, 0, What::Deed(Deed::Ping));
                let stamp = self.desk.unix_ms(now);
                return Some(Out::Event(self.pen.event("ping", json!({ "timestamp": stamp }))));
            }
            Deed::Ready => self.ready = true,
            Deed::OpenReply(turn) => self.open_early(now, turn),
            Deed::Commit(turn) => self.commit(now, turn),
            Deed::TakeBack(turn) => self.take_back(now, turn),
            Deed::StopAgain(turn) => self.stop_again(now, turn),
            Deed::AnswerCommit => self.answer_commit(now),
            Deed::CheckIn(generation) => self.check_in(now, generation),
            Deed::Inactive => self.inactive(now),
            Deed::MaxDuration => {
                let words = "Conversation exceeded the maximum duration";
                self.end(now, &Refusal::plain("max_duration", words));
            }
            Deed::Close(code) => {
                self.queue = Queue::default();
                return Some(Out::Close(code));
            }
            Deed::Drop => {
                self.queue = Queue::default();
                return Some(Out::Drop);
            }
            Deed::Hush => return Some(Out::Hush),
        }
        None
    }

    fn inactive(&mut self, now: Moment) {
        let Some(limit) = self.desk.mood.timeout else { return };
        if now.since(self.heard_at) < limit {
            return self.queue.push(self.heard_at + limit, 0, What::Deed(Deed::Inactive));
        }
        self.end(now, &Refusal::plain("timeout", "Session timed out due to inactivity"));
    }

    fn end(&mut self, now: Moment, refusal: &Refusal) {
        let error = self.pen.error(refusal, None);
        self.send(now, error);
        self.queue.push(now + TO_CLOSE, 0, What::Deed(Deed::Close(1000)));
    }

    /// The connection is over; a resumable conversation is kept from now on.
    pub(crate) fn leave(&self, now: Moment) {
        if self.session.resumption {
            self.desk.keep(&self.conversation, &self.history, now);
        }
    }
}
