//! A few scenes of the acoustic bench; `make acoustic` plays all of them.

#[path = "../acoustic/bench.rs"]
mod bench;
#[path = "../acoustic/clean.rs"]
mod clean;

use bench::{Voices, missed, scene, second_trial, table, trial};
use grok_speaker::base::event::Duplex;
use grok_speaker::base::ring::PeriodHead;
use grok_speaker::base::unit::{Db, Moment, Rate};
use grok_speaker::dsp::sweep::sweep;
use grok_speaker::speech::calibration::{Recording, judge, measure};
use grok_speaker::speech::{Channel, Level, Options};
use grok_speaker_sim::room::{Scene, Speaker, play};

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
fn a_live_room_is_not_taken_for_speech() {
    holds("tiled", true);
}

#[test]
fn an_echo_that_comes_earlier_than_foretold_is_followed() {
    holds("earlier", true);
    holds("much_earlier", true);
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

/// A recording of 3.5 s.
fn recorded(sound: &[f32]) -> Recording {
    let rate = Rate(16_000);
    let periods = sound[..56_000].chunks(160).enumerate();
    let head = |k: usize| PeriodHead {
        at: Moment::from_millis(1_000 + k as u64 * 10),
        moved: Moment::ZERO,
        position: k as u64 * 160,
        gap: 0,
        frames: 160,
        rate,
        channels: 1,
        stream: 0,
    };
    periods.map(|(k, period)| (head(k), period.to_vec())).collect()
}

#[test]
fn a_sweep_foretells_what_the_canceller_reaches() {
    // What the canceller reaches with each in these rooms: 42, 37, 27 and 17 dB.
    for (speaker, bent) in [
        (Speaker::Ideal, -100.0..-50.0),
        (Speaker::Mild, -40.0..-24.0),
        (Speaker::Small, -20.0..-14.0),
        (Speaker::Clips, -11.0..-6.0),
    ] {
        for delay_ms in [40.0, 300.0] {
            let scene = Scene { speaker, delay_ms, noise_db: 40.0, ..Scene::default() };
            let sounds = play(&scene, 5, &sweep(Rate(16_000)), &[]);
            let (near, far) = (recorded(&sounds.mic), recorded(&sounds.far));
            let (measured, _) = measure(Channel::Auto, &near, &far).expect("both sides");
            assert!((measured.delay_ms - delay_ms).abs() < 6.0, "{measured:?}");
            assert!(bent.contains(&measured.bent_db), "{speaker:?}: {measured:?}");
            assert_eq!(judge(&measured, Db(-20.0)).duplex, Some(Duplex::Full));
        }
    }
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
