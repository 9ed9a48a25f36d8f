//! What may interrupt a reply in `auto`: as the cards were measured to allow, and as the canceller does.
//!
//! A measurement of the cards says what is to be expected, so it holds from the first reply on. What the
//! canceller reaches while the speaker is heard in the room is better evidence: after ten seconds of it, it
//! decides, downwards and upwards.

use super::{BargeIn, Conversation, Output};
use crate::base::event::{Duplex, Near, Voice};
use crate::base::unit::Db;
use crate::panel::event::Severity;

/// So much more attenuation than what allows something, in dB, allows it again.
const BACK: f32 = 2.0;
/// Blocks of heard echo that are evidence: 10 s, three replies or so; a filter that begins with nothing
/// needs two seconds.
const EVIDENCE: u32 = 1_000;
/// The far end above this level is heard in the room, if it ever is.
const LOUD: f32 = -45.0;
/// Below this it is silence.
const QUIET: f32 = -60.0;
/// So much above the room's own noise, in dB, an echo must be for 15 dB of attenuation to show.
const CLEAR: f32 = 20.0;
/// The noise is followed by so much a block: 1 s.
const FOLLOW: f32 = 0.01;
/// Blocks of silence of the far end after which its echo has died away: half a second.
const STILL: u32 = 50;

/// Who can be heard over the speaker.
#[derive(Debug)]
pub(super) struct Reach {
    /// By the measurement of the cards.
    told: Duplex,
    /// By the canceller, once there is evidence.
    seen: Option<Duplex>,
    noise: f32,
    /// Mean attenuation of the heard echo, over so many blocks.
    erle: f32,
    blocks: u32,
    still: u32,
}

impl Default for Reach {
    fn default() -> Self {
        Self {
            told: Duplex::Full,
            seen: None,
            noise: Db::SILENCE.0,
            erle: 0.0,
            blocks: 0,
            still: 0,
        }
    }
}

impl Reach {
    fn now(&self) -> Duplex {
        self.seen.unwrap_or(self.told)
    }

    /// Takes in a block.
    fn note(&mut self, near: &Near) {
        self.still = if near.far.0 < QUIET { self.still.saturating_add(1) } else { 0 };
        if self.still > STILL && near.voice == Voice::Quiet {
            let known = self.noise > Db::SILENCE.0;
            let step = if known { FOLLOW } else { 1.0 };
            self.noise += step * (near.mic.0 - self.noise);
        }
        let heard = near.far.0 > LOUD && near.mic.0 > self.noise + CLEAR;
        if !heard || self.noise <= Db::SILENCE.0 {
            return;
        }
        self.blocks = (self.blocks + 1).min(EVIDENCE);
        self.erle += (near.erle.0 - self.erle) / self.blocks as f32;
        if self.blocks == EVIDENCE {
            self.seen = Some(self.judge());
        }
    }

    fn judge(&self) -> Duplex {
        let surely = Duplex::of(Db(self.erle - BACK));
        Duplex::of(Db(self.erle)).min(self.now().max(surely))
    }
}

impl Conversation {
    /// The cards were measured: what was seen before may have been of another place.
    pub(super) fn told_duplex(&mut self, duplex: Duplex) {
        self.reach = Reach {
            told: duplex,
            seen: None,
            erle: 0.0,
            blocks: 0,
            noise: self.reach.noise,
            still: self.reach.still,
        };
    }

    /// Follows what the canceller reaches.
    pub(super) fn follow_echo(&mut self, near: &Near) {
        let before = self.reach.now();
        self.reach.note(near);
        let now = self.reach.now();
        if now == before || self.policy.barge_in != BargeIn::Auto {
            return;
        }
        let message = match now {
            Duplex::Full => "The echo is removed well again: speech may interrupt a reply.",
            Duplex::Wake => {
                "Too much of the echo is left: only the wake word or a button interrupts a reply."
            }
            Duplex::Half => "The echo is hardly removed: only a button interrupts a reply.",
        };
        let level = if now == Duplex::Full { Severity::Info } else { Severity::Warn };
        let fields = vec![("ERLE_DB", format!("{:.0}", self.reach.erle))];
        self.queue.push_back(Output::Log { level, message: message.to_owned(), fields });
    }

