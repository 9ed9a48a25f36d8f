//! The configuration of one connection: merged from `session.update`, checked, and shown again.

use super::sound::{Format, RATES};
use super::tools::Function;
use super::wire::Refusal;
use serde_json::{Map, Value, json};

/// Silence that ends a turn where the session names none; the service publishes no default.
const SILENCE_MS: u64 = 500;
/// Documented default of `prefix_padding_ms`.
const PREFIX_MS: u64 = 333;
/// Documented default of `threshold`.
const THRESHOLD: f64 = 0.85;
/// What the alias `grok-voice-latest` stands for.
const LATEST: &str = "grok-voice-think-fast-2.0";
/// Names of the service's own tools: a function of the same name breaks the first reply.
const TAKEN: &[(&str, &str)] = &[
    ("web_search", "web_search"),
    ("web_search", "browse_page"),
    ("x_search", "x_keyword_search"),
    ("x_search", "x_semantic_search"),
    ("x_search", "x_user_search"),
    ("x_search", "x_thread_fetch"),
    ("file_search", "collections_search"),
    ("file_search", "file_search"),
];

/// Server turn detection.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Detection {
    /// 0.1..0.9, higher needs louder speech.
    pub(crate) threshold: f64,
    pub(crate) silence_ms: u64,
    pub(crate) prefix_ms: u64,
    pub(crate) idle_ms: Option<u64>,
    /// `create_response` is true.
    pub(crate) answers: bool,
}

impl Default for Detection {
    fn default() -> Self {
        Self {
            threshold: THRESHOLD,
            silence_ms: SILENCE_MS,
            prefix_ms: PREFIX_MS,
            idle_ms: None,
            answers: false,
        }
    }
}

/// What a session is set to.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub(crate) id: String,
    pub(crate) model: String,
    pub(crate) detection: Option<Detection>,
    pub(crate) input: Format,
    pub(crate) output: Format,
    pub(crate) binary_output: bool,
    /// Live captions were asked for.
    pub(crate) captions: bool,
    pub(crate) tools: Vec<Value>,
    pub(crate) functions: Vec<Function>,
    pub(crate) resumption: bool,
    documented: bool,
    /// Fields that only come back: instructions, voice, replace and their like.
    echo: Map<String, Value>,
    transcription: Value,
    input_transport: String,
}

/// What was noticed about an accepted update.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Notes {
    /// Voice and turn detection both stood at the top level.
    pub(crate) full: bool,
    /// Something stood only where OpenAI has it.
    pub(crate) nested: bool,
}

/// The model a name stands for.
pub(crate) fn resolve(model: Option<&str>) -> String {
    match model {
        None | Some("" | "grok-voice-latest") => LATEST.to_owned(),
        Some(name) => name.to_owned(),
    }
}

impl Session {
    /// A session with the service's defaults: recorded, or documented.
    pub(crate) fn new(id: String, model: Option<&str>, documented: bool) -> Self {
        let named = if documented {
            model.unwrap_or("grok-voice-latest").to_owned()
        } else {
            resolve(model)
        };
        Self {
            id,
            model: named,
            detection: documented.then(Detection::default),
            input: Format::Pcm(24_000),
            output: Format::Pcm(24_000),
            binary_output: false,
            captions: false,
            tools: Vec::new(),
            functions: Vec::new(),
            resumption: false,
            documented,
            echo: Map::new(),
            transcription: Value::Null,
            input_transport: "json".to_owned(),
        }
    }

    /// The session of `session.created`: defaults.
    pub(crate) fn created(&self) -> Value {
        if self.documented {
            return json!({ "id": self.id, "object": "realtime.session", "model": self.model });
        }
        json!({
            "id": self.id, "object": "realtime.session", "instructions": "", "voice": "xai_ara",
            "modalities": ["audio"], "turn_detection": { "type": null }, "tools": [],
            "model": self.model,
        })
    }

