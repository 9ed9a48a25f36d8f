//! How fast two clocks drift apart, seen in the filter itself.
//!
//! When the microphone's clock differs from the speaker's, the whole response moves through the
//! filter. Every half second the phase between the filter and its copy of half a second ago says
//! by how many samples; an integrator steers the reference so that it stops.

use super::filter::PARTS;
use super::spectrum::{BINS, Spectrum};
use crate::base::pcm::{BLOCK, BLOCK_RATE};

/// Blocks between two looks: half a second.
const PERIOD: u32 = 50;
/// Of these so many must have been audible.
const ACTIVE: u32 = 25;
/// Bins compared: 300-3500 Hz.
const LOW: usize = 6;
const HIGH: usize = 70;
/// Likeness of filter and copy below which a movement means nothing.
const ALIKE: f32 = 0.5;
/// Longest movement that can be drift: 2 samples in half a second are 250 ppm beside what is
/// already corrected; anything longer is another path.
const SHIFT_MAX: f32 = 2.0;
/// Share of what was found that is corrected at once.
const GAIN: f64 = 0.5;
/// Largest drift: cheap crystals reach 200 ppm between them.
const MOST: f64 = 500e-6;

/// Watches the filter move.
pub(super) struct Drift {
    copy: Vec<Spectrum>,
    blocks: u32,
    active: u32,
    rate: f64,
}

impl Drift {
    pub(super) fn new() -> Self {
        Self { copy: vec![Spectrum::ZERO; PARTS], blocks: 0, active: 0, rate: 0.0 }
    }

    pub(super) fn reset(&mut self) {
        self.forget();
        self.rate = 0.0;
    }

    /// The filter was moved: its copy is no measure any more.
    pub(super) fn forget(&mut self) {
        self.copy.fill(Spectrum::ZERO);
        (self.blocks, self.active) = (0, 0);
    }

    /// Begins with a rate that was found before.
    pub(super) fn begin(&mut self, rate: f64) {
        self.forget();
        self.rate = rate.clamp(-MOST, MOST);
    }

    /// By how much the echo falls behind its reference, as a part of time.
    pub(super) fn rate(&self) -> f64 {
        self.rate
    }

    /// Once a block; `active` when the filter learned something of the path.
    pub(super) fn watch(&mut self, weights: &[Spectrum], active: bool) {
        self.blocks += 1;
        self.active += u32::from(active);
        if self.blocks < PERIOD {
            return;
        }
        if self.active >= ACTIVE
            && let Some(shift) = shift(weights, &self.copy)
        {
            let time = f64::from(PERIOD) * BLOCK as f64;
            self.rate = (self.rate + GAIN * f64::from(shift) / time).clamp(-MOST, MOST);
        }
        debug_assert_eq!(BLOCK_RATE.0 as usize / BLOCK, 100, "a period is half a second");
        self.copy.copy_from_slice(weights);
        (self.blocks, self.active) = (0, 0);
    }
}

/// By how many samples `now` is later than `then`.
fn shift(now: &[Spectrum], then: &[Spectrum]) -> Option<f32> {
    let (mut up, mut down, mut both, mut size_now, mut size_then) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for k in LOW..HIGH {
        let (mut re, mut im) = (0.0f32, 0.0f32);
        for (w, v) in now.iter().zip(then) {
            re += w.re[k] * v.re[k] + w.im[k] * v.im[k];
            im += w.im[k] * v.re[k] - w.re[k] * v.im[k];
            size_now += w.re[k] * w.re[k] + w.im[k] * w.im[k];
            size_then += v.re[k] * v.re[k] + v.im[k] * v.im[k];
        }
        let size = re.hypot(im);
        let w = std::f32::consts::PI * k as f32 / BLOCK as f32;
        up -= size * w * im.atan2(re);
        down += size * w * w;
        both += size;
    }
    let alike = both / (size_now * size_then).sqrt().max(1e-12);
    let shift = up / down.max(1e-12);
    (alike > ALIKE && shift.abs() < SHIFT_MAX).then_some(shift)
}

const _: () = assert!(HIGH <= BINS);
