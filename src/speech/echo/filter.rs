//! The linear stage: a partitioned-block frequency-domain Kalman filter.
//!
//! After Enzner and Vary, "Frequency-domain adaptive Kalman filter for acoustic echo control in
//! hands-free telephones" (2006), and Kuech, Mabande and Enzner, "State-space architecture of the
//! partitioned-block-based acoustic echo controller" (2014). The step of each bin follows from how
//! uncertain it is and how loud the near end is, so it needs no double-talk detector: a person who
//! talks stops the adaptation by being loud.

use super::hindsight::LATER;
use super::path::TAPS;
use super::spectrum::{BINS, SPAN, Spectrum, Transform};
use crate::base::pcm::BLOCK;

/// Blocks of room response the filter covers: 200 ms. 150 ms cost 4 dB in a live room, 300 ms gain
/// 1 dB.
pub(super) const PARTS: usize = 20;
/// Blocks by which the filter may begin later than the reference: with it an echo that is 350 ms
/// late is still inside.
pub(super) const LATEST: usize = 34;
/// Spectra of the reference kept: so that the echo of an earlier block can be estimated as well.
pub(super) const KEPT: usize = PARTS + LATEST + LATER;
/// Uncertainty of the first part at the start; an echo as loud as the reference would be 1. Later it is at
/// most what the microphone heard of the reference: a quiet echo, of which everything is in doubt,
/// would be unlearned in favour of the noise beside it, again and again.
const START: f32 = 0.1;
/// Parts at the end of the filter, and as many before them, by which the room's decay is known.
const TAIL: usize = 6;
/// Slowest decay that is believed, from part to part: 1.3 s for 60 dB.
const DECAY_MAX: f32 = 0.9;
/// Power that the suppressor's window leaves.
const WINDOWED: f32 = 0.5;
/// What each further part starts with, of the one before: rooms decay.
const START_DECAY: f32 = 0.85;
/// Uncertainty of what was learned before, as a share of its size: what 10 dB of attenuation leave.
const KNOWN: f32 = 0.1;
/// How much of the response stays from block to block: rooms change slowly.
const STAYS: f32 = 0.998 * 0.998;
/// Share of the doubt about a bin that stays after one block at least: of a sound that begins in it the block shows
/// the first samples of a part alone.
const IN_DOUBT: f32 = 0.1;
/// How much of the near end's power stays from block to block.
const NEAR_STAYS: f32 = 0.8;
/// Keeps every division safe.
const TINY: f32 = 1e-9;
/// The wrong-filter detector forgets this much a block, and so do the levels: 140 ms.
const WRONG_STAYS: f32 = 0.93;
/// Share of the echo estimate that stands in the error when the filter is wrong.
const WRONG_SHARE: f32 = 0.3;
/// Likeness of estimate and error, besides, when it is wrong beyond doubt: a talker who is as loud
/// as the echo resembles it by chance, but not so much.
const WRONG_ALIKE: f32 = 0.4;
/// Energy of the estimate below which that says nothing.
const WRONG_ENERGY: f32 = 0.05;
/// Blocks after an alarm without another: the filter needs this long to show what it learned.
const WRONG_PAUSE: u32 = 30;
/// The pause doubles up to this, 3 s, while alarms help nothing: where there is no echo, whatever
/// the filter believes is wrong, and doubt would only make it believe more.
const WRONG_PAUSE_MAX: u32 = 300;

/// Learns how the room answers, and subtracts it.
pub(super) struct Filter {
    weights: Vec<Spectrum>,
    doubt: Vec<[f32; BINS]>,
    /// Ring of the reference's spectra and their powers; `newest` is the present one.
    far: Vec<Spectrum>,
    far_power: Vec<[f32; BINS]>,
    newest: usize,
    /// Parts the filter begins later than the reference.
    first: usize,
    near_power: [f32; BINS],
    before: [f32; BLOCK],
    left: f32,
    energy: f32,
    error_energy: f32,
    /// Of the microphone and of the reference, for as long.
    mic_energy: f32,
    far_energy: f32,
    pause: u32,
    next_pause: u32,
    work: [f32; SPAN],
}

