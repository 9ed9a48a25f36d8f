//! The one integration binary.

mod sound;
