//! The one integration binary.

mod board;
mod config;
mod speech;