impl Filter {
    pub(super) fn new() -> Self {
        let mut filter = Self {
            weights: vec![Spectrum::ZERO; PARTS],
            doubt: vec![[0.0; BINS]; PARTS],
            far: vec![Spectrum::ZERO; KEPT],
            far_power: vec![[0.0; BINS]; KEPT],
            newest: 0,
            first: 0,
            near_power: [1e-6; BINS],
            before: [0.0; BLOCK],
            left: 0.0,
            energy: 0.0,
            error_energy: 0.0,
            mic_energy: 0.0,
            far_energy: 0.0,
            pause: 0,
            next_pause: WRONG_PAUSE,
            work: [0.0; SPAN],
        };
        filter.doubt_all();
        filter
    }

    pub(super) fn reset(&mut self) {
        self.weights.fill(Spectrum::ZERO);
        self.far.fill(Spectrum::ZERO);
        self.far_power.fill([0.0; BINS]);
        self.doubt.fill([0.0; BINS]);
        self.doubt_all();
        self.first = 0;
        self.near_power = [1e-6; BINS];
        self.before = [0.0; BLOCK];
        (self.left, self.energy, self.error_energy) = (0.0, 0.0, 0.0);
        (self.mic_energy, self.far_energy) = (0.0, 0.0);
        (self.pause, self.next_pause) = (0, WRONG_PAUSE);
    }

    /// Takes the next block of the reference.
    pub(super) fn hear(&mut self, far: &[f32; BLOCK], transform: &mut Transform) {
        self.newest = (self.newest + KEPT - 1) % KEPT;
        self.work[..BLOCK].copy_from_slice(&self.before);
        self.work[BLOCK..].copy_from_slice(far);
        self.before = *far;
        transform.forward(&mut self.work, &mut self.far[self.newest]);
        self.far_power[self.newest] = self.far[self.newest].power();
    }

    /// The echo in the present block, as far as it is known.
    pub(super) fn echo(&self, transform: &mut Transform, echo: &mut [f32; BLOCK]) {
        self.echo_ago(0, transform, echo);
    }

    /// The echo in the block `ago` blocks before, at most [`LATER`], by what is known now.
    pub(super) fn echo_ago(&self, ago: usize, transform: &mut Transform, echo: &mut [f32; BLOCK]) {
        self.echo_of(&self.weights, self.first + ago, transform, echo);
    }

    /// The echo by other weights, which begin `first` blocks later than the reference.
    pub(super) fn echo_of(
        &self,
        weights: &[Spectrum],
        first: usize,
        transform: &mut Transform,
        echo: &mut [f32; BLOCK],
    ) {
        let mut sum = Spectrum::ZERO;
        for (q, w) in weights.iter().enumerate() {
            let x = &self.far[(self.newest + first + q) % KEPT];
            for k in 0..BINS {
                sum.re[k] += w.re[k] * x.re[k] - w.im[k] * x.im[k];
                sum.im[k] += w.re[k] * x.im[k] + w.im[k] * x.re[k];
            }
        }
        let mut work = [0.0; SPAN];
        transform.inverse(&sum, &mut work);
        echo.copy_from_slice(&work[BLOCK..]);
    }

