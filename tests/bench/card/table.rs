//! Figures of all rounds, and how they are shown.

use std::collections::BTreeMap;

/// The value below which `share` of all lie.
fn percentile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (sorted.len() as f64 * share).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}

/// What was measured, by who and what; each round by itself.
#[derive(Default)]
pub(crate) struct Sheet(BTreeMap<(&'static str, &'static str), Vec<Vec<f64>>>);

impl Sheet {
    /// The values of a round.
    pub(crate) fn add(&mut self, who: &'static str, what: &'static str, values: Vec<f64>) {
        self.0.entry((who, what)).or_default().push(values);
    }

    fn rounds(&self, who: &'static str, what: &'static str) -> &[Vec<f64>] {
        self.0.get(&(who, what)).map_or(&[], Vec::as_slice)
    }

    /// Median over the rounds of a percentile in each; not a number where nothing was measured.
    pub(crate) fn of(&self, who: &'static str, what: &'static str, share: f64) -> f64 {
        let each: Vec<f64> =
            self.rounds(who, what).iter().map(|values| percentile(values, share)).collect();
        percentile(&each, 0.5)
    }

    /// Median over the rounds of what is one number in each.
    pub(crate) fn one(&self, who: &'static str, what: &'static str) -> f64 {
        self.of(who, what, 0.5)
    }

    /// Milliseconds: a row of each of these, where it was measured.
    pub(crate) fn times(&self, what: &'static str, all: &[&'static str]) {
        println!("{what}");
        for who in all.iter().filter(|who| !self.rounds(who, what).is_empty()) {
            let [a, b, c] = [0.5, 0.95, 0.99].map(|share| self.of(who, what, share));
            let count: usize = self.rounds(who, what).iter().map(Vec::len).sum();
            println!("  {who:32} {a:7.1} {b:7.1} {c:7.1} {count:6}");
        }
    }

    /// One number of each of these, where it was measured, side by side.
    pub(crate) fn numbers(&self, what: &'static str, all: &[&'static str]) {
        let shown: Vec<String> =
            all.iter().map(|w| format!("{:13.2}", self.one(w, what))).collect();
        println!("{what:30}{}", shown.concat().replace("NaN", "  -"));
    }
}

/// Says whether what was asked for is there. Where the reference is missing nothing is said.
pub(crate) fn bar(what: &str, value: f64, limit: f64) {
    if value.is_nan() || limit.is_nan() {
        return;
    }
    let verdict = if value <= limit { "met" } else { "MISSED" };
    println!("  {what:48} {value:8.2} <= {limit:8.2}  {verdict}");
}
