//! What may be spent in a day (`grok.budget_per_day`): counted as it is spent, kept over a restart.
//!
//! A turn that is under way when the day's money is gone is answered; then the connection is closed,
//! and until the day ends nothing is asked.

use super::Conversation;
use super::turn::{Fact, Turn};
use crate::base::unit::Moment;
use crate::panel::event::Severity;
use serde::{Deserialize, Serialize};

/// What a person is told while there is no money left.
pub(super) const SPENT: &str = "Today's budget is spent: the service is not asked before tomorrow.";
const DAY_S: i64 = 86_400;

/// What the last day that cost something has cost.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Spent {
    /// Local days since 1970.
    day: i64,
    /// US dollars.
    usd: f64,
}

impl Spent {
    /// What was spent today. A clock that is unknown, or that went back, makes no new day: a board
    /// without a battery starts in the past.
    fn on(self, today: Option<i64>) -> f64 {
        if today.is_some_and(|day| day > self.day) { 0.0 } else { self.usd }
    }

    fn add(&mut self, today: Option<i64>, usd: f64) {
        *self = Self { day: today.unwrap_or(self.day).max(self.day), usd: self.on(today) + usd };
    }
}

impl Conversation {
    fn today(&self, now: Moment) -> Option<i64> {
        let (wall, at) = self.wall?;
        let since = i64::try_from((now - at).as_secs()).unwrap_or(0);
        Some((wall.unix + i64::from(wall.offset) + since).div_euclid(DAY_S))
    }

    /// Counts what has been sent and received since the last look.
    pub(super) fn count(&mut self, now: Moment) {
        let cost = self.cost();
        let more = cost - std::mem::replace(&mut self.counted, cost);
        if more > 0.0 {
            let today = self.today(now);
            self.settings.spent.add(today, more);
        }
    }

    pub(super) fn is_spent(&self, now: Moment) -> bool {
        let budget = self.policy.budget_per_day;
        budget > 0.0 && self.settings.spent.on(self.today(now)) >= budget
    }

    /// Closes the connection when the day's money is gone, and opens what was closed when another
    /// day has begun.
    pub(super) fn mind_budget(&mut self, now: Moment) {
        if self.policy.budget_per_day > 0.0 {
            self.count(now);
        }
        let over_budget = self.is_spent(now);
        let was = std::mem::replace(&mut self.over_budget, over_budget);
        if over_budget && !was {
            let action = "Raise grok.budget_per_day, or wait until tomorrow.";
            self.notice(Severity::Warn, "budget", SPENT, action);
        } else if was && !over_budget && self.policy.mode == super::Mode::Open {
            self.session.demand(now, false);
        }
        if over_budget && self.turn.is_resting() && !self.downlink.is_playing() {
            self.typed.clear();
            if !self.session.is_closed() {
                self.session.hang_up(now);
                self.uplink.discard();
                self.offline = false;
                self.fact(now, Fact::Slept);
            }
        }
    }

    /// Turns a person's own action away when the money is gone, though it still silences a reply;
    /// whether it did.
    pub(super) fn turns_away(&mut self, now: Moment) -> bool {
        let away = self.over_budget && !matches!(self.turn, Turn::Listening { .. });
        if away {
            self.fact(now, Fact::Stopped);
        }
        away
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_day_begins_anew_and_an_earlier_one_does_not() {
        let mut spent = Spent::default();
        spent.add(None, 1.0);
        assert_eq!((spent.on(None), spent.on(Some(0)), spent.on(Some(1))), (1.0, 1.0, 0.0));
        spent.add(Some(20_000), 2.0);
        assert_eq!((spent.on(Some(20_000)), spent.on(None)), (2.0, 2.0));
        spent.add(Some(0), 0.5);
        assert_eq!((spent.on(Some(20_000)), spent.on(Some(20_001))), (2.5, 0.0));
        spent.add(Some(20_001), 0.25);
        assert_eq!(spent.on(Some(20_001)), 0.25);
    }
}
