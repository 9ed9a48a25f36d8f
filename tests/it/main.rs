//! The one integration binary.

mod panel;
