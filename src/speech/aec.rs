//! Echo cancellation: the seam for a canceller, and the one that does nothing.

use super::echo::EchoPath;
use crate::base::pcm::Block;
use crate::base::unit::Db;
use std::time::Duration;

/// Removes from the microphone what the speaker plays. What has a body here is for one that knows no
/// room.
pub trait EchoCanceller: Send {
    /// Cleans `near` in place; `far` is the reference of the same 10 ms. Allocates nothing.
    /// Returns the echo attenuation reached so far.
    fn process(&mut self, near: &mut Block, far: &Block) -> Db;

    /// Whether it uses `far`. Where it does not, only the level of that need be true.
    fn listens(&self) -> bool {
        true
    }

    /// Whether what was left in the last blocks was echo after all.
    fn was_echo(&self) -> bool {
        false
    }

    /// By how many blocks the echo is known to be later than `far`.
    fn late(&self) -> u32 {
        0
    }

    /// The echo comes another way from now on: another microphone is heard.
    fn moved(&mut self) {}

    /// By how much the echo falls behind its reference, as a part of time: whoever hands over the
    /// reference reads it so much slower.
    fn drift(&self) -> f64 {
        0.0
    }

    /// How much later than its input the cleaned sound comes out.
    fn delay(&self) -> Duration;

    /// Forgets the room: a stream began anew. What it was told to know, and what it gave away as worth
    /// keeping, it begins with again.
    fn reset(&mut self);

    /// Says how many blocks late the echo is expected, for a beginning without a known path.
    fn expect(&mut self, _blocks: usize) {}

    /// Says how the room answered before. Taken for true only if the first sounds confirm it.
    fn know(&mut self, _path: &EchoPath) {}

    /// How the room answers, if that is worth keeping. Not in every block: it costs as much as a
    /// third of one. Allocates nothing.
    fn path(&mut self) -> Option<&EchoPath> {
        None
    }
}

/// Cancels nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NullCanceller;

impl EchoCanceller for NullCanceller {
    fn process(&mut self, _near: &mut Block, _far: &Block) -> Db {
        Db(0.0)
    }

    fn listens(&self) -> bool {
        false
    }

    fn delay(&self) -> Duration {
        Duration::ZERO
    }

    fn reset(&mut self) {}
}
