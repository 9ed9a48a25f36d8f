//! Noise suppression: the seam for a suppressor, and the one that does nothing.

use crate::base::pcm::Block;

/// Lowers steady noise.
pub trait NoiseSuppressor: Send {
    /// Cleans `near` in place. Allocates nothing.
    fn process(&mut self, near: &mut Block);

    /// Forgets the noise: a stream began anew.
    fn reset(&mut self);
}

/// Suppresses nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NullSuppressor;

impl NoiseSuppressor for NullSuppressor {
    fn process(&mut self, _near: &mut Block) {}

    fn reset(&mut self) {}
}
