//! grok-speaker: a smart-speaker daemon that talks to the Grok realtime voice API.
//!
//! The rooms, from the ground up; imports point down, never up, and workers never name each other.
//! Without the feature `io` only the pure part of each room is built: no clock, thread, socket or
//! file.
//!
//! 1. [`base`]: the words every room speaks.
//! 2. [`dsp`]: arithmetic on samples.
//! 3. Workers: [`audio`] (the card), [`speech`] (the acoustic front end), [`grok`] (the service's
//!    wire), [`board`] (buttons and lights), [`panel`] (the LAN panel), [`standin`] (a local
//!    stand-in of the service), and the heart, [`conversation`].
//! 4. [`config`]: what the owner wrote, checked, as each room's options.
//! 5. [`host`]: introduces everyone and runs the one loop.
//! 6. [`cli`]: the commands.

pub mod audio;
pub mod base;
pub mod board;
pub mod conversation;
pub mod dsp;
pub mod grok;
pub mod panel;
pub mod speech;

#[cfg(feature = "io")]
pub mod cli;
#[cfg(feature = "io")]
pub mod config;
#[cfg(feature = "io")]
pub mod host;
#[cfg(feature = "io")]
pub mod standin;

/// Tests fail on an allocation inside `assert_no_alloc`.
#[cfg(test)]
#[global_allocator]
static ALLOCATOR: assert_no_alloc::AllocDisabler = assert_no_alloc::AllocDisabler;
