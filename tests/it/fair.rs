//! A verdict on sound in real time, on a machine that may be shared: a hypervisor that stops it for
//! longer than the card has sound queued makes a gap no program can prevent.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Half of what is queued in a card at least (15 ms).
const STANDSTILL: Duration = Duration::from_millis(8);
/// Tries before nothing can be said; more would let a test take many minutes.
const TRIES: u32 = 3;

/// Watches whether the machine lets a thread run when it is due, one watch a processor.
struct Witness {
    over: Arc<AtomicBool>,
    longest_us: Arc<AtomicU64>,
    watches: Vec<JoinHandle<()>>,
}

impl Witness {
    #[expect(clippy::disallowed_methods, reason = "the test is the host here")]
    fn start() -> Self {
        let (over, longest_us) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let count = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let watch = |_| {
            let (over, longest) = (over.clone(), longest_us.clone());
            std::thread::spawn(move || watch(&over, &longest))
        };
        let watches = (0..count).map(watch).collect();
        Self { over, longest_us, watches }
    }

    /// The longest time in which a watch did not run.
    fn end(self) -> Duration {
        self.over.store(true, Ordering::Relaxed);
        for watch in self.watches {
            watch.join().unwrap();
        }
        Duration::from_micros(self.longest_us.load(Ordering::Relaxed))
    }
}

#[expect(clippy::disallowed_methods, reason = "real time is what is watched")]
fn watch(over: &AtomicBool, longest_us: &AtomicU64) {
    let mut last = Instant::now();
    while !over.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_millis(1));
        let now = Instant::now();
        let us = u64::try_from((now - last).as_micros()).unwrap_or(u64::MAX);
        longest_us.fetch_max(us, Ordering::Relaxed);
        last = now;
    }
}

/// A thread whose waits for a processor are counted by the kernel: what it is late by because the machine
/// ran others meanwhile is none of its doing.
pub(crate) struct Thread(PathBuf);

impl Thread {
    /// By its folder below `/proc`.
    pub(crate) fn at(folder: &Path) -> Self {
        Self(folder.join("schedstat"))
    }

    /// Whichever asks.
    pub(crate) fn own() -> Self {
        Self::at(Path::new("/proc/thread-self"))
    }

    /// The thread of this name in a process.
    pub(crate) fn named(process: u32, name: &str) -> Self {
        let tasks = std::fs::read_dir(format!("/proc/{process}/task")).unwrap();
        let mut tasks = tasks.map(|task| task.unwrap().path());
        let is_it = |task: &PathBuf| {
            std::fs::read_to_string(task.join("comm")).is_ok_and(|comm| comm.trim() == name)
        };
        Self::at(&tasks.find(is_it).unwrap())
    }

    /// Ready to run and not run, so far; nothing where the kernel does not count.
    fn waited(&self) -> Duration {
        let text = std::fs::read_to_string(&self.0).unwrap_or_default();
        let waited = text.split_whitespace().nth(1).and_then(|ns| ns.parse().ok());
        Duration::from_nanos(waited.unwrap_or_default())
    }
}

/// Times what these threads do, without what they waited for the machine. It may well be all of it; a thread
/// that computes for too long, or sleeps, is blamed.
pub(crate) struct Watch<'a> {
    threads: &'a [Thread],
    start: Instant,
    waited: Duration,
}

impl<'a> Watch<'a> {
    #[expect(clippy::disallowed_methods, reason = "real time is what is watched")]
    pub(crate) fn start(threads: &'a [Thread]) -> Self {
        let waited = waited(threads);
        Self { threads, start: Instant::now(), waited }
    }

    pub(crate) fn end(self) -> Duration {
        let span = self.start.elapsed();
        span.saturating_sub(waited(self.threads) - self.waited)
    }
}

fn waited(threads: &[Thread]) -> Duration {
    threads.iter().map(Thread::waited).sum()
}

/// Runs a test; what fails while the machine stood still is tried again. A failure on a machine that
/// ran evenly is the verdict at once. Where the machine stands still in each try there is no verdict,
/// and that is said.
pub(crate) fn judged(test: impl Fn()) {
    judged_above(STANDSTILL, test);
}

/// The same for a test that only a standstill of `bar` or longer can disturb.
pub(crate) fn judged_above(bar: Duration, test: impl Fn()) {
    tried(bar, || {
        let witness = Witness::start();
        let verdict = catch_unwind(AssertUnwindSafe(&test));
        (verdict, witness.end())
    });
}

#[expect(clippy::print_stderr, reason = "a try that does not count is told")]
fn tried(bar: Duration, mut attempt: impl FnMut() -> (std::thread::Result<()>, Duration)) {
    for number in 1.. {
        let (verdict, standstill) = attempt();
        match verdict {
            Ok(()) => return,
            Err(_) if standstill >= bar => {
                eprintln!(
                    "try {number} does not count: the machine stood still for {standstill:?}"
                );
                if number == TRIES {
                    eprintln!("NOT JUDGED: this machine stands still too often to listen for gaps");
                    return;
                }
            }
            Err(failure) => resume_unwind(failure),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many tries a test gets that fails `failures` times.
    fn tries(failures: u32, standstill: Duration) -> (u32, bool) {
        let mut count = 0;
        let attempt = || {
            count += 1;
            let verdict: std::thread::Result<()> =
                if count > failures { Ok(()) } else { Err(Box::new("a gap")) };
            (verdict, standstill)
        };
        let passed = catch_unwind(AssertUnwindSafe(|| tried(STANDSTILL, attempt))).is_ok();
        (count, passed)
    }

    #[test]
    fn only_a_standstill_excuses_a_failure() {
        assert_eq!(tries(0, STANDSTILL), (1, true));
        assert_eq!(tries(2, STANDSTILL), (3, true));
        assert_eq!(tries(9, STANDSTILL), (TRIES, true), "no verdict, and it is said");
        assert_eq!(tries(1, STANDSTILL / 2), (1, false));
    }

    #[test]
    fn a_thread_that_sleeps_or_computes_is_blamed() {
        let threads = [Thread::own()];
        let watch = Watch::start(&threads);
        #[expect(clippy::disallowed_methods, reason = "real time is what is watched")]
        std::thread::sleep(Duration::from_millis(20));
        assert!(watch.end() >= Duration::from_millis(15));
        let watch = Watch::start(&threads);
        let start = watch.start;
        let rounds = (0u64..).take_while(|_| start.elapsed() < Duration::from_millis(200)).count();
        let blamed = watch.end();
        assert!(blamed > Duration::from_millis(10), "{blamed:?} of {rounds} rounds in 200 ms");
    }

    #[test]
    fn a_thread_that_cannot_run_is_seen() {
        let witness = Witness::start();
        #[expect(clippy::disallowed_methods, reason = "real time is what is watched")]
        std::thread::sleep(Duration::from_millis(20));
        let standstill = witness.end();
        assert!(standstill >= Duration::from_millis(1), "each nap counts: {standstill:?}");
    }
}