    /// The session of `session.updated`: on the wire a normalised dump, not an echo (Q18).
    pub(crate) fn dump(&self) -> Value {
        let mut dump = Value::Object(self.echo.clone());
        dump["model"] = self.model.as_str().into();
        dump["tools"] = self.tools.clone().into();
        if dump.get("turn_detection").is_none() {
            let kind = if self.detection.is_some() { json!("server_vad") } else { Value::Null };
            dump["turn_detection"] = json!({ "type": kind });
        }
        if self.documented {
            dump["id"] = self.id.as_str().into();
            dump["object"] = "realtime.session".into();
            return dump;
        }
        for (name, value) in [
            ("enable_noise_suppression", json!(false)),
            ("keep_context", json!(false)),
            ("enable_phonetic_spelling", json!(false)),
            ("is_kids_mode", json!(false)),
            ("input_audio_transcription", self.transcription.clone()),
            ("modalities", json!(["audio"])),
            ("input_audio_format", json!("not specified")),
            ("output_audio_format", json!("not specified")),
            ("tool_choice", json!("auto")),
            ("temperature", json!(-1.0)),
            ("max_response_output_tokens", json!("inf")),
            ("audio", self.audio()),
        ] {
            dump[name] = value;
        }
        if dump.get("instructions").is_none() {
            dump["instructions"] = "".into();
        }
        dump
    }

    fn audio(&self) -> Value {
        let side = |format: Format, transport: &str| json!({ "format": shown(format), "transport": transport });
        let mut input = side(self.input, &self.input_transport);
        if !self.transcription.is_null() {
            input["transcription"] = self.transcription.clone();
        }
        let output = side(self.output, if self.binary_output { "binary" } else { "json" });
        json!({ "input": input, "output": output })
    }

    /// Merges `patch`; on a refusal nothing has changed.
    pub(crate) fn update(&mut self, patch: &Value) -> Result<Notes, Refusal> {
        let Some(patch) = patch.as_object() else {
            return Err(wrong("session.update needs an object `session`"));
        };
        let mut next = self.clone();
        let audio = patch.get("audio").unwrap_or(&Value::Null);
        let mut notes = Notes {
            full: patch.contains_key("voice") && patch.contains_key("turn_detection"),
            nested: false,
        };
        // The sources disagree whether OpenAI's places count; they do here where nothing stands
        // at the top, since some clients send no others. The documents know only the top.
        let nested = audio.pointer("/input/turn_detection").filter(|_| !self.documented);
        match (patch.get("turn_detection"), nested) {
            (Some(value), _) => next.detect(value)?,
            (None, Some(value)) => {
                notes.nested = true;
                next.detect(value)?;
            }
            (None, None) => {}
        }
        next.take_audio(audio)?;
        if let Some(tools) = patch.get("tools") {
            next.take_tools(tools)?;
        }
        if let Some(enabled) = patch.get("resumption").and_then(|r| r.get("enabled")) {
            next.resumption = enabled.as_bool().unwrap_or(false);
        }
        let voice = audio.pointer("/output/voice").filter(|_| !self.documented);
        if let (None, Some(voice)) = (patch.get("voice"), voice) {
            notes.nested = true;
            next.echo.insert("voice".to_owned(), voice.clone());
        }
        next.take_rest(patch)?;
        *self = next;
        Ok(notes)
    }

    fn take_rest(&mut self, patch: &Map<String, Value>) -> Result<(), Refusal> {
        for name in ["instructions", "voice"] {
            if let Some(value) = patch.get(name)
                && !matches!(value, Value::String(_) | Value::Null)
            {
                return Err(wrong(format!("session.{name} must be a string")));
            }
        }
        for name in ["instructions", "voice", "reasoning", "replace", "resumption", "tool_choice"] {
            match patch.get(name) {
                Some(Value::Null) => {
                    self.echo.remove(name);
                }
                Some(value) => {
                    self.echo.insert(name.to_owned(), value.clone());
                }
                None => {}
            }
        }
        Ok(())
    }

