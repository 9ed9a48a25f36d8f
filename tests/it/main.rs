//! The one integration binary.

mod scenario;
mod wire;
