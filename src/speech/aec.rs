//! Echo cancellation: the seam for a canceller, and the one that does nothing.

use crate::base::pcm::Block;
use crate::base::unit::Db;
use std::time::Duration;

/// Removes from the microphone what the speaker plays.
pub trait EchoCanceller: Send {
    /// Cleans `near` in place; `far` is the reference of the same 10 ms. Allocates nothing.
    /// Returns the echo attenuation reached so far.
    fn process(&mut self, near: &mut Block, far: &Block) -> Db;

    /// The echo comes another way from now on: another microphone is heard.
    fn moved(&mut self);

    /// By how much the echo falls behind its reference, as a part of time: whoever hands over the
    /// reference reads it so much slower.
    fn drift(&self) -> f64;

    /// How much later than its input the cleaned sound comes out.
    fn delay(&self) -> Duration;

    /// Forgets the room: a stream began anew.
    fn reset(&mut self);
}

/// Cancels nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NullCanceller;

impl EchoCanceller for NullCanceller {
    fn process(&mut self, _near: &mut Block, _far: &Block) -> Db {
        Db(0.0)
    }

    fn moved(&mut self) {}

    fn drift(&self) -> f64 {
        0.0
    }

    fn delay(&self) -> Duration {
        Duration::ZERO
    }

    fn reset(&mut self) {}
}
