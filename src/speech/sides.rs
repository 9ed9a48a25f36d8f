//! What both cards delivered for a while, period by period: what a measurement works on.

use super::calibration::Recording;
use crate::base::ring::PeriodHead;

/// Periods of a side: 5 s of 2 ms.
const PERIODS: usize = 2_500;
/// Samples of the microphone, 5 s of 8 channels at 48 kHz, and of what was played, which is mono. A wider
/// card has more: then the end is missing.
const NEAR: usize = 5 * 8 * 48_000;
const FAR: usize = 5 * 48_000;

/// Both sides.
#[derive(Debug)]
pub struct Sides {
    near: Periods,
    far: Periods,
}

impl Sides {
    pub(super) fn new() -> Self {
        Self { near: Periods::new(NEAR), far: Periods::new(FAR) }
    }

    /// Keeps a period of the microphone. What finds no room is left out.
    pub(super) fn near(&mut self, head: &PeriodHead, samples: &[f32]) {
        self.near.keep(head, samples);
    }

    /// Keeps a period of what was played.
    pub(super) fn far(&mut self, head: &PeriodHead, samples: &[f32]) {
        self.far.keep(head, samples);
    }

    pub(super) fn clear(&mut self) {
        self.near.clear();
        self.far.clear();
    }

    /// The microphone and what was played.
    pub fn recordings(&self) -> (Recording, Recording) {
        (self.near.recording(), self.far.recording())
    }

    /// Whether sound was lost between the first and the last period of a side.
    pub fn has_gaps(&self) -> bool {
        [&self.near, &self.far].iter().any(|side| side.has_gaps())
    }
}

#[derive(Debug)]
struct Periods {
    heads: Vec<PeriodHead>,
    samples: Vec<f32>,
}

impl Periods {
    fn new(samples: usize) -> Self {
        Self { heads: Vec::with_capacity(PERIODS), samples: Vec::with_capacity(samples) }
    }

    /// Never allocates: the room is bounded from the beginning.
    fn keep(&mut self, head: &PeriodHead, samples: &[f32]) {
        let room = self.samples.capacity() - self.samples.len();
        if self.heads.len() < self.heads.capacity() && samples.len() <= room {
            self.heads.push(*head);
            self.samples.extend_from_slice(samples);
        }
    }

    fn clear(&mut self) {
        self.heads.clear();
        self.samples.clear();
    }

    fn recording(&self) -> Recording {
        let mut rest = &self.samples[..];
        let mut recording = Recording::with_capacity(self.heads.len());
        for head in &self.heads {
            let samples = head.frames as usize * usize::from(head.channels);
            let (period, behind) = rest.split_at(samples.min(rest.len()));
            recording.push((*head, period.to_vec()));
            rest = behind;
        }
        recording
    }

    fn has_gaps(&self) -> bool {
        self.heads.iter().skip(1).any(|head| head.gap > 0)
    }
}
