//! Meters for the panels: the loudest of some blocks as one tick.

use crate::base::event::Near;
use crate::base::unit::{Db, Moment};
use crate::panel::event::Tick;
use crate::speech::thread::Counts;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Blocks in a tick: 60 ms, which makes 16.7 ticks a second.
const BLOCKS: u32 = 6;

/// Gathers blocks.
#[derive(Debug)]
pub struct Meter {
    blocks: u32,
    tick: Tick,
    /// What the speech thread counts, and how many samples at full scale were told.
    counts: Arc<Counts>,
    clipped: u64,
}

const EMPTY: Tick = Tick {
    t: 0.0,
    mic_dbfs: Db::SILENCE.0,
    speaker_dbfs: Db::SILENCE.0,
    speech: 0.0,
    erle_db: 0.0,
    clipped: 0,
};

impl Meter {
    /// Nothing gathered yet.
    pub fn new(counts: Arc<Counts>) -> Self {
        Self { blocks: 0, tick: EMPTY, counts, clipped: 0 }
    }

    /// Takes a block in; gives a tick with every sixth.
    pub fn feed(&mut self, near: &Near, speaker: Db) -> Option<Tick> {
        let tick = &mut self.tick;
        tick.mic_dbfs = tick.mic_dbfs.max(near.mic.0);
        tick.speaker_dbfs = tick.speaker_dbfs.max(speaker.0);
        tick.speech = tick.speech.max(near.speech.0);
        tick.erle_db = near.erle.0;
        self.blocks += 1;
        if self.blocks < BLOCKS {
            return None;
        }
        tick.t = near.at.since(Moment::ZERO).as_secs_f64();
        self.blocks = 0;
        let clipped = self.counts.clipped.load(Ordering::Relaxed);
        tick.clipped = clipped - self.clipped;
        self.clipped = clipped;
        Some(std::mem::replace(&mut self.tick, EMPTY))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::event::Voice;
    use crate::base::pcm::Block;
    use crate::base::unit::Score;

    #[test]
    fn a_tick_has_the_loudest_block_and_what_was_cut_off_since_the_last() {
        let counts = Arc::new(Counts::default());
        let mut meter = Meter::new(Arc::clone(&counts));
        let mut ticks = Vec::new();
        for n in 0..18u8 {
            let near = Near {
                at: Moment::from_millis(10 * u64::from(n)),
                block: Block::SILENCE,
                speech: Score(0.0),
                voice: Voice::Quiet,
                wake: None,
                mic: Db(-f32::from(n)),
                far: Db::SILENCE,
                erle: Db(0.0),
            };
            counts.clipped.store(if n < 3 { 0 } else { 4 }, Ordering::Relaxed);
            ticks.extend(meter.feed(&near, Db::SILENCE));
        }
        let told: Vec<_> = ticks.iter().map(|tick| (tick.mic_dbfs, tick.clipped)).collect();
        assert_eq!(told, [(0.0, 4), (-6.0, 0), (-12.0, 0)]);
    }
}
