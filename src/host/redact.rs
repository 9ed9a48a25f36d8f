//! What must never be seen: registered secrets by their value, strings that look like keys by their
//! shape, and characters that would make one line look like another.

use crate::base::secret::Secret;
use std::sync::{PoisonError, RwLock};

/// Secrets that can be registered; a process has one key and a few tokens.
const SECRETS: usize = 16;
/// Shorter ones are no secrets, and hiding them would hide much else.
const SHORTEST: usize = 8;
/// What stands for one.
const MARK: &str = "***";
/// How keys of services begin.
const PREFIXES: [&str; 2] = ["xai-", "sk-"];
/// Characters after such a beginning that make it a key and not a word.
const KEY_MIN: usize = 8;
/// Characters of a word that is a token whatever it begins with: 256 bits in base64.
const TOKEN_MIN: usize = 43;

/// What was registered.
static HIDDEN: RwLock<Vec<String>> = RwLock::new(Vec::new());

/// Replaces this secret by `***` in everything that is redacted from now on.
pub fn hide(secret: &Secret) {
    let value = secret.expose();
    if value.len() < SHORTEST {
        return;
    }
    let mut hidden = HIDDEN.write().unwrap_or_else(PoisonError::into_inner);
    if !hidden.iter().any(|known| known == value) {
        if hidden.len() == SECRETS {
            hidden.remove(0);
        }
        hidden.push(value.to_owned());
    }
}

/// The text without any registered secret and without what looks like a key.
pub fn redact(text: String) -> String {
    let hidden = HIDDEN.read().unwrap_or_else(PoisonError::into_inner);
    let text = hidden.iter().fold(text, |text, secret| {
        if text.contains(secret.as_str()) { text.replace(secret.as_str(), MARK) } else { text }
    });
    drop(hidden);
    keyless(text)
}

/// The text without what looks like a key or a token.
fn keyless(text: String) -> String {
    let mut out = String::new();
    let (mut kept, mut bearer) = (0, false);
    for (at, word) in words(&text) {
        if bearer || is_key(word) {
            out.push_str(&text[kept..at]);
            out.push_str(MARK);
            kept = at + word.len();
        }
        bearer = word.eq_ignore_ascii_case("bearer");
    }
    if kept == 0 {
        return text;
    }
    out.push_str(&text[kept..]);
    out
}

/// Runs of the characters keys are made of, with their places.
fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let part = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let mut at = 0;
    text.split(move |c| !part(c)).filter_map(move |word| {
        // Splits are at single characters, of any width.
        let start = at;
        let next = start + word.len();
        at = next + text[next..].chars().next().map_or(0, char::len_utf8);
        (!word.is_empty()).then_some((start, word))
    })
}

fn is_key(word: &str) -> bool {
    let named = |prefix: &&str| {
        let rest = word.get(..prefix.len()).filter(|start| start.eq_ignore_ascii_case(prefix));
        rest.is_some() && word.len() >= prefix.len() + KEY_MIN
    };
    let any = |test: fn(&u8) -> bool| word.bytes().any(|b| test(&b));
    PREFIXES.iter().any(named)
        || (word.len() >= TOKEN_MIN && any(u8::is_ascii_digit) && any(u8::is_ascii_alphabetic))
}

/// One line that looks like what it is: characters that end a line, move the cursor or turn the
/// direction of reading are written as escapes.
pub fn tame(text: String) -> String {
    if !text.chars().any(is_unruly) {
        return text;
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_unruly(c) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

fn is_unruly(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registered_secrets_and_what_looks_like_one_are_gone() {
        hide(&Secret::new("correct horse").unwrap());
        hide(&Secret::new("e").unwrap());
        let token = "aB3".repeat(15);
        for (text, clean) in [
            ("the correct horse speaks".to_owned(), "the *** speaks"),
            ("key=xai-TESTSECRET0123 and more".to_owned(), "key=*** and more"),
            ("\"XAI-abcdefgh\"".to_owned(), "\"***\""),
            ("sk-proj-abc_DEF".to_owned(), "***"),
            ("Authorization: Bearer abc, ok".to_owned(), "Authorization: Bearer ***, ok"),
            (format!("ü spk={token}; Path=/"), "ü spk=***; Path=/"),
        ] {
            assert_eq!(redact(text), clean);
        }
        for kept in [
            "xai-api is a name, so is sk-1",
            "item 3f2b8c1e-0000-4000-8000-aaaaaaaaaaaa was cut",
            "a_very_long_name_of_a_key_without_any_figure_in_it",
            "voilà: übergrößenträger",
            "",
        ] {
            assert_eq!(redact(kept.to_owned()), kept);
        }
    }

    #[test]
    fn a_line_cannot_pretend_to_be_another() {
        let evil = "a\r\nERROR b\u{1b}[2J\u{202e}txt\u{2028}c";
        assert_eq!(tame(evil.to_owned()), "a\\r\\nERROR b\\u{1b}[2J\\u{202e}txt\\u{2028}c");
        assert_eq!(tame("Grüße, 你好 👋🏽".to_owned()), "Grüße, 你好 👋🏽");
    }
}
