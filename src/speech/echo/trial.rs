//! Whether a kept echo path is still the one of this room.
//!
//! The pairing of both streams begins anew with each stream, a millisecond here or there; and the
//! device may stand elsewhere. So the estimate of a kept path is compared with the microphone for its
//! first audible blocks, moved and scaled once to where it fits best, and then taken or forgotten.

use super::filter::LATEST;
use super::power;
use super::spectrum::{BINS, SPAN, Spectrum, Transform};
use crate::base::pcm::BLOCK;

/// Blocks of echo that decide: 120 ms hold several periods of any voice.
const BLOCKS: u32 = 12;
/// Audible blocks after which a path that has predicted no echo yet is given up: it may begin as late
/// as a path can, and then takes two rounds.
const PATIENCE: u32 = LATEST as u32 + 2 * BLOCKS;
/// Power below which an estimate is none: -100 dBFS.
const FAINT: f32 = 1e-10;
/// Share of the microphone's power that a fitting path leaves at most: 10 dB. A room that answers
/// otherwise leaves more, and then beginning from nothing is as quick.
const LEFT: f32 = 0.1;
/// Share below which moving it would gain nothing: 20 dB.
const GOOD: f32 = 0.01;
/// Farthest move, in samples: the comparison looks at two blocks, less where they would overlap.
const FARTHEST: usize = 140;
/// Least factor of a path that may be this room's: below it, what is alike is chance.
const LEAST: f32 = 0.1;
/// Bins compared: 200-6000 Hz.
const LOW: usize = 4;
const HIGH: usize = 120;

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Verdict {
    /// It is this room's.
    Fits,
    /// It may be, when its answer comes so many samples later and so much louder.
    Adjust {
        /// In samples.
        later: f32,
        /// A factor.
        gain: f32,
    },
    /// It is not.
    Strange,
}

/// A comparison under way.
pub(super) struct Trial {
    cross: Spectrum,
    mic: [f32; BLOCK],
    echo: [f32; BLOCK],
    mic_power: f32,
    echo_power: f32,
    common: f32,
    /// Of the estimate, in the bins compared.
    echo_band: f32,
    blocks: u32,
    waited: u32,
    adjusted: bool,
}

impl Trial {
    pub(super) fn new() -> Self {
        Self {
            cross: Spectrum::ZERO,
            mic: [0.0; BLOCK],
            echo: [0.0; BLOCK],
            mic_power: 0.0,
            echo_power: 0.0,
            common: 0.0,
            echo_band: 0.0,
            blocks: 0,
            waited: 0,
            adjusted: false,
        }
    }

    /// Takes an audible block and the path's estimate of its echo; says what came of it when enough
    /// was heard.
    pub(super) fn look(
        &mut self,
        mic: &[f32; BLOCK],
        echo: &[f32; BLOCK],
        transform: &mut Transform,
    ) -> Option<Verdict> {
        self.waited += 1;
        // Far below its loudest an echo says little.
        let loud = self.echo_power / self.blocks.max(1) as f32;
        if power(echo) > (0.01 * loud).max(FAINT) {
            self.note(mic, echo, transform);
        }
        (self.mic, self.echo) = (*mic, *echo);
        if self.blocks == BLOCKS {
            return Some(self.judge(transform));
        }
        (self.waited > PATIENCE).then_some(Verdict::Strange)
    }

    fn note(&mut self, mic: &[f32; BLOCK], echo: &[f32; BLOCK], transform: &mut Transform) {
        self.blocks += 1;
        self.mic_power += power(mic);
        self.echo_power += power(echo);
        self.common += mic.iter().zip(echo).map(|(m, y)| m * y).sum::<f32>() / BLOCK as f32;
        let mut spectrum = |before: &[f32; BLOCK], now: &[f32; BLOCK]| {
            let mut work = [0.0; SPAN];
            work[..BLOCK].copy_from_slice(before);
            work[BLOCK..].copy_from_slice(now);
            let mut out = Spectrum::ZERO;
            transform.forward(&mut work, &mut out);
            out
        };
        let (m, y) = (spectrum(&self.mic, mic), spectrum(&self.echo, echo));
        for k in LOW..HIGH {
            self.echo_band += y.re[k] * y.re[k] + y.im[k] * y.im[k];
            self.cross.re[k] += m.re[k] * y.re[k] + m.im[k] * y.im[k];
            self.cross.im[k] += m.im[k] * y.re[k] - m.re[k] * y.im[k];
        }
    }

    fn judge(&mut self, transform: &mut Transform) -> Verdict {
        let left = (self.mic_power - 2.0 * self.common + self.echo_power) / self.mic_power;
        // NaN, where the microphone was silent, is no fit.
        let fits = left < LEFT;
        if left < GOOD || (self.adjusted && fits) {
            return Verdict::Fits;
        }
        let moved = self.moved(transform).filter(|_| !self.adjusted);
        let Some((later, gain)) = moved else {
            return if fits { Verdict::Fits } else { Verdict::Strange };
        };
        *self = Self { waited: self.waited, adjusted: true, ..Self::new() };
        Verdict::Adjust { later, gain }
    }

    /// By how many samples the microphone is later than the estimate, and how much of it is there then.
    fn moved(&self, transform: &mut Transform) -> Option<(f32, f32)> {
        let mut white = Spectrum::ZERO;
        let size = |k: usize| self.cross.re[k].hypot(self.cross.im[k]);
        let top = (LOW..HIGH).map(size).fold(0.0, f32::max);
        for k in LOW..HIGH {
            // What is 40 dB below the loudest is noise.
            let weight = if size(k) > 1e-4 * top { size(k).max(1e-20).powf(-0.8) } else { 0.0 };
            white.re[k] = self.cross.re[k] * weight;
            white.im[k] = self.cross.im[k] * weight;
        }
        let mut work = [0.0; SPAN];
        transform.inverse(&white, &mut work);
        let at = |lag: i32| work[(lag + SPAN as i32) as usize % SPAN];
        let far = FARTHEST as i32;
        let best = (-far..=far).max_by(|a, b| at(*a).total_cmp(&at(*b)))?;
        let (a, b, c) = (at(best - 1), at(best), at(best + 1));
        let bend = a - 2.0 * b + c;
        let part = if bend < 0.0 { 0.5 * (a - c) / bend } else { 0.0 };
        let later = best as f32 + part.clamp(-0.5, 0.5);
        let common: f32 = (LOW..HIGH)
            .map(|k| {
                let turn = std::f32::consts::PI * k as f32 / BLOCK as f32 * later;
                self.cross.re[k] * turn.cos() - self.cross.im[k] * turn.sin()
            })
            .sum();
        let gain = common / self.echo_band.max(1e-20);
        (gain > LEAST).then_some((later, gain))
    }
}

const _: () = assert!(HIGH <= BINS && FARTHEST < BLOCK);
