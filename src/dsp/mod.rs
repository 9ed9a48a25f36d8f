//! Arithmetic on samples: resampling, gain, meters, drift.
//!
//! Called by the audio and the speech threads. No state beyond its structs, no allocation after
//! `new()`.
