//! The `replay` command: a journal back through the same conversation, as a transcript.

use crate::conversation::journal::{self, Line};
use anyhow::Context;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;

/// Prints the transcript of a journal up to a bad line, which is named by its number. One that is
/// cut off at its end is none: so a run that was killed leaves its journal.
pub fn run(path: &Path) -> anyhow::Result<()> {
    let file = std::fs::File::open(path).with_context(|| format!("{}", path.display()))?;
    let mut bad = Ok(());
    let lines = Reader { file: BufReader::new(file), number: 0 };
    let lines = lines.map_while(|(number, line)| match line {
        Ok(line) => Some(line),
        Err(e) => {
            bad = Err(e.context(format!("{}, line {number}", path.display())));
            None
        }
    });
    let mut out = std::io::stdout().lock();
    for line in journal::transcript(lines) {
        writeln!(out, "{line}")?;
    }
    bad
}

struct Reader<R> {
    file: R,
    number: u64,
}

impl<R: BufRead> Iterator for Reader<R> {
    type Item = (u64, anyhow::Result<Line>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            self.number += 1;
            let mut text = Vec::new();
            match self.file.read_until(b'\n', &mut text) {
                Ok(0) => return None,
                Ok(_) if text.trim_ascii().is_empty() => {}
                Ok(_) => match serde_json::from_slice(&text) {
                    Err(e) if e.is_eof() && self.number > 1 && !text.ends_with(b"\n") => {
                        // A closed standard error leaves the transcript.
                        let _ = writeln!(std::io::stderr(), "the last line is cut off");
                        return None;
                    }
                    line => return Some((self.number, line.map_err(Into::into))),
                },
                Err(e) => return Some((self.number, Err(e.into()))),
            }
        }
    }
}
