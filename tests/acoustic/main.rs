//! The front end in simulated rooms: `make acoustic`. Every scene, or those named. Ends with 1 if
//! a threshold is missed. Then who interrupts the speaker, and who does not.
#![expect(clippy::print_stdout, reason = "a bench prints")]

mod barge;
mod bench;
mod clean;
mod voice;

use barge::{Act, Sayings, Session, Sum, converse};
use bench::{Voices, missed, number, scene, second_trial, table, trial};
use clean::suppression;
use grok_speaker::speech::{Level, Options};
use grok_speaker_sim::burst::Burst;
use grok_speaker_sim::room::Scene;
use grok_speaker_sim::score::{Clean, Score};
use std::process::ExitCode;

const SEEDS: [u64; 3] = [1, 2, 3];

fn main() -> ExitCode {
    let (table, voices) = (table(), Voices::read());
    let named: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let wanted = |name: &String| named.is_empty() || named.contains(name);
    let mut complaints = Vec::new();
    for hint in [true, false] {
        println!("\n{}", if hint { "delay told" } else { "delay unknown" });
        println!(
            "{:<9} {:>5} {:>5} {:>5} {:>5} {:>6} {:>5} {:>5} {:>5}",
            "scene", "erle", "early", "after", "clear", "(mic)", "lost", "false", "heard"
        );
        for (name, entry) in table.iter().filter(|(name, _)| *name != "all" && wanted(name)) {
            let scene = scene(entry);
            let kept = entry.get("kept").is_some();
            let heard = if kept { second_trial } else { trial };
            let scores = SEEDS.map(|seed| heard(&scene, seed, &voices, hint));
            let score = mean(&scores);
            println!(
                "{name:<9} {:>5.1} {:>5.1} {:>5.1} {:>5.2} {:>6.2} {:>5.2} {:>5.2} {:>5.2}",
                score.erle,
                score.early,
                score.after,
                score.clear,
                score.clear_before,
                score.lost,
                score.false_speech,
                score.heard
            );
            for what in missed(&score, &table["all"], entry) {
                complaints.push(format!("{name}: {what}"));
            }
        }
    }
    let sayings = Sayings::read();
    println!(
        "\ninterruptions: lowered in 0.3 s, stopped in 0.5 s, first sound lost, by nobody a minute"
    );
    println!("stopped by {:?}", Burst::ALL);
    for name in INTERRUPTED.iter().filter(|name| wanted(&(**name).to_owned())) {
        interruptions(name, &scene(&table[*name]), &sayings, &mut complaints);
    }
    let table = clean::table();
    if wanted(&"noise".to_owned()) {
        noise(&table["suppression"], &voices, &mut complaints);
    }
    if wanted(&"gain".to_owned()) {
        gain(&table["gain"], &voices, &mut complaints);
    }
    let table = voice::table();
    if wanted(&"voice".to_owned()) {
        in_noise(&table["in_noise"], &voices, &mut complaints);
        of_noise(&table["alone"], &voices, &mut complaints);
    }
    complaints.iter().for_each(|complaint| println!("missed: {complaint}"));
    if complaints.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn cleaned(scene: &toml::Value, options: &Options, voices: &Voices) -> Clean {
    let found = SEEDS.map(|seed| clean::trial(scene, options, seed, voices));
    let of = |pick: fn(&Clean) -> f64| found.iter().map(pick).sum::<f64>() / found.len() as f64;
    Clean {
        clear: of(|c| c.clear),
        clear_before: of(|c| c.clear_before),
        lowered: of(|c| c.lowered),
        level: of(|c| c.level),
        pause: of(|c| c.pause),
        peak: found.iter().fold(0.0, |top, c| top.max(c.peak)),
    }
}

fn noise(entries: &toml::Value, voices: &Voices, complaints: &mut Vec<String>) {
    println!("\nnoise suppression: clear (noise lowered)");
    println!("{:<10} {:>5} {:>12} {:>12} {:>12}", "noise", "(mic)", "low", "medium", "high");
    for entry in entries.as_array().expect("scenes") {
        let name = format!(
            "{} {}",
            entry["scene"]["noise"].as_str().expect("a noise"),
            entry["scene"]["above"]
        );
        let levels = [("low", Level::Low), ("medium", Level::Medium), ("high", Level::High)];
        let found = levels.map(|(_, level)| cleaned(&entry["scene"], &suppression(level), voices));
        print!("{name:<10} {:>5.3}", found[0].clear_before);
        for (found, (level, _)) in found.iter().zip(levels) {
            print!(" {:>5.3} ({:>4.1})", found.clear, found.lowered);
            for what in clean::harm(found, entry, level) {
                complaints.push(format!("{name}, {level}: {what}"));
            }
        }
        println!();
    }
}

fn gain(entries: &toml::Value, voices: &Voices, complaints: &mut Vec<String>) {
    println!("\ngain control, dBFS\n{:>4} {:>6} {:>6} {:>5}", "in", "out", "pause", "peak");
    for entry in entries.as_array().expect("scenes") {
        let found = cleaned(&entry["scene"], &Options::default(), voices);
        let level = &entry["scene"]["level"];
        println!("{level:>4} {:>6.1} {:>6.1} {:>5.2}", found.level, found.pause, found.peak);
        for what in clean::astray(&found, entry) {
            complaints.push(format!("gain at {level}: {what}"));
        }
    }
}

/// Each voice in turn is the person.
fn in_noise(entries: &toml::Value, voices: &Voices, complaints: &mut Vec<String>) {
    println!(
        "\nvoice detector: speech heard, noise mistaken, first sound to decision in s (worst)"
    );
    let turned = Voices { far: voices.near.clone(), near: voices.far.clone() };
    for entry in entries.as_array().expect("scenes") {
        let found: Vec<_> = SEEDS
            .iter()
            .flat_map(|seed| [voices, &turned].map(|v| voice::in_noise(&entry["scene"], *seed, v)))
            .collect();
        let of = |pick: fn(&voice::Heard) -> f64| {
            found.iter().map(pick).sum::<f64>() / found.len() as f64
        };
        let (heard, mistaken, onset) = (of(|f| f.heard), of(|f| f.mistaken), of(|f| f.onset));
        let worst = found.iter().map(|f| f.onset).fold(0.0, f64::max);
        let noise = entry["scene"]["noise"].as_str().expect("a noise");
        let name = format!("{noise} {}", entry["scene"]["above"]);
        println!("{name:<12} {heard:>5.2} {mistaken:>5.2} {onset:>5.2} ({worst:.2})");
        let mut expect = |what: &str, value: f64, good: bool| {
            if !good {
                complaints.push(format!("voice in {name}: {what} is {value:.2}"));
            }
        };
        expect("heard", heard, heard >= number(&entry["heard"]));
        let most = entry.get("mistaken").map_or(f64::INFINITY, number);
        expect("mistaken", mistaken, mistaken <= most);
        expect("onset", onset, onset <= number(&entry["onset"]));
    }
}

fn of_noise(entries: &toml::Value, voices: &Voices, complaints: &mut Vec<String>) {
    println!("\nnoise alone: share taken for speech, starts a minute");
    for entry in entries.as_array().expect("scenes") {
        let found = SEEDS.map(|seed| voice::of_noise(&entry["scene"], seed, voices));
        let of = |pick: fn(&voice::Mistaken) -> f64| {
            found.iter().map(pick).sum::<f64>() / found.len() as f64
        };
        let (share, starts) = (of(|f| f.share), of(|f| f.starts));
        let name = entry["scene"]["noise"].as_str().expect("a noise");
        println!("{name:<12} {share:>5.2} {starts:>5.1}");
        if share > number(&entry["share"]) || starts > number(&entry["starts"]) {
            complaints
                .push(format!("{name} alone is speech {share:.2}, {starts:.1} starts a minute"));
        }
    }
}

/// The scenes in which somebody interrupts.
const INTERRUPTED: [&str; 7] = ["std", "small", "noise15", "music", "ser20", "move", "device"];

fn interruptions(name: &str, scene: &Scene, sayings: &Sayings, complaints: &mut Vec<String>) {
    let many = |settle: f64, acts: &[Act]| -> Vec<Session> {
        (1..=4).map(|seed| converse(scene, seed, sayings, settle, acts)).collect()
    };
    let limits: toml::Table = include_str!("barge.toml").parse().expect("barge.toml");
    let mut expect = |what: &str, value: f64, most: bool| {
        let limit = limits[what].as_float().expect("a number");
        if if most { value > limit } else { value < limit } {
            complaints.push(format!("{name}: {what} is {value:.2}, not {limit}"));
        }
    };
    let level = Sum::of(&many(7.0, &[Act::Say(0.0); 10]));
    let below = Sum::of(&many(7.0, &[Act::Say(-10.0); 10]));
    let shift = if scene.moved { Act::Shift } else { Act::Listen(1.0) };
    let alone =
        Sum::of(&many(0.5, &[Act::Listen(12.0), shift, Act::Listen(12.0), Act::Listen(1.0)]));
    let sounds = Burst::ALL.map(|burst| {
        let acts: Vec<Act> = (0..10).map(|i| Act::Disturb(burst, f64::from(i % 5) * 2.5)).collect();
        Sum::of(&many(7.0, &acts)).stopped
    });
    let stopped = sounds.iter().sum::<f64>() / sounds.len() as f64;
    expect("lowered", level.lowered, false);
    expect("decided", level.decided, false);
    expect("clipped", level.clipped, true);
    expect("decided_below", below.decided, false);
    expect("alone_stops", alone.stops, true);
    expect("disturbed", stopped, true);
    println!(
        "{name:<9} {:>5.2} {:>5.2} {:>5.2}   10 dB below {:>5.2} {:>5.2}   alone {:>4.1} {:>4.1}   {sounds:.2?}",
        level.lowered,
        level.decided,
        level.clipped,
        below.lowered,
        below.decided,
        alone.ducks,
        alone.stops
    );
}

fn mean(scores: &[Score]) -> Score {
    let of = |pick: fn(&Score) -> f64| scores.iter().map(pick).sum::<f64>() / scores.len() as f64;
    Score {
        erle: of(|s| s.erle),
        early: of(|s| s.early),
        after: of(|s| s.after),
        clear: of(|s| s.clear),
        clear_before: of(|s| s.clear_before),
        lost: of(|s| s.lost),
        false_speech: of(|s| s.false_speech),
        heard: of(|s| s.heard),
    }
}
