//! DOOR earshot: voice activity, with hysteresis and hang-over.
//!
//! The detector scores frames of 16 ms; blocks are 10 ms, so samples pass through a small buffer.
//! Its figures at a threshold of 0.5, and why it is raised while the speaker plays: residual echo
//! scores like faint speech.

use crate::base::event::Voice;
use crate::base::pcm::{BLOCK, Block};
use crate::base::unit::Score;

/// Samples the detector wants at once: 16 ms at 16 kHz, fixed by its model.
const FRAME: usize = 256;
/// Score that counts as speech while the speaker is silent.
const THRESHOLD_IDLE: f32 = 0.5;
/// Score that counts as speech while the speaker plays.
const THRESHOLD_PLAYING: f32 = 0.65;
/// Frames looked back at for a decision: 240 ms.
const WINDOW: u32 = 15;
/// Of these, so many make [`Voice::Maybe`]: 80 ms of speech.
const MAYBE: u32 = 5;
/// Of these, so many make [`Voice::Talking`]: 160 ms of speech.
const TALKING: u32 = 10;
/// Frames that must (nearly) all be silent before it is quiet again: 27 frames with at most
/// [`STRAY`] hits are 400 ms after the end of speech.
const HANG: u32 = 27;
/// Hits in [`HANG`] frames that are taken for noise; without it a click now and then would hold
/// the decision for ever.
const STRAY: u32 = 2;

/// Decides whether somebody speaks.
pub struct Vad {
    detector: Box<earshot::Detector>,
    frame: [f32; FRAME],
    filled: usize,
    score: f32,
    /// One bit a frame, newest lowest: whether it scored as speech.
    hits: u32,
    voice: Voice,
}

impl std::fmt::Debug for Vad {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vad").field("score", &self.score).field("voice", &self.voice).finish()
    }
}

impl Default for Vad {
    fn default() -> Self {
        Self::new()
    }
}

impl Vad {
    /// A detector that has heard nothing.
    pub fn new() -> Self {
        Self {
            detector: Box::default(),
            frame: [0.0; FRAME],
            filled: 0,
            score: 0.0,
            hits: 0,
            voice: Voice::Quiet,
        }
    }

    /// Takes the next block; `playing` says whether the speaker is audible. The score is that of
    /// the newest whole frame.
    pub fn process(&mut self, block: &Block, playing: bool) -> (Score, Voice) {
        for &sample in &block.0 {
            // The model is trained on samples that a card can deliver.
            self.frame[self.filled] = sample.clamp(-1.0, 1.0);
            self.filled += 1;
            if self.filled == FRAME {
                self.filled = 0;
                self.score = self.detector.predict_f32(&self.frame).clamp(0.0, 1.0);
                let threshold = if playing { THRESHOLD_PLAYING } else { THRESHOLD_IDLE };
                self.voice = self.decide(self.score >= threshold);
            }
        }
        (Score(self.score), self.voice)
    }

    /// Forgets what was heard.
    pub fn reset(&mut self) {
        self.detector.reset();
        self.filled = 0;
        self.score = 0.0;
        self.hits = 0;
        self.voice = Voice::Quiet;
    }

    fn decide(&mut self, hit: bool) -> Voice {
        self.hits = self.hits << 1 | u32::from(hit);
        let recent = (self.hits & ((1 << WINDOW) - 1)).count_ones();
        if recent >= TALKING {
            return Voice::Talking;
        }
        let quiet = (self.hits & ((1 << HANG) - 1)).count_ones() <= STRAY;
        match self.voice {
            _ if quiet => Voice::Quiet,
            Voice::Quiet if recent >= MAYBE => Voice::Maybe,
            Voice::Quiet => Voice::Quiet,
            Voice::Maybe => Voice::Maybe,
            Voice::Talking => Voice::Talking,
        }
    }
}

// The mask of the longest look-back must fit the history, and a frame is longer than a block.
const _: () = assert!(HANG < u32::BITS && WINDOW <= HANG && FRAME > BLOCK);

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(vad: &mut Vad, hit: bool, count: u32) -> Voice {
        for _ in 0..count {
            vad.voice = vad.decide(hit);
        }
        vad.voice
    }

    #[test]
    fn speech_starts_in_two_steps_and_ends_after_the_hang_over() {
        let mut vad = Vad::new();
        assert_eq!(frames(&mut vad, true, 4), Voice::Quiet);
        assert_eq!(frames(&mut vad, true, 1), Voice::Maybe);
        assert_eq!(frames(&mut vad, true, 4), Voice::Maybe);
        assert_eq!(frames(&mut vad, true, 1), Voice::Talking);
        // 24 frames are 384 ms, 25 are 400.
        assert_eq!(frames(&mut vad, true, 30), Voice::Talking);
        assert_eq!(frames(&mut vad, false, 24), Voice::Talking);
        assert_eq!(frames(&mut vad, false, 1), Voice::Quiet);
    }

    #[test]
    fn a_pause_between_words_does_not_end_it() {
        let mut vad = Vad::new();
        frames(&mut vad, true, 20);
        for _ in 0..10 {
            assert_eq!(frames(&mut vad, false, 15), Voice::Talking);
            assert_eq!(frames(&mut vad, true, 5), Voice::Talking);
        }
    }

    #[test]
    fn a_first_sign_that_comes_to_nothing_goes_away() {
        let mut vad = Vad::new();
        assert_eq!(frames(&mut vad, true, 6), Voice::Maybe);
        assert_eq!(frames(&mut vad, false, 25), Voice::Quiet);
    }

    #[test]
    fn stray_frames_do_not_hold_it() {
        let mut vad = Vad::new();
        frames(&mut vad, true, 20);
        frames(&mut vad, false, 10);
        frames(&mut vad, true, 1);
        assert_eq!(frames(&mut vad, false, 16), Voice::Quiet);
    }

    #[test]
    fn noise_and_silence_are_not_speech_and_nonsense_has_a_score() {
        let mut vad = Vad::new();
        let mut seed = 1u32;
        for round in 0..300 {
            let mut block = Block::SILENCE;
            if round > 100 {
                for x in &mut block.0 {
                    seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    *x = (seed >> 16) as f32 / 32_768.0 - 1.0;
                    *x *= if round > 200 { 5.0 } else { 0.01 };
                }
            }
            let (score, voice) = vad.process(&block, false);
            assert!(round > 200 || voice == Voice::Quiet, "block {round}");
            assert!((0.0..=1.0).contains(&score.0));
        }
    }
}
