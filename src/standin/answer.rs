//! Replies: asked for, opened, sent, stopped, over.

use super::brain::{Brain, Out};
use super::desk::{Line, Role};
use super::plan::{Prompt, Setting, plan};
use super::queue::{Deed, Delta, Done, Tag, What};
use super::sound::millis;
use super::wire::{Refusal, encode};
use crate::base::unit::Moment;
use serde_json::{Value, json};
use std::time::Duration;

/// From `response.create` to `response.created` (recorded).
const TO_CREATED: Duration = Duration::from_millis(70);
/// Deltas of a stopped reply that still come with the fault `late-deltas`, and their distance.
const LATE: (usize, Duration) = (3, Duration::from_millis(100));

/// The reply that is being produced.
#[derive(Debug)]
pub(crate) struct Active {
    pub(crate) id: String,
    pub(crate) tag: Tag,
    pub(crate) meta: Value,
    /// The caller's audio is dropped until then: a line that may not be interrupted.
    pub(crate) deaf_until: Option<Moment>,
    /// Its content has been laid out.
    pub(crate) filled: bool,
    /// When its playback is over at the earliest, once it has been laid out.
    pub(crate) heard_out: Moment,
}

impl Brain {
    pub(super) fn create_response(&mut self, now: Moment, event: &Value) {
        self.idle += 1;
        if let Some(active) = &self.active {
            self.desk.violation("response.create while a reply is active");
            let words =
                format!("Conversation already has an active response in progress: {}", active.id);
            let refusal = Refusal::request("conversation_already_has_active_response", words);
            return self.refuse(now, &refusal, event);
        }
        if self.turns_away(now, event) {
            return;
        }
        if self.session.collides() {
            let words = "Internal error: function names collide with server-side tools";
            return self.refuse(
                now,
                &Refusal {
                    kind: "server_error",
                    code: "internal_error",
                    message: words.to_owned(),
                },
                event,
            );
        }
        let manual = self.session.detection.is_none() && !self.pen.documented;
        // The reply to a commit is about to come by itself; it takes the request along.
        if manual && self.commit_is_due() {
            self.commit_meta = event.pointer("/response/metadata").cloned();
            return;
        }
        // Q6.
        if manual && self.audio_answered {
            return;
        }
        if !self.owed.is_empty() {
            self.desk.violation("response.create before all outputs");
        }
        let meta = event.pointer("/response/metadata").cloned().unwrap_or(Value::Null);
        if meta.as_object().is_some_and(|meta| meta.len() > 16) {
            let refusal = Refusal::request("invalid_value", "metadata: at most 16 pairs");
            return self.refuse(now, &refusal, event);
        }
        let at = now + self.delay(TO_CREATED);
        self.open(at, meta);
        let prompt = self.prompt();
        self.fill(at, &prompt);
    }

    /// What the newest lines ask for.
    pub(super) fn prompt(&mut self) -> Prompt {
        let from = self.answered;
        let (prompt, end) = self.lines(|lines| {
            let mut outputs = Vec::new();
            let mut prompt = None;
            for line in lines.iter_mut().skip(from).rev() {
                match line.role {
                    Role::Output => outputs.insert(0, line.text.clone()),
                    Role::Call | Role::System => {}
                    Role::Assistant => break,
                    Role::User => {
                        let heard = line.heard.take();
                        prompt = Some(match heard {
                            Some(heard) => Prompt::Spoken(line.text.clone(), heard),
                            None => Prompt::Typed(line.text.clone()),
                        });
                        break;
                    }
                }
            }
            let found = if outputs.is_empty() { prompt } else { Some(Prompt::Outputs(outputs)) };
            (found.unwrap_or(Prompt::Nothing), lines.len())
        });
        self.answered = end;
        prompt
    }

    /// `response.created` at `at`; the rest follows with [`Brain::fill`].
    pub(super) fn open(&mut self, at: Moment, meta: Value) {
        self.tags += 1;
        let id = self.pen.id("resp");
        let response = self.pen.response(&id, "in_progress", json!([]), &meta);
        let created = self.pen.event("response.created", json!({ "response": response }));
        self.queue.push(at, self.tags, What::Event(created));
        self.active = Some(Active {
            id,
            tag: self.tags,
            meta,
            deaf_until: None,
            filled: false,
            heard_out: at,
        });
    }

