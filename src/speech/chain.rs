//! Both sides' periods in, judged blocks out: what the thread and the files have in common.

use super::align::Reference;
use super::echo::EchoPath;
use super::intake::{Intake, Piece, Side};
use super::sides::Sides;
use super::tape::Tape;
use super::{FrontEnd, Known, Options};
use crate::base::event::Near;
use crate::base::pcm::{BLOCK, BLOCK_RATE, Block};
use crate::base::ring::PeriodHead;
use crate::base::unit::Moment;
use std::time::Duration;

/// By how much the reference is ahead of the microphone when both meet. A canceller cannot look
/// into the future, and pairing by stamps is no better than 2 ms.
pub(super) const LEAD: Duration = Duration::from_millis(3);

/// The front end with everything before it.
#[derive(Debug)]
pub struct Chain {
    near: Intake,
    far: Intake,
    stage: Stage,
    reference: Reference,
}

/// Cuts the near end into blocks and judges them.
#[derive(Debug)]
struct Stage {
    front: FrontEnd,
    block: Block,
    filled: usize,
    /// When the first sample of `block` was at the microphone.
    at: Moment,
    /// Samples in the blocks handed on since the stream began.
    index: u64,
    /// A recording under way.
    tape: Option<Tape>,
}

impl Chain {
    /// A chain that has heard nothing.
    pub fn new(options: &Options) -> Self {
        let front = FrontEnd::new(options);
        Self {
            near: Intake::new(Side::Near(options.channel)),
            far: Intake::new(if front.listens() { Side::Far } else { Side::Level }),
            stage: Stage {
                front,
                block: Block::SILENCE,
                filled: 0,
                at: Moment::ZERO,
                index: 0,
                tape: None,
            },
            reference: Reference::new(),
        }
    }

    /// Takes a period of the reference. Give it before the microphone's of the same time.
    pub fn far(&mut self, head: &PeriodHead, samples: &[f32]) {
        if let Some(sides) = self.stage.sides() {
            sides.far(head, samples);
        }
        let reference = &mut self.reference;
        self.far.period(head, samples, &mut |piece| match piece {
            Piece::Restart => reference.restart(),
            Piece::Moved => {}
            Piece::Sound { at, samples } => reference.push(at, samples),
        });
    }

    /// Takes a period of the microphone and hands on the blocks it completes. Allocates only when
    /// a stream begins.
    pub fn near(&mut self, head: &PeriodHead, samples: &[f32], each: &mut dyn FnMut(Near)) {
        let Self { near, stage, reference, .. } = self;
        if let Some(sides) = stage.sides() {
            sides.near(head, samples);
        }
        near.hold(stage.front.playing());
        near.period(head, samples, &mut |piece| match piece {
            Piece::Restart => {
                stage.restart();
                reference.realign();
            }
            Piece::Moved => stage.front.moved(),
            Piece::Sound { at, samples } => stage.sound(at, samples, reference, each),
        });
    }

    /// Says what is known of the device. Best before the first sound: what has been learned since is
    /// not given up for it.
    pub fn know(&mut self, known: &Known) {
        self.stage.front.know(known, LEAD);
    }

    /// How the room answers, if that is worth keeping.
    pub fn path(&mut self) -> Option<&EchoPath> {
        self.stage.front.path()
    }

    /// Records from the next block on.
    pub fn record(&mut self, mut tape: Tape) {
        // The count so far, until it is given back.
        tape.clipped = self.clipped();
        self.stage.tape = Some(tape);
    }

    /// Gives back a tape that is full; or `now`, however much is on it.
    pub fn eject(&mut self, now: bool) -> Option<Tape> {
        let mut tape = self.stage.tape.take_if(|tape| now || tape.is_full())?;
        tape.clipped = self.clipped() - tape.clipped;
        Some(tape)
    }

    /// How much later than the microphone the cleaned sound is; known from the first period on.
    pub fn delay(&self) -> Duration {
        self.near.delay() + self.stage.front.delay()
    }

