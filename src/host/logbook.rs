//! The last lines of the log, for a panel that shows them. Filled by the thread that writes the
//! log, with lines that are redacted already; read by whoever is asked.

use log::Level;
use serde::Serialize;
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// Lines kept: more than a person scrolls through, and a day of a healthy speaker.
const LINES: usize = 500;
/// Bytes of text kept: what those lines have, and a bound for long ones.
const BYTES: usize = 64 * 1024;
/// Bytes of text in one answer, so that a polling panel gets other things with it.
const ANSWER: usize = 16 * 1024;

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// Counts from 1 in one run.
    pub n: u64,
    /// Milliseconds since 1970.
    pub at: i64,
    /// `error`, `warn`, `info`, `debug` or `trace`.
    pub level: &'static str,
    /// Which part of the program.
    pub room: String,
    /// Message and fields as they are printed.
    pub text: String,
}

impl Entry {
    fn size(&self) -> usize {
        self.room.len() + self.text.len()
    }
}

/// What is answered to one question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// The oldest of those that were asked for, in order.
    pub lines: Vec<Entry>,
    /// From where to ask on.
    pub next: u64,
    /// Whether there are more already.
    pub more: bool,
}

#[derive(Debug, Default)]
struct Pages {
    entries: VecDeque<Entry>,
    bytes: usize,
    last: u64,
}

/// The lines. When there is no room the oldest go.
#[derive(Debug, Default)]
pub struct Logbook(Mutex<Pages>);

impl Logbook {
    /// Takes a line in.
    pub fn write(&self, at_micros: i64, level: Level, room: &str, text: String) {
        let mut pages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pages.last += 1;
        let n = pages.last;
        let level = word(level);
        let entry = Entry { n, at: at_micros.div_euclid(1000), level, room: room.to_owned(), text };
        pages.bytes += entry.size();
        pages.entries.push_back(entry);
        while pages.entries.len() > LINES || pages.bytes > BYTES {
            let Some(oldest) = pages.entries.pop_front() else { break };
            pages.bytes -= oldest.size();
        }
    }

    /// The lines after number `after` of this level and worse ones, the oldest first, as many as
    /// one answer holds. A number that was never given (of an earlier run) asks for all.
    pub fn after(&self, after: u64, level: Level) -> Answer {
        let pages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let after = if after > pages.last { 0 } else { after };
        let mut answer = Answer { lines: Vec::new(), next: after, more: false };
        let mut bytes = 0;
        for entry in pages.entries.iter().filter(|entry| entry.n > after) {
            if level_of(entry.level) <= level {
                bytes += entry.size();
                if bytes > ANSWER && !answer.lines.is_empty() {
                    answer.more = true;
                    return answer;
                }
                answer.lines.push(entry.clone());
            }
            answer.next = entry.n;
        }
        answer
    }

    /// All lines.
    pub fn whole(&self) -> Vec<Entry> {
        let pages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pages.entries.iter().cloned().collect()
    }
}

/// A level's name in answers.
fn word(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warn => "warn",
        Level::Info => "info",
        Level::Debug => "debug",
        Level::Trace => "trace",
    }
}

/// The level of such a name; everything for any other.
pub fn level_of(word: &str) -> Level {
    word.parse().unwrap_or(Level::Trace)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(answer: &Answer) -> Vec<u64> {
        answer.lines.iter().map(|entry| entry.n).collect()
    }

    #[test]
    fn lines_are_told_once_and_by_level() {
        let book = Logbook::default();
        for (level, text) in [(Level::Info, "a"), (Level::Debug, "b"), (Level::Error, "c")] {
            book.write(1_500_999, level, "host", text.to_owned());
        }
        let all = book.after(0, Level::Trace);
        assert_eq!((numbers(&all), all.next, all.more), (vec![1, 2, 3], 3, false));
        assert_eq!((all.lines[0].at, all.lines[0].level), (1500, "info"));
        assert_eq!(numbers(&book.after(0, Level::Warn)), [3]);
        assert_eq!(numbers(&book.after(1, Level::Info)), [3]);
        assert_eq!(book.after(3, Level::Info).next, 3);
        assert_eq!(numbers(&book.after(99, Level::Info)), [1, 3], "the program began anew");
    }

    #[test]
    fn it_is_bounded_and_long_answers_come_in_parts() {
        let book = Logbook::default();
        for n in 0..2 * LINES {
            book.write(0, Level::Info, "", n.to_string());
        }
        let kept = book.whole();
        assert_eq!((kept.len(), kept[0].n), (LINES, LINES as u64 + 1));
        for _ in 0..100 {
            book.write(0, Level::Info, "x", "y".repeat(4000));
        }
        let kept = book.whole();
        assert!(kept.iter().map(Entry::size).sum::<usize>() <= BYTES && kept.len() == 16);
        let (mut after, mut told) = (0, Vec::new());
        loop {
            let answer = book.after(after, Level::Info);
            assert!(answer.lines.iter().map(Entry::size).sum::<usize>() <= ANSWER);
            (after, told) = (answer.next, [told, numbers(&answer)].concat());
            if !answer.more {
                break;
            }
        }
        assert_eq!(told, kept.iter().map(|entry| entry.n).collect::<Vec<_>>());
    }
}
