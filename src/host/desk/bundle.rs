//! What helps somebody else to find a fault, without the log, which is asked for by itself.
//!
//! Nothing that was said is in it, no key, no token, and of the personality only how long it is: an
//! owner writes into it what the family is called and likes. Whatever else got in is redacted.

use super::{Desk, health};
use crate::config::Setting;
use crate::host::BUILD;
use crate::host::clock::wall_micros;
use crate::host::redact::redact;
use crate::panel::ask::refusal;
use crate::panel::errand::Outcome;
use serde_json::{Value, json};

/// All parts.
pub(super) fn gather(desk: &Desk) -> Outcome {
    let records = &desk.records;
    let parts = json!({
        "about": {
            "program": "grok-speaker",
            "build": BUILD,
            "made": wall_micros().div_euclid(1_000_000),
        },
        "health": health::report(desk)?,
        "config": records.vitals.config().iter().map(shown).collect::<Vec<_>>(),
        "board": {"name": records.board, "profile": records.profile},
        "turns": records.vitals.turns(),
        "metrics": records.counters.prometheus(),
    });
    serde_json::from_str(&redact(parts.to_string()))
        .map_err(|_| refusal("failed", "the bundle cannot be made"))
}

fn shown(setting: &Setting) -> Value {
    let value = match setting.key {
        "grok.instructions" => format!("({} characters)", setting.length),
        _ => setting.value.clone(),
    };
    match &setting.place {
        Some(place) => json!({"key": setting.key, "value": value, "place": place}),
        None => json!({"key": setting.key, "value": value}),
    }
}
