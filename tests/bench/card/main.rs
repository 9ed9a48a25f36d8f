//! What the daemon costs on a card, in time and in work: `make bench`. In the same run and in turn
//! beside it: the card alone, and what a person would write instead (`bridge/`).
//!
//! The card is the software card of the tests, the service a small one of this program's own over
//! TLS on the loopback interface, the front end is off and everything the microphone hears is sent. The
//! daemon takes a second turn with its front end on.
//!
//! How sound is timed: a witness reads the monitor of each null sink. The sink's clock is the
//! system's, so one line, moment = origin + sample / rate, places every sample, whatever the
//! scheduler does to single reads. A sound is in the microphone when a card would hand over the
//! block that ends with it (lower envelope of arrival less end of block), and at the ear when the
//! sink's clock takes it (lower envelope of arrival less start of block). All are timed by the same
//! lines, and only differences and ratios of one run say something about the daemon.
//!
//! What the daemon says of the ways inside it (`inside_seconds` of its metrics) stands beside that,
//! as the upper bound of the bucket a time falls into.
//!
//! A machine has better and worse minutes, so everything is measured in rounds
//! (`BENCH_ROUNDS=1` for a quick look), and shown is the median over the rounds of each
//! round's percentiles.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench prints, and ends where something is missing"
)]

mod alone;
mod bridge;
mod card;
mod daemon;
mod service;
mod subject;
mod table;
#[path = "../tls.rs"]
mod tls;
mod work;

use card::Card;
use service::Service;
use std::collections::BTreeMap;
use std::process::Command;
use std::time::{Duration, Instant};
use subject::Subject;
use table::{Sheet, bar};
use work::Work;

/// Rounds where `BENCH_ROUNDS` does not say.
const ROUNDS: usize = 3;
/// In each round: clicks for the way in, and replies for the way out.
const CLICKS: usize = 60;
const REPLIES: usize = 21;
/// Replies that are interrupted.
const STOPS: usize = 15;
/// How often each is started for that: where its periods fall in the blocks of the sound server is
/// decided at its start, and is worth 10 ms.
const STARTS: usize = 3;
/// By how much the front end delays sound, its resampler, which is never off, left out.
const FRONT_MS: f64 = 10.0;
/// How long work is counted.
const WORK: Duration = Duration::from_secs(8);

/// Who is measured.
const DAEMON: &str = "daemon";
const WHOLE: &str = "daemon, front end on";
const BRIDGE: &str = "bridge";
const BRIDGE_SHORT: &str = "bridge, 20 ms periods";
const IN_ALONE: &str = "card alone (arecord, 20 ms)";
const OUT_ALONE: &str = "card alone (aplay, 5 ms x 3)";

/// What is measured of them.
const IN: &str = "microphone -> service";
const OUT: &str = "service -> ear";
const SILENCE: &str = "speech_started -> silence";
const CHUNK: &str = "inside: last sample of a chunk -> socket";
const DELTA: &str = "inside: first delta read -> audible";
const OPEN: &str = "exec -> microphone open";
const APPEND: &str = "exec -> first append";
const CPU_LISTENING: &str = "CPU listening (%)";
const CPU_TALKING: &str = "CPU talking (%)";
const OWN_LISTENING: &str = "  without children";
const OWN_TALKING: &str = "  the same, talking";
const WAKES_LISTENING: &str = "wake-ups/s listening";
const WAKES_TALKING: &str = "wake-ups/s talking";
const PSS_LISTENING: &str = "PSS listening (MB)";
const PSS_TALKING: &str = "PSS talking (MB)";
const OWN_PSS: &str = "  without children (MB)";
const THREADS: &str = "threads";
const GAPS: &str = "gaps in a tone";
const UNDERRUNS: &str = "underruns";
const OVERRUNS: &str = "overruns";

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
    let rounds = std::env::var("BENCH_ROUNDS").ok().and_then(|r| r.parse().ok()).unwrap_or(ROUNDS);
    let card = Card::start();
    let service = Service::start(&card.folder);
    let has_bridge = bridge::is_there();
    let mut sheet = Sheet::default();
    for round in 1..=rounds {
        let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        println!("round {round} of {rounds}, load {}", load.trim());
        sheet.add(IN_ALONE, IN, alone::capture(&card, CLICKS));
        for (who, front) in [(DAEMON, "off"), (WHOLE, "auto")] {
            measure(&mut sheet, who, &card, &service, || daemon::command(&card, &service, front));
        }
        let (times, dry) = alone::playback(&card, REPLIES);
        sheet.add(OUT_ALONE, OUT, times);
        sheet.add(OUT_ALONE, UNDERRUNS, vec![dry as f64]);
        if has_bridge {
            measure(&mut sheet, BRIDGE, &card, &service, || bridge::command(&card, &service, ""));
            measure(&mut sheet, BRIDGE_SHORT, &card, &service, || {
                bridge::command(&card, &service, bridge::SHORT)
            });
        }
    }
    show(&sheet);
    bars(&sheet, daemon::size(&card.folder));
}

