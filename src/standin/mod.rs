//! A local stand-in of the realtime service, for the demo, the tests and the bench.
//!
//! Runs as tasks on the caller's tokio runtime. Written from the description of the wire alone: it
//! never names `grok`, so a wrong reading of the wire cannot hide on both sides.
//!
//! `brain` is one connection without clock or socket (`talk` listens, `answer` replies, `plan` lays
//! replies out in time, `mischief` spoils them); `server` gives it both. Recorded behaviour is the
//! default; [`Fault`] lists the departures.

mod answer;
mod brain;
mod clockless;
mod desk;
mod fault;
mod http;
mod items;
mod mischief;
mod plan;
mod queue;
mod quirk;
mod server;
mod session;
mod socket;
mod sound;
mod stream;
mod talk;
mod tls;
mod tools;
mod vad;
mod wire;
mod wirelog;

#[cfg(test)]
mod tests;

pub use clockless::Clockless;
pub use desk::Report;
pub use fault::{Fault, FaultError, Resume, faults};
pub use quirk::{QUIRKS, Quirk};
pub use server::{Running, start};

use crate::base::secret::Secret;
use std::net::SocketAddr;
use std::path::PathBuf;
use thiserror::Error;

/// What a stand-in is to be.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Speak TLS with a certificate made at start and written to this folder, which is made where
    /// it is missing. `None` is plain `ws://`.
    pub tls: Option<PathBuf>,
    /// The only key that is accepted; `None` accepts any, but one has to be given.
    pub key: Option<Secret>,
    /// What is understood of spoken turns, in order; the last one again for all later turns.
    pub transcripts: Vec<String>,
    /// What goes wrong.
    pub faults: Vec<Fault>,
    /// File to which every event is appended as a JSON line.
    pub wire_log: Option<PathBuf>,
    /// Whether answers are as slow as recorded. Without, only the pace of the audio and the time
    /// in which a stop can be taken back remain.
    pub delays: bool,
}

impl Default for Options {
    /// Plain WebSocket on a free loopback port, any key, no fault.
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            tls: None,
            key: None,
            transcripts: Vec::new(),
            faults: Vec::new(),
            wire_log: None,
            delays: true,
        }
    }
}

/// Why a stand-in could not start.
#[derive(Debug, Error)]
pub enum StandinError {
    /// The address cannot be listened on.
    #[error("cannot listen on {addr}")]
    Listen {
        /// The address asked for.
        addr: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// A file or folder could not be made.
    #[error("cannot write {}", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The certificate could not be made.
    #[error("cannot make a certificate: {0}")]
    Certificate(String),
}
