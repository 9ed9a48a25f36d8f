//! Two scenes of the acoustic bench; `make acoustic` plays all of them.

#[path = "../acoustic/bench.rs"]
mod bench;

use bench::{Voices, missed, scene, table, trial};

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
