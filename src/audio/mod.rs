//! The sound card: one capture and one playout thread, in real time.
//!
//! Never resamples the microphone, never decides anything, never allocates, locks or logs while
//! sound flows: it counts, and someone else reports.

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
