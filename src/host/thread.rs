//! DOOR threads, eventfd: names, priorities, ends that are noticed, and the bells between threads.

use crate::base::ring::{Bell, Wait};
use nix::poll::{PollFd, PollFlags, PollTimeout};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;
use thread_priority::{
    NormalThreadSchedulePolicy, RealtimeThreadSchedulePolicy, ThreadPriority, ThreadPriorityValue,
    ThreadSchedulePolicy, set_thread_priority_and_policy, thread_native_id,
};
use tokio::io::unix::AsyncFd;

/// Capture and playout: above the front end, below the kernel's own interrupt threads (50).
pub const CARD: Priority = Priority::Fifo(10);
/// The front end: above everything ordinary, never in the way of the card.
pub const FRONT_END: Priority = Priority::Fifo(5);
/// The main thread: ahead of everything ordinary, because each message waits for it.
pub const MAIN: Priority = Priority::Nice(-10);
/// The panel: behind everything else.
pub const PANEL: Priority = Priority::Nice(5);
/// What a real-time thread gets where FIFO is not allowed.
const SECOND_BEST: i8 = -11;

/// How urgent a thread is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Priority {
    /// Real time, first in first out, 1..=99: runs until it waits.
    Fifo(u8),
    /// Shares the processor, -20 (greedy) ..= 19 (polite).
    Nice(i8),
    /// As it comes.
    Normal,
}

/// What a thread was granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Granted {
    /// What it asked for.
    Asked,
    /// Something less.
    Less {
        /// For a person: what it runs with and what would help.
        words: String,
    },
}

/// A thread with a name.
#[derive(Debug)]
pub struct Worker<T = ()> {
    /// As `top -H` and a panic message show it (15 characters there).
    pub name: &'static str,
    /// With what urgency it runs.
    pub granted: Granted,
    join: std::thread::JoinHandle<T>,
}

/// How a thread ended when not by returning.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("thread {name} panicked: {words}")]
pub struct Panicked {
    /// Which.
    pub name: &'static str,
    /// What the panic said.
    pub words: String,
}

impl<T> Worker<T> {
    /// Starts a thread; returns when it runs with its priority set, at once where none is asked
    /// for. `ended` is rung when it ends, by returning or by a panic.
    ///
    /// # Errors
    /// When the system has no room for another thread.
    pub fn spawn(
        name: &'static str,
        priority: Priority,
        ended: Arc<dyn Bell>,
        body: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<Self>
    where
        T: Send + 'static,
    {
        let (tell, told): (SyncSender<Granted>, _) = sync_channel(1);
        let join = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            let _rings_when_dropped = AtEnd(ended);
            // The starter waits for this very message, or for none.
            let _ = tell.send(ask(priority));
            drop(tell);
            body()
        })?;
        let granted = match priority {
            Priority::Normal => Granted::Asked,
            Priority::Fifo(_) | Priority::Nice(_) => told.recv().unwrap_or(Granted::Asked),
        };
        Ok(Self { name, granted, join })
    }

    /// Whether it has ended.
    pub fn is_over(&self) -> bool {
        self.join.is_finished()
    }

    /// Waits for its end and takes what it returned.
    ///
    /// # Errors
    /// When it panicked.
    pub fn join(self) -> Result<T, Panicked> {
        let Self { name, join, .. } = self;
        join.join().map_err(|payload| {
            let words = match payload.downcast_ref::<&str>() {
                Some(words) => (*words).to_owned(),
                None => payload
                    .downcast_ref::<String>()
                    .cloned()
                    .unwrap_or_else(|| "without words".to_owned()),
            };
            Panicked { name, words }
        })
    }
}

/// Rings when it goes out of scope, in a panic too.
struct AtEnd(Arc<dyn Bell>);

impl Drop for AtEnd {
    fn drop(&mut self) {
        self.0.ring();
    }
}

/// Sets the priority of the current thread, or the next best. Threads it starts begin with it.
pub fn ask(priority: Priority) -> Granted {
    match priority {
        Priority::Normal => Granted::Asked,
        Priority::Fifo(level) => match fifo(level) {
            Ok(()) => Granted::Asked,
            Err(why) => {
                let instead = match nice(SECOND_BEST) {
                    Ok(()) => format!("nice {SECOND_BEST}"),
                    Err(_) => "normal priority".to_owned(),
                };
                Granted::Less {
                    words: format!(
                        "no real-time priority ({why}), running with {instead}: under systemd set \
                         LimitRTPRIO={level}"
                    ),
                }
            }
        },
        Priority::Nice(level) => match nice(level) {
            Ok(()) => Granted::Asked,
            Err(why) => {
                Granted::Less { words: format!("nice {level} refused ({why}): normal priority") }
            }
        },
    }
}

