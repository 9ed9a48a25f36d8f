//! DOOR config + toml + files: the layers, from text to one merged table of values.

use super::keys::{self, Key, Value};
use super::{InForce, Problem, Setting, Sources};
use config::ValueKind;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use toml::de::{DeTable, DeValue};

/// Longest configuration file: a thousand times what one needs, and `/dev/zero` ends.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// What the environment's names begin with.
const PREFIX: &str = "GROK_SPEAKER__";
/// Its name for the separator between section and key.
const SEPARATOR: &str = "__";

/// The place of a default.
const DEFAULT: &str = "built-in default";

/// Values with the place they were written at, by `section.key`.
#[derive(Debug, Clone, Default)]
pub(super) struct Layer(BTreeMap<String, (Value, String)>);

impl Layer {
    /// Where a key was written in it.
    pub(super) fn place(&self, path: &str) -> Option<String> {
        self.0.get(path).map(|(_, place)| place.clone())
    }
}

impl config::Source for Layer {
    fn clone_into_box(&self) -> Box<dyn config::Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<config::Map<String, config::Value>, config::ConfigError> {
        let pair = |(path, (value, place)): (&String, &(Value, String))| {
            (path.clone(), config::Value::new(Some(place), kind(value)))
        };
        Ok(self.0.iter().map(pair).collect())
    }
}

/// The values that count, each with its place. Every layer is checked on its own, so that a
/// mistake is found where it was made, even under a layer that covers it.
#[derive(Debug)]
pub(super) struct Merged(BTreeMap<&'static str, (Value, String)>);

/// The defaults are a layer and every value was checked, so each key has a value of its kind; an
/// empty one stands for a key whose mistake has been noted.
impl Merged {
    /// Where the value was written; `None` when it is the default.
    pub(super) fn written(&self, path: &str) -> Option<String> {
        Some(self.place(path)).filter(|place| !place.starts_with(DEFAULT))
    }

    /// Where the value was written.
    pub(super) fn place(&self, path: &str) -> String {
        self.0.get(path).map(|(_, place)| place.clone()).unwrap_or_default()
    }

    /// All of them, in the order of their names.
    pub(super) fn in_force(&self) -> InForce {
        let one = |(key, (value, place)): (&&'static str, &(Value, String))| Setting {
            key,
            value: value.to_string(),
            length: if let Value::Text(text) = value { text.chars().count() } else { 0 },
            place: Some(place.clone()).filter(|place| !place.starts_with(DEFAULT)),
        };
        InForce(self.0.iter().map(one).collect())
    }

    pub(super) fn value(&self, path: &str) -> Option<&Value> {
        self.0.get(path).map(|(value, _)| value)
    }

    pub(super) fn text(&self, path: &str) -> String {
        match self.value(path) {
            Some(Value::Text(t)) => t.clone(),
            _ => String::new(),
        }
    }

    pub(super) fn integer(&self, path: &str) -> i64 {
        match self.value(path) {
            Some(Value::Integer(n)) => *n,
            _ => 0,
        }
    }

    pub(super) fn number(&self, path: &str) -> f64 {
        match self.value(path) {
            Some(Value::Number(n)) => *n,
            Some(Value::Integer(n)) => *n as f64,
            _ => 0.0,
        }
    }

    pub(super) fn boolean(&self, path: &str) -> bool {
        matches!(self.value(path), Some(Value::Boolean(true)))
    }

    pub(super) fn texts(&self, path: &str) -> Vec<String> {
        match self.value(path) {
            Some(Value::Array(values)) => values
                .iter()
                .filter_map(|v| if let Value::Text(t) = v { Some(t.clone()) } else { None })
                .collect(),
            _ => Vec::new(),
        }
    }
}

/// Puts layers over each other, the first lowest.
pub(super) fn merge(keys: &[Key], layers: Vec<Layer>, problems: &mut Vec<Problem>) -> Merged {
    let mut builder = config::Config::builder();
    for layer in layers {
        builder = builder.add_source(layer);
    }
    let mut merged = BTreeMap::new();
    match builder.build() {
        Ok(all) => {
            let mut sections = BTreeMap::new();
            for key in keys {
                let (section, name) = key.path.split_once('.').unwrap_or((key.path, ""));
                // Not `get`, which forgets where a value came from; and each table is a copy.
                let table = sections
                    .entry(section)
                    .or_insert_with(|| all.get_table(section).unwrap_or_default());
                if let Some(found) = table.remove(name) {
                    let place = found.origin().unwrap_or_default().to_owned();
                    merged.insert(key.path, (value(found.kind), place));
                }
            }
        }
        Err(error) => problems
            .push(Problem::Unreadable { place: "the layers".to_owned(), words: error.to_string() }),
    }
    Merged(merged)
}

/// The text of the topmost layer that has the key, and where it was written.
pub(super) fn topmost<'a>(
    layers: impl DoubleEndedIterator<Item = &'a Layer>,
    path: &str,
) -> (String, String) {
    let text = |(value, place): &(Value, String)| match value {
        Value::Text(text) => Some((text.clone(), place.clone())),
        Value::Integer(_) | Value::Number(_) | Value::Boolean(_) => None,
        Value::Array(_) | Value::Other(_) => None,
    };
    layers.rev().find_map(|layer| layer.0.get(path)).and_then(text).unwrap_or_default()
}

