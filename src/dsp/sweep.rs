//! A tone that rises evenly in octaves, for measuring rooms.
//!
//! After Farina, "Simultaneous measurement of impulse response and distortion with a swept-sine
//! technique" (2000). Divided out of its recording, a sweep leaves the answer of the room, and what the
//! speaker bends into harmonics comes out earlier than the answer, each harmonic for itself.

use crate::base::unit::Rate;
use std::f64::consts::PI;

/// Where it begins and ends, in Hz: what small speakers play and a front end at 16 kHz hears.
pub const LOW: f64 = 100.0;
/// As above.
pub const HIGH: f64 = 7_000.0;
/// How long it is, in seconds: short enough to bear, long enough for 30 dB more than a click would give.
pub const SECONDS: f64 = 1.5;
/// Fade at its beginning and end, in seconds: no click.
const FADE: f64 = 0.02;

/// The sweep, full scale.
pub fn sweep(rate: Rate) -> Vec<f32> {
    let rate = f64::from(rate.0);
    let length = (SECONDS * rate) as usize;
    let scale = SECONDS / (HIGH / LOW).ln();
    (0..length)
        .map(|i| {
            let t = i as f64 / rate;
            let phase = 2.0 * PI * LOW * scale * ((t / scale).exp() - 1.0);
            let edge = (t.min(SECONDS - t) / FADE).min(1.0);
            (phase.sin() * (0.5 - 0.5 * (PI * edge).cos())) as f32
        })
        .collect()
}

/// By how many seconds the answer to the harmonic (2, 3, ...) comes out before the answer itself.
pub fn ahead(harmonic: u32) -> f64 {
    SECONDS * f64::from(harmonic).ln() / (HIGH / LOW).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Zero crossings of a stretch, as a frequency.
    fn hertz(sound: &[f32], rate: f64) -> f64 {
        let crossings = sound.windows(2).filter(|w| (w[0] < 0.0) != (w[1] < 0.0)).count();
        crossings as f64 * rate / 2.0 / sound.len() as f64
    }

    #[test]
    fn it_rises_evenly_in_octaves_and_is_soft_at_its_ends() {
        for rate in [16_000, 48_000] {
            let sound = sweep(Rate(rate));
            let rate = f64::from(rate);
            assert_eq!(sound.len(), (1.5 * rate) as usize);
            assert!(sound[0] == 0.0 && sound[sound.len() - 1].abs() < 0.01);
            let at = |t: f64| {
                let middle = (t * rate) as usize;
                let half = (0.02 * rate) as usize;
                hertz(&sound[middle - half..middle + half], rate)
            };
            // As the frequency of a harmonic is reached so much later.
            for (t, factor) in [(0.5, 1.0), (0.5 + ahead(2), 2.0), (0.5 + ahead(3), 3.0)] {
                let wanted = LOW * (0.5 / SECONDS * (HIGH / LOW).ln()).exp() * factor;
                assert!((at(t) / wanted - 1.0).abs() < 0.06, "{t}: {} and not {wanted}", at(t));
            }
        }
    }
}
