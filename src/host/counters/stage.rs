//! What takes time, and how often it took how long.

use super::Page;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds of a histogram.
const BOUNDS: usize = 14;
/// Of a turn, in milliseconds: fine where a person notices, to ten seconds.
pub(super) const TURN_MS: [u64; BOUNDS] =
    [10, 25, 50, 100, 200, 300, 500, 750, 1000, 1500, 2000, 3000, 5000, 10_000];
/// Inside this process, in milliseconds: fine around a period of the card, to what a person notices.
pub(super) const INSIDE_MS: [u64; BOUNDS] = [1, 2, 3, 4, 5, 7, 10, 15, 20, 25, 30, 50, 100, 200];

/// A stretch of a turn whose length is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// From the wake word to the open gate.
    WakeToGate,
    /// From the open gate to the first chunk sent.
    GateToFirstSend,
    /// From the end of speech to the first audio of the reply.
    SpeechEndToFirstAudio,
    /// From the first audio of the reply to sound from the speaker.
    FirstAudioToSpeaker,
}

impl Stage {
    pub(super) const ALL: [Self; 4] = [
        Self::WakeToGate,
        Self::GateToFirstSend,
        Self::SpeechEndToFirstAudio,
        Self::FirstAudioToSpeaker,
    ];

    /// The stage of this name.
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stage| stage.word() == word)
    }

    /// Value of the label `stage`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::WakeToGate => "wake_to_gate",
            Self::GateToFirstSend => "gate_to_first_send",
            Self::SpeechEndToFirstAudio => "speech_end_to_first_audio",
            Self::FirstAudioToSpeaker => "first_audio_to_speaker",
        }
    }
}

/// A way of sound through this process, as far as only we are to blame for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inside {
    /// From the period of the card that completed a chunk, once it was read, to the chunk's bytes in
    /// the socket. What waits for the gate or the link does not count.
    ChunkToSocket,
    /// From the first sound of a reply, taken from the socket, to its leaving the speaker: until it
    /// was written, and what the card held before it. What waits for an earlier one does not count.
    DeltaToCard,
}

impl Inside {
    pub(super) const ALL: [Self; 2] = [Self::ChunkToSocket, Self::DeltaToCard];

    /// Value of the label `stage`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::ChunkToSocket => "chunk_to_socket",
            Self::DeltaToCard => "delta_to_card",
        }
    }
}

/// How often a stage took how long.
#[derive(Debug, Default)]
pub(super) struct Histogram {
    /// Of each bucket alone; the last is beyond all bounds.
    counts: [AtomicU64; BOUNDS + 1],
    micros: AtomicU64,
}

impl Histogram {
    pub(super) fn add(&self, bounds: &[u64; BOUNDS], span: Duration) {
        let bucket = bounds.iter().position(|&ms| span <= Duration::from_millis(ms));
        self.counts[bucket.unwrap_or(BOUNDS)].fetch_add(1, Ordering::Relaxed);
        let micros = u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
        self.micros.fetch_add(micros, Ordering::Relaxed);
    }

    pub(super) fn show(&self, out: &mut Page, name: &str, stage: &str, bounds: &[u64; BOUNDS]) {
        let mut total = 0;
        for (index, count) in self.counts.iter().enumerate() {
            total += count.load(Ordering::Relaxed);
            let bound = bounds
                .get(index)
                .map_or_else(|| "+Inf".to_owned(), |ms| (*ms as f64 / 1000.0).to_string());
            out.line(&format!("{name}_bucket{{stage=\"{stage}\",le=\"{bound}\"}} {total}"));
        }
        let sum = self.micros.load(Ordering::Relaxed) as f64 / 1e6;
        out.line(&format!("{name}_sum{{stage=\"{stage}\"}} {sum}"));
        out.line(&format!("{name}_count{{stage=\"{stage}\"}} {total}"));
    }
}
