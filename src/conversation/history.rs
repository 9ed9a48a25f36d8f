//! Our own copy of the conversation, for a service that does not restore it.
//!
//! Rule: it is sent again after a reconnect only when the service did not restore the conversation
//! (another conversation id, or not one replayed item before `session.updated`), because each typed
//! item costs money, and only when the last line is younger than ten minutes, because nobody goes
//! on with an older conversation. At most eight lines and 2000 characters, the youngest first to
//! stay.

use crate::base::unit::Moment;
use crate::panel::event::Speaker;
use std::collections::VecDeque;
use std::time::Duration;

/// Lines that are kept: four exchanges, about 3 cents.
const LINES: usize = 8;
/// Characters that are kept.
const CHARACTERS: usize = 2000;
/// Older conversations are not gone on with.
const FRESH: Duration = Duration::from_secs(600);

/// The last lines.
#[derive(Debug, Default)]
pub(super) struct History {
    lines: VecDeque<(String, Speaker, String)>,
    last: Moment,
}

impl History {
    /// Adds or replaces the line of an item.
    pub(super) fn note(&mut self, now: Moment, item: &str, who: Speaker, text: &str) {
        self.last = now;
        let text: String = text.chars().take(CHARACTERS).collect();
        match self.lines.iter_mut().find(|(id, ..)| id == item) {
            Some(line) => line.2 = text,
            None => self.lines.push_back((item.to_owned(), who, text)),
        }
        self.lines.retain(|(.., text)| !text.is_empty());
        while self.lines.len() > LINES || self.characters() > CHARACTERS {
            self.lines.pop_front();
        }
    }

    fn characters(&self) -> usize {
        self.lines.iter().map(|(.., text)| text.chars().count()).sum()
    }

    /// What is worth telling again, oldest first, without the line of `except`.
    pub(super) fn lines(
        &self,
        now: Moment,
        except: Option<&str>,
    ) -> impl Iterator<Item = (Speaker, &str)> {
        let fresh = now - self.last <= FRESH;
        self.lines
            .iter()
            .filter(move |(id, ..)| fresh && Some(id.as_str()) != except)
            .map(|(_, who, text)| (*who, text.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_youngest_lines_stay_within_both_limits() {
        let mut history = History::default();
        for i in 0..20 {
            history.note(Moment::ZERO, &i.to_string(), Speaker::User, &"x".repeat(100));
        }
        assert_eq!(history.lines(Moment::ZERO, None).count(), LINES);
        history.note(Moment::ZERO, "long", Speaker::Assistant, &"y".repeat(5000));
        assert_eq!(history.lines(Moment::ZERO, None).count(), 1);
        assert_eq!(history.characters(), CHARACTERS);
    }

    #[test]
    fn old_conversations_are_not_told_again() {
        let mut history = History::default();
        history.note(Moment::ZERO, "a", Speaker::User, "Hello");
        assert_eq!(history.lines(Moment::from_millis(599_000), None).count(), 1);
        assert_eq!(history.lines(Moment::from_millis(601_000), None).count(), 0);
        assert_eq!(history.lines(Moment::ZERO, Some("a")).count(), 0);
    }
}
