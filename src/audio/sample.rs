//! Samples as a card has them, to and from f32 in [-1, 1]: scaled by the full scale of the
//! container, so that 24 bits left-justified in 32 are divided by 2^31 and nothing is clipped on
//! the way in. What is not a number becomes silence: one NaN would poison a canceller for ever.

use crate::base::pcm::to_i16;

/// How a card stores a sample. Little-endian, interleaved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// 16-bit integer.
    S16,
    /// 24-bit integer in 3 bytes.
    S24In3,
    /// 24-bit integer in the low 3 of 4 bytes.
    S24,
    /// 32-bit integer (or 24 bits left-justified in it).
    S32,
    /// 32-bit float.
    Float,
}

impl Layout {
    /// Bytes of one sample.
    pub const fn bytes(self) -> usize {
        match self {
            Self::S16 => 2,
            Self::S24In3 => 3,
            Self::S24 | Self::S32 | Self::Float => 4,
        }
    }

    /// ALSA's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::S16 => "S16_LE",
            Self::S24In3 => "S24_3LE",
            Self::S24 => "S24_LE",
            Self::S32 => "S32_LE",
            Self::Float => "FLOAT_LE",
        }
    }
}

const FULL_16: f32 = 32_768.0;
const FULL_32: f32 = 2_147_483_648.0;

/// Reads as many samples as both slices hold; returns how many.
pub fn read(layout: Layout, bytes: &[u8], out: &mut [f32]) -> usize {
    // The choice outside, the loop inside: so it is done many samples at a time.
    match layout {
        Layout::S16 => each(bytes, out, |b| f32::from(i16::from_le_bytes(b)) / FULL_16),
        // The top byte of a 24-in-32 sample is undefined: shift it out.
        Layout::S24 => each(bytes, out, |[a, b, c, _]| wide([0, a, b, c])),
        Layout::S24In3 => each(bytes, out, |[a, b, c]| wide([0, a, b, c])),
        Layout::S32 => each(bytes, out, wide),
        Layout::Float => each(bytes, out, |b| finite(f32::from_le_bytes(b))),
    }
}

fn each<const N: usize>(bytes: &[u8], out: &mut [f32], read: impl Fn([u8; N]) -> f32) -> usize {
    let pieces = bytes.as_chunks::<N>().0;
    out.iter_mut().zip(pieces).for_each(|(sample, piece)| *sample = read(*piece));
    pieces.len().min(out.len())
}

/// Writes as many samples as both slices hold, rounded and clipped at full scale.
pub fn write(layout: Layout, samples: &[f32], out: &mut [u8]) {
    match layout {
        Layout::S16 => put(samples, out, |s| to_i16(s).to_le_bytes()),
        Layout::S24 => put(samples, out, |s| scaled(s, 8).to_le_bytes()),
        Layout::S24In3 => put(samples, out, |s| {
            let [a, b, c, _] = scaled(s, 8).to_le_bytes();
            [a, b, c]
        }),
        Layout::S32 => put(samples, out, |s| scaled(s, 0).to_le_bytes()),
        Layout::Float => put(samples, out, |s| finite(s).to_le_bytes()),
    }
}

fn put<const N: usize>(samples: &[f32], out: &mut [u8], write: impl Fn(f32) -> [u8; N]) {
    let pieces = out.as_chunks_mut::<N>().0;
    pieces.iter_mut().zip(samples).for_each(|(piece, sample)| *piece = write(*sample));
}

/// The sample, or silence where it is not a finite number.
pub fn finite(sample: f32) -> f32 {
    if sample.is_finite() { sample } else { 0.0 }
}

fn wide(bytes: [u8; 4]) -> f32 {
    i32::from_le_bytes(bytes) as f32 / FULL_32
}

#[expect(clippy::cast_possible_truncation, reason = "a float cast saturates; NaN becomes 0")]
fn scaled(sample: f32, shift: u32) -> i32 {
    let scaled = f64::from(sample) * f64::from(FULL_32);
    // As in `to_i16`.
    ((scaled + 0.5f64.copysign(scaled)) as i32) >> shift
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Layout; 5] = [Layout::S16, Layout::S24In3, Layout::S24, Layout::S32, Layout::Float];

    #[test]
    fn every_layout_survives_the_round_trip() {
        let samples = [0.0, 0.5, -0.5, 0.25, -1.0, 0.123_456];
        for layout in ALL {
            let mut bytes = vec![0; samples.len() * layout.bytes()];
            let mut back = [9.0; 6];
            write(layout, &samples, &mut bytes);
            assert_eq!(read(layout, &bytes, &mut back), 6);
            for (a, b) in samples.iter().zip(back) {
                assert!((a - b).abs() < 4e-5, "{layout:?}: {a} became {b}");
            }
        }
    }

    #[test]
    fn loud_samples_clip_and_nonsense_is_silence() {
        for layout in ALL {
            let mut bytes = [0; 12];
            let mut back = [9.0; 3];
            write(layout, &[3.0, -3.0, f32::NAN], &mut bytes);
            read(layout, &bytes[..3 * layout.bytes()], &mut back);
            assert!(back[0] > 0.999 && back[1] <= -0.999 && back[2] == 0.0, "{layout:?} {back:?}");
        }
    }

    #[test]
    fn left_justified_24_bits_keep_their_level() {
        let mut out = [0.0];
        read(Layout::S32, &0x4000_0000u32.to_le_bytes(), &mut out);
        assert_eq!(out, [0.5]);
        // Undefined top byte.
        read(Layout::S24, &[0, 0, 0x40, 0xff], &mut out);
        assert_eq!(out, [0.5]);
    }
}
