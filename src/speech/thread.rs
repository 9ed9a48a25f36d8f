//! The speech thread: rings in, front end, ring out.
//!
//! Woken by capture, never waits for main: when the ring to main is full the newest block is
//! dropped and counted. Allocates only when a stream begins.

use super::Options;
use super::chain::Chain;
use super::lore::Lore;
use super::tape::Deck;
use crate::base::event::Voice;
use crate::base::pulse::Pulse;
use crate::base::ring::{Bell, PeriodReader, Wait};
use crate::base::unit::Moment;
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
/// The same while nothing is sent and nobody looks at meters: 100 ms.
const BLOCKS_AT_EASE: u32 = 10;

/// A block, and when the period that completed it was read from the card.
pub type Fresh = (Near, Moment);

/// What the thread counts for others.
#[derive(Debug, Default)]
pub struct Counts {
    /// Blocks that found no room on their way to main.
    pub dropped: AtomicU64,
    /// Samples of the microphone at full scale.
    pub clipped: AtomicU64,
}

/// Runs until `pulse` says stop. `bell` is rung by capture, `done` wakes main: once in 20 ms of
/// sound (in 100 ms at ease), and at once when the voice decision changes or a wake word was heard.
/// It is rung behind the last block that is there, so that main wakes once for what came together.
/// Blocks that find `out` full are dropped and counted.
#[expect(clippy::too_many_arguments, reason = "one for each end of the thread")]
pub fn run(
    options: &Options,
    near: PeriodReader,
    far: PeriodReader,
    out: Producer<Fresh>,
    lore: Lore,
    deck: Deck,
    bell: &dyn Wait,
    done: &dyn Bell,
    pulse: &Pulse,
    counts: &Counts,
) {
    let mut worker = Worker::new(options, near, far, out, lore, deck);
    while !pulse.stopped() {
        pulse.beat();
        let blocks = if pulse.eased() { BLOCKS_AT_EASE } else { BLOCKS_A_RING };
        worker.turn(blocks, done, counts);
        bell.wait(WAIT_MAX);
    }
    worker.lore.write(&mut worker.chain);
}

/// The state of the loop.
struct Worker {
    chain: Chain,
    near: PeriodReader,
    far: PeriodReader,
    out: Producer<Fresh>,
    lore: Lore,
    deck: Deck,
    samples: Vec<f32>,
    voice: Voice,
    /// Blocks since main was last woken.
    unrung: u32,
}

impl Worker {
    fn new(
        options: &Options,
        near: PeriodReader,
        far: PeriodReader,
        out: Producer<Fresh>,
        lore: Lore,
        deck: Deck,
    ) -> Self {
        Self {
            chain: Chain::new(options),
            near,
            far,
            out,
            lore,
            deck,
            samples: Vec::with_capacity(PERIOD_SAMPLES),
            voice: Voice::Quiet,
            unrung: 0,
        }
    }

