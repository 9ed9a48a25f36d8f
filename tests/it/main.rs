//! The one integration binary.

mod tidy;
mod unit_file;
mod board;
mod config;
mod speech;
#[cfg(test)]
mod socket;
mod sound;
mod scenario;
mod panel;
