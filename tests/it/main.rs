//! The one integration binary.
#![expect(clippy::unwrap_used, reason = "a test ends where something is missing")]

mod acoustic;
mod board;
mod budget;
mod calibration;
mod chaos;
mod config;
mod daemon;
mod duplex;
mod fair;
mod licences;
mod panel;
mod power;
mod quirks;
mod scenario;
mod sheet;
mod siege;
mod simulation;
mod socket;
mod sound;
mod speech;
mod spoken;
#[cfg(test)]
mod standin;
mod talk;
mod tidy;
mod unit_file;
mod wire;
