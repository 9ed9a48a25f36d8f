//! What is handed to the running front end about its device, and what it hands back to be kept: by
//! value through rings of one, so that nobody allocates or waits.

use super::Known;
use super::chain::Chain;
use super::echo::EchoPath;
use rtrb::{Consumer, Producer, RingBuffer};

/// Blocks of sound until the first path is given away: 15 s, so that a short run is not for nothing.
const FIRST: u32 = 1_500;
/// Blocks between two: 5 minutes; a room changes by the day, and each is written to a card that wears.
const AGAIN: u32 = 30_000;
/// Blocks after which one is looked for again when there was none worth keeping: 5 s.
const RETRY: u32 = 500;

/// The front end's side.
#[derive(Debug)]
pub struct Lore {
    known: Consumer<Known>,
    learned: Producer<EchoPath>,
    /// Blocks left until a path is given away.
    due: u32,
}

/// The other side.
#[derive(Debug)]
pub struct Keep {
    known: Producer<Known>,
    learned: Consumer<EchoPath>,
}

/// Both sides.
pub fn lore() -> (Lore, Keep) {
    let (known_in, known) = RingBuffer::new(1);
    let (learned, learned_out) = RingBuffer::new(1);
    (Lore { known, learned, due: FIRST }, Keep { known: known_in, learned: learned_out })
}

impl Lore {
    /// Takes what was handed over.
    pub fn read(&mut self, chain: &mut Chain) {
        if let Ok(known) = self.known.pop() {
            chain.know(&known);
        }
    }

    /// A block has passed: gives a path away when that is due. Dropped while the one before it was not
    /// fetched.
    pub fn block(&mut self, chain: &mut Chain) {
        self.due = self.due.saturating_sub(1);
        if self.due == 0 {
            self.due = if self.write(chain) { AGAIN } else { RETRY };
        }
    }

    /// Gives away what is worth keeping at the end; says whether there was any.
    pub fn write(&mut self, chain: &mut Chain) -> bool {
        let path = if self.learned.is_full() { None } else { chain.path() };
        path.is_some_and(|path| self.learned.push(*path).is_ok())
    }
}

impl Keep {
    /// Hands over what is known; dropped when the last was not taken yet.
    pub fn tell(&mut self, known: Known) {
        let _ = self.known.push(known);
    }

    /// The path that was given away last, once.
    pub fn fetch(&mut self) -> Option<EchoPath> {
        self.learned.pop().ok()
    }
}
