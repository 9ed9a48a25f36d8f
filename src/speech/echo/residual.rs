//! The second stage: lowers, bin by bin, what the linear stage left of the echo.
//!
//! How much of the estimated echo is left is found by regressing the *swings* of the error's power
//! on those of the estimate: steady noise does not swing, and a talker does not swing with the
//! echo, so neither counts as residual. Noise is lowered in the same transform, at no delay of its
//! own.

use super::noise::Noise;
use super::spectrum::{BINS, SPAN, Spectrum, Transform};
use crate::base::pcm::BLOCK;

/// Rate at which means of power follow.
const MEAN: f32 = 0.1;
/// Rate at which the regression follows: half a second.
const FOLLOW: f32 = 0.02;
/// Estimated power below which a bin teaches nothing.
const FAINT: f32 = 1e-8;
/// Least and most share of the estimate's power that may be left.
const LEFT: (f32, f32) = (0.0005, 1.0);
/// Bins on either side that share their finding.
const SHARE: usize = 3;
/// What of the residual stays from block to block: the room outlasts the filter.
const LINGERS: f32 = 0.7;
/// The residual is taken to be this much stronger than found.
const OVER: f32 = 3.0;
/// The same of what the room says after the filter's end, which is known and not found.
const OVER_LATE: f32 = 1.2;
/// Weight of the block before in the estimate of the near end.
const BEFORE: f32 = 0.92;
/// Least gain: -30 dB, where nobody hears it any more.
const GAIN_MIN: f32 = 0.03;

/// The suppressor; a block of delay.
pub(super) struct Residual {
    window: [f32; SPAN],
    error_before: [f32; BLOCK],
    echo_before: [f32; BLOCK],
    overlap: [f32; BLOCK],
    error_mean: [f32; BINS],
    echo_mean: [f32; BINS],
    both: [f32; BINS],
    echo_swing: [f32; BINS],
    left: [f32; BINS],
    residual: [f32; BINS],
    /// Power of what the room says after the filter's end; the filter adds to it.
    pub(super) late: [f32; BINS],
    /// Both.
    total: [f32; BINS],
    near: [f32; BINS],
    noise: Option<Noise>,
}

impl Residual {
    pub(super) fn new(noise: Option<Noise>) -> Self {
        let step = std::f32::consts::PI / SPAN as f32;
        Self {
            window: std::array::from_fn(|i| ((i as f32 + 0.5) * step).sin()),
            error_before: [0.0; BLOCK],
            echo_before: [0.0; BLOCK],
            overlap: [0.0; BLOCK],
            error_mean: [0.0; BINS],
            echo_mean: [0.0; BINS],
            both: [0.0; BINS],
            echo_swing: [0.0; BINS],
            left: [LEFT.1; BINS],
            residual: [0.0; BINS],
            late: [0.0; BINS],
            total: [0.0; BINS],
            near: [0.0; BINS],
            noise,
        }
    }

    pub(super) fn reset(&mut self) {
        let mut noise = self.noise.take();
        noise.iter_mut().for_each(Noise::reset);
        *self = Self::new(noise);
    }

    /// Hands on the block before, in which there is no echo; `error` comes out next.
    pub(super) fn pass(
        &mut self,
        error: &[f32; BLOCK],
        transform: &mut Transform,
        out: &mut [f32; BLOCK],
    ) {
        if let Some(noise) = &mut self.noise {
            let mut e = Spectrum::ZERO;
            let mut work = windowed(&self.window, &self.error_before, error);
            transform.forward(&mut work, &mut e);
            let mut gain = [1.0; BINS];
            noise.lower(&e.power(), &[0.0; BINS], &mut gain);
            self.add(&mut e, &gain, transform, out);
        } else {
            for i in 0..BLOCK {
                let (rise, fall) = (self.window[i], self.window[BLOCK + i]);
                out[i] = self.overlap[i] + self.error_before[i] * rise * rise;
                self.overlap[i] = error[i] * fall * fall;
            }
        }
        self.error_before = *error;
        self.echo_before = [0.0; BLOCK];
    }

