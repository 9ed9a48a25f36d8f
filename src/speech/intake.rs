//! From a card's periods to mono sound at 16 kHz with a time for every sample.
//!
//! The time axis stays true: lost frames become silence, and the time of a sample follows the
//! stamps of the card slowly, because a stamp carries the jitter of the scheduler while samples do
//! not.

use super::Channel;
use super::channel::{CHANNELS, Picker, mix};
use super::highpass::HighPass;
use crate::base::pcm::BLOCK_RATE;
use crate::base::ring::PeriodHead;
use crate::base::unit::{Moment, Rate};
use crate::dsp::resample::Resampler;
use std::time::Duration;

/// Rates a card may have; a period with another is dropped.
const RATES: std::ops::RangeInclusive<u32> = 8_000..=192_000;
/// Longest loss that is filled with silence; a longer one is a new beginning. 2 s is as much as
/// anything behind the front end looks back.
const GAP_MAX_S: u32 = 2;
/// Pieces in which sound passes the resampler, a second: 10 ms bound its buffers.
const PIECES_A_SECOND: u32 = 100;
/// Share of a stamp's deviation that is followed at once: averages over 16 periods.
const FOLLOW: f64 = 1.0 / 16.0;
/// Deviation of a stamp that is a jump, in microseconds: longer than any scheduling delay of a
/// healthy device, shorter than what a listener would call late.
const JUMP_US: f64 = 50_000.0;
/// Samples are kept within four times full scale: a float card may exceed 1 a little, and a wild
/// value must not overflow a sum of squares.
const WILD: f32 = 4.0;

/// From here on a converter has no more to say: the largest value of 16 bits, and of any more.
const FULL_SCALE: f32 = 32_766.5 / 32_768.0;

/// Which side a period is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The microphone: high-passed, one channel chosen.
    Near(Channel),
    /// The reference: the mean of its channels as it is.
    Far,
    /// The reference where nobody hears it: only its level is true.
    Level,
}

/// The shape the buffers are made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Shape {
    rate: Rate,
    channels: u16,
    stream: u32,
}

/// What depends on the shape.
struct Line {
    shape: Shape,
    filters: Vec<HighPass>,
    /// The channels of a piece, each by itself.
    lanes: Vec<Vec<f32>>,
    /// Of the near end.
    picker: Option<Picker>,
    resampler: Resampler,
    /// Frames into and samples out of the resampler since the beginning.
    taken: u64,
    given: u64,
    /// When the next frame from the card was (or will be) at the converter, in microseconds.
    next_us: Option<f64>,
}

/// One side's way from the card to 16 kHz.
pub struct Intake {
    side: Side,
    line: Option<Line>,
    mono: Vec<f32>,
    out: Vec<f32>,
    replaced: u64,
    refused: u64,
    clipped: u64,
}

impl std::fmt::Debug for Intake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Intake").field("side", &self.side).finish_non_exhaustive()
    }
}

/// What comes out of an [`Intake`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Piece<'a> {
    /// Nothing before this belongs to the same time axis.
    Restart,
    /// What comes now is heard by another channel.
    Moved,
    /// Sound at 16 kHz.
    Sound {
        /// When its first sample was at the converter.
        at: Moment,
        /// Mono.
        samples: &'a [f32],
    },
}

impl Intake {
    /// A side whose shape is not known yet: the first period tells.
    pub fn new(side: Side) -> Self {
        Self {
            side,
            line: None,
            mono: Vec::new(),
            out: Vec::new(),
            replaced: 0,
            refused: 0,
            clipped: 0,
        }
    }

