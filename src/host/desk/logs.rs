//! The last lines of the log.

use super::Desk;
use crate::panel::errand::Outcome;
use serde_json::json;

/// Those after number `after` of this level and worse.
pub(super) fn after(desk: &Desk, after: u64, level: log::Level) -> Outcome {
    let page = desk.records.book.after(after, level);
    Ok(json!(page))
}
