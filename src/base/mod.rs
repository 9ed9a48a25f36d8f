//! The words every room speaks: units, PCM shapes, rings between threads, facts and asks.
//!
//! Used by every thread; owns none. Names std, serde and rtrb only, and never a clock, a thread,
//! a socket or a file.

pub mod event;
pub mod pcm;
pub mod pulse;
pub mod ring;
pub mod secret;
pub mod unit;

use std::sync::Arc;
use unit::Moment;

/// Where the time comes from. Made by `host` (or by a test) and handed to whoever must stamp.
pub type Clock = Arc<dyn Fn() -> Moment + Send + Sync>;
