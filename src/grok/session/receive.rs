//! What the service says, turned into facts.

use super::super::reply::{Admission, News};
use super::super::server::{self, Item, ServerEvent};
use super::{Fact, Line, Over, Restored, Session, Wish};
use crate::base::event::Wire;
use crate::base::unit::Moment;
use std::time::Duration;

/// Speech is heard this long after it was sent at the latest; what comes later is about something
/// that was committed before.
const SPEECH_ECHO: Duration = Duration::from_millis(1500);
/// Calls whose names are remembered; a reply has a few.
const NAMES: usize = 16;

impl Session {
    /// The service says something.
    pub fn message(&mut self, now: Moment, wire: &Wire) {
        if !matches!(self.line, Line::Greeting { .. } | Line::Ready { .. }) {
            return;
        }
        self.last_frame = now;
        match wire {
            Wire::Text(text) => {
                let message = server::decode(text);
                if message.id.is_some_and(|id| self.seen.again(&id)) {
                    return;
                }
                self.event(now, message.event);
            }
            Wire::Binary(bytes) => {
                let (response, item) = self.binary_owner.clone();
                if !response.is_empty() {
                    self.sound(now, response, item, bytes, false, None);
                }
            }
        }
    }

    fn event(&mut self, now: Moment, event: ServerEvent) {
        match event {
            ServerEvent::SessionUpdated => self.updated(now),
            ServerEvent::ConversationCreated { id } => {
                self.same_conversation = self.conversation.as_deref() == Some(id.as_str());
                self.conversation = (!id.is_empty()).then_some(id);
            }
            ServerEvent::ItemAdded(item) => self.item_added(item),
            ServerEvent::SpeechStarted { item } => self.speech_started(now, item),
            ServerEvent::SpeechStopped { .. } => self.facts.push_back(Fact::SpeechStopped),
            ServerEvent::Committed { item } => self.committed(now, item),
            ServerEvent::UserText(text) => self.facts.push_back(Fact::UserText(text)),
            ServerEvent::ItemTruncated { item, transcript } => {
                if let Some(text) = transcript {
                    self.facts.push_back(Fact::Truncated { item, text });
                }
            }
            ServerEvent::ResponseCreated { id } => self.created(now, id),
            ServerEvent::OutputItem { response, item, done } => {
                self.output_item_told(response, item, done);
            }
            ServerEvent::PartAdded { response, item } => self.binary_owner = (response, item),
            ServerEvent::AudioDelta { response, item, bytes, old_name, stamp } => {
                self.sound(now, response, item, &bytes, old_name, stamp);
            }
            ServerEvent::AudioDone { response, item } => {
                self.facts.push_back(Fact::SoundEnd { response, item });
            }
            ServerEvent::TextDelta(words) => self.words(words, false),
            ServerEvent::TextDone(words) => self.words(words, true),
            ServerEvent::CallDone(call) => self.called(call),
            ServerEvent::ResponseDone { id, status, output } => {
                self.done(now, &id, &status, output);
            }
            ServerEvent::Error { kind, code, message } => self.error(now, &kind, code, message),
            ServerEvent::SessionCreated
            | ServerEvent::Ping
            | ServerEvent::Cleared
            | ServerEvent::Informative(_) => {}
            ServerEvent::Unknown(_) | ServerEvent::Malformed => self.odd_messages += 1,
        }
    }

    fn updated(&mut self, now: Moment) {
        // A second one answers nothing of ours.
        if matches!(self.line, Line::Greeting { .. }) {
            self.line = Line::Ready { since: now };
            let replayed = std::mem::take(&mut self.replayed);
            let restored = if self.same_conversation { replayed } else { Restored::default() };
            self.facts.push_back(Fact::Ready { restored });
        }
    }

    fn item_added(&mut self, item: Item) {
        if matches!(self.line, Line::Greeting { .. }) {
            // Nothing of this connection is an item yet: it is replayed.
            self.replayed.user |= item.role == "user" && item.kind == "message";
            self.replayed.assistant |= item.role == "assistant" && item.kind == "message";
            return;
        }
        if item.kind == "function_call_output" {
            self.unacknowledged.retain(|id| *id != item.call_id);
        }
    }

    /// Speech in what we sent. Under server VAD it ends the reply (R3), also one that was opened
    /// between a stop and its taking back (Q3). With manual turns it says nothing (Q2).
    fn speech_started(&mut self, now: Moment, item: String) {
        if self.detection.is_none() {
            return;
        }
        let known = self.spoken_item.as_ref() == Some(&item);
        let stale = self.committed_item.as_ref() == Some(&item) && (!known || self.sounded);
        let sent = self.last_append.is_some_and(|at| now - at <= SPEECH_ECHO);
        if stale || !sent {
            return;
        }
        self.spoken_item = Some(item);
        // It may be committed once more (Q3).
        self.committed_item = None;
        self.end_reply(now, Over::SpokenOver);
        self.facts.push_back(Fact::SpeechStarted);
    }