    fn detect(&mut self, value: &Value) -> Result<(), Refusal> {
        let kind = value.get("type").and_then(Value::as_str);
        if value.is_null() || value.as_object().is_some_and(|_| kind.is_none()) {
            self.detection = None;
            self.echo.insert("turn_detection".to_owned(), json!({ "type": null }));
            return Ok(());
        }
        if kind != Some("server_vad") {
            return Err(wrong(format!(
                "session.turn_detection.type must be server_vad or null, not {}",
                value["type"]
            )));
        }
        let number = |name: &str, low: f64, high: f64| match value.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(given) => match given.as_f64() {
                Some(n) if (low..=high).contains(&n) => Ok(Some(n)),
                Some(_) | None => Err(wrong(format!(
                    "session.turn_detection.{name} must be between {low} and {high}, not {given}"
                ))),
            },
        };
        // An upper bound of its own: an hour without a word needs no check-in.
        let idle = number("idle_timeout_ms", 0.0, 3_600_000.0)?;
        self.detection = Some(Detection {
            threshold: number("threshold", 0.1, 0.9)?.unwrap_or(THRESHOLD),
            silence_ms: number("silence_duration_ms", 0.0, 10_000.0)?.map_or(SILENCE_MS, whole),
            prefix_ms: number("prefix_padding_ms", 0.0, 10_000.0)?.map_or(PREFIX_MS, whole),
            idle_ms: idle.filter(|ms| *ms > 0.0).map(whole),
            answers: value["create_response"] == true,
        });
        self.echo.insert("turn_detection".to_owned(), value.clone());
        Ok(())
    }

    fn take_audio(&mut self, audio: &Value) -> Result<(), Refusal> {
        if let Some(given) = audio.pointer("/input/format") {
            self.input = format(given, "input")?;
        }
        if let Some(given) = audio.pointer("/output/format") {
            self.output = format(given, "output")?;
        }
        if let Some(given) = audio.pointer("/input/transport") {
            transport(given)?.clone_into(&mut self.input_transport);
        }
        if let Some(given) = audio.pointer("/output/transport") {
            self.binary_output = transport(given)? == "binary";
        }
        if let Some(speed) = audio.pointer("/output/speed").and_then(Value::as_f64)
            && !(0.7..=1.5).contains(&speed)
        {
            return Err(wrong("session.audio.output.speed must be between 0.7 and 1.5"));
        }
        if let Some(given) = audio.pointer("/input/transcription") {
            let terms = given.get("keyterms").and_then(Value::as_array);
            if terms.is_some_and(|terms| terms.len() > 100) {
                return Err(wrong("session.audio.input.transcription.keyterms: at most 100"));
            }
            self.transcription = given.clone();
            self.captions = given.get("model").and_then(Value::as_str) == Some("grok-transcribe");
        }
        Ok(())
    }

    fn take_tools(&mut self, tools: &Value) -> Result<(), Refusal> {
        let list = match tools {
            Value::Null => &Vec::new(),
            Value::Array(list) => list,
            Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
                return Err(wrong("session.tools must be an array"));
            }
        };
        (self.tools, self.functions) = (Vec::new(), Vec::new());
        for (n, tool) in list.iter().enumerate() {
            match tool.get("type").and_then(Value::as_str) {
                Some("function") => {
                    let body = tool.get("function").unwrap_or(tool);
                    let Some(name) = body.get("name").and_then(Value::as_str) else {
                        return Err(wrong(format!("session.tools[{n}] needs a name")));
                    };
                    let parameters = body.get("parameters").cloned().unwrap_or(Value::Null);
                    self.functions.push(Function { name: name.to_owned(), parameters });
                    let mut body = body.clone();
                    if let Some(body) = body.as_object_mut() {
                        body.remove("type");
                    }
                    self.tools.push(json!({ "type": "function", "function": body }));
                }
                Some("web_search" | "x_search" | "file_search" | "mcp") => {
                    self.tools.push(tool.clone());
                }
                Some(_) | None => {
                    return Err(wrong(format!(
                        "session.tools[{n}].type must be function, web_search, x_search, file_search or mcp, not {}",
                        tool["type"]
                    )));
                }
            }
        }
        Ok(())
    }

    /// Whether one of the service's own tools is switched on.
    pub(crate) fn offers(&self, tool: &str) -> bool {
        self.tools.iter().any(|t| t["type"] == tool)
    }

    /// Whether a declared function has the name of an enabled tool of the service.
    pub(crate) fn collides(&self) -> bool {
        TAKEN
            .iter()
            .any(|(tool, name)| self.offers(tool) && self.functions.iter().any(|f| f.name == *name))
    }
}

fn whole(value: f64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked to be a small positive number before"
    )]
    {
        value as u64
    }
}

fn wrong(words: impl Into<String>) -> Refusal {
    Refusal::request("invalid_value", words)
}

fn transport(given: &Value) -> Result<&str, Refusal> {
    match given.as_str() {
        Some(name @ ("json" | "binary")) => Ok(name),
        Some(_) | None => Err(wrong(format!("transport must be json or binary, not {given}"))),
    }
}

fn shown(format: Format) -> Value {
    match format {
        Format::Pcm(rate) => json!({ "type": "audio/pcm", "rate": rate }),
        Format::Ulaw => json!({ "type": "audio/pcmu" }),
        Format::Alaw => json!({ "type": "audio/pcma" }),
    }
}

