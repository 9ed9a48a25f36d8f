//! The panel from outside: real sockets, a host played by the test.

#![expect(clippy::unwrap_used, reason = "what goes wrong while preparing a test fails it")]

#[path = "panel/desk.rs"]
mod desk;
#[path = "panel/events.rs"]
mod events;
#[path = "panel/gate.rs"]
mod gate;
#[path = "panel/limits.rs"]
mod limits;
#[path = "panel/tls.rs"]
mod tls;
