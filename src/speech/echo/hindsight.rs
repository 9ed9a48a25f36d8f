//! Whether what was taken for a person was echo after all.
//!
//! A filter that meets another path learns it within some tenths of a second, and then explains what
//! it left shortly before; what a person said it can explain no better later than at once. So each
//! block is estimated a second time, a moment after, by what the filter knows then.

use super::filter::Filter;
use super::power;
use super::spectrum::Transform;
use crate::base::pcm::BLOCK;

/// Blocks between both estimates: 120 ms. That is time to learn something, and soon enough for a
/// decision that takes at least 160 ms.
pub(super) const LATER: usize = 12;
/// Rate at which the powers compared follow: 50 ms.
const FOLLOW: f32 = 0.2;
/// Share of what was left at first that is left later, where it was echo: 1.5 dB less.
const EXPLAINED: f32 = 0.7;
/// Share of the microphone's power, 15 dB down, below which what was left is none: a filter that is
/// still learning always explains some of that.
const FAINT: f32 = 0.03;
/// Blocks for which the finding holds: 100 ms, for between loud sounds nothing can be found.
const HOLD: u32 = 10;

/// Looks back.
pub(super) struct Hindsight {
    mic: [[f32; BLOCK]; LATER],
    /// Power of what was left of them at first.
    left: [f32; LATER],
    at: usize,
    heard: f32,
    first: f32,
    later: f32,
    hold: u32,
}

impl Hindsight {
    pub(super) fn new() -> Self {
        Self {
            mic: [[0.0; BLOCK]; LATER],
            left: [0.0; LATER],
            at: 0,
            heard: 0.0,
            first: 0.0,
            later: 0.0,
            hold: 0,
        }
    }

    /// Takes a block and what is left of it, and estimates an earlier one again.
    pub(super) fn look(
        &mut self,
        mic: &[f32; BLOCK],
        left: &[f32; BLOCK],
        filter: &Filter,
        transform: &mut Transform,
    ) {
        let (before, first) = (&mut self.mic[self.at], &mut self.left[self.at]);
        let mut echo = [0.0; BLOCK];
        filter.echo_ago(LATER, transform, &mut echo);
        let later = power(&std::array::from_fn(|i| before[i] - echo[i]));
        self.heard += FOLLOW * (power(before) - self.heard);
        self.first += FOLLOW * (*first - self.first);
        self.later += FOLLOW * (later - self.later);
        (*before, *first) = (*mic, power(left));
        self.at = (self.at + 1) % LATER;
        let explained = self.later < EXPLAINED * self.first;
        let echo = explained && self.first > FAINT * self.heard;
        self.hold = if echo { HOLD } else { self.hold.saturating_sub(1) };
    }

    /// Whether what was left of late was echo.
    pub(super) fn was_echo(&self) -> bool {
        self.hold > 0
    }
}
