//! When speech over speech is an interruption.
//!
//! A microphone near a speaker hears the reply; without a measured canceller a voice detector takes
//! that echo for a person, and the device would interrupt itself (Q15). So in `auto` speech counts
//! only when it cannot be echo: nothing plays, or the canceller is measured to remove 15 dB, or the
//! microphone is well above what the echo could be. How loud the echo is at the microphone is
//! learned while the reply plays and nobody speaks; until then it is taken to be as loud as the
//! reply itself, so an unknown room never interrupts itself and a loud person still can. A
//! microphone that hears no echo at all (headset, file) is learned within half a second.

use super::BargeIn;
use crate::base::event::{Near, Voice};
use crate::base::unit::Db;
use std::collections::VecDeque;

/// Echo removed by at least this much leaves speech on top.
const ERLE_ENOUGH: f32 = 15.0;
/// From so much on a sign of speech may lower the reply: that costs little, and an untrained
/// canceller, which takes every word of the reply for one, has less.
const ERLE_SOME: f32 = 8.0;
/// The far end below this level makes no echo worth the name.
const FAR_QUIET: f32 = -60.0;
/// The far end above this level teaches how loud its echo is.
const FAR_TEACHES: f32 = -45.0;
/// Speech must be this much above the echo that is expected.
const MARGIN: f32 = 10.0;
/// The loudest of the far end is held and falls by so much a block: 20 dB in half a second, longer
/// than playback, air and capture delay the echo.
const HOLD: f32 = 0.4;
/// So many blocks with echo and no speech are enough to know: 200 ms.
const LEARNED: u32 = 20;
/// A block teaches when the detector has stayed quiet for so many more: 300 ms. It needs 160 ms to
/// decide, and the first sounds of a person must not count as loud echo.
const CONFIRMED: usize = 30;
/// An echo this far below the reply does not wake the service's turn detection.
const FAINT: f32 = -30.0;
/// The learned echo is forgotten by so much a block (1 dB a second): rooms change.
const FORGET: f32 = 0.01;

/// What the microphone hears of the speaker.
#[derive(Debug)]
pub(super) struct Ear {
    far: f32,
    coupling: f32,
    blocks: u32,
    /// What the last quiet blocks would teach; `None` where nothing played.
    waiting: VecDeque<Option<f32>>,
}

impl Default for Ear {
    fn default() -> Self {
        Self {
            far: Db::SILENCE.0,
            coupling: Db::SILENCE.0,
            blocks: 0,
            waiting: VecDeque::with_capacity(CONFIRMED + 1),
        }
    }
}

impl Ear {
    /// Takes in a block.
    pub(super) fn note(&mut self, near: &Near, speaking: bool) {
        self.far = near.far.0.max(self.far - HOLD).max(Db::SILENCE.0);
        if near.voice != Voice::Quiet {
            self.waiting.clear();
            return;
        }
        let teaches = speaking && near.far.0 > FAR_TEACHES;
        self.waiting.push_back(teaches.then_some(near.mic.0 - self.far));
        if self.waiting.len() > CONFIRMED
            && let Some(Some(coupling)) = self.waiting.pop_front()
        {
            self.blocks = self.blocks.saturating_add(1);
            self.coupling = coupling.max(self.coupling - FORGET);
        }
    }

    /// Whether speech in this block may interrupt the reply.
    pub(super) fn allows(&self, policy: BargeIn, near: &Near) -> bool {
        match policy {
            BargeIn::Speech => true,
            BargeIn::Wake | BargeIn::Off => false,
            BargeIn::Auto => {
                near.erle.0 >= ERLE_ENOUGH
                    || self.far < FAR_QUIET
                    || near.mic.0 > self.far + self.expected() + MARGIN
            }
        }
    }

    /// Whether a sign of speech in this block may lower the reply.
    pub(super) fn suspects(&self, policy: BargeIn, near: &Near) -> bool {
        let some = policy == BargeIn::Auto && near.erle.0 >= ERLE_SOME;
        some || self.allows(policy, near)
    }

    /// Gate `always`: whether the service would hear the reply itself and interrupt it.
    pub(super) fn hears_echo(&self, policy: BargeIn, near: &Near) -> bool {
        match policy {
            BargeIn::Speech => false,
            BargeIn::Wake | BargeIn::Off => true,
            BargeIn::Auto => near.erle.0 < ERLE_ENOUGH && self.expected() > FAINT,
        }
    }

    fn expected(&self) -> f32 {
        if self.blocks >= LEARNED { self.coupling } else { -MARGIN }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::pcm::Block;
    use crate::base::unit::{Moment, Score};

    fn near(mic: f32, far: f32, voice: Voice) -> Near {
        Near {
            at: Moment::ZERO,
            block: Block::SILENCE,
            speech: Score(0.0),
            voice,
            wake: None,
            mic: Db(mic),
            far: Db(far),
            erle: Db(0.0),
        }
    }

    #[test]
    fn a_microphone_without_echo_may_interrupt_soon() {
        let mut ear = Ear::default();
        (0..50).for_each(|_| ear.note(&near(-80.0, -20.0, Voice::Quiet), true));
        (0..12).for_each(|_| ear.note(&near(-20.0, -20.0, Voice::Quiet), true));
        ear.note(&near(-20.0, -20.0, Voice::Maybe), true);
        assert!(ear.allows(BargeIn::Auto, &near(-40.0, -20.0, Voice::Talking)));
        assert!(!ear.hears_echo(BargeIn::Auto, &near(-40.0, -20.0, Voice::Talking)));
    }

    #[test]
    fn an_echo_does_not_interrupt_but_a_louder_person_does() {
        let mut ear = Ear::default();
        (0..5).for_each(|_| ear.note(&near(-35.0, -20.0, Voice::Quiet), true));
        (0..50).for_each(|_| ear.note(&near(-33.0, -20.0, Voice::Talking), true));
        assert!(!ear.allows(BargeIn::Auto, &near(-30.0, -20.0, Voice::Talking)));
        (0..50).for_each(|_| ear.note(&near(-35.0, -20.0, Voice::Quiet), true));
        assert!(!ear.allows(BargeIn::Auto, &near(-30.0, -20.0, Voice::Talking)));
        assert!(ear.allows(BargeIn::Auto, &near(-20.0, -20.0, Voice::Talking)));
        assert!(ear.hears_echo(BargeIn::Auto, &near(-30.0, -20.0, Voice::Talking)));
    }

    #[test]
    fn a_measured_canceller_or_a_silent_speaker_lets_speech_through() {
        let mut ear = Ear::default();
        assert!(ear.allows(BargeIn::Auto, &near(-50.0, -144.0, Voice::Talking)));
        ear.note(&near(-20.0, -20.0, Voice::Talking), true);
        let mut cancelled = near(-50.0, -20.0, Voice::Talking);
        assert!(!ear.allows(BargeIn::Auto, &cancelled));
        assert!(!ear.suspects(BargeIn::Auto, &cancelled));
        cancelled.erle = Db(10.0);
        assert!(ear.suspects(BargeIn::Auto, &cancelled) && !ear.suspects(BargeIn::Off, &cancelled));
        assert!(!ear.allows(BargeIn::Auto, &cancelled));
        cancelled.erle = Db(20.0);
        assert!(ear.allows(BargeIn::Auto, &cancelled));
        assert!(!ear.allows(BargeIn::Wake, &cancelled) && ear.allows(BargeIn::Speech, &cancelled));
    }
}
