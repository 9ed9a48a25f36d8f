//! The acoustic front end: one thread that turns microphone and reference periods into blocks.
//!
//! Never touches a card, a socket or a file; allocates nothing after its start. The order of
//! stages: high-pass, channel, resample ([`intake`]); pairing with the reference ([`align`]); echo,
//! noise, voice, wake word ([`FrontEnd`]).

pub mod aec;
pub mod align;
pub mod chain;
mod channel;
pub mod echo;
pub mod enhance;
pub mod highpass;
pub mod intake;
pub mod offline;
pub mod thread;
pub mod vad;
mod vowel;
pub mod wake;

use crate::base::event::Near;
use crate::base::pcm::{BLOCK, Block};
use crate::base::unit::{Db, Moment};
use aec::{EchoCanceller, NullCanceller};
use echo::Canceller;
use enhance::{NoiseSuppressor, NullSuppressor};
use std::time::Duration;
use vad::{Echo, Vad};
use wake::{NullDetector, WakeDetector};

/// Which channel of the microphone is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Channel {
    /// The one with the best speech-to-noise ratio.
    #[default]
    Auto,
    /// The mean of all.
    Mix,
    /// This one, from 0.
    Number(u16),
}

/// How much of a stage is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Level {
    /// As the device decides.
    #[default]
    Auto,
    /// Not at all.
    Off,
    /// Gently.
    Low,
    /// In between.
    Medium,
    /// Strongly.
    High,
}

/// What this room is told.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Options {
    /// `audio.input_channel`.
    pub channel: Channel,
    /// `speech.echo_cancellation`.
    pub echo_cancellation: Level,
    /// `speech.noise_suppression`.
    pub noise_suppression: Level,
    /// `speech.gain_control`.
    pub gain_control: Level,
}

/// Reference power from which the speaker counts as playing: -60 dBFS, below quiet speech at a
/// low volume and above the dither of a converter.
const PLAYING_POWER: f32 = 1e-6;
/// Blocks it counts as playing after its last sound: a room rings for about 300 ms.
const PLAYING_HOLD: u32 = 30;

/// Cleans and judges the near end, block by block.
pub struct FrontEnd {
    canceller: Box<dyn EchoCanceller>,
    suppressor: Box<dyn NoiseSuppressor>,
    vad: Vad,
    wake: Box<dyn WakeDetector>,
    /// Blocks left of the hold after the last audible reference.
    playing: u32,
}

impl std::fmt::Debug for FrontEnd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FrontEnd").field("vad", &self.vad).finish_non_exhaustive()
    }
}

impl FrontEnd {
    /// A front end that has heard nothing. There is one canceller, so every level of it but `off`
    /// is the same; there is no noise suppressor and no gain control, so their levels choose nothing yet.
    pub fn new(options: &Options) -> Self {
        Self {
            canceller: match options.echo_cancellation {
                Level::Off => Box::new(NullCanceller),
                Level::Auto | Level::Low | Level::Medium | Level::High => {
                    Box::new(Canceller::new())
                }
            },
            suppressor: Box::new(NullSuppressor),
            vad: Vad::new(),
            wake: Box::new(NullDetector),
            playing: 0,
        }
    }

    /// Takes 10 ms of both sides that belong to the same time. `at` is when the first sample of
    /// `near` was at the microphone. Allocates nothing.
    pub fn process(&mut self, near: &Block, far: &Block, at: Moment) -> Near {
        let far_power = power(far);
        self.playing =
            if far_power > PLAYING_POWER { PLAYING_HOLD } else { self.playing.saturating_sub(1) };
        let mut block = *near;
        let erle = self.canceller.process(&mut block, far);
        self.suppressor.process(&mut block);
        let mic = power(near);
        let echo = (self.playing > 0).then_some(Echo { mic, erle });
        let (speech, voice) = self.vad.process(&block, echo);
        let wake = self.wake.feed(&block);
        Near {
            at: at.before(self.delay()),
            block,
            speech,
            voice,
            wake,
            mic: Db::from_power(mic),
            far: Db::from_power(far_power),
            erle,
        }
    }

    /// How much later than its input the cleaned sound comes out.
    pub fn delay(&self) -> Duration {
        self.canceller.delay()
    }

    /// By how much the echo falls behind its reference, as a part of time.
    pub fn drift(&self) -> f64 {
        self.canceller.drift()
    }

    /// The wake word of the last score.
    pub fn word(&self) -> &str {
        self.wake.word()
    }

    /// Forgets everything: a stream began anew.
    pub fn reset(&mut self) {
        self.canceller.reset();
        self.suppressor.reset();
        self.vad.reset();
        self.wake.reset();
        self.playing = 0;
    }
}

/// Mean power of a block.
fn power(block: &Block) -> f32 {
    let count = BLOCK as f32;
    block.0.iter().map(|x| x * x).sum::<f32>() / count
}
