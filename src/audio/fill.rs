//! How much is queued in the speaker: as little as goes well, a little more when it did not, and
//! less again when it has gone well for a while.

use crate::base::unit::Moment;
use std::time::Duration;

/// Periods queued at least (15 ms at 5 ms each): one has been played when the next is written, so
/// a delay of 10 ms is not heard.
const LEAST: usize = 3;
/// Most periods queued (60 ms): what a loaded desktop needs, and still no noticeable latency.
const MOST: usize = 12;
/// Periods more after an underrun: it was heard, and must not be heard again.
const AFTER_DRY: usize = 2;
/// Two near misses within this time are a habit of the machine, one is chance.
const HABIT: Duration = Duration::from_secs(10);
/// Without a near miss for so long, a period less is tried.
const CALM: Duration = Duration::from_secs(20);

/// What a look at the queue shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Queue {
    /// There is enough.
    Fine,
    /// Less than a period was left: the next delay as long as this one would have been heard.
    Near,
    /// It is empty: silence was or is being played.
    Dry,
}

/// The fill of one stream. Sizes in frames.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fill {
    period: usize,
    buffer: usize,
    periods: usize,
    /// The last near miss, and since when there was none and no change.
    missed: Option<Moment>,
    calm: Moment,
}

impl Fill {
    /// For a ring of `buffer` frames that is written in `period` frames.
    pub(super) fn new(period: usize, buffer: usize) -> Self {
        Self { period, buffer, periods: LEAST, missed: None, calm: Moment::ZERO }
    }

    /// Frames queued at most.
    pub(super) fn frames(&self) -> usize {
        (self.periods * self.period).min(self.buffer)
    }

    /// Frames that must be played before another period may be written; 0 when it may now.
    pub(super) fn excess(&self, queued: usize) -> usize {
        (queued + self.period).saturating_sub(self.frames())
    }

    /// Judges a queue and follows from it. Returns the judgement and whether the fill changed.
    pub(super) fn judge(&mut self, queued: usize, now: Moment) -> (Queue, bool) {
        let before = self.periods;
        let queue = match queued {
            0 => Queue::Dry,
            q if q < self.period => Queue::Near,
            _ => Queue::Fine,
        };
        match queue {
            Queue::Dry => self.periods += AFTER_DRY,
            Queue::Near if self.missed.is_some_and(|at| now.since(at) < HABIT) => self.periods += 1,
            Queue::Near => {}
            Queue::Fine if now.since(self.calm) >= CALM => self.periods -= 1,
            Queue::Fine => return (queue, false),
        }
        if queue != Queue::Fine {
            self.missed = Some(now);
        }
        self.calm = now;
        self.periods = self.periods.clamp(LEAST, MOST);
        (queue, self.periods != before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::from_millis(seconds * 1000)
    }

    #[test]
    fn it_starts_with_15_ms_and_grows_to_60_at_most() {
        let mut fill = Fill::new(240, 3840);
        assert_eq!(fill.frames(), 720);
        assert_eq!((fill.excess(480), fill.excess(481), fill.excess(720)), (0, 1, 240));
        assert_eq!(fill.judge(240, at(0)), (Queue::Fine, false));
        assert_eq!(fill.judge(0, at(1)), (Queue::Dry, true));
        assert_eq!(fill.frames(), 5 * 240);
        for _ in 0..4 {
            fill.judge(0, at(2));
        }
        assert_eq!(fill.judge(0, at(2)), (Queue::Dry, false));
        assert_eq!(fill.frames(), 12 * 240);
    }

    #[test]
    fn one_near_miss_is_chance_and_two_are_a_habit() {
        let mut fill = Fill::new(240, 3840);
        assert_eq!(fill.judge(239, at(1)), (Queue::Near, false));
        assert_eq!(fill.judge(239, at(12)), (Queue::Near, false));
        assert_eq!(fill.judge(239, at(15)), (Queue::Near, true));
        assert_eq!(fill.frames(), 4 * 240);
    }

    #[test]
    fn it_shrinks_while_all_goes_well() {
        let mut fill = Fill::new(240, 3840);
        fill.judge(0, at(1));
        let mut changes = Vec::new();
        for second in 2..90 {
            if fill.judge(720, at(second)).1 {
                changes.push((second, fill.frames() / 240));
            }
        }
        assert_eq!(changes, [(21, 4), (41, 3)]);
    }

    #[test]
    fn a_short_ring_is_never_overfilled() {
        let fill = Fill::new(240, 480);
        assert_eq!((fill.frames(), fill.excess(240), fill.excess(480)), (480, 0, 240));
    }
}