fn fifo(level: u8) -> Result<(), String> {
    set(level, ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::Fifo))
}

fn nice(level: i8) -> Result<(), String> {
    // The crate takes 0..=99 and maps it on 19..=-20, rounding down.
    let polite = 19 - i32::from(level.clamp(-20, 19));
    let percent = u8::try_from(polite * 99 / 39).unwrap_or(0);
    set(percent, ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Other))
}

fn set(level: u8, policy: ThreadSchedulePolicy) -> Result<(), String> {
    let value = ThreadPriorityValue::try_from(level)?;
    set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Crossplatform(value), policy)
        .map_err(|error| {
            if let thread_priority::Error::OS(code) = error {
                return io::Error::from_raw_os_error(code).to_string();
            }
            format!("{error:?}")
        })
}

/// A bell and who waits for it. Ringing is one system call that neither blocks nor allocates.
///
/// # Errors
/// When the process has no file descriptor left.
pub fn bell() -> io::Result<(Arc<dyn Bell>, EventWait)> {
    let fd = Arc::new(Signal::new()?);
    Ok((Arc::clone(&fd) as Arc<dyn Bell>, EventWait { fd }))
}

/// The waiting end of a [`bell`] for a thread that may block.
#[derive(Debug)]
pub struct EventWait {
    fd: Arc<Signal>,
}

impl Wait for EventWait {
    fn wait(&self, limit: Duration) -> bool {
        // Rounded up, so that a short limit does not become a busy loop.
        let limit = limit.checked_add(Duration::from_micros(999)).unwrap_or(limit);
        let limit = PollTimeout::try_from(limit).unwrap_or(PollTimeout::MAX);
        let mut fds = [PollFd::new(self.fd.as_fd(), PollFlags::POLLIN)];
        // Interrupted by a signal counts as not rung: the caller looks at its ring anyway.
        matches!(nix::poll::poll(&mut fds, limit), Ok(1..)) && self.fd.take()
    }
}

impl EventWait {
    /// The same for a task. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// When the runtime cannot watch another descriptor.
    pub fn into_async(self) -> io::Result<AsyncWait> {
        #[expect(
            deprecated,
            reason = "its successor is unsafe; what is wrong with it (a descriptor closed while \
                      watched) cannot happen here: the value owns its descriptor"
        )]
        let watched = AsyncFd::with_interest(Shared(self.fd), tokio::io::Interest::READABLE)?;
        Ok(AsyncWait { watched })
    }
}

/// The waiting end of a [`bell`] for a task.
#[derive(Debug)]
pub struct AsyncWait {
    watched: AsyncFd<Shared>,
}

impl AsyncWait {
    /// Returns when the bell was rung since the last return. Cancel-safe.
    ///
    /// # Errors
    /// When the runtime shuts down.
    pub async fn rung(&mut self) -> io::Result<()> {
        loop {
            let mut ready = self.watched.readable().await?;
            let rung = ready.get_inner().0.take();
            // All rings were taken: only a later one makes it ready again.
            ready.clear_ready();
            if rung {
                return Ok(());
            }
        }
    }
}

#[derive(Debug)]
struct Shared(Arc<Signal>);

impl AsRawFd for Shared {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

/// Linux: an eventfd, one counter in the kernel.
#[cfg(target_os = "linux")]
type Signal = Eventfd;
/// Elsewhere: a pair of sockets.
#[cfg(not(target_os = "linux"))]
type Signal = Pair;

#[cfg(target_os = "linux")]
#[derive(Debug)]
struct Eventfd(nix::sys::eventfd::EventFd);

#[cfg(target_os = "linux")]
impl Eventfd {
    fn new() -> io::Result<Self> {
        use nix::sys::eventfd::{EfdFlags, EventFd};
        let flags = EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC;
        Ok(Self(EventFd::from_value_and_flags(0, flags)?))
    }