    /// Lays the open reply out, counted from its `response.created` at `at`.
    pub(super) fn fill(&mut self, at: Moment, prompt: &Prompt) {
        let Some(active) = &mut self.active else { return };
        let plan = plan(
            prompt,
            Setting {
                pen: &mut self.pen,
                session: &self.session,
                mood: &self.desk.mood,
                delays: self.desk.delays,
                response: &active.id,
                meta: &active.meta,
            },
        );
        active.filled = true;
        active.heard_out = at + plan.first_audio + Duration::from_millis(plan.audio_ms);
        self.tricks.playing = plan.sound().map(|sound| (at + plan.first_audio, sound));
        for (after, what) in plan.steps {
            self.queue.push(at + after, active.tag, what);
        }
        for line in plan.lines {
            if line.role == Role::Call {
                self.desk.count(|r| r.calls += 1);
                self.owed.insert(line.call_id.clone());
            }
            self.remember(line);
        }
        self.answered = self.lines(|lines| lines.len());
    }

    /// A line to be spoken as it is (5.8). It is not confirmed as an item of its own.
    pub(super) fn force(
        &mut self,
        now: Moment,
        id: String,
        words: String,
        given: &Value,
        event: &Value,
    ) {
        if let Some(active) = &self.active {
            let words =
                format!("Conversation already has an active response in progress: {}", active.id);
            let refusal = Refusal::request("conversation_already_has_active_response", words);
            return self.refuse(now, &refusal, event);
        }
        self.remember(Line::new(id, Role::System, String::new()));
        let at = now + self.delay(TO_CREATED);
        self.open(at, Value::Null);
        self.fill(at, &Prompt::Verbatim(words));
        if let Some(active) = &mut self.active
            && given["interruptible"] == Value::Bool(false)
        {
            active.deaf_until = Some(active.heard_out);
            self.ear.deaf_until = Some(active.heard_out);
        }
    }

    pub(super) fn cancel_response(&mut self, now: Moment, event: &Value) {
        let wanted = event["response_id"].as_str();
        match &self.active {
            Some(active) if wanted.is_none_or(|id| id == active.id) => {
                let fails = self.desk.mood.cancel_fails;
                self.stop(now, !fails);
                if fails {
                    self.refuse_cancel(now, "invalid_value", event);
                }
            }
            Some(_) | None => self.refuse_cancel(now, "response_cancel_not_active", event),
        }
    }

    fn refuse_cancel(&mut self, now: Moment, code: &'static str, event: &Value) {
        let words = "Cancellation failed: no active response found";
        self.refuse(now, &Refusal::request(code, words), event);
    }

    /// Speech while a reply is being produced. As recorded, not every reply that is interrupted is
    /// closed: every second one is.
    pub(super) fn barge_in(&mut self, now: Moment) {
        if self.active.is_some() {
            self.barges += 1;
            let closed = self.pen.documented || self.barges % 2 == 1;
            self.stop(now, closed);
        }
    }

    /// Ends the active reply; `closed` says whether the client hears of it.
    pub(super) fn stop(&mut self, now: Moment, closed: bool) {
        let Some(active) = self.active.take() else { return };
        self.tricks.playing = None;
        self.desk.count(|r| r.stopped += 1);
        let rest = self.queue.take(active.tag);
        let announced = !rest
            .iter()
            .any(|what| matches!(what, What::Event(e) if e["type"] == "response.created"));
        if closed && announced && !self.desk.mood.no_done {
            let response = self.pen.response(&active.id, "cancelled", json!([]), &active.meta);
            let fields = json!({ "response": response, "response_id": active.id });
            let done = self.pen.event("response.done", fields);
            self.send(now, done);
        }
        if self.desk.mood.late_deltas {
            let late = rest.into_iter().filter(|what| matches!(what, What::Delta(_)));
            let mut at = now;
            for delta in late.take(LATE.0) {
                at += LATE.1;
                self.queue.push(at, 0, delta);
            }
        }
    }

