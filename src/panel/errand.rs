//! Errands: what a panel asks of the device beside the conversation, answered with data. Pure: here
//! they are named and their payloads checked; the host carries them out.

use super::ask::refusal;
use super::event::{Refusal, name};
use super::trust::{Role, TokenHash};
use serde_json::Value;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// Errands of one client under way together: a screen asks for two or three things as it opens.
pub const UNDER_WAY: usize = 4;
/// An errand that is not done by then is refused: the longest calls the service, which has 12 s.
pub const LIMIT: Duration = Duration::from_secs(13);

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
}

/// Who sends somebody on an errand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asker {
    /// The paired client.
    pub session: TokenHash,
    /// What it may do.
    pub role: Role,
    /// Nobody on the network reads along.
    pub secure: bool,
}

/// What came of an errand: an object for the page, or why not.
pub type Outcome = Result<Value, Refusal>;
/// An errand under way.
pub type Doing = Pin<Box<dyn Future<Output = Outcome> + Send>>;
/// Carries errands out, on the panel's thread: what blocks belongs elsewhere.
pub type Desk = Arc<dyn Fn(Asker, Errand) -> Doing + Send + Sync>;

/// Checks the payload of an event; `None` when it names no errand. The role was checked before.
pub fn parse(event: &str, payload: &Value) -> Option<Result<Errand, Refusal>> {
    Some(match event {
        name::CLIENTS => Ok(Errand::Clients),
        name::HEALTH => Ok(Errand::Health),
        name::LOGS => logs(payload),
        name::BUNDLE => Ok(Errand::Bundle),
        _ => return None,
    })
}

/// Both fields may be left out: then it is all lines there are.
fn logs(payload: &Value) -> Result<Errand, Refusal> {
    let bad = |words: &str| refusal("bad_request", format!("{}: {words}", name::LOGS));
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

/// A field that must be text.
pub fn text<'a>(event: &str, payload: &'a Value, field: &str) -> Result<&'a str, Refusal> {
    let text = payload.get(field).and_then(Value::as_str);
    text.ok_or_else(|| refusal("bad_request", format!("{event}: \"{field}\" must be a string")))
}
