//! The sound card: one capture and one playout thread, in real time.
//!
//! Never resamples the microphone, never decides anything, never allocates, locks or logs while
//! sound flows: it counts, and someone else reports. The two real-time functions are
//! [`capture::Capture::period`] and [`playout::Playout::fill`]; whoever owns the clock of a card
//! calls them: the ALSA loop, a cpal callback, or a WAV file paced by our own clock.

pub mod capture;
pub mod earcon;
pub mod feed;
pub mod ledger;
pub mod playout;
#[cfg(test)]
mod playout_test;
pub mod sample;
mod shape;

#[cfg(all(feature = "io", target_os = "linux"))]
mod card;
#[cfg(all(feature = "io", not(all(target_os = "linux", target_arch = "arm"))))]
mod desktop;
#[cfg(feature = "io")]
pub mod drive;
#[cfg(all(feature = "io", target_os = "linux"))]
mod fill;
#[cfg(all(feature = "io", target_os = "linux"))]
mod holder;
#[cfg(feature = "io")]
mod riff;
#[cfg(feature = "io")]
pub mod wav;

use crate::base::event::Side;
use crate::base::unit::{Moment, Rate};
use std::sync::atomic::AtomicU64;
use std::time::Duration;

/// Which library drives the card.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Backend {
    /// alsa on Linux, cpal elsewhere.
    #[default]
    Auto,
    /// ALSA directly.
    Alsa,
    /// cpal.
    Cpal,
}

/// What sound comes from or goes to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Device {
    /// The system's default card.
    #[default]
    Default,
    /// A stable card name or a PCM name.
    Named(String),
    /// A WAV file, paced in real time.
    File(std::path::PathBuf),
    /// Silence in, nothing out, paced in real time.
    Null,
}

impl std::fmt::Display for Device {
    /// As it is written in the configuration.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Named(name) => f.write_str(name),
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Null => f.write_str("null"),
        }
    }
}

/// What this room is told.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Options {
    /// `audio.backend`.
    pub backend: Backend,
    /// `audio.input`.
    pub input: Device,
    /// `audio.output`.
    pub output: Device,
}

/// What the card says beside one period.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stamp {
    /// Our clock when the period was read, or when it will be written.
    pub at: Moment,
    /// Frames inside the device: captured but not yet read, or queued before this period.
    pub delay: u32,
    /// Whether frames were lost (overrun) or silence was played (underrun) just before.
    pub xrun: bool,
}

/// How often a card was served too late. Written by the two audio threads, read by the host.
#[derive(Debug, Default)]
pub struct Xruns {
    /// Capture.
    pub overruns: AtomicU64,
    /// Playout.
    pub underruns: AtomicU64,
}

/// What can be wrong with a card or with a file that stands in for one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CardError {
    /// There is no such card now; it may come back.
    #[error("{device}: no such {} ({detail})", noun(*.side))]
    Missing {
        /// As configured.
        device: String,
        /// Which side was wanted.
        side: Side,
        /// What the system said.
        detail: String,
    },
    /// Somebody else holds it.
    #[error("{device}: busy, held by {holder}")]
    Busy {
        /// As configured.
        device: String,
        /// Name and number of the process, or that it is not known.
        holder: String,
    },
    /// It exists but offers no format, rate or shape of ours.
    #[error("{device}: {detail}")]
    Unsuitable {
        /// As configured.
        device: String,
        /// What it lacks.
        detail: String,
    },
    /// It failed while it ran.
    #[error("{device}: {detail}")]
    Broken {
        /// As configured.
        device: String,
        /// What the system said.
        detail: String,
    },
    /// The chosen backend is not part of this build.
    #[error("audio.backend {0} does not exist on this system")]
    NoBackend(&'static str),
    /// A WAV file cannot be used.
    #[error("{0}")]
    File(String),
}

fn noun(side: Side) -> &'static str {
    match side {
        Side::Capture => "microphone",
        Side::Playout => "speaker",
    }
}

/// One card or PCM as `devices` shows it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Card {
    /// What a user writes into `audio.input` or `audio.output`.
    pub name: String,
    /// For a person.
    pub description: String,
    /// What it can do in each direction it has.
    pub sides: Vec<Facts>,
}

/// One direction of a card.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Facts {
    /// Microphone or speaker.
    pub side: Side,
    /// Channels, smallest and largest; absent when it could not be opened.
    pub channels: Option<(u32, u32)>,
    /// Frames a second: those of the usual rates that it takes.
    pub rates: Vec<u32>,
    /// Sample formats of ours that it takes, by ALSA's names.
    pub formats: Vec<String>,
    /// The process that holds it, or why it could not be opened.
    pub holder: Option<String>,
}

/// Where the next period must begin if nothing is lost, by our clock.
#[derive(Debug, Clone, Copy, Default)]
struct TimeAxis {
    position: u64,
    expected: Option<Moment>,
}

impl TimeAxis {
    /// Places a period whose first frame is at the converter at `at`. After an xrun the gap is the
    /// time by which it is later than expected, in whole frames, and the position jumps by it.
    fn place(&mut self, at: Moment, frames: u32, rate: Rate, xrun: bool) -> (u64, u32) {
        let lost = match self.expected {
            Some(expected) if xrun => {
                let late = at.since(expected) + Duration::from_micros(500_000 / u64::from(rate.0));
                u32::try_from(rate.frames(late)).unwrap_or(u32::MAX)
            }
            Some(_) | None => 0,
        };
        let position = self.position + u64::from(lost);
        self.position = position + u64::from(frames);
        self.expected = Some(at + rate.span(u64::from(frames)));
        (position, lost)
    }
}
