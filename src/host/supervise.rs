//! Heartbeats of the worker threads, and what follows when one stops.
//!
//! A worker that has ended by itself is a bug and ends the process (systemd starts it anew). One
//! that no longer turns keeps the watchdog from being fed, with the same end. Reopening a card,
//! a closed session and a muted microphone count as turning.

use crate::base::pulse::Pulse;
use crate::base::ring::Bell;
use crate::base::unit::Moment;
use crate::host::thread::{Granted, Worker};
use std::sync::Arc;
use std::time::Duration;

/// Every loop turns several times a second; the slowest step is opening a sick card.
const STILL_MAX: Duration = Duration::from_secs(15);
/// Workers return within 100 ms of being asked; a driver may hold one longer than we wait.
const STOP_MAX: Duration = Duration::from_millis(1000);

/// Between two looks at a worker that is asked to end.
const LOOK: Duration = Duration::from_millis(5);

/// One worker thread under observation.
pub struct Watched {
    worker: Worker,
    pulse: Arc<Pulse>,
    wake: Arc<dyn Bell>,
    beats: u32,
    turned: Moment,
}

impl std::fmt::Debug for Watched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Watched({})", self.worker.name)
    }
}

impl Watched {
    /// Takes over a running worker. `wake` is rung when it is asked to return: one that looks at its
    /// pulse often enough by itself needs none.
    pub fn new(worker: Worker, pulse: Arc<Pulse>, wake: Arc<dyn Bell>, now: Moment) -> Self {
        Self { worker, pulse, wake, beats: 0, turned: now }
    }
}

/// What a look at the workers shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding {
    /// All turn.
    Well,
    /// This one has not turned for a while: do not feed the watchdog.
    Still(&'static str),
    /// This one has ended though nobody asked it to.
    Ended(&'static str),
}

/// The workers of the audio path.
#[derive(Debug, Default)]
pub struct Crew(Vec<Watched>);

impl Crew {
    /// Adds one.
    pub fn add(&mut self, watched: Watched) {
        self.0.push(watched);
    }

    /// Which run with less than they should, and with what.
    pub fn lesser(&self) -> Vec<String> {
        let words = |w: &Watched| match &w.worker.granted {
            Granted::Asked => None,
            Granted::Less { words } => Some(format!("{}: {words}", w.worker.name)),
        };
        self.0.iter().filter_map(words).collect()
    }

    /// Looks at all of them.
    pub fn look(&mut self, now: Moment) -> Finding {
        let mut finding = Finding::Well;
        for w in &mut self.0 {
            let beats = w.pulse.beats();
            if beats != w.beats {
                (w.beats, w.turned) = (beats, now);
            }
            if w.worker.is_over() {
                return Finding::Ended(w.worker.name);
            }
            if now.since(w.turned) > STILL_MAX {
                finding = Finding::Still(w.worker.name);
            }
        }
        finding
    }

    /// Asks all to return and waits for them, in the order they were added. Returns the names of
    /// those that did not come back in time.
    pub fn stop(self, clock: &crate::base::Clock) -> Vec<&'static str> {
        for w in &self.0 {
            w.pulse.stop();
            w.wake.ring();
        }
        let limit = clock() + STOP_MAX;
        self.0.into_iter().filter_map(|w| join_by(w.worker, clock, limit).err()).collect()
    }
}

/// Waits for a worker until `limit`.
///
/// # Errors
/// Its name, when it has not ended by then or ended in a panic.
pub fn join_by(
    worker: Worker,
    clock: &crate::base::Clock,
    limit: Moment,
) -> Result<(), &'static str> {
    while !worker.is_over() && clock() < limit {
        std::thread::park_timeout(LOOK);
    }
    let name = worker.name;
    if worker.is_over() { worker.join().map_err(|_| name) } else { Err(name) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ring::{Silent, Wait};
    use crate::host::thread::{Priority, bell};

    #[test]
    fn who_sleeps_long_is_woken_to_end() {
        let (wake, woken) = bell().unwrap();
        let pulse = Arc::new(Pulse::default());
        let seen = Arc::clone(&pulse);
        let worker = Worker::spawn("sleeper", Priority::Normal, Arc::new(Silent), move || {
            while !seen.stopped() {
                woken.wait(10 * STOP_MAX);
            }
        });
        let clock = crate::host::clock::clock();
        let mut crew = Crew::default();
        crew.add(Watched::new(worker.unwrap(), pulse, wake, clock()));
        assert!(crew.stop(&clock).is_empty());
    }
}
