//! A few scenes of the acoustic bench; `make acoustic` plays all of them.

#[path = "../acoustic/bench.rs"]
mod bench;
#[path = "../acoustic/clean.rs"]
mod clean;

use bench::{Voices, missed, scene, table, trial};
use grok_speaker::speech::{Level, Options};

fn holds(name: &str, hint: bool) {
    let table = table();
    let score = trial(&scene(&table[name]), 1, &Voices::read(), hint);
    let missed = missed(&score, &table["all"], &table[name]);
    assert!(missed.is_empty(), "{missed:?} in {score:?}");
}

#[test]
fn a_person_is_heard_over_the_speaker() {
    holds("std", true);
}

#[test]
fn a_moved_device_with_a_small_speaker_finds_its_delay() {
    holds("device", false);
}

#[test]
fn noise_is_lowered_and_words_are_not() {
    let entry = &clean::table()["suppression"][1];
    let options = clean::suppression(Level::Medium);
    let found = clean::trial(&entry["scene"], &options, 1, &Voices::read());
    let missed = clean::harm(&found, entry, "medium");
    assert!(missed.is_empty(), "{missed:?} in {found:?}");
}

#[test]
fn a_faint_voice_is_brought_to_its_level() {
    let entry = &clean::table()["gain"][1];
    let found = clean::trial(&entry["scene"], &Options::default(), 1, &Voices::read());
    let missed = clean::astray(&found, entry);
    assert!(missed.is_empty(), "{missed:?} in {found:?}");
}
