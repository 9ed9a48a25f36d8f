//! An input in as little memory as it needs, for a recorder that throws nearly everything away.

use super::Line;
use crate::base::event::{Near, PlayoutFact, Voice};
use crate::base::pcm::Block;
use crate::base::unit::{Db, Moment, Score};
use crate::conversation::Input;
use std::time::Duration;

/// A [`Line::In`]. What comes many times a second is kept as numbers, the rest as its JSON.
#[derive(Debug, Clone, PartialEq)]
pub struct Brief(Kind);

#[derive(Debug, Clone, PartialEq)]
enum Kind {
    Near {
        now: Moment,
        /// Microseconds from the microphone to `now`.
        age: u32,
        speech: Score,
        voice: Voice,
        mic: Db,
        far: Db,
        erle: Db,
    },
    Playout {
        now: Moment,
        fact: PlayoutFact,
    },
    Tick {
        now: Moment,
    },
    Json(Box<str>),
}

impl Brief {
    /// What happened at `now`, without its sound.
    ///
    /// # Errors
    /// When it has no written form.
    pub fn of(now: Moment, input: &Input) -> serde_json::Result<Self> {
        Ok(Self(match input {
            Input::Near(near) => match numbers(now, near) {
                Some(numbers) => numbers,
                None => json(now, input)?,
            },
            Input::Playout(fact) => Kind::Playout { now, fact: *fact },
            Input::Tick => Kind::Tick { now },
            Input::Link(_)
            | Input::Message(_)
            | Input::Hand(_)
            | Input::Panel(_)
            | Input::Fault(_)
            | Input::Duplex(_)
            | Input::Wall(_)
            | Input::Place(_)
            | Input::Policy(_)
            | Input::Stop => json(now, input)?,
        }))
    }

    /// The same as the JSON of a [`Line`].
    ///
    /// # Errors
    /// Never for what [`Brief::of`] made.
    pub fn json(&self) -> serde_json::Result<String> {
        let (at, input) = match &self.0 {
            Kind::Json(text) => return Ok(text.to_string()),
            Kind::Near { now, age, speech, voice, mic, far, erle } => {
                let near = Near {
                    at: now.before(Duration::from_micros(u64::from(*age))),
                    block: Block::SILENCE,
                    speech: *speech,
                    voice: *voice,
                    wake: None,
                    mic: *mic,
                    far: *far,
                    erle: *erle,
                };
                (*now, Input::Near(near))
            }
            Kind::Playout { now, fact } => (*now, Input::Playout(*fact)),
            Kind::Tick { now } => (*now, Input::Tick),
        };
        serde_json::to_string(&Line::In { at, input, elided: 0 })
    }

    /// Bytes of memory it takes.
    pub fn size(&self) -> usize {
        let text = match &self.0 {
            Kind::Json(text) => text.len(),
            Kind::Near { .. } | Kind::Playout { .. } | Kind::Tick { .. } => 0,
        };
        size_of::<Self>() + text
    }
}

/// `None` for a block with a wake word and for one from another time than now: both are rare.
fn numbers(now: Moment, near: &Near) -> Option<Kind> {
    let Near { at, block: _, speech, voice, wake, mic, far, erle } = *near;
    let age = u32::try_from(now.micros().checked_sub(at.micros())?).ok()?;
    wake.is_none().then_some(Kind::Near { now, age, speech, voice, mic, far, erle })
}

fn json(now: Moment, input: &Input) -> serde_json::Result<Kind> {
    let text = serde_json::to_string(&Line::record(now, input))?;
    Ok(Kind::Json(text.into_boxed_str()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::event::{Tag, Wire};

    fn near() -> Near {
        Near {
            at: Moment::from_micros(12_345_678),
            block: Block([0.25; crate::base::pcm::BLOCK]),
            speech: Score(0.123_456_79),
            voice: Voice::Maybe,
            wake: None,
            mic: Db(-61.7),
            far: Db::SILENCE,
            erle: Db(0.0),
        }
    }

    #[test]
    fn a_brief_says_what_the_line_says() {
        let now = Moment::from_micros(12_361_000);
        let delta = r#"{"type":"response.output_audio.delta","delta":"AAAAAA==","n":1}"#;
        let inputs = [
            Input::Near(near()),
            Input::Near(Near { wake: Some(Score(0.9)), ..near() }),
            Input::Near(Near { at: now + Duration::from_micros(1), ..near() }),
            Input::Playout(PlayoutFact::Heard { tag: Tag(7), samples: u64::MAX }),
            Input::Playout(PlayoutFact::Started { tag: Tag(u32::MAX), at: now }),
            Input::Message(Wire::Text(delta.to_owned())),
            Input::Message(Wire::Binary(vec![1; 50])),
            Input::Tick,
            Input::Stop,
        ];
        for input in inputs {
            let line = serde_json::to_string(&Line::record(now, &input)).unwrap();
            assert_eq!(Brief::of(now, &input).unwrap().json().unwrap(), line);
        }
    }

    #[test]
    fn a_block_takes_32_bytes_and_no_allocation() {
        let (now, input) = (Moment::from_millis(13_000), Input::Near(near()));
        let brief = assert_no_alloc::assert_no_alloc(|| Brief::of(now, &input));
        assert_eq!(brief.unwrap().size(), 32);
    }
}
