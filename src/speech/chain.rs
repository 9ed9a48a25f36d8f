//! Both sides' periods in, judged blocks out: what the thread and the files have in common.

use super::align::Reference;
use super::intake::{Intake, Piece, Side};
use super::{FrontEnd, Options};
use crate::base::event::Near;
use crate::base::pcm::{BLOCK, BLOCK_RATE, Block};
use crate::base::ring::PeriodHead;
use crate::base::unit::Moment;
use std::time::Duration;

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
}

impl Chain {
    /// A chain that has heard nothing.
    pub fn new(options: &Options) -> Self {
        Self {
            near: Intake::new(Side::Near(options.channel)),
            far: Intake::new(Side::Far),
            stage: Stage {
                front: FrontEnd::new(options),
                block: Block::SILENCE,
                filled: 0,
                at: Moment::ZERO,
                index: 0,
            },
            reference: Reference::new(),
        }
    }

    /// Takes a period of the reference. Give it before the microphone's of the same time.
    pub fn far(&mut self, head: &PeriodHead, samples: &[f32]) {
        let reference = &mut self.reference;
        self.far.period(head, samples, &mut |piece| match piece {
            Piece::Restart => reference.restart(),
            Piece::Sound { at, samples } => reference.push(at, samples),
        });
    }

    /// Takes a period of the microphone and hands on the blocks it completes. Allocates only when
    /// a stream begins.
    pub fn near(&mut self, head: &PeriodHead, samples: &[f32], each: &mut dyn FnMut(Near)) {
        let Self { near, stage, reference, .. } = self;
        near.period(head, samples, &mut |piece| match piece {
            Piece::Restart => {
                stage.restart();
                reference.realign();
            }
            Piece::Sound { at, samples } => stage.sound(at, samples, reference, each),
        });
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
}

impl Stage {
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
                let far = reference.block(self.index, self.at);
                each(self.front.process(&self.block, &far, self.at));
                self.index += BLOCK as u64;
            }
        }
    }
}
