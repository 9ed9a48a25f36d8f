//! The service's own events, built by hand from its description. Recorded and documented shapes.

use serde_json::{Map, Value, json};

/// Makes ids and event envelopes for one connection.
#[derive(Debug)]
pub(crate) struct Pen {
    state: u64,
    /// Shapes and ids as the documents have them.
    pub(crate) documented: bool,
}

impl Pen {
    /// A pen whose ids follow from `seed`.
    pub(crate) const fn new(seed: u64, documented: bool) -> Self {
        Self { state: seed, documented }
    }

    /// SplitMix64: ids must differ, not be secret.
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.state ^ (self.state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A version 4 UUID.
    pub(crate) fn uuid(&mut self) -> String {
        let (a, b) = (self.next(), self.next());
        format!(
            "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
            a >> 32,
            (a >> 16) & 0xffff,
            a & 0xfff,
            (b >> 48) & 0x3fff | 0x8000,
            b & 0xffff_ffff_ffff
        )
    }

    /// 32 hex digits.
    pub(crate) fn hex(&mut self) -> String {
        format!("{:016x}{:016x}", self.next(), self.next())
    }

    /// An id: a UUID on the wire, `prefix_...` in the documents.
    pub(crate) fn id(&mut self, prefix: &str) -> String {
        if self.documented { format!("{prefix}_{:016x}", self.next()) } else { self.uuid() }
    }

    /// An event of `kind`. On the wire it carries `previous_item_id` whatever it means.
    pub(crate) fn event(&mut self, kind: &str, fields: Value) -> Value {
        let mut event = match fields {
            Value::Object(map) => map,
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_) => Map::new(),
        };
        event.insert("type".to_owned(), kind.into());
        if !event.contains_key("event_id") {
            event.insert("event_id".to_owned(), self.id("event").into());
        }
        if !self.documented && !matches!(kind, "session.created" | "error") {
            event.entry("previous_item_id").or_insert(Value::Null);
        }
        Value::Object(event)
    }

    /// An `error` event about the client's event `about`.
    pub(crate) fn error(&mut self, fault: &Refusal, about: Option<&str>) -> Value {
        let error = json!({
            "type": fault.kind, "code": fault.code, "message": fault.message,
            "param": null, "event_id": about,
        });
        self.event("error", json!({ "error": error }))
    }

    /// The `response` object of `response.created` and `response.done`.
    pub(crate) fn response(&self, id: &str, status: &str, output: Value, meta: &Value) -> Value {
        let mut response = json!({
            "id": id, "object": "realtime.response", "status": status, "output": output,
            "status_details": "unimplemented", "usage": {},
        });
        if self.documented {
            response["status_details"] = Value::Null;
        }
        if !meta.is_null() {
            response["metadata"] = meta.clone();
        }
        response
    }
}

/// Why something of the client's was refused, as the `error` event words it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) kind: &'static str,
    pub(crate) code: &'static str,
    pub(crate) message: String,
}

impl Refusal {
    /// An `invalid_request_error`.
    pub(crate) fn request(code: &'static str, message: impl Into<String>) -> Self {
        Self { kind: "invalid_request_error", code, message: message.into() }
    }

    /// An error whose type and code are one word.
    pub(crate) fn plain(kind: &'static str, message: impl Into<String>) -> Self {
        Self { kind, code: kind, message: message.into() }
    }
}

/// An item of the conversation. `documented` items have no `replayed`.
pub(crate) fn item(pen: &Pen, mut fields: Value, replayed: bool) -> Value {
    fields["object"] = "realtime.item".into();
    if !pen.documented {
        fields["replayed"] = replayed.into();
    }
    fields
}

/// Sets to null what a client can do without: the fault `null-fields`.
pub(crate) fn nullify(event: &mut Value) {
    const SPARE: &[&str] = &[
        "audio_duration_ms",
        "audio_end_ms",
        "audio_start_ms",
        "content",
        "content_index",
        "latency",
        "output",
        "output_index",
        "param",
        "part",
        "previous_item_id",
        "replayed",
        "rid",
        "role",
        "start_time",
        "status_details",
        "timestamp",
        "ts",
        "usage",
        "object",
        "code",
    ];
    let Value::Object(map) = event else { return };
    for (name, value) in map.iter_mut() {
        if SPARE.contains(&name.as_str()) {
            *value = Value::Null;
        } else if matches!(name.as_str(), "item" | "response" | "error" | "session") {
            nullify(value);
        }
    }
}

/// Bytes as base64 with padding.
pub(crate) fn encode(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// Base64 with or without padding.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD_NO_PAD.decode(text.trim_end_matches('=')).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_uuids_on_the_wire_and_words_in_the_documents() {
        let id = Pen::new(1, false).id("msg");
        assert_eq!(id.len(), 36);
        assert_eq!((&id[14..15], id.split('-').count()), ("4", 5));
        assert!(Pen::new(1, true).id("msg").starts_with("msg_"));
        let mut pen = Pen::new(1, false);
        assert_ne!(pen.uuid(), pen.uuid());
    }

    #[test]
    fn base64_with_and_without_padding() {
        assert_eq!(decode("AAE="), Some(vec![0, 1]));
        assert_eq!(decode("AAE"), Some(vec![0, 1]));
        assert_eq!(decode("A*E"), None);
        assert_eq!(encode(&[0, 1]), "AAE=");
    }
}
