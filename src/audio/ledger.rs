//! The heard ledger: which samples of which tag have left the speaker, to the sample.
//!
//! Goal: the point at which a reply is truncated is what a person heard, not what was sent.
//! What cannot be changed: a card says only how many frames are queued in it. Choice: each
//! stretch of speech that went out without a gap is noted with the frame at which it begins to
//! sound (resampling delay included); frames written less frames queued is the frame that has just
//! left the speaker, and from it follows the sample. Rejected: counting down per slice, which
//! rounds once a slice and drifts. Measured in `playout_test`.

use crate::base::event::{PlayoutFact, Tag};
use crate::base::ring::Epoch;
use crate::base::unit::Rate;
use rtrb::Producer;
use std::collections::VecDeque;

/// Stretches on their way through the device. A stretch ends where sound has a gap or a tag ends,
/// so even one a slice of 20 ms would cover the longest device we know (700 ms) many times. When
/// it is full the next stretch waits in the ring.
const STRETCHES: usize = 128;
/// Places in the fact ring that a passing `Heard` leaves free for facts that must not be lost.
const RESERVE: usize = 32;
/// `Heard` is told at most so often while speech plays.
const HEARD_MS: u64 = 20;

/// Speech of one tag that sounds without a gap.
#[derive(Debug, Clone, Copy)]
struct Stretch {
    tag: Tag,
    /// Samples of the tag before it.
    first: u64,
    count: u64,
    /// The frame at which its first sample begins to sound.
    start: u64,
    /// Whether the tag ends with it.
    ends: bool,
}

/// Owned by the playout thread. Samples are at the service's rate, frames at the card's.
#[derive(Debug)]
pub struct Ledger {
    stretches: VecDeque<Stretch>,
    from: u64,
    to: u64,
    /// Whether the newest stretch may still grow.
    open: bool,
    /// A flush that was carried out and not yet told, and how many stretches are older than it.
    flush: Option<(u64, Epoch)>,
    old: usize,
    told: Option<(Tag, u64)>,
    told_at: u64,
}

impl Ledger {
    /// For samples at `from` that go out at `to`.
    pub fn new(from: Rate, to: Rate) -> Self {
        Self {
            stretches: VecDeque::with_capacity(STRETCHES),
            from: u64::from(from.0),
            to: u64::from(to.0),
            open: false,
            flush: None,
            old: 0,
            told: None,
            told_at: 0,
        }
    }

    /// Changes the card's rate and forgets what was counted in frames of the old one.
    pub fn reshape(&mut self, to: Rate) {
        self.stretches.clear();
        (self.open, self.old) = (false, 0);
        if let Some((frame, _)) = &mut self.flush {
            *frame = 0;
        }
        self.to = u64::from(to.0);
        self.told_at = 0;
    }

    /// Frames that `samples` take, rounded up.
    pub const fn frames(&self, samples: u64) -> u64 {
        (samples * self.to).div_ceil(self.from)
    }

    const fn end(&self, s: &Stretch) -> u64 {
        s.start + self.frames(s.count)
    }

    /// Samples of a stretch that have sounded before `frame`.
    fn before(&self, s: &Stretch, frame: u64) -> u64 {
        (frame.saturating_sub(s.start).saturating_mul(self.from) / self.to).min(s.count)
    }

    /// Whether there is no room for another stretch.
    pub fn is_full(&self) -> bool {
        self.stretches.len() >= STRETCHES - 1
    }

    /// Whether everything that was noted has been told.
    pub fn is_settled(&self) -> bool {
        self.stretches.is_empty() && self.flush.is_none()
    }

    /// Whether speech still sounds at `frame`.
    pub fn sounds_at(&self, frame: u64) -> bool {
        self.stretches.back().is_some_and(|s| self.end(s) > frame)
    }

