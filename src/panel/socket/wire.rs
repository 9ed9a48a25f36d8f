//! The messages between the speaker and the service while somebody looks at them, and for a minute after
//! a page that looked has gone without a word: one that is loaded anew misses nothing.

use super::State;
use crate::base::unit::Moment;
use crate::panel::client::Seen;
use crate::panel::event::{ClientId, Traffic};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// Messages kept.
const KEPT: usize = 500;
/// After the last look.
const AFTER: Duration = Duration::from_secs(60);

/// What was said, the newest last.
#[derive(Debug)]
pub(super) struct Wire {
    next: u64,
    kept: VecDeque<Arc<Seen>>,
    /// When somebody went who had looked.
    left: Option<Moment>,
}

impl Wire {
    /// Counts on from `next`, which is not a number of an earlier run.
    pub(super) fn new(next: u64) -> Self {
        Self { next, kept: VecDeque::new(), left: None }
    }

    /// One more.
    pub(super) fn see(&mut self, traffic: Traffic) -> Arc<Seen> {
        let seen = Arc::new(Seen::new(self.next, traffic));
        self.next += 1;
        if self.kept.len() == KEPT {
            self.kept.pop_front();
        }
        self.kept.push_back(seen.clone());
        seen
    }

    /// What came after the last that somebody saw: all there is, where that number says nothing.
    pub(super) fn after(&self, last: Option<u64>) -> impl Iterator<Item = &Arc<Seen>> {
        let first = self.next - self.kept.len() as u64;
        let skip = last.and_then(|last| (last + 1).checked_sub(first));
        let skip = skip.and_then(|skip| usize::try_from(skip).ok());
        self.kept.iter().skip(skip.filter(|skip| *skip <= self.kept.len()).unwrap_or(0))
    }

    /// Somebody who looked has gone, and may come back.
    pub(super) fn leave(&mut self, now: Moment) {
        self.left = Some(now);
    }

    /// Nobody wants to see it any more.
    pub(super) fn forget(&mut self) {
        (self.left, self.kept) = (None, VecDeque::new());
    }

    /// Whether somebody may come back for it.
    pub(super) fn is_awaited(&self, now: Moment) -> bool {
        self.left.is_some_and(|left| now.since(left) < AFTER)
    }
}

impl State {
    /// A client sees what is said from now on, and before that what came after the last it saw; or no more.
    pub(super) fn look(&mut self, id: ClientId, after: Option<Option<u64>>) {
        let Some(client) = self.clients.get_mut(&id) else { return };
        client.inspect(after.is_some());
        let missed = after.into_iter().flat_map(|after| self.wire.after(after));
        missed.for_each(|seen| client.see(seen));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::panel::event::Direction;

    #[test]
    fn what_was_not_seen_is_there_once() {
        let mut wire = Wire::new(7000);
        let traffic = || Traffic {
            t: 0.0,
            dir: Direction::Sent,
            r#type: "x".into(),
            event: serde_json::Value::Null,
        };
        let count = |wire: &Wire, last: Option<u64>| wire.after(last).count();
        assert_eq!(count(&wire, None), 0);
        for _ in 0..KEPT + 3 {
            wire.see(traffic());
        }
        // 7003 is the oldest, 7502 the newest.
        for (last, rest) in [
            (None, KEPT),
            (Some(7502), 0),
            (Some(7500), 2),
            (Some(7002), KEPT),
            (Some(7001), KEPT),
            (Some(7503), KEPT),
            (Some(0), KEPT),
        ] {
            assert_eq!(count(&wire, last), rest, "{last:?}");
        }
        assert!(!wire.is_awaited(Moment::ZERO));
        wire.leave(Moment::ZERO);
        assert!(
            wire.is_awaited(Moment::ZERO + AFTER / 2) && !wire.is_awaited(Moment::ZERO + AFTER)
        );
        wire.forget();
        assert_eq!((count(&wire, None), wire.is_awaited(Moment::ZERO)), (0, false));
    }
}
