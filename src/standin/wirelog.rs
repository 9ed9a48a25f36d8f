//! DOOR file system: every event in both directions as a JSON line.

use super::StandinError;
use super::desk::lock;
use crate::base::unit::Moment;
use serde_json::{Value, json};
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::Mutex;

/// An open log; without a file it does nothing.
#[derive(Debug)]
pub(crate) struct WireLog(Option<Mutex<File>>);

impl WireLog {
    /// Appends to `path`.
    pub(crate) fn open(path: Option<&Path>) -> Result<Self, StandinError> {
        let Some(path) = path else { return Ok(Self(None)) };
        let file = File::options().create(true).append(true).open(path);
        let file = file.map_err(|source| StandinError::Write { path: path.to_owned(), source })?;
        Ok(Self(Some(Mutex::new(file))))
    }

    /// Whether anything is written at all.
    pub(crate) const fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// One line. `dir` is `in` (from the client) or `out`.
    pub(crate) fn line(&self, now: Moment, dir: &str, connection: u32, kind: &str, event: &Value) {
        let Some(file) = &self.0 else { return };
        #[expect(clippy::cast_precision_loss, reason = "seconds since the start")]
        let t = now.micros() as f64 / 1e6;
        let line = json!({ "t": t, "dir": dir, "conn": connection, "type": kind, "event": event });
        let mut file = lock(file);
        if let Err(error) = writeln!(file, "{line}").and_then(|()| file.flush()) {
            log::warn!(error:% = error; "wire log not written");
        }
    }
}
