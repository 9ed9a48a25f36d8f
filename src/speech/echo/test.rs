//! A decaying-noise room, a speech-like far end, and what must come of them.

use super::*;
use crate::dsp::fraction::{Fraction, HALF};
use assert_no_alloc::assert_no_alloc;

/// Noise in -1..1 from a seed.
struct Noise(u32);

impl Noise {
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.0 >> 8) as f32 / 8_388_608.0 - 1.0
    }
}

/// Noise in syllables of 200 ms with pauses, at about -20 dBFS.
pub(super) fn syllables(seed: u32, blocks: usize) -> Vec<f32> {
    let mut noise = Noise(seed);
    let mut low = 0.0;
    (0..blocks * BLOCK)
        .map(|i| {
            low += 0.4 * (noise.next() - low);
            let phase = i as f32 / 3200.0 * std::f32::consts::PI;
            0.6 * low * phase.sin().max(0.0)
        })
        .collect()
}

/// A room's answer after `delay` samples: 50 ms of decaying noise.
pub(super) fn room(seed: u32, delay: usize) -> Vec<f32> {
    let mut noise = Noise(seed);
    let mut h = vec![0.0; delay];
    h.push(0.5);
    h.extend((0..800).map(|i| 0.1 * noise.next() * (-(i as f32) / 150.0).exp()));
    h
}

pub(super) fn through(sound: &[f32], room: &[f32]) -> Vec<f32> {
    let taps: Vec<(usize, f32)> =
        room.iter().copied().enumerate().filter(|(_, h)| *h != 0.0).collect();
    let mut out = vec![0.0; sound.len()];
    for (i, &x) in sound.iter().enumerate().filter(|(_, x)| **x != 0.0) {
        for &(lag, h) in &taps {
            if let Some(y) = out.get_mut(i + lag) {
                *y += h * x;
            }
        }
    }
    out
}

pub(super) fn run(canceller: &mut Canceller, mic: &[f32], far: &[f32]) -> Vec<f32> {
    let mut out = Vec::new();
    for (near, far) in mic.as_chunks::<BLOCK>().0.iter().zip(far.as_chunks::<BLOCK>().0) {
        let mut block = Block(*near);
        canceller.process(&mut block, &Block(*far));
        out.extend_from_slice(&block.0);
    }
    out
}

pub(super) fn db(above: &[f32], below: &[f32]) -> f32 {
    let sum = |x: &[f32]| x.iter().map(|v| v * v).sum::<f32>() + 1e-12;
    10.0 * (sum(above) / sum(below)).log10()
}

pub(super) fn seconds(s: f64) -> usize {
    (s * 16_000.0) as usize
}

#[test]
fn the_echo_goes_and_the_talker_stays() {
    let far = syllables(1, 400);
    let echo = through(&far, &room(2, 100));
    let mut talker = syllables(3, 400);
    // Half of each of the talker's syllables is in a pause of the echo.
    talker.rotate_right(seconds(0.1));
    talker[..seconds(3.0)].fill(0.0);
    talker.iter_mut().for_each(|x| *x *= 0.5);
    let mic: Vec<f32> = echo.iter().zip(&talker).map(|(a, b)| a + b).collect();
    let mut canceller = Canceller::new(None);
    let out = run(&mut canceller, &mic, &far);
    let alone = seconds(1.5)..seconds(2.9);
    assert!(db(&mic[alone.clone()], &out[alone]) > 25.0);
    // What comes out while both talk is the talker, a block late.
    let (from, to) = (seconds(3.2), seconds(3.9));
    let lost: Vec<f32> = (from..to).map(|i| out[i + BLOCK] - talker[i]).collect();
    assert!(db(&talker[from..to], &lost) > 6.0, "{}", db(&talker[from..to], &lost));
    assert!(canceller.measure.erle() > Db(15.0), "talking is no bad filter");
}

/// Of the blocks of `mic`, those soon after which the canceller knows that it left echo.
fn known_for_echo(mic: &[f32], far: &[f32]) -> Vec<usize> {
    let mut canceller = Canceller::new(None);
    let blocks = mic.as_chunks::<BLOCK>().0.iter().zip(far.as_chunks::<BLOCK>().0);
    blocks
        .enumerate()
        .filter_map(|(i, (near, far))| {
            canceller.process(&mut Block(*near), &Block(*far));
            canceller.hindsight.was_echo().then_some(i)
        })
        .collect()
}

