//! What a person may change while it runs, and what that is now.

use super::keys::{self, Kind, Value};
use super::layer::{self, Layer};
use super::{Config, ConfigError, Layers, Problem, meaning};
use serde_json::json;
use std::collections::BTreeMap;

/// What a person chose at a panel, by `section.key`; over the files, under the environment and
/// `--set`.
pub type Changes = BTreeMap<String, serde_json::Value>;

/// The place of what a person chose.
const PLACE: &str = "panel";

/// Keys that may be changed while it runs. All of them count from the next quiet moment on.
pub const LIVE: &[&str] = &[
    "audio.input",
    "audio.output",
    "grok.model",
    "grok.voice",
    "grok.instructions",
    "grok.language",
    "grok.reasoning",
    "grok.hang_up_after_s",
    "turn.mode",
    "turn.gate",
    "turn.barge_in",
    "turn.linger_s",
    "panel.name",
];

impl Layers {
    /// The configuration with what a person chose.
    ///
    /// # Errors
    /// Every mistake, as [`super::load`] would say it.
    pub fn config(&self, changes: &Changes) -> Result<Config, ConfigError> {
        let mut problems = Vec::new();
        let merged = self.merged(changes, &mut problems);
        let config = meaning::config(&merged, &self.sources, self.profile.clone(), &mut problems);
        if problems.is_empty() { Ok(config) } else { Err(ConfigError(problems)) }
    }

    /// What was chosen before and what is chosen now: `null` takes a choice back. Nothing is half
    /// done: one mistake, and all stays as it was.
    ///
    /// # Errors
    /// Every mistake.
    pub fn change(
        &self,
        before: &Changes,
        now: &Changes,
    ) -> Result<(Changes, Config), ConfigError> {
        let mut changes = before.clone();
        let mut problems = Vec::new();
        for (key, value) in now {
            if let Some(place) = self.fixed(key) {
                problems.push(Problem::Fixed { key: key.clone(), place });
            }
            if value.is_null() {
                changes.remove(key);
            } else {
                changes.insert(key.clone(), value.clone());
            }
        }
        if !problems.is_empty() {
            return Err(ConfigError(problems));
        }
        self.config(&changes).map(|config| (changes, config))
    }

    /// As many of these choices as still make sense, and what is wrong with the others: a key may
    /// have gone with an update.
    pub fn salvage(&self, changes: &Changes) -> (Changes, Vec<String>) {
        let (mut good, mut words) = (Changes::new(), Vec::new());
        for (key, value) in changes {
            good.insert(key.clone(), value.clone());
            if let Err(error) = self.config(&good) {
                good.remove(key);
                words.push(error.to_string());
            }
        }
        (good, words)
    }

    /// What a page needs to show and offer each key that may be changed.
    pub fn sheet(&self, changes: &Changes) -> serde_json::Value {
        let merged = self.merged(changes, &mut Vec::new());
        let rows = LIVE.iter().filter_map(|path| {
            let key = keys::find(keys::KEYS, path)?;
            let takes = match key.kind {
                Kind::Word(words) => json!({"words": words}),
                Kind::Number(min, max) => json!({"min": min, "max": max}),
                Kind::Text(rule) => json!({"text": rule.allowed}),
                Kind::Integer(..)
                | Kind::OneOf(_)
                | Kind::Boolean
                | Kind::Texts(_)
                | Kind::WordOr(..) => json!({"other": key.kind.allowed()}),
            };
            let row = json!({
                "value": merged.value(path).map(to_json),
                "takes": takes,
                "chosen": changes.contains_key(*path),
                "fixed": self.fixed(path),
            });
            Some(((*path).to_owned(), row))
        });
        serde_json::Value::Object(rows.collect())
    }

    /// Where a key is set so that no choice at a panel counts.
    fn fixed(&self, key: &str) -> Option<String> {
        self.upper.iter().rev().find_map(|layer| layer.place(key))
    }

