//! How much is queued in the speaker: as little as goes well, and a little more after each time it
//! did not.

/// Periods queued at most at first (15 ms at 5 ms each); one has been played when the next is
/// written.
const CARD: usize = 3;
/// The same where the PCM is no card but a sound server behind a plugin (30 ms): it fetches in
/// ticks of its own, and a late one is silence that nobody reports.
const SERVER: usize = 6;
/// Most periods queued (60 ms): what a loaded desktop needs, and still no noticeable latency.
const MAX: usize = 12;

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
}

impl Fill {
    /// For a ring of `buffer` frames that is written in `period` frames.
    pub(super) fn new(period: usize, buffer: usize, is_card: bool) -> Self {
        Self { period, buffer, periods: if is_card { CARD } else { SERVER } }
    }

    /// Frames queued at most.
    pub(super) fn frames(&self) -> usize {
        (self.periods * self.period).min(self.buffer)
    }

    /// Frames that must be played before another period may be written; 0 when it may now.
    pub(super) fn excess(&self, queued: usize) -> usize {
        (queued + self.period).saturating_sub(self.frames())
    }

    /// Judges a queue and grows where it was short: twice as much after an underrun, a third more
    /// when one was near. Returns the judgement and whether it grew.
    pub(super) fn judge(&mut self, queued: usize) -> (Queue, bool) {
        let (queue, more) = match queued {
            0 => (Queue::Dry, self.periods),
            q if q < self.period => (Queue::Near, self.periods.div_ceil(3)),
            _ => return (Queue::Fine, false),
        };
        let before = self.periods;
        self.periods = (self.periods + more).min(MAX);
        (queue, self.periods > before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_starts_with_15_ms_and_grows_to_60_at_most() {
        let mut fill = Fill::new(240, 3840, true);
        assert_eq!(fill.frames(), 720);
        assert_eq!((fill.excess(480), fill.excess(481), fill.excess(720)), (0, 1, 240));
        assert_eq!(fill.judge(240), (Queue::Fine, false));
        assert_eq!(fill.judge(239), (Queue::Near, true));
        assert_eq!(fill.frames(), 4 * 240);
        assert_eq!(fill.judge(0), (Queue::Dry, true));
        assert_eq!(fill.frames(), 8 * 240);
        assert_eq!(fill.judge(0), (Queue::Dry, true));
        assert_eq!(fill.judge(0), (Queue::Dry, false));
        assert_eq!(fill.frames(), 12 * 240);
    }

    #[test]
    fn a_short_ring_is_never_overfilled() {
        let fill = Fill::new(240, 480, true);
        assert_eq!((fill.frames(), fill.excess(240), fill.excess(480)), (480, 0, 240));
    }
}
