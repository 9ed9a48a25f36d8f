//! The front end in simulated rooms: `make acoustic`. Every scene, or those named. Ends with 1 if
//! a threshold is missed.
#![expect(clippy::print_stdout, reason = "a bench prints")]

mod bench;

use bench::{Voices, missed, scene, second_trial, table, trial};
use grok_speaker_sim::score::Score;
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
    complaints.iter().for_each(|complaint| println!("missed: {complaint}"));
    if complaints.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
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
