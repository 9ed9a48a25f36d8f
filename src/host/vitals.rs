//! What the main thread notes of the speaker's health, for whoever asks on another thread. It is
//! held for as long as it takes to copy.

use super::round_trip::RoundTrips;
use crate::base::event::{Fault, Scene};
use crate::base::unit::Moment;
use crate::config::Setting;
use crate::panel::event::{Event, Turn};
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A page asks every two seconds; after so long nobody looks any more.
const WATCHED: Duration = Duration::from_secs(5);
/// Turns kept for a support bundle: what somebody who complains has just been through.
const TURNS: usize = 20;

/// The notes.
#[derive(Debug, Default)]
pub struct Vitals(Mutex<Notes>);

#[derive(Debug, Default)]
struct Notes {
    looked: Option<Moment>,
    online: bool,
    scene: Scene,
    muted: bool,
    cards: [Option<String>; 2],
    trips: RoundTrips,
    turns: VecDeque<Turn>,
    config: Vec<Setting>,
}

/// What is known at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Whether a session with the service is up.
    pub online: bool,
    /// What the speaker is doing.
    pub scene: Scene,
    /// Whether the microphone is off by the owner's will.
    pub muted: bool,
    /// To the service and back, where it was measured: the last time, and as a rule.
    pub round_trip: Option<[Duration; 2]>,
    /// The microphone and the speaker in use, in the words of who opened them.
    pub cards: [Option<String>; 2],
}

impl Vitals {
    /// For the panels, and noted here as well.
    pub fn event(&self, event: &Event) {
        match event {
            Event::State(state) => {
                let mut notes = self.notes();
                notes.online = state.online;
                (notes.scene, notes.muted) = (state.state, state.muted);
                if !state.online {
                    // The next connection may lead elsewhere.
                    notes.trips = RoundTrips::default();
                }
            }
            Event::Turn(turn) => {
                let turns = &mut self.notes().turns;
                if turns.len() == TURNS {
                    turns.pop_front();
                }
                turns.push_back(turn.clone());
            }
            Event::Transcript(_)
            | Event::Notice(_)
            | Event::Audio(_)
            | Event::Traffic(_)
            | Event::Tick(_)
            | Event::Answer(_) => {}
        }
    }

    /// What holds for every key from now on.
    pub fn configured(&self, settings: Vec<Setting>) {
        self.notes().config = settings;
    }

    /// What holds for every key.
    pub fn config(&self) -> Vec<Setting> {
        self.notes().config.clone()
    }

    /// News of a card.
    pub fn fault(&self, fault: &Fault) {
        match fault {
            Fault::CardReady { side, words } => {
                self.notes().cards[*side as usize] = Some(words.clone());
            }
            Fault::CardLost { side, .. } => self.notes().cards[*side as usize] = None,
            Fault::StateSetAside { .. } | Fault::WorldChanged => {}
        }
    }

    /// The stamp of a ping that is due: somebody looks, there is a connection, and none is under
    /// way.
    pub fn ping(&self, now: Moment) -> Option<u64> {
        let mut notes = self.notes();
        let watched = notes.looked.is_some_and(|at| now.since(at) < WATCHED);
        if watched && notes.online { notes.trips.ask(now) } else { None }
    }

    /// The service has answered it.
    pub fn pong(&self, now: Moment, stamp: u64) {
        self.notes().trips.answered(now, stamp);
    }

    /// What is known now. From now on round trips are measured for a while.
    pub fn look(&self, now: Moment) -> Seen {
        self.notes().looked = Some(now);
        self.glance()
    }

    /// The same, and no more than that.
    pub fn glance(&self) -> Seen {
        let notes = self.notes();
        let round_trip = notes.trips.last().zip(notes.trips.median());
        Seen {
            online: notes.online,
            scene: notes.scene,
            muted: notes.muted,
            round_trip: round_trip.map(|(last, median)| [last, median]),
            cards: notes.cards.clone(),
        }
    }

    /// The last turns as times, the oldest first.
    pub fn turns(&self) -> Vec<Turn> {
        self.notes().turns.iter().cloned().collect()
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::event::Side;
    use crate::base::unit::Volume;
    use crate::panel::event::State;
    use std::collections::BTreeMap;

    fn state(online: bool) -> Event {
        Event::State(State {
            state: Scene::Asleep,
            volume: Volume::new(50).unwrap(),
            muted: false,
            online,
            mode: String::new(),
            voice: String::new(),
            model: String::new(),
            trouble: String::new(),
            settings: 0,
            barge_in: String::new(),
            name: String::new(),
        })
    }

    #[test]
    fn pings_are_sent_while_somebody_looks_at_a_connection() {
        let (vitals, at) = (Vitals::default(), Moment::from_millis);
        vitals.event(&state(true));
        assert_eq!(vitals.ping(at(1000)), None, "nobody looks");
        assert_eq!(vitals.look(at(1000)).round_trip, None);
        let stamp = vitals.ping(at(2000)).unwrap();
        vitals.pong(at(2080), stamp);
        let span = Duration::from_millis(80);
        assert_eq!(vitals.look(at(3000)).round_trip, Some([span, span]));
        assert_eq!(vitals.ping(at(8000)), None, "nobody looks any more");
        vitals.event(&state(false));
        let seen = vitals.look(at(9000));
        assert_eq!((seen.online, seen.round_trip, vitals.ping(at(9000))), (false, None, None));
    }

    #[test]
    fn cards_come_and_go_and_the_last_turns_are_kept() {
        let vitals = Vitals::default();
        let words = || "USB, 48000 Hz".to_owned();
        vitals.fault(&Fault::CardReady { side: Side::Playout, words: words() });
        assert_eq!(vitals.look(Moment::ZERO).cards, [None, Some(words())]);
        vitals.fault(&Fault::CardLost { side: Side::Playout, words: String::new() });
        assert_eq!(vitals.look(Moment::ZERO).cards, [None, None]);
        for turn in 1..=25 {
            let (marks, reason) = (BTreeMap::new(), "completed".to_owned());
            vitals.event(&Event::Turn(Turn { turn, marks, cost: 0.0, reason }));
        }
        let kept: Vec<u32> = vitals.turns().iter().map(|turn| turn.turn).collect();
        assert_eq!(kept, (6..=25).collect::<Vec<_>>());
    }
}