    /// Takes one period, its interleaved samples beside it, and hands on what came of it.
    /// Allocates only when the shape or the stream is a new one.
    pub fn period(&mut self, head: &PeriodHead, samples: &[f32], each: &mut dyn FnMut(Piece<'_>)) {
        let shape = Shape { rate: head.rate, channels: head.channels, stream: head.stream };
        if !RATES.contains(&shape.rate.0) || shape.channels == 0 {
            self.refused += 1;
            return;
        }
        let long = u64::from(head.gap) > u64::from(shape.rate.0) * u64::from(GAP_MAX_S);
        match &mut self.line {
            Some(line) if line.shape == shape => {
                if long {
                    line.restart();
                    each(Piece::Restart);
                }
            }
            Some(_) | None => {
                self.open(shape);
                each(Piece::Restart);
            }
        }
        let Some(line) = &mut self.line else { return };
        let us = 1e6 / f64::from(shape.rate.0);
        let stamp = head.at.micros() as f64;
        let gap = if line.next_us.is_none() || long { 0 } else { head.gap };
        let due = line.next_us.map(|next| next + f64::from(gap) * us);
        let start = match due {
            Some(due) if (stamp - due).abs() <= JUMP_US => due + (stamp - due) * FOLLOW,
            Some(_) | None => stamp,
        };
        let frames = samples.len() / usize::from(shape.channels);
        let piece = piece(shape.rate);
        let mut at = start - f64::from(gap) * us;
        let mut left = gap as usize;
        while left > 0 {
            let count = left.min(piece);
            self.mono.clear();
            self.mono.resize(count, 0.0);
            line.pass(at, &self.mono, &mut self.out, each);
            at += count_us(count, us);
            left -= count;
        }
        for part in samples.chunks(piece * usize::from(shape.channels)) {
            self.mono.clear();
            if matches!(self.side, Side::Near(_)) {
                self.clipped += part.iter().filter(|s| s.abs() >= FULL_SCALE).count() as u64;
            }
            line.fold(part, &mut self.mono, &mut self.replaced);
            if line.picker.as_mut().is_some_and(Picker::moved) {
                each(Piece::Moved);
            }
            line.pass(at, &self.mono, &mut self.out, each);
            at += count_us(self.mono.len(), us);
        }
        line.next_us = Some(start + count_us(frames, us));
    }

    /// Whether the speaker plays: what is heard then says nothing about channels.
    pub fn hold(&mut self, held: bool) {
        let picker = self.line.as_mut().and_then(|line| line.picker.as_mut());
        picker.into_iter().for_each(|picker| picker.hold(held));
    }

    /// How much later than its input the sound comes out; zero before the first period.
    pub fn delay(&self) -> Duration {
        self.line.as_ref().map_or(Duration::ZERO, |line| line.resampler.delay())
    }

    /// Samples that were not a number and became silence.
    pub fn replaced(&self) -> u64 {
        self.replaced
    }

    /// Periods of a shape no card has.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Samples of the microphone, of any channel, that were as large as they can be: most likely the
    /// sound was larger.
    pub fn clipped(&self) -> u64 {
        self.clipped
    }

    fn open(&mut self, shape: Shape) {
        let piece = piece(shape.rate);
        let channels = usize::from(shape.channels).min(CHANNELS);
        let (picker, filters) = match self.side {
            Side::Near(channel) => {
                (Some(Picker::new(channel, shape.channels, shape.rate)), channels)
            }
            Side::Far | Side::Level => (None, 0),
        };
        let resampler = match self.side {
            Side::Near(_) | Side::Far => Resampler::new(shape.rate, BLOCK_RATE, piece),
            Side::Level => Resampler::coarse(shape.rate, BLOCK_RATE),
        };
        self.mono.clear();
        self.mono.reserve(piece);
        self.out.clear();
        self.out.reserve(resampler.output_max(piece));
        self.line = Some(Line {
            shape,
            filters: vec![HighPass::new(shape.rate); filters],
            lanes: (0..channels).map(|_| Vec::with_capacity(piece)).collect(),
            picker,
            resampler,
            taken: 0,
            given: 0,
            next_us: None,
        });
    }
}

impl Line {
    /// What comes now has nothing to do with what came before.
    fn restart(&mut self) {
        self.resampler.reset();
        (self.taken, self.given, self.next_us) = (0, 0, None);
    }

    /// Interleaved to mono, cleaned of what is not a number. Channel by channel: a loop that looks
    /// at one of them is several times cheaper than one that looks at all in each frame.
    fn fold(&mut self, part: &[f32], mono: &mut Vec<f32>, replaced: &mut u64) {
        let frames = part.chunks_exact(usize::from(self.shape.channels));
        for (channel, lane) in self.lanes.iter_mut().enumerate() {
            lane.clear();
            match self.shape.channels {
                1 => lane.extend_from_slice(part),
                _ => lane.extend(frames.clone().map(|frame| frame[channel])),
            }
            if !lane.iter().fold(true, |all, sample| all & (sample.abs() <= WILD)) {
                *replaced += clean(lane);
            }
        }
        for (lane, filter) in self.lanes.iter_mut().zip(&mut self.filters) {
            filter.run(lane);
        }
        match &mut self.picker {
            Some(picker) => picker.pick(&self.lanes, mono),
            None => mix(self.lanes.iter().map(Vec::as_slice), mono),
        }
    }

    /// Resamples mono sound whose first sample was at the converter at `at_us`, and hands it on.
    fn pass(
        &mut self,
        at_us: f64,
        mono: &[f32],
        out: &mut Vec<f32>,
        each: &mut dyn FnMut(Piece<'_>),
    ) {
        out.clear();
        self.resampler.process(mono, out);
        let (taken, given) = (self.taken as f64, self.given as f64);
        // What the resampler still holds is older than what goes in now.
        let held_s = taken / f64::from(self.shape.rate.0) - given / f64::from(BLOCK_RATE.0);
        let first_us = at_us - (held_s + self.resampler.delay().as_secs_f64()) * 1e6;
        self.taken += mono.len() as u64;
        self.given += out.len() as u64;
        if !out.is_empty() {
            each(Piece::Sound { at: moment(first_us), samples: out });
        }
    }
}

/// Keeps samples within bounds, with silence for what is not a number; how many those were.
fn clean(samples: &mut [f32]) -> u64 {
    let mut replaced = 0;
    for sample in samples {
        replaced += u64::from(!sample.is_finite());
        *sample = if sample.is_finite() { sample.clamp(-WILD, WILD) } else { 0.0 };
    }
    replaced
}

/// Frames of a piece.
fn piece(rate: Rate) -> usize {
    (rate.0 / PIECES_A_SECOND).max(1) as usize
}

fn count_us(frames: usize, us: f64) -> f64 {
    frames as f64 * us
}

/// Rounded to the nearest microsecond; nothing is before the beginning.
pub(super) fn moment(us: f64) -> Moment {
    Moment::from_micros(us.max(0.0).round() as u64)
}
