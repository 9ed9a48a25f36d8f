//! The only place that knows everyone: opens, wires, starts, waits, and closes in reverse.
//!
//! Runs on the main thread. Decides nothing about the conversation.

pub mod clock;
pub mod counters;
pub mod journal;
pub mod store;
pub mod systemd;
pub mod telemetry;
pub mod thread;
