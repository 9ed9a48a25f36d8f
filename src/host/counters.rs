//! What is counted, and how it is shown to Prometheus.
//!
//! Every thread may count; each counter is an atomic, those with free labels are behind a lock and
//! belong to the main thread. Reading never stops anybody.

mod stage;

pub use stage::{Inside, Stage};

use crate::base::event::Side;
use crate::host::device;
use stage::{Histogram, INSIDE_MS, TURN_MS};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Different values of one label; what comes beyond is counted as `other`.
const LABELS: usize = 32;

/// Counts by a label that others choose.
#[derive(Debug, Default)]
pub struct Labelled(Mutex<BTreeMap<String, u64>>);

impl Labelled {
    /// Adds to the count of a label.
    pub fn add(&self, label: &str, count: u64) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = counts.get_mut(label) {
            *known += count;
        } else {
            let label = if counts.len() < LABELS { label } else { "other" };
            *counts.entry(label.to_owned()).or_insert(0) += count;
        }
    }

    /// All labels together.
    pub fn sum(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().sum()
    }

    fn show(&self, out: &mut Page, name: &str, help: &str, label: &str) {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        out.head(name, "counter", help);
        for (value, count) in counts.iter() {
            out.line(&format!("{name}{{{label}=\"{}\"}} {count}", escape(value)));
        }
    }
}

/// A number that goes up and down.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU32);

impl Gauge {
    /// Its value now.
    pub fn set(&self, value: f32) {
        self.0.store(value.to_bits(), Ordering::Relaxed);
    }

    fn value(&self) -> f32 {
        f32::from_bits(self.0.load(Ordering::Relaxed))
    }
}

/// Everything that is counted; shared by all threads.
#[derive(Debug, Default)]
pub struct Counters {
    /// Finished turns by reason.
    pub turns: Labelled,
    /// Connections made anew, by cause.
    pub reconnects: Labelled,
    /// What a full queue dropped, by queue.
    pub queue_dropped: Labelled,
    /// Panels connected.
    pub panel_clients: Gauge,
    /// Panics in the panel; each cost one connection.
    pub panel_panics: AtomicU64,
    /// Echo attenuation in dB.
    pub erle_db: Gauge,
    /// Level of the microphone.
    pub mic_dbfs: Gauge,
    /// Highest wake score of late.
    pub wake_score_max: Gauge,
    stages: [Histogram; Stage::ALL.len()],
    inside: [Histogram; Inside::ALL.len()],
    overruns: AtomicU64,
    underruns: AtomicU64,
    sent_bytes: AtomicU64,
    played_ms: AtomicU64,
    /// Millionths of a dollar, so that it can be added to by any thread.
    cost_micros: AtomicU64,
}

impl Counters {
    /// A stage of a turn took so long.
    pub fn stage(&self, stage: Stage, span: Duration) {
        self.stages[stage as usize].add(&TURN_MS, span);
    }

    /// A way through this process took so long. Does not allocate.
    pub fn inside(&self, way: Inside, span: Duration) {
        self.inside[way as usize].add(&INSIDE_MS, span);
    }

    /// A card's side was too late so often. Does not allocate.
    pub fn xruns(&self, side: Side, count: u64) {
        self.late(side).fetch_add(count, Ordering::Relaxed);
    }

    /// How often that was since the start.
    pub fn xruns_so_far(&self, side: Side) -> u64 {
        self.late(side).load(Ordering::Relaxed)
    }

    fn late(&self, side: Side) -> &AtomicU64 {
        match side {
            Side::Capture => &self.overruns,
            Side::Playout => &self.underruns,
        }
    }

