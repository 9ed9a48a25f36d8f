//! The privacy gate and the pre-roll: which microphone sound may leave, and what of it waits.
//!
//! While the gate is shut, sound goes into a ring of two seconds and is overwritten there. When it
//! opens, the last of the ring goes ahead of the live sound. The ring is empty whenever the gate
//! has been open or the microphone muted, so pre-roll never reaches into an earlier turn. What was
//! sent is kept until it is answered, so that a lost link costs the person nothing.

use crate::base::event::Near;
use crate::base::unit::Rate;
use crate::grok::session::Converter;
use std::collections::VecDeque;
use std::time::Duration;

/// Length of the pre-roll ring.
pub(super) const PRE_ROLL: Duration = Duration::from_secs(2);
/// What is kept unanswered, sent or not; beyond it the oldest is dropped and counted.
pub(super) const KEPT: Duration = Duration::from_secs(30);
/// The usual chunk: small, because every millisecond of it is delay.
pub(super) const CHUNK: Duration = Duration::from_millis(20);
/// The longest chunk, while a backlog goes out.
const CHUNK_MAX: Duration = Duration::from_millis(100);
/// More unsent sound than this is a backlog.
const BACKLOG: Duration = Duration::from_millis(60);

/// What leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mouth {
    /// Nothing.
    Shut,
    /// Silence of the same length.
    Hushed,
    /// What the microphone hears.
    Open,
}

#[derive(Debug)]
pub(super) struct Uplink {
    rate: Rate,
    converter: Converter,
    mouth: Mouth,
    ring: VecDeque<i16>,
    /// Sound of the turn that is not answered yet, from its beginning.
    kept: VecDeque<i16>,
    /// How much of `kept` was sent.
    sent: usize,
    /// Samples that were dropped unsent.
    pub(super) dropped: u64,
    scratch: Vec<i16>,
    chunk: Vec<i16>,
}

impl Uplink {
    pub(super) fn new(rate: Rate) -> Self {
        Self {
            rate,
            converter: Converter::new(rate),
            mouth: Mouth::Shut,
            ring: VecDeque::new(),
            kept: VecDeque::new(),
            sent: 0,
            dropped: 0,
            scratch: Vec::new(),
            chunk: Vec::new(),
        }
    }

    fn samples(&self, span: Duration) -> usize {
        usize::try_from(self.rate.frames(span)).unwrap_or(usize::MAX)
    }

    pub(super) fn mouth(&self) -> Mouth {
        self.mouth
    }

    /// Opens or shuts the gate. `lead` is how much of the pre-roll goes ahead.
    pub(super) fn set(&mut self, mouth: Mouth, lead: Duration) {
        if self.mouth == Mouth::Shut && mouth == Mouth::Open {
            let lead = self.samples(lead).min(self.ring.len());
            self.kept.extend(self.ring.range(self.ring.len() - lead..));
            self.limit();
        }
        if mouth != Mouth::Shut {
            self.ring.clear();
        }
        self.mouth = mouth;
    }

    /// Takes in a block. While muted it is not even kept.
    pub(super) fn hear(&mut self, near: &Near, muted: bool) {
        if muted {
            self.ring.clear();
            return;
        }
        self.scratch.clear();
        self.converter.feed(&near.block, &mut self.scratch);
        match self.mouth {
            Mouth::Shut => {
                self.ring.extend(&self.scratch);
                let excess = self.ring.len().saturating_sub(self.samples(PRE_ROLL));
                self.ring.drain(..excess);
            }
            Mouth::Hushed => self.kept.extend(std::iter::repeat_n(0, self.scratch.len())),
            Mouth::Open => self.kept.extend(&self.scratch),
        }
        self.limit();
    }

    fn limit(&mut self) {
        let excess = self.kept.len().saturating_sub(self.samples(KEPT));
        let unsent = excess.saturating_sub(self.sent);
        self.dropped += unsent as u64;
        self.sent = self.sent.saturating_sub(excess);
        self.kept.drain(..excess);
    }

    /// The next chunk that may go. `all`: also what is shorter than a chunk, because no more comes.
    pub(super) fn chunk(&mut self, all: bool) -> Option<&[i16]> {
        let unsent = self.kept.len() - self.sent;
        let usual = self.samples(CHUNK);
        let take = if unsent > self.samples(BACKLOG) {
            unsent.min(self.samples(CHUNK_MAX)) / usual * usual
        } else if unsent >= usual {
            usual
        } else if all && unsent > 0 {
            unsent
        } else {
            return None;
        };
        self.chunk.clear();
        self.chunk.extend(self.kept.range(self.sent..self.sent + take));
        self.sent += take;
        Some(&self.chunk)
    }

