//! What a panel sees of the wire: every message, without its sound and without any secret.

use super::redact;
use crate::base::event::Wire;
use crate::base::unit::Moment;
use crate::panel::event::{Direction, Traffic};
use serde_json::{Value, json};

/// Longest message shown whole, in bytes of JSON; with it a polling panel still gets several at once.
const WHOLE: usize = 16 * 1024;

/// A message as a panel sees it.
pub(super) fn traffic(at: Moment, dir: Direction, wire: &Wire) -> Traffic {
    let (kind, event) = match wire {
        Wire::Binary(bytes) => ("binary".to_owned(), json!({"bytes": bytes.len()})),
        Wire::Text(text) => read(text),
    };
    Traffic { t: at.since(Moment::ZERO).as_secs_f64(), dir, r#type: kind, event }
}

fn read(text: &str) -> (String, Value) {
    let Ok(mut event) = serde_json::from_str::<Value>(text) else {
        return ("unreadable".to_owned(), json!({"bytes": text.len()}));
    };
    let kind = event["type"].as_str().unwrap_or("untyped").to_owned();
    if kind.ends_with("audio.delta") {
        elide(&mut event["delta"]);
    }
    hush(&mut event);
    let shown = redact::redact(event.to_string());
    let event = match serde_json::from_str(&shown) {
        Ok(event) if shown.len() <= WHOLE => event,
        Ok(_) | Err(_) => json!({"type": kind, "bytes": shown.len()}),
    };
    (kind, event)
}

/// Sound by its name, wherever it is.
fn hush(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                if name == "audio" && field.is_string() {
                    elide(field);
                } else {
                    hush(field);
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(hush),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Says how much was there.
fn elide(sound: &mut Value) {
    let length = sound.as_str().map_or(0, str::len);
    *sound = format!("({length} characters of sound)").into();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::secret::Secret;

    fn seen(event: &Value) -> Traffic {
        traffic(Moment::from_millis(1500), Direction::Sent, &Wire::Text(event.to_string()))
    }

    #[test]
    fn sound_is_elided_and_words_are_not() {
        let seen_append = seen(&json!({"type": "input_audio_buffer.append", "audio": "QUJD"}));
        assert_eq!(seen_append.event["audio"], "(4 characters of sound)");
        assert_eq!(
            (seen_append.t, seen_append.r#type.as_str()),
            (1.5, "input_audio_buffer.append")
        );
        let delta = seen(&json!({"type": "response.output_audio.delta", "delta": "QUJDRA=="}));
        assert_eq!(delta.event["delta"], "(8 characters of sound)");
        let words = json!({"type": "response.output_audio_transcript.delta", "delta": "Hello"});
        assert_eq!(seen(&words).event, words);
        let deep = seen(&json!({"type": "x", "item": {"content": [{"audio": "QUI="}]}}));
        assert_eq!(deep.event["item"]["content"][0]["audio"], "(4 characters of sound)");
        let settings = json!({"type": "session.update", "session": {"audio": {"input": {}}}});
        assert_eq!(seen(&settings).event, settings);
    }

    #[test]
    fn what_is_long_binary_or_broken_is_named_and_counted() {
        let long = seen(&json!({"type": "x", "text": "y".repeat(WHOLE)}));
        assert!(
            long.event["bytes"].as_u64().unwrap() > WHOLE as u64 && long.event["text"].is_null()
        );
        let wire = Wire::Binary(vec![0; 7]);
        let binary = traffic(Moment::ZERO, Direction::Received, &wire);
        assert_eq!((binary.r#type.as_str(), &binary.event), ("binary", &json!({"bytes": 7})));
        let wire = Wire::Text("{".into());
        assert_eq!(traffic(Moment::ZERO, Direction::Received, &wire).r#type, "unreadable");
    }

    #[test]
    fn a_registered_secret_is_never_shown() {
        redact::hide(&Secret::new("xai-hidden-from-panels").unwrap());
        let shown = seen(&json!({"type": "error", "message": "bad key xai-hidden-from-panels"}));
        assert_eq!(shown.event["message"], "bad key ***");
    }
}
