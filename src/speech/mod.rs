//! The acoustic front end: one thread that turns microphone and reference periods into blocks.
//!
//! Never touches a card, a socket or a file; allocates nothing after its start.

/// Which channel of the microphone is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Channel {
    /// The one with the best speech-to-noise ratio.
    #[default]
    Auto,
    /// The mean of all.
    Mix,
    /// This one, from 0.
    Number(u16),
}

/// How much of a stage is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Level {
    /// As the device decides.
    #[default]
    Auto,
    /// Not at all.
    Off,
    /// Gently.
    Low,
    /// In between.
    Medium,
    /// Strongly.
    High,
}

/// What this room is told.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Options {
    /// `audio.input_channel`.
    pub channel: Channel,
    /// `speech.echo_cancellation`.
    pub echo_cancellation: Level,
    /// `speech.noise_suppression`.
    pub noise_suppression: Level,
    /// `speech.gain_control`.
    pub gain_control: Level,
}
