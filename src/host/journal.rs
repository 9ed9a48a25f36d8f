//! Records what happened to the conversation: into a file on demand, and always the last of it in
//! memory, for the moment after a bug.
//!
//! A line is JSON, made when it is written and not before. The head comes first; a replay begins
//! with it. A file with a gap would replay to something else than what was, so the first line that
//! cannot be taken ends the file, and that is said.

use super::thread::{Priority, Worker};
use crate::base::ring::Silent;
use crate::base::unit::Moment;
use crate::conversation::Input;
use crate::conversation::journal::Brief;
use serde::Serialize;
use std::collections::VecDeque;
use std::fs::OpenOptions;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

/// Longest file: about an hour of blocks at 100 a second. Then it ends.
pub const FILE_MAX: u64 = 64 << 20;
/// Memory of the flight recorder: 80 seconds of listening, half of that while a reply comes in.
pub const FLIGHT_MAX: usize = 256 << 10;
/// Lines that may wait to be written: a card that takes ten seconds for a write is survived.
const QUEUE: usize = 2048;
/// How much of a file is lost at most when the power is.
const FLUSH_EVERY: Duration = Duration::from_secs(1);

/// The recorder, owned by the main thread.
#[derive(Debug)]
pub struct Journal {
    head: String,
    flight: VecDeque<Brief>,
    /// Memory that `flight` takes.
    bytes: usize,
    /// Where a bug's last inputs go.
    after_a_bug: Option<PathBuf>,
    file: Option<Writing>,
}

/// A file under way.
#[derive(Debug)]
struct Writing {
    lines: SyncSender<String>,
    /// Bytes handed over.
    bytes: u64,
    max: u64,
    worker: Worker<io::Result<()>>,
}

impl Journal {
    /// A recorder whose every file begins with `head`. When the thread that owns it panics, the
    /// last inputs are written to `after_a_bug`.
    ///
    /// # Errors
    /// When the head has no written form.
    pub fn new<L: Serialize>(head: &L, after_a_bug: Option<PathBuf>) -> io::Result<Self> {
        let mut head = serde_json::to_string(head)?;
        head.push('\n');
        let flight = VecDeque::with_capacity(FLIGHT_MAX / size_of::<Brief>());
        Ok(Self { head, flight, bytes: 0, after_a_bug, file: None })
    }

    /// Also writes to a file from now on, at most `max` bytes ([`FILE_MAX`]).
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn write_to(&mut self, path: &Path, max: u64) -> io::Result<()> {
        let file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
        let (lines, queue) = sync_channel(QUEUE);
        let worker = Worker::spawn("journal", Priority::Normal, Arc::new(Silent), move || {
            write(&queue, BufWriter::new(file))
        })?;
        let mut writing = Writing { lines, bytes: 0, max, worker };
        // An empty queue takes a line.
        let _ = writing.push(self.head.clone());
        self.file = Some(writing);
        Ok(())
    }

    /// Records what happened; never waits. The words, when the file has just ended, say why.
    pub fn record(&mut self, now: Moment, input: &Input) -> Option<String> {
        let brief = match Brief::of(now, input) {
            Ok(brief) => brief,
            Err(error) => return self.end(&unwritten(&error)),
        };
        let line = self.file.as_ref().map(|_| line(&brief));
        self.bytes += brief.size();
        while self.bytes > FLIGHT_MAX {
            let Some(oldest) = self.flight.pop_front() else { break };
            self.bytes -= oldest.size();
        }
        self.flight.push_back(brief);
        match line? {
            Ok(line) => {
                let refused = self.file.as_mut()?.push(line).err()?;
                self.end(refused)
            }
            Err(error) => self.end(&unwritten(&error)),
        }
    }

    /// Ends the file, everything on the medium. What went wrong, where something did.
    pub fn close(&mut self) -> Option<String> {
        let Writing { lines, worker, .. } = self.file.take()?;
        drop(lines);
        match worker.join() {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(format!("the journal is not complete: {error}")),
            Err(panicked) => Some(panicked.to_string()),
        }
    }

    fn end(&mut self, why: &str) -> Option<String> {
        self.file.as_ref()?;
        let more = self.close().map(|more| format!("; {more}")).unwrap_or_default();
        Some(format!("the journal ends here: {why}{more}"))
    }

    /// Writes the head and the last inputs to a file.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn dump(&self, path: &Path) -> io::Result<()> {
        let file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
        let mut file = BufWriter::new(file);
        file.write_all(self.head.as_bytes())?;
        for brief in &self.flight {
            file.write_all(line(brief)?.as_bytes())?;
        }
        file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        if std::thread::panicking()
            && let Some(path) = &self.after_a_bug
        {
            match self.dump(path) {
                Ok(()) => log::error!(path:% = path.display(); "the last inputs were kept"),
                Err(error) => log::error!(error:%; "the last inputs could not be kept"),
            }
        }
        if let Some(words) = self.close() {
            log::warn!("{words}");
        }
    }
}

impl Writing {
    fn push(&mut self, line: String) -> Result<(), &'static str> {
        self.bytes += line.len() as u64;
        if self.bytes > self.max {
            return Err("it is as long as it may be");
        }
        self.lines.try_send(line).map_err(|_| "it cannot be written as fast as things happen")
    }
}

