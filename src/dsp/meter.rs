//! Levels.

use crate::base::unit::Db;

/// Samples looked at side by side, which the compiler makes vectors of.
const LANES: usize = 8;

/// Mean power of samples in [-1, 1]; 0 of none.
pub fn power(samples: &[f32]) -> f32 {
    if samples.is_empty() {
        return 0.0;
    }
    let (pieces, rest) = samples.as_chunks::<LANES>();
    let mut sums = [0.0f32; LANES];
    for piece in pieces {
        for i in 0..LANES {
            sums[i] += piece[i] * piece[i];
        }
    }
    let sum = sums.iter().sum::<f32>() + rest.iter().map(|s| s * s).sum::<f32>();
    sum / samples.len() as f32
}

/// RMS level; a full-scale square wave is 0 dB.
pub fn rms(samples: &[f32]) -> Db {
    Db::from_power(power(samples))
}

/// Largest magnitude; 0 of none.
pub fn peak(samples: &[f32]) -> f32 {
    let (pieces, rest) = samples.as_chunks::<LANES>();
    let larger = |top: f32, s: f32| if s.abs() > top { s.abs() } else { top };
    let mut tops = [0.0f32; LANES];
    for piece in pieces {
        for i in 0..LANES {
            tops[i] = larger(tops[i], piece[i]);
        }
    }
    tops.iter().chain(rest).fold(0.0, |top, s| larger(top, *s))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_of_known_sounds() {
        let sine: Vec<f32> = (0..480).map(|i| (i as f32 * 0.1309).sin()).collect();
        assert!((rms(&sine).0 + 3.01).abs() < 0.05);
        assert!((peak(&sine) - 1.0).abs() < 1e-3);
        assert_eq!(rms(&[]), Db::SILENCE);
        assert!(rms(&[1.0, -1.0]).0.abs() < 1e-6);
        for at in 0..19 {
            let mut samples = [0.25; 19];
            samples[at] = -0.75;
            assert_eq!(peak(&samples), 0.75, "at {at}");
            assert!((power(&samples) - (18.0 * 0.0625 + 0.5625) / 19.0).abs() < 1e-6);
        }
    }
}
