//! What a reply says and when each of its events is due: the flows 5.1 and 5.5 of the reference.

use super::desk::{Heard, Line, Role};
use super::fault::Mood;
use super::queue::{Delta, Done, What};
use super::session::Session;
use super::sound::{Sound, chime, frames, millis, speak};
use super::tools::{Call, calls};
use super::wire::{Pen, Refusal, item};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// From `response.created` to the first item (recorded).
const TO_ITEM: Duration = Duration::from_millis(340);
/// From `response.created` to the first audio (recorded: 0.5 to 0.9 s).
const TO_AUDIO: Duration = Duration::from_millis(650);
/// Audio comes this many times faster than it plays (recorded: 4 to 6).
const FASTER: u32 = 4;
/// Lengths of the pieces in ms (recorded).
const PIECES: [u64; 4] = [245, 640, 580, 150];
/// A typed turn's reply lasts at least this long.
const SHORTEST_MS: u64 = 1200;
/// A long story.
const LONG_MS: u64 = 20_000;
/// Words in one transcript delta.
const PHRASE: usize = 6;
const STORY: &str = "Once upon a time there was a small house at the edge of a wood, and in it lived a clock that told every hour a story. ";

/// What is being answered.
#[derive(Debug, Clone)]
pub(crate) enum Prompt {
    /// The user spoke.
    Spoken(String, Heard),
    /// The user typed.
    Typed(String),
    /// Functions have returned.
    Outputs(Vec<String>),
    /// A line to be said as it is.
    Verbatim(String),
    /// Nobody has said anything for a while.
    CheckIn,
    /// A reply was asked for, but there is nothing new.
    Nothing,
}

/// What a reply consists of.
#[derive(Debug, Default)]
struct Script {
    text: String,
    /// Samples at the output rate.
    sound: Arc<Sound>,
    calls: Vec<Call>,
    fails: bool,
    silent: bool,
    own_call: bool,
}

fn spoken(text: String, rate: u32, least_ms: u64) -> Script {
    let mut sound = chime(rate);
    sound.extend(speak(&text, rate));
    let least = frames(least_ms, rate);
    if sound.len() < least {
        sound.resize(least, 0);
    }
    Script { text, sound: Arc::new(Sound::made(sound)), ..Script::default() }
}

fn story(rate: u32) -> Script {
    let (mut sound, mut text) = (chime(rate), String::new());
    while sound.len() < frames(LONG_MS, rate) {
        sound.extend(speak(STORY, rate));
        text.push_str(STORY);
    }
    sound.truncate(frames(LONG_MS, rate));
    text.truncate(text.trim_end().len());
    Script { text, sound: Arc::new(Sound::made(sound)), ..Script::default() }
}

/// Section 6 of the contract, for what a user said or typed.
fn answer(text: &str, heard: Option<&Heard>, session: &Session) -> Script {
    let rate = session.output.rate();
    let lower = text.to_lowercase();
    let calls = calls(text, &session.functions);
    if !calls.is_empty() {
        return Script { calls, ..spoken("One moment.".to_owned(), rate, 0) };
    }
    if lower.contains("long story") {
        return story(rate);
    }
    if lower.contains("say nothing") {
        return Script { silent: true, ..Script::default() };
    }
    if lower.contains("fail please") {
        let script = spoken("I shall try, but this will not end well.".to_owned(), rate, 2000);
        return Script { fails: true, ..script };
    }
    let own_call =
        lower.contains("search") && ["web_search", "x_search"].iter().any(|t| session.offers(t));
    let Some(heard) = heard else {
        return Script { own_call, ..spoken(format!("You wrote: {text}"), rate, SHORTEST_MS) };
    };
    let from = heard.format.rate();
    let sound = Arc::new(Sound::said_back(chime(rate), heard.samples.clone(), from, rate));
    Script { text: format!("You said: {text}"), sound, own_call, ..Script::default() }
}

