//! What a run becomes before it leaves: mixed, limited, metered, and copied to the reference.

use super::Playout;
use crate::base::ring::PeriodHead;
use crate::dsp::meter;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Time constant of the level meter.
const LEVEL: Duration = Duration::from_millis(50);

impl Playout {
    /// Speech and earcon to what is written. Returns whether that is silence.
    pub(super) fn mix(&mut self, frames: usize) -> bool {
        let card = &mut self.card;
        if !card.mix_steady(frames) {
            for sample in &mut card.mono[..frames] {
                let volume = card.volume.step();
                let mixed = (*sample * card.duck.step() + card.chime.step()) * volume;
                *sample = card.limiter.step(mixed);
            }
        }
        let level = &self.source.shared.level;
        let share = (frames as f32 / (LEVEL.as_secs_f32() * card.rate.0 as f32)).min(1.0);
        let before = f32::from_bits(level.load(Ordering::Relaxed));
        let power = meter::power(&card.mono[..frames]);
        level.store((before + (power - before) * share).to_bits(), Ordering::Relaxed);
        power == 0.0
    }

    /// The reference: exactly what goes to the card, silence included.
    pub(super) fn tap(&mut self, frames: usize, xrun: bool) {
        let rate = self.card.rate;
        let ahead = self.now.delay + (self.written - self.now.written);
        let at = self.now.at + rate.span(ahead);
        let count = u32::try_from(frames).unwrap_or(u32::MAX);
        let (position, gap) = self.axis.place(at, count, rate, xrun);
        let head = PeriodHead {
            at,
            moved: self.now.at,
            position,
            gap,
            frames: count,
            rate,
            channels: 1,
            stream: self.stream,
        };
        if !self.reference.push(head, &self.card.mono[..frames]) {
            self.source.shared.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}
