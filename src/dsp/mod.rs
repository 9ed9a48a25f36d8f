//! Arithmetic on samples: resampling, gain, meters.
//!
//! Called by the audio and the speech threads. No state beyond its structs, no allocation after
//! `new()`.

pub mod fraction;
pub mod gain;
pub mod meter;
pub mod resample;
