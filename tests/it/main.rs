//! The one integration binary.

mod socket;
