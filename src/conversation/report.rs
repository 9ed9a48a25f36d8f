//! What a turn took: marks, stages, cost.
//!
//! Marks are milliseconds from the turn's beginning, in the order they usually come:
//! `wake`, `speech_start`, `gate_open`, `first_send`, `speech_end`, `typed`, `committed`,
//! `response_created`, `first_audio` (the first delta was handed to playout), `speaker` (its first
//! sample left the speaker), `reply_end` (the service has said everything), `end`.

use super::turn::Reason;
use crate::base::event::Tag;
use crate::base::unit::{Moment, Rate};
use crate::panel::event;
use std::collections::BTreeMap;

/// The stages of the contract: name, from, to.
const STAGES: [(&str, &str, &str); 4] = [
    ("wake_to_gate", "wake", "gate_open"),
    ("gate_to_first_send", "gate_open", "first_send"),
    ("speech_end_to_first_audio", "speech_end", "first_audio"),
    ("first_audio_to_speaker", "first_audio", "speaker"),
];

/// The stages of a turn that happened, in milliseconds.
pub fn stages(marks: &BTreeMap<String, u64>) -> impl Iterator<Item = (&'static str, u64)> {
    STAGES.iter().filter_map(|(name, from, to)| {
        let span = marks.get(*to)?.checked_sub(*marks.get(*from)?)?;
        Some((*name, span))
    })
}

/// What costs money.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Meter {
    pub(super) sent: u64,
    pub(super) received: u64,
    pub(super) typed: u64,
}

impl Meter {
    /// In US dollars: `sent` and `received` are samples at these rates.
    pub(super) fn cost(&self, input: Rate, output: Rate, minute: f64, text: f64) -> f64 {
        let seconds =
            input.span(self.sent).as_secs_f64() + output.span(self.received).as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "a turn has a handful of typed items")]
        let typed = self.typed as f64 * text;
        seconds / 60.0 * minute + typed
    }
}

/// A running turn.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) turn: u32,
    began: Moment,
    marks: BTreeMap<&'static str, Moment>,
    /// Sound of the reply was handed to playout: it is answered.
    pub(super) sounded: bool,
    /// The link was lost in the middle of the reply, or the service failed it.
    pub(super) broken: bool,
    /// What the person says in it, while it is not answered.
    pub(super) item: Option<String>,
    /// Somebody spoke.
    pub(super) spoken: bool,
    /// The tag its reply begins with.
    pub(super) tag: Option<Tag>,
}

impl Report {
    pub(super) fn new(turn: u32, now: Moment) -> Self {
        Self {
            turn,
            began: now,
            marks: BTreeMap::new(),
            sounded: false,
            broken: false,
            item: None,
            spoken: false,
            tag: None,
        }
    }

    /// The first time counts. A mark from before the turn moves its beginning.
    pub(super) fn mark(&mut self, name: &'static str, at: Moment) {
        self.began = self.began.min(at);
        self.marks.entry(name).or_insert(at);
    }

    /// Whether this has happened.
    pub(super) fn has(&self, name: &str) -> bool {
        self.marks.contains_key(name)
    }

    /// The last time counts.
    pub(super) fn mark_again(&mut self, name: &'static str, at: Moment) {
        self.marks.insert(name, at);
    }

    pub(super) fn finish(self, now: Moment, reason: Reason, cost: f64) -> event::Turn {
        let since = |at: Moment| u64::try_from((at - self.began).as_millis()).unwrap_or(u64::MAX);
        let mut marks: BTreeMap<String, u64> =
            self.marks.iter().map(|(name, at)| ((*name).to_owned(), since(*at))).collect();
        marks.insert("end".to_owned(), since(now));
        let failed = reason == Reason::Completed && self.broken;
        let reason = if failed { Reason::Failed } else { reason };
        event::Turn { turn: self.turn, marks, cost, reason: reason.word().to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cost_is_minutes_both_ways_and_typed_items() {
        let meter = Meter { sent: 16_000 * 30, received: 24_000 * 30, typed: 2 };
        let cost = meter.cost(Rate(16_000), Rate(24_000), 0.08, 0.004);
        assert!((cost - 0.088).abs() < 1e-9);
    }

    #[test]
    fn stages_are_differences_of_marks() {
        let at = Moment::from_millis;
        let mut report = Report::new(1, at(1000));
        report.mark("speech_start", at(900));
        report.mark("gate_open", at(1000));
        report.mark("first_send", at(1010));
        report.mark("first_send", at(2000));
        let turn = report.finish(at(3000), Reason::Completed, 0.0);
        assert_eq!((turn.marks["gate_open"], turn.marks["end"]), (100, 2100));
        assert_eq!(stages(&turn.marks).collect::<Vec<_>>(), [("gate_to_first_send", 10)]);
    }
}