    fn committed(&mut self, now: Moment, item: String) {
        if self.committed_item.as_ref() == Some(&item) && !item.is_empty() {
            return;
        }
        self.committed_item = Some(item);
        self.sounded = false;
        if self.detection.is_some() {
            self.replies.want(now, Wish::Heard);
        } else {
            self.replies.confirmed(now);
        }
        self.facts.push_back(Fact::Committed);
    }

    fn created(&mut self, now: Moment, id: String) {
        if id.is_empty() {
            // Its deltas will announce it.
            return;
        }
        // Whatever was told to the model before is in its answer.
        self.unacknowledged.clear();
        self.binary_owner = (id.clone(), String::new());
        let mut news = Vec::new();
        let new = self.replies.began(now, &id, &mut news);
        self.tell(news);
        if new {
            self.facts.push_back(Fact::ReplyBegan { id });
        }
    }

    fn output_item_told(&mut self, response: String, item: Item, done: bool) {
        match item.kind.as_str() {
            "message" if !done => self.binary_owner = (response, item.id),
            "function_call" if !done => {
                self.replies.called();
                if self.names.len() == NAMES {
                    self.names.pop_front();
                }
                self.names.push_back((item.call_id, item.name));
            }
            "function_call" => self.called(call(response, item)),
            _ => {}
        }
    }

    /// A call is complete; its name comes from the event, else from its item (R7).
    fn called(&mut self, mut call: server::Call) {
        if self.replies.is_cut(&call.response) || call.call_id.is_empty() {
            return;
        }
        if call.name.is_empty()
            && let Some((_, name)) = self.names.iter().find(|(id, _)| *id == call.call_id)
        {
            call.name.clone_from(name);
        }
        self.replies.called();
        self.facts.push_back(Fact::Call(call));
    }

    fn words(&mut self, words: server::Words, whole: bool) {
        if self.parts.words(&words.item, words.alias) {
            self.facts.push_back(Fact::Words { item: words.item, text: words.text, whole });
        }
    }

    fn sound(
        &mut self,
        now: Moment,
        response: String,
        item: String,
        bytes: &[u8],
        old_name: bool,
        stamp: Option<u64>,
    ) {
        let response = match self.replies.active() {
            Some(active) if response.is_empty() => active.to_owned(),
            Some(_) | None => response,
        };
        let mut news = Vec::new();
        let admission = self.replies.admits(now, &response, &mut news);
        self.tell(news);
        match admission {
            Admission::Late => return,
            Admission::New => self.facts.push_back(Fact::ReplyBegan { id: response.clone() }),
            Admission::Old => {}
        }
        if let Some(samples) = self.parts.sound(&item, bytes, old_name, stamp)
            && !samples.is_empty()
        {
            self.sounded = true;
            self.facts.push_back(Fact::Sound { response, item, samples });
        }
    }

    fn done(&mut self, now: Moment, id: &str, status: &str, output: Vec<Item>) {
        let active = self.replies.active().unwrap_or_default().to_owned();
        let id = if id.is_empty() { active.as_str() } else { id };
        let ours = active == id;
        if ours && !matches!(status, "cancelled" | "failed") {
            for item in output {
                match item.kind.as_str() {
                    "function_call" => {
                        self.called(call(id.to_owned(), item));
                    }
                    "message" if !item.text.is_empty() => {
                        let (item, text) = (item.id, item.text);
                        self.facts.push_back(Fact::Words { item, text, whole: true });
                    }
                    _ => {}
                }
            }
        }
        let mut news: Vec<News> = Vec::new();
        self.replies.done(now, id, status, &mut news);
        self.tell(news);
    }

    /// Most errors are information (R10); codes differ, so the text counts too (Q14).
    fn error(&mut self, now: Moment, kind: &str, code: String, message: String) {
        let says = |words: &str| code.contains(words) || message.to_lowercase().contains(words);
        let mut news = Vec::new();
        if kind == "max_duration" || code == "max_duration" {
            // A conversation that is too long is not one to go on with.
            self.conversation = None;
            self.give_up(now, "The service ended a long conversation.");
        } else if kind == "timeout" || code == "timeout" {
            self.give_up(now, "The service closed an idle session.");
        } else if says("already_has_active") || says("already has an active response") {
            self.replies.already_active(now);
        } else if says("cancel_not_active") || says("no active response") {
            self.replies.not_active(now, &mut news);
        } else if !["truncat", "already shorter", "not found"].into_iter().any(says) {
            if matches!(kind, "server_error" | "internal_error") {
                self.replies.failed(now);
            }
            let code = if code.is_empty() { kind.to_owned() } else { code };
            self.facts.push_back(Fact::Complaint { code, message });
        }
        self.tell(news);
    }
}

fn call(response: String, item: Item) -> server::Call {
    server::Call {
        response,
        item: item.id,
        call_id: item.call_id,
        name: item.name,
        arguments: item.arguments,
    }
}
