//! Seeds: a small world each, with every check at every step.

use grok_speaker_sim::world::World;

#[test]
fn two_hundred_seeds_keep_every_rule_and_come_to_rest() {
    let (mut turns, mut completed) = (0, 0);
    for seed in 0..200 {
        let world = std::panic::catch_unwind(|| {
            let mut world = World::new(seed);
            world.live(45);
            world.come_to_rest();
            world
        })
        .unwrap_or_else(|_| panic!("seed {seed}"));
        turns += world.stage.checks.turns;
        completed += world.stage.checks.completed;
    }
    assert!(turns > 400 && completed * 3 > turns, "{completed} of {turns} turns are completed");
}

/// A day of somebody who speaks now and then, twice: every rule holds, and it is the same day.
#[test]
fn a_day_passes_in_seconds_and_passes_the_same_again() {
    let day = || {
        let mut world = World::calm(2026);
        world.live(24 * 3600);
        (world.digest, world.stage.checks.turns)
    };
    let (digest, turns) = day();
    assert!(turns > 100, "{turns} turns");
    assert_eq!(day(), (digest, turns));
}

#[test]
fn the_same_seed_gives_the_same_transcript() {
    let digest = |seed| {
        let mut world = World::new(seed);
        world.live(120);
        world.digest
    };
    for seed in [1, 7, 42] {
        assert_eq!(digest(seed), digest(seed));
    }
    assert_ne!(digest(1), digest(7));
}