    pub(super) fn merged(&self, changes: &Changes, problems: &mut Vec<Problem>) -> layer::Merged {
        let mut layers = self.lower.clone();
        layers.push(chosen(changes, problems));
        layers.extend(self.upper.iter().cloned());
        layer::merge(keys::KEYS, layers, problems)
    }
}

/// The layer of what was chosen.
fn chosen(changes: &Changes, problems: &mut Vec<Problem>) -> Layer {
    let mut layer = Layer::default();
    for (path, value) in changes {
        if keys::find(keys::KEYS, path).is_some() && !LIVE.contains(&path.as_str()) {
            problems.push(Problem::NotLive { key: path.clone(), allowed: LIVE.join(", ") });
        } else if path.starts_with("audio.") && value.as_str().is_some_and(|name| !is_card(name)) {
            problems.push(Problem::Refused {
                place: PLACE.to_owned(),
                key: path.clone(),
                value: "what may be a file or a command".to_owned(),
                allowed: "default, null, or the name of a card".to_owned(),
            });
        } else {
            layer::put(&mut layer, keys::KEYS, path, from_json(value), PLACE.to_owned(), problems);
        }
    }
    layer
}

/// A panel reads and writes no files of the device, and starts no programs: ALSA's PCMs `file` and
/// `tee` do both for whoever names one, in another's argument too. With arguments a name is one of
/// letters, figures and what stands in names of hardware; without, it defines nothing.
fn is_card(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.:,=".contains(c);
    let writes = |word: &str| ["file", "tee"].iter().any(|pcm| word.eq_ignore_ascii_case(pcm));
    if name.contains(':') {
        name.chars().all(plain) && !name.split([':', ',', '=']).any(writes)
    } else {
        !name.contains(['{', '}', '\'', '"', '|'])
    }
}

fn from_json(value: &serde_json::Value) -> Value {
    use serde_json::Value as Json;
    match value {
        Json::String(text) => Value::Text(text.clone()),
        Json::Bool(on) => Value::Boolean(*on),
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => Value::Integer(whole),
            (None, Some(number)) => Value::Number(number),
            (None, None) => Value::Other("a number beyond 64 bits"),
        },
        Json::Array(values) => Value::Array(values.iter().map(from_json).collect()),
        Json::Object(_) => Value::Other("an object"),
        Json::Null => Value::Other("nothing"),
    }
}

