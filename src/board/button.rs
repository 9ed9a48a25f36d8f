//! One button: debounced, with a long hold. Pure.
//!
//! ```text
//! Up --edge down, 20 ms steady--> Down (Pressed) --3 s--> Held (Held) --edge up, steady--> Up (Released)
//! ```

use crate::base::event::Hand;
use crate::base::unit::Moment;
use std::time::Duration;

/// Contacts bounce for up to 10 ms; twice that is still not felt.
const STEADY: Duration = Duration::from_millis(20);
/// A hold that nobody makes by accident while talking briefly.
const HOLD: Duration = Duration::from_secs(3);

/// A button.
#[derive(Debug, Clone, Copy, Default)]
pub struct Button {
    /// What the contact says now, and since when.
    raw: bool,
    since: Moment,
    /// What is believed, and since when.
    down: bool,
    pressed: Moment,
    held: bool,
}

impl Button {
    /// The contact moved.
    pub fn edge(&mut self, now: Moment, down: bool) {
        if down != self.raw {
            self.raw = down;
            self.since = now;
        }
    }

    /// What became of it by `now`; call until it is `None`.
    pub fn poll(&mut self, now: Moment) -> Option<Hand> {
        if self.raw != self.down && now.since(self.since) >= STEADY {
            self.down = self.raw;
            self.held = false;
            self.pressed = self.since;
            return Some(if self.down { Hand::Pressed } else { Hand::Released });
        }
        if self.down && !self.held && now.since(self.pressed) >= HOLD {
            self.held = true;
            return Some(Hand::Held);
        }
        None
    }

    /// When to poll again at the latest.
    pub fn deadline(&self) -> Option<Moment> {
        if self.raw != self.down {
            Some(self.since + STEADY)
        } else if self.down && !self.held {
            Some(self.pressed + HOLD)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Moment {
        Moment::from_millis(ms)
    }

    #[test]
    fn bounces_are_one_press() {
        let mut button = Button::default();
        for (ms, down) in [(0, true), (3, false), (5, true), (9, false), (10, true)] {
            button.edge(at(ms), down);
            assert_eq!(button.poll(at(ms)), None);
        }
        assert_eq!(button.deadline(), Some(at(30)));
        assert_eq!(button.poll(at(29)), None);
        assert_eq!(button.poll(at(30)), Some(Hand::Pressed));
        button.edge(at(500), false);
        assert_eq!(button.poll(at(520)), Some(Hand::Released));
        assert_eq!((button.poll(at(9000)), button.deadline()), (None, None));
    }

    #[test]
    fn a_long_hold_is_said_once() {
        let mut button = Button::default();
        button.edge(at(0), true);
        assert_eq!(button.poll(at(20)), Some(Hand::Pressed));
        assert_eq!(button.deadline(), Some(at(3000)));
        assert_eq!(button.poll(at(2999)), None);
        assert_eq!(button.poll(at(3000)), Some(Hand::Held));
        assert_eq!((button.poll(at(9000)), button.deadline()), (None, None));
        button.edge(at(9000), false);
        assert_eq!(button.poll(at(9020)), Some(Hand::Released));
    }

    #[test]
    fn a_short_spike_is_nothing() {
        let mut button = Button::default();
        button.edge(at(0), true);
        button.edge(at(5), false);
        assert_eq!((button.poll(at(100)), button.deadline()), (None, None));
    }
}