/// The defaults as the lowest layer.
pub(super) fn defaults(keys: &[Key], problems: &mut Vec<Problem>) -> Layer {
    let lines: Vec<_> = keys.iter().map(|key| format!("{} = {}", key.path, key.default)).collect();
    document(keys, &lines.join("\n"), DEFAULT, problems)
}

/// The system's file, or the one that was asked for, and then those in `conf.d` beside it.
pub(super) fn files(sources: &Sources, problems: &mut Vec<Problem>) -> Vec<Layer> {
    let (file, required) = match &sources.file {
        Some(file) => (file, true),
        None => (&sources.system_file, false),
    };
    let mut paths = vec![(file.clone(), required)];
    if let Some(folder) = file.parent() {
        let mut more = directory(&folder.join("conf.d"), problems);
        more.retain(|p| p.extension().is_some_and(|e| e == "toml") && !hidden(p));
        more.sort();
        paths.extend(more.into_iter().map(|p| (p, true)));
    }
    let mut layers = Vec::new();
    for (path, required) in paths {
        match read(&path) {
            Ok(text) => {
                layers.push(document(keys::KEYS, &text, &path.display().to_string(), problems));
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !required => {}
            Err(error) => problems.push(Problem::Unreadable {
                place: path.display().to_string(),
                words: error.to_string(),
            }),
        }
    }
    layers
}

fn hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'))
}

/// What lies in a folder; nothing when there is none.
fn directory(folder: &Path, problems: &mut Vec<Problem>) -> Vec<PathBuf> {
    match std::fs::read_dir(folder) {
        Ok(entries) => entries.filter_map(|e| e.ok().map(|e| e.path())).collect(),
        Err(error) => {
            if error.kind() != std::io::ErrorKind::NotFound {
                problems.push(Problem::Unreadable {
                    place: folder.display().to_string(),
                    words: error.to_string(),
                });
            }
            Vec::new()
        }
    }
}

/// A text file of bounded length.
fn read(path: &Path) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(std::io::Error::other("larger than 1 MiB: not a configuration file"));
    }
    String::from_utf8(bytes).map_err(|_| std::io::Error::other("not UTF-8 text"))
}

/// The environment's layer.
pub(super) fn environment(sources: &Sources, problems: &mut Vec<Problem>) -> Layer {
    let mut layer = Layer::default();
    for (name, text) in &sources.env {
        let Some(rest) = name.strip_prefix(PREFIX) else { continue };
        let path = rest.to_ascii_lowercase().replacen(SEPARATOR, ".", 1);
        let place = format!("environment {name}");
        put(&mut layer, keys::KEYS, &path, scalar(text), place, problems);
    }
    layer
}

/// The layer of `--set`.
pub(super) fn sets(sources: &Sources, problems: &mut Vec<Problem>) -> Layer {
    let mut layer = Layer::default();
    for set in &sources.sets {
        match set.split_once('=') {
            Some((path, text)) => {
                let path = path.trim();
                let place = format!("--set {path}");
                put(&mut layer, keys::KEYS, path, scalar(text), place, problems);
            }
            None => problems.push(Problem::NoValue { written: set.clone() }),
        }
    }
    layer
}

/// TOML where it is a number, a boolean or an array, else the text itself.
fn scalar(text: &str) -> Value {
    match DeValue::parse(text.trim()).map(|spanned| from_toml(spanned.get_ref())) {
        Ok(
            value @ (Value::Integer(_) | Value::Number(_) | Value::Boolean(_) | Value::Array(_)),
        ) => value,
        Ok(Value::Text(_) | Value::Other(_)) | Err(_) => Value::Text(text.to_owned()),
    }
}

/// A TOML document as a layer.
pub(super) fn document(
    keys: &[Key],
    text: &str,
    place: &str,
    problems: &mut Vec<Problem>,
) -> Layer {
    let mut layer = Layer::default();
    let table = match DeTable::parse(text) {
        Ok(table) => table,
        Err(error) => {
            let line = error.span().map_or_else(String::new, |s| line(text, s.start));
            problems.push(Problem::Syntax {
                place: format!("{place}{line}"),
                words: error.message().replace('\n', "; "),
            });
            return layer;
        }
    };
    for (section, content) in table.get_ref() {
        let here = |at: usize| format!("{place}{}", line(text, at));
        let section = section.get_ref().as_ref();
        let Some(inner) = content.get_ref().as_table() else {
            let place = here(content.span().start);
            put(&mut layer, keys, section, from_toml(content.get_ref()), place, problems);
            continue;
        };
        for (name, found) in inner {
            let path = format!("{section}.{}", name.get_ref());
            let place = here(name.span().start);
            put(&mut layer, keys, &path, from_toml(found.get_ref()), place, problems);
        }
    }
    layer
}

