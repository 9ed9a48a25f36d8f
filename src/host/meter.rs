//! Meters for the panels: the loudest of some blocks as one tick.

use crate::base::event::Near;
use crate::base::unit::{Db, Moment};
use crate::panel::event::Tick;

/// Blocks in a tick: 60 ms, which makes 16.7 ticks a second.
const BLOCKS: u32 = 6;

/// Gathers blocks.
#[derive(Debug)]
pub struct Meter {
    blocks: u32,
    tick: Tick,
}

impl Default for Meter {
    fn default() -> Self {
        Self { blocks: 0, tick: EMPTY }
    }
}

const EMPTY: Tick = Tick {
    t: 0.0,
    mic_dbfs: Db::SILENCE.0,
    speaker_dbfs: Db::SILENCE.0,
    speech: 0.0,
    erle_db: 0.0,
};

impl Meter {
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
        Some(std::mem::replace(&mut self.tick, EMPTY))
    }
}
