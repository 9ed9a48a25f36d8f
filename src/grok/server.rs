//! What the service says to us. Decoding never fails on a field: what is missing, `null` or of the
//! wrong type is empty, unknown kinds are a value (R1).

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::Value;

/// Standard alphabet, padding optional, stray bits forgiven (R8).
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A message of the service: its id (where it has one) and what it says.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// `event_id`; repeats of one are dropped.
    pub id: Option<String>,
    /// What it says.
    pub event: ServerEvent,
}

/// The words of a user's item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserText {
    /// Of the item.
    pub item: String,
    /// The whole text so far.
    pub text: String,
    /// It will not change any more (Q4).
    pub is_final: bool,
}

/// A function call, as far as it is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The reply it belongs to; may be empty.
    pub response: String,
    /// Its own item.
    pub item: String,
    /// What the output must name.
    pub call_id: String,
    /// The function; may be empty when only the item named it.
    pub name: String,
    /// JSON in a string.
    pub arguments: String,
}

/// An item of the history.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Item {
    /// Its id.
    pub id: String,
    /// `message`, `function_call`, `function_call_output`, ...
    pub kind: String,
    /// `user`, `assistant`, `system`, `tool`.
    pub role: String,
    /// `in_progress`, `completed`, `cancelled`, `incomplete`.
    pub status: String,
    /// Of calls and outputs.
    pub call_id: String,
    /// Of calls.
    pub name: String,
    /// Of calls.
    pub arguments: String,
    /// `transcript` or `text` of its parts (Q17).
    pub text: String,
    /// Whether it comes from an earlier connection.
    pub replayed: bool,
}

/// Words or the end of words of a reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words {
    /// Of which reply.
    pub response: String,
    /// Of which item.
    pub item: String,
    /// A piece, or the whole.
    pub text: String,
    /// Whether it comes from the text-mode events, whose two names carry the same text.
    pub alias: &'static str,
}

/// A server event.
#[derive(Debug, Clone, PartialEq)]
pub enum ServerEvent {
    /// The socket is greeted.
    SessionCreated,
    /// Key of resumption.
    ConversationCreated {
        /// Its id.
        id: String,
    },
    /// Our configuration stands; nothing else in it counts (Q18).
    SessionUpdated,
    /// The service lives.
    Ping,
    /// An item entered the history.
    ItemAdded(Item),
    /// A truncation is confirmed.
    ItemTruncated {
        /// Which.
        item: String,
        /// What is left of the text.
        transcript: Option<String>,
    },
    /// The service hears speech.
    SpeechStarted {
        /// The item to be.
        item: String,
    },
    /// The service hears its end, perhaps (Q3).
    SpeechStopped {
        /// Which.
        item: String,
    },
    /// The spoken turn is an item.
    Committed {
        /// Which.
        item: String,
    },
    /// The buffer is empty.
    Cleared,
    /// A user's words.
    UserText(UserText),
    /// A reply begins.
    ResponseCreated {
        /// Its id.
        id: String,
    },
    /// An item of a reply begins or is complete.
    OutputItem {
        /// The reply.
        response: String,
        /// The item.
        item: Item,
        /// Complete.
        done: bool,
    },
    /// A part of an item begins.
    PartAdded {
        /// The reply.
        response: String,
        /// The item.
        item: String,
    },
    /// Sound of a reply.
    AudioDelta {
        /// The reply.
        response: String,
        /// The item.
        item: String,
        /// Bytes as they came; may be odd in number (R8).
        bytes: Vec<u8>,
        /// The event came under its old name.
        old_name: bool,
        /// What tells a repeat under a new id from new sound.
        stamp: Option<u64>,
    },
    /// No more sound in this part.
    AudioDone {
        /// The reply.
        response: String,
        /// The item.
        item: String,
    },
    /// Words of a reply, to be appended.
    TextDelta(Words),
    /// The words of a reply, whole.
    TextDone(Words),
    /// A call is complete.
    CallDone(Call),
    /// A reply is over.
    ResponseDone {
        /// Its id.
        id: String,
        /// `completed`, `cancelled`, `incomplete`, `failed`.
        status: String,
        /// Its items.
        output: Vec<Item>,
    },
    /// Something was refused or failed.
    Error {
        /// `error.type`.
        kind: String,
        /// `error.code`.
        code: String,
        /// For people.
        message: String,
    },
    /// Known, and of no use here.
    Informative(String),
    /// Never heard of.
    Unknown(String),
    /// Not a JSON object with a type.
    Malformed,
}