/// One round of one subject.
fn measure(
    sheet: &mut Sheet,
    who: &'static str,
    card: &Card,
    service: &Service,
    command: impl Fn() -> Command,
) {
    let mut found = BTreeMap::<&'static str, Vec<f64>>::new();
    let (mut running, mut listening) = (None, Work::default());
    for start in 1..=STARTS {
        // The one before is gone when the next begins.
        drop(running.take());
        let subject = Subject::start(command(), card, service);
        let (open, append) = subject.start_times(service);
        found.entry(OPEN).or_default().push(open);
        found.entry(APPEND).or_default().push(append);
        pause(Duration::from_secs(1));
        if start == STARTS {
            // Before a witness has made the sound server quicker.
            pause(Duration::from_secs(1));
            listening = subject.listening(WORK);
        }
        let times = subject.microphone_to_service(card, service, CLICKS / STARTS);
        found.entry(IN).or_default().extend(times);
        // Its way out is no other than that of the plain bridge.
        if who != BRIDGE_SHORT {
            let times = subject.service_to_ear(card, service, REPLIES / STARTS);
            found.entry(OUT).or_default().extend(times);
            let times = subject.started_to_silence(card, service, STOPS / STARTS);
            found.entry(SILENCE).or_default().extend(times);
        }
        if who == DAEMON || who == WHOLE {
            for (what, way) in [(CHUNK, "chunk_to_socket"), (DELTA, "delta_to_card")] {
                found.entry(what).or_default().extend(daemon::inside(card, way));
            }
        }
        running = Some(subject);
    }
    for (what, times) in found {
        sheet.add(who, what, times);
    }
    let subject = running.unwrap();
    let (talking, gaps) = subject.talking(card, service, WORK);
    let numbers = [
        (CPU_LISTENING, listening.cpu),
        (CPU_TALKING, talking.cpu),
        (OWN_LISTENING, listening.own_cpu),
        (OWN_TALKING, talking.own_cpu),
        (WAKES_LISTENING, listening.wakes),
        (WAKES_TALKING, talking.wakes),
        (PSS_LISTENING, listening.pss),
        (PSS_TALKING, talking.pss),
        (OWN_PSS, talking.own_pss),
        (THREADS, talking.threads as f64),
        (GAPS, gaps as f64),
    ];
    for (what, number) in numbers {
        sheet.add(who, what, vec![number]);
    }
    if who == DAEMON || who == WHOLE {
        let (overruns, underruns) = daemon::xruns(card);
        sheet.add(who, OVERRUNS, vec![overruns as f64]);
        sheet.add(who, UNDERRUNS, vec![underruns as f64]);
        threads(&listening, &talking);
    }
}

/// Where the daemon's time goes, of one round.
fn threads(listening: &Work, talking: &Work) {
    println!("  thread             CPU %: listening talking   wake-ups/s: listening talking");
    for (name, (cpu, wakes)) in &talking.by_thread {
        let (quiet_cpu, quiet_wakes) = listening.by_thread.get(name).copied().unwrap_or_default();
        println!("  {name:18} {quiet_cpu:16.2} {cpu:7.2} {quiet_wakes:23.0} {wakes:7.0}");
    }
}

