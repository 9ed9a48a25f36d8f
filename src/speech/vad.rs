//! DOOR earshot: voice activity, with hysteresis and hang-over.
//!
//! The detector scores frames of 16 ms; blocks are 10 ms, so samples pass through a small buffer.
//! Music scores like speech, but has no pauses: what goes on for long is listened to more closely.
//! Its figures at a threshold of 0.5, and why it is raised while the speaker plays: residual echo
//! scores like faint speech. While the speaker plays, three things more are asked of speech, because
//! a reply is at stake: that it is louder than what the canceller usually leaves, that the canceller
//! does not find it to be echo a moment later, and vowels: pitch for [`Voice::Likely`], vowels for
//! [`Voice::Talking`].

use super::power;
use super::vowel::Vowels;
use crate::base::event::Voice;
use crate::base::pcm::{BLOCK, Block};
use crate::base::unit::{Db, Score};

/// Samples the detector wants at once: 16 ms at 16 kHz, fixed by its model.
const FRAME: usize = 256;
/// Frames looked back at for a first sign: 240 ms.
const WINDOW: u32 = 15;
/// Of these, so many make [`Voice::Maybe`]: 80 ms of speech.
const MAYBE: u32 = 5;

/// What is asked of frames before they are speech.
struct Asks {
    /// From this score on a frame is a hit.
    score: f32,
    /// Frames looked back at for [`Voice::Talking`] ...
    window: u32,
    /// ... and hits among them.
    talking: u32,
    /// Frames that must (nearly) all be silent before it is quiet again ...
    hang: u32,
    /// ... and hits among them that are taken for noise; without it a click now and then would hold
    /// the decision for ever.
    stray: u32,
}

/// While the speaker is silent: 160 ms of speech, and 400 ms after its end.
const IDLE: Asks = Asks { score: 0.5, window: WINDOW, talking: 10, hang: 27, stray: 2 };
/// While it plays: a short call is half closures, so 320 ms are looked back at.
const PLAYING: Asks = Asks { score: 0.6, window: 20, ..IDLE };
/// While what could be speech goes on and on: half the frames of speech over music have this score,
/// one in twenty of music alone.
const BUSY: Asks = Asks { score: 0.9, talking: 8, hang: 35, stray: 3, ..IDLE };
/// Rate at which it is learnt, frame by frame, how much of what is heard could be speech: 6.4 s.
const BUSY_FOLLOW: f32 = 0.0025;
/// Share from which that is too much, 15 s without a pause, and to which it falls before that is
/// over: two seconds of silence.
const BUSY_FROM: f32 = 0.9;
const BUSY_TO: f32 = 0.7;

/// Score from which a vowel is looked for: the detector is sure of a short one when it is over.
const VOWEL: f32 = 0.35;
/// Score that coughs hardly reach, and frames looked back at for it, 400 ms.
const CLEAR: f32 = 0.9;
const CLEAR_WINDOW: u32 = 25;
/// Frames of speech without vowels, a whisper, that are believed: so many in the last second. Coughs
/// have pauses, which the detector does not always see, and breath is shorter.
const WHISPER: u32 = 54;
/// Frames of a second.
const SECOND: u32 = 62;
/// Echo attenuation from which it says how loud the residual can be.
const TRUSTED: f32 = 15.0;
/// Share of the usual attenuation, in decibels, that speech stays below: 40 dB make a bar 10 dB
/// over the residual, 20 dB, which noise limits, one of 5.
const USUAL: f32 = 0.75;
/// Rate at which the levels for that follow: 50 ms.
const FOLLOW: f32 = 0.2;

/// What is known of the echo of a speaker that is audible.
#[derive(Debug, Clone, Copy)]
pub struct Echo {
    /// Mean power of the microphone before the canceller.
    pub mic: f32,
    /// The usual attenuation.
    pub erle: Db,
    /// Whether what was left in the last blocks was echo after all.
    pub left: bool,
}

/// What the vowels of late prove.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Proof {
    Missing,
    Nearly,
    Enough,
    /// Nothing is played: speech need not prove itself.
    Unasked,
}

