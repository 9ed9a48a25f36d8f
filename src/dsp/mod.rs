//! Arithmetic on samples: resampling, gain, meters, sweeps.
//!
//! Called by the audio and the speech threads. No state beyond its structs, no allocation after
//! `new()`.

pub mod fraction;
pub mod gain;
pub mod meter;
pub mod resample;
pub mod sweep;
