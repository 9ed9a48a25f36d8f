//! Echo cancellation: a linear filter that learns the room, and a suppressor of what it leaves.
//!
//! A block of delay. While the reference is silent and no echo of it can be left, nothing is
//! computed but the noise, and without noise suppression the microphone passes unchanged.

mod alone;
mod drift;
mod filter;
mod hindsight;
#[cfg(test)]
mod kept_test;
mod measure;
mod memory;
mod noise;
mod path;
mod residual;
mod search;
mod spectrum;
#[cfg(test)]
mod test;
mod trial;

pub use path::{EchoPath, TAPS, checksum};

use super::Level;
use super::aec::{EchoCanceller, NullCanceller};
use crate::base::pcm::{BLOCK, BLOCK_RATE, Block};
use crate::base::unit::Db;
use alone::Alone;
use drift::Drift;
use filter::{Filter, KEPT, LATEST};
use hindsight::Hindsight;
use measure::Measure;
use memory::Memory;
use noise::Noise;
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
/// Echo attenuation from which what was learned is worth keeping: with less nobody would trust it.
const GOOD: Db = Db(15.0);
/// Audible blocks after which it may be: 5 s, when the filter's late parts have settled too.
const SETTLED: u32 = 500;
/// Share of what the filter knows that it may lose by a move while it works: the end of the room's
/// answer, and not the direct sound.
const LOST_MOST: f32 = 0.1;
/// Larger than any sample a card delivers; a wild value must not overflow.
const WILD: f32 = 4.0;

/// How much later than its input the cleaned sound comes out: the suppressor's overlap.
const DELAY: Duration = BLOCK_RATE.span(BLOCK as u64);

/// What cancels echo and lowers noise as these levels say. There is one canceller, so every level of
/// it but `off` is the same.
pub fn canceller(echo: Level, noise: Level) -> Box<dyn EchoCanceller> {
    match (echo, Noise::new(noise)) {
        (Level::Off, None) => Box::new(NullCanceller),
        (Level::Off, Some(noise)) => Box::new(Alone::new(noise)),
        (Level::Auto | Level::Low | Level::Medium | Level::High, noise) => {
            Box::new(Canceller::new(noise))
        }
    }
}

/// The canceller.
struct Canceller {
    transform: Transform,
    filter: Filter,
    residual: Residual,
    search: Search,
    drift: Drift,
    measure: Measure,
    hindsight: Hindsight,
    memory: Memory,
    /// Of the estimate, what is subtracted.
    share: f32,
    /// Blocks since the reference was last audible.
    heard: usize,
    /// Silent blocks of reference in a row.
    silent: usize,
    /// Audible blocks the filter has learned from.
    learned: u32,
}

impl std::fmt::Debug for Canceller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Canceller").field("silent", &self.silent).finish_non_exhaustive()
    }
}

impl Canceller {
    /// A canceller that knows no room. Allocates here and never again.
    fn new(noise: Option<Noise>) -> Self {
        Self {
            transform: Transform::new(),
            filter: Filter::new(),
            residual: Residual::new(noise),
            search: Search::new(),
            drift: Drift::new(),
            measure: Measure::default(),
            hindsight: Hindsight::new(),
            memory: Memory::new(),
            share: 1.0,
            heard: LATEST,
            silent: KEPT + 1,
            learned: 0,
        }
    }

    fn cancel(&mut self, mic: &[f32; BLOCK], far: &[f32; BLOCK], out: &mut [f32; BLOCK]) {
        self.filter.hear(far, &mut self.transform);
        let audible = power(far) > AUDIBLE;
        self.heard = if audible { 0 } else { self.heard.saturating_add(1) };
        let mut own = [0.0; BLOCK];
        self.filter.echo(&mut self.transform, &mut own);
        let error: [f32; BLOCK] = std::array::from_fn(|i| mic[i] - own[i]);
        let mut echo = own;
        if self.memory.is_on_trial() {
            self.remember(mic, &error, &mut echo);
        }
        self.measure.levels(mic, &echo);
        let counts = self.measure.echo_counts();
        let mut clean = [0.0; BLOCK];
        let target = if counts && self.measure.echo_fits() { 1.0 } else { 0.0 };
        let step = (target - self.share) / BLOCK as f32;
        for i in 0..BLOCK {
            self.share += step;
            clean[i] = mic[i] - self.share * echo[i];
        }
        self.share = target;
        if is_whole(mic) {
            self.filter.learn(&error, &own, counts, &mut self.transform);
            if self.heard < LATEST {
                self.learned = self.learned.saturating_add(1);
                self.look(mic);
            }
        }
        self.drift.watch(self.filter.weights(), audible && counts);
        self.filter.outlast(&mut self.residual.late);
        self.residual.process(&clean, &echo, counts, &mut self.transform, out);
        self.hindsight.look(mic, &clean, &self.filter, &mut self.transform);
        self.measure.distrust(self.filter.is_surely_wrong());
        self.measure.result(out, audible, self.filter.is_wrong());
    }

