//! The journal: what happened to a conversation, line by line. Pure types; the host writes the file.
//!
//! Sound is left out, its length is kept: a conversation decides on the numbers beside PCM, so a
//! journal without sound replays to the same transcript.

use super::{Conversation, Input, Policy, Settings};
use crate::base::event::Wire;
use crate::base::unit::Moment;
use base64::Engine;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

mod brief;
mod scribe;
pub use brief::Brief;
pub use scribe::Scribe;

/// A line of a journal, as JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "a line is written or read, never stored in numbers")]
pub enum Line {
    /// The first: what the conversation was made of.
    Head {
        /// Its numbers.
        policy: Policy,
        /// Its settings at the start.
        settings: Settings,
        /// Its randomness.
        seed: u64,
        /// Which program wrote this.
        build: String,
    },
    /// Something happened.
    In {
        /// When.
        at: Moment,
        /// What, without its sound.
        input: Input,
        /// How many bytes of sound were left out.
        #[serde(default, skip_serializing_if = "is_zero")]
        elided: usize,
    },
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape serde asks for")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// What stands before the sound in an audio event, in every serialisation without white space.
const DELTA: &str = "\"delta\":\"";

impl Line {
    /// An input, without the sound in it.
    pub fn record(at: Moment, input: &Input) -> Self {
        if let Input::Message(wire) = input
            && let Some((wire, elided)) = elide(wire)
        {
            return Self::In { at, input: Input::Message(wire), elided };
        }
        Self::In { at, input: input.clone(), elided: 0 }
    }
}

/// Where the base64 text of an audio event lies.
fn sound(text: &str) -> Option<std::ops::Range<usize>> {
    if !(text.contains("output_audio.delta") || text.contains("response.audio.delta")) {
        return None;
    }
    let compact = text.find(DELTA).map(|at| at + DELTA.len());
    let start = compact.or_else(|| text.find("\"delta\": \"").map(|at| at + DELTA.len() + 1))?;
    let length = text.get(start..)?.find('"')?;
    Some(start..start + length)
}

fn elide(wire: &Wire) -> Option<(Wire, usize)> {
    match wire {
        Wire::Binary(bytes) => Some((Wire::Binary(Vec::new()), bytes.len())),
        Wire::Text(text) => {
            let range = sound(text)?;
            let bytes = text.get(range.clone())?.trim_end_matches('=').len() * 3 / 4;
            let rest = [text.get(..range.start)?, text.get(range.end..)?].concat();
            Some((Wire::Text(rest), bytes))
        }
    }
}

/// Puts silence where the sound was.
fn restore(mut input: Input, elided: usize) -> Input {
    if let Input::Message(wire) = &mut input
        && elided > 0
    {
        match wire {
            Wire::Binary(bytes) => bytes.resize(elided, 0),
            Wire::Text(text) => {
                if let Some(range) = sound(text) {
                    let silence = base64::engine::general_purpose::STANDARD.encode(vec![0; elided]);
                    text.replace_range(range, &silence);
                }
            }
        }
    }
    input
}

/// Runs a journal again: a line for each thing that happened and each thing that was asked, as
/// `1.240 > speech 0.91 talking` and `1.260 < flush e3`. Lines before the head are skipped.
pub fn transcript(lines: impl IntoIterator<Item = Line>) -> impl Iterator<Item = String> {
    let mut conversation = None;
    let mut scribe = Scribe::default();
    let mut lines = lines.into_iter();
    let mut ready: std::collections::VecDeque<String> = Default::default();
    std::iter::from_fn(move || {
        while ready.is_empty() {
            match lines.next() {
                Some(Line::Head { policy, settings, seed, build: _ }) => {
                    conversation = Some(Conversation::new(policy, settings, seed));
                }
                Some(Line::In { at, input, elided }) => {
                    let Some(conversation) = conversation.as_mut() else { continue };
                    let input = restore(input, elided);
                    ready.extend(scribe.input(at, &input));
                    conversation.handle(at, input);
                    while let Some(output) = conversation.poll() {
                        ready.extend(scribe.output(at, &output));
                    }
                }
                None => return scribe.end(),
            }
        }
        ready.pop_front()
    })
}

/// The kind of a wire event, for people.
fn kind(text: &str) -> Cow<'_, str> {
    serde_json::from_str::<serde_json::Value>(text)
        .ok()
        .and_then(|v| Some(v.get("type")?.as_str()?.to_owned()))
        .map_or(Cow::Borrowed("garbage"), Cow::Owned)
}

/// A block of microphone without its sound: the numbers the conversation decides on.
pub mod near {
    use crate::base::event::{Near, Voice};
    use crate::base::pcm::Block;
    use crate::base::unit::{Db, Moment, Score};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    struct Numbers {
        at: Moment,
        speech: Score,
        voice: Voice,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        wake: Option<Score>,
        mic: Db,
        far: Db,
        erle: Db,
    }

    /// Writes the numbers only.
    ///
    /// # Errors
    /// Those of the serialiser.
    pub fn serialize<S: Serializer>(near: &Near, to: S) -> Result<S::Ok, S::Error> {
        let Near { at, block: _, speech, voice, wake, mic, far, erle } = *near;
        Numbers { at, speech, voice, wake, mic, far, erle }.serialize(to)
    }

    /// Reads the numbers; the sound is silence.
    ///
    /// # Errors
    /// Those of the deserialiser.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Near, D::Error> {
        let Numbers { at, speech, voice, wake, mic, far, erle } = Numbers::deserialize(from)?;
        Ok(Near { at, block: Block::SILENCE, speech, voice, wake, mic, far, erle })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sound_is_left_out_and_its_length_is_kept() {
        for length in [0, 1, 2, 3, 959, 960] {
            let sound = base64::engine::general_purpose::STANDARD.encode(vec![7; length]);
            let text =
                format!(r#"{{"type":"response.output_audio.delta","delta":"{sound}","n":1}}"#);
            let input = Input::Message(Wire::Text(text.clone()));
            let line = Line::record(Moment::ZERO, &input);
            let json = serde_json::to_string(&line).unwrap();
            assert!(json.len() < 200 && !json.contains("Bwc"), "{json}");
            let Line::In { input, elided, .. } = serde_json::from_str(&json).unwrap() else {
                panic!("an input became a head")
            };
            assert_eq!(elided, length);
            let Input::Message(Wire::Text(back)) = restore(input, elided) else { panic!() };
            assert_eq!(back.len(), text.len());
        }
    }
}
