//! Takes the DC offset of I2S microphones and rumble away before anything else sees them.

use crate::base::unit::Rate;
use std::f64::consts::{FRAC_1_SQRT_2, PI};

/// Corner in Hz. Speech begins above it; the DC and the low noise of MEMS microphones lie below.
const CORNER_HZ: f64 = 90.0;

/// A second-order Butterworth high-pass of one channel.
///
/// The state is f64: at 192 kHz the poles lie so close to 1 that f32 would add a noise of its own.
#[derive(Debug, Clone)]
pub struct HighPass {
    b0: f64,
    b1: f64,
    a1: f64,
    a2: f64,
    s1: f64,
    s2: f64,
    primed: bool,
}

impl HighPass {
    /// A filter for `rate`, which must be above 180 Hz.
    pub fn new(rate: Rate) -> Self {
        let w = 2.0 * PI * CORNER_HZ / f64::from(rate.0);
        let alpha = w.sin() * FRAC_1_SQRT_2;
        let a0 = 1.0 + alpha;
        let b0 = f64::midpoint(1.0, w.cos()) / a0;
        Self {
            b0,
            b1: -2.0 * b0,
            a1: -2.0 * w.cos() / a0,
            a2: (1.0 - alpha) / a0,
            s1: 0.0,
            s2: 0.0,
            primed: false,
        }
    }

    /// The next sample.
    ///
    /// The first one sets the state as if it had stood there for ever: an offset leaves no click
    /// (which would make a constant channel look like a loud one).
    pub fn step(&mut self, x: f32) -> f32 {
        let x = f64::from(x);
        if !self.primed {
            self.primed = true;
            self.s1 = -self.b0 * x;
            self.s2 = self.b0 * x;
        }
        let y = self.b0 * x + self.s1;
        self.s1 = settled(self.b1 * x - self.a1 * y + self.s2);
        self.s2 = settled(self.b0 * x - self.a2 * y);
        y as f32
    }

    /// All these samples, in place. The same as one step for each, but that the state settles only
    /// behind the last: their number is small.
    pub fn run(&mut self, samples: &mut [f32]) {
        let Some((first, rest)) = samples.split_first_mut() else { return };
        *first = self.step(*first);
        let Self { b0, b1, a1, a2, mut s1, mut s2, .. } = *self;
        for sample in rest {
            let x = f64::from(*sample);
            let y = b0 * x + s1;
            s1 = b1 * x - a1 * y + s2;
            s2 = b0 * x - a2 * y;
            *sample = y as f32;
        }
        (self.s1, self.s2) = (settled(s1), settled(s2));
    }

    /// Starts anew with the next sample.
    pub fn reset(&mut self) {
        self.primed = false;
    }
}

/// Zero for what nobody can hear: in digital silence the state would fall into numbers so small
/// that processors compute with them a hundred times slower.
fn settled(state: f64) -> f64 {
    if state.abs() < 1e-30 { 0.0 } else { state }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gain_at(rate: u32, hz: f64) -> f64 {
        let mut filter = HighPass::new(Rate(rate));
        let (mut power_in, mut power_out) = (0.0, 0.0);
        for i in 0..rate {
            let x = (2.0 * PI * hz * f64::from(i) / f64::from(rate)).sin();
            let y = f64::from(filter.step(x as f32));
            if i > rate / 2 {
                power_in += x * x;
                power_out += y * y;
            }
        }
        10.0 * (power_out / power_in).log10()
    }

    #[test]
    fn keeps_speech_and_drops_rumble() {
        for rate in [8_000, 16_000, 48_000, 192_000] {
            assert!((gain_at(rate, 90.0) + 3.0).abs() < 0.1, "corner at {rate}");
            assert!(gain_at(rate, 300.0).abs() < 0.1, "passband at {rate}");
            assert!(gain_at(rate, 20.0) < -25.0, "rumble at {rate}");
        }
    }

    #[test]
    fn silence_becomes_exactly_zero() {
        let mut filter = HighPass::new(Rate(48_000));
        filter.step(0.0);
        filter.step(1.0);
        for _ in 0..48_000 {
            filter.step(0.0);
        }
        assert_eq!((filter.s1, filter.s2), (0.0, 0.0));
    }

    #[test]
    fn a_run_is_as_many_steps() {
        let (mut steps, mut runs) = (HighPass::new(Rate(48_000)), HighPass::new(Rate(48_000)));
        let mut sound: Vec<f32> = (0..960).map(|i| 0.3 + (i as f32 * 0.1).sin() * 0.5).collect();
        let stepped: Vec<f32> = sound.iter().map(|x| steps.step(*x)).collect();
        sound.chunks_mut(480).for_each(|piece| runs.run(piece));
        assert_eq!(sound, stepped);
        (0..100).for_each(|_| runs.run(&mut [0.0; 480]));
        assert_eq!((runs.s1, runs.s2), (0.0, 0.0));
    }

    #[test]
    fn an_offset_is_gone_from_the_first_sample() {
        let mut filter = HighPass::new(Rate(48_000));
        for _ in 0..1000 {
            assert!(filter.step(0.3).abs() < 1e-6);
        }
    }
}
