//! What no program that speaks this protocol can leave out, with nothing around it.

use crate::counted;
use crate::line::pair;
use crate::main_thread::{DOWN, UP};
use crate::speaker;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::hint::black_box;
use std::io::{Read, Write};

#[derive(serde::Serialize)]
struct Append<'a> {
    r#type: &'static str,
    audio: &'a str,
}

#[derive(serde::Deserialize)]
struct Delta<'a> {
    delta: &'a str,
}

/// Messages of 20 ms: base64, JSON, the mask of a client, TLS.
pub(crate) fn append(seconds: u32) {
    let (mut near, _far) = pair();
    let sound = vec![0x55; UP.0 as usize / 50 * 2];
    let mask = [0x12, 0x34, 0x56, 0x78];
    let wide = u128::from_ne_bytes(std::array::from_fn(|i| mask[i % 4]));
    counted(&mut || {
        for _ in 0..seconds * 50 {
            let audio = STANDARD.encode(black_box(&sound));
            let event = Append { r#type: "input_audio_buffer.append", audio: &audio };
            let mut text = serde_json::to_vec(&event).unwrap();
            let (pieces, rest) = text.as_chunks_mut::<16>();
            for piece in pieces {
                *piece = (u128::from_ne_bytes(*piece) ^ wide).to_ne_bytes();
            }
            rest.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
            near.write_all(&text).unwrap();
            black_box(&near.outgoing);
            near.outgoing.clear();
        }
    });
}

/// Messages of half a second: TLS, JSON, base64.
pub(crate) fn delta(seconds: u32) {
    let (mut near, mut far) = pair();
    let mut texts = Vec::new();
    for i in 0..seconds * 2 {
        let text = speaker::delta(i).to_string();
        far.write_all(text.as_bytes()).unwrap();
        texts.push((text.len(), std::mem::take(&mut far.outgoing)));
    }
    let mut samples = 0;
    let mut text = vec![0; texts.iter().map(|t| t.0).max().unwrap_or(0)];
    counted(&mut || {
        for (length, bytes) in &texts {
            near.receive(bytes);
            near.read_exact(&mut text[..*length]).unwrap();
            let event: Delta<'_> = serde_json::from_slice(&text[..*length]).unwrap();
            samples += black_box(STANDARD.decode(event.delta).unwrap()).len() / 2;
        }
    });
    assert_eq!(samples, (seconds * DOWN.0) as usize);
}
