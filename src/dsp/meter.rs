//! Levels.

use crate::base::unit::Db;

/// Mean power of samples in [-1, 1]; 0 of none.
pub fn power(samples: &[f32]) -> f32 {
    if samples.is_empty() {
        return 0.0;
    }
    samples.iter().map(|s| s * s).sum::<f32>() / samples.len() as f32
}

/// RMS level; a full-scale square wave is 0 dB.
pub fn rms(samples: &[f32]) -> Db {
    Db::from_power(power(samples))
}

/// Largest magnitude; 0 of none.
pub fn peak(samples: &[f32]) -> f32 {
    samples.iter().fold(0.0, |top, s| top.max(s.abs()))
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
    }
}