#[test]
fn what_another_path_leaves_is_soon_known_for_echo_and_a_talker_is_not() {
    let (far, shift) = (syllables(1, 600), seconds(4.0));
    let here = through(&far, &room(2, 100));
    let elsewhere: Vec<f32> = through(&far, &room(9, 130)).iter().map(|x| 0.4 * x).collect();
    let moved: Vec<f32> =
        (0..far.len()).map(|i| here[i] + if i < shift { 0.0 } else { elsewhere[i] }).collect();
    let known = known_for_echo(&moved, &far);
    let first = known.iter().find(|block| **block >= shift / BLOCK);
    assert!(first.is_some_and(|block| *block < shift / BLOCK + 40), "{known:?}");

    let mut talker = syllables(3, 600);
    talker.rotate_right(seconds(0.1));
    talker[..shift].fill(0.0);
    let talked: Vec<f32> = here.iter().zip(&talker).map(|(a, b)| a + 0.4 * b).collect();
    let known = known_for_echo(&talked, &far);
    assert!(known.iter().all(|block| *block < shift / BLOCK), "{known:?}");
}

#[test]
fn a_silent_reference_costs_the_microphone_nothing() {
    let mut canceller = Canceller::new(None);
    let talker = syllables(5, 20);
    let out = run(&mut canceller, &talker, &vec![0.0; talker.len()]);
    for (i, x) in out.iter().enumerate().skip(BLOCK) {
        assert!((x - talker[i - BLOCK]).abs() < 1e-6, "sample {i}");
    }
}

#[test]
fn what_was_played_elsewhere_is_left_alone() {
    let (far, talker) = (syllables(1, 300), syllables(7, 300));
    let mut canceller = Canceller::new(None);
    let out = run(&mut canceller, &talker, &far);
    let part = seconds(1.0)..seconds(2.9);
    let lost: Vec<f32> = part.clone().map(|i| out[i] - talker[i - BLOCK]).collect();
    assert!(db(&talker[part], &lost) > 15.0);
    assert!(canceller.measure.erle() < Db(6.0));
}

#[test]
fn a_late_echo_is_found_and_a_jump_is_followed() {
    let far = syllables(1, 500);
    let (early, late) = (through(&far, &room(2, 3500)), through(&far, &room(2, 3900)));
    let jump = seconds(3.0);
    let mic = [&early[..jump], &late[jump..]].concat();
    let mut canceller = Canceller::new(None);
    let out = run(&mut canceller, &mic, &far);
    assert!(canceller.filter.first() > 15, "{}", canceller.filter.first());
    for part in [seconds(2.0)..jump, jump + seconds(1.0)..out.len()] {
        let erle = db(&mic[part.clone()], &out[part]);
        assert!(erle > 15.0, "{erle}");
    }
}

#[test]
fn a_quiet_echo_is_not_unlearned_for_the_noise_beside_it() {
    let far = syllables(1, 400);
    let mut noise = Noise(4);
    // The echo is 34 dB below the reference, the noise 10 dB below the echo.
    let echo: Vec<f32> = through(&far, &room(2, 100)).iter().map(|x| 0.04 * x).collect();
    let mic: Vec<f32> = echo.iter().map(|x| x + 0.001 * noise.next()).collect();
    let mut canceller = Canceller::new(None);
    let doubt = seconds(3.0);
    run(&mut canceller, &mic[..doubt], &far[..doubt]);
    canceller.moved();
    let mut left = [0.0f32; 2];
    for i in (doubt / BLOCK)..400 {
        let part = i * BLOCK..(i + 1) * BLOCK;
        let mut block = Block(mic[part.clone()].try_into().unwrap());
        canceller.process(&mut block, &Block(far[part.clone()].try_into().unwrap()));
        let mut own = [0.0; BLOCK];
        canceller.filter.echo(&mut canceller.transform, &mut own);
        for (y, own) in echo[part].iter().zip(own) {
            left[0] += y * y;
            left[1] += (y - own) * (y - own);
        }
    }
    let known = 10.0 * (left[0] / left[1]).log10();
    assert!(known > 10.0, "{known}");
}

