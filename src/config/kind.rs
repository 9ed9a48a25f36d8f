//! What a value may be, what a key takes, and how both are said.

/// What a layer may hold, free of any file format.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Text.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// A number with a fraction.
    Number(f64),
    /// `true` or `false`.
    Boolean(bool),
    /// An array.
    Array(Vec<Self>),
    /// Something no key takes, by its kind: a date, a table.
    Other(&'static str),
}

/// Longest piece of a value that an error repeats, in characters: enough to recognise it.
const ECHO: usize = 60;

impl std::fmt::Display for Value {
    /// As TOML would have it, cut short; what looks like an API key is not repeated.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(t) if t.contains("xai-") => f.write_str("\"***\""),
            Self::Text(t) if t.chars().count() > ECHO => {
                write!(f, "{:?}...", t.chars().take(ECHO).collect::<String>())
            }
            Self::Text(t) => write!(f, "{t:?}"),
            Self::Integer(n) => write!(f, "{n}"),
            Self::Number(n) => write!(f, "{n:?}"),
            Self::Boolean(b) => write!(f, "{b}"),
            Self::Array(values) if values.len() > 8 => write!(f, "an array of {}", values.len()),
            Self::Array(values) => {
                let inner: Vec<_> = values.iter().map(ToString::to_string).collect();
                write!(f, "[{}]", inner.join(", "))
            }
            Self::Other(kind) => f.write_str(kind),
        }
    }
}

/// A rule for text: what is allowed, in words, and the test for it.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// Completes "it takes ...".
    pub allowed: &'static str,
    /// The test.
    pub test: fn(&str) -> bool,
}

/// What a key takes.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// Text by a rule.
    Text(Rule),
    /// One of these words.
    Word(&'static [&'static str]),
    /// A whole number of this range.
    Integer(i64, i64),
    /// One of these whole numbers.
    OneOf(&'static [i64]),
    /// A number of this range.
    Number(f64, f64),
    /// `true` or `false`.
    Boolean,
    /// An array of texts by a rule.
    Texts(Rule),
    /// One of these words, or a whole number of this range.
    WordOr(&'static [&'static str], i64, i64),
}

impl Kind {
    /// What is allowed, in words.
    pub fn allowed(&self) -> String {
        match self {
            Self::Text(rule) => rule.allowed.to_owned(),
            Self::Word(words) => words.join(", "),
            Self::Integer(min, max) => format!("a whole number from {min} to {max}"),
            Self::OneOf(numbers) => {
                numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
            }
            Self::Number(min, max) => format!("a number from {min} to {max}"),
            Self::Boolean => "true, false".to_owned(),
            Self::Texts(rule) => {
                format!("an array such as [\"a\", \"b\"], each {}", rule.allowed)
            }
            Self::WordOr(words, min, max) => {
                format!("{}, or a whole number from {min} to {max}", words.join(", "))
            }
        }
    }

    /// Whether it takes this value.
    pub fn takes(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::Text(rule), Value::Text(t)) => (rule.test)(t),
            (Self::Word(words) | Self::WordOr(words, ..), Value::Text(t)) => {
                words.contains(&t.as_str())
            }
            (Self::Integer(min, max) | Self::WordOr(_, min, max), Value::Integer(n)) => {
                (min..=max).contains(&n)
            }
            (Self::OneOf(numbers), Value::Integer(n)) => numbers.contains(n),
            (Self::Number(min, max), Value::Number(n)) => (min..=max).contains(&n),
            (Self::Number(min, max), Value::Integer(n)) => (*min..=*max).contains(&(*n as f64)),
            (Self::Boolean, Value::Boolean(_)) => true,
            (Self::Texts(rule), Value::Array(values)) => {
                values.len() <= TEXTS_MAX
                    && values.iter().all(|v| matches!(v, Value::Text(t) if (rule.test)(t)))
            }
            _ => false,
        }
    }
}

/// Entries of an array at most: more than any home has names or wake words.
const TEXTS_MAX: usize = 64;