    /// So many bytes of audio messages were handed to the socket.
    pub fn sent(&self, bytes: u64) {
        self.sent_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// So much speech left the speaker.
    pub fn played(&self, span: Duration) {
        let ms = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        self.played_ms.fetch_add(ms, Ordering::Relaxed);
    }

    /// A turn cost so many dollars.
    pub fn cost(&self, dollars: f64) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
        let micros = (dollars * 1e6).round().clamp(0.0, 1e12) as u64;
        self.cost_micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// The page of `GET /metrics`, in Prometheus' text format.
    pub fn prometheus(&self) -> String {
        let mut out = Page(String::with_capacity(8 * 1024));
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        self.turns.show(&mut out, "turns_total", "Finished turns.", "reason");
        out.head("turn_seconds", "histogram", "How long the stages of a turn took.");
        for (stage, histogram) in Stage::ALL.iter().zip(&self.stages) {
            histogram.show(&mut out, "turn_seconds", stage.word(), &TURN_MS);
        }
        out.head("inside_seconds", "histogram", "How long sound is on its way in this process.");
        for (way, histogram) in Inside::ALL.iter().zip(&self.inside) {
            histogram.show(&mut out, "inside_seconds", way.word(), &INSIDE_MS);
        }
        out.head("xruns_total", "counter", "Periods of the card that came too late.");
        out.line(&format!("xruns_total{{side=\"capture\"}} {}", load(&self.overruns)));
        out.line(&format!("xruns_total{{side=\"playout\"}} {}", load(&self.underruns)));
        self.reconnects.show(&mut out, "reconnects_total", "Connections made anew.", "cause");
        let sent = load(&self.sent_bytes);
        out.counter("audio_sent_bytes_total", "Audio messages sent.", sent as f64);
        let played = load(&self.played_ms);
        out.counter("audio_played_ms_total", "Speech that left the speaker.", played as f64);
        self.queue_dropped.show(
            &mut out,
            "queue_dropped_total",
            "What a full queue dropped.",
            "queue",
        );
        let cost = load(&self.cost_micros) as f64 / 1e6;
        out.counter("cost_usd_total", "Cost of all turns since start.", cost);
        out.gauge("panel_clients", "Panels connected.", self.panel_clients.value());
        let panics = load(&self.panel_panics);
        out.counter("panel_panics_total", "Panics in the panel, contained.", panics as f64);
        out.gauge("erle_db", "Echo attenuation.", self.erle_db.value());
        out.gauge("mic_dbfs", "Level of the microphone.", self.mic_dbfs.value());
        out.gauge("wake_score_max", "Highest wake score of late.", self.wake_score_max.value());
        process(&mut out, |name| std::fs::read_to_string(format!("/proc/{name}")).ok());
        if let Ok(fds) = std::fs::read_dir("/proc/self/fd") {
            // The directory being read is one of them.
            out.gauge("process_open_fds", "Open files.", fds.count().saturating_sub(1) as f32);
        }
        out.0
    }
}

/// Memory, processor time, start and threads of this process; `read` takes a name below `/proc`.
/// What a system does not have is left out.
fn process(out: &mut Page, read: impl Fn(&str) -> Option<String>) {
    let status = read("self/status").unwrap_or_default();
    let field = |name: &str| device::field(&status, name);
    if let Some(kilobytes) = field("VmRSS") {
        let bytes = kilobytes * 1024.0;
        out.number("process_resident_memory_bytes", "gauge", "Memory in use.", bytes);
    }
    if let Some(kilobytes) = field("VmSize") {
        let bytes = kilobytes * 1024.0;
        out.number("process_virtual_memory_bytes", "gauge", "Address space in use.", bytes);
    }
    if let Some(threads) = field("Threads") {
        out.number("process_threads", "gauge", "Threads.", threads);
    }
    let Some(stat) = read("self/stat") else { return };
    let ticks = |number: usize| device::ticks(&stat, number);
    if let (Some(user), Some(system)) = (ticks(14), ticks(15)) {
        let seconds = user + system;
        out.number("process_cpu_seconds_total", "counter", "Processor time used.", seconds);
    }
    let booted = read("stat").and_then(|stat| {
        stat.lines().find_map(|line| line.strip_prefix("btime ")?.trim().parse::<f64>().ok())
    });
    if let (Some(booted), Some(after)) = (booted, ticks(22)) {
        let start = booted + after;
        out.number("process_start_time_seconds", "gauge", "Start, in Unix time.", start);
    }
}

/// The page under way; every name gets our prefix.
struct Page(String);

impl Page {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a string does not fail, here and below.
        let _ = writeln!(self.0, "# HELP grok_speaker_{name} {help}");
        let _ = writeln!(self.0, "# TYPE grok_speaker_{name} {kind}");
    }

    fn line(&mut self, line: &str) {
        let _ = writeln!(self.0, "grok_speaker_{line}");
    }

    fn number(&mut self, name: &str, kind: &str, help: &str, value: f64) {
        self.head(name, kind, help);
        self.line(&format!("{name} {value}"));
    }

    fn counter(&mut self, name: &str, help: &str, value: f64) {
        self.number(name, "counter", help, value);
    }

    fn gauge(&mut self, name: &str, help: &str, value: f32) {
        self.head(name, "gauge", help);
        self.line(&format!("{name} {value}"));
    }
}

