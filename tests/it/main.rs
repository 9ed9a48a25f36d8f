//! The one integration binary.

mod tidy;
mod unit_file;