fn script(prompt: &Prompt, session: &Session) -> Script {
    let rate = session.output.rate();
    match prompt {
        Prompt::Spoken(text, heard) => answer(text, Some(heard), session),
        Prompt::Typed(text) => answer(text, None, session),
        Prompt::Outputs(outputs) => {
            spoken(format!("Here is what came back: {}", outputs.join(" and ")), rate, SHORTEST_MS)
        }
        Prompt::Verbatim(text) => spoken(text.clone(), rate, SHORTEST_MS),
        Prompt::CheckIn => spoken("Are you still there?".to_owned(), rate, SHORTEST_MS),
        Prompt::Nothing => spoken("Hello, how can I help?".to_owned(), rate, SHORTEST_MS),
    }
}

/// A reply laid out in time, counted from its `response.created`.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) steps: Vec<(Duration, What)>,
    pub(crate) lines: Vec<Line>,
    pub(crate) first_audio: Duration,
    pub(crate) audio_ms: u64,
}

impl Plan {
    /// What the reply sounds like.
    pub(crate) fn sound(&self) -> Option<Arc<Sound>> {
        self.steps.iter().find_map(|(_, what)| match what {
            What::Delta(delta) => Some(delta.sound.clone()),
            What::Event(_) | What::Done(_) | What::Deed(_) => None,
        })
    }
}

/// Everything a plan needs to know.
pub(crate) struct Setting<'a> {
    pub(crate) pen: &'a mut Pen,
    pub(crate) session: &'a Session,
    pub(crate) mood: &'a Mood,
    pub(crate) delays: bool,
    pub(crate) response: &'a str,
    pub(crate) meta: &'a Value,
}

struct Layout<'a> {
    set: Setting<'a>,
    steps: Vec<(Duration, What)>,
    output: Vec<Value>,
    lines: Vec<Line>,
    at: Duration,
    index: u64,
}

/// Lays out the reply to `prompt`.
pub(crate) fn plan(prompt: &Prompt, set: Setting<'_>) -> Plan {
    let mut script = script(prompt, set.session);
    script.fails |= set.mood.error_mid_reply && !script.silent;
    script.own_call |= set.mood.unknown_events || set.mood.own_calls;
    let at = if set.delays { TO_ITEM } else { Duration::ZERO };
    let mut first_audio = if set.delays { TO_AUDIO } else { Duration::ZERO };
    first_audio += set.mood.slow_audio;
    let audio_ms = millis(script.sound.len() as u64, set.session.output.rate());
    let mut layout =
        Layout { set, steps: Vec::new(), output: Vec::new(), lines: Vec::new(), at, index: 0 };
    if script.own_call {
        layout.own_call();
    }
    layout.message(&script, first_audio);
    if !script.fails {
        let batch = layout.set.pen.uuid();
        for (n, call) in script.calls.iter().enumerate() {
            layout.call(call, &format!("call-{batch}-{n}"), true);
        }
    }
    let status = if script.fails { "failed" } else { "completed" };
    let done = Done {
        response: layout.set.response.to_owned(),
        status,
        output: Value::Array(layout.output),
        meta: layout.set.meta.clone(),
    };
    layout.steps.push((layout.at, What::Done(done)));
    Plan { steps: layout.steps, lines: layout.lines, first_audio, audio_ms }
}