/// A label's value as the text format wants it.
fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_of_the_contract_is_there() {
        let counters = Counters::default();
        counters.turns.add("done", 2);
        counters.turns.add("a\"b", 1);
        counters.reconnects.add("dropped", 1);
        counters.queue_dropped.add("panel", 3);
        counters.stage(Stage::SpeechEndToFirstAudio, Duration::from_millis(400));
        counters.stage(Stage::SpeechEndToFirstAudio, Duration::from_secs(60));
        counters.inside(Inside::ChunkToSocket, Duration::from_micros(4_999));
        counters.inside(Inside::DeltaToCard, Duration::from_micros(5_001));
        counters.xruns(Side::Playout, 4);
        counters.sent(5);
        counters.played(Duration::from_millis(6));
        counters.cost(0.25);
        counters.erle_db.set(21.5);
        let page = counters.prometheus();
        for line in [
            "grok_speaker_turns_total{reason=\"done\"} 2",
            "grok_speaker_turns_total{reason=\"a\\\"b\"} 1",
            "grok_speaker_turn_seconds_bucket{stage=\"speech_end_to_first_audio\",le=\"0.3\"} 0",
            "grok_speaker_turn_seconds_bucket{stage=\"speech_end_to_first_audio\",le=\"0.5\"} 1",
            "grok_speaker_turn_seconds_bucket{stage=\"speech_end_to_first_audio\",le=\"+Inf\"} 2",
            "grok_speaker_turn_seconds_sum{stage=\"speech_end_to_first_audio\"} 60.4",
            "grok_speaker_turn_seconds_count{stage=\"wake_to_gate\"} 0",
            "grok_speaker_inside_seconds_bucket{stage=\"chunk_to_socket\",le=\"0.004\"} 0",
            "grok_speaker_inside_seconds_bucket{stage=\"chunk_to_socket\",le=\"0.005\"} 1",
            "grok_speaker_inside_seconds_sum{stage=\"chunk_to_socket\"} 0.004999",
            "grok_speaker_inside_seconds_bucket{stage=\"delta_to_card\",le=\"0.005\"} 0",
            "grok_speaker_inside_seconds_bucket{stage=\"delta_to_card\",le=\"0.007\"} 1",
            "grok_speaker_inside_seconds_count{stage=\"delta_to_card\"} 1",
            "grok_speaker_xruns_total{side=\"capture\"} 0",
            "grok_speaker_xruns_total{side=\"playout\"} 4",
            "grok_speaker_reconnects_total{cause=\"dropped\"} 1",
            "grok_speaker_audio_sent_bytes_total 5",
            "grok_speaker_audio_played_ms_total 6",
            "grok_speaker_queue_dropped_total{queue=\"panel\"} 3",
            "grok_speaker_panel_clients 0",
            "grok_speaker_panel_panics_total 0",
            "grok_speaker_erle_db 21.5",
            "grok_speaker_cost_usd_total 0.25",
        ] {
            assert!(page.lines().any(|l| l == line), "{line}\n{page}");
        }
        for name in ["mic_dbfs", "wake_score_max"] {
            assert!(page.contains(&format!("# TYPE grok_speaker_{name} gauge")), "{name}");
        }
        if cfg!(target_os = "linux") {
            for name in ["resident_memory_bytes", "cpu_seconds_total", "open_fds", "threads"] {
                assert!(page.contains(&format!("\ngrok_speaker_process_{name} ")), "{name}");
            }
        }
    }

    #[test]
    fn the_process_is_read_as_proc_5_says() {
        let mut page = Page(String::new());
        process(&mut page, |name| {
            Some(match name {
                "self/status" => {
                    "Name:\tx\nVmSize:\t  2048 kB\nVmRSS:\t 1024 kB\nThreads:\t6\n".into()
                }
                "self/stat" => {
                    format!("9 (a b) c) S {} 150 50 {} 1000 0", "0 ".repeat(10), "0 ".repeat(6))
                }
                "stat" => "cpu 1 2\nbtime 1700000000\n".into(),
                other => panic!("{other}"),
            })
        });
        for line in [
            "process_resident_memory_bytes 1048576",
            "process_threads 6",
            "process_cpu_seconds_total 2",
            "process_start_time_seconds 1700000010",
        ] {
            assert!(page.0.contains(&format!("\ngrok_speaker_{line}\n")), "{line}\n{}", page.0);
        }
        let mut page = Page(String::new());
        process(&mut page, |_| None);
        assert_eq!(page.0, "");
    }

    #[test]
    fn labels_are_bounded_and_xruns_do_not_allocate() {
        let counters = Counters::default();
        for index in 0..100 {
            counters.turns.add(&index.to_string(), 1);
        }
        let page = counters.prometheus();
        assert!(page.contains("grok_speaker_turns_total{reason=\"other\"} 68"), "{page}");
        assert_no_alloc::assert_no_alloc(|| {
            counters.xruns(Side::Capture, 1);
            counters.stage(Stage::WakeToGate, Duration::from_millis(1));
            counters.inside(Inside::ChunkToSocket, Duration::from_millis(1));
        });
    }
}