fn to_json(value: &Value) -> serde_json::Value {
    match value {
        Value::Text(text) => text.as_str().into(),
        Value::Integer(number) => (*number).into(),
        Value::Number(number) => (*number).into(),
        Value::Boolean(on) => (*on).into(),
        Value::Array(values) => values.iter().map(to_json).collect(),
        Value::Other(_) => serde_json::Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Sources, read};
    use crate::conversation::Mode;

    fn layers(sets: &[&str]) -> Layers {
        let sets = sets.iter().map(|set| (*set).to_owned()).collect();
        read(&Sources { sets, ..Sources::default() }).unwrap().0
    }

    fn changes(pairs: &[(&str, serde_json::Value)]) -> Changes {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect()
    }

    fn refused(now: &[(&str, serde_json::Value)]) -> String {
        layers(&[]).change(&Changes::new(), &changes(now)).unwrap_err().to_string()
    }

    #[test]
    fn what_is_chosen_counts_over_the_files_and_can_be_taken_back() {
        let layers = layers(&[]);
        let now = changes(&[("grok.voice", json!("ara")), ("turn.linger_s", json!(8.5))]);
        let (kept, config) = layers.change(&Changes::new(), &now).unwrap();
        assert_eq!((&kept, config.policy.session.voice.as_str()), (&now, "ara"));
        assert_eq!(config.policy.linger.as_millis(), 8500);
        let name = "K\u{fc}che <b>\u{1f468}\u{200d}\u{1f373}";
        let (_, named) = layers.change(&kept, &changes(&[("panel.name", json!(name))])).unwrap();
        assert_eq!(named.policy.name, name);
        let (kept, config) =
            layers.change(&kept, &changes(&[("grok.voice", json!(null))])).unwrap();
        assert_eq!((kept.len(), config.policy.session.voice.as_str()), (1, "eve"));
        let sheet = layers.sheet(&kept);
        assert_eq!(sheet["turn.linger_s"]["value"], 8.5);
        assert_eq!(sheet["turn.linger_s"]["chosen"], true);
        assert_eq!(sheet["turn.mode"]["takes"]["words"], json!(["wake", "open", "push"]));
        assert_eq!(sheet.as_object().unwrap().len(), LIVE.len());
        assert!(sheet.as_object().unwrap().values().all(|row| row["takes"]["other"].is_null()));
    }

    #[test]
    fn a_mistake_names_its_key_and_changes_nothing() {
        let words = refused(&[("grok.voice", json!("two words")), ("turn.linger_s", json!(7))]);
        assert!(words.starts_with("panel: grok.voice = \"two words\" is not allowed; it takes"));
        assert!(!words.contains("linger"), "{words}");
        for (key, value, word) in [
            ("turn.linger_s", json!("6"), "a number from 0 to 300"),
            ("turn.linger_s", json!(-1), "a number from 0 to 300"),
            ("turn.mode", json!("shout"), "wake, open, push"),
            ("turn.mode", json!({}), "an object"),
            ("audio.output", json!("file:/etc/passwd"), "the name of a card"),
            ("audio.input", json!(" hw:0"), "the name of a card"),
            ("audio.output", json!("tee:null,'|reboot',raw"), "the name of a card"),
            ("audio.output", json!("tee:null,out,raw"), "the name of a card"),
            ("audio.input", json!("plug:file:x"), "the name of a card"),
            ("audio.input", json!("plug:SLAVE=file"), "the name of a card"),
            ("audio.input", json!("{type file file x}"), "the name of a card"),
            ("grok.instructions", json!("a\u{1b}b"), "control characters"),
            ("panel.name", json!("a\nb"), "control characters"),
            ("panel.name", json!("x".repeat(33)), "at most 32 characters"),
            ("panel.name", json!("\u{202e}nehctiK"), "control characters"),
            ("panel.name", json!(" "), "at most 32 characters"),
            ("grok.language", json!("es"), "es-MX"),
            ("grok.voic", json!("ara"), "did you mean grok.voice?"),
            ("grok.url", json!("wss://evil.example"), "cannot be changed while it runs"),
            ("state.directory", json!("/"), "cannot be changed while it runs"),
            ("grok.key", json!("xai-secret"), "never a configuration value"),
        ] {
            let words = refused(&[(key, value)]);
            assert!(words.contains(key) && words.contains(word), "{words}");
            assert!(!words.contains("xai-secret"), "{words}");
        }
    }

    #[test]
    fn a_card_goes_by_its_name() {
        for name in ["default", "null", "pulse", "Built-in Audio (2)", "Tee", "file"] {
            assert!(is_card(name), "{name}");
        }
        for name in ["hw:CARD=Device_1,DEV=0", "plughw:0", "sysdefault:CARD=UAC2.0", "plug:dmix"] {
            assert!(is_card(name), "{name}");
        }
    }

    #[test]
    fn what_the_command_line_says_stands() {
        let layers = layers(&["turn.mode=open"]);
        let now = changes(&[("turn.mode", json!("push"))]);
        let words = layers.change(&Changes::new(), &now).unwrap_err().to_string();
        assert!(words.contains("turn.mode") && words.contains("--set turn.mode"), "{words}");
        assert_eq!(layers.config(&now).unwrap().policy.mode, Mode::Open, "chosen in another run");
        assert_eq!(layers.sheet(&now)["turn.mode"]["fixed"], "--set turn.mode");
    }

    #[test]
    fn what_no_longer_makes_sense_is_left_out() {
        let stored = changes(&[
            ("grok.voice", json!("ara")),
            ("turn.gone", json!(1)),
            ("turn.linger_s", json!("long")),
        ]);
        let (good, words) = layers(&[]).salvage(&stored);
        assert_eq!(good, changes(&[("grok.voice", json!("ara"))]));
        assert_eq!(words.len(), 2, "{words:?}");
    }
}
