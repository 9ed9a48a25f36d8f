//! Our own copy of the conversation, for a service that does not restore it.
//!
//! Rule: after a reconnect only the lines of whom are sent again of whom the service replayed
//! nothing (recorded connections brought the assistant's lines back and lost what was typed),
//! because each typed item costs money, and only when the last line is younger than ten minutes, because nobody
//! goes on with an older conversation. At most eight lines and 2000 characters, the youngest first
//! to stay.

use crate::base::unit::Moment;
use crate::grok::session::Restored;
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

    /// What is worth telling again, oldest first, without the line of `except` and of whom lines
    /// were restored.
    pub(super) fn missing(
        &self,
        now: Moment,
        except: Option<&str>,
        restored: Restored,
    ) -> impl Iterator<Item = (Speaker, &str)> {
        let fresh = now - self.last <= FRESH;
        let there = move |who| match who {
            Speaker::User => restored.user,
            Speaker::Assistant => restored.assistant,
        };
        self.lines
            .iter()
            .filter(move |(id, who, _)| fresh && Some(id.as_str()) != except && !there(*who))
            .map(|(_, who, text)| (*who, text.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: Restored = Restored { user: false, assistant: false };

    #[test]
    fn the_youngest_lines_stay_within_both_limits() {
        let mut history = History::default();
        for i in 0..20 {
            history.note(Moment::ZERO, &i.to_string(), Speaker::User, &"x".repeat(100));
        }
        assert_eq!(history.missing(Moment::ZERO, None, NOTHING).count(), LINES);
        history.note(Moment::ZERO, "long", Speaker::Assistant, &"y".repeat(5000));
        assert_eq!(history.missing(Moment::ZERO, None, NOTHING).count(), 1);
        assert_eq!(history.characters(), CHARACTERS);
    }

    #[test]
    fn old_conversations_are_not_told_again() {
        let mut history = History::default();
        history.note(Moment::ZERO, "a", Speaker::User, "Hello");
        assert_eq!(history.missing(Moment::from_millis(599_000), None, NOTHING).count(), 1);
        assert_eq!(history.missing(Moment::from_millis(601_000), None, NOTHING).count(), 0);
        assert_eq!(history.missing(Moment::ZERO, Some("a"), NOTHING).count(), 0);
        let restored = Restored { user: true, assistant: false };
        assert_eq!(history.missing(Moment::ZERO, None, restored).count(), 0);
    }
}