#[test]
fn what_the_room_says_after_the_filters_end_is_lowered() {
    // 60 dB in 0.8 s, of which the filter covers 0.2.
    let mut noise = Noise(2);
    let mut live = vec![0.0; 100];
    live.push(0.5);
    live.extend((0..9600).map(|i| 0.02 * noise.next() * (-(i as f32) / 1850.0).exp()));
    let mut far = syllables(1, 250);
    far[seconds(2.0)..].fill(0.0);
    let mic = through(&far, &live);
    let out = run(&mut Canceller::new(None), &mic, &far);
    // What is heard now was played before the filter begins.
    let rest = seconds(2.2)..seconds(2.4);
    let lowered = db(&mic[rest.clone()], &out[rest]);
    assert!(lowered > 10.0, "{lowered}");
}

#[test]
fn a_filter_that_works_is_not_moved_off_the_echo() {
    let far = syllables(1, 400);
    let mic = through(&far, &room(2, 100));
    let mut canceller = Canceller::new(None);
    run(&mut canceller, &mic, &far);
    assert!(canceller.measure.is_placed());
    let filter = &canceller.filter;
    assert!(filter.lost_at(filter.first()) == 0.0);
    // The direct sound lies in the first part, and the answer is 50 ms long.
    assert!(filter.lost_at(filter.first() + 1) > LOST_MOST);
    assert!(filter.lost_at(LATEST) > 0.99);
    // No echo any more: it may be looked for anywhere.
    run(&mut canceller, &syllables(7, 400), &far);
    assert!(!canceller.measure.is_placed());
}

#[test]
fn two_clocks_are_seen_to_drift() {
    let far = syllables(1, 600);
    let steady = through(&far, &room(2, 100));
    // The microphone's clock is 150 ppm ahead of the reference: the echo falls behind.
    let fraction = Fraction::new();
    let mut mic = vec![0.0; steady.len()];
    for (k, block) in mic.as_chunks_mut::<BLOCK>().0.iter_mut().enumerate().skip(1) {
        let from = (k * BLOCK) as f64 * (1.0 - 150e-6);
        let begin = from as usize + 1 - HALF;
        if let Some(around) = steady.get(begin..begin + BLOCK + 2 * HALF) {
            fraction.read(around, from.fract() as f32, block);
        }
    }
    let mut canceller = Canceller::new(None);
    run(&mut canceller, &mic, &far);
    // Nobody follows in this test, so the integrator goes on rising; its direction is right.
    assert!(canceller.drift() > 100e-6, "{}", canceller.drift());
}

#[test]
fn nothing_makes_it_say_what_is_not_a_number() {
    let wild = [f32::NAN, f32::INFINITY, -1e30, 1e-40, 0.0, 4.0, f32::MIN_POSITIVE];
    let mut noise = Noise(9);
    let mut canceller = Canceller::new(None);
    for _ in 0..100 {
        let mut pick = || std::array::from_fn(|_| wild[(noise.next().abs() * 6.99) as usize]);
        let (mut near, far) = (Block(pick()), Block(pick()));
        let erle = canceller.process(&mut near, &far);
        assert!(near.0.iter().all(|x| x.is_finite()) && erle.0.is_finite());
    }
    let far = syllables(1, 400);
    let mic = through(&far, &room(2, 100));
    let out = run(&mut canceller, &mic, &far);
    let part = seconds(3.3)..out.len();
    assert!(db(&mic[part.clone()], &out[part]) > 15.0, "it learns again");
}

#[test]
fn steady_state_never_allocates() {
    let far = syllables(1, 80);
    let mic = through(&far, &room(2, 100));
    let mut canceller = Canceller::new(None);
    assert_no_alloc(|| {
        for (near, far) in mic.as_chunks::<BLOCK>().0.iter().zip(far.as_chunks::<BLOCK>().0) {
            canceller.process(&mut Block(*near), &Block(*far));
        }
        for _ in 0..80 {
            canceller.process(&mut Block([0.0; BLOCK]), &Block::SILENCE);
        }
        canceller.reset();
    });
}
