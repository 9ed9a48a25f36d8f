//! A few seconds of the microphone for its owner to hear: as the front end was given them, and as it
//! made them. The tape is made by who asks and goes from hand to hand by value through rings of one,
//! so that nobody allocates or waits. What is on a tape goes no further: the blocks of that time are
//! handed on as silence in which nobody speaks.

use super::chain::Chain;
use super::sides::Sides;
use crate::base::event::{Near, Voice};
use crate::base::pcm::{Block, to_i16};
use crate::base::unit::Score;
use rtrb::{Consumer, Producer, RingBuffer};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Two sides of the same time, 16-bit mono at the rate of a block.
#[derive(Debug)]
pub struct Tape {
    /// One channel of the microphone, before any echo, noise or gain was seen to.
    pub before: Vec<i16>,
    /// What is made of it.
    pub after: Vec<i16>,
    /// Samples of the microphone that were at full scale meanwhile, over all its channels.
    pub clipped: u64,
    /// What both cards delivered meanwhile, where that is wanted too.
    pub sides: Option<Sides>,
    samples: usize,
}

impl Tape {
    /// Room for so many samples of each side.
    pub fn new(samples: usize) -> Self {
        let side = || Vec::with_capacity(samples);
        Self { before: side(), after: side(), clipped: 0, sides: None, samples }
    }

    /// The same for a measurement.
    pub fn of_both_sides(samples: usize) -> Self {
        Self { sides: Some(Sides::new()), ..Self::new(samples) }
    }

    /// Whether all that was asked for is on it.
    pub fn is_full(&self) -> bool {
        self.before.len() >= self.samples
    }

    /// Records a block, and leaves nothing of it to others. Blocks beyond the end pass untouched.
    pub(super) fn block(&mut self, raw: &Block, near: &mut Near) {
        if self.is_full() {
            return;
        }
        let room = self.samples - self.before.len();
        self.before.extend(raw.0.iter().take(room).map(|s| to_i16(*s)));
        self.after.extend(near.block.0.iter().take(room).map(|s| to_i16(*s)));
        near.block = Block::SILENCE;
        (near.speech, near.voice, near.wake) = (Score(0.0), Voice::Quiet, None);
    }
}

/// The front end's side.
#[derive(Debug)]
pub struct Deck {
    blank: Consumer<Tape>,
    done: Producer<Tape>,
    wanted: Arc<AtomicBool>,
}

/// The side of who asks.
#[derive(Debug)]
pub struct Shelf {
    blank: Producer<Tape>,
    done: Consumer<Tape>,
    wanted: Arc<AtomicBool>,
    /// A tape is on the other side.
    lent: bool,
}

/// Both sides.
pub fn tape() -> (Deck, Shelf) {
    let (blank_in, blank) = RingBuffer::new(1);
    let (done, done_out) = RingBuffer::new(1);
    let wanted = Arc::new(AtomicBool::new(false));
    (
        Deck { blank, done, wanted: Arc::clone(&wanted) },
        Shelf { blank: blank_in, done: done_out, wanted, lent: false },
    )
}

impl Deck {
    /// Gives back what is recorded, empty what is no longer wanted, and puts in what came.
    pub fn turn(&mut self, chain: &mut Chain) {
        let wanted = self.wanted.load(Ordering::Acquire);
        if let Some(mut tape) = chain.eject(!wanted) {
            if !wanted {
                // Nobody is to hear what was broken off, a mute perhaps.
                tape.before.clear();
                tape.after.clear();
                tape.sides.iter_mut().for_each(Sides::clear);
            }
            self.give(tape);
        }
        if let Ok(tape) = self.blank.pop() {
            if wanted {
                chain.record(tape);
            } else {
                self.give(tape);
            }
        }
    }

    fn give(&mut self, tape: Tape) {
        // There is room: a second tape is lent only after the first came back.
        let given = self.done.push(tape);
        debug_assert!(given.is_ok(), "one tape at a time");
    }
}

impl Shelf {
    /// Begins a recording; whether it did. It does not while the tape of an earlier one is not back.
    pub fn start(&mut self, tape: Tape) -> bool {
        drop(self.fetch());
        if self.lent {
            return false;
        }
        self.wanted.store(true, Ordering::Release);
        self.lent = self.blank.push(tape).is_ok();
        self.lent
    }

    /// Ends a recording at once; what is on the tape is forgotten.
    pub fn stop(&mut self) {
        self.wanted.store(false, Ordering::Release);
    }

