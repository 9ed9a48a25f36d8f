//! What is seen of the speaker from outside while it is attacked: by the system, and on its control
//! socket, so not through the panel.

use super::guest::Guest;
use super::spawn;
use crate::fair;
use crate::sheet::pause;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

#[expect(clippy::disallowed_methods, reason = "a test measures real time")]
pub(super) fn clock() -> Instant {
    Instant::now()
}

/// Between two looks.
const LOOK: Duration = Duration::from_millis(20);

/// Slower than a panel may ask in the long run.
const PACE: Duration = Duration::from_millis(60);

/// How often an attack has struck.
#[derive(Clone, Default)]
pub(super) struct Blows(Arc<AtomicUsize>);

impl Blows {
    pub(super) fn strike(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// One look.
struct Sight {
    /// Resident, in bytes.
    memory: usize,
    speaking: bool,
    /// Of each attack so far.
    blows: Vec<usize>,
    /// Connections that are open, and most of those from one address.
    open: [usize; 2],
}

pub(super) struct Watch {
    over: Arc<AtomicBool>,
    sights: Arc<Mutex<Vec<Sight>>>,
    thread: JoinHandle<()>,
}

impl Watch {
    pub(super) fn start(
        id: u32,
        control: PathBuf,
        servers: [SocketAddr; 2],
        blows: Vec<Blows>,
    ) -> Self {
        let (over, sights) = (Arc::<AtomicBool>::default(), Arc::<Mutex<Vec<Sight>>>::default());
        let (ended, seen) = (over.clone(), sights.clone());
        let thread = spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                let sight = Sight {
                    memory: memory(id),
                    speaking: status(&control)["state"] == "speaking",
                    blows: blows.iter().map(Blows::count).collect(),
                    open: open(servers),
                };
                seen.lock().unwrap().push(sight);
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

/// How long another panel waits for an answer at most, as often as its pace allows; what the speaker's
/// thread waits for a processor, which the attackers use as well, is not counted.
pub(super) fn longest_wait(owner: &Guest, id: u32, over: &AtomicBool) -> Duration {
    let mut ws = owner.join();
    let threads = [fair::Thread::named(id, "panel"), fair::Thread::own()];
    let mut longest = Duration::ZERO;
    while !over.load(Ordering::Relaxed) {
        let watch = fair::Watch::start(&threads);
        Guest::ask(&mut ws, "inspect", &json!({"on": false}));
        longest = longest.max(watch.end());
        pause(PACE);
    }
    longest
}

/// All looks, in order.
pub(super) struct Seen(Vec<Sight>);

impl Seen {
    /// The bytes by which memory rose above what it was at look `from`, before look `to`.
    pub(super) fn grown(&self, from: usize, to: usize) -> usize {
        let most = self.0[from..to].iter().map(|sight| sight.memory).max().unwrap();
        most - self.0[from].memory
    }

    pub(super) fn looks(&self) -> usize {
        self.0.len()
    }

    /// Connections that were open, in all or from the one address that had most, the fewest first.
    pub(super) fn open(&self, from_one: bool) -> Vec<usize> {
        let mut open: Vec<_> =
            self.0.iter().map(|sight| sight.open[usize::from(from_one)]).collect();
        open.sort();
        open
    }

    /// How often an attack struck while the speaker spoke.
    pub(super) fn blows_in_speech(&self, attack: usize) -> usize {
        let spoken = self.0.windows(2).filter(|pair| pair[0].speaking && pair[1].speaking);
        spoken.map(|pair| pair[1].blows[attack] - pair[0].blows[attack]).sum()
    }
}

/// Resident memory in bytes, without the pages of the program and other files: these the process gives
/// back and takes again as it goes.
fn memory(id: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}

fn open(servers: [SocketAddr; 2]) -> [usize; 2] {
    let mut from = BTreeMap::<IpAddr, usize>::new();
    for peer in servers.into_iter().flat_map(held) {
        *from.entry(peer.ip()).or_default() += 1;
    }
    [from.values().sum(), from.values().max().copied().unwrap_or_default()]
}

/// Of a server's sockets, the addresses of those peers whose connection it still holds open. One that
/// it has closed may stay with the kernel for a while; it belongs to no process then.
pub(super) fn held(server: SocketAddr) -> Vec<SocketAddr> {
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let held = table.lines().skip(1).filter_map(|line| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let is_open = fields[3] != LISTENS && fields[9] != "0";
        (is_open && address(fields[1]) == server).then(|| address(fields[2]))
    });
    held.collect()
}

/// The state of a socket that is no connection.
const LISTENS: &str = "0A";

/// `0100007F:1F90`: the address as the machine has it in memory, and the port.
fn address(text: &str) -> SocketAddr {
    let (ip, port) = text.split_once(':').unwrap();
    let ip = u32::from_str_radix(ip, 16).unwrap().to_ne_bytes();
    SocketAddr::from((ip, u16::from_str_radix(port, 16).unwrap()))
}

/// What the speaker says of itself.
pub(super) fn status(control: &Path) -> Value {
    let mut socket = UnixStream::connect(control).unwrap();
    socket.write_all(b"{\"ask\":\"status\"}\n").unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    serde_json::from_str(&answer).unwrap()
}
