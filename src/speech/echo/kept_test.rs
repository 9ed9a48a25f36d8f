//! An echo path that is kept: in the same room, a little off, and in another one.

use super::test::{db, room, run, seconds, syllables, through};
use super::*;
use crate::dsp::fraction::{Fraction, HALF};
use assert_no_alloc::assert_no_alloc;

/// What a canceller keeps of a room with this delay, in samples.
fn kept(delay: usize) -> EchoPath {
    let far = syllables(1, 1200);
    let mic = through(&far, &room(2, delay));
    let mut canceller = Canceller::new(None);
    assert!(canceller.path().is_none(), "nothing is known yet");
    run(&mut canceller, &mic, &far);
    *canceller.path().expect("worth keeping")
}

/// Echo attenuation from the first sound on until 2 s.
fn early(canceller: &mut Canceller, mic: &[f32], far: &[f32]) -> f32 {
    let out = run(canceller, mic, far);
    let part = ..seconds(2.0);
    db(&mic[part], &out[BLOCK..][part])
}

fn begun_with(path: &EchoPath) -> Canceller {
    let mut canceller = Canceller::new(None);
    canceller.know(path);
    // As each stream does.
    canceller.reset();
    canceller
}

#[test]
fn what_was_kept_cancels_from_the_first_sound_on() {
    let far = syllables(11, 250);
    for delay in [100, 4100] {
        let path = kept(delay);
        assert_eq!(EchoPath::from_bytes(&path.to_bytes()).unwrap(), path);
        let mic = through(&far, &room(2, delay));
        let fresh = early(&mut Canceller::new(None), &mic, &far);
        let begun = early(&mut begun_with(&path), &mic, &far);
        assert!(begun > 25.0 && begun > fresh + 5.0, "{delay}: {begun} after {fresh}");
    }
}

#[test]
fn a_path_that_is_a_little_off_is_moved_and_scaled() {
    let far = syllables(11, 250);
    let path = kept(400);
    let fraction = Fraction::new();
    // Far off it has to be moved first, and a filter that knows nothing is nearly as quick.
    for (later, gain, more) in [(-97.0, 1.0, 0.0), (0.45, 2.0, 20.0), (61.3, 0.4, 0.0)] {
        let echo = through(&far, &room(2, 400));
        let mut mic = vec![0.0; echo.len()];
        let whole = f32::floor(-later);
        let around: Vec<f32> = (0..echo.len() + 2 * HALF)
            .map(|i| {
                let from = i as i32 + whole as i32 - HALF as i32 + 1;
                usize::try_from(from).ok().and_then(|n| echo.get(n)).copied().unwrap_or(0.0)
            })
            .collect();
        fraction.read(&around, -later - whole, &mut mic);
        mic.iter_mut().for_each(|x| *x *= gain);
        let fresh = early(&mut Canceller::new(None), &mic, &far);
        let begun = early(&mut begun_with(&path), &mic, &far);
        assert!(begun > fresh + more, "{later}, {gain}: {begun} after {fresh}");
    }
}

#[test]
fn a_path_of_another_room_does_no_harm() {
    let far = syllables(11, 250);
    let mic = through(&far, &room(2, 400));
    let fresh = early(&mut Canceller::new(None), &mic, &far);
    let mut wild = kept(400);
    wild.taps.iter_mut().for_each(|tap| *tap *= -30.0);
    for mut path in [kept(100), kept(1500), kept(4100), wild] {
        path.drift = 100e-6;
        let mut canceller = begun_with(&path);
        let begun = early(&mut canceller, &mic, &far);
        assert!(begun > fresh - 1.0, "{path:?}: {begun}, and {fresh} without");
        assert!(canceller.drift().abs() < 50e-6, "it was of the other room");
    }
}

#[test]
fn a_stream_that_begins_anew_begins_with_what_was_kept() {
    let far = syllables(1, 1200);
    let mic = through(&far, &room(2, 100));
    let mut canceller = Canceller::new(None);
    run(&mut canceller, &mic, &far);
    assert!(canceller.path().is_some());
    canceller.reset();
    assert!(early(&mut canceller, &mic, &far) > 25.0);
}

#[test]
fn a_person_who_talks_at_the_beginning_does_no_harm() {
    let far = syllables(11, 250);
    let path = kept(400);
    let mic: Vec<f32> = through(&far, &room(2, 400))
        .iter()
        .zip(syllables(5, 250))
        .map(|(echo, talker)| echo + talker)
        .collect();
    let fresh = run(&mut Canceller::new(None), &mic, &far);
    let begun = run(&mut begun_with(&path), &mic, &far);
    let talker = syllables(5, 250);
    let left = |out: &[f32]| -> f32 {
        let lost: Vec<f32> = (0..seconds(2.0)).map(|i| out[i + BLOCK] - talker[i]).collect();
        db(&talker[..seconds(2.0)], &lost)
    };
    assert!(left(&begun) > left(&fresh) - 1.0, "{} and {}", left(&begun), left(&fresh));
}

#[test]
fn an_expected_delay_is_where_it_begins() {
    let far = syllables(1, 250);
    let mic = through(&far, &room(2, 4100));
    let fresh = early(&mut Canceller::new(None), &mic, &far);
    let mut canceller = Canceller::new(None);
    canceller.expect(4100 / BLOCK);
    canceller.reset();
    let told = early(&mut canceller, &mic, &far);
    assert!(told > fresh + 3.0, "{told} after {fresh}");
}

#[test]
fn keeping_and_knowing_never_allocate() {
    let path = kept(100);
    let far = syllables(1, 1200);
    let mic = through(&far, &room(2, 150));
    let mut canceller = Canceller::new(None);
    let blocks = || mic.as_chunks::<BLOCK>().0.iter().zip(far.as_chunks::<BLOCK>().0);
    assert_no_alloc(|| {
        canceller.know(&path);
        for (near, far) in blocks() {
            canceller.process(&mut Block(*near), &Block(*far));
        }
        assert!(canceller.path().is_some());
        canceller.reset();
    });
}
