//! What playout holds for one shape of card.

use super::earcon::Chime;
use crate::base::unit::{Gain, Rate};
use crate::dsp::gain::{CEILING, Duck, Limiter, Ramp, samples};
use crate::dsp::meter;
use crate::dsp::resample::Resampler;
use std::time::Duration;

/// Working unit: longer periods of a card are worked off in pieces of this length.
const RUN: Duration = Duration::from_millis(20);

/// Everything whose size or speed follows from the card's shape.
pub(super) struct Shape {
    pub(super) rate: Rate,
    pub(super) channels: u16,
    pub(super) resampler: Resampler,
    /// Speech on its way into the resampler.
    pub(super) input: Vec<f32>,
    pub(super) input_max: usize,
    /// What came out and was not yet written.
    pub(super) pending: Vec<f32>,
    /// One run, mono: first speech, then what is written.
    pub(super) mono: Vec<f32>,
    pub(super) volume: Ramp,
    pub(super) duck: Duck,
    pub(super) limiter: Limiter,
    pub(super) chime: Chime,
}

impl Shape {
    /// Allocates all that playout needs for this shape.
    pub(super) fn new(from: Rate, rate: Rate, channels: u16, gain: Gain) -> Self {
        let run = samples(rate, RUN).max(1) as usize;
        let input_max = samples(from, RUN).max(1) as usize;
        let resampler = Resampler::new(from, rate, input_max);
        Self {
            rate,
            channels: channels.max(1),
            input: Vec::with_capacity(input_max),
            input_max,
            pending: Vec::with_capacity(run + 2 * resampler.output_max(input_max)),
            mono: vec![0.0; run],
            volume: Ramp::new(gain),
            duck: Duck::new(rate),
            limiter: Limiter::new(rate),
            chime: Chime::silent(rate),
            resampler,
        }
    }

    /// Mixes what is there while nothing changes: one gain, and no peak that must be limited. Whether
    /// it was so.
    pub(super) fn mix_steady(&mut self, frames: usize) -> bool {
        let (Some(volume), Some(duck)) = (self.volume.steady(), self.duck.steady()) else {
            return false;
        };
        let mono = &mut self.mono[..frames];
        let loud = meter::peak(mono) * duck * volume > CEILING;
        if loud || self.chime.is_playing() || !self.limiter.is_open() {
            return false;
        }
        mono.iter_mut().for_each(|sample| *sample = *sample * duck * volume);
        true
    }

    /// The mono run to the first two channels of `out`; what else is in it becomes silent.
    pub(super) fn deal(&self, out: &mut [f32]) {
        match self.channels {
            1 => out.iter_mut().zip(&self.mono).for_each(|(to, sample)| *to = *sample),
            2 => {
                let (frames, rest) = out.as_chunks_mut::<2>();
                frames.iter_mut().zip(&self.mono).for_each(|(to, sample)| *to = [*sample; 2]);
                rest.fill(0.0);
            }
            channels => {
                out.fill(0.0);
                let frames = out.chunks_exact_mut(usize::from(channels));
                frames.zip(&self.mono).for_each(|(to, sample)| to[..2].fill(*sample));
            }
        }
    }
}
