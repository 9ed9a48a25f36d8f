//! The speech thread: rings in, front end, ring out.
//!
//! Woken by capture, never waits for main: when the ring to main is full the newest block is
//! dropped and counted. Allocates only when a stream begins.

use super::Options;
use super::chain::Chain;
use crate::base::event::Voice;
use crate::base::pulse::Pulse;
use crate::base::ring::{Bell, PeriodReader, Wait};
use rtrb::Producer;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::base::event::Near;

/// Longest wait for a bell: half of what a worker may take to stop.
const WAIT_MAX: Duration = Duration::from_millis(50);
/// Interleaved samples of the longest period that needs no allocation: 20 ms of 8 channels at
/// 192 kHz, twice.
const PERIOD_SAMPLES: usize = 65_536;
/// Blocks after which main is woken: 20 ms, what one message to the service carries.
const BLOCKS_A_RING: u32 = 2;

/// Runs until `pulse` says stop. `bell` is rung by capture, `done` wakes main: once in 20 ms of
/// sound, and at once when the voice decision changes or a wake word was heard. Blocks that find
/// `out` full are dropped and counted in `dropped`.
#[expect(clippy::too_many_arguments, reason = "one for each end of the thread")]
pub fn run(
    options: &Options,
    near: PeriodReader,
    far: PeriodReader,
    out: Producer<Near>,
    bell: &dyn Wait,
    done: &dyn Bell,
    pulse: &Pulse,
    dropped: &AtomicU64,
) {
    let mut worker = Worker::new(options, near, far, out);
    while !pulse.stopped() {
        pulse.beat();
        worker.turn(done, dropped);
        bell.wait(WAIT_MAX);
    }
}

/// The state of the loop.
struct Worker {
    chain: Chain,
    near: PeriodReader,
    far: PeriodReader,
    out: Producer<Near>,
    samples: Vec<f32>,
    voice: Voice,
    /// Blocks since main was last woken.
    unrung: u32,
}

impl Worker {
    fn new(options: &Options, near: PeriodReader, far: PeriodReader, out: Producer<Near>) -> Self {
        Self {
            chain: Chain::new(options),
            near,
            far,
            out,
            samples: Vec::with_capacity(PERIOD_SAMPLES),
            voice: Voice::Quiet,
            unrung: 0,
        }
    }

    /// Takes what waits. Bounded by what the rings hold.
    fn turn(&mut self, done: &dyn Bell, dropped: &AtomicU64) {
        for _ in 0..self.far.waiting() {
            self.samples.clear();
            let Some(head) = self.far.pop(&mut self.samples) else { break };
            self.chain.far(&head, &self.samples);
        }
        let Self { chain, near, out, samples, voice, unrung, .. } = self;
        for _ in 0..near.waiting() {
            samples.clear();
            let Some(head) = near.pop(samples) else { break };
            chain.near(&head, samples, &mut |block| {
                let urgent = block.voice != *voice || block.wake.is_some();
                *voice = block.voice;
                *unrung += 1;
                if out.push(block).is_err() {
                    dropped.fetch_add(1, Ordering::Relaxed);
                }
                if urgent || *unrung >= BLOCKS_A_RING {
                    *unrung = 0;
                    done.ring();
                }
            });
        }
    }
}