    /// Whether sound waits to be sent.
    pub(super) fn has_backlog(&self) -> bool {
        self.kept.len() - self.sent >= self.samples(CHUNK)
    }

    /// Duration of what is kept.
    pub(super) fn kept(&self) -> Duration {
        self.rate.span(self.kept.len() as u64)
    }

    /// Whether anything was sent that is not answered.
    pub(super) fn has_sent(&self) -> bool {
        self.sent > 0
    }

    /// The link is lost: everything unanswered is to be sent again.
    pub(super) fn rewind(&mut self) {
        self.sent = 0;
    }

    /// What was sent is answered. The memory of a long turn is given back.
    pub(super) fn forget(&mut self) {
        self.kept.drain(..self.sent);
        self.sent = 0;
        self.kept.shrink_to(self.samples(PRE_ROLL));
    }

    /// The service has the turn: what was not sent came after it.
    pub(super) fn complete(&mut self) {
        self.kept.truncate(self.sent);
    }

    /// Nothing of the turn may leave any more. The ring stays: it is from after the turn.
    pub(super) fn discard(&mut self) {
        self.kept.clear();
        self.sent = 0;
    }

    /// Gate `always` while no turn waits for its answer: only the last of what was sent is worth sending again.
    pub(super) fn trim(&mut self) {
        let excess = self.sent.saturating_sub(self.samples(PRE_ROLL));
        self.kept.drain(..excess);
        self.sent -= excess;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::event::Voice;
    use crate::base::pcm::{Block, from_i16};
    use crate::base::unit::{Db, Moment, Score};

    fn near(value: i16) -> Near {
        Near {
            at: Moment::ZERO,
            block: Block([from_i16(value); 160]),
            speech: Score(0.0),
            voice: Voice::Quiet,
            wake: None,
            mic: Db(-60.0),
            far: Db::SILENCE,
            erle: Db(0.0),
        }
    }

    #[test]
    fn pre_roll_goes_ahead_once_and_never_reaches_into_an_earlier_turn() {
        let mut up = Uplink::new(Rate(16_000));
        (0..300).for_each(|i| up.hear(&near(i), false));
        up.set(Mouth::Open, Duration::from_millis(40));
        let first = up.chunk(true).unwrap();
        assert_eq!((first.len(), first[0]), (320, 296));
        up.hear(&near(300), false);
        up.set(Mouth::Shut, Duration::ZERO);
        up.discard();
        up.hear(&near(301), false);
        up.set(Mouth::Open, PRE_ROLL);
        assert_eq!(up.chunk(true).unwrap(), vec![301; 160]);
    }

    #[test]
    fn a_muted_or_shut_microphone_is_not_kept_beyond_the_ring() {
        let mut up = Uplink::new(Rate(16_000));
        (0..1000).for_each(|i| up.hear(&near(i), false));
        assert_eq!(up.ring.len(), 32_000);
        up.hear(&near(5), true);
        up.set(Mouth::Open, PRE_ROLL);
        assert_eq!(up.chunk(true), None);
    }

    #[test]
    fn a_backlog_goes_out_in_longer_chunks_and_is_bounded() {
        let mut up = Uplink::new(Rate(16_000));
        up.set(Mouth::Open, Duration::ZERO);
        (0..3100).for_each(|_| up.hear(&near(1), false));
        assert_eq!((up.kept(), up.dropped), (KEPT, 16_000));
        assert_eq!(up.chunk(false).unwrap().len(), 1600);
        while up.has_backlog() {
            assert!(up.chunk(false).unwrap().len().is_multiple_of(320));
        }
        up.rewind();
        assert!(up.has_backlog() && !up.has_sent());
    }

    #[test]
    fn silence_replaces_the_microphone_when_hushed() {
        let mut up = Uplink::new(Rate(16_000));
        up.set(Mouth::Hushed, Duration::ZERO);
        up.hear(&near(7), false);
        up.hear(&near(7), false);
        assert_eq!(up.chunk(false).unwrap(), vec![0; 320]);
    }
}
