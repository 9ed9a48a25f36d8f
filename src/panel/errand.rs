//! Errands: what a panel asks of the device beside the conversation, answered with data. Pure: here
//! they are named and their payloads checked; the host carries them out.

use super::ask::refusal;
use super::event::{Refusal, name};
use super::trust::{Role, TokenHash};
use crate::base::secret::Secret;
use serde_json::Value;
use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// Errands of one client under way together: a screen asks for up to four things as it opens, and
/// the page lets more wait.
pub const UNDER_WAY: usize = 4;
/// An errand that is not done by then is refused: the longest calls the service, which has 12 s.
pub const LIMIT: Duration = Duration::from_secs(13);
/// Settings changed at once: more than there are.
const CHANGES: usize = 64;
/// Bytes of a short text: an id, a code, the name of a step.
const SHORT: usize = 64;
/// Bytes of a client's name as typed; fewer are kept.
const NAME: usize = 1024;
/// Bytes of an API key: ten times what keys are.
const KEY: usize = 4096;

/// A well-formed errand.
#[derive(Debug, Clone, PartialEq)]
pub enum Errand {
    /// Who is paired.
    Clients,
    /// How the speaker and its board do.
    Health,
    /// The last lines of the log.
    Logs {
        /// Those behind this number.
        after: u64,
        /// And of this level or worse.
        level: log::Level,
    },
    /// What helps to find a fault.
    Bundle,
    /// The sound cards there are.
    Cards,
    /// Record the microphone.
    Record {
        /// How long, 3..=6.
        seconds: u8,
    },
    /// A part of what was recorded.
    Recording {
        /// Which recording.
        id: u64,
        /// Which part, from 0.
        part: usize,
    },
    /// Measure the cards with a sweep.
    Measure,
    /// Change one of them.
    Client {
        /// Which.
        id: String,
        /// How.
        deed: Deed,
    },
    /// Open a pairing window.
    Invite {
        /// What the client will be.
        role: Role,
    },
    /// Where the API key is; or take this one.
    Key {
        /// A new one.
        key: Option<Secret>,
        /// The asker knows that the network can read it.
        accept: bool,
    },
    /// Change settings, all or none; none is a question.
    Settings {
        /// By `section.key`; `null` takes a choice back.
        changes: BTreeMap<String, Value>,
    },
    /// How far the first set-up has come; or remember it.
    Setup {
        /// What to remember.
        news: Option<News>,
    },
    /// Prove with a fresh code of the device that somebody is there.
    StepUp {
        /// Six digits.
        code: String,
    },
}

/// What is done to a paired client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deed {
    /// Another name.
    Rename(String),
    /// Another role.
    Role(Role),
    /// It is not paired any more.
    Revoke,
}

/// How far the first set-up has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct News {
    /// The step that is open.
    pub step: String,
    /// It is not to begin by itself again.
    pub over: bool,
}

/// Who sends somebody on an errand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asker {
    /// The paired client.
    pub session: TokenHash,
    /// What it may do.
    pub role: Role,
    /// Secrets may be asked for on the connection: it is encrypted, stays on this machine, or the
    /// owner trusts the network.
    pub secure: bool,
}

/// What came of an errand: an object for the page, or why not.
pub type Outcome = Result<Value, Refusal>;
/// An errand under way.
pub type Doing = Pin<Box<dyn Future<Output = Outcome> + Send>>;
/// Carries errands out, on the panel's thread: what blocks for long belongs elsewhere.
pub type Desk = Arc<dyn Fn(Asker, Errand) -> Doing + Send + Sync>;

/// Checks the payload of an event; `None` when it names no errand. The role was checked before.
pub fn parse(event: &str, payload: &Value) -> Option<Result<Errand, Refusal>> {
    Some(match event {
        name::CLIENTS => Ok(Errand::Clients),
        name::HEALTH => Ok(Errand::Health),
        name::LOGS => logs(payload),
        name::BUNDLE => Ok(Errand::Bundle),
        name::CLIENT => client(event, payload),
        name::INVITE => role(event, payload).map(|role| Errand::Invite { role }),
        name::KEY => key(event, payload),
        name::SETTINGS => settings(event, payload),
        name::SETUP => setup(event, payload),
        name::STEP_UP => {
            text(event, payload, "code", SHORT).map(|code| Errand::StepUp { code: code.to_owned() })
        }
        name::CARDS => Ok(Errand::Cards),
        name::RECORD => record(payload),
        name::RECORDING => recording(payload),
        name::MEASURE => Ok(Errand::Measure),
        _ => return None,
    })
}