    /// The echo of the block by a kept path on trial, where that leaves less than the filter does.
    fn remember(&mut self, mic: &[f32; BLOCK], error: &[f32; BLOCK], echo: &mut [f32; BLOCK]) {
        let mut kept = [0.0; BLOCK];
        self.memory.echo(&self.filter, &mut self.transform, &mut kept);
        let left: [f32; BLOCK] = std::array::from_fn(|i| mic[i] - kept[i]);
        if power(&left) < power(error) {
            *echo = kept;
        }
        if self.heard < LATEST && is_whole(mic) {
            let Self { memory, filter, drift, transform, .. } = self;
            memory.look(mic, &kept, filter, drift, transform);
        }
    }

    fn look(&mut self, mic: &[f32; BLOCK]) {
        let mut work = [0.0; SPAN];
        work[BLOCK..].copy_from_slice(mic);
        let mut near = Spectrum::ZERO;
        self.transform.forward(&mut work, &mut near);
        let filter = &self.filter;
        if let Some(first) = self.search.look(&near, |lag| filter.far(lag), filter.first()) {
            // Music repeats itself: the search may find the bar before.
            if self.measure.is_placed() && filter.lost_at(first) > LOST_MOST {
                return;
            }
            // Else the old direct sound would stand on in a late part, which is slow to learn.
            if !self.measure.echo_fits() {
                self.filter.forget();
            }
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
            self.residual.pass(&mic, &mut self.transform, &mut near.0);
        } else {
            let far = if quiet { [0.0; BLOCK] } else { std::array::from_fn(|i| tame(far.0[i])) };
            self.cancel(&mic, &far, &mut near.0);
        }
        self.measure.erle()
    }

    fn was_echo(&self) -> bool {
        self.hindsight.was_echo()
    }

    fn late(&self) -> u32 {
        u32::try_from(self.filter.first()).unwrap_or(0)
    }

    fn moved(&mut self) {
        self.filter.doubt_all();
        self.drift.forget();
    }

    fn drift(&self) -> f64 {
        self.drift.rate()
    }

    fn delay(&self) -> Duration {
        DELAY
    }

    fn reset(&mut self) {
        self.filter.reset();
        self.residual.reset();
        self.search.reset();
        self.drift.reset();
        self.measure = Measure::default();
        self.hindsight = Hindsight::new();
        self.share = 1.0;
        self.heard = LATEST;
        self.silent = KEPT + 1;
        self.learned = 0;
        self.memory.begin(&mut self.filter, &mut self.drift, &mut self.transform);
    }

    fn expect(&mut self, blocks: usize) {
        self.memory.expect(blocks.saturating_sub(1));
        if self.learned == 0 && !self.memory.is_on_trial() {
            self.memory.begin(&mut self.filter, &mut self.drift, &mut self.transform);
        }
    }

    fn know(&mut self, path: &EchoPath) {
        self.memory.know(path);
        if self.learned == 0 {
            self.memory.begin(&mut self.filter, &mut self.drift, &mut self.transform);
        }
    }

    fn path(&mut self) -> Option<&EchoPath> {
        let good = self.measure.erle() >= GOOD && !self.filter.is_wrong();
        if self.learned < SETTLED || !good {
            return None;
        }
        let path = self.memory.path();
        path.first = u16::try_from(self.filter.first()).unwrap_or(0);
        path.drift = self.drift.rate();
        self.filter.taps(&mut self.transform, &mut path.taps);
        Some(path)
    }
}

/// A number, and not a wild one.
fn tame(x: f32) -> f32 {
    if x.is_finite() { x.clamp(-WILD, WILD) } else { 0.0 }
}

/// Not clipped in the card.
fn is_whole(mic: &[f32; BLOCK]) -> bool {
    mic.iter().all(|x| x.abs() < CLIPPED)
}

fn power(samples: &[f32; BLOCK]) -> f32 {
    samples.iter().map(|x| x * x).sum::<f32>() / BLOCK as f32
}
