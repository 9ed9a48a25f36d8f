//! The inside of a WAV file, from any reader: a walk over its chunks, then samples decoded like
//! those of a card. The usual reader refuses a file whose end is missing, as a killed recorder or a
//! pipe leaves it, and does not tell how wide the container of a sample is.

use super::drive::{CHANNELS_MAX, RATES};
use super::sample::{self, Layout};
use crate::base::unit::Rate;
use std::io::Read;

/// Most samples of a file: 1 GiB as f32, an hour and a half of mono at 48 kHz.
pub(super) const SAMPLES_MAX: usize = 1 << 28;

/// What stands before the samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) layout: Layout,
    pub(super) rate: Rate,
    pub(super) channels: u16,
    /// Bytes of samples, as written; a pipe writes more than there is.
    pub(super) length: u32,
}

/// Walks the chunks up to the samples. The inner error says what the file is instead.
pub(super) fn header(file: &mut dyn Read) -> std::io::Result<Result<Header, String>> {
    let mut riff = [0; 12];
    file.read_exact(&mut riff)?;
    if &riff[..4] != b"RIFF" || &riff[8..] != b"WAVE" {
        return Ok(Err("no WAV file".into()));
    }
    let mut shape = None;
    loop {
        let mut chunk = [0; 8];
        file.read_exact(&mut chunk)?;
        let length = u32::from_le_bytes([chunk[4], chunk[5], chunk[6], chunk[7]]);
        match (&chunk[..4], shape) {
            (b"data", Some((layout, rate, channels))) => {
                return Ok(Ok(Header { layout, rate, channels, length }));
            }
            (b"data", None) => return Ok(Err("its samples come before their format".into())),
            (b"fmt ", _) => {
                // 40 bytes are the longest form there is.
                let mut fmt = [0; 40];
                let used = (length as usize).min(fmt.len());
                file.read_exact(&mut fmt[..used])?;
                skip(file, u64::from(length) + u64::from(length % 2) - used as u64)?;
                match format(&fmt, used) {
                    Ok(found) => shape = Some(found),
                    Err(words) => return Ok(Err(words)),
                }
            }
            _ => skip(file, u64::from(length) + u64::from(length % 2))?,
        }
    }
}

fn skip(file: &mut dyn Read, count: u64) -> std::io::Result<()> {
    std::io::copy(&mut file.take(count), &mut std::io::sink()).map(|_| ())
}

/// The format chunk (`WAVEFORMATEX`, or `WAVEFORMATEXTENSIBLE` where the tag is 0xfffe).
fn format(fmt: &[u8; 40], used: usize) -> Result<(Layout, Rate, u16), String> {
    let word = |at: usize| u16::from_le_bytes([fmt[at], fmt[at + 1]]);
    let rate = u32::from_le_bytes([fmt[4], fmt[5], fmt[6], fmt[7]]);
    let (tag, channels, align, bits) = (word(0), word(2), word(12), word(14));
    let kind = if tag == 0xfffe && used == 40 { word(24) } else { tag };
    if !(1..=CHANNELS_MAX).contains(&channels) {
        return Err(format!("{channels} channels"));
    }
    if !RATES.contains(&rate) {
        return Err(format!("{rate} Hz"));
    }
    // Integers narrower than their container are left-justified in it.
    let layout = match (kind, align / channels, align % channels) {
        (1, 2, 0) if bits > 8 => Layout::S16,
        (1, 3, 0) if bits > 16 => Layout::S24In3,
        (1, 4, 0) if bits > 16 => Layout::S32,
        (3, 4, 0) => Layout::Float,
        (1, _, _) => return Err(format!("integer samples of {bits} bits")),
        (3, _, _) => return Err(format!("float samples of {bits} bits")),
        _ => return Err(format!("encoding {kind}, which is not PCM")),
    };
    Ok((layout, Rate(rate), channels))
}

