//! The journal: what happened to a conversation, line by line. Pure types; the host writes the file.

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
