//! Connections in virtual time.

mod faults;
mod flows;
mod quirks;
mod turns;

use super::brain::{Brain, Out, Query};
use super::desk::Desk;
use super::fault::Mood;
use super::sound::{frames, speak};
use super::wire::{decode, encode};
use crate::base::unit::Moment;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// Rate of everything the test client says and hears, unless a test asks for another.
const RATE: u32 = 24_000;

/// A connection and a client that writes down what it gets.
struct Bench {
    desk: Arc<Desk>,
    brain: Brain,
    now: Moment,
    seen: Vec<(Moment, Out)>,
}

fn desk(faults: &[&str], transcripts: &[&str]) -> Arc<Desk> {
    let faults: Vec<_> = faults.iter().map(|f| f.parse().unwrap()).collect();
    let transcripts = transcripts.iter().map(|t| (*t).to_owned()).collect();
    Arc::new(Desk::new(Mood::new(&faults), true, transcripts, 1_790_000_000_000))
}

impl Bench {
    /// A connection without faults, configured for server turn detection, or for manual turns.
    fn new(faults: &[&str], vad: bool) -> Self {
        let mut bench = Self::open(&desk(faults, &["Tell me a joke."]), 1, None);
        let detection = if vad { json!({ "type": "server_vad" }) } else { Value::Null };
        bench.configure(&json!({
            "voice": "eve", "turn_detection": detection,
            "audio": { "input": { "transcription": { "model": "grok-transcribe" } } },
            "tools": [
                { "type": "function", "name": "get_weather",
                  "parameters": { "type": "object", "properties": { "city": { "type": "string" } } } },
            ],
        }));
        bench
    }

    fn open(desk: &Arc<Desk>, number: u32, conversation: Option<&str>) -> Self {
        let query = Query {
            model: Some("grok-voice-latest".to_owned()),
            conversation: conversation.map(str::to_owned),
        };
        let now = Moment::from_millis(1000);
        let brain = Brain::new(desk.clone(), number, 7 + u64::from(number), &query, now);
        Self { desk: desk.clone(), brain, now, seen: Vec::new() }
    }

    fn configure(&mut self, session: &Value) {
        self.say(&json!({ "type": "session.update", "session": session }));
        self.run(200);
    }

    /// Lets time pass, step by step.
    fn run(&mut self, ms: u64) {
        let end = self.now + Duration::from_millis(ms);
        loop {
            while let Some(out) = self.brain.poll(self.now) {
                self.seen.push((self.now, out));
            }
            match self.brain.deadline() {
                Some(next) if next <= end => self.now = self.now.max(next),
                Some(_) | None => break,
            }
        }
        self.now = end;
    }

    fn say(&mut self, event: &Value) {
        self.brain.text(self.now, &event.to_string());
        self.run(0);
    }

    fn event(&mut self, kind: &str) {
        self.say(&json!({ "type": kind }));
    }

    /// Audio in real time, 20 ms a message.
    fn hear(&mut self, samples: &[i16]) {
        for chunk in samples.chunks(frames(20, RATE)) {
            let bytes: Vec<u8> = chunk.iter().flat_map(|s| s.to_le_bytes()).collect();
            self.say(&json!({ "type": "input_audio_buffer.append", "audio": encode(&bytes) }));
            self.run(20);
        }
    }

    fn quiet(&mut self, ms: u64) {
        self.hear(&vec![0; frames(ms, RATE)]);
    }

    fn typed(&mut self, text: &str) {
        self.say(&json!({ "type": "conversation.item.create", "item": {
            "type": "message", "role": "user", "content": [{ "type": "input_text", "text": text }] } }));
        self.event("response.create");
    }

    fn events(&self) -> Vec<&Value> {
        self.seen
            .iter()
            .filter_map(|(_, out)| match out {
                Out::Event(event) => Some(event),
                Out::Junk(_) | Out::Audio(_) | Out::Close(_) | Out::Drop | Out::Hush => None,
            })
            .collect()
    }

    fn kinds(&self) -> Vec<&str> {
        self.events().iter().map(|event| event["type"].as_str().unwrap()).collect()
    }

    fn all(&self, kind: &str) -> Vec<&Value> {
        self.events().into_iter().filter(|event| event["type"] == kind).collect()
    }

    fn last(&self, kind: &str) -> &Value {
        self.all(kind).last().unwrap_or_else(|| panic!("no {kind} in {:?}", self.kinds()))
    }

    /// When the first event of a kind came, in ms since the connection was made.
    fn when(&self, kind: &str) -> u64 {
        let found =
            self.seen.iter().find(|(_, out)| matches!(out, Out::Event(e) if e["type"] == kind));
        found.unwrap_or_else(|| panic!("no {kind}")).0.millis() - 1000
    }

    /// The audio of all deltas.
    fn audio(&self) -> Vec<u8> {
        let deltas = self.all("response.output_audio.delta");
        deltas.iter().flat_map(|event| decode(event["delta"].as_str().unwrap()).unwrap()).collect()
    }

    /// The text of the last reply.
    fn said(&self) -> String {
        self.last("response.output_audio_transcript.done")["transcript"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    fn forget(&mut self) {
        self.seen.clear();
    }
}

/// Half a second of speech without a pause in it.
fn word() -> Vec<i16> {
    speak("aha oho", RATE)
}
