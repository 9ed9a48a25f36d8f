//! How the speaker and its board do, measured when it is asked for.

use super::Desk;
use crate::base::event::Side;
use crate::base::unit::Moment;
use crate::host::BUILD;
use crate::panel::errand::Outcome;
use serde_json::{Map, Value, json};
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// All of it; what is not known is left out.
pub(super) fn report(desk: &Desk) -> Outcome {
    let now = (desk.clock)();
    let records = &desk.records;
    let seen = records.vitals.look(now);
    let trip = |which: usize| seen.round_trip.map(|spans| ms(spans[which]));
    let [input, output] = &seen.cards;
    // A look takes the files of the kernel one by one; two askers take turns.
    let device = records.device.lock().unwrap_or_else(PoisonError::into_inner).look(now);
    Ok(json!({
        "word": records.health.word().err().unwrap_or("ok"),
        "build": BUILD,
        "up_s": now.since(Moment::ZERO).as_secs(),
        "panels": desk.trust.clients(),
        "threads": records.threads,
        "sound": present([
            ("input", input.as_deref().into()),
            ("output", output.as_deref().into()),
            ("overruns", records.counters.xruns_so_far(Side::Capture).into()),
            ("clipped", records.counts.clipped.load(Ordering::Relaxed).into()),
            ("underruns", records.counters.xruns_so_far(Side::Playout).into()),
        ]),
        "service": present([
            ("online", seen.online.into()),
            ("round_trip_ms", trip(0).into()),
            ("round_trip_median_ms", trip(1).into()),
            ("reconnects", records.counters.reconnects.sum().into()),
        ]),
        "device": device,
    }))
}

/// Milliseconds to a tenth.
fn ms(span: Duration) -> f64 {
    (span.as_secs_f64() * 1e4).round() / 10.0
}

/// An object of those that have a value.
fn present<const N: usize>(fields: [(&str, Value); N]) -> Value {
    let known = fields.into_iter().filter(|(_, value)| !value.is_null());
    known.map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>().into()
}