    /// Takes all rings; whether there was one.
    fn take(&self) -> bool {
        self.0.read().is_ok()
    }

    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(target_os = "linux")]
impl Bell for Eventfd {
    fn ring(&self) {
        // Fails only when the counter is full, and then the other side is about to wake.
        let _ = self.0.write(1);
    }
}

#[cfg(any(test, not(target_os = "linux")))]
#[derive(Debug)]
struct Pair {
    near: std::os::unix::net::UnixStream,
    far: std::os::unix::net::UnixStream,
}

#[cfg(any(test, not(target_os = "linux")))]
impl Pair {
    fn new() -> io::Result<Self> {
        let (near, far) = std::os::unix::net::UnixStream::pair()?;
        near.set_nonblocking(true)?;
        far.set_nonblocking(true)?;
        Ok(Self { near, far })
    }

    /// Takes all rings; whether there was one.
    fn take(&self) -> bool {
        let mut rings = [0; 64];
        let mut any = false;
        while matches!(io::Read::read(&mut &self.far, &mut rings), Ok(1..)) {
            any = true;
        }
        any
    }

    #[cfg(not(target_os = "linux"))]
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.far.as_fd()
    }
}

#[cfg(any(test, not(target_os = "linux")))]
impl Bell for Pair {
    fn ring(&self) {
        // Fails only when the buffer is full, and then the other side is about to wake.
        let _ = io::Write::write(&mut &self.near, &[1]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ring::Silent;

    const SOON: Duration = Duration::from_secs(5);

    #[test]
    fn a_bell_wakes_a_thread_and_many_rings_are_one() {
        let (bell, wait) = bell().unwrap();
        assert!(!wait.wait(Duration::from_millis(10)));
        assert_no_alloc::assert_no_alloc(|| {
            bell.ring();
            bell.ring();
        });
        assert!(wait.wait(SOON));
        assert!(!wait.wait(Duration::ZERO));
        let ringer = Arc::clone(&bell);
        let worker =
            Worker::spawn("ringer", Priority::Normal, Arc::new(Silent), move || ringer.ring());
        assert!(wait.wait(SOON));
        worker.unwrap().join().unwrap();
    }

    #[test]
    fn a_bell_wakes_a_task() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (bell, wait) = bell().unwrap();
            let mut wait = wait.into_async().unwrap();
            let quiet = Duration::from_millis(20);
            assert!(tokio::time::timeout(quiet, wait.rung()).await.is_err());
            let worker = Worker::spawn("ringer", Priority::Normal, bell, || ()).unwrap();
            tokio::time::timeout(SOON, wait.rung()).await.unwrap().unwrap();
            worker.join().unwrap();
            assert!(tokio::time::timeout(quiet, wait.rung()).await.is_err());
        });
    }

    #[test]
    fn the_pair_of_other_systems_rings_too() {
        let pair = Pair::new().unwrap();
        assert!(!pair.take());
        for _ in 0..100_000 {
            pair.ring();
        }
        assert!(pair.take());
        assert!(!pair.take());
    }

    #[test]
    fn a_panic_is_noticed_and_named() {
        let (bell, wait) = bell().unwrap();
        let worker = Worker::spawn("unlucky", Priority::Normal, bell, || {
            assert_eq!(1 + 1, 3, "sums are off");
        })
        .unwrap();
        assert!(wait.wait(SOON), "the end rings");
        let end = worker.join().unwrap_err();
        assert_eq!(end.name, "unlucky");
        assert!(end.words.contains("sums are off"), "{end}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn threads_have_their_name_and_what_they_were_granted() {
        // Field 18 is nice (19 after the name that may hold spaces), 41 the policy (1 = FIFO).
        let look = || std::fs::read_to_string("/proc/thread-self/stat").unwrap();
        for priority in [CARD, PANEL, Priority::Normal] {
            let worker = Worker::spawn("looker", priority, Arc::new(Silent), look).unwrap();
            let granted = worker.granted.clone();
            let stat = worker.join().unwrap();
            assert!(stat.contains("(looker)"), "{stat}");
            let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
            match (priority, granted) {
                (Priority::Fifo(level), Granted::Asked) => {
                    assert_eq!((fields[37], fields[38]), (level.to_string().as_str(), "1"));
                }
                (Priority::Nice(level), Granted::Asked) => {
                    assert_eq!(fields[16], level.to_string());
                }
                (Priority::Normal, granted) => assert_eq!(granted, Granted::Asked),
                (_, Granted::Less { words }) => {
                    assert_ne!(fields[38], "1", "{words}");
                }
            }
        }
    }
}
