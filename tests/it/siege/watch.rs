//! What is seen of the speaker from outside while it is attacked, and not through its panel.

use super::spawn;
use crate::sheet::pause;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// Between two looks.
const LOOK: Duration = Duration::from_millis(20);

pub(super) struct Watch {
    over: Arc<AtomicBool>,
    sights: Arc<Mutex<Vec<usize>>>,
    thread: JoinHandle<()>,
}

impl Watch {
    pub(super) fn start(id: u32) -> Self {
        let (over, sights) = (Arc::<AtomicBool>::default(), Arc::<Mutex<Vec<usize>>>::default());
        let (ended, seen) = (over.clone(), sights.clone());
        let thread = spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                seen.lock().unwrap().push(memory(id));
                pause(LOOK);
            }
        });
        Self { over, sights, thread }
    }

    /// How many looks there were.
    pub(super) fn looks(&self) -> usize {
        self.sights.lock().unwrap().len()
    }

    /// Ends it and says what was seen.
    pub(super) fn end(self) -> Seen {
        self.over.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
        Seen(std::mem::take(&mut *self.sights.lock().unwrap()))
    }
}

/// Resident bytes at each look, in order.
pub(super) struct Seen(Vec<usize>);

impl Seen {
    /// The bytes by which memory rose above what it was at look `from`, before look `to`.
    pub(super) fn grown(&self, from: usize, to: usize) -> usize {
        let most = self.0[from..to].iter().max().unwrap();
        most - self.0[from]
    }

    pub(super) fn looks(&self) -> usize {
        self.0.len()
    }
}

/// Resident memory in bytes.
fn memory(id: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}
