//! The way from the speaker to the microphone, as it is kept over a restart and begun with again.

use super::filter::{LATEST, PARTS};
use crate::base::pcm::BLOCK;

/// Samples of an answer: as much as the filter covers.
pub const TAPS: usize = PARTS * BLOCK;
/// Larger than any answer of a room: a speaker 40 dB louder at the microphone than it was told.
const TAP_MAX: f32 = 100.0;

/// What a canceller knows of a room. Small, and without a pointer in it, so that it can be handed to the
/// running front end and back without memory being allocated.
#[derive(Clone, Copy, PartialEq)]
pub struct EchoPath {
    /// Blocks by which the answer begins later than the reference.
    pub first: u16,
    /// By how much the echo falls behind its reference, as a part of time.
    pub drift: f64,
    /// The answer to a click, at 16 kHz.
    pub taps: [f32; TAPS],
}

impl std::fmt::Debug for EchoPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EchoPath").field("first", &self.first).finish_non_exhaustive()
    }
}

impl EchoPath {
    /// A speaker that is not heard.
    pub const SILENT: Self = Self { first: 0, drift: 0.0, taps: [0.0; TAPS] };

    /// Its written form: a mark, what it is made of, and a checksum over both.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(LENGTH);
        bytes.extend(MARK);
        bytes.extend(self.first.to_le_bytes());
        bytes.extend(self.drift.to_le_bytes());
        self.taps.iter().for_each(|tap| bytes.extend(tap.to_le_bytes()));
        bytes.extend(checksum(&bytes).to_le_bytes());
        bytes
    }

    /// From its written form.
    ///
    /// # Errors
    /// In words, when it is not one of ours, damaged, or says what cannot be.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        let (rest, sum) = bytes.split_last_chunk().ok_or("too short")?;
        if bytes.len() != LENGTH || !bytes.starts_with(&MARK) {
            return Err(format!("{} bytes that are no echo path of this version", bytes.len()));
        }
        if checksum(rest) != u32::from_le_bytes(*sum) {
            return Err("the checksum does not fit".into());
        }
        let mut path = Self::SILENT;
        let (first, rest) = rest[MARK.len()..].split_first_chunk().ok_or("too short")?;
        let (drift, taps) = rest.split_first_chunk().ok_or("too short")?;
        path.first = u16::from_le_bytes(*first);
        path.drift = f64::from_le_bytes(*drift);
        for (tap, bytes) in path.taps.iter_mut().zip(taps.as_chunks().0) {
            *tap = f32::from_le_bytes(*bytes);
        }
        if path.is_possible() { Ok(path) } else { Err("it describes no room".into()) }
    }

    /// Whether a room may be so. NaN is not.
    pub(super) fn is_possible(&self) -> bool {
        usize::from(self.first) <= LATEST
            && self.drift.abs() < 1e-2
            && self.taps.iter().all(|tap| tap.abs() < TAP_MAX)
    }
}

/// What every written path begins with; its last byte is the version.
const MARK: [u8; 8] = *b"echopth\x01";
const LENGTH: usize = MARK.len() + 2 + 8 + 4 * TAPS + 4;

/// CRC-32, bit by bit: it runs once in minutes.
pub fn checksum(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |sum: u32, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| {
            if sum & 1 == 1 { (sum >> 1) ^ 0xedb8_8320 } else { sum >> 1 }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path() -> EchoPath {
        let mut path = EchoPath { first: 7, drift: -42e-6, ..EchoPath::SILENT };
        for (i, tap) in path.taps.iter_mut().enumerate() {
            *tap = 0.5 - i as f32 / 3000.0;
        }
        path
    }

    #[test]
    fn what_is_written_is_read() {
        let bytes = path().to_bytes();
        assert_eq!(bytes.len(), LENGTH);
        assert_eq!(EchoPath::from_bytes(&bytes).unwrap(), path());
        assert_eq!(checksum(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn what_is_damaged_or_impossible_is_refused() {
        let good = path().to_bytes();
        for at in [0, 7, 9, 12, 5000, LENGTH - 1] {
            let mut bad = good.clone();
            bad[at] ^= 4;
            assert!(EchoPath::from_bytes(&bad).is_err(), "byte {at}");
        }
        for bad in [&good[..LENGTH - 1], &[], &[0; LENGTH]] {
            assert!(EchoPath::from_bytes(bad).is_err());
        }
        let mut wild = [path(); 4];
        wild[0].first = LATEST as u16 + 1;
        wild[1].drift = f64::NAN;
        wild[2].taps[3] = f32::INFINITY;
        wild[3].taps[TAPS - 1] = -1e9;
        for path in wild {
            assert!(EchoPath::from_bytes(&path.to_bytes()).unwrap_err().contains("no room"));
        }
    }
}
