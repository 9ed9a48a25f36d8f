//! Two scenes of the acoustic bench; `make acoustic` plays all of them.

#[path = "../acoustic/bench.rs"]
mod bench;

use bench::{Voices, missed, scene, second_trial, table, trial};

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
fn what_was_kept_of_a_room_cancels_from_the_first_word_on() {
    let table = table();
    let score = second_trial(&scene(&table["kept"]), 1, &Voices::read(), true);
    let missed = missed(&score, &table["all"], &table["kept"]);
    assert!(missed.is_empty(), "{missed:?} in {score:?}");
}

#[test]
fn a_moved_device_with_a_small_speaker_finds_its_delay() {
    holds("device", false);
}
