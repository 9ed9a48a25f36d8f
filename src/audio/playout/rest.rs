//! Playout while no card runs: it rests after long silence, or there is none.

use super::{Playout, is_older};
use std::sync::atomic::{Ordering, fence};
use std::time::Duration;

/// After so much silence the card may stand still: longer than any pause inside a conversation, in
/// which a start would cost a few milliseconds.
pub const REST_AFTER: Duration = Duration::from_secs(2);

impl Playout {
    /// Whether there was silence for so long that the card may stand still.
    pub fn may_rest(&self) -> bool {
        self.silent >= self.card.rate.frames(REST_AFTER)
    }

    /// The card stands still from now on: the silence that was queued in it counts as played. Ends
    /// with [`Self::stirs`].
    pub fn rest(&mut self) {
        self.heard = self.written;
        self.source.shared.level.store(0, Ordering::Relaxed);
        self.source.shared.rests.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// Called while the card stands still, after each ring of the bell that wakes it: answers a
    /// flush at once, and says whether the card must run again.
    pub fn stirs(&mut self) -> bool {
        if is_older(self.epoch, self.wanted()) {
            self.cut(self.written);
            self.skip_older();
            self.rang |= self.ledger.advance(self.heard, &mut self.source.facts);
            self.ring();
        }
        let stirs = !self.source.heads.is_empty() || !self.source.earcons.is_empty();
        if stirs {
            self.silent = 0;
            self.source.shared.rests.store(false, Ordering::Relaxed);
        }
        stirs
    }

    /// Called while there is no card, at least every 100 ms: a flush is answered at once, earcons
    /// are forgotten, speech waits.
    pub fn absent(&mut self) {
        while self.source.earcons.pop().is_ok() {}
        self.forsake();
        let wanted = self.wanted();
        if is_older(self.epoch, wanted) {
            self.cut(self.written);
            self.skip_older();
            self.rang |= self.ledger.advance(u64::MAX, &mut self.source.facts);
        }
        self.ring();
    }

    /// What was queued in a card that is gone was never heard.
    pub(super) fn forsake(&mut self) {
        self.ledger.forsake(self.heard);
        if self.fade.is_some() {
            self.cut(self.written);
        }
        self.rang |= self.ledger.advance(u64::MAX, &mut self.source.facts);
        self.card.pending.clear();
        self.card.resampler.reset();
        (self.base, self.fed) = (self.written, 0);
    }
}