impl Layout<'_> {
    fn event(&mut self, kind: &str, fields: Value) {
        let event = self.set.pen.event(kind, fields);
        self.steps.push((self.at, What::Event(event)));
    }

    /// The output index: always 0 on the wire.
    const fn place(&self) -> u64 {
        if self.set.pen.documented { self.index } else { 0 }
    }

    /// An event about an item as a whole.
    fn about_item(&mut self, kind: &str, fields: Value) {
        let item = item(self.set.pen, fields, false);
        let (response, index) = (self.set.response.to_owned(), self.place());
        self.event(kind, json!({ "item": item, "response_id": response, "output_index": index }));
    }

    /// An event about the content of a message.
    fn about_part(&mut self, kind: &str, id: &str, mut fields: Value) {
        fields["item_id"] = id.into();
        fields["response_id"] = self.set.response.into();
        fields["content_index"] = 0.into();
        fields["output_index"] = self.place().into();
        self.event(kind, fields);
    }

    fn message(&mut self, script: &Script, first_audio: Duration) {
        let id = self.set.pen.id("msg");
        let base = json!({ "id": id, "type": "message", "role": "assistant" });
        let documented = self.set.pen.documented;
        let with = |status: &str, content: Option<Value>| {
            let mut fields = base.clone();
            fields["status"] = status.into();
            if let Some(content) = content {
                fields["content"] = content;
            }
            fields
        };
        let empty = documented.then(|| json!([]));
        self.about_item("response.output_item.added", with("in_progress", empty));
        let added = item(self.set.pen, with("in_progress", Some(json!([]))), false);
        self.event("conversation.item.added", json!({ "item": added }));
        let status = if script.fails { "incomplete" } else { "completed" };
        let content = if script.silent {
            json!([])
        } else {
            self.content(&id, script, first_audio);
            json!([{ "type": "audio", "transcript": script.text }])
        };
        if !script.fails {
            let shown = documented.then(|| content.clone());
            self.about_item("response.output_item.done", with(status, shown));
        }
        let line = Line {
            phrases: timed(script, self.set.session.output.rate()),
            ..Line::new(id, Role::Assistant, script.text.clone())
        };
        self.lines.push(line);
        self.output.push(item(self.set.pen, with(status, Some(content)), false));
        self.index += 1;
    }

    fn content(&mut self, id: &str, script: &Script, first_audio: Duration) {
        let mut part = json!({ "part": { "type": "audio", "transcript": "" } });
        if !self.set.pen.documented {
            part["previous_item_id"] = "0".into();
        }
        self.about_part("response.content_part.added", id, part);
        self.at = first_audio.max(self.at);
        let silent = self.set.mood.no_audio;
        let end = self.stream(id, script, !silent);
        self.at = end;
        if script.fails {
            let refusal = Refusal::plain("server_error", "The reply could not be completed");
            let event = self.set.pen.error(&refusal, None);
            self.steps.push((self.at, What::Event(event)));
            return;
        }
        let text = json!({ "transcript": script.text });
        let mut closings = vec![("response.output_audio_transcript.done", text)];
        let mut part = json!({});
        if self.set.pen.documented {
            part["part"] = json!({ "type": "audio", "transcript": script.text });
        }
        let audio = ("response.output_audio.done", json!({}));
        if self.set.pen.documented {
            closings.insert(0, audio);
            closings.push(("response.content_part.done", part));
        } else {
            closings.push(("response.content_part.done", part));
            closings.push(audio);
        }
        for (kind, fields) in closings {
            if !(silent && kind == "response.output_audio.done") {
                self.about_part(kind, id, fields);
            }
        }
    }

    /// The deltas of audio and text; says when they end. A reply that fails ends half way.
    fn stream(&mut self, id: &str, script: &Script, audible: bool) -> Duration {
        let rate = self.set.session.output.rate();
        let phrases: Vec<_> = timed(script, rate)
            .into_iter()
            .map(|(ms, text)| (ms, text, self.set.pen.id("event")))
            .collect();
        let sound = script.sound.clone();
        let bytes = sound.len() * self.set.session.output.width();
        let cuts = cuts(bytes, self.set.session, self.set.mood);
        let (begin, mut said, mut from) = (self.at, 0, 0);
        for (n, to) in cuts.iter().copied().enumerate() {
            let at_ms = millis((from / self.set.session.output.width()) as u64, rate);
            if script.fails && at_ms * 2 > millis(script.sound.len() as u64, rate) {
                break;
            }
            self.at = begin + Duration::from_millis(at_ms) / FASTER;
            if audible {
                let spoken = phrases.iter().rev().find(|p| p.0 <= at_ms).or(phrases.first());
                self.steps.push((
                    self.at,
                    What::Delta(Delta {
                        response: self.set.response.to_owned(),
                        item: id.to_owned(),
                        rid: spoken.map(|p| p.2.clone()).unwrap_or_default(),
                        index: self.place(),
                        first: n == 0,
                        sound: sound.clone(),
                        range: from..to,
                        format: self.set.session.output,
                        binary: self.set.session.binary_output,
                    }),
                ));
            }
            let end_ms = millis((to / self.set.session.output.width()) as u64, rate);
            while let Some((ms, text, event_id)) = phrases.get(said).filter(|p| p.0 < end_ms) {
                #[expect(clippy::cast_precision_loss, reason = "seconds of a reply")]
                let start = *ms as f64 / 1000.0;
                let fields = json!({ "event_id": event_id, "rid": event_id, "delta": text, "start_time": start });
                self.about_part("response.output_audio_transcript.delta", id, fields);
                said += 1;
            }
            from = to;
        }
        let whole = Duration::from_millis(millis(script.sound.len() as u64, rate)) / FASTER;
        if script.fails { self.at } else { begin + whole }
    }

    /// A call of a declared function (`line`), or one of the service's own.
    fn call(&mut self, call: &Call, call_id: &str, line: bool) {
        let id = self.set.pen.id("item");
        let fields = |role: &str, status: &str, arguments: &str| {
            json!({ "id": id, "type": "function_call", "status": status, "role": role,
                    "call_id": call_id, "name": call.name, "arguments": arguments })
        };
        let role = if self.set.pen.documented { "assistant" } else { "user" };
        self.about_item("response.output_item.added", fields(role, "in_progress", ""));
        let added = item(self.set.pen, fields("tool", "in_progress", ""), false);
        self.event("conversation.item.added", json!({ "item": added }));
        let response = self.set.response.to_owned();
        let mut delta = json!({ "item_id": id, "response_id": response, "delta": call.arguments, "call_id": call_id });
        if self.set.pen.documented {
            delta["output_index"] = self.place().into();
        }
        self.event("response.function_call_arguments.delta", delta);
        let done = json!({ "item_id": id, "response_id": response, "output_index": self.place(),
                           "call_id": call_id, "name": call.name, "arguments": call.arguments });
        self.event("response.function_call_arguments.done", done);
        let finished = fields(role, "completed", &call.arguments);
        self.about_item("response.output_item.done", finished.clone());
        if line {
            self.output.push(item(self.set.pen, finished, false));
            let line = Line {
                name: call.name.clone(),
                call_id: call_id.to_owned(),
                ..Line::new(id.clone(), Role::Call, call.arguments.clone())
            };
            self.lines.push(line);
        }
        self.index += 1;
    }

    /// A call the service answers itself (Q8).
    fn own_call(&mut self) {
        let arguments = r#"{"query":"news","limit":3}"#.to_owned();
        let call = Call { name: "x_keyword_search".to_owned(), arguments };
        let id = format!("call-{}-0", self.set.pen.uuid());
        self.call(&call, &id, false);
    }
}