fn line(brief: &Brief) -> serde_json::Result<String> {
    let mut text = brief.json()?;
    text.push('\n');
    Ok(text)
}

fn unwritten(error: &serde_json::Error) -> String {
    format!("a line has no written form ({error})")
}

/// Writes until the other end is gone.
fn write(lines: &Receiver<String>, mut file: BufWriter<std::fs::File>) -> io::Result<()> {
    let mut flushed = super::clock::now();
    loop {
        match lines.recv_timeout(FLUSH_EVERY) {
            Ok(line) => file.write_all(line.as_bytes())?,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                return file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all();
            }
        }
        let now = super::clock::now();
        if now.since(flushed) >= FLUSH_EVERY {
            file.flush()?;
            flushed = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::event::Fault;
    use crate::conversation::journal::Line;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let pid = std::process::id();
            Self(std::env::temp_dir().join(format!("grok-speaker-journal-{pid}-{name}.jsonl")))
        }

        /// The words of the head and of each line.
        fn lines(&self) -> Vec<String> {
            let text = std::fs::read_to_string(&self.0).unwrap();
            text.lines()
                .map(|line| match serde_json::from_str(line) {
                    Ok(Line::In {
                        input: Input::Fault(Fault::StateSetAside { words }), ..
                    }) => words,
                    other => {
                        assert!(other.is_err(), "{other:?}");
                        serde_json::from_str(line).unwrap()
                    }
                })
                .collect()
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    fn said(words: String) -> Input {
        Input::Fault(Fault::StateSetAside { words })
    }

    fn record(journal: &mut Journal, words: String) -> Option<String> {
        journal.record(Moment::ZERO, &said(words))
    }

    #[test]
    fn a_file_holds_the_head_and_every_line() {
        let scratch = Scratch::new("all");
        let mut journal = Journal::new(&"head", None).unwrap();
        assert_eq!(record(&mut journal, "before".to_owned()), None);
        journal.write_to(&scratch.0, FILE_MAX).unwrap();
        for index in 0..500 {
            assert_eq!(record(&mut journal, format!("line {index}")), None);
        }
        assert_eq!(journal.close(), None);
        let lines = scratch.lines();
        assert_eq!(
            (lines.len(), lines[0].as_str(), lines[500].as_str()),
            (501, "head", "line 499")
        );
    }

    #[test]
    fn a_file_reaches_the_medium_each_second() {
        let scratch = Scratch::new("flush");
        let mut journal = Journal::new(&"head", None).unwrap();
        journal.write_to(&scratch.0, FILE_MAX).unwrap();
        let begun = super::super::clock::now();
        while scratch.lines().is_empty() {
            assert!(
                super::super::clock::now().since(begun) < FLUSH_EVERY * 4,
                "nothing is written"
            );
            std::thread::park_timeout(Duration::from_millis(50));
        }
        assert_eq!(scratch.lines(), ["head"]);
    }

    #[test]
    fn a_file_ends_at_its_limit_and_says_so_once() {
        let scratch = Scratch::new("limit");
        let mut journal = Journal::new(&"head", None).unwrap();
        let line = Line::record(Moment::ZERO, &said(format!("{:010}", 0)));
        let max = 7 + 2 * (serde_json::to_string(&line).unwrap().len() as u64 + 1);
        journal.write_to(&scratch.0, max).unwrap();
        let said: Vec<String> =
            (0..20).filter_map(|n| record(&mut journal, format!("{n:010}"))).collect();
        assert_eq!(said, ["the journal ends here: it is as long as it may be"]);
        assert_eq!(scratch.lines(), ["head", "0000000000", "0000000001"]);
    }

    #[test]
    fn a_full_disk_ends_the_file() {
        if !Path::new("/dev/full").exists() {
            return;
        }
        let mut journal = Journal::new(&"head", None).unwrap();
        journal.write_to(Path::new("/dev/full"), FILE_MAX).unwrap();
        let words = journal.close().expect("said");
        assert!(words.starts_with("the journal is not complete: "), "{words}");
    }

    #[test]
    fn the_last_inputs_are_kept_after_a_bug_and_memory_is_bounded() {
        let scratch = Scratch::new("bug");
        let mut journal = Journal::new(&"head", Some(scratch.0.clone())).unwrap();
        let room = journal.flight.capacity();
        for _ in 0..2 * room {
            journal.record(Moment::ZERO, &Input::Tick);
        }
        assert_eq!((journal.flight.len(), journal.flight.capacity()), (room, room));
        let long = "x".repeat(12_500);
        for index in 0..100 {
            record(&mut journal, format!("{index} {long}"));
        }
        assert!(journal.bytes <= FLIGHT_MAX && journal.flight.len() == 20);
        let bug = catch_unwind(AssertUnwindSafe(move || {
            let _owned = journal;
            panic!("a bug");
        }));
        assert!(bug.is_err());
        let lines = scratch.lines();
        assert_eq!((lines.len(), lines[0].as_str()), (21, "head"));
        assert!(lines[1].starts_with("80 ") && lines[20].starts_with("99 "));
    }
}