    /// Learns from what is left of the microphone after `echo` was subtracted; `useful` says that
    /// such estimates have of late explained something.
    pub(super) fn learn(
        &mut self,
        error: &[f32; BLOCK],
        echo: &[f32; BLOCK],
        useful: bool,
        transform: &mut Transform,
    ) {
        self.work[..BLOCK].fill(0.0);
        self.work[BLOCK..].copy_from_slice(error);
        let mut e = Spectrum::ZERO;
        transform.forward(&mut self.work, &mut e);
        let power = e.power();
        // Uncertainty of the echo and the near end together: what the error is made of.
        let mut sum = [0.0; BINS];
        for k in 0..BINS {
            let near = NEAR_STAYS * self.near_power[k] + (1.0 - NEAR_STAYS) * power[k];
            self.near_power[k] = near;
            sum[k] = near + TINY;
        }
        for (q, doubt) in self.doubt.iter().enumerate() {
            let x = &self.far_power[(self.newest + self.first + q) % KEPT];
            for k in 0..BINS {
                sum[k] += 0.5 * doubt[k] * x[k];
            }
        }
        let inverse: [f32; BINS] = std::array::from_fn(|k| 1.0 / sum[k]);
        for (q, (w, doubt)) in self.weights.iter_mut().zip(&mut self.doubt).enumerate() {
            let at = (self.newest + self.first + q) % KEPT;
            let (x, x_power) = (&self.far[at], &self.far_power[at]);
            for k in 0..BINS {
                let step = doubt[k] * inverse[k];
                w.re[k] += step * (x.re[k] * e.re[k] + x.im[k] * e.im[k]);
                w.im[k] += step * (x.re[k] * e.im[k] - x.im[k] * e.re[k]);
                let size = w.re[k] * w.re[k] + w.im[k] * w.im[k];
                let sure = (1.0 - 0.5 * step * x_power[k]).max(IN_DOUBT);
                doubt[k] = (STAYS * sure * doubt[k] + (1.0 - STAYS) * size).max(TINY);
            }
        }
        for w in &mut self.weights {
            // A part answers for its own block of delay only.
            transform.inverse(w, &mut self.work);
            self.work[BLOCK..].fill(0.0);
            transform.forward(&mut self.work, w);
        }
        self.watch(error, echo, useful);
    }

    /// A wrong filter leaves its own estimate, negated, in the error: then everything is in doubt
    /// again.
    fn watch(&mut self, error: &[f32; BLOCK], echo: &[f32; BLOCK], useful: bool) {
        let both: f32 = error.iter().zip(echo).map(|(e, y)| e * y).sum();
        let energy: f32 = echo.iter().map(|y| y * y).sum();
        self.left = WRONG_STAYS * self.left - both;
        self.energy = WRONG_STAYS * self.energy + energy;
        let error_energy: f32 = error.iter().map(|e| e * e).sum();
        self.error_energy = WRONG_STAYS * self.error_energy + error_energy;
        let mic_energy: f32 = error.iter().zip(echo).map(|(e, y)| (e + y).powi(2)).sum();
        self.mic_energy = WRONG_STAYS * self.mic_energy + mic_energy;
        let far: f32 = self.far_power[(self.newest + self.first) % KEPT].iter().sum();
        self.far_energy = WRONG_STAYS * self.far_energy + far / SPAN as f32;
        self.pause = self.pause.saturating_sub(1);
        if useful {
            self.next_pause = WRONG_PAUSE;
        }
        if self.is_wrong() && self.pause == 0 {
            self.pause = self.next_pause;
            self.next_pause = (2 * self.next_pause).min(WRONG_PAUSE_MAX);
            self.doubt_all();
        }
    }

    /// Whether the estimate stands in the error.
    pub(super) fn is_wrong(&self) -> bool {
        self.energy > WRONG_ENERGY && self.left > WRONG_SHARE * self.energy
    }

    /// Whether it stands there beyond doubt: the echo takes another path than before.
    pub(super) fn is_surely_wrong(&self) -> bool {
        let alike = WRONG_ALIKE * (self.energy * self.error_energy).sqrt();
        self.is_wrong() && self.left > alike
    }

    /// What was learned may be of another path.
    pub(super) fn doubt_all(&mut self) {
        let heard = self.mic_energy / self.far_energy;
        // Not a number where nothing was played.
        let mut start = START.min(heard);
        for doubt in &mut self.doubt {
            doubt.iter_mut().for_each(|d| *d = d.max(start));
            start *= START_DECAY;
        }
    }

