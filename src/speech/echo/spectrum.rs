//! DOOR realfft: transforms of two blocks, with the parts of each spectrum in arrays of their own,
//! which compilers turn into vector instructions.

use crate::base::pcm::BLOCK;
use realfft::num_complex::Complex32;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};
use std::sync::Arc;

/// Samples of a transform: a block and the one before it.
pub(super) const SPAN: usize = 2 * BLOCK;
/// Bins of a spectrum, DC and Nyquist included; 50 Hz apart.
pub(super) const BINS: usize = BLOCK + 1;

/// A spectrum, or any pair of values for each bin.
#[derive(Clone, Copy)]
pub(super) struct Spectrum {
    pub(super) re: [f32; BINS],
    pub(super) im: [f32; BINS],
}

impl Spectrum {
    pub(super) const ZERO: Self = Self { re: [0.0; BINS], im: [0.0; BINS] };

    /// Power of each bin.
    pub(super) fn power(&self) -> [f32; BINS] {
        std::array::from_fn(|k| self.re[k] * self.re[k] + self.im[k] * self.im[k])
    }
}

/// Both directions, with room to work in.
pub(super) struct Transform {
    forward: Arc<dyn RealToComplex<f32>>,
    inverse: Arc<dyn ComplexToReal<f32>>,
    bins: [Complex32; BINS],
    scratch: Vec<Complex32>,
}

impl Transform {
    pub(super) fn new() -> Self {
        let mut planner = RealFftPlanner::new();
        let (forward, inverse) = (planner.plan_fft_forward(SPAN), planner.plan_fft_inverse(SPAN));
        let scratch = forward.get_scratch_len().max(inverse.get_scratch_len());
        Self {
            forward,
            inverse,
            bins: [Complex32::ZERO; BINS],
            scratch: vec![Complex32::ZERO; scratch],
        }
    }

    /// The spectrum of `samples`, which are lost.
    pub(super) fn forward(&mut self, samples: &mut [f32; SPAN], to: &mut Spectrum) {
        let length = self.forward.get_scratch_len();
        let done =
            self.forward.process_with_scratch(samples, &mut self.bins, &mut self.scratch[..length]);
        debug_assert!(done.is_ok(), "the sizes are those of the plan");
        for (k, bin) in self.bins.iter().enumerate() {
            to.re[k] = bin.re;
            to.im[k] = bin.im;
        }
    }

    /// Back, with the right scale.
    pub(super) fn inverse(&mut self, from: &Spectrum, samples: &mut [f32; SPAN]) {
        const SCALE: f32 = 1.0 / SPAN as f32;
        for (k, bin) in self.bins.iter_mut().enumerate() {
            *bin = Complex32 { re: from.re[k] * SCALE, im: from.im[k] * SCALE };
        }
        // Of a real sound.
        self.bins[0].im = 0.0;
        self.bins[BINS - 1].im = 0.0;
        let length = self.inverse.get_scratch_len();
        let done =
            self.inverse.process_with_scratch(&mut self.bins, samples, &mut self.scratch[..length]);
        debug_assert!(done.is_ok(), "the sizes are those of the plan");
    }
}
