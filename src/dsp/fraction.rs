//! Sound between its samples.
//!
//! A windowed sinc from a table of phases, its rows blended: exact to -80 dB up to three quarters of Nyquist,
//! which is where echo lives. rubato's sinc would do it too, at twice the taps and in blocks of
//! its own.

use super::resample::bessel;

/// Samples on either side that a value between two samples needs.
pub const HALF: usize = 16;
const TAPS: usize = 2 * HALF;
/// Rows of the table.
const PHASES: usize = 64;
/// Kaiser window: side lobes below -80 dB.
const BETA: f64 = 8.0;

/// Reads between samples.
pub struct Fraction {
    rows: Vec<[f32; TAPS]>,
}

impl Default for Fraction {
    fn default() -> Self {
        Self::new()
    }
}

impl Fraction {
    /// Makes the table.
    pub fn new() -> Self {
        let row = |phase: usize| -> [f32; TAPS] {
            let at = phase as f64 / PHASES as f64;
            let taps: [f64; TAPS] = std::array::from_fn(|i| {
                let x = i as f64 - (HALF as f64 - 1.0) - at;
                let edge = (1.0 - (x / HALF as f64).powi(2)).max(0.0);
                let angle = std::f64::consts::PI * x;
                let sinc = if x == 0.0 { 1.0 } else { angle.sin() / angle };
                sinc * bessel(BETA * edge.sqrt())
            });
            let sum: f64 = taps.iter().sum();
            taps.map(|tap| (tap / sum) as f32)
        };
        Self { rows: (0..=PHASES).map(row).collect() }
    }

    /// Fills `to` with the sound `at` (0..1) of a sample after those of `around` that lie
    /// [`HALF`] - 1 from its beginning on.
    pub fn read(&self, around: &[f32], at: f32, to: &mut [f32]) {
        if at == 0.0 {
            to.copy_from_slice(&around[HALF - 1..][..to.len()]);
            return;
        }
        if around.iter().all(|x| *x == 0.0) {
            to.fill(0.0);
            return;
        }
        let place = at.clamp(0.0, 1.0) * PHASES as f32;
        let phase = (place as usize).min(PHASES - 1);
        let part = place - phase as f32;
        let (low, high) = (&self.rows[phase], &self.rows[phase + 1]);
        let row: [f32; TAPS] = std::array::from_fn(|i| low[i] + part * (high[i] - low[i]));
        for (out, window) in to.iter_mut().zip(around.windows(TAPS)) {
            let mut sums = [0.0f32; 8];
            for (h, x) in row.as_chunks::<8>().0.iter().zip(window.as_chunks::<8>().0) {
                for i in 0..8 {
                    sums[i] += h[i] * x[i];
                }
            }
            *out = sums.iter().sum();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tone_is_read_between_its_samples() {
        let fraction = Fraction::new();
        for hz in [200.0, 1000.0, 3500.0, 6000.0] {
            let tone = |t: f64| (std::f64::consts::TAU * hz * t / 16_000.0).sin();
            let around: Vec<f32> = (0..160 + 2 * HALF).map(|i| tone(i as f64) as f32).collect();
            for at in [0.0, 0.001, 0.31, 0.5, 0.999] {
                let mut out = [0.0; 160];
                fraction.read(&around, at, &mut out);
                for (i, x) in out.iter().enumerate() {
                    let wanted = tone(i as f64 + HALF as f64 - 1.0 + f64::from(at));
                    let off = (f64::from(*x) - wanted).abs();
                    assert!(off < 2e-4, "{hz} Hz at {at}: {off}");
                }
            }
        }
    }
}
