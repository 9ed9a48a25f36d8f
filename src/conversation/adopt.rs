//! Other numbers while it runs: what a person changed at a panel.

use super::turn::{Fact, Turn};
use super::{Conversation, Mode, Policy, detection};
use crate::base::unit::Moment;

impl Conversation {
    /// Takes other numbers in. They count from the next quiet moment on: a turn ends as it began.
    pub(super) fn change(&mut self, policy: Policy) {
        if *self.next.as_ref().unwrap_or(&self.policy) != policy {
            self.revision += 1;
        }
        self.next = Some(policy);
    }

    /// The quiet moment.
    pub(super) fn adopt(&mut self, now: Moment) {
        let quiet = self.turn.is_resting() && !self.held && !self.downlink.is_playing();
        let Some(policy) = self.next.take_if(|_| quiet) else { return };
        if policy == self.policy {
            return;
        }
        let (new, old) = (&policy, &self.policy);
        if (new.mode, new.gate, new.linger) != (old.mode, old.gate, old.linger)
            && matches!(self.turn, Turn::Lingering { .. })
        {
            // It would go on under rules that no longer hold.
            self.uplink.discard();
            self.fact(now, Fact::Slept);
        }
        let opened = policy.mode == Mode::Open && self.policy.mode != Mode::Open;
        self.policy = policy;
        self.mic.fresh = false;
        let anew =
            self.session.reconfigure(now, self.policy.session.clone(), detection(self.policy.mode));
        if anew && self.always() {
            self.uplink.discard();
            self.fact(now, Fact::Slept);
        }
        if opened && !self.over_budget {
            self.session.demand(now, false);
        }
        self.rouse(now);
    }
}
