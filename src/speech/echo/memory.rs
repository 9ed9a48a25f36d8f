//! What the canceller begins with: a kept echo path, or the delay alone.
//!
//! A kept path is on trial at first. Meanwhile the filter learns from nothing as if there were none, and
//! of both estimates the better one is subtracted: right or wrong, the path costs nothing.

use super::drift::Drift;
use super::filter::{Filter, LATEST, PARTS};
use super::path::{EchoPath, TAPS};
use super::spectrum::{SPAN, Spectrum, Transform};
use super::trial::{Trial, Verdict};
use crate::base::pcm::BLOCK;
use crate::dsp::fraction::{Fraction, HALF};

/// Shorter moves, in samples, are not worth it.
const STILL: f32 = 0.02;

/// A path that was kept, and how it does.
pub(super) struct Memory {
    path: EchoPath,
    /// Whether `path` is one.
    known: bool,
    /// Where the filter begins when nothing else says so.
    first: usize,
    trial: Option<Trial>,
    /// What is on trial.
    weights: Vec<Spectrum>,
    fraction: Fraction,
    around: Box<[f32]>,
}

impl Memory {
    pub(super) fn new() -> Self {
        Self {
            path: EchoPath::SILENT,
            known: false,
            first: 0,
            trial: None,
            weights: vec![Spectrum::ZERO; PARTS],
            fraction: Fraction::new(),
            around: vec![0.0; TAPS + 2 * HALF].into(),
        }
    }

    /// Where the echo is expected when no path says so.
    pub(super) fn expect(&mut self, first: usize) {
        self.first = first.min(LATEST);
    }

    /// A path to begin with.
    pub(super) fn know(&mut self, path: &EchoPath) {
        self.known = path.is_possible();
        self.path = *path;
    }

    /// The path as it was kept last, for a new one.
    pub(super) fn path(&mut self) -> &mut EchoPath {
        self.known = true;
        &mut self.path
    }

    pub(super) fn is_on_trial(&self) -> bool {
        self.trial.is_some()
    }

    /// A stream begins: says where the filter, which knows nothing, does, and puts the kept path on
    /// trial. Its drift is believed at once: it is of the clocks and not of the room.
    pub(super) fn begin(&mut self, filter: &mut Filter, drift: &mut Drift, work: &mut Transform) {
        self.trial = None;
        filter.begin(self.first);
        if self.known {
            self.transform(work);
            drift.begin(self.path.drift);
            self.trial = Some(Trial::new());
        }
    }

    /// The echo in the present block by the path on trial.
    pub(super) fn echo(&self, filter: &Filter, transform: &mut Transform, echo: &mut [f32; BLOCK]) {
        filter.echo_of(&self.weights, usize::from(self.path.first), transform, echo);
    }

    /// Takes an audible block of the microphone, and its echo by the path on trial. Gives the path to
    /// the filter when it fits, and forgets it when it does not.
    pub(super) fn look(
        &mut self,
        mic: &[f32; BLOCK],
        echo: &[f32; BLOCK],
        filter: &mut Filter,
        drift: &mut Drift,
        transform: &mut Transform,
    ) {
        match self.trial.as_mut().and_then(|trial| trial.look(mic, echo, transform)) {
            None => {}
            Some(Verdict::Fits) => {
                filter.adopt(usize::from(self.path.first), &self.weights);
                drift.forget();
                self.trial = None;
            }
            Some(Verdict::Adjust { later, gain }) => {
                self.adjust(later, gain);
                self.transform(transform);
            }
            Some(Verdict::Strange) => {
                self.forget();
                drift.reset();
            }
        }
    }

    /// The kept path is none of this room.
    pub(super) fn forget(&mut self) {
        (self.known, self.trial) = (false, None);
    }

    fn transform(&mut self, transform: &mut Transform) {
        for (w, part) in self.weights.iter_mut().zip(self.path.taps.as_chunks::<BLOCK>().0) {
            let mut work = [0.0; SPAN];
            work[..BLOCK].copy_from_slice(part);
            transform.forward(&mut work, w);
        }
    }

    /// Moves the path in time and scales it.
    fn adjust(&mut self, later: f32, gain: f32) {
        let taps = &mut self.path.taps;
        if later.abs() > STILL {
            let whole = (-later).floor();
            self.around.fill(0.0);
            let offset = whole as i32 - HALF as i32 + 1;
            for (i, x) in self.around.iter_mut().enumerate() {
                let from = usize::try_from(i as i32 + offset).ok();
                *x = from.and_then(|n| taps.get(n)).copied().unwrap_or(0.0);
            }
            self.fraction.read(&self.around, -later - whole, taps);
        }
        taps.iter_mut().for_each(|tap| *tap *= gain);
    }
}