/// Both fields may be left out: then it is all lines there are.
fn logs(payload: &Value) -> Result<Errand, Refusal> {
    let bad = |words: &str| bad(name::LOGS, words);
    let after = match payload.get("after") {
        None => 0,
        Some(after) => after.as_u64().ok_or_else(|| bad("\"after\" must be a whole number"))?,
    };
    let level = match payload.get("level") {
        None => log::Level::Trace,
        Some(level) => level
            .as_str()
            .and_then(|word| word.parse().ok())
            .ok_or_else(|| bad("\"level\" must be error, warn, info, debug or trace"))?,
    };
    Ok(Errand::Logs { after, level })
}

/// Long enough for a sentence, short enough to be held in memory whole.
fn record(payload: &Value) -> Result<Errand, Refusal> {
    let seconds = payload.get("seconds").and_then(Value::as_u64);
    let seconds = seconds.and_then(|s| u8::try_from(s).ok()).filter(|s| (3..=6).contains(s));
    seconds
        .map(|seconds| Errand::Record { seconds })
        .ok_or_else(|| bad(name::RECORD, "\"seconds\" must be a whole number 3..6"))
}

fn recording(payload: &Value) -> Result<Errand, Refusal> {
    let number = |field: &str| {
        let number = payload.get(field).and_then(Value::as_u64);
        number.ok_or_else(|| bad(name::RECORDING, &format!("\"{field}\" must be a whole number")))
    };
    let part = usize::try_from(number("part")?).unwrap_or(usize::MAX);
    Ok(Errand::Recording { id: number("id")?, part })
}

fn client(event: &str, payload: &Value) -> Result<Errand, Refusal> {
    let id = text(event, payload, "id", SHORT)?.to_owned();
    let deed = match ["name", "role", "revoke"].map(|field| payload.get(field)) {
        [Some(_), None, None] => Deed::Rename(text(event, payload, "name", NAME)?.to_owned()),
        [None, Some(_), None] => Deed::Role(role(event, payload)?),
        [None, None, Some(Value::Bool(true))] => Deed::Revoke,
        _ => return Err(bad(event, "one of \"name\", \"role\" and \"revoke\": true is needed")),
    };
    Ok(Errand::Client { id, deed })
}

fn key(event: &str, payload: &Value) -> Result<Errand, Refusal> {
    let accept = payload.get("accept").is_some_and(|accept| *accept == Value::Bool(true));
    if payload.get("key").is_none() {
        return Ok(Errand::Key { key: None, accept });
    }
    // Nothing of it is repeated, whatever it is.
    let key = text(event, payload, "key", KEY)?;
    let key = Secret::new(key).filter(|key| key.expose().bytes().all(|b| b.is_ascii_graphic()));
    let key = key.ok_or_else(|| bad(event, "a key is one line of visible ASCII characters"))?;
    Ok(Errand::Key { key: Some(key), accept })
}

fn settings(event: &str, payload: &Value) -> Result<Errand, Refusal> {
    match payload.get("changes") {
        Some(Value::Object(changes)) if changes.len() <= CHANGES => {
            let changes = changes.iter().map(|(key, value)| (key.clone(), value.clone()));
            Ok(Errand::Settings { changes: changes.collect() })
        }
        _ => Err(bad(event, "\"changes\" must be an object of keys and values")),
    }
}

fn setup(event: &str, payload: &Value) -> Result<Errand, Refusal> {
    if payload.get("step").is_none() {
        return Ok(Errand::Setup { news: None });
    }
    let step = text(event, payload, "step", SHORT)?.to_owned();
    let Some(Value::Bool(over)) = payload.get("over") else {
        return Err(bad(event, "\"over\" must be true or false"));
    };
    Ok(Errand::Setup { news: Some(News { step, over: *over }) })
}

fn role(event: &str, payload: &Value) -> Result<Role, Refusal> {
    text(event, payload, "role", SHORT)?.parse().map_err(|words: String| bad(event, &words))
}

