//! The lines of the conversation as a panel shows them (R5, R6).

use crate::panel::event::{Speaker, Transcript};
use std::collections::VecDeque;

/// Lines that may still change; older ones are left as they are.
const LINES: usize = 32;

/// The youngest lines.
#[derive(Debug, Default)]
pub(super) struct Talk {
    lines: VecDeque<Transcript>,
}

impl Talk {
    fn line(&mut self, item: &str, role: Speaker) -> usize {
        if let Some(index) = self.lines.iter().position(|l| l.item == item) {
            return index;
        }
        if self.lines.len() == LINES {
            self.lines.pop_front();
        }
        self.lines.push_back(Transcript {
            item: item.to_owned(),
            role,
            text: String::new(),
            r#final: false,
            interrupted: false,
        });
        self.lines.len() - 1
    }

    /// A user's words, whole. A final text is never undone by a snapshot (Q5).
    pub(super) fn user(&mut self, item: &str, text: &str, is_final: bool) -> Option<Transcript> {
        let index = self.line(item, Speaker::User);
        let line = self.lines.get_mut(index)?;
        let stale = line.r#final && !is_final;
        let same = line.text == text && line.r#final == is_final;
        if stale || same || text.is_empty() {
            return None;
        }
        text.clone_into(&mut line.text);
        line.r#final |= is_final;
        Some(line.clone())
    }

    /// The reply speaks: what the user said will not change any more.
    pub(super) fn settle_user(&mut self) -> Vec<Transcript> {
        let open =
            |l: &&mut Transcript| l.role == Speaker::User && !l.r#final && !l.text.is_empty();
        let settle = |l: &mut Transcript| {
            l.r#final = true;
            l.clone()
        };
        self.lines.iter_mut().filter(open).map(settle).collect()
    }

    /// Words of a reply: a piece, or the whole.
    pub(super) fn assistant(&mut self, item: &str, text: &str, whole: bool) -> Option<Transcript> {
        let index = self.line(item, Speaker::Assistant);
        let line = self.lines.get_mut(index)?;
        if line.interrupted || line.role != Speaker::Assistant || text.is_empty() {
            return None;
        }
        if whole {
            if line.r#final && line.text == text {
                return None;
            }
            text.clone_into(&mut line.text);
            line.r#final = true;
        } else {
            if line.r#final {
                return None;
            }
            line.text.push_str(text);
        }
        Some(line.clone())
    }

    /// A person cut the line off.
    pub(super) fn interrupt(&mut self, item: &str) -> Option<Transcript> {
        let line = self.lines.iter_mut().find(|l| l.item == item)?;
        line.interrupted = true;
        line.r#final = true;
        Some(line.clone())
    }

    /// What the service says was left of it.
    pub(super) fn truncated(&mut self, item: &str, text: &str) -> Option<Transcript> {
        let line = self.lines.iter_mut().find(|l| l.item == item)?;
        if line.text == text {
            return None;
        }
        text.clone_into(&mut line.text);
        Some(line.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_users_text_is_replaced_and_a_final_one_stays() {
        let mut talk = Talk::default();
        assert_eq!(talk.user("u", "Hello my", false).unwrap().text, "Hello my");
        assert_eq!(talk.user("u", "Hello, my name", false).unwrap().text, "Hello, my name");
        assert!(talk.user("u", "Hello, my name is Alex.", true).unwrap().r#final);
        assert!(talk.user("u", "Hello", false).is_none());
        assert!(talk.settle_user().is_empty());
    }

    #[test]
    fn a_replys_text_grows_and_its_whole_text_wins() {
        let mut talk = Talk::default();
        talk.assistant("a", "Hello ", false);
        assert_eq!(talk.assistant("a", "Alex", false).unwrap().text, "Hello Alex");
        assert_eq!(talk.assistant("a", "Hello, Alex!", true).unwrap().text, "Hello, Alex!");
        assert!(talk.assistant("a", "!", false).is_none());
    }

    #[test]
    fn an_interrupted_line_only_shrinks() {
        let mut talk = Talk::default();
        talk.assistant("a", "Once upon a time", false);
        assert!(talk.interrupt("a").unwrap().interrupted);
        assert!(talk.assistant("a", " there was", false).is_none());
        assert!(talk.assistant("a", "Once upon a time there was", true).is_none());
        assert_eq!(talk.truncated("a", "Once upon").unwrap().text, "Once upon");
    }
}