/// Reads samples until the end, at most [`SAMPLES_MAX`].
pub(super) fn decode(file: &mut dyn Read, layout: Layout) -> std::io::Result<Vec<f32>> {
    let mut samples = Vec::new();
    // A multiple of every sample size.
    let (mut bytes, mut held) = (vec![0; 3 * 4 * 4096], 0);
    while samples.len() < SAMPLES_MAX {
        let count = file.read(&mut bytes[held..])?;
        if count == 0 {
            break;
        }
        held += count;
        let ready = held / layout.bytes();
        let start = samples.len();
        samples.resize(start + ready, 0.0);
        sample::read(layout, &bytes[..held], &mut samples[start..]);
        bytes.copy_within(ready * layout.bytes()..held, 0);
        held -= ready * layout.bytes();
    }
    Ok(samples)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(fmt: &[u8], data: &[u8], said: u32) -> Vec<u8> {
        let mut bytes = b"RIFF\0\0\0\0WAVELIST\x03\0\0\0abc\0fmt ".to_vec();
        bytes.extend((fmt.len() as u32).to_le_bytes());
        bytes.extend(fmt);
        bytes.extend(b"data");
        bytes.extend(said.to_le_bytes());
        bytes.extend(data);
        bytes
    }

    fn fmt(tag: u16, channels: u16, rate: u32, bits: u16) -> Vec<u8> {
        let align = channels * bits / 8;
        let mut fmt = Vec::new();
        fmt.extend(tag.to_le_bytes());
        fmt.extend(channels.to_le_bytes());
        fmt.extend(rate.to_le_bytes());
        fmt.extend((rate * u32::from(align)).to_le_bytes());
        fmt.extend(align.to_le_bytes());
        fmt.extend(bits.to_le_bytes());
        fmt
    }

    fn read(bytes: &[u8]) -> Result<(Header, Vec<f32>), String> {
        let mut from = bytes;
        let header = header(&mut from).map_err(|e| e.to_string())??;
        let samples = decode(&mut from.take(u64::from(header.length)), header.layout).unwrap();
        Ok((header, samples))
    }

    #[test]
    fn reads_every_promised_format() {
        for (tag, bits) in [(1, 16), (1, 24), (1, 32), (3, 32)] {
            for (rate, channels) in [(8_000, 1), (44_100, 2), (192_000, 8)] {
                let layout = match (tag, bits) {
                    (1, 16) => Layout::S16,
                    (1, 24) => Layout::S24In3,
                    (1, _) => Layout::S32,
                    _ => Layout::Float,
                };
                let said: Vec<f32> = (0..16).map(|i| i as f32 / 32.0 - 0.25).collect();
                let mut data = vec![0; 16 * layout.bytes()];
                sample::write(layout, &said, &mut data);
                let length = data.len() as u32;
                let (header, samples) =
                    read(&file(&fmt(tag, channels, rate, bits), &data, length)).unwrap();
                assert_eq!(header, Header { layout, rate: Rate(rate), channels, length });
                assert_eq!(samples, said);
            }
        }
    }

    #[test]
    fn narrow_samples_stand_left_in_a_wide_container() {
        // WAVEFORMATEXTENSIBLE: 24 valid bits in 32.
        let mut long = fmt(0xfffe, 1, 48_000, 32);
        long.extend([22, 0, 24, 0, 0, 0, 0, 0, 1, 0]);
        long.extend([0; 14]);
        let (header, samples) = read(&file(&long, &[0, 0, 0, 0x40], 4)).unwrap();
        assert_eq!((header.layout, samples), (Layout::S32, vec![0.5]));
    }

    #[test]
    fn a_file_without_its_end_is_sound_up_to_there() {
        for said in [u32::MAX, 0x7fff_f000, 4000] {
            let bytes = file(&fmt(1, 1, 16_000, 16), &[0, 0x40, 0, 0xc0, 7], said);
            assert_eq!(read(&bytes).unwrap().1, [0.5, -0.5]);
        }
    }

    #[test]
    fn anything_else_is_said_in_words() {
        let cases: [(&str, Vec<u8>); 7] = [
            ("no WAV file", b"ID3\x03 an mp3 that is long enough".to_vec()),
            ("8 bits", file(&fmt(1, 1, 16_000, 8), &[0; 8], 8)),
            ("encoding 7", file(&fmt(7, 1, 16_000, 8), &[0; 8], 8)),
            ("64 bits", file(&fmt(3, 1, 16_000, 64), &[0; 8], 8)),
            ("9 channels", file(&fmt(1, 9, 16_000, 16), &[0; 18], 18)),
            ("0 channels", file(&fmt(1, 0, 16_000, 16), &[0; 18], 18)),
            ("7999 Hz", file(&fmt(1, 1, 7_999, 16), &[0; 8], 8)),
        ];
        for (words, bytes) in cases {
            let said = read(&bytes).unwrap_err();
            assert!(said.contains(words), "{said}");
        }
    }

    #[test]
    fn cut_headers_never_panic() {
        let whole = file(&fmt(1, 2, 48_000, 16), &[1; 40], 40);
        for length in 0..whole.len() - 40 {
            assert!(read(&whole[..length]).is_err());
        }
    }
}
