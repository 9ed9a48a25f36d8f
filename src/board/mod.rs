//! Hands and lights: what a board has, as data.
//!
//! Runs on the main thread. Knows no board by name: boards are `board/<name>/profile.toml`.

pub mod button;
pub mod chip;
pub mod hands;
pub mod profile;

#[cfg(all(feature = "io", target_os = "linux"))]
pub mod gpio;
