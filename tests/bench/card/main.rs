//! What the daemon costs on a card, in time and in work, beside the card alone: `make bench`.
//!
//! The card is the software card of the tests, the service a small one of this program's own over
//! TLS on the loopback interface, the front end is off and everything the microphone hears is sent.
//!
//! How sound is timed: a witness reads the monitor of each null sink. The sink's clock is the
//! system's, so one line, moment = origin + sample / rate, places every sample, whatever the
//! scheduler does to single reads. A sound is in the microphone when a card would hand over the
//! block that ends with it (lower envelope of arrival less end of block), and at the ear when the
//! sink's clock takes it (lower envelope of arrival less start of block). The card alone is timed by
//! the same lines, with `arecord` and `aplay` in place of the daemon: it is the reference, and only
//! differences and ratios of one run say something about the daemon.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench prints, and ends where something is missing"
)]

mod alone;
mod card;
mod daemon;
mod service;
mod table;

use card::Card;
use daemon::Daemon;
use service::Service;
use std::time::{Duration, Instant};

/// Clicks for the way in, and replies for the way out.
const CLICKS: usize = 120;
const REPLIES: usize = 40;
/// Replies that are interrupted.
const STOPS: usize = 20;
/// How often the daemon is started for the start times.
const STARTS: usize = 5;
/// How long work is counted.
const WORK: Duration = Duration::from_secs(10);

#[expect(clippy::disallowed_methods, reason = "a bench measures real time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "a bench lets real time pass")]
pub(crate) fn pause(span: Duration) {
    std::thread::sleep(span);
}

/// A thread that measures: ahead of everything ordinary, behind the threads it measures.
#[expect(clippy::disallowed_methods, reason = "the bench is its own host")]
pub(crate) fn measuring<T: Send + 'static>(
    body: impl FnOnce() -> T + Send + 'static,
) -> std::thread::JoinHandle<T> {
    use thread_priority::{
        RealtimeThreadSchedulePolicy::Fifo, ThreadPriority::Crossplatform,
        ThreadSchedulePolicy::Realtime, set_thread_priority_and_policy, thread_native_id,
    };
    std::thread::spawn(move || {
        // Where it is refused, the figures hold as long as the machine is quiet.
        let _ = set_thread_priority_and_policy(
            thread_native_id(),
            Crossplatform(4u8.try_into().unwrap()),
            Realtime(Fifo),
        );
        body()
    })
}

fn main() {
    // `cargo test` runs benches too, without the word.
    if !std::env::args().any(|a| a == "--bench") {
        return;
    }
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("load before: {}", load.trim());
    let card = Card::start();
    let alone_in = alone::capture(&card, CLICKS);
    let alone_out = alone::playback(&card, REPLIES);
    let service = Service::start(&card.folder);
    let mut starts = Vec::new();
    for _ in 0..STARTS {
        let daemon = Daemon::start(&card, &service);
        starts.push(daemon.start_times(&service));
    }
    let daemon = Daemon::start(&card, &service);
    daemon.start_times(&service);
    pause(Duration::from_secs(2));
    let listening = daemon.work(WORK);
    let way_in = daemon.microphone_to_service(&card, &service, CLICKS);
    let way_out = daemon.service_to_ear(&card, &service, REPLIES);
    let silence = daemon.started_to_silence(&card, &service, STOPS);
    let long = card::bytes(&card::tone(24_000.0, 14.0));
    service.reply(&long.chunks(9600).map(<[u8]>::to_vec).collect::<Vec<_>>());
    pause(Duration::from_secs(1));
    let talking = daemon.work(WORK);
    let xruns = daemon.xruns();
    let binary = std::fs::metadata(daemon::BINARY).unwrap().len() as f64 / 1e6;
    drop(daemon);

    println!("\n                                      p50    p95    p99    n");
    table::row("microphone -> service", &way_in);
    table::row("  card alone (arecord, 20 ms)", &alone_in);
    table::row("service -> ear", &way_out);
    table::row("  card alone (aplay, 5 ms x 3)", &alone_out);
    table::row("speech_started -> silence", &silence);
    let (open, append): (Vec<_>, Vec<_>) = starts.into_iter().unzip();
    table::row("exec -> microphone open", &open);
    table::row("exec -> first append", &append);
    println!("\n                                 listening  talking");
    println!("CPU (user + system, %)           {:9.2} {:8.2}", listening.cpu, talking.cpu);
    println!("wake-ups a second                {:9.0} {:8.0}", listening.wakes, talking.wakes);
    println!("PSS (MB)                         {:9.1} {:8.1}", listening.pss, talking.pss);
    println!("threads                          {:9} {:8}", listening.threads, talking.threads);
    for (name, l) in &listening.by_thread {
        let t = talking.by_thread.iter().find(|t| t.0 == *name).map_or((0.0, 0.0), |t| t.1);
        println!("  {name:15} CPU % {:5.2} {:5.2}  wake-ups {:5.0} {:5.0}", l.0, t.0, l.1, t.1);
    }
    println!("binary {binary:.1} MB; overruns {}, underruns {}", xruns.0, xruns.1);
}