    /// Takes what waits and wakes main after so many blocks. Bounded by what the rings hold.
    fn turn(&mut self, blocks: u32, done: &dyn Bell, counts: &Counts) {
        self.lore.read(&mut self.chain);
        self.deck.turn(&mut self.chain);
        for _ in 0..self.far.waiting() {
            self.samples.clear();
            let Some(head) = self.far.pop(&mut self.samples) else { break };
            self.chain.far(&head, &self.samples);
        }
        let Self { chain, near, out, lore, samples, voice, unrung, .. } = self;
        let mut urgent = false;
        for _ in 0..near.waiting() {
            samples.clear();
            let Some(head) = near.pop(samples) else { break };
            let mut passed = 0;
            chain.near(&head, samples, &mut |block| {
                passed += 1;
                urgent |= block.voice != *voice || block.wake.is_some();
                *voice = block.voice;
                *unrung += 1;
                if out.push((block, head.moved)).is_err() {
                    counts.dropped.fetch_add(1, Ordering::Relaxed);
                }
            });
            (0..passed).for_each(|_| lore.block(chain));
        }
        counts.clipped.store(chain.clipped(), Ordering::Relaxed);
        if urgent || *unrung >= blocks {
            *unrung = 0;
            done.ring();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ring::{PeriodHead, PeriodWriter, periods};
    use crate::base::unit::Rate;
    use crate::speech::Known;
    use crate::speech::echo::EchoPath;
    use crate::speech::lore::{Keep, lore};
    use crate::speech::tape::tape;
    use assert_no_alloc::assert_no_alloc;
    use rtrb::{Consumer, RingBuffer};
    use std::sync::atomic::AtomicU32;
    use std::sync::{Condvar, Mutex};

    /// Counts its rings.
    #[derive(Default)]
    struct Count(AtomicU32);

    impl Bell for Count {
        fn ring(&self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    struct Rig {
        worker: Worker,
        keep: Keep,
        near: PeriodWriter,
        far: PeriodWriter,
        out: Consumer<Fresh>,
        done: Count,
        counts: Counts,
        blocks: u32,
        at: u64,
    }

    impl Rig {
        fn new(room: usize) -> Self {
            let (near, near_reader) = periods(64, 64 * 480);
            let (far, far_reader) = periods(64, 64 * 480);
            let (out, out_reader) = RingBuffer::new(room);
            let (lore, keep) = lore();
            let worker =
                Worker::new(&Options::default(), near_reader, far_reader, out, lore, tape().0);
            Self {
                worker,
                keep,
                near,
                far,
                out: out_reader,
                done: Count::default(),
                counts: Counts::default(),
                blocks: BLOCKS_A_RING,
                at: 1_000_000,
            }
        }

        fn period(&mut self, samples: &[f32]) {
            let head = PeriodHead {
                at: Moment::from_micros(self.at),
                moved: Moment::from_micros(self.at + 10_500),
                position: 0,
                gap: 0,
                frames: samples.len() as u32,
                rate: Rate(48_000),
                channels: 1,
                stream: 0,
            };
            self.at += 10_000;
            assert!(self.far.push(head, samples) && self.near.push(head, samples));
            self.worker.turn(self.blocks, &self.done, &self.counts);
        }
    }

    #[test]
    fn main_is_woken_once_in_20_ms() {
        let mut rig = Rig::new(64);
        for _ in 0..40 {
            rig.period(&[0.0; 480]);
        }
        assert_eq!(rig.out.slots(), 40);
        assert_eq!(rig.done.0.load(Ordering::Relaxed), 20);
        rig.blocks = BLOCKS_AT_EASE;
        for _ in 0..20 {
            rig.period(&[0.0; 480]);
        }
        assert_eq!(rig.done.0.load(Ordering::Relaxed), 22, "once in 100 ms at ease");
        rig.blocks = BLOCKS_A_RING;
        for _ in 0..5 {
            rig.period(&[0.0; 480]);
        }
        rig.period(&[0.0; 1920]);
        rig.period(&[0.0; 960]);
        assert_eq!(rig.done.0.load(Ordering::Relaxed), 26, "once for what came together");
    }

    #[test]
    fn a_full_ring_drops_the_newest_and_counts() {
        let mut rig = Rig::new(8);
        for _ in 0..20 {
            rig.period(&[0.0; 480]);
        }
        assert_eq!((rig.out.slots(), rig.counts.dropped.load(Ordering::Relaxed)), (8, 12));
        // The oldest are kept.
        let (first, read) = rig.out.pop().unwrap();
        assert!(first.at.micros().abs_diff(989_000) < 100, "{}", first.at);
        assert_eq!(read, Moment::from_micros(1_010_500));
    }

    #[test]
    fn samples_at_full_scale_are_counted() {
        let mut rig = Rig::new(64);
        let mut period = [0.99; 480];
        for sample in &mut period[..7] {
            *sample = 32_767.0 / 32_768.0;
        }
        period[9] = -1.0;
        rig.period(&period);
        rig.period(&[0.99; 480]);
        assert_eq!(rig.counts.clipped.load(Ordering::Relaxed), 8);
    }

    #[test]
    fn steady_state_never_allocates() {
        let mut rig = Rig::new(256);
        rig.period(&[0.1; 480]);
        let samples = [0.1; 480];
        assert_no_alloc(|| {
            for _ in 0..200 {
                rig.period(&samples);
            }
        });
        assert_eq!(rig.out.slots(), 201);
    }

    #[test]
    fn what_was_learned_is_given_away_and_taken_without_allocation() {
        let mut rig = Rig::new(2048);
        rig.period(&[0.0; 480]);
        let mut seed = 1u32;
        let mut level = 0.0;
        // The microphone hears what is played, in the same period: noise in syllables of 200 ms.
        let sound: Vec<f32> = (0..1_600 * 480)
            .map(|i| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                level += 0.1 * ((seed >> 8) as f32 / 8_388_608.0 - 1.0 - level);
                0.5 * level * (i as f32 / 9_600.0 * std::f32::consts::PI).sin().abs()
            })
            .collect();
        let mut learned = None;
        assert_no_alloc(|| {
            rig.keep.tell(Known { delay: None, path: Some(EchoPath::SILENT) });
            for period in sound.as_chunks::<480>().0 {
                rig.period(period);
                learned = rig.keep.fetch().or(learned);
            }
        });
        let path = learned.expect("worth keeping after 15 s");
        // By the lead of the reference, and the high-pass of the microphone takes a little.
        let loudest = path.taps.iter().fold(0.0f32, |top, tap| top.max(tap.abs()));
        assert!((loudest - path.taps[48]).abs() < 1e-3 && loudest > 0.8, "{loudest}");
    }

    /// A bell of a mutex: good enough for a test.
    #[derive(Default)]
    struct Door(Mutex<bool>, Condvar);

    impl Bell for Door {
        fn ring(&self) {
            *self.0.lock().unwrap() = true;
            self.1.notify_one();
        }
    }

    impl Wait for &Door {
        fn wait(&self, limit: Duration) -> bool {
            let rung = self.0.lock().unwrap();
            let (mut rung, _) = self.1.wait_timeout_while(rung, limit, |rung| !*rung).unwrap();
            std::mem::take(&mut *rung)
        }
    }

    #[test]
    fn the_loop_hears_its_bell_beats_and_stops() {
        let (mut near, near_reader) = periods(8, 8 * 160);
        let (_far, far_reader) = periods(8, 8 * 160);
        let (out, mut blocks) = RingBuffer::new(8);
        let (bell, done) = (Door::default(), Door::default());
        let (pulse, counts) = (Pulse::default(), Counts::default());
        let options = Options::default();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let (lore, deck) = (lore().0, tape().0);
                let (near, far, bell) = (near_reader, far_reader, &&bell);
                run(&options, near, far, out, lore, deck, bell, &done, &pulse, &counts);
            });
            for k in 0..2u64 {
                let head = PeriodHead {
                    at: Moment::from_millis(1000 + k * 10),
                    moved: Moment::from_millis(1010 + k * 10),
                    position: k * 160,
                    gap: 0,
                    frames: 160,
                    rate: Rate(16_000),
                    channels: 1,
                    stream: 0,
                };
                assert!(near.push(head, &[0.1; 160]));
            }
            bell.ring();
            assert!((&done).wait(Duration::from_secs(5)), "main was not woken");
            for at in [990, 1000].map(Moment::from_millis) {
                let (near, read) = blocks.pop().unwrap();
                assert_eq!((near.at, read), (at, at + Duration::from_millis(20)));
            }
            pulse.stop();
        });
        assert!(pulse.beats() >= 1);
    }
}