fn show(sheet: &Sheet) {
    let all = [IN_ALONE, OUT_ALONE, DAEMON, WHOLE, BRIDGE, BRIDGE_SHORT];
    println!("\nmilliseconds                           p50     p95     p99      n");
    for what in [IN, OUT, SILENCE, CHUNK, DELTA, OPEN, APPEND] {
        sheet.times(what, &all);
    }
    let all = [DAEMON, WHOLE, BRIDGE, BRIDGE_SHORT];
    println!(
        "\n                                     daemon front end on       bridge bridge, 20 ms"
    );
    for what in [
        CPU_LISTENING,
        OWN_LISTENING,
        CPU_TALKING,
        OWN_TALKING,
        WAKES_LISTENING,
        WAKES_TALKING,
        PSS_LISTENING,
        PSS_TALKING,
        OWN_PSS,
        THREADS,
        GAPS,
        OVERRUNS,
        UNDERRUNS,
    ] {
        sheet.numbers(what, &all);
    }
    println!("aplay alone ran dry {} times a round", sheet.one(OUT_ALONE, UNDERRUNS));
}

/// What is asked of the daemon, beside the references of the same run.
fn bars(sheet: &Sheet, binary: f64) {
    let ours = |what, share| sheet.of(DAEMON, what, share);
    let theirs = |what| sheet.one(BRIDGE, what);
    println!("\nbars                                                daemon       bar");
    let alone = |share| sheet.of(IN_ALONE, IN, share);
    bar("microphone -> service p50: card alone + 2 ms", ours(IN, 0.5), alone(0.5) + 2.0);
    bar("microphone -> service p99: card alone + 6 ms", ours(IN, 0.99), alone(0.99) + 6.0);
    out_bars(sheet, DAEMON);
    bar("last sample of a chunk -> socket p99", ours(CHUNK, 0.99), 5.0);
    bar("first delta read -> audible p99", ours(DELTA, 0.99), 20.0);
    bar("exec -> microphone open: 1/8 of the bridge", ours(OPEN, 0.5), theirs(OPEN) / 8.0);
    bar("exec -> first append: 1/3 of the bridge", ours(APPEND, 0.5), theirs(APPEND) / 3.0);
    let (listening, talking) = (ours(CPU_LISTENING, 0.5), ours(CPU_TALKING, 0.5));
    bar("CPU listening: 0.8 of the bridge", listening, theirs(CPU_LISTENING) * 0.8);
    bar("CPU talking: 0.75 of the bridge", talking, theirs(CPU_TALKING) * 0.75);
    let short = |what| sheet.one(BRIDGE_SHORT, what);
    bar("  listening, of the one with 20 ms", listening, short(CPU_LISTENING) * 0.8);
    bar("  talking, of the one with 20 ms", talking, short(CPU_TALKING) * 0.75);
    bar("PSS listening (MB)", ours(PSS_LISTENING, 0.5), 10.0);
    bar("PSS talking (MB)", ours(PSS_TALKING, 0.5), 10.0);
    bar("threads", ours(THREADS, 0.5), 8.0);
    bar("binary, stripped (MB)", binary, 10.0);
    let broken = |who| [GAPS, OVERRUNS, UNDERRUNS].map(|what| sheet.one(who, what)).iter().sum();
    bar("gaps, overruns and underruns", broken(DAEMON), 0.0);

    println!("\nbars with the front end on: its own delay and no more");
    let whole = |what, share| sheet.of(WHOLE, what, share);
    for (words, share) in [("p50", 0.5), ("p99", 0.99)] {
        let limit = ours(IN, share) + FRONT_MS;
        bar(&format!("microphone -> service {words}"), whole(IN, share), limit);
    }
    out_bars(sheet, WHOLE);
    bar("PSS listening (MB)", whole(PSS_LISTENING, 0.5), 14.0);
    bar("PSS talking (MB)", whole(PSS_TALKING, 0.5), 14.0);
    bar("gaps, overruns and underruns", broken(WHOLE), 0.0);
}

/// What the daemon is asked of the way out, its front end off and on.
fn out_bars(sheet: &Sheet, who: &'static str) {
    bar("service -> ear p50", sheet.of(who, OUT, 0.5), 18.0);
    bar("service -> ear p95", sheet.of(who, OUT, 0.95), 28.0);
    bar("speech_started -> silence p50", sheet.of(who, SILENCE, 0.5), 22.0);
    bar("speech_started -> silence p95", sheet.of(who, SILENCE, 0.95), 32.0);
}
