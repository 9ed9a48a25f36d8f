//! All buttons of a board: edges of lines in, what fingers did out. Pure.

use super::button::Button;
use super::profile::Buttons;
use crate::base::event::Hand;
use crate::base::unit::Moment;
use std::collections::VecDeque;
use std::task::{Context, Poll};

/// A contact moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edge {
    /// Which.
    pub line: u32,
    /// Whether it is pressed now.
    pub down: bool,
    /// When, by our time.
    pub at: Moment,
}

/// Where edges come from: a chip, or whoever stands in for one.
pub trait Edges: std::fmt::Debug {
    /// The next one, those of a line in their order. Pending for ever when none can come any more.
    fn poll_edge(&mut self, cx: &mut Context<'_>) -> Poll<Edge>;
}

/// What a button is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Talk,
    Mute,
    Step { up: bool },
}

impl Purpose {
    /// What it means when its button does this; nothing for most buttons when they come up.
    fn mean(self, done: Hand, muted: bool) -> Option<Hand> {
        match (self, done) {
            (Self::Talk, done) => Some(done),
            (Self::Mute, Hand::Pressed) => Some(Hand::Mute { on: !muted }),
            (Self::Step { up }, Hand::Pressed) => Some(Hand::Step { up }),
            (Self::Mute | Self::Step { .. }, _) => None,
        }
    }
}

/// The buttons.
#[derive(Debug, Default)]
pub struct Hands {
    buttons: Vec<(u32, Purpose, Button)>,
    /// What was done before the last edges, and is not told yet. An edge adds two at most, and all
    /// are taken before the next edge is.
    done: VecDeque<(Purpose, Hand)>,
}

impl Hands {
    /// The buttons of a board.
    pub fn new(buttons: &Buttons) -> Self {
        let lines = [
            (buttons.talk, Purpose::Talk),
            (buttons.mute, Purpose::Mute),
            (buttons.volume_up, Purpose::Step { up: true }),
            (buttons.volume_down, Purpose::Step { up: false }),
        ];
        let button = |(line, purpose): (Option<u32>, _)| Some((line?, purpose, Button::default()));
        Self { buttons: lines.into_iter().filter_map(button).collect(), done: VecDeque::new() }
    }

    /// A contact moved. What had become of it until then counts, however late this is told.
    pub fn edge(&mut self, edge: Edge) {
        let found = self.buttons.iter_mut().find(|(line, ..)| *line == edge.line);
        let Some((_, purpose, button)) = found else { return };
        while let Some(done) = button.poll(edge.at) {
            self.done.push_back((*purpose, done));
        }
        button.edge(edge.at, edge.down);
    }

    /// What was done by `now`; `muted` is what holds before it. Call until it is `None`.
    pub fn poll(&mut self, now: Moment, muted: bool) -> Option<Hand> {
        loop {
            let (purpose, done) = match self.done.pop_front() {
                Some(told) => told,
                None => self.buttons.iter_mut().find_map(|(_, purpose, button)| {
                    button.poll(now).map(|done| (*purpose, done))
                })?,
            };
            if let Some(hand) = purpose.mean(done, muted) {
                return Some(hand);
            }
        }
    }

    /// When to poll again at the latest.
    pub fn deadline(&self) -> Option<Moment> {
        self.buttons.iter().filter_map(|(.., button)| button.deadline()).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Moment {
        Moment::from_millis(ms)
    }

    fn hands() -> Hands {
        Hands::new(&Buttons {
            talk: Some(17),
            mute: Some(22),
            volume_up: Some(5),
            volume_down: None,
            ..Buttons::default()
        })
    }

    /// Edges at these times, all told at the last one; what came of them 25 ms later.
    fn late(hands: &mut Hands, line: u32, edges: &[(u64, bool)]) -> Vec<Hand> {
        for (ms, down) in edges {
            hands.edge(Edge { line, down: *down, at: at(*ms) });
        }
        let now = at(edges.last().unwrap().0 + 25);
        std::iter::from_fn(|| hands.poll(now, false)).collect()
    }

    #[test]
    fn each_button_does_what_it_is_for() {
        let mut hands = hands();
        let press = [(0, true), (200, false)];
        assert_eq!(late(&mut hands, 17, &press), [Hand::Pressed, Hand::Released]);
        assert_eq!(late(&mut hands, 22, &press), [Hand::Mute { on: true }]);
        assert_eq!(late(&mut hands, 5, &press), [Hand::Step { up: true }]);
        assert_eq!(late(&mut hands, 6, &press), [], "no button there");
        assert_eq!(hands.deadline(), None);
    }

    #[test]
    fn mute_turns_off_what_is_on() {
        let mut hands = hands();
        hands.edge(Edge { line: 22, down: true, at: at(0) });
        assert_eq!(hands.poll(at(19), true), None);
        assert_eq!(hands.poll(at(20), true), Some(Hand::Mute { on: false }));
        assert_eq!(hands.poll(at(9000), false), None, "a hold of it is nothing more");
    }

    #[test]
    fn a_press_that_was_over_before_it_was_told_of_is_one() {
        let press = [(0, true), (4, false), (6, true), (80, false), (83, true), (86, false)];
        assert_eq!(late(&mut hands(), 17, &press), [Hand::Pressed, Hand::Released]);
        let held = [(0, true), (3500, false)];
        assert_eq!(late(&mut hands(), 17, &held), [Hand::Pressed, Hand::Held, Hand::Released]);
        assert_eq!(late(&mut hands(), 17, &[(0, true), (19, false)]), [], "a spike");
    }

    #[test]
    fn the_next_deadline_is_the_soonest() {
        let mut hands = hands();
        assert_eq!(hands.deadline(), None);
        hands.edge(Edge { line: 17, down: true, at: at(0) });
        assert_eq!(hands.poll(at(20), false), Some(Hand::Pressed));
        hands.edge(Edge { line: 22, down: true, at: at(500) });
        assert_eq!(hands.deadline(), Some(at(520)));
        assert_eq!(hands.poll(at(520), false), Some(Hand::Mute { on: true }));
        assert_eq!(hands.deadline(), Some(at(3000)), "of the talk button's hold");
    }
}
