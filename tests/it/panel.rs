//! The panel from outside: real sockets, a host played by the test. Attacks carry the number they
//! have in the list they come from (A01 and so on).

#![expect(clippy::unwrap_used, reason = "what goes wrong while preparing a test fails it")]

#[path = "panel/clients.rs"]
mod clients;
#[path = "panel/codes.rs"]
mod codes;
#[path = "panel/desk.rs"]
mod desk;
#[path = "panel/errands.rs"]
mod errands;
#[path = "panel/events.rs"]
mod events;
#[path = "panel/flood.rs"]
mod flood;
#[path = "panel/gate.rs"]
mod gate;
#[path = "panel/health.rs"]
mod health;
#[path = "panel/limits.rs"]
mod limits;
#[path = "panel/measure.rs"]
mod measure;
#[path = "panel/open.rs"]
mod open;
#[path = "panel/poll.rs"]
mod poll;
#[path = "panel/requests.rs"]
mod requests;
#[path = "panel/soak.rs"]
mod soak;
#[path = "panel/sockets.rs"]
mod sockets;
#[path = "panel/tls.rs"]
mod tls;
