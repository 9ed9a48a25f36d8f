//! Whether the speaker is alive and hearing: written by the main thread once a second, read by
//! whoever asks, on any thread.

use crate::base::Clock;
use crate::base::unit::Moment;
use std::sync::Mutex;
use std::time::Duration;

/// The main thread looks once a second; silent for so long, it is stuck.
const STALE: Duration = Duration::from_secs(5);

/// One word about the speaker's health.
pub struct Health {
    clock: Clock,
    last: Mutex<(Moment, Result<(), &'static str>)>,
}

impl std::fmt::Debug for Health {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Health").field(&self.word()).finish()
    }
}

impl Health {
    /// Not hearing yet.
    pub fn new(clock: Clock) -> Self {
        let now = clock();
        Self { clock, last: Mutex::new((now, Err("starting"))) }
    }

    /// Told by the main thread.
    pub fn tell(&self, word: Result<(), &'static str>) {
        *self.last.lock().unwrap_or_else(std::sync::PoisonError::into_inner) =
            ((self.clock)(), word);
    }

    /// `Ok` while alive and hearing, else one word.
    pub fn word(&self) -> Result<(), &'static str> {
        let (at, word) = *self.last.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if (self.clock)().since(at) > STALE { Err("stuck") } else { word }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[test]
    fn silence_of_the_main_thread_is_an_illness() {
        let time = Arc::new(AtomicU64::new(0));
        let hand = Arc::clone(&time);
        let clock: Clock = Arc::new(move || Moment::from_millis(hand.load(Ordering::Relaxed)));
        let health = Health::new(clock);
        assert_eq!(health.word(), Err("starting"));
        health.tell(Ok(()));
        assert_eq!(health.word(), Ok(()));
        time.store(5_001, Ordering::Relaxed);
        assert_eq!(health.word(), Err("stuck"));
    }
}
