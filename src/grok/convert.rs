//! From the front end's 16 kHz to the rate of the wire, by an exact ratio.

use crate::base::pcm::{BLOCK_RATE, Block, to_i16};
use crate::base::unit::Rate;

/// Taps of each phase when the rate goes up: 55 dB of stop band, 0.5 ms of delay at 16 kHz.
const TAPS: usize = 16;

/// A polyphase windowed-sinc converter; nothing at all when the rates agree.
#[derive(Debug, Clone)]
pub struct Converter {
    /// Output samples for every `down` input samples.
    up: usize,
    down: usize,
    /// `up` phases, each as long as `past`.
    phases: Vec<Vec<f32>>,
    past: Vec<f32>,
    /// Position of the next output sample in units of 1/up input samples.
    clock: usize,
}

impl Converter {
    /// From [`BLOCK_RATE`] to `rate`.
    pub fn new(rate: Rate) -> Self {
        let (from, to) = (BLOCK_RATE.0 as usize, rate.0.max(1) as usize);
        let divisor = gcd(from, to);
        let (up, down) = (to / divisor, from / divisor);
        let phases = if up == down { Vec::new() } else { phases(up, down) };
        let taps = phases.first().map_or(0, Vec::len);
        Self { up, down, phases, past: vec![0.0; taps], clock: 0 }
    }

    /// Converts one block; appends to `into`.
    pub fn feed(&mut self, block: &Block, into: &mut Vec<i16>) {
        if self.phases.is_empty() {
            into.extend(block.0.iter().map(|&s| to_i16(s)));
            return;
        }
        for &sample in &block.0 {
            self.past.rotate_left(1);
            if let Some(last) = self.past.last_mut() {
                *last = sample;
            }
            while self.clock < self.up {
                let taps = &self.phases[self.clock];
                let sum: f32 = self.past.iter().zip(taps).map(|(s, t)| s * t).sum();
                into.push(to_i16(sum));
                self.clock += self.down;
            }
            self.clock -= self.up;
        }
    }
}

/// The prototype low-pass cut at the lower of the two Nyquist frequencies, split into phases.
#[expect(clippy::cast_precision_loss, reason = "a few thousand taps are exact in f32")]
fn phases(up: usize, down: usize) -> Vec<Vec<f32>> {
    // Going down the filter must be longer by the ratio to keep its slope.
    let taps = if down > up { TAPS * down.div_ceil(up) } else { TAPS };
    let cut = (up as f32 / down as f32).min(1.0) * 0.92;
    let half = taps as f32 / 2.0;
    (0..up)
        .map(|phase| {
            let offset = phase as f32 / up as f32;
            let mut row: Vec<f32> = (0..taps)
                .map(|tap| {
                    // Distance of this input sample from the output sample, in input samples.
                    let x = half - 1.0 - tap as f32 + offset;
                    let window = (std::f32::consts::FRAC_PI_2 * (x / half).clamp(-1.0, 1.0)).cos();
                    sinc(x * cut) * window * window
                })
                .collect();
            let sum: f32 = row.iter().sum();
            row.iter_mut().for_each(|t| *t /= sum);
            row
        })
        .collect()
}

fn sinc(x: f32) -> f32 {
    let x = x * std::f32::consts::PI;
    if x.abs() < 1e-6 { 1.0 } else { x.sin() / x }
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f32::consts::TAU;

    fn tone(rate: u32, hz: f32) -> Vec<i16> {
        let mut converter = Converter::new(Rate(rate));
        let mut out = Vec::new();
        for block in 0..100usize {
            let mut samples = Block::SILENCE;
            for (i, s) in samples.0.iter_mut().enumerate() {
                *s = 0.5 * (TAU * hz * (block * 160 + i) as f32 / 16_000.0).sin();
            }
            converter.feed(&samples, &mut out);
        }
        out
    }

    #[test]
    fn every_listed_rate_keeps_length_and_energy() {
        for rate in [8000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000] {
            let out = tone(rate, 440.0);
            assert_eq!(out.len(), rate as usize, "{rate}");
            let settled = &out[rate as usize / 10..];
            let power = settled.iter().map(|&s| f64::from(s).powi(2)).sum::<f64>()
                / settled.len() as f64
                / 32_768f64.powi(2);
            assert!((power - 0.125).abs() < 0.003, "{rate}: {power}");
        }
    }

    #[test]
    fn what_the_lower_rate_cannot_hold_is_removed() {
        let out = tone(8000, 6000.0);
        let peak = out[800..].iter().map(|s| s.unsigned_abs()).max().unwrap();
        assert!(peak < 100, "{peak}");
    }

    #[test]
    fn the_own_rate_passes_untouched() {
        let mut converter = Converter::new(BLOCK_RATE);
        let mut out = Vec::new();
        let mut block = Block::SILENCE;
        block.0[3] = 0.25;
        converter.feed(&block, &mut out);
        assert_eq!((out.len(), out[3]), (160, 8192));
    }
}
