//! The LAN control panel: HTTP and Socket.IO on a thread and a runtime of its own.
//!
//! Nobody waits for it: it can be slow, flooded or panic and the speaker talks on. It never touches
//! sound or the service: facts come in as [`event::Event`], wishes go out as [`event::Request`].
//!
//! Pure: `event` (names and shapes), `trust` (roles, pairing window, sessions), `rule` (host,
//! origin, address), `ask` (role table, payloads, pace), `errand` (what is answered with data), `feed`
//! (numbers, ring, snapshot).
//! Doors: `engine` (how the libraries serve), `stream`, `heads` and `server` (accept loop), `guard` (outermost
//! check), `pairing` (tokens and their file), `ca` and `tls` (certificates), `mdns` and `avahi` (name on
//! the network), `pages` and `redirect` (HTTP), `socket` and `client` (Socket.IO).

pub mod ask;
pub mod errand;
pub mod event;
pub mod feed;
pub mod rule;
pub mod trust;

#[cfg(all(feature = "io", unix))]
mod avahi;
#[cfg(feature = "io")]
mod ca;
#[cfg(feature = "io")]
mod client;
#[cfg(feature = "io")]
mod engine;
#[cfg(feature = "io")]
mod guard;
#[cfg(feature = "io")]
mod heads;
#[cfg(feature = "io")]
mod mdns;
#[cfg(feature = "io")]
mod pages;
#[cfg(feature = "io")]
mod pairing;
#[cfg(feature = "io")]
mod redirect;
#[cfg(feature = "io")]
mod server;
#[cfg(feature = "io")]
mod socket;
#[cfg(feature = "io")]
mod state_file;
#[cfg(feature = "io")]
mod stream;
#[cfg(feature = "io")]
mod tls;
#[cfg(feature = "io")]
mod token;

#[cfg(feature = "io")]
pub use ca::Fingerprint;
#[cfg(feature = "io")]
pub use engine::{Limits, http, socket_io};
#[cfg(feature = "io")]
pub use pairing::{Trust, Wall};
#[cfg(feature = "io")]
pub use server::{Error, Listener, Wires, bind, serve};
#[cfg(feature = "io")]
pub use tls::Tls;

use std::net::SocketAddr;
use std::path::PathBuf;

/// What the panel room needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Address and port; `None` when the panel is off, port 0 for any free one.
    pub listen: Option<SocketAddr>,
    /// The same over TLS.
    pub listen_tls: Option<SocketAddr>,
    /// Whether secrets may be typed over plain HTTP.
    pub secrets_on_http: bool,
    /// Whether whoever is not paired may watch.
    pub open_view: bool,
    /// Whether to say on the network where the panel is, where nobody else on this machine does.
    pub mdns: bool,
    /// What the speaker is called at the start; empty for the host name.
    pub name: String,
    /// Further names under which the panel may be reached, without port.
    pub hosts: Vec<String>,
    /// Open sockets together.
    pub max_connections: usize,
    /// Open sockets of one neighbour.
    pub max_per_address: usize,
    /// Live panels of one paired client; the oldest makes room.
    pub max_per_session: usize,
    /// Where the paired clients are stored.
    pub state_dir: PathBuf,
    /// Version of the program: an open page reloads itself when it changes.
    pub build: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: Some(SocketAddr::from(([0, 0, 0, 0], 8080))),
            listen_tls: None,
            secrets_on_http: false,
            open_view: false,
            mdns: true,
            name: String::new(),
            hosts: Vec::new(),
            max_connections: 64,
            max_per_address: 16,
            max_per_session: 8,
            state_dir: PathBuf::new(),
            build: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}