    /// What interrupts a reply now.
    pub(super) fn barge_in(&self) -> BargeIn {
        match (self.policy.barge_in, self.reach.now()) {
            (BargeIn::Auto, Duplex::Wake) => BargeIn::Wake,
            (BargeIn::Auto, Duplex::Half) => BargeIn::Off,
            (policy, _) => policy,
        }
    }

    /// The same as panels and `status` show it.
    pub(super) fn barge_in_word(&self) -> &'static str {
        match self.barge_in() {
            BargeIn::Auto | BargeIn::Speech => "speech",
            BargeIn::Wake => "wake",
            BargeIn::Off => "off",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::pcm::Block;
    use crate::base::unit::{Moment, Score};

    fn near(mic: f32, far: f32, erle: f32) -> Near {
        Near {
            at: Moment::ZERO,
            block: Block::SILENCE,
            speech: Score(0.0),
            voice: Voice::Quiet,
            wake: None,
            mic: Db(mic),
            far: Db(far),
            erle: Db(erle),
        }
    }

    /// A second of a quiet room, then so many blocks of a reply whose echo is at `mic`.
    fn reply(reach: &mut Reach, blocks: u32, mic: f32, erle: f32) -> Duplex {
        (0..100).for_each(|_| reach.note(&near(-70.0, -144.0, erle)));
        (0..blocks).for_each(|_| reach.note(&near(mic, -20.0, erle)));
        reach.now()
    }

    #[test]
    fn what_the_canceller_reaches_decides_after_ten_seconds_of_echo() {
        let mut reach = Reach::default();
        assert_eq!(reply(&mut reach, 999, -40.0, 5.0), Duplex::Full, "that is not long");
        assert_eq!(reply(&mut reach, 1, -40.0, 5.0), Duplex::Half);
        assert_eq!(reply(&mut reach, 5000, -40.0, 12.0), Duplex::Wake);
        assert_eq!(reply(&mut reach, 5000, -40.0, 16.0), Duplex::Wake, "that is no clear gain");
        assert_eq!(reply(&mut reach, 5000, -40.0, 18.0), Duplex::Full);
        assert_eq!(reply(&mut reach, 5000, -40.0, 15.5), Duplex::Full);
        assert_eq!(reply(&mut reach, 5000, -40.0, 14.0), Duplex::Wake);
        assert_eq!(reply(&mut reach, 5000, -40.0, 7.0), Duplex::Half);
        assert_eq!(reply(&mut reach, 5000, -40.0, 9.0), Duplex::Half);
        assert_eq!(reply(&mut reach, 20_000, -40.0, 30.0), Duplex::Full);
    }

    #[test]
    fn a_measurement_holds_until_there_is_evidence_against_it() {
        let mut reach = Reach { told: Duplex::Half, ..Reach::default() };
        assert_eq!(reply(&mut reach, 900, -40.0, 30.0), Duplex::Half);
        assert_eq!(reply(&mut reach, 200, -40.0, 30.0), Duplex::Full);
    }

    #[test]
    fn a_microphone_that_hears_no_echo_is_no_evidence() {
        let mut reach = Reach::default();
        // A headset: what is heard is the room, with the reply and without.
        assert_eq!(reply(&mut reach, 20_000, -68.0, 0.0), Duplex::Full);
        // A room that has not been heard in silence yet.
        let mut reach = Reach::default();
        (0..20_000).for_each(|_| reach.note(&near(-40.0, -20.0, 0.0)));
        assert_eq!(reach.now(), Duplex::Full);
    }
}
