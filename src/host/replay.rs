//! The `replay` command: a journal back through the same conversation, as a transcript.

use crate::conversation::journal::{self, Line};
use anyhow::Context;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;

/// Prints the transcript of a journal; a bad line is named by its number.
pub fn run(path: &Path) -> anyhow::Result<()> {
    let file = std::fs::File::open(path).with_context(|| format!("{}", path.display()))?;
    let mut lines = Vec::new();
    for (index, line) in BufReader::new(file).lines().enumerate() {
        let place = || format!("{}, line {}", path.display(), index + 1);
        let line = line.with_context(place)?;
        if !line.trim().is_empty() {
            lines.push(serde_json::from_str::<Line>(&line).with_context(place)?);
        }
    }
    let mut out = std::io::stdout().lock();
    for line in journal::transcript(lines) {
        writeln!(out, "{line}")?;
    }
    Ok(())
}
