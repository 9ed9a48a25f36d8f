//! Noise suppression without echo cancellation.

use super::noise::Noise;
use super::residual::Residual;
use super::spectrum::Transform;
use super::{DELAY, tame};
use crate::base::pcm::Block;
use crate::base::unit::Db;
use crate::speech::aec::EchoCanceller;
use std::time::Duration;

/// Cancels nothing and lowers noise; a block of delay.
pub(super) struct Alone {
    transform: Transform,
    residual: Residual,
}

impl std::fmt::Debug for Alone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Alone").finish_non_exhaustive()
    }
}

impl Alone {
    pub(super) fn new(noise: Noise) -> Self {
        Self { transform: Transform::new(), residual: Residual::new(Some(noise)) }
    }
}

impl EchoCanceller for Alone {
    fn process(&mut self, near: &mut Block, _far: &Block) -> Db {
        let mic = near.0.map(tame);
        self.residual.pass(&mic, &mut self.transform, &mut near.0);
        Db(0.0)
    }

    fn listens(&self) -> bool {
        false
    }

    fn delay(&self) -> Duration {
        DELAY
    }

    fn reset(&mut self) {
        self.residual.reset();
    }
}
