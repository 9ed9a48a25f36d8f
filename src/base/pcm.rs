//! Shapes of sound between the rooms. Samples are f32 in [-1, 1] inside the device; 16-bit
//! integers exist only on the wire, in the playout ring and at the card.

use super::unit::Rate;

/// Rate of the front end and of everything behind it.
pub const BLOCK_RATE: Rate = Rate(16_000);
/// Samples in a block: 10 ms at [`BLOCK_RATE`].
pub const BLOCK: usize = 160;
/// Duration of a block in milliseconds.
pub const BLOCK_MS: u64 = 10;

/// 10 ms of mono sound at 16 kHz: the unit of the front end.
#[derive(Clone, Copy, PartialEq)]
pub struct Block(pub [f32; BLOCK]);

impl Block {
    /// 10 ms of silence.
    pub const SILENCE: Self = Self([0.0; BLOCK]);
}

impl std::fmt::Debug for Block {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Block(..)")
    }
}

/// A sample as the wire has it: rounded to the nearest step, clipped at full scale, NaN is silence.
#[inline]
pub fn to_i16(sample: f32) -> i16 {
    // Steps of this number are 1: adding it rounds, half a step to the even one, and its low bits are
    // the sum less it. `round` is a function call on many processors, and a cast that saturates is
    // several instructions where the compiler has a vector of them.
    const ROUNDER: f32 = 12_582_912.0;
    let scaled = if sample.is_nan() { 0.0 } else { sample * 32_768.0 };
    #[expect(clippy::cast_possible_truncation, reason = "the low 16 bits are the sample")]
    {
        (scaled.clamp(-32_768.0, 32_767.0) + ROUNDER).to_bits() as i16
    }
}

/// The inverse of [`to_i16`]; exact.
#[inline]
pub fn from_i16(sample: i16) -> f32 {
    f32::from(sample) / 32_768.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wire_samples_survive_the_round_trip() {
        for s in [i16::MIN, -1, 0, 1, 12_345, i16::MAX] {
            assert_eq!(to_i16(from_i16(s)), s);
        }
        assert_eq!(to_i16(2.0), i16::MAX);
        assert_eq!(to_i16(-2.0), i16::MIN);
        assert_eq!(to_i16(f32::NAN), 0);
    }
}