/// Kinds that need no answer and change nothing.
const INFORMATIVE: [&str; 25] = [
    "conversation.item.deleted",
    "conversation.item.done",
    "conversation.item.input_audio_transcription.delta",
    "conversation.item.input_audio_transcription.failed",
    "input_audio_buffer.dtmf_event_received",
    "input_audio_buffer.timeout_triggered",
    "mcp_list_tools.completed",
    "mcp_list_tools.failed",
    "mcp_list_tools.in_progress",
    "output_audio_buffer.cleared",
    "output_audio_buffer.started",
    "output_audio_buffer.stopped",
    "rate_limits.updated",
    "response.cancelled",
    "response.content_part.done",
    "response.function_call_arguments.delta",
    "response.mcp_call.completed",
    "response.mcp_call.failed",
    "response.mcp_call.in_progress",
    "response.mcp_call_arguments.delta",
    "response.mcp_call_arguments.done",
    "response.queued",
    "response.in_progress",
    "session.closed",
    "pong",
];

/// Reads one text message.
pub fn decode(text: &str) -> Message {
    let Ok(value) = serde_json::from_str::<Value>(text) else {
        return Message { id: None, event: ServerEvent::Malformed };
    };
    let Some(kind) = value.get("type").and_then(Value::as_str) else {
        return Message { id: None, event: ServerEvent::Malformed };
    };
    let id = value.get("event_id").and_then(Value::as_str);
    let id = id.filter(|id| !id.is_empty()).map(str::to_owned);
    Message { id, event: event(kind, &value) }
}

fn event(kind: &str, v: &Value) -> ServerEvent {
    let item_id = || text(v, "item_id");
    match kind {
        "session.created" => ServerEvent::SessionCreated,
        "conversation.created" => {
            ServerEvent::ConversationCreated { id: text(&v["conversation"], "id") }
        }
        "session.updated" => ServerEvent::SessionUpdated,
        "ping" => ServerEvent::Ping,
        "conversation.item.added" | "conversation.item.created" => {
            ServerEvent::ItemAdded(item(&v["item"]))
        }
        "conversation.item.truncated" => ServerEvent::ItemTruncated {
            item: item_id(),
            transcript: v["transcript"].as_str().map(str::to_owned),
        },
        "input_audio_buffer.speech_started" => ServerEvent::SpeechStarted { item: item_id() },
        "input_audio_buffer.speech_stopped" => ServerEvent::SpeechStopped { item: item_id() },
        "input_audio_buffer.committed" => ServerEvent::Committed { item: item_id() },
        "input_audio_buffer.cleared" => ServerEvent::Cleared,
        "conversation.item.input_audio_transcription.updated" => user_text(v, false),
        "conversation.item.input_audio_transcription.completed" => {
            // Without a status it is the documented, final form (R5).
            user_text(v, matches!(v["status"].as_str(), None | Some("completed")))
        }
        "error" => error(&v["error"]),
        _ if kind.starts_with("response.") => response(kind, v),
        _ => other(kind),
    }
}

fn response(kind: &str, v: &Value) -> ServerEvent {
    let (response, item_id) = (text(v, "response_id"), text(v, "item_id"));
    match kind {
        "response.created" => ServerEvent::ResponseCreated { id: response_id(v) },
        "response.output_item.added" | "response.output_item.done" => ServerEvent::OutputItem {
            response,
            item: item(&v["item"]),
            done: kind.ends_with("done"),
        },
        "response.content_part.added" => ServerEvent::PartAdded { response, item: item_id },
        "response.output_audio.delta" | "response.audio.delta" => ServerEvent::AudioDelta {
            response,
            item: item_id,
            bytes: base64(v["delta"].as_str().unwrap_or_default()),
            old_name: kind == "response.audio.delta",
            stamp: v["ts"].as_u64(),
        },
        "response.output_audio.done" | "response.audio.done" => {
            ServerEvent::AudioDone { response, item: item_id }
        }
        "response.output_audio_transcript.delta" => words(v, "delta", "output_audio_transcript"),
        "response.audio_transcript.delta" => words(v, "delta", "audio_transcript"),
        "response.output_text.delta" => words(v, "delta", "output_text"),
        "response.text.delta" => words(v, "delta", "text"),
        "response.output_audio_transcript.done" => {
            words(v, "transcript", "output_audio_transcript")
        }
        "response.audio_transcript.done" => words(v, "transcript", "audio_transcript"),
        "response.output_text.done" => words(v, "text", "output_text"),
        "response.text.done" => words(v, "text", "text"),
        "response.function_call_arguments.done" => ServerEvent::CallDone(Call {
            response,
            item: item_id,
            call_id: text(v, "call_id"),
            name: text(v, "name"),
            arguments: text(v, "arguments"),
        }),
        "response.done" => ServerEvent::ResponseDone {
            id: response_id(v),
            status: text(&v["response"], "status"),
            output: v["response"]["output"]
                .as_array()
                .map(|items| items.iter().map(item).collect())
                .unwrap_or_default(),
        },
        _ => other(kind),
    }
}

