//! The acoustic front end: one thread that turns microphone and reference periods into blocks.
//!
//! Never touches a card, a socket or a file; allocates nothing after its start. The order of
//! stages: high-pass, channel, resample ([`intake`]); pairing with the reference ([`align`]); echo and
//! noise, voice, wake word, gain ([`FrontEnd`]).

pub mod aec;
pub mod align;
pub mod calibration;
pub mod chain;
mod channel;
pub mod echo;
pub mod gain;
pub mod highpass;
pub mod intake;
pub mod lore;
pub mod offline;
mod sides;
pub mod tape;
pub mod thread;
pub mod vad;
mod vowel;
pub mod wake;

use crate::base::event::{Near, Voice};
use crate::base::pcm::{BLOCK, BLOCK_RATE, Block};
use crate::base::unit::{Db, Gain, Moment, Score};
use aec::EchoCanceller;
use echo::EchoPath;
use gain::{GainControl, Heard};
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
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// `audio.input_channel`.
    pub channel: Channel,
    /// `audio.input_gain_db`.
    pub input_gain: Db,
    /// `speech.echo_cancellation`.
    pub echo_cancellation: Level,
    /// `speech.noise_suppression`.
    pub noise_suppression: Level,
    /// `speech.gain_control`.
    pub gain_control: Level,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            channel: Channel::default(),
            input_gain: Db(0.0),
            echo_cancellation: Level::default(),
            noise_suppression: Level::default(),
            gain_control: Level::default(),
        }
    }
}

/// What is known of a device before it has made a sound.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Known {
    /// How much later than its stamps say the echo is.
    pub delay: Option<Duration>,
    /// How the room answered when that was last kept.
    pub path: Option<EchoPath>,
}

/// Reference power from which the speaker counts as playing: -60 dBFS, below quiet speech at a
/// low volume and above the dither of a converter.
const PLAYING_POWER: f32 = 1e-6;
/// Blocks it counts as playing after its last sound: a room rings for about 300 ms.
const PLAYING_HOLD: u32 = 30;

/// Score of a block whose level the gain control believes: not a pause before it counts as one, nor what
/// is left of an echo that was taken for speech.
const SPEECH: f32 = 0.5;

/// Cleans and judges the near end, block by block.
pub struct FrontEnd {
    canceller: Box<dyn EchoCanceller>,
    input_gain: Gain,
    vad: Vad,
    wake: Box<dyn WakeDetector>,
    gain: GainControl,
    /// Blocks left of the hold after the last audible reference.
    playing: u32,
}

impl std::fmt::Debug for FrontEnd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FrontEnd").field("vad", &self.vad).finish_non_exhaustive()
    }
}

impl FrontEnd {
    /// A front end that has heard nothing.
    pub fn new(options: &Options) -> Self {
        Self {
            canceller: echo::canceller(options.echo_cancellation, options.noise_suppression),
            input_gain: Gain::from_db(options.input_gain),
            vad: Vad::new(),
            wake: Box::new(NullDetector),
            gain: GainControl::new(options.gain_control),
            playing: 0,
        }
    }

