//! Gain that never jumps, and a limiter.

use crate::base::unit::{Db, Gain, Rate};
use std::time::Duration;

/// A gain that moves to its target in a straight line, so that no change is heard as a click.
#[derive(Debug, Clone, Copy)]
pub struct Ramp {
    now: f32,
    target: f32,
    step: f32,
    left: u32,
}

impl Ramp {
    /// Starts at rest.
    pub const fn new(gain: Gain) -> Self {
        Self { now: gain.0, target: gain.0, step: 0.0, left: 0 }
    }

    /// Moves to `gain` within `samples` (at once when 0). Asking again for the same target changes
    /// nothing.
    pub fn aim(&mut self, gain: Gain, samples: u32) {
        if gain.0 == self.target {
            return;
        }
        self.target = gain.0;
        self.left = samples;
        if samples == 0 {
            self.now = gain.0;
        } else {
            self.step = (gain.0 - self.now) / samples as f32;
        }
    }

    /// The gain of the next sample.
    pub fn step(&mut self) -> f32 {
        if self.left > 0 {
            self.left -= 1;
            self.now = if self.left == 0 { self.target } else { self.now + self.step };
        }
        self.now
    }

    /// The gain of every sample until it is aimed elsewhere; none while it moves.
    pub const fn steady(&self) -> Option<f32> {
        if self.left == 0 { Some(self.now) } else { None }
    }
}

/// How much speech is lowered while the device listens under it: low enough that the person hears
/// to be heard, loud enough that a false alarm is no loss.
pub const DUCK: Db = Db(-14.0);
/// Down fast, because the person already speaks.
const DUCK_DOWN: Duration = Duration::from_millis(30);
/// Up slowly, so that a false alarm is not a pump.
const DUCK_UP: Duration = Duration::from_millis(250);

/// Lowers speech under something else.
#[derive(Debug, Clone, Copy)]
pub struct Duck {
    ramp: Ramp,
    low: Gain,
    down: u32,
    up: u32,
}

impl Duck {
    /// At rest, for sound at `rate`.
    pub fn new(rate: Rate) -> Self {
        Self {
            ramp: Ramp::new(Gain::UNITY),
            low: Gain::from_db(DUCK),
            down: samples(rate, DUCK_DOWN),
            up: samples(rate, DUCK_UP),
        }
    }

    /// Lowers or restores.
    pub fn aim(&mut self, on: bool) {
        if on {
            self.ramp.aim(self.low, self.down);
        } else {
            self.ramp.aim(Gain::UNITY, self.up);
        }
    }

    /// The gain of the next sample.
    pub fn step(&mut self) -> f32 {
        self.ramp.step()
    }

    /// The gain of every sample until it is aimed elsewhere.
    pub const fn steady(&self) -> Option<f32> {
        self.ramp.steady()
    }
}

/// Nothing leaves a [`Limiter`] above this: 1 dB below full scale, room for what a converter's
/// own filter adds between samples.
pub const CEILING: f32 = 0.891;
/// How fast gain returns after a peak: slow against a pitch period, fast against a word.
const RELEASE: Duration = Duration::from_millis(80);

/// Keeps peaks below [`CEILING`] without look-ahead: it pulls the gain down within the very
/// sample that would exceed, and lets it return exponentially. Sound whose peaks stay below passes
/// bit for bit.
#[derive(Debug, Clone, Copy)]
pub struct Limiter {
    gain: f32,
    release: f32,
}

impl Limiter {
    /// At rest, for sound at `rate`.
    pub fn new(rate: Rate) -> Self {
        let release = 1.0 - (-1.0 / (RELEASE.as_secs_f32() * rate.0 as f32)).exp();
        Self { gain: 1.0, release }
    }

    /// Whether sound whose peaks stay below passes bit for bit.
    pub const fn is_open(&self) -> bool {
        self.gain == 1.0
    }

    /// The next sample, limited.
    pub fn step(&mut self, sample: f32) -> f32 {
        let size = sample.abs();
        if size * self.gain > CEILING {
            self.gain = CEILING / size;
            return sample.signum() * CEILING;
        }
        let out = sample * self.gain;
        if self.gain < 1.0 {
            self.gain += (1.0 - self.gain) * self.release;
            if self.gain > 0.999 {
                self.gain = 1.0;
            }
        }
        out
    }
}

/// Whole samples of a short span, for ramps.
pub fn samples(rate: Rate, span: Duration) -> u32 {
    u32::try_from(rate.frames(span)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ramps_are_continuous_and_arrive() {
        let mut ramp = Ramp::new(Gain::ZERO);
        ramp.aim(Gain::UNITY, 100);
        let mut last = 0.0;
        for _ in 0..50 {
            let now = ramp.step();
            assert!((now - last).abs() < 0.0101 && now > last);
            last = now;
        }
        ramp.aim(Gain(0.2), 100);
        for _ in 0..100 {
            let now = ramp.step();
            assert!((now - last).abs() < 0.0101);
            last = now;
        }
        assert!(ramp.steady() == Some(0.2) && ramp.step() == 0.2);
    }

    #[test]
    fn ducking_goes_down_and_comes_back() {
        let mut duck = Duck::new(Rate(48_000));
        duck.aim(true);
        let low = (0..1440).map(|_| duck.step()).last().unwrap();
        assert!((20.0 * low.log10() - DUCK.0).abs() < 0.01);
        duck.aim(false);
        assert_eq!((0..12_000).map(|_| duck.step()).last(), Some(1.0));
    }

    #[test]
    fn the_limiter_never_exceeds_its_ceiling() {
        let mut limiter = Limiter::new(Rate(48_000));
        for i in 0..48_000 {
            let sample = 3.0 * (i as f32 * 0.0711).sin() * (i as f32 * 0.0003).sin();
            assert!(limiter.step(sample).abs() <= CEILING);
        }
    }

    #[test]
    fn the_limiter_leaves_quieter_sound_alone() {
        let mut limiter = Limiter::new(Rate(48_000));
        for i in 0..48_000 {
            let sample = 0.89 * (i as f32 * 0.0711).sin();
            assert_eq!(limiter.step(sample), sample);
        }
        limiter.step(2.0);
        assert!(limiter.step(0.5) < 0.3);
        for _ in 0..48_000 {
            limiter.step(0.0);
        }
        assert_eq!(limiter.step(0.5), 0.5);
    }
}
