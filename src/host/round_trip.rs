//! How long the service takes to answer a ping, measured while somebody looks.

use crate::base::unit::Moment;
use std::collections::VecDeque;
use std::time::Duration;

/// Answers remembered: half a minute of a page that asks every two seconds.
const KEPT: usize = 15;
/// A ping that is not answered for so long is given up; the service may answer none at all.
const LOST_AFTER: Duration = Duration::from_secs(10);

/// The last round trips of the connection there is.
#[derive(Debug, Default)]
pub struct RoundTrips {
    /// When the ping under way was asked for: its stamp as well.
    out: Option<Moment>,
    spans: VecDeque<Duration>,
}

impl RoundTrips {
    /// The stamp of a ping to send now; `None` while another is under way.
    pub fn ask(&mut self, now: Moment) -> Option<u64> {
        if self.out.is_some_and(|at| now.since(at) < LOST_AFTER) {
            return None;
        }
        self.out = Some(now);
        Some(now.micros())
    }

    /// The service answered a ping.
    pub fn answered(&mut self, now: Moment, stamp: u64) {
        if let Some(at) = self.out.take_if(|at| at.micros() == stamp) {
            if self.spans.len() == KEPT {
                self.spans.pop_front();
            }
            self.spans.push_back(now.since(at));
        }
    }

    /// The last one.
    pub fn last(&self) -> Option<Duration> {
        self.spans.back().copied()
    }

    /// The middle one of those remembered.
    pub fn median(&self) -> Option<Duration> {
        let mut sorted: Vec<_> = self.spans.iter().copied().collect();
        sorted.sort();
        sorted.get(sorted.len().saturating_sub(1) / 2).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn answers_are_timed_and_foreign_ones_are_not() {
        let mut trips = RoundTrips::default();
        assert_eq!((trips.last(), trips.median()), (None, None));
        for (n, span) in [(1, 80), (2, 300), (3, 90)] {
            let at = Moment::from_millis(2000 * n);
            let stamp = trips.ask(at).unwrap();
            trips.answered(at + ms(5), stamp + 1);
            assert_eq!(trips.ask(at + ms(20)), None, "one at a time");
            trips.answered(at + ms(span), stamp);
            trips.answered(at + ms(span + 9), stamp);
        }
        assert_eq!((trips.last(), trips.median()), (Some(ms(90)), Some(ms(90))));
    }

    #[test]
    fn a_service_that_never_answers_is_asked_again() {
        let mut trips = RoundTrips::default();
        let first = trips.ask(Moment::from_millis(1000)).unwrap();
        assert_eq!(trips.ask(Moment::from_millis(10_900)), None);
        assert!(trips.ask(Moment::from_millis(11_000)).is_some());
        trips.answered(Moment::from_millis(11_001), first);
        assert_eq!(trips.last(), None, "too late");
        for n in 0..40 {
            let at = Moment::from_millis(30_000 + 1000 * n);
            if let Some(stamp) = trips.ask(at) {
                trips.answered(at + ms(n), stamp);
            }
        }
        assert_eq!((trips.spans.len(), trips.median()), (KEPT, Some(ms(32))));
    }
}
