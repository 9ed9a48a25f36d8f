//! Percentiles and rows.

/// The value below which `share` of all lie.
pub(crate) fn percentile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (sorted.len() as f64 * share).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}

/// One row, milliseconds.
#[expect(clippy::print_stdout, reason = "this is the bench's output")]
pub(crate) fn row(name: &str, ms: &[f64]) {
    let [a, b, c] = [0.5, 0.95, 0.99].map(|p| percentile(ms, p));
    println!("{name:34} {a:6.1} {b:6.1} {c:6.1} {:4}", ms.len());
}
