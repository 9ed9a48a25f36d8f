//! What a client asks: which role each event needs, what its payload must look like, and how often
//! it may ask. Pure.

use super::errand::{self, Errand};
use super::event::{Command, Refusal, name};
use super::trust::Role;
use crate::base::unit::{Moment, Volume};
use serde_json::Value;

/// Longest typed turn in characters: a page of text, well below one 64 KiB message.
pub const TEXT_MAX: usize = 4000;

/// Every event the panel may send, with the role it needs. What is not here is refused.
pub const ASKS: &[(&str, Role)] = &[
    (name::TEXT, Role::Controller),
    (name::TALK, Role::Controller),
    (name::STOP, Role::Controller),
    (name::MUTE, Role::Controller),
    (name::VOLUME, Role::Controller),
    (name::INSPECT, Role::Controller),
    (name::SETTINGS, Role::Admin),
    (name::LISTEN, Role::Admin),
    (name::CLIENTS, Role::Admin),
    (name::HEALTH, Role::Viewer),
    (name::LOGS, Role::Admin),
    (name::BUNDLE, Role::Admin),
    (name::CLIENT, Role::Admin),
    (name::INVITE, Role::Admin),
    (name::KEY, Role::Admin),
    (name::SETUP, Role::Admin),
    (name::STEP_UP, Role::Admin),
    (name::CARDS, Role::Admin),
    (name::TONE, Role::Controller),
    (name::RECORD, Role::Admin),
    (name::RECORDING, Role::Admin),
    (name::MEASURE, Role::Admin),
];

/// Every event the speaker sends, with the role that receives it. What is not here is not sent.
/// Audio is for listeners; the reply to a typed turn reaches its sender besides.
pub const TELLS: &[(&str, Role)] = &[
    (name::HELLO, Role::Viewer),
    (name::STATE, Role::Viewer),
    (name::TICK, Role::Viewer),
    (name::TRANSCRIPT, Role::Controller),
    (name::TURN, Role::Controller),
    (name::NOTICE, Role::Controller),
    (name::EVENT, Role::Controller),
    (name::AUDIO, Role::Admin),
];

/// Whether `role` is enough for `event` of `table`; an unknown event is for nobody.
pub fn may(table: &[(&str, Role)], role: Role, event: &str) -> bool {
    table.iter().any(|&(name, needed)| name == event && role >= needed)
}

/// A well-formed wish.
#[derive(Debug, Clone, PartialEq)]
pub enum Ask {
    /// For the conversation.
    Command(Command),
    /// For the panel itself: hear every reply, or no more.
    Listen {
        /// On or off.
        on: bool,
    },
    /// For the panel itself: see the messages of the wire, or no more.
    Inspect {
        /// On or off.
        on: bool,
        /// Number of the last one it saw.
        after: Option<u64>,
    },
    /// For the device.
    Errand(Errand),
}

/// A refusal in words.
pub fn refusal(code: &str, message: impl Into<String>) -> Refusal {
    Refusal { code: code.to_owned(), message: message.into() }
}

/// Checks role and payload of one event. The message of a refusal names the field and what is
/// allowed.
pub fn parse(event: &str, role: Role, payload: &Value) -> Result<Ask, Refusal> {
    if !may(ASKS, role, event) {
        let words = format!("{event} needs more than the role {}", role.word());
        return Err(refusal("forbidden", words));
    }
    let on = || match payload.get("on") {
        Some(Value::Bool(on)) => Ok(*on),
        _ => Err(refusal("bad_request", format!("{event}: \"on\" must be true or false"))),
    };
    match event {
        name::TEXT => text(payload).map(|text| Ask::Command(Command::Text { text })),
        name::TALK => Ok(Ask::Command(Command::Talk { on: on()? })),
        name::STOP => Ok(Ask::Command(Command::Stop)),
        name::TONE => Ok(Ask::Command(Command::Tone)),
        name::MUTE => Ok(Ask::Command(Command::Mute { on: on()? })),
        name::VOLUME => percent(payload).map(|percent| Ask::Command(Command::Volume { percent })),
        name::LISTEN => Ok(Ask::Listen { on: on()? }),
        name::INSPECT => {
            Ok(Ask::Inspect { on: on()?, after: payload.get("after").and_then(Value::as_u64) })
        }
        _ => errand::parse(event, payload).map_or_else(
            || Err(refusal("unsupported", format!("{event} is not available on this speaker yet"))),
            |errand| errand.map(Ask::Errand),
        ),
    }
}

