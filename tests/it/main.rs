//! The one integration binary.
#![expect(clippy::unwrap_used, reason = "a test ends where something is missing")]

mod board;
mod config;
mod daemon;
mod panel;
mod scenario;
mod sheet;
mod socket;
mod sound;
mod speech;
mod talk;
mod tidy;
mod unit_file;
