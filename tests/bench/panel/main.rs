//! What panels cost: `make bench-panel`.
//!
//! First the fan-out alone, 50 and 200 clients that are told meters (20 a second) and hear every reply
//! (20 ms slices): processor time of the panel's thread beside that of a bare axum server which sends
//! the same bytes over plain WebSockets, each as soon as it is told, in one process and in turn. Then the whole speaker with a
//! file as microphone, in pairs with and without 200 such clients: how late the sound comes to the
//! service beyond its own rhythm.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench prints, and ends where something is missing"
)]

mod bare;
mod crowd;
mod house;
mod speaker;

use crowd::Crowd;
use std::time::{Duration, Instant};

/// Interleaved measurements of each kind.
const PAIRS: usize = 10;
/// Each of the fan-out ...
const FAN: Duration = Duration::from_secs(2);
/// ... and of the speaker: 200 messages of 20 ms.
const TALK: Duration = Duration::from_secs(4);
/// Bars: processor time beside the bare server, and milliseconds the 99th percentile may move.
const COST: f64 = 1.5;
const MOVED: f64 = 1.0;

#[expect(clippy::disallowed_methods, reason = "a bench measures real time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "a bench lets real time pass")]
pub(crate) fn pause(span: Duration) {
    std::thread::sleep(span);
}

/// Starts a thread whose processor time is counted by its name.
pub(crate) fn thread(name: &str, body: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new().name(name.to_owned()).spawn(body).unwrap();
}

/// A task of this thread's loop.
#[expect(clippy::disallowed_methods, reason = "the bench is its own host")]
pub(crate) fn task(body: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(body);
}

/// A loop of its own.
pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// Nanoseconds this thread of ours has been on a processor.
fn spent(name: &str) -> f64 {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().filter_map(Result::ok);
    let read = |task: &std::fs::DirEntry, file: &str| {
        std::fs::read_to_string(task.path().join(file)).unwrap_or_default()
    };
    let mine = tasks.filter(|task| read(task, "comm").trim() == name);
    mine.map(|task| read(&task, "schedstat").split(' ').next().unwrap().parse::<f64>().unwrap())
        .sum()
}

pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn bar(what: &str, value: f64, limit: f64) {
    let verdict = if value <= limit { "met" } else { "MISSED" };
    println!("  {what:56} {value:6.2} <= {limit:5.2}  {verdict}");
}

/// 50 or 200 clients on each server.
fn fan_out(clients: usize) {
    let (house, bare) = (house::House::start(clients), bare::Bare::start());
    let ours = Crowd::of_panel(house.address, &house.cookie, &house.csrf, clients);
    let theirs = Crowd::of_bare(bare.address, clients);
    pause(Duration::from_secs(1));
    let mut shares = Vec::new();
    let (mut cost, mut bare_cost) = (Vec::new(), Vec::new());
    let (bytes, ticks) = (ours.bytes(), ours.ticks());
    let per_second = |ns: f64| ns / 1e7 / FAN.as_secs_f64();
    for _ in 0..PAIRS {
        let before = spent(house::NAME);
        crowd::feed(FAN, |news, n| house.tell(news, n));
        let panel = spent(house::NAME) - before;
        let before = spent(bare::NAME);
        crowd::feed(FAN, |news, _| bare.tell(news));
        let plain = spent(bare::NAME) - before;
        shares.push(panel / plain);
        cost.push(per_second(panel));
        bare_cost.push(per_second(plain));
    }
    pause(Duration::from_millis(500));
    let seconds = FAN.as_secs_f64() * PAIRS as f64;
    let rate = |count: u64| count as f64 / seconds / clients as f64;
    println!("{clients} clients");
    println!(
        "  CPU %: panel {:.1}, bare axum WebSocket {:.1}; a client receives {:.1} kB/s and {:.1} \
         meters/s (bare {:.1} kB/s)",
        median(cost),
        median(bare_cost),
        rate(ours.bytes() - bytes) / 1e3,
        rate(ours.ticks() - ticks),
        rate(theirs.bytes()) / 1e3,
    );
    bar("CPU beside the bare server (median of the pairs)", median(shares), COST);
    assert_eq!(house.clients(), clients, "a client was lost");
}

fn microphone() {
    let speaker = speaker::Speaker::start();
    let (mut moved, mut quiet, mut loud) = (Vec::new(), Vec::new(), Vec::new());
    let mut cpu = Vec::new();
    for _ in 0..PAIRS {
        let alone = speaker.late(TALK);
        let crowd = Crowd::of_panel(speaker.panel, &speaker.cookie, &speaker.csrf, 200);
        pause(Duration::from_millis(500));
        let before = speaker.spent();
        let (bytes, start) = (crowd.bytes(), now());
        let crowded = speaker.late(TALK);
        let seconds = start.elapsed().as_secs_f64();
        cpu.push((speaker.spent() - before) / 1e7 / seconds);
        assert!(crowd.bytes() - bytes > 200 * 20_000, "the clients hear nothing");
        drop(crowd);
        pause(Duration::from_millis(500));
        moved.push(crowded - alone);
        quiet.push(alone);
        loud.push(crowded);
    }
    // What the machine does to it by itself, from one measurement to the next.
    let noise = median(quiet.windows(2).map(|two| (two[1] - two[0]).abs()).collect());
    println!("microphone (file) -> service, p99 beyond its rhythm, medians of {PAIRS} pairs");
    println!(
        "  alone {:.2} ms (and {noise:.2} from one to the next), 200 clients {:.2} ms; CPU of the \
         panel's thread {:.1} %",
        median(quiet),
        median(loud),
        median(cpu)
    );
    bar("ms it moves (median of the pairs)", median(moved), MOVED);
}

fn main() {
    // `cargo test` runs benches too, without the word.
    if !std::env::args().any(|a| a == "--bench") {
        return;
    }
    fan_out(50);
    fan_out(200);
    microphone();
}