    /// A delta at the moment it leaves.
    pub(super) fn delta(&mut self, now: Moment, tag: Tag, delta: &Delta) -> Out {
        let bytes = delta.bytes();
        let format = delta.format;
        let ms = millis((bytes.len() / format.width()) as u64, format.rate());
        if tag != 0 {
            let sent = millis((delta.range.end / format.width()) as u64, format.rate());
            self.lines(|lines| {
                if let Some(line) = lines.iter_mut().find(|line| line.id == delta.item) {
                    line.sent_ms = sent;
                }
            });
        }
        self.billed_ms += ms;
        self.desk.count(|r| r.audio_out_ms += ms);
        if delta.binary {
            return Out::Audio(bytes);
        }
        let mut fields = json!({
            "item_id": delta.item, "response_id": delta.response, "content_index": 0,
            "output_index": delta.index, "delta": encode(&bytes),
        });
        if !self.pen.documented {
            fields["rid"] = delta.rid.as_str().into();
            fields["audio_duration_ms"] = ms.into();
            fields["ts"] = self.desk.unix_ms(now).into();
            if delta.first {
                fields["latency"] = "0.65".into();
            }
        }
        Out::Event(self.pen.event("response.output_audio.delta", fields))
    }

    /// The end of a reply; `None` where `response.done` is withheld.
    pub(super) fn done(&mut self, now: Moment, tag: Tag, done: Done) -> Option<Value> {
        if let Some(active) = self.active.take_if(|active| active.tag == tag) {
            let idle = self.session.detection.and_then(|d| d.idle_ms);
            if let Some(ms) = idle {
                self.idle += 1;
                let quiet = now.max(active.heard_out) + Duration::from_millis(ms);
                self.queue.push(quiet, 0, What::Deed(Deed::CheckIn(self.idle)));
            }
        }
        if done.status == "completed" {
            self.desk.count(|r| r.replies += 1);
        }
        if self.desk.mood.no_done {
            return None;
        }
        let usage = self.usage(&done.output);
        let mut response = self.pen.response(&done.response, done.status, done.output, &done.meta);
        let mut fields = json!({ "response_id": done.response });
        if self.pen.documented {
            response["usage"] = usage;
        } else {
            fields["usage"] = usage;
        }
        fields["response"] = response;
        Some(self.pen.event("response.done", fields))
    }

    /// Token counts that grow with what was said. `billable_audio_seconds` is a running total.
    fn usage(&self, output: &Value) -> Value {
        let id = output.pointer("/0/id").and_then(Value::as_str).unwrap_or_default();
        let sent_ms = self.lines(|l| l.iter().find(|l| l.id == id).map_or(0, |l| l.sent_ms));
        let text_out = output.to_string().len() as u64 / 16;
        let text_in = self.lines(|l| l.iter().map(|l| l.text.len() as u64).sum::<u64>()) / 4;
        let (audio_in, audio_out) = (self.billed_ms.saturating_sub(sent_ms) / 50, sent_ms / 20);
        #[expect(clippy::cast_precision_loss, reason = "seconds of a reply")]
        let seconds = sent_ms as f64 / 1000.0;
        json!({
            "input_tokens": text_in + audio_in,
            "input_token_details": { "text_tokens": text_in, "audio_tokens": audio_in, "grok_tokens": 0 },
            "output_tokens": text_out + audio_out,
            "output_token_details": { "text_tokens": text_out, "audio_tokens": audio_out, "grok_tokens": 0 },
            "total_tokens": text_in + audio_in + text_out + audio_out,
            "output_audio_seconds": seconds,
            "billable_audio_seconds": self.billed_ms.div_ceil(1000),
        })
    }

    /// Nobody spoke for a while after a reply (5.9).
    pub(super) fn check_in(&mut self, now: Moment, generation: u32) {
        if generation != self.idle || self.active.is_some() || self.ear.busy() {
            return;
        }
        let Some(idle) = self.session.detection.and_then(|d| d.idle_ms) else { return };
        let id = self.pen.id("item");
        let end = millis_since(self.born, now);
        let fields = json!({ "item_id": id, "audio_start_ms": end.saturating_sub(idle), "audio_end_ms": end });
        let triggered = self.pen.event("input_audio_buffer.timeout_triggered", fields);
        let committed = self.pen.event("input_audio_buffer.committed", json!({ "item_id": id }));
        self.send(now, triggered);
        self.send(now, committed);
        self.remember(Line::new(id, Role::System, String::new()));
        let at = now + self.delay(TO_CREATED);
        self.open(at, Value::Null);
        self.fill(at, &Prompt::CheckIn);
    }
}

/// Milliseconds of wall time, as the service counts them (Q12).
pub(super) fn millis_since(from: Moment, now: Moment) -> u64 {
    now.millis().saturating_sub(from.millis())
}
