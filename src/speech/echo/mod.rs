//! Echo cancellation: a linear filter that learns the room, and a suppressor of what it leaves.
//!
//! A block of delay. While the reference is silent and no echo of it can be left, nothing is
//! computed and the microphone passes unchanged.

mod drift;
mod filter;
mod measure;
mod residual;
mod search;
mod spectrum;
#[cfg(test)]
mod test;

use super::aec::EchoCanceller;
use crate::base::pcm::{BLOCK, Block};
use crate::base::unit::Db;
use drift::Drift;
use filter::{Filter, KEPT, LATEST};
use measure::Measure;
use residual::Residual;
use search::Search;
use spectrum::{SPAN, Spectrum, Transform};
use std::time::Duration;

/// Below this the reference is silence: -100 dBFS, less than a step of 16 bits.
const SILENT: f32 = 1e-5;
/// Mean power from which the reference teaches: -60 dBFS.
const AUDIBLE: f32 = 1e-6;
/// A sample this large is clipped in the card, and its block teaches nothing.
const CLIPPED: f32 = 0.98;
/// Larger than any sample a card delivers; a wild value must not overflow.
const WILD: f32 = 4.0;

/// The canceller.
pub struct Canceller {
    transform: Transform,
    filter: Filter,
    residual: Residual,
    search: Search,
    drift: Drift,
    measure: Measure,
    /// Of the estimate, what is subtracted.
    share: f32,
    /// Blocks since the reference was last audible.
    heard: usize,
    /// Silent blocks of reference in a row.
    silent: usize,
}

impl std::fmt::Debug for Canceller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Canceller").field("silent", &self.silent).finish_non_exhaustive()
    }
}

impl Default for Canceller {
    fn default() -> Self {
        Self::new()
    }
}

impl Canceller {
    /// A canceller that knows no room. Allocates here and never again.
    pub fn new() -> Self {
        Self {
            transform: Transform::new(),
            filter: Filter::new(),
            residual: Residual::new(),
            search: Search::new(),
            drift: Drift::new(),
            measure: Measure::default(),
            share: 1.0,
            heard: LATEST,
            silent: KEPT + 1,
        }
    }

    fn cancel(&mut self, mic: &[f32; BLOCK], far: &[f32; BLOCK], out: &mut [f32; BLOCK]) {
        self.filter.hear(far, &mut self.transform);
        let mut echo = [0.0; BLOCK];
        self.filter.echo(&mut self.transform, &mut echo);
        let error: [f32; BLOCK] = std::array::from_fn(|i| mic[i] - echo[i]);
        self.measure.levels(mic, &echo);
        let counts = self.measure.echo_counts();
        let mut clean = error;
        let target = if counts && self.measure.echo_fits() { 1.0 } else { 0.0 };
        let step = (target - self.share) / BLOCK as f32;
        for i in 0..BLOCK {
            self.share += step;
            clean[i] = mic[i] - self.share * echo[i];
        }
        self.share = target;
        let audible = power(far) > AUDIBLE;
        self.heard = if audible { 0 } else { self.heard.saturating_add(1) };
        if mic.iter().all(|x| x.abs() < CLIPPED) {
            self.filter.learn(&error, &echo, counts, &mut self.transform);
            if self.heard < LATEST {
                self.look(mic);
            }
        }
        self.drift.watch(self.filter.weights(), audible && counts);
        self.residual.process(&clean, &echo, counts, &mut self.transform, out);
        self.measure.distrust(self.filter.is_surely_wrong());
        self.measure.result(out, audible, self.filter.is_wrong());
    }

    fn look(&mut self, mic: &[f32; BLOCK]) {
        let mut work = [0.0; SPAN];
        work[BLOCK..].copy_from_slice(mic);
        let mut near = Spectrum::ZERO;
        self.transform.forward(&mut work, &mut near);
        let filter = &self.filter;
        if let Some(first) = self.search.look(&near, |lag| filter.far(lag), filter.first()) {
            self.filter.begin(first);
            self.drift.forget();
        }
    }
}

impl EchoCanceller for Canceller {
    fn process(&mut self, near: &mut Block, far: &Block) -> Db {
        let mic: [f32; BLOCK] = std::array::from_fn(|i| tame(near.0[i]));
        let quiet = far.0.iter().all(|x| x.abs() < SILENT);
        self.silent = if quiet { self.silent.saturating_add(1) } else { 0 };
        if self.silent > KEPT {
            self.residual.pass(&mic, &mut near.0);
        } else {
            let far = if quiet { [0.0; BLOCK] } else { std::array::from_fn(|i| tame(far.0[i])) };
            self.cancel(&mic, &far, &mut near.0);
        }
        self.measure.erle()
    }

    fn drift(&self) -> f64 {
        self.drift.rate()
    }

    fn delay(&self) -> Duration {
        crate::base::pcm::BLOCK_RATE.span(BLOCK as u64)
    }

    fn reset(&mut self) {
        self.filter.reset();
        self.residual.reset();
        self.search.reset();
        self.drift.reset();
        self.measure = Measure::default();
        self.share = 1.0;
        self.heard = LATEST;
        self.silent = KEPT + 1;
    }
}

/// A number, and not a wild one.
fn tame(x: f32) -> f32 {
    if x.is_finite() { x.clamp(-WILD, WILD) } else { 0.0 }
}

fn power(samples: &[f32; BLOCK]) -> f32 {
    samples.iter().map(|x| x * x).sum::<f32>() / BLOCK as f32
}
