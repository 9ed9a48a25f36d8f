//! Wake words: the seam for a detector, and the one that hears none.

use crate::base::pcm::Block;
use crate::base::unit::Score;

/// Listens for a wake word.
pub trait WakeDetector: Send {
    /// Takes the next cleaned block; the score of a word that ended in it. Allocates nothing.
    fn feed(&mut self, block: &Block) -> Option<Score>;

    /// The word of the last score.
    fn word(&self) -> &str;

    /// Forgets what was heard: a stream began anew.
    fn reset(&mut self);
}

/// Hears no word.
#[derive(Debug, Clone, Copy, Default)]
pub struct NullDetector;

impl WakeDetector for NullDetector {
    fn feed(&mut self, _block: &Block) -> Option<Score> {
        None
    }

    fn word(&self) -> &'static str {
        ""
    }

    fn reset(&mut self) {}
}