    /// The tape, when it is back.
    pub fn fetch(&mut self) -> Option<Tape> {
        let tape = self.done.pop().ok()?;
        self.lent = false;
        self.stop();
        Some(tape)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ring::PeriodHead;
    use crate::base::unit::{Moment, Rate};
    use crate::speech::Options;
    use assert_no_alloc::assert_no_alloc;

    struct Rig {
        chain: Chain,
        deck: Deck,
        shelf: Shelf,
        passed: Vec<Near>,
        at: u64,
    }

    impl Rig {
        fn new() -> Self {
            let (deck, shelf) = tape();
            let chain = Chain::new(&Options::default());
            let mut rig = Self { chain, deck, shelf, passed: Vec::with_capacity(4096), at: 0 };
            rig.hear(1);
            rig
        }

        /// Periods of a loud tone, each 10 ms, two samples of each cut off.
        fn hear(&mut self, periods: usize) {
            for _ in 0..periods {
                self.at += 10_000;
                let head = PeriodHead {
                    at: Moment::from_micros(1_000_000 + self.at),
                    position: 0,
                    gap: 0,
                    frames: 160,
                    rate: Rate(16_000),
                    channels: 1,
                    stream: 0,
                    moved: Moment::from_micros(1_010_000 + self.at),
                };
                let mut samples = [0.0f32; 160];
                for (i, sample) in samples.iter_mut().enumerate() {
                    *sample = 0.3 * (i as f32 * std::f32::consts::TAU / 16.0).sin();
                }
                (samples[4], samples[12]) = (1.0, -1.0);
                self.deck.turn(&mut self.chain);
                let passed = &mut self.passed;
                self.chain.near(&head, &samples, &mut |near| passed.push(near));
            }
            self.deck.turn(&mut self.chain);
        }

        fn silent(&self, from: usize) -> usize {
            let quiet = |near: &&Near| near.block.0.iter().all(|s| *s == 0.0);
            self.passed[from..].iter().filter(quiet).count()
        }
    }

    #[test]
    fn both_sides_are_recorded_and_nothing_of_it_goes_on() {
        let mut rig = Rig::new();
        rig.hear(20);
        assert_eq!(rig.silent(2), 0);
        assert!(
            rig.shelf.start(Tape::new(50 * 160)) && !rig.shelf.start(Tape::new(160)),
            "one at a time"
        );
        let from = rig.passed.len();
        rig.hear(30);
        assert!(rig.shelf.fetch().is_none());
        assert_eq!(rig.silent(from), 30);
        rig.hear(40);
        let tape = rig.shelf.fetch().unwrap();
        assert_eq!((tape.before.len(), tape.after.len(), tape.clipped), (8000, 8000, 100));
        let loud = |side: &[i16]| side.iter().any(|s| s.unsigned_abs() > 5000);
        assert!(loud(&tape.before) && loud(&tape.after));
        assert_eq!(rig.silent(from), 50, "what comes after it goes on");
        let asleep = |n: &Near| n.voice == Voice::Quiet && n.wake.is_none() && n.speech.0 == 0.0;
        assert!(rig.passed[from..from + 50].iter().all(asleep));
        assert!(rig.passed[from].mic.0 > -30.0, "the meter still moves");
    }

    #[test]
    fn a_stopped_one_comes_back_empty_and_another_may_follow() {
        let mut rig = Rig::new();
        assert!(rig.shelf.start(Tape::of_both_sides(100 * 160)));
        rig.hear(10);
        rig.shelf.stop();
        let from = rig.passed.len();
        rig.hear(10);
        assert_eq!(rig.silent(from), 0);
        let tape = rig.shelf.fetch().unwrap();
        assert!(tape.before.is_empty() && tape.after.is_empty());
        assert_eq!(tape.sides.unwrap().recordings(), (Vec::new(), Vec::new()));
        assert!(rig.shelf.start(Tape::new(160)));
        rig.shelf.stop();
        rig.hear(1);
        assert!(rig.shelf.fetch().unwrap().before.is_empty(), "stopped before it began");
        assert!(rig.shelf.start(Tape::new(160)));
    }

    #[test]
    fn the_front_end_allocates_nothing_for_it() {
        let mut rig = Rig::new();
        rig.hear(5);
        assert!(rig.shelf.start(Tape::of_both_sides(20 * 160)));
        assert_no_alloc(|| rig.hear(30));
        let tape = rig.shelf.fetch().unwrap();
        assert!(tape.is_full());
        let (near, far) = tape.sides.unwrap().recordings();
        assert_eq!((near.len(), far.len()), (20, 0));
        let loudest = near[3].1.iter().fold(0.0f32, |top, x| top.max(x.abs()));
        assert_eq!((near[3].1.len(), loudest), (160, 1.0), "as the card gave it");
    }
}
