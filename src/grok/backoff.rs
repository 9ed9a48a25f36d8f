//! When to dial again: capped exponential with jitter (R9). Pure.

use std::time::Duration;

/// First pause; doubles up to [`LONGEST`].
pub const FIRST: Duration = Duration::from_secs(1);
/// Longest pause of our own, so that a service that comes back is found soon.
pub const LONGEST: Duration = Duration::from_secs(30);
/// The longest `Retry-After` that is honoured; beyond it the header is taken for a mistake.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(600);
/// Up to this part of a pause is added, so that a street of speakers does not dial in step.
const JITTER: f64 = 0.25;

/// Counts failures and draws jitter from a seed.
#[derive(Debug, Clone)]
pub struct Backoff {
    failures: u32,
    state: u64,
}

impl Backoff {
    /// A fresh one.
    pub fn new(seed: u64) -> Self {
        Self { failures: 0, state: seed }
    }

    /// The pause after one more failure: 1, 2, 4, .. 30 s plus up to a quarter, or what the service
    /// asked for if that is longer.
    pub fn pause(&mut self, retry_after: Option<Duration>) -> Duration {
        let doubled = FIRST.saturating_mul(1u32.checked_shl(self.failures).unwrap_or(u32::MAX));
        self.failures = self.failures.saturating_add(1).min(16);
        let own = doubled.min(LONGEST);
        let own = own + own.mul_f64(JITTER * self.draw());
        own.max(retry_after.unwrap_or_default().min(RETRY_AFTER_MAX))
    }

    /// It works again.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// Uniform in [0, 1): splitmix64, which needs no crate and is the same everywhere.
    fn draw(&mut self) -> f64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        f64::from(u32::try_from((z ^ (z >> 31)) >> 32).unwrap_or(0)) / 4_294_967_296.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_cap_and_jitter_adds_at_most_a_quarter() {
        let mut backoff = Backoff::new(7);
        for least in [1, 2, 4, 8, 16, 30, 30, 30] {
            let least = Duration::from_secs(least);
            let pause = backoff.pause(None);
            assert!(pause >= least && pause <= least.mul_f64(1.25), "{pause:?}");
        }
        backoff.reset();
        assert!(backoff.pause(None) < Duration::from_millis(1251));
        for _ in 0..100 {
            backoff.pause(None);
        }
    }

    #[test]
    fn the_service_may_ask_for_longer_but_not_for_ever() {
        let mut backoff = Backoff::new(7);
        assert_eq!(backoff.pause(Some(Duration::from_secs(90))), Duration::from_secs(90));
        assert_eq!(backoff.pause(Some(Duration::from_secs(90_000))), RETRY_AFTER_MAX);
    }

    #[test]
    fn one_seed_gives_one_sequence() {
        let (mut a, mut b) = (Backoff::new(3), Backoff::new(3));
        assert!((0..20).all(|_| a.pause(None) == b.pause(None)));
    }
}