fn other(kind: &str) -> ServerEvent {
    if INFORMATIVE.contains(&kind) {
        ServerEvent::Informative(kind.to_owned())
    } else {
        ServerEvent::Unknown(kind.chars().take(80).collect())
    }
}

/// The id inside `response`, else the one beside it.
fn response_id(v: &Value) -> String {
    let inner = text(&v["response"], "id");
    if inner.is_empty() { text(v, "response_id") } else { inner }
}

fn words(v: &Value, field: &str, alias: &'static str) -> ServerEvent {
    let words = Words {
        response: text(v, "response_id"),
        item: text(v, "item_id"),
        text: text(v, field),
        alias,
    };
    if field == "delta" { ServerEvent::TextDelta(words) } else { ServerEvent::TextDone(words) }
}

fn user_text(v: &Value, is_final: bool) -> ServerEvent {
    ServerEvent::UserText(UserText {
        item: text(v, "item_id"),
        text: text(v, "transcript"),
        is_final,
    })
}

fn error(v: &Value) -> ServerEvent {
    ServerEvent::Error {
        kind: text(v, "type"),
        code: text(v, "code"),
        message: text(v, "message").chars().take(400).collect(),
    }
}

fn item(v: &Value) -> Item {
    let parts = v["content"].as_array().map(Vec::as_slice).unwrap_or_default();
    let part = |p: &Value| {
        p["transcript"].as_str().or_else(|| p["text"].as_str()).unwrap_or_default().to_owned()
    };
    Item {
        id: text(v, "id"),
        kind: text(v, "type"),
        role: text(v, "role"),
        status: text(v, "status"),
        call_id: text(v, "call_id"),
        name: text(v, "name"),
        arguments: text(v, "arguments"),
        text: parts.iter().map(part).collect::<Vec<_>>().join(""),
        replayed: v["replayed"].as_bool().unwrap_or(false),
    }
}

fn text(v: &Value, field: &str) -> String {
    v.get(field).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// Base64 as forgiving as can be: white space and foreign characters are skipped, an incomplete
/// tail gives the bytes that are whole.
fn base64(text: &str) -> Vec<u8> {
    if let Ok(bytes) = LENIENT.decode(text) {
        return bytes;
    }
    let url_safe = |c: u8| match c {
        b'-' => b'+',
        b'_' => b'/',
        other => other,
    };
    let known = |c: &u8| c.is_ascii_alphanumeric() || matches!(c, b'+' | b'/');
    let mut clean: Vec<u8> = text.bytes().map(url_safe).filter(known).collect();
    if clean.len() % 4 == 1 {
        clean.pop();
    }
    LENIENT.decode(clean).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_messages_are_values() {
        for text in ["", "{", "[]", "null", "7", r#"{"type":null}"#, r#"{"event_id":"e"}"#] {
            assert_eq!(decode(text).event, ServerEvent::Malformed, "{text}");
        }
        assert_eq!(
            decode(r#"{"type":"weather.changed","event_id":"e"}"#).event,
            ServerEvent::Unknown("weather.changed".into())
        );
    }

    #[test]
    fn null_and_wrong_fields_are_empty() {
        let event = decode(
            r#"{"type":"response.done","response":{"id":null,"output":[null,7,{"content":{}}]},"response_id":"r"}"#,
        );
        let ServerEvent::ResponseDone { id, status, output } = event.event else { panic!() };
        assert_eq!((id.as_str(), status.as_str(), output.len()), ("r", "", 3));
    }

    #[test]
    fn base64_is_read_leniently() {
        for text in ["AQID", "AQI=", "AQI", "AQ", "AQIDB", "A Q\nI D", "-_-_", "!!!!", "="] {
            base64(text);
        }
        assert_eq!(base64("AQI"), [1, 2]);
        assert_eq!(base64("AQID\n"), [1, 2, 3]);
        assert_eq!(base64("AQIDB"), [1, 2, 3]);
    }
}