fn format(given: &Value, side: &str) -> Result<Format, Refusal> {
    let unsupported = |words: String| Refusal::request("invalid_audio_format", words);
    match given.get("type").and_then(Value::as_str) {
        Some("audio/pcmu") => Ok(Format::Ulaw),
        Some("audio/pcma") => Ok(Format::Alaw),
        Some("audio/pcm") => {
            let rate = match given.get("rate") {
                None | Some(Value::Null) => Some(24_000),
                Some(rate) => rate.as_u64().and_then(|r| u32::try_from(r).ok()),
            };
            match rate.filter(|rate| RATES.contains(rate)) {
                Some(rate) => Ok(Format::Pcm(rate)),
                None => Err(unsupported(format!(
                    "session.audio.{side}.format.rate {} is not supported. Use one of {RATES:?}.",
                    given["rate"]
                ))),
            }
        }
        Some(_) | None => Err(unsupported(
            "Audio format not supported. Use audio/pcm, audio/pcmu, or audio/pcma.".to_owned(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session() -> Session {
        Session::new("s".to_owned(), Some("grok-voice-latest"), false)
    }

    #[test]
    fn only_the_fields_present_change() {
        let mut s = session();
        let first = json!({
            "voice": "eve", "turn_detection": { "type": "server_vad", "silence_duration_ms": 300 },
            "audio": { "input": { "format": { "type": "audio/pcm", "rate": 16000 } } },
            "tools": [{ "type": "function", "name": "get_weather", "parameters": {} }],
        });
        assert_eq!(s.update(&first), Ok(Notes { full: true, nested: false }));
        s.update(&json!({ "instructions": "short" })).unwrap();
        assert_eq!(s.input, Format::Pcm(16_000));
        assert_eq!(s.output, Format::Pcm(24_000));
        assert_eq!(s.detection.unwrap().silence_ms, 300);
        let dump = s.dump();
        assert_eq!(dump["tools"][0]["function"]["name"], "get_weather");
        assert_eq!(dump["audio"]["input"]["format"]["rate"], 16_000);
        assert_eq!(dump["model"], "grok-voice-think-fast-2.0");
        s.update(&json!({ "turn_detection": { "type": null } })).unwrap();
        assert_eq!(s.detection, None);
        s.update(&json!({ "turn_detection": null })).unwrap();
        assert_eq!(s.detection, None);
    }

    #[test]
    fn a_refused_update_changes_nothing() {
        let mut s = session();
        for (patch, words) in [
            (
                json!({ "audio": { "input": { "format": { "type": "audio/pcm", "rate": 12345 } } } }),
                "12345",
            ),
            (
                json!({ "audio": { "output": { "format": { "type": "audio/opus" } } } }),
                "audio/pcma",
            ),
            (json!({ "tools": [{ "type": "magic" }] }), "magic"),
            (json!({ "tools": [{ "type": "function" }] }), "name"),
            (json!({ "turn_detection": { "type": "semantic_vad" } }), "semantic_vad"),
            (json!({ "turn_detection": { "type": "server_vad", "threshold": 3 } }), "threshold"),
            (json!([]), "object"),
        ] {
            let mut patch = patch;
            if let Some(map) = patch.as_object_mut() {
                map.insert("instructions".to_owned(), "changed".into());
            }
            let refusal = s.update(&patch).unwrap_err();
            assert!(refusal.message.contains(words), "{refusal:?}");
            assert_eq!(s.dump()["instructions"], "");
        }
    }

    #[test]
    fn nested_places_count_only_as_recorded() {
        let patch = json!({ "audio": { "input": { "turn_detection": { "type": "server_vad" } } } });
        let mut s = session();
        assert!(s.update(&patch).unwrap().nested && s.detection.is_some());
        let mut s = Session::new(String::new(), None, true);
        s.update(&json!({ "turn_detection": null })).unwrap();
        s.update(&patch).unwrap();
        assert_eq!(s.detection, None);
    }

    #[test]
    fn functions_may_not_be_called_like_enabled_tools() {
        let mut s = session();
        let both = json!([{ "type": "web_search" }, { "type": "function", "function": { "name": "web_search" } }]);
        s.update(&json!({ "tools": both })).unwrap();
        assert!(s.collides() && s.functions.len() == 1);
        s.update(&json!({ "tools": [both[1]] })).unwrap();
        assert!(!s.collides());
    }
}