    /// `count` samples of `tag` were taken; `first` were taken before them, and they begin to
    /// sound at `start`.
    pub fn play(&mut self, tag: Tag, first: u64, count: u64, start: u64) {
        match self.stretches.back_mut() {
            Some(last) if self.open && last.tag == tag => last.count += count,
            Some(_) | None => {
                self.stretches.push_back(Stretch { tag, first, count, start, ends: false });
                self.open = true;
            }
        }
    }

    /// A gap begins: the newest stretch grows no more.
    pub fn pause(&mut self) {
        self.open = false;
    }

    /// The tag ends here; `first` samples of it were taken, and its end sounds at `start`.
    pub fn end_tag(&mut self, tag: Tag, first: u64, start: u64) {
        match self.stretches.back_mut() {
            Some(last) if last.tag == tag => last.ends = true,
            Some(_) | None => {
                self.stretches.push_back(Stretch { tag, first, count: 0, start, ends: true });
            }
        }
        self.open = false;
    }

    /// Nothing noted so far sounds from `frame` on; when that frame has left the speaker, `epoch`
    /// is the audible one. A cut tag does not drain.
    pub fn cut(&mut self, frame: u64, epoch: Epoch) {
        for i in 0..self.stretches.len() {
            let mut s = self.stretches[i];
            let kept = self.before(&s, frame);
            if kept < s.count || s.start > frame {
                s.ends = false;
            }
            s.count = kept;
            s.start = s.start.min(frame);
            self.stretches[i] = s;
        }
        self.open = false;
        self.old = self.stretches.len();
        self.flush = Some((frame, epoch));
    }

    /// The device is gone with what was queued in it: what had not sounded by `heard` never will.
    pub fn forsake(&mut self, heard: u64) {
        for i in 0..self.stretches.len() {
            let mut s = self.stretches[i];
            s.count = self.before(&s, heard);
            s.start = s.start.min(heard);
            self.stretches[i] = s;
        }
        self.open = false;
    }

    /// Everything before frame `heard` has left the speaker: tells what follows from it. Returns
    /// whether that is more than progress, which nobody need wake for. What finds the ring full is
    /// told next time.
    pub fn advance(&mut self, heard: u64, facts: &mut Producer<PlayoutFact>) -> bool {
        let mut news = false;
        loop {
            let front = self.stretches.front().copied();
            if let Some((frame, epoch)) = self.flush
                && self.old == 0
            {
                if heard < frame || facts.push(PlayoutFact::Flushed { epoch }).is_err() {
                    return news;
                }
                self.flush = None;
                news = true;
                continue;
            }
            let Some(s) = front else { return news };
            let samples = s.first + self.before(&s, heard);
            let open = self.open && self.stretches.len() == 1;
            if heard < self.end(&s) || open {
                self.pass(s.tag, samples, heard, facts);
                return news;
            }
            // Heard and Drained together, so that neither is told without the other.
            if facts.slots() < 2 {
                return news;
            }
            self.tell(s.tag, samples, heard, facts);
            if s.ends {
                news |= facts.push(PlayoutFact::Drained { tag: s.tag }).is_ok();
            }
            self.stretches.pop_front();
            self.old = self.old.saturating_sub(1);
        }
    }

    /// Tells progress inside a stretch, not too often.
    fn pass(&mut self, tag: Tag, samples: u64, heard: u64, facts: &mut Producer<PlayoutFact>) {
        let due = heard.saturating_sub(self.told_at) >= self.to * HEARD_MS / 1000;
        if due && facts.slots() > RESERVE {
            self.tell(tag, samples, heard, facts);
        }
    }

    /// Tells a total that is news.
    fn tell(&mut self, tag: Tag, samples: u64, heard: u64, facts: &mut Producer<PlayoutFact>) {
        let known = match self.told {
            Some((t, n)) if t == tag => n,
            Some(_) | None => 0,
        };
        if samples > known && facts.push(PlayoutFact::Heard { tag, samples }).is_ok() {
            self.told = Some((tag, samples));
            self.told_at = heard;
        }
    }
}
