//! Units as types, with conversions that say how they round.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::{Add, AddAssign, Sub};
use std::time::Duration;

/// A point in our own time: microseconds since the process (or the simulation) began.
///
/// It has no `now()`: only the host makes one from a clock. Prints as seconds, `12.480`.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Moment(u64);

impl Moment {
    /// The beginning of our time.
    pub const ZERO: Self = Self(0);

    /// From microseconds.
    pub const fn from_micros(us: u64) -> Self {
        Self(us)
    }

    /// From milliseconds.
    pub const fn from_millis(ms: u64) -> Self {
        Self(ms * 1000)
    }

    /// Microseconds since the beginning.
    pub const fn micros(self) -> u64 {
        self.0
    }

    /// Whole milliseconds since the beginning, rounded down.
    pub const fn millis(self) -> u64 {
        self.0 / 1000
    }

    /// Time since `earlier`; zero if `earlier` is later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }

    /// This moment less `span`, not before the beginning.
    pub fn before(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(micros(span)))
    }
}

impl Add<Duration> for Moment {
    type Output = Self;
    fn add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(micros(span)))
    }
}

impl AddAssign<Duration> for Moment {
    fn add_assign(&mut self, span: Duration) {
        *self = *self + span;
    }
}

impl Sub for Moment {
    type Output = Duration;
    fn sub(self, earlier: Self) -> Duration {
        self.since(earlier)
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03}", self.0 / 1_000_000, self.0 / 1000 % 1000)
    }
}

/// Microseconds of a span, saturating.
fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

/// Samples a second of one channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Rate(pub u32);

impl Rate {
    /// How long `frames` last, rounded down to the microsecond.
    pub const fn span(self, frames: u64) -> Duration {
        Duration::from_micros(frames * 1_000_000 / self.0 as u64)
    }

    /// How many whole frames fit into `span`.
    pub fn frames(self, span: Duration) -> u64 {
        micros(span).saturating_mul(u64::from(self.0)) / 1_000_000
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} Hz", self.0)
    }
}

/// A level or a gain in decibels; full scale is 0 dB for levels.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Db(pub f32);

impl Db {
    /// What silence is reported as: below the quietest 24-bit sample.
    pub const SILENCE: Self = Self(-144.0);

    /// Level of a mean power of samples in [-1, 1]; a full-scale square wave is 0 dB.
    pub fn from_power(power: f32) -> Self {
        if power > 0.0 { Self((10.0 * power.log10()).max(Self::SILENCE.0)) } else { Self::SILENCE }
    }
}

impl fmt::Display for Db {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} dB", self.0)
    }
}

/// A linear factor on samples.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Gain(pub f32);

impl Gain {
    /// Leaves samples as they are.
    pub const UNITY: Self = Self(1.0);
    /// Silence.
    pub const ZERO: Self = Self(0.0);

    /// The factor of a gain in decibels.
    pub fn from_db(db: Db) -> Self {
        Self(10f32.powf(db.0 / 20.0))
    }
}

/// How loud the owner wants it: 0 is silent, 1..=100 are -50..0 dB, linear in dB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Volume(u8);

impl Volume {
    /// A volume in percent; above 100 is refused.
    pub const fn new(percent: u8) -> Option<Self> {
        if percent <= 100 { Some(Self(percent)) } else { None }
    }

    /// In percent.
    pub const fn percent(self) -> u8 {
        self.0
    }

    /// The factor on samples.
    pub fn gain(self) -> Gain {
        if self.0 == 0 {
            return Gain::ZERO;
        }
        Gain::from_db(Db(-50.0 + (f32::from(self.0) - 1.0) * 50.0 / 99.0))
    }
}

impl TryFrom<u8> for Volume {
    type Error = String;
    fn try_from(percent: u8) -> Result<Self, String> {
        Self::new(percent).ok_or_else(|| format!("a volume is 0..100 percent, not {percent}"))
    }
}

impl From<Volume> for u8 {
    fn from(volume: Volume) -> Self {
        volume.0
    }
}

/// Confidence of a detector, 0..=1.
#[derive(Debug, Clone, Copy, Default, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Score(pub f32);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_print_as_seconds() {
        assert_eq!(Moment::from_millis(12_480).to_string(), "12.480");
        assert_eq!(Moment::from_micros(999).to_string(), "0.000");
    }

    #[test]
    fn rates_round_down() {
        assert_eq!(Rate(44_100).span(1), Duration::from_micros(22));
        assert_eq!(Rate(16_000).frames(Duration::from_micros(10_010)), 160);
    }

    #[test]
    fn volume_is_linear_in_decibels() {
        let db = |p| 20.0 * Volume::new(p).unwrap().gain().0.log10();
        assert_eq!(Volume::new(0).unwrap().gain(), Gain::ZERO);
        assert!((db(1) + 50.0).abs() < 1e-3 && db(100).abs() < 1e-3);
        assert!((db(60) - db(59) - (db(31) - db(30))).abs() < 1e-3);
        assert_eq!(Volume::new(101), None);
    }
}
