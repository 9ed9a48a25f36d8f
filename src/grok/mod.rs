//! The realtime service's wire: events as types, what we believe about the session, the socket.
//!
//! Everything but `socket` is pure and runs inside the conversation; `socket` runs on the main
//! thread. Never decides what is said or heard.

pub mod backoff;
pub mod client;
mod convert;
pub mod reply;
pub mod server;
pub mod session;
#[cfg(feature = "io")]
pub mod socket;
mod stream;