/// Where the audio is cut, in bytes.
fn cuts(bytes: usize, session: &Session, mood: &Mood) -> Vec<usize> {
    if mood.huge_delta {
        return vec![bytes];
    }
    let mut cuts = Vec::new();
    let mut at = 0;
    for ms in PIECES.iter().cycle() {
        at += frames(*ms, session.output.rate()) * session.output.width();
        if at >= bytes {
            break;
        }
        cuts.push(if mood.odd_deltas { at + 1 } else { at });
    }
    cuts.push(bytes);
    cuts
}

/// The phrases of a reply with the times at which they start, in ms.
fn timed(script: &Script, rate: u32) -> Vec<(u64, String)> {
    let total = millis(script.sound.len() as u64, rate);
    let mut phrases: Vec<(u64, String)> = Vec::new();
    let (mut words, mut before) = (PHRASE, 0);
    for word in script.text.split_inclusive(' ') {
        let fresh = words >= PHRASE
            || phrases.last().is_some_and(|p| p.1.trim_end().ends_with([',', '.', '?', '!']));
        if fresh {
            phrases.push((total * before / script.text.len() as u64, String::new()));
            words = 0;
        }
        if let Some(last) = phrases.last_mut() {
            last.1.push_str(word);
        }
        words += 1;
        before += word.len() as u64;
    }
    phrases
}