fn text(payload: &Value) -> Result<String, Refusal> {
    let Some(text) = payload.get("text").and_then(Value::as_str) else {
        return Err(refusal("bad_request", "grok-voice:text: \"text\" must be a string"));
    };
    let count = text.chars().count();
    if text.trim().is_empty() || count > TEXT_MAX {
        let words = format!(
            "grok-voice:text: \"text\" must have 1..{TEXT_MAX} characters and not only white \
             space; this one has {count}"
        );
        return Err(refusal("bad_request", words));
    }
    Ok(text.to_owned())
}

/// A whole number, also when written as 40.0.
fn percent(payload: &Value) -> Result<Volume, Refusal> {
    let number = payload.get("percent").and_then(Value::as_f64);
    number
        .filter(|n| n.fract() == 0.0 && (0.0..=100.0).contains(n))
        .and_then(|n| format!("{n:.0}").parse().ok())
        .and_then(Volume::new)
        .ok_or_else(|| {
            refusal("bad_request", "grok-voice:volume: \"percent\" must be a whole number 0..100")
        })
}

/// Events a second a socket may send in the long run.
const RATE: u64 = 20;
/// And at once.
const BURST: u64 = 40;
/// Refused events until the socket is closed: two bursts are a mistake, more is a flood.
const REFUSED_MAX: u32 = 80;
/// Unknown events until the socket is closed.
const UNKNOWN_MAX: u32 = 20;

/// What to do with one more event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Take it.
    Pass,
    /// Say no.
    Refuse,
    /// Close the socket.
    Close,
}

/// How often one socket has asked.
#[derive(Debug)]
pub struct Pace {
    /// Event credit in microseconds of waiting.
    credit: u64,
    at: Moment,
    refused: u32,
    unknown: u32,
}

/// Microseconds of waiting that pay for one event.
const PRICE: u64 = 1_000_000 / RATE;

impl Pace {
    /// A socket that has just come.
    pub fn new(now: Moment) -> Self {
        Self { credit: BURST * PRICE, at: now, refused: 0, unknown: 0 }
    }

    /// One known event.
    pub fn event(&mut self, now: Moment) -> Verdict {
        let waited = u64::try_from(now.since(self.at).as_micros()).unwrap_or(u64::MAX);
        self.at = now;
        self.credit = self.credit.saturating_add(waited).min(BURST * PRICE);
        if let Some(rest) = self.credit.checked_sub(PRICE) {
            self.credit = rest;
            if rest >= (BURST - 1) * PRICE {
                self.refused = 0;
            }
            return Verdict::Pass;
        }
        self.refused += 1;
        if self.refused > REFUSED_MAX { Verdict::Close } else { Verdict::Refuse }
    }

