//! What we say to the service: one type per client event.

use base64::Engine;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// A client event. Field names are the wire's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum ClientEvent {
    /// The whole configuration.
    #[serde(rename = "session.update")]
    SessionUpdate {
        /// The `session` object.
        session: Value,
    },
    /// Sound, base64. To be sent it is written by [`append`].
    #[serde(rename = "input_audio_buffer.append")]
    Append {
        /// Whole little-endian 16-bit samples.
        audio: String,
    },
    /// Ends a turn by hand.
    #[serde(rename = "input_audio_buffer.commit")]
    Commit,
    /// Forgets sound that is not committed.
    #[serde(rename = "input_audio_buffer.clear")]
    Clear,
    /// Adds to the history.
    #[serde(rename = "conversation.item.create")]
    ItemCreate {
        /// The item.
        item: Item,
    },
    /// Shortens a spoken item to what was heard.
    #[serde(rename = "conversation.item.truncate")]
    ItemTruncate {
        /// Which.
        item_id: String,
        /// Always 0 so far.
        content_index: u32,
        /// Milliseconds that were heard, rounded down.
        audio_end_ms: u64,
    },
    /// Asks for a reply.
    #[serde(rename = "response.create")]
    ResponseCreate,
    /// Stops a reply.
    #[serde(rename = "response.cancel")]
    ResponseCancel {
        /// Which; the active one when absent.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        response_id: Option<String>,
    },
}

/// The JSON of [`ClientEvent::Append`] for these bytes, written in one go: it is said fifty times a
/// second.
pub fn append(sound: &[u8]) -> String {
    const HEAD: &str = r#"{"type":"input_audio_buffer.append","audio":""#;
    const TAIL: &str = "\"}";
    let mut text = String::with_capacity(HEAD.len() + sound.len().div_ceil(3) * 4 + TAIL.len());
    text.push_str(HEAD);
    base64::engine::general_purpose::STANDARD.encode_string(sound, &mut text);
    text.push_str(TAIL);
    text
}

/// An item of the history as a client adds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Item {
    /// A line of the conversation.
    Message {
        /// Our own id, echoed by the service.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        id: Option<String>,
        /// `user` or `assistant`.
        role: String,
        /// One part.
        content: Vec<Part>,
    },
    /// What a tool answered.
    FunctionCallOutput {
        /// Of the call.
        call_id: String,
        /// JSON in a string.
        output: String,
    },
}

/// A part of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// `input_text` or `output_text`.
    pub r#type: String,
    /// The words.
    pub text: String,
}

impl Item {
    /// What a person typed, or said in an earlier connection.
    pub fn user(id: Option<String>, text: &str) -> Self {
        let part = Part { r#type: "input_text".into(), text: text.into() };
        Self::Message { id, role: "user".into(), content: vec![part] }
    }

    /// What the service said in an earlier connection.
    pub fn assistant(text: &str) -> Self {
        let part = Part { r#type: "output_text".into(), text: text.into() };
        Self::Message { id: None, role: "assistant".into(), content: vec![part] }
    }
}

impl ClientEvent {
    /// As one text message.
    pub fn encode(&self) -> String {
        serde_json::to_string(self).unwrap_or_else(|_| json!({"type": "invalid"}).to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_written_as_the_service_names_them() {
        let typed = ClientEvent::ItemCreate { item: Item::user(Some("t1".into()), "Hello") };
        assert_eq!(
            typed.encode(),
            r#"{"type":"conversation.item.create","item":{"type":"message","id":"t1","role":"user","content":[{"type":"input_text","text":"Hello"}]}}"#
        );
        assert_eq!(ClientEvent::Commit.encode(), r#"{"type":"input_audio_buffer.commit"}"#);
        for length in 0..8 {
            let sound = vec![0xfb; length];
            let audio = base64::engine::general_purpose::STANDARD.encode(&sound);
            let text = append(&sound);
            assert_eq!(text, ClientEvent::Append { audio }.encode());
            assert_eq!(text.len(), text.capacity());
        }
        assert_eq!(
            ClientEvent::ResponseCancel { response_id: None }.encode(),
            r#"{"type":"response.cancel"}"#
        );
    }

    #[test]
    fn encoding_and_decoding_are_inverse() {
        for event in [
            ClientEvent::Append { audio: "AAAB".into() },
            ClientEvent::Clear,
            ClientEvent::ResponseCreate,
            ClientEvent::ResponseCancel { response_id: Some("r".into()) },
            ClientEvent::ItemTruncate { item_id: "a".into(), content_index: 0, audio_end_ms: 840 },
            ClientEvent::ItemCreate {
                item: Item::FunctionCallOutput { call_id: "c".into(), output: "{}".into() },
            },
        ] {
            let back: ClientEvent = serde_json::from_str(&event.encode()).unwrap();
            assert_eq!(back, event);
        }
    }
}