    /// The wake word of the last score.
    pub fn word(&self) -> &str {
        self.stage.front.word()
    }

    /// Samples of either side that were not a number and became silence.
    pub fn replaced(&self) -> u64 {
        self.near.replaced() + self.far.replaced()
    }

    /// Periods of either side of a shape no card has.
    pub fn refused(&self) -> u64 {
        self.near.refused() + self.far.refused()
    }

    /// Samples of the microphone at full scale.
    pub fn clipped(&self) -> u64 {
        self.near.clipped()
    }
}

impl Stage {
    /// Where both sides are kept as they come.
    fn sides(&mut self) -> Option<&mut Sides> {
        self.tape.as_mut()?.sides.as_mut()
    }

    fn restart(&mut self) {
        self.front.reset();
        self.filled = 0;
        self.index = 0;
    }

    fn sound(
        &mut self,
        at: Moment,
        samples: &[f32],
        reference: &mut Reference,
        each: &mut dyn FnMut(Near),
    ) {
        for (i, &sample) in samples.iter().enumerate() {
            if self.filled == 0 {
                self.at = at + BLOCK_RATE.span(i as u64);
            }
            self.block.0[self.filled] = sample;
            self.filled += 1;
            if self.filled == BLOCK {
                self.filled = 0;
                let far = reference.block(self.index, self.at + LEAD, self.front.drift());
                let mut near = self.front.process(&self.block, &far, self.at);
                if let Some(tape) = &mut self.tape {
                    tape.block(&self.block, &mut near);
                }
                each(near);
                self.index += BLOCK as u64;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::unit::{Db, Rate};
    use crate::speech::Level;
    use assert_no_alloc::assert_no_alloc;

    fn head(at_us: u64, frames: usize, rate: u32, channels: u16) -> PeriodHead {
        PeriodHead {
            at: Moment::from_micros(at_us),
            moved: Moment::from_micros(at_us),
            position: 0,
            gap: 0,
            frames: frames as u32,
            rate: Rate(rate),
            channels,
            stream: 0,
        }
    }

    /// Without canceller and noise suppression, whose delay is of no matter here.
    fn plain() -> Options {
        Options {
            echo_cancellation: Level::Off,
            noise_suppression: Level::Off,
            ..Options::default()
        }
    }

    fn tone(rate: u32, from: usize, count: usize) -> Vec<f32> {
        let w = std::f64::consts::TAU * 1000.0 / f64::from(rate);
        (from..from + count).map(|i| (0.5 * (w * i as f64).sin()) as f32).collect()
    }

    /// Runs `periods` of 10 ms from 1 s on; `head` and sound of each by `make`.
    fn run(
        chain: &mut Chain,
        periods: usize,
        mut make: impl FnMut(usize) -> (PeriodHead, Vec<f32>),
    ) -> Vec<Near> {
        let mut out = Vec::new();
        for k in 0..periods {
            let (head, samples) = make(k);
            chain.near(&head, &samples, &mut |near| out.push(near));
        }
        out
    }

    #[test]
    fn blocks_carry_the_time_of_their_first_sample() {
        for (rate, frames) in [(16_000, 160), (48_000, 480), (44_100, 441), (8_000, 80)] {
            let mut chain = Chain::new(&Options::default());
            // A click 0.5 s after the first sample.
            let click = rate as usize / 2;
            let blocks = run(&mut chain, 100, |k| {
                let mut samples = vec![0.0; frames];
                if (k * frames..(k + 1) * frames).contains(&click) {
                    samples[click - k * frames] = 0.9;
                }
                (head(1_000_000 + k as u64 * 10_000, frames, rate, 1), samples)
            });
            let mut best = (0.0, 0.0);
            for near in &blocks {
                for (i, x) in near.block.0.iter().enumerate() {
                    if x.abs() > best.0 {
                        best = (x.abs(), near.at.micros() as f64 + i as f64 * 62.5);
                    }
                }
            }
            // A sample at 8 kHz is 125 us, at 16 kHz 62.5.
            assert!((best.1 - 1_500_000.0).abs() <= 130.0, "{rate}: {}", best.1);
            for pair in blocks.windows(2) {
                let step = pair[1].at.since(pair[0].at).as_micros();
                assert!((9_990..=10_010).contains(&step), "{rate}: {step}");
            }
        }
    }

    #[test]
    fn jitter_of_the_stamps_is_smoothed() {
        let mut chain = Chain::new(&plain());
        let mut seed = 1u32;
        let blocks = run(&mut chain, 500, |k| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let jitter = u64::from(seed >> 16) % 4000;
            (head(1_000_000 + k as u64 * 10_000 + jitter, 160, 16_000, 1), vec![0.0; 160])
        });
        for (k, near) in blocks.iter().enumerate().skip(100) {
            let error = near.at.micros() as f64 - (1_002_000 + k as u64 * 10_000) as f64;
            assert!(error.abs() < 800.0, "block {k} is {error} us off");
        }
    }

    #[test]
    fn a_gap_becomes_that_much_silence() {
        let mut chain = Chain::new(&plain());
        // Periods 50..53 are lost: the next one says so.
        let blocks = run(&mut chain, 97, |k| {
            let k = if k < 50 { k } else { k + 3 };
            let mut head = head(1_000_000 + k as u64 * 10_000, 480, 48_000, 1);
            head.gap = if k == 53 { 3 * 480 } else { 0 };
            (head, tone(48_000, k * 480, 480))
        });
        assert_eq!(blocks.len(), 100);
        for (k, near) in blocks.iter().enumerate() {
            let expected = 999_000 + k as u64 * 10_000;
            assert!(near.at.micros().abs_diff(expected) < 100, "block {k} at {}", near.at);
            match k {
                51 | 52 => assert!(near.mic < Db(-60.0), "block {k}: {}", near.mic),
                5..=49 | 54.. => {
                    assert!((near.mic.0 + 9.03).abs() < 0.2, "block {k}: {}", near.mic)
                }
                _ => {}
            }
        }
    }

    #[test]
    fn a_loss_of_many_seconds_is_a_new_beginning() {
        let mut chain = Chain::new(&plain());
        let blocks = run(&mut chain, 2, |k| {
            let mut head = head(1_000_000 + k as u64 * 3_600_000_000, 160, 16_000, 1);
            head.gap = if k == 1 { 160 * 360_000 } else { 0 };
            (head, vec![0.1; 160])
        });
        assert_eq!(blocks.len(), 2, "an hour is not filled with silence");
        assert_eq!(blocks[1].at.micros(), 3_601_000_000);
    }

    #[test]
    fn a_new_stream_may_have_another_shape() {
        let mut chain = Chain::new(&plain());
        let before = run(&mut chain, 10, |k| {
            // Half a block is left over.
            let frames = if k == 9 { 560 } else { 480 };
            (head(1_000_000 + k as u64 * 10_000, frames, 48_000, 2), vec![0.5; frames * 2])
        });
        let after = run(&mut chain, 10, |k| {
            let mut head = head(9_000_000 + k as u64 * 10_000, 160, 16_000, 1);
            head.stream = 1;
            (head, tone(16_000, k * 160, 160))
        });
        assert_eq!((before.len(), after.len()), (10, 10));
        assert_eq!(after[0].at.micros(), 9_000_000);
        assert!((after[5].mic.0 + 9.03).abs() < 0.2);
    }

    #[test]
    fn what_is_not_a_number_becomes_silence_and_is_counted() {
        let mut chain = Chain::new(&Options::default());
        let wild = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, -0.0, 1e-40];
        let mut expected = 0;
        let blocks = run(&mut chain, 50, |k| {
            let samples: Vec<f32> = (0..960).map(|i| wild[(i * 7 + k) % wild.len()]).collect();
            expected += samples.iter().filter(|x| !x.is_finite()).count() as u64;
            (head(1_000_000 + k as u64 * 10_000, 480, 48_000, 2), samples)
        });
        assert_eq!(chain.replaced(), expected);
        for near in &blocks {
            assert!(near.block.0.iter().all(|x| x.is_finite()));
            assert!(near.mic.0.is_finite() && near.speech.0.is_finite());
        }
    }

    #[test]
    fn shapes_no_card_has_are_refused() {
        let mut chain = Chain::new(&plain());
        for (rate, channels) in [(0, 1), (100, 1), (16_000, 0), (1_000_000, 1)] {
            let blocks = run(&mut chain, 3, |_| (head(0, 0, rate, channels), Vec::new()));
            assert!(blocks.is_empty());
        }
        assert_eq!(chain.refused(), 12);
    }

    #[test]
    fn the_reference_of_the_same_time_is_paired() {
        let cancels = Options { noise_suppression: Level::Off, ..Options::default() };
        // Heard by a canceller, which is late by a block, or for its level alone.
        for (options, late) in [(cancels, 10), (plain(), 0)] {
            let mut chain = Chain::new(&options);
            // The speaker sounds from 1.5 s to 1.6 s; its periods come 30 ms before they are
            // audible, at another rate and with two channels.
            let mut blocks = Vec::new();
            for k in 0..100 {
                let at = 1_000_000 + k as u64 * 10_000;
                let ahead = k + 3;
                let amplitude = if (50..60).contains(&ahead) { 0.5 } else { 0.0 };
                chain.far(&head(at + 30_000, 441, 44_100, 2), &[amplitude; 882]);
                let near = head(at, 480, 48_000, 1);
                chain.near(&near, &[0.0; 480], &mut |near| blocks.push(near));
            }
            for near in blocks {
                let ms = near.at.millis() + late;
                match ms {
                    // A transition takes as long as the resampler's filter.
                    1_505..1_585 => assert!((near.far.0 + 6.0).abs() < 0.3, "{ms}: {}", near.far),
                    0..1_480 | 1_610.. => assert!(near.far < Db(-60.0), "{ms}: {}", near.far),
                    _ => {}
                }
            }
        }
    }

    #[test]
    fn a_microphone_that_falls_silent_is_left() {
        let mut chain = Chain::new(&plain());
        let blocks = run(&mut chain, 200, |k| {
            let sound = tone(48_000, k * 480, 480);
            let other = |x: f32| if k < 100 { [x, 0.5 * x] } else { [0.0, 0.5 * x] };
            (
                head(1_000_000 + k as u64 * 10_000, 480, 48_000, 2),
                sound.into_iter().flat_map(other).collect(),
            )
        });
        assert!((blocks[90].mic.0 + 9.03).abs() < 0.2, "{}", blocks[90].mic);
        assert!((blocks[150].mic.0 + 15.05).abs() < 0.2, "{}", blocks[150].mic);
    }

    #[test]
    fn steady_state_never_allocates() {
        for (rate, channels) in [(48_000, 2), (44_100, 1), (16_000, 8)] {
            let mut chain = Chain::new(&Options::default());
            let frames = rate as usize / 100;
            let samples = vec![0.1; frames * usize::from(channels)];
            let period = |k: u64| head(1_000_000 + k * 10_000, frames, rate, channels);
            chain.far(&period(0), &samples);
            chain.near(&period(0), &samples, &mut |_| {});
            let mut count = 0;
            assert_no_alloc(|| {
                for k in 1..100 {
                    let mut period = period(k);
                    period.gap = if k == 50 { frames as u32 } else { 0 };
                    chain.far(&period, &samples);
                    chain.near(&period, &samples, &mut |_| count += 1);
                }
            });
            assert!((98..=100).contains(&count), "{rate}: {count}");
        }
    }
}
