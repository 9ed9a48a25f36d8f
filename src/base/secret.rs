//! A value that must never be seen: it prints as `***` wherever it is formatted.

use std::fmt;

/// An API key. Not serialisable on purpose; `expose` is for the one place that sends it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a key; white space around it (a trailing newline of a key file) is dropped.
    /// `None` when nothing is left.
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        (!text.is_empty()).then(|| Self(text.to_owned()))
    }

    /// The key itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_prints_itself() {
        let key = Secret::new(" xai-123\n").unwrap();
        assert_eq!(format!("{key} {key:?}"), "*** ***");
        assert_eq!(key.expose(), "xai-123");
        assert_eq!(Secret::new(" \n"), None);
    }
}