/// Where in a file: `, line 3`.
fn line(text: &str, at: usize) -> String {
    let before = text.as_bytes().get(..at).unwrap_or_default();
    format!(", line {}", 1 + before.iter().filter(|b| **b == b'\n').count())
}

/// Adds a value when there is such a key and it takes it; a problem otherwise.
pub(super) fn put(
    layer: &mut Layer,
    keys: &[Key],
    path: &str,
    value: Value,
    place: String,
    problems: &mut Vec<Problem>,
) {
    let Some(key) = keys::find(keys, path) else {
        let advice = keys::advice(keys, path);
        problems.push(Problem::Unknown { place, key: path.escape_debug().to_string(), advice });
        return;
    };
    if key.kind.takes(&value) {
        layer.0.insert(path.to_owned(), (value, place));
    } else {
        problems.push(Problem::Refused {
            place,
            key: path.to_owned(),
            value: value.to_string(),
            allowed: key.kind.allowed(),
        });
    }
}

fn from_toml(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(digits) => i64::from_str_radix(digits.as_str(), digits.radix())
            .map_or(Value::Other("a number beyond 64 bits"), Value::Integer),
        DeValue::Float(digits) => {
            digits.as_str().parse().map_or(Value::Other("not a number"), Value::Number)
        }
        DeValue::Boolean(b) => Value::Boolean(*b),
        DeValue::Datetime(_) => Value::Other("a date or time"),
        DeValue::Array(values) => {
            Value::Array(values.iter().map(|v| from_toml(v.get_ref())).collect())
        }
        DeValue::Table(_) => Value::Other("a table"),
    }
}

fn kind(value: &Value) -> ValueKind {
    match value {
        Value::Text(t) => ValueKind::String(t.clone()),
        Value::Integer(n) => ValueKind::I64(*n),
        Value::Number(n) => ValueKind::Float(*n),
        Value::Boolean(b) => ValueKind::Boolean(*b),
        Value::Array(values) => {
            ValueKind::Array(values.iter().map(|v| config::Value::new(None, kind(v))).collect())
        }
        Value::Other(_) => ValueKind::Nil,
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "kinds that no layer of ours makes")]
fn value(kind: ValueKind) -> Value {
    match kind {
        ValueKind::String(t) => Value::Text(t),
        ValueKind::I64(n) => Value::Integer(n),
        ValueKind::Float(n) => Value::Number(n),
        ValueKind::Boolean(b) => Value::Boolean(b),
        ValueKind::Array(values) => {
            Value::Array(values.into_iter().map(|v| value(v.kind)).collect())
        }
        _ => Value::Other("nothing"),
    }
}

/// A board profile as two layers: what it sets of the configuration, and its pins.
pub(super) fn board(text: &str, place: &str, problems: &mut Vec<Problem>) -> (Layer, Layer) {
    let all = [keys::KEYS, keys::PROFILE_KEYS].concat();
    let (mut settings, mut pins) = (Layer::default(), Layer::default());
    for (path, (value, place)) in document(&all, text, place, problems).0 {
        let section = path.split('.').next().unwrap_or_default();
        if keys::find(keys::PROFILE_KEYS, &path).is_some() {
            pins.0.insert(path, (value, place));
        } else if keys::PROFILE_SECTIONS.contains(&section) {
            settings.0.insert(path, (value, place));
        } else {
            let allowed = [keys::PROFILE_SECTIONS, &keys::sections(keys::PROFILE_KEYS)].concat();
            let allowed = format!("only what follows from hardware: {}", allowed.join(", "));
            problems.push(Problem::NotForProfile { place, key: path, allowed });
        }
    }
    (settings, pins)
}

/// The profile's text with the path it was read from; `None` for the default one where no board
/// folder has it, because it says nothing that the defaults do not.
pub(super) fn profile(
    sources: &Sources,
    name: &str,
    place: &str,
    problems: &mut Vec<Problem>,
) -> Option<(String, String)> {
    for folder in &sources.board_dirs {
        let path = folder.join(name).join("profile.toml");
        // A working directory may be anything: what is no readable folder there has no boards.
        if !path.is_file() {
            continue;
        }
        return match read(&path) {
            Ok(text) => Some((text, path.display().to_string())),
            Err(error) => {
                problems.push(Problem::Unreadable {
                    place: path.display().to_string(),
                    words: error.to_string(),
                });
                None
            }
        };
    }
    let default = keys::find(keys::KEYS, "board.profile").map(|key| key.default.trim_matches('"'));
    if default != Some(name) {
        let mut known: Vec<String> = sources
            .board_dirs
            .iter()
            .filter(|folder| folder.is_dir())
            .flat_map(|folder| directory(folder, problems))
            .filter(|path| path.join("profile.toml").is_file())
            .filter_map(|path| path.file_name().map(|n| n.to_string_lossy().into_owned()))
            .collect();
        known.sort();
        known.dedup();
        let there_are = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        problems.push(Problem::NoProfile {
            place: place.to_owned(),
            name: name.to_owned(),
            there_are,
        });
    }
    None
}