/// Decides whether somebody speaks.
pub struct Vad {
    detector: Box<earshot::Detector>,
    frame: [f32; FRAME],
    filled: usize,
    score: f32,
    /// One bit a frame, newest lowest: whether it scored as speech.
    hits: u64,
    /// The same of frames that were clearly speech.
    clear: u64,
    /// Share of frames that could be speech.
    share: f32,
    /// Whether there are too many of them.
    busy: bool,
    voice: Voice,
    vowels: Vowels,
    /// Mean power before and behind the canceller, of late.
    levels: [f32; 2],
    trusted: bool,
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
            clear: 0,
            share: 0.0,
            busy: false,
            voice: Voice::Quiet,
            vowels: Vowels::new(),
            levels: [0.0; 2],
            trusted: false,
        }
    }

    /// Takes the next block; `echo` while the speaker is audible. The score is that of the newest
    /// whole frame.
    pub fn process(&mut self, block: &Block, echo: Option<Echo>) -> (Score, Voice) {
        self.vowels.process(block, self.score >= VOWEL);
        let stands_out = self.stands_out(block, echo);
        for &sample in &block.0 {
            // The model is trained on samples that a card can deliver.
            self.frame[self.filled] = sample.clamp(-1.0, 1.0);
            self.filled += 1;
            if self.filled == FRAME {
                self.filled = 0;
                self.score = self.detector.predict_f32(&self.frame).clamp(0.0, 1.0);
                let asks = match echo {
                    Some(_) => &PLAYING,
                    None if self.is_busy() => &BUSY,
                    None => &IDLE,
                };
                let hit = self.score >= asks.score && stands_out;
                self.clear = self.clear << 1 | u64::from(self.score >= CLEAR);
                let clear = of_last(self.clear, CLEAR_WINDOW);
                let proof = match echo {
                    None => Proof::Unasked,
                    Some(_) if self.vowels.enough(clear) => Proof::Enough,
                    Some(_) if self.vowels.nearly_enough(clear) => Proof::Nearly,
                    Some(_) => Proof::Missing,
                };
                self.voice = self.decide(hit, asks, proof);
            }
        }
        (Score(self.score), self.voice)
    }

    /// Whether what could be speech has gone on for longer than anybody speaks without a pause.
    fn is_busy(&mut self) -> bool {
        let could = if self.score >= IDLE.score { 1.0 } else { 0.0 };
        self.share += BUSY_FOLLOW * (could - self.share);
        self.busy = self.share > if self.busy { BUSY_TO } else { BUSY_FROM };
        self.busy
    }

    /// Whether more comes out than what is left of the echo.
    fn stands_out(&mut self, block: &Block, echo: Option<Echo>) -> bool {
        let Some(echo) = echo else { return true };
        for (level, now) in self.levels.iter_mut().zip([echo.mic, power(block)]) {
            *level += FOLLOW * (now - *level);
        }
        let trusted = echo.erle.0 >= TRUSTED;
        if trusted && !self.trusted {
            // What was taken for speech may have been echo: it is decided anew.
            self.hits = 0;
            self.vowels.forget();
            self.voice = Voice::Quiet;
        }
        self.trusted = trusted;
        let [before, behind] = self.levels;
        !echo.left && (!trusted || before < behind * 10f32.powf(0.1 * USUAL * echo.erle.0))
    }

    /// Forgets what was heard.
    pub fn reset(&mut self) {
        self.detector.reset();
        self.filled = 0;
        self.score = 0.0;
        self.hits = 0;
        self.clear = 0;
        self.share = 0.0;
        self.busy = false;
        self.voice = Voice::Quiet;
        self.vowels = Vowels::new();
        self.levels = [0.0; 2];
        self.trusted = false;
    }

    fn decide(&mut self, hit: bool, asks: &Asks, proof: Proof) -> Voice {
        self.hits = self.hits << 1 | u64::from(hit);
        let of_last = |frames: u32| of_last(self.hits, frames);
        let recent = of_last(WINDOW);
        let enough = of_last(asks.window) >= asks.talking;
        let sure = proof >= Proof::Enough || of_last(SECOND) >= WHISPER;
        if enough && sure {
            return Voice::Talking;
        }
        let quiet = of_last(asks.hang) <= asks.stray;
        match self.voice {
            _ if quiet => Voice::Quiet,
            Voice::Quiet | Voice::Maybe if enough && proof == Proof::Nearly => Voice::Likely,
            Voice::Quiet if recent >= MAYBE => Voice::Maybe,
            Voice::Quiet => Voice::Quiet,
            Voice::Maybe => Voice::Maybe,
            Voice::Likely => Voice::Likely,
            Voice::Talking => Voice::Talking,
        }
    }
}

