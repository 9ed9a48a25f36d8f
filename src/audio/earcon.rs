//! Tones from a score table; there are no sound files.

use crate::base::event::Earcon;
use crate::base::unit::Rate;

/// One tone of a score.
#[derive(Debug, Clone, Copy)]
struct Note {
    /// Pitch; 0 is a rest.
    hz: f32,
    ms: u32,
}

const fn note(hz: f32, ms: u32) -> Note {
    Note { hz, ms }
}

/// Loudness of a tone at full volume: clearly below speech, which peaks near full scale.
const AMPLITUDE: f32 = 0.25;
/// Attack and decay of each tone, so that none begins or ends with a click.
const EDGE_MS: u32 = 8;

/// Up is on, down is off, low and twice is no; none is longer than a third of a second, because
/// the person is about to speak. Only the test is: a chord note by note, from where small speakers
/// are weak to where they are sharp.
const fn score(earcon: Earcon) -> &'static [Note] {
    match earcon {
        Earcon::Woke => const { &[note(587.3, 70), note(880.0, 110)] },
        Earcon::Slept => const { &[note(880.0, 70), note(587.3, 110)] },
        Earcon::Failed => const { &[note(220.0, 120), note(0.0, 40), note(196.0, 160)] },
        Earcon::Muted => const { &[note(440.0, 60), note(293.7, 140)] },
        Earcon::Unmuted => const { &[note(293.7, 60), note(440.0, 140)] },
        Earcon::Volume => const { &[note(659.3, 90)] },
        Earcon::Test => {
            const {
                &[
                    note(164.8, 240),
                    note(329.6, 240),
                    note(659.3, 240),
                    note(1318.5, 240),
                    note(493.9, 420),
                ]
            }
        }
    }
}

/// Plays one score. Real-time: neither allocates nor waits.
#[derive(Debug, Clone, Copy)]
pub struct Chime {
    rate: Rate,
    notes: &'static [Note],
    at: u32,
    phase: f32,
}

impl Chime {
    /// Nothing to play, at `rate`.
    pub const fn silent(rate: Rate) -> Self {
        Self { rate, notes: &[], at: 0, phase: 0.0 }
    }

    /// Begins a score; what still sounds of another is dropped.
    pub const fn start(&mut self, earcon: Earcon) {
        self.notes = score(earcon);
        self.at = 0;
        self.phase = 0.0;
    }

    /// Whether a score is being played.
    pub const fn is_playing(&self) -> bool {
        !self.notes.is_empty()
    }

    /// Samples of a whole score.
    pub fn length(earcon: Earcon, rate: Rate) -> usize {
        score(earcon).iter().map(|n| count(n.ms, rate) as usize).sum()
    }

    /// The next sample.
    pub fn step(&mut self) -> f32 {
        let Some((note, rest)) = self.notes.split_first() else { return 0.0 };
        let (length, edge) = (count(note.ms, self.rate), count(EDGE_MS, self.rate).max(1));
        let inside = self.at.min(length.saturating_sub(self.at + 1)).min(edge) as f32 / edge as f32;
        let out = AMPLITUDE * inside * self.phase.sin();
        self.phase += std::f32::consts::TAU * note.hz / self.rate.0 as f32;
        if self.phase > std::f32::consts::TAU {
            self.phase -= std::f32::consts::TAU;
        }
        self.at += 1;
        if self.at >= length {
            self.notes = rest;
            self.at = 0;
        }
        out
    }
}

const fn count(ms: u32, rate: Rate) -> u32 {
    ms * (rate.0 / 100) / 10
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_score_is_heard_and_ends() {
        for earcon in [
            Earcon::Woke,
            Earcon::Slept,
            Earcon::Failed,
            Earcon::Muted,
            Earcon::Unmuted,
            Earcon::Volume,
            Earcon::Test,
        ] {
            let mut chime = Chime::silent(Rate(48_000));
            chime.start(earcon);
            let length = Chime::length(earcon, Rate(48_000));
            let sound: Vec<f32> = (0..length).map(|_| chime.step()).collect();
            assert!(!chime.is_playing() && chime.step() == 0.0, "{earcon:?} has an end");
            let longest = if earcon == Earcon::Test { 48_000 * 3 / 2 } else { 48_000 / 3 };
            assert!(length <= longest);
            let top = sound.iter().fold(0.0f32, |t, s| t.max(s.abs()));
            assert!(top > 0.2 && top <= AMPLITUDE, "{earcon:?}: {top}");
            let jump = sound.windows(2).fold(0.0f32, |t, w| t.max((w[1] - w[0]).abs()));
            assert!(jump < 0.05, "{earcon:?} clicks: {jump}");
        }
    }
}