    /// Takes 10 ms of both sides that belong to the same time. `at` is when the first sample of
    /// `near` was at the microphone. Allocates nothing.
    pub fn process(&mut self, near: &Block, far: &Block, at: Moment) -> Near {
        let far_power = power(far);
        self.playing = if far_power > PLAYING_POWER {
            PLAYING_HOLD + self.canceller.late()
        } else {
            self.playing.saturating_sub(1)
        };
        let mut block = *near;
        let erle = self.canceller.process(&mut block, far);
        // After the canceller, which must see what the card clips.
        if self.input_gain != Gain::UNITY {
            block.0.iter_mut().for_each(|x| *x *= self.input_gain.0);
        }
        // The detectors hear the sound before the gain, which follows from what they say: what has
        // been heard before must not change what counts as speech or as a wake word now.
        let mic = power(near);
        let raised = self.input_gain.0.powi(2);
        let left = self.canceller.was_echo();
        let echo = self.playing().then_some(Echo { mic: mic * raised, erle, left });
        let (speech, voice) = self.vad.process(&block, echo);
        let wake = self.wake.feed(&block);
        self.gain.process(&mut block, heard(self.playing(), voice, speech));
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

    /// Whether the speaker plays, or the room still rings of it.
    pub fn playing(&self) -> bool {
        self.playing > 0
    }

    /// Whether the sound of the reference is used, and not only its level.
    pub fn listens(&self) -> bool {
        self.canceller.listens()
    }

    /// Another microphone is heard from now on.
    pub fn moved(&mut self) {
        self.canceller.moved();
    }

    /// How much later than its input the cleaned sound comes out.
    pub fn delay(&self) -> Duration {
        self.canceller.delay()
    }

    /// By how much the echo falls behind its reference, as a part of time.
    pub fn drift(&self) -> f64 {
        self.canceller.drift()
    }

    /// Says what is known of the way from the speaker to the microphone, `lead` being how much earlier
    /// the reference is read.
    pub fn know(&mut self, known: &Known, lead: Duration) {
        if let Some(delay) = known.delay {
            let samples = BLOCK_RATE.frames(delay + lead);
            self.canceller.expect(usize::try_from(samples).unwrap_or(usize::MAX) / BLOCK);
        }
        if let Some(path) = &known.path {
            self.canceller.know(path);
        }
    }

    /// How the room answers, if that is worth keeping.
    pub fn path(&mut self) -> Option<&EchoPath> {
        self.canceller.path()
    }

    /// The wake word of the last score.
    pub fn word(&self) -> &str {
        self.wake.word()
    }

    /// Forgets everything: a stream began anew.
    pub fn reset(&mut self) {
        self.canceller.reset();
        self.vad.reset();
        self.wake.reset();
        self.gain.reset();
        self.playing = 0;
    }
}

/// What the gain control is told of a block.
fn heard(playing: bool, voice: Voice, speech: Score) -> Heard {
    match voice {
        _ if playing => Heard::Other,
        Voice::Talking if speech.0 >= SPEECH => Heard::Speech,
        Voice::Quiet => Heard::Rest,
        Voice::Talking | Voice::Maybe | Voice::Likely => Heard::Other,
    }
}

/// Mean power of a block.
fn power(block: &Block) -> f32 {
    let count = BLOCK as f32;
    block.0.iter().map(|x| x * x).sum::<f32>() / count
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(echo: Level, noise: Level, gain: Level) -> Options {
        Options {
            echo_cancellation: echo,
            noise_suppression: noise,
            gain_control: gain,
            ..Options::default()
        }
    }

    /// Noise of this amplitude.
    fn hiss(seed: &mut u32, size: f32) -> Block {
        Block(std::array::from_fn(|_| {
            *seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            size * ((*seed >> 8) as f32 / 8_388_608.0 - 1.0)
        }))
    }

    #[test]
    fn with_everything_off_sound_passes_at_once_and_untouched() {
        let mut front = FrontEnd::new(&options(Level::Off, Level::Off, Level::Off));
        assert_eq!(front.delay(), Duration::ZERO);
        let mut seed = 1;
        for _ in 0..50 {
            let near = hiss(&mut seed, 1.5);
            let far = hiss(&mut seed, 0.1);
            assert_eq!(front.process(&near, &far, Moment::from_millis(1000)).block, near);
        }
    }

    #[test]
    fn noise_is_lowered_with_and_without_a_canceller() {
        for echo in [Level::Auto, Level::Off] {
            let mut front = FrontEnd::new(&options(echo, Level::Medium, Level::Auto));
            assert_eq!(front.delay(), Duration::from_millis(10));
            let (mut seed, mut last) = (1, Db::SILENCE);
            for _ in 0..100 {
                let near = hiss(&mut seed, 0.01);
                let out = front.process(&near, &Block::SILENCE, Moment::from_millis(1000));
                assert!((out.mic.0 + 44.8).abs() < 1.5, "the microphone's own level: {}", out.mic);
                last = Db::from_power(power(&out.block));
            }
            assert!((-60.0..-54.0).contains(&last.0), "{echo:?}: {last}");
        }
    }

    #[test]
    fn silence_stays_silence_and_nonsense_a_number() {
        let mut front = FrontEnd::new(&Options::default());
        let at = Moment::from_millis(1000);
        for _ in 0..100 {
            let out = front.process(&Block::SILENCE, &Block::SILENCE, at);
            assert_eq!(out.block, Block::SILENCE);
        }
        let wild = [f32::NAN, f32::INFINITY, -1e30, 1e-40, 4.0, 0.0];
        for k in 0..300 {
            let pick = |by: usize| Block(std::array::from_fn(|i| wild[(i * by + k) % wild.len()]));
            let far = if k % 3 == 0 { pick(5) } else { Block::SILENCE };
            let out = front.process(&pick(7), &far, at);
            assert!(out.block.0.iter().all(|x| x.is_finite() && x.abs() <= 0.892));
        }
    }

    #[test]
    fn it_plays_until_a_late_echo_has_rung_out() {
        let played = |delay: Option<Duration>| {
            let mut front = FrontEnd::new(&Options::default());
            front.know(&Known { delay, path: None }, Duration::ZERO);
            let mut hear = |far: &Block| {
                front.process(&Block::SILENCE, far, Moment::from_millis(1000));
                front.playing()
            };
            assert!(hear(&hiss(&mut 1, 0.1)));
            (0..200).take_while(|_| hear(&Block::SILENCE)).count() as u32 + 1
        };
        assert_eq!(played(None), PLAYING_HOLD);
        // The canceller begins a block before the echo.
        assert_eq!(played(Some(Duration::from_millis(180))), PLAYING_HOLD + 17);
    }

    #[test]
    fn the_gain_follows_blocks_of_speech_and_no_echo() {
        let talks = |playing, score| heard(playing, Voice::Talking, Score(score));
        assert_eq!(talks(false, 0.9), Heard::Speech);
        assert_eq!(talks(true, 0.9), Heard::Other);
        assert_eq!(talks(false, 0.1), Heard::Other, "a hang-over, or what is left of an echo");
        assert_eq!(heard(false, Voice::Quiet, Score(0.9)), Heard::Rest);
    }

    #[test]
    fn a_boards_gain_raises_what_is_heard_but_not_the_meter() {
        let plain = options(Level::Off, Level::Off, Level::Off);
        let mut front = FrontEnd::new(&Options { input_gain: Db(20.0), ..plain });
        let near = hiss(&mut 1, 0.01);
        let out = front.process(&near, &Block::SILENCE, Moment::from_millis(1000));
        assert!((Db::from_power(power(&out.block)).0 - out.mic.0 - 20.0).abs() < 0.01);
        assert!((out.mic.0 + 44.8).abs() < 1.5);
    }
}
