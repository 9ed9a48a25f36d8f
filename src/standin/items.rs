//! The conversation's items: what clients add, delete and shorten.

use super::brain::Brain;
use super::desk::{Line, Role};
use super::wire::{Refusal, item};
use crate::base::unit::Moment;
use serde_json::{Value, json};
use std::time::Duration;

/// From a typed item to its confirmation (recorded).
const TO_ADDED: Duration = Duration::from_millis(70);

impl Brain {
    pub(super) fn create_item(&mut self, now: Moment, event: &Value) {
        let given = &event["item"];
        self.idle += 1;
        let id = match given["id"].as_str() {
            Some(id) if !id.is_empty() => id.to_owned(),
            Some(_) | None => self.pen.id("item"),
        };
        let words = text(given);
        let at = now + self.delay(TO_ADDED);
        let kind = given["type"].as_str().unwrap_or_default();
        let line = match (kind, given["role"].as_str()) {
            ("force_message", _) => return self.force(now, id, words, given, event),
            ("message", Some("user")) => {
                self.tricks.other_input();
                self.desk.count(|r| r.typed += 1);
                self.audio_answered = false;
                Line::new(id, Role::User, words)
            }
            ("message", Some("assistant")) => Line::new(id, Role::Assistant, words),
            ("message", Some("system")) => Line::new(id, Role::System, words),
            ("function_call", _) => self.given_call(id, given),
            ("function_call_output", _) => match self.given_output(id, given) {
                Ok(line) => line,
                Err(refusal) => return self.refuse(now, &refusal, event),
            },
            _ => {
                let words = format!(
                    "item.type {} with role {} is not supported",
                    given["type"], given["role"]
                );
                return self.refuse(now, &Refusal::request("invalid_value", words), event);
            }
        };
        let mut fields = shown(&line, "text", "completed");
        if let Some(content) = given.get("content") {
            fields["content"] = content.clone();
        }
        let item = item(&self.pen, fields, false);
        let added = self.pen.event("conversation.item.added", json!({ "item": item }));
        self.send(at, added);
        self.remember(line);
    }

    fn given_call(&mut self, id: String, given: &Value) -> Line {
        let word = |name: &str| given[name].as_str().unwrap_or_default().to_owned();
        let line = Line::new(id, Role::Call, word("arguments"));
        Line { name: word("name"), call_id: word("call_id"), ..line }
    }

    fn given_output(&mut self, id: String, given: &Value) -> Result<Line, Refusal> {
        let Some(call_id) = given["call_id"].as_str() else {
            return Err(Refusal::request(
                "missing_required_parameter",
                "function_call_output needs a call_id",
            ));
        };
        // Any text is accepted; a JSON value that is no string is taken as its text.
        let output = match &given["output"] {
            Value::String(text) => text.clone(),
            Value::Null => String::new(),
            other @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
                self.desk.violation("function output that is not a string");
                other.to_string()
            }
        };
        let mut output = output;
        if !self.owed.remove(call_id) {
            let known =
                self.lines(|l| l.iter().any(|l| l.role == Role::Call && l.call_id == call_id));
            if !known {
                // Some clients shorten the id; the service takes the output all the same.
                self.desk.violation("output for a call that was never made");
                self.owed.pop_first();
                if self.desk.mood.own_calls {
                    // Q8: it takes the answer for a failure of its own.
                    "I am sorry, the search did not work.".clone_into(&mut output);
                }
            }
        }
        self.audio_answered = false;
        self.tricks.other_input();
        self.desk.count(|r| r.outputs += 1);
        Ok(Line { call_id: call_id.to_owned(), ..Line::new(id, Role::Output, output) })
    }

    pub(super) fn delete(&mut self, now: Moment, event: &Value) {
        let id = event["item_id"].as_str().unwrap_or_default();
        let found = !self.desk.mood.lost_items;
        let place = self.lines(|l| l.iter().position(|line| line.id == id).filter(|_| found));
        let Some(place) = place else {
            return self.refuse(now, &Refusal::request("item_not_found", "Item not found"), event);
        };
        self.lines(|lines| lines.remove(place));
        if place < self.answered {
            self.answered -= 1;
        }
        self.deletions += 1;
        // Q13: the id of the confirmation may be empty.
        let shown = if self.deletions.is_multiple_of(2) && !self.pen.documented { "" } else { id };
        let deleted = self.pen.event("conversation.item.deleted", json!({ "item_id": shown }));
        self.send(now, deleted);
    }

    pub(super) fn truncate(&mut self, now: Moment, event: &Value) {
        let id = event["item_id"].as_str().unwrap_or_default();
        let found = self.lines(|lines| {
            lines.iter().find(|l| l.id == id && l.role == Role::Assistant).map(|l| l.sent_ms)
        });
        let Some(sent_ms) = found.filter(|_| !self.desk.mood.lost_items) else {
            return self.refuse(now, &Refusal::request("item_not_found", "Item not found"), event);
        };
        let Some(end_ms) = event["audio_end_ms"].as_u64() else {
            let refusal =
                Refusal::request("invalid_value", "audio_end_ms must be an integer of at least 0");
            return self.refuse(now, &refusal, event);
        };
        // Q7: while a reply is active nothing comes of it.
        let mood = self.desk.mood;
        if mood.truncate_ignored || (!mood.documented && self.active.is_some()) {
            return;
        }
        if end_ms > sent_ms {
            self.desk.violation("truncate beyond what was sent");
            let words = format!("Audio content of {sent_ms}ms is already shorter than {end_ms}ms");
            return self.refuse(now, &Refusal::request("invalid_value", words), event);
        }
        self.tricks.playing = None;
        let left = self.lines(|lines| {
            let line = lines.iter_mut().find(|l| l.id == id)?;
            line.text = line.until(end_ms);
            line.sent_ms = end_ms;
            Some(line.text.clone())
        });
        let fields = json!({ "item_id": id, "content_index": 0, "audio_end_ms": end_ms, "transcript": left });
        let truncated = self.pen.event("conversation.item.truncated", fields);
        self.send(now, truncated);
    }
}

/// The text of an item a client gives.
fn text(given: &Value) -> String {
    let parts = given["content"].as_array().map(Vec::as_slice).unwrap_or_default();
    let text = |part: &Value| {
        part["text"].as_str().or_else(|| part["transcript"].as_str()).map(str::to_owned)
    };
    match &given["content"] {
        Value::String(text) => text.clone(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            parts.iter().filter_map(text).collect::<Vec<_>>().join(" ")
        }
    }
}

/// A line as an item; `part` is the content type of an assistant's message.
pub(super) fn shown(line: &Line, part: &str, status: &str) -> Value {
    let content = |key: &str, part: &str| {
        let mut content = json!({ "type": part });
        content[key] = line.text.as_str().into();
        json!([content])
    };
    let message = |role: &str, content: Value| json!({ "id": line.id, "type": "message", "status": status, "role": role, "content": content });
    match line.role {
        Role::User if line.spoken => message("user", content("transcript", "input_audio")),
        Role::User => message("user", content("text", "input_text")),
        Role::Assistant => message("assistant", content("text", part)),
        Role::System => message("system", content("text", "input_text")),
        Role::Call => {
            json!({ "id": line.id, "type": "function_call", "status": status, "role": "tool",
            "call_id": line.call_id, "name": line.name, "arguments": line.text })
        }
        Role::Output => json!({ "id": line.id, "type": "function_call_output", "status": status,
            "role": "tool", "call_id": line.call_id, "output": line.text }),
    }
}
