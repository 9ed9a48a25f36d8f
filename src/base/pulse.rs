//! What a worker thread shares with whoever started it: stop, go, and a heartbeat.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// Shared by one worker (beats, reads `stop` and `go`) and the host (writes them, reads beats).
#[derive(Debug, Default)]
pub struct Pulse {
    stop: AtomicBool,
    go: AtomicBool,
    beats: AtomicU32,
}

impl Pulse {
    /// Asks the worker to return; it does within 100 ms.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Release);
    }

    /// Whether the worker must return.
    pub fn stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// Lets a `file:` microphone start its clock.
    pub fn go(&self) {
        self.go.store(true, Ordering::Release);
    }

    /// Whether a `file:` microphone may start.
    pub fn going(&self) -> bool {
        self.go.load(Ordering::Acquire)
    }

    /// Said by the worker once a turn of its loop; reopening a card and waiting count as turning.
    pub fn beat(&self) {
        self.beats.fetch_add(1, Ordering::Relaxed);
    }

    /// How often it has turned, wrapping.
    pub fn beats(&self) -> u32 {
        self.beats.load(Ordering::Relaxed)
    }
}