fn of_last(bits: u64, frames: u32) -> u32 {
    (bits & ((1 << frames) - 1)).count_ones()
}

// The mask of the longest look-back must fit the history, and a frame is longer than a block.
const _: () = assert!(SECOND < u64::BITS && BUSY.hang < SECOND && FRAME > BLOCK);

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(vad: &mut Vad, hit: bool, count: u32) -> Voice {
        for _ in 0..count {
            vad.voice = vad.decide(hit, &IDLE, Proof::Unasked);
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
    fn without_vowels_it_takes_a_second() {
        let mut vad = Vad::new();
        let mut frames =
            |count| (0..count).map(|_| vad.decide(true, &PLAYING, Proof::Missing)).last();
        assert_ne!(frames(53), Some(Voice::Talking));
        assert_eq!(frames(1), Some(Voice::Talking));
    }

    #[test]
    fn with_few_vowels_it_is_likely_until_it_is_quiet() {
        let mut vad = Vad::new();
        let mut frames = |hit, proof, count| {
            for _ in 0..count {
                vad.voice = vad.decide(hit, &PLAYING, proof);
            }
            vad.voice
        };
        assert_eq!(frames(true, Proof::Missing, 9), Voice::Maybe);
        assert_eq!(frames(true, Proof::Nearly, 1), Voice::Likely);
        assert_eq!(frames(false, Proof::Missing, 10), Voice::Likely);
        assert_eq!(frames(true, Proof::Enough, 10), Voice::Talking);
        assert_eq!(frames(true, Proof::Nearly, 10), Voice::Talking);
        assert_eq!(frames(false, Proof::Nearly, 27), Voice::Quiet);
    }

    #[test]
    fn a_short_call_over_a_reply_may_have_a_closure() {
        let said = |asks: &Asks| {
            let mut vad = Vad::new();
            let call = [(true, 5), (false, 9), (true, 5)];
            let mut call = call.into_iter().flat_map(|(hit, count)| (0..count).map(move |_| hit));
            call.any(|hit| vad.decide(hit, asks, Proof::Unasked) == Voice::Talking)
        };
        assert!(said(&PLAYING) && !said(&IDLE));
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
    fn what_never_pauses_is_not_speech_for_long() {
        let mut vad = Vad::new();
        let mut hear = |score: f32, frames: u32| {
            for _ in 0..frames {
                vad.score = score;
                let asks = if vad.is_busy() { &BUSY } else { &IDLE };
                vad.voice = vad.decide(score >= asks.score, asks, Proof::Unasked);
            }
            vad.voice
        };
        // 14 s and 16 s of a chord.
        assert_eq!(hear(0.8, 875), Voice::Talking);
        assert_eq!(hear(0.8, 125), Voice::Quiet);
        // A clear voice over it.
        assert_eq!(hear(0.95, 10), Voice::Talking);
        assert_eq!(hear(0.8, 35), Voice::Quiet);
        // Three seconds of silence, and a person a little off.
        assert_eq!(hear(0.2, 190), Voice::Quiet);
        assert_eq!(hear(0.8, 10), Voice::Talking);
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
            let (score, voice) = vad.process(&block, None);
            assert!(round > 200 || voice == Voice::Quiet, "block {round}");
            assert!((0.0..=1.0).contains(&score.0));
        }
    }
}