    /// One unknown event.
    pub fn unknown(&mut self) -> Verdict {
        self.unknown += 1;
        if self.unknown > UNKNOWN_MAX { Verdict::Close } else { Verdict::Refuse }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// The contract's needed roles, written out once more by hand.
    #[test]
    fn every_event_has_its_role_and_every_other_is_denied() {
        let viewer = [name::HELLO, name::STATE, name::TICK, name::HEALTH];
        let controller = [
            name::TEXT,
            name::TALK,
            name::STOP,
            name::MUTE,
            name::VOLUME,
            name::INSPECT,
            name::TRANSCRIPT,
            name::TURN,
            name::NOTICE,
            name::EVENT,
            name::TONE,
        ];
        let admin = [
            name::SETTINGS,
            name::LISTEN,
            name::CLIENTS,
            name::CLIENT,
            name::INVITE,
            name::KEY,
            name::SETUP,
            name::STEP_UP,
            name::LOGS,
            name::BUNDLE,
            name::AUDIO,
            name::CARDS,
            name::RECORD,
            name::RECORDING,
            name::MEASURE,
        ];
        let all: Vec<_> = ASKS.iter().chain(TELLS).copied().collect();
        assert_eq!(all.len(), viewer.len() + controller.len() + admin.len());
        for role in [Role::Viewer, Role::Controller, Role::Admin] {
            for (events, needed) in [
                (&viewer[..], Role::Viewer),
                (&controller, Role::Controller),
                (&admin, Role::Admin),
            ] {
                for event in events {
                    assert_eq!(may(&all, role, event), role >= needed, "{event} {role:?}");
                }
            }
            assert!(!may(&all, role, "grok-voice:reboot") && !may(&all, role, ""));
            for &(event, _) in ASKS {
                let forbidden =
                    parse(event, role, &json!({})).is_err_and(|r| r.code == "forbidden");
                assert_eq!(forbidden, !may(ASKS, role, event), "{event} {role:?}");
            }
        }
    }

    #[test]
    fn payloads_are_checked_with_words() {
        let parse = |event, payload| parse(event, Role::Admin, &payload);
        let text = |t: &str| Ok(Ask::Command(Command::Text { text: t.into() }));
        assert_eq!(parse(name::TEXT, json!({"text": " hi "})), text(" hi "));
        assert_eq!(parse(name::STOP, json!(null)), Ok(Ask::Command(Command::Stop)));
        assert_eq!(parse(name::LISTEN, json!({"on": true})), Ok(Ask::Listen { on: true }));
        let percent = |n| Ok(Ask::Command(Command::Volume { percent: Volume::new(n).unwrap() }));
        assert_eq!(parse(name::VOLUME, json!({"percent": 0})), percent(0));
        assert_eq!(parse(name::VOLUME, json!({"percent": 100.0})), percent(100));
        assert!(parse(name::TEXT, json!({"text": "ä".repeat(TEXT_MAX)})).is_ok());
        for (event, payload, word) in [
            (name::TEXT, json!({"text": ""}), "1..4000"),
            (name::TEXT, json!({"text": "\n "}), "white space"),
            (name::TEXT, json!({"text": "x".repeat(TEXT_MAX + 1)}), "4001"),
            (name::TEXT, json!({"text": 5}), "string"),
            (name::TEXT, json!("hi"), "string"),
            (name::TALK, json!({"on": 1}), "true or false"),
            (name::MUTE, json!({}), "true or false"),
            (name::INSPECT, json!({"on": "yes"}), "true or false"),
            (name::LOGS, json!({"after": -1}), "whole number"),
            (name::LOGS, json!({"level": "loud"}), "error, warn"),
            (name::RECORD, json!({}), "3..6"),
            (name::RECORD, json!({"seconds": 7}), "3..6"),
            (name::RECORDING, json!({"id": 1}), "part"),
            (name::VOLUME, json!({"percent": 101}), "0..100"),
            (name::VOLUME, json!({"percent": -1}), "0..100"),
            (name::VOLUME, json!({"percent": 1.5}), "0..100"),
            (name::VOLUME, json!({"percent": "50"}), "0..100"),
        ] {
            let refused = parse(event, payload).unwrap_err();
            assert_eq!(refused.code, "bad_request");
            assert!(refused.message.contains(word) && refused.message.contains(event));
        }
        let logs = |after, level| Ok(Ask::Errand(Errand::Logs { after, level }));
        assert_eq!(parse(name::LOGS, json!({})), logs(0, log::Level::Trace));
        let payload = json!({"after": 7, "level": "warn"});
        assert_eq!(parse(name::LOGS, payload), logs(7, log::Level::Warn));
    }

    #[test]
    fn a_burst_passes_a_flood_is_refused_then_closed() {
        let start = Moment::from_millis(5000);
        let mut pace = Pace::new(start);
        let verdicts: Vec<_> = (0..200).map(|_| pace.event(start)).collect();
        assert_eq!(verdicts.iter().position(|v| *v != Verdict::Pass), Some(40));
        assert_eq!(verdicts.iter().position(|v| *v == Verdict::Close), Some(120));
        // Twenty a second go on for ever.
        let mut steady = Pace::new(start);
        for n in 0..10_000 {
            assert_eq!(steady.event(Moment::from_millis(5000 + 50 * n)), Verdict::Pass);
        }
        // A refused burst now and then never adds up to a flood.
        let mut bursts = Pace::new(start);
        for n in 0..10 {
            for _ in 0..60 {
                assert_ne!(bursts.event(Moment::from_millis(5000 + 5000 * n)), Verdict::Close);
            }
        }
        assert!((0..20).all(|_| pace.unknown() == Verdict::Refuse));
        assert_eq!(pace.unknown(), Verdict::Close);
    }
}
