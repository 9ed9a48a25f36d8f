//! Server events as the service writes them.

use base64::Engine;
use serde_json::{Value, json};

/// A number for the event's id, then the event.
pub fn stamped(n: u64, mut event: Value) -> String {
    event["event_id"] = format!("e{n:07}").into();
    event["previous_item_id"] = Value::Null;
    event.to_string()
}

/// What comes first on a connection.
pub fn greeting(conversation: &str) -> Vec<Value> {
    vec![
        json!({"type": "session.created", "session": {"id": "s", "voice": "xai_ara"}}),
        json!({"type": "conversation.created", "conversation": {"id": conversation}}),
        json!({"type": "ping", "timestamp": 1}),
    ]
}

/// The configuration stands.
pub fn updated() -> Value {
    json!({"type": "session.updated", "session": {"enable_noise_suppression": false, "tools": []}})
}

/// A sign of life.
pub fn ping() -> Value {
    json!({"type": "ping", "timestamp": 2})
}

/// `speech_started`, `speech_stopped`, `committed`.
pub fn buffer(kind: &str, item: &str) -> Value {
    json!({"type": format!("input_audio_buffer.{kind}"), "item_id": item})
}

/// The words of a person; `status` may be empty for the documented form.
pub fn user_text(item: &str, text: &str, status: &str) -> Value {
    let kind = "conversation.item.input_audio_transcription.completed";
    let mut event = json!({"type": kind, "item_id": item, "transcript": text});
    if !status.is_empty() {
        event["status"] = status.into();
    }
    event
}

/// A live caption.
pub fn caption(item: &str, text: &str) -> Value {
    let kind = "conversation.item.input_audio_transcription.updated";
    json!({"type": kind, "item_id": item, "transcript": text})
}

/// A reply begins.
pub fn created(response: &str) -> Value {
    json!({"type": "response.created", "response": {"id": response, "status": "in_progress"}})
}

/// Sound of a reply.
pub fn sound(response: &str, item: &str, samples: &[i16]) -> Value {
    let bytes: Vec<u8> = samples.iter().flat_map(|s| s.to_le_bytes()).collect();
    sound_bytes("response.output_audio.delta", response, item, &bytes)
}

/// Bytes of sound under either name.
pub fn sound_bytes(kind: &str, response: &str, item: &str, bytes: &[u8]) -> Value {
    let delta = base64::engine::general_purpose::STANDARD.encode(bytes);
    json!({"type": kind, "response_id": response, "item_id": item, "delta": delta})
}

/// No more sound.
pub fn sound_done(response: &str, item: &str) -> Value {
    json!({"type": "response.output_audio.done", "response_id": response, "item_id": item})
}

/// Words of a reply.
pub fn words(response: &str, item: &str, text: &str) -> Value {
    let kind = "response.output_audio_transcript.delta";
    json!({"type": kind, "response_id": response, "item_id": item, "delta": text})
}

/// The words of a reply, whole.
pub fn words_done(response: &str, item: &str, text: &str) -> Value {
    let kind = "response.output_audio_transcript.done";
    json!({"type": kind, "response_id": response, "item_id": item, "transcript": text})
}

/// A function is called.
pub fn call(response: &str, call_id: &str, name: &str, arguments: &str) -> Value {
    let kind = "response.function_call_arguments.done";
    json!({"type": kind, "response_id": response, "item_id": "f", "call_id": call_id,
        "name": name, "arguments": arguments})
}

/// A reply is over.
pub fn done(response: &str, status: &str) -> Value {
    json!({"type": "response.done", "response_id": response,
        "response": {"id": response, "status": status, "output": [], "usage": {}}})
}

/// Something was refused.
pub fn error(kind: &str, code: &str, message: &str) -> Value {
    json!({"type": "error", "error": {"type": kind, "code": code, "message": message}})
}