    /// Hands on the block before with the residual echo lowered; `error` comes out next.
    pub(super) fn process(
        &mut self,
        error: &[f32; BLOCK],
        echo: &[f32; BLOCK],
        suppress: bool,
        transform: &mut Transform,
        out: &mut [f32; BLOCK],
    ) {
        let mut e = Spectrum::ZERO;
        let mut y = Spectrum::ZERO;
        let mut work = windowed(&self.window, &self.error_before, error);
        transform.forward(&mut work, &mut e);
        work = windowed(&self.window, &self.echo_before, echo);
        transform.forward(&mut work, &mut y);
        let (error_power, echo_power) = (e.power(), y.power());
        self.regress(&error_power, &echo_power);
        let mut gain = [1.0; BINS];
        for k in 0..BINS {
            let left = (self.left[k] * echo_power[k]).max(LINGERS * self.residual[k]);
            self.residual[k] = left;
            self.total[k] = left + self.late[k];
            let noise = OVER * left + OVER_LATE * self.late[k] + 1e-10;
            let now = (error_power[k] / noise - 1.0).max(0.0);
            let prior = BEFORE * self.near[k] / noise + (1.0 - BEFORE) * now;
            if suppress {
                gain[k] = (prior / (1.0 + prior)).max(GAIN_MIN);
            }
            self.near[k] = gain[k] * gain[k] * error_power[k];
        }
        if let Some(noise) = &mut self.noise {
            let none = [0.0; BINS];
            noise.lower(&error_power, if suppress { &self.total } else { &none }, &mut gain);
        }
        self.add(&mut e, &gain, transform, out);
        self.error_before = *error;
        self.echo_before = *echo;
    }

    /// Overlaps and adds what `gain` leaves of a spectrum.
    fn add(
        &mut self,
        e: &mut Spectrum,
        gain: &[f32; BINS],
        transform: &mut Transform,
        out: &mut [f32; BLOCK],
    ) {
        for (k, gain) in gain.iter().enumerate() {
            e.re[k] *= gain;
            e.im[k] *= gain;
        }
        let mut work = [0.0; SPAN];
        transform.inverse(e, &mut work);
        for i in 0..BLOCK {
            out[i] = self.overlap[i] + work[i] * self.window[i];
            self.overlap[i] = work[BLOCK + i] * self.window[BLOCK + i];
        }
    }

    fn regress(&mut self, error_power: &[f32; BINS], echo_power: &[f32; BINS]) {
        let mut found = [0.0; BINS];
        for k in 0..BINS {
            let error_swing = error_power[k] - self.error_mean[k];
            let echo_swing = echo_power[k] - self.echo_mean[k];
            self.error_mean[k] += MEAN * error_swing;
            self.echo_mean[k] += MEAN * echo_swing;
            if echo_power[k] > FAINT {
                self.both[k] += FOLLOW * (error_swing * echo_swing - self.both[k]);
                self.echo_swing[k] += FOLLOW * (echo_swing * echo_swing - self.echo_swing[k]);
            }
            found[k] = (self.both[k] / (self.echo_swing[k] + 1e-20)).clamp(LEFT.0, LEFT.1);
        }
        let mut sum: f32 = found[..SHARE].iter().sum();
        let mut count = SHARE as f32;
        for k in 0..BINS {
            if let Some(next) = found.get(k + SHARE) {
                sum += next;
                count += 1.0;
            }
            if k > SHARE {
                sum -= found[k - SHARE - 1];
                count -= 1.0;
            }
            self.left[k] = 0.5 * found[k] + 0.5 * (sum / count).clamp(LEFT.0, LEFT.1);
        }
    }
}

fn windowed(window: &[f32; SPAN], before: &[f32; BLOCK], now: &[f32; BLOCK]) -> [f32; SPAN] {
    std::array::from_fn(|i| window[i] * if i < BLOCK { before[i] } else { now[i - BLOCK] })
}