/// A field that must be text of at most so many bytes.
pub fn text<'a>(
    event: &str,
    payload: &'a Value,
    field: &str,
    longest: usize,
) -> Result<&'a str, Refusal> {
    let text = payload.get(field).and_then(Value::as_str).filter(|text| text.len() <= longest);
    text.ok_or_else(|| {
        bad(event, &format!("\"{field}\" must be a string of at most {longest} bytes"))
    })
}

/// A payload that makes no sense.
pub fn bad(event: &str, words: &str) -> Refusal {
    refusal("bad_request", format!("{event}: {words}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parsed(event: &str, payload: &Value) -> Result<Errand, Refusal> {
        parse(event, payload).expect("an errand")
    }

    #[test]
    fn payloads_become_errands() {
        for (event, payload, errand) in [
            (name::CLIENTS, json!({}), Errand::Clients),
            (
                name::CLIENT,
                json!({"id": "ab", "name": "Kitchen"}),
                Errand::Client { id: "ab".into(), deed: Deed::Rename("Kitchen".into()) },
            ),
            (
                name::CLIENT,
                json!({"id": "ab", "role": "viewer"}),
                Errand::Client { id: "ab".into(), deed: Deed::Role(Role::Viewer) },
            ),
            (
                name::CLIENT,
                json!({"id": "ab", "revoke": true}),
                Errand::Client { id: "ab".into(), deed: Deed::Revoke },
            ),
            (name::INVITE, json!({"role": "admin"}), Errand::Invite { role: Role::Admin }),
            (name::KEY, json!({}), Errand::Key { key: None, accept: false }),
            (
                name::KEY,
                json!({"key": " xai-1 ", "accept": true}),
                Errand::Key { key: Secret::new("xai-1"), accept: true },
            ),
            (name::SETTINGS, json!({"changes": {}}), Errand::Settings { changes: [].into() }),
            (name::SETUP, json!({}), Errand::Setup { news: None }),
            (
                name::SETUP,
                json!({"step": "key", "over": false}),
                Errand::Setup { news: Some(News { step: "key".into(), over: false }) },
            ),
            (name::STEP_UP, json!({"code": "012345"}), Errand::StepUp { code: "012345".into() }),
        ] {
            assert_eq!(parsed(event, &payload), Ok(errand), "{event} {payload}");
        }
        assert!(parse("grok-voice:reboot", &json!({})).is_none());
    }

    #[test]
    fn what_makes_no_sense_is_refused_and_no_key_is_repeated() {
        for (event, payload, word) in [
            (name::CLIENT, json!({"name": "x"}), "\"id\""),
            (name::CLIENT, json!({"id": "ab"}), "one of"),
            (name::CLIENT, json!({"id": "ab", "name": "x", "revoke": true}), "one of"),
            (name::CLIENT, json!({"id": "ab", "revoke": false}), "one of"),
            (name::CLIENT, json!({"id": "ab", "role": "root"}), "viewer, controller or admin"),
            (name::CLIENT, json!({"id": "x".repeat(SHORT + 1), "revoke": true}), "64 bytes"),
            (name::INVITE, json!({}), "\"role\""),
            (name::KEY, json!({"key": 1}), "\"key\""),
            (name::KEY, json!({"key": " \n"}), "one line"),
            (name::KEY, json!({"key": "xai-two words"}), "one line"),
            (name::KEY, json!({"key": "xai-ü"}), "one line"),
            (name::KEY, json!({"key": "x".repeat(KEY + 1)}), "4096"),
            (name::SETTINGS, json!({}), "\"changes\""),
            (name::SETTINGS, json!({"changes": []}), "\"changes\""),
            (name::SETUP, json!({"step": "key"}), "\"over\""),
            (name::STEP_UP, json!({"code": 12345}), "\"code\""),
        ] {
            let refused = parsed(event, &payload).unwrap_err();
            assert_eq!(refused.code, "bad_request");
            let words = &refused.message;
            assert!(words.contains(word) && words.starts_with(event), "{words}");
            assert!(!words.contains("xai-"), "{words}");
        }
        let key = Errand::Key { key: Secret::new("xai-1"), accept: true };
        assert!(!format!("{key:?}").contains("xai-1"));
    }
}
