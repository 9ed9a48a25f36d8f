//! What a worker thread shares with whoever started it: stop, go, ease, and a heartbeat.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// Shared by one worker (beats, reads the rest) and the host (writes the rest, reads beats).
#[derive(Debug, Default)]
pub struct Pulse {
    stop: AtomicBool,
    renew: AtomicBool,
    go: AtomicBool,
    ease: AtomicBool,
    beats: AtomicU32,
}

impl Pulse {
    /// Asks the worker to return; it does within 100 ms.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Release);
    }

    /// Whether the worker must return, be it only to begin anew.
    pub fn stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire) || self.renew.load(Ordering::Acquire)
    }

    /// Asks the worker to leave what it serves and to begin anew.
    pub fn renew(&self) {
        self.renew.store(true, Ordering::Release);
    }

    /// For a worker that has returned: whether to begin anew. Taken once.
    pub fn renewed(&self) -> bool {
        self.renew.swap(false, Ordering::AcqRel) && !self.stop.load(Ordering::Acquire)
    }

    /// Lets a `file:` microphone start its clock.
    pub fn go(&self) {
        self.go.store(true, Ordering::Release);
    }

    /// Whether a `file:` microphone may start.
    pub fn going(&self) -> bool {
        self.go.load(Ordering::Acquire)
    }

    /// Lets the worker save wake-ups, or asks it to be prompt again: nobody waits for each block.
    pub fn ease(&self, on: bool) {
        self.ease.store(on, Ordering::Relaxed);
    }

    /// Whether wake-ups may be saved.
    pub fn eased(&self) -> bool {
        self.ease.load(Ordering::Relaxed)
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