    /// The reference `lag` blocks ago.
    pub(super) fn far(&self, lag: usize) -> &Spectrum {
        &self.far[(self.newest + lag) % KEPT]
    }

    /// What was learned, part by part.
    pub(super) fn weights(&self) -> &[Spectrum] {
        &self.weights
    }

    /// Blocks the filter begins later than the reference.
    pub(super) fn first(&self) -> usize {
        self.first
    }

    /// The answer to a click, sample by sample.
    pub(super) fn taps(&mut self, transform: &mut Transform, taps: &mut [f32; TAPS]) {
        for (w, part) in self.weights.iter().zip(taps.as_chunks_mut::<BLOCK>().0) {
            transform.inverse(w, &mut self.work);
            part.copy_from_slice(&self.work[..BLOCK]);
        }
    }

    /// Takes an answer for true that was learned before.
    pub(super) fn adopt(&mut self, first: usize, weights: &[Spectrum]) {
        self.first = first;
        self.weights.copy_from_slice(weights);
        for (doubt, w) in self.doubt.iter_mut().zip(weights) {
            *doubt = w.power().map(|power| (KNOWN * power).max(TINY));
        }
    }

    /// Adds a block to `late`, the power by which the room outlasts the filter, bin by bin: it is taken to
    /// decay on as it does in the filter's last parts.
    pub(super) fn outlast(&self, late: &mut [f32; BINS]) {
        let [mut before, mut last] = [[0.0; BINS]; 2];
        for (sum, from) in [(&mut before, PARTS - 2 * TAIL), (&mut last, PARTS - TAIL)] {
            for (w, doubt) in self.weights.iter().zip(&self.doubt).skip(from).take(TAIL) {
                for (k, power) in w.power().into_iter().enumerate() {
                    // What is in doubt is no room, but noise that was learned.
                    sum[k] += (power - 0.5 * doubt[k]).max(0.0);
                }
            }
        }
        let [before, all]: [f32; 2] = [before.iter().sum(), last.iter().sum()];
        let decay = if before > 0.0 { (all / before).powf(1.0 / TAIL as f32) } else { 0.0 };
        let decay = decay.min(DECAY_MAX);
        // From the middle of these parts to the first one beyond them.
        let beyond = WINDOWED / TAIL as f32 * decay.powf(0.5 * (TAIL + 1) as f32);
        let far = &self.far_power[(self.newest + self.first + PARTS) % KEPT];
        for k in 0..BINS {
            late[k] = decay * late[k] + beyond * last[k] * far[k];
        }
    }

    /// Share of what was learned that is lost when the filter begins at `first`.
    pub(super) fn lost_at(&self, first: usize) -> f32 {
        let (mut all, mut lost) = (TINY, 0.0);
        for (part, w) in (self.first..).zip(&self.weights) {
            let size: f32 = w.power().iter().sum();
            all += size;
            if !(first..first + PARTS).contains(&part) {
                lost += size;
            }
        }
        lost / all
    }

    /// What was learned is of no use.
    pub(super) fn forget(&mut self) {
        self.weights.fill(Spectrum::ZERO);
    }

    /// Lets the filter begin elsewhere. What was learned keeps its place in time.
    pub(super) fn begin(&mut self, first: usize) {
        let first = first.min(LATEST);
        if first > self.first {
            let by = (first - self.first).min(PARTS);
            self.weights.rotate_left(by);
            self.doubt.rotate_left(by);
            self.weights[PARTS - by..].fill(Spectrum::ZERO);
            self.doubt[PARTS - by..].fill([0.0; BINS]);
        } else {
            let by = (self.first - first).min(PARTS);
            self.weights.rotate_right(by);
            self.doubt.rotate_right(by);
            self.weights[..by].fill(Spectrum::ZERO);
            self.doubt[..by].fill([0.0; BINS]);
        }
        self.first = first;
        self.doubt_all();
    }
}
