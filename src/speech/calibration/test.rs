//! Rooms whose answer is known.

use super::*;
use crate::base::event::Duplex;
use crate::base::unit::{Moment, Rate};
use crate::dsp::sweep::sweep;
use std::time::Duration;

/// Noise in -1..1 from a seed.
struct Noise(u32);

impl Noise {
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.0 >> 8) as f32 / 8_388_608.0 - 1.0
    }
}

/// What becomes of a sample.
type Bend = fn(f32) -> f32;

/// A device and the room around it; frames are at 48 kHz.
struct Device {
    /// Amplitude of the sweep.
    loud: f32,
    delay: usize,
    echo: f32,
    noise: f32,
    bend: Bend,
    /// What each channel makes of the sound.
    channels: Vec<Bend>,
    /// By how much the stamps of the microphone are ahead of those of the speaker, in microseconds.
    ahead: u64,
}

impl Default for Device {
    fn default() -> Self {
        Self {
            loud: 0.05,
            delay: 1200,
            echo: 0.2,
            noise: 1e-4,
            bend: |x| x,
            channels: vec![|x| x],
            ahead: 0,
        }
    }
}

const RATE: Rate = Rate(48_000);

impl Device {
    /// Both sides of a recording, and what the microphone's echo is of the speaker's sound in dB.
    fn play(&self) -> (Recording, Recording, f64) {
        let mut far = vec![0.0; 29_000];
        far.extend(sweep(RATE).iter().map(|x| x * self.loud));
        far.extend(vec![0.0; 57_600]);
        let mut noise = Noise(7);
        // Direct sound and 40 ms of a decaying tail.
        let mut room = vec![(self.delay, self.echo)];
        room.extend((1..60).map(|k| {
            let size = 0.25 * self.echo * (-f64::from(k) / 20.0).exp() as f32;
            (self.delay + 97 + k as usize * 31, size * noise.next().signum())
        }));
        let mut echo = vec![0.0; far.len()];
        for (lag, size) in room {
            for (y, x) in echo[lag..].iter_mut().zip(&far) {
                *y += size * (self.bend)(*x);
            }
        }
        let sum = |x: &[f32]| x.iter().map(|x| f64::from(x * x)).sum::<f64>();
        let level = 10.0 * (sum(&echo) / sum(&far)).log10();
        let near: Vec<f32> = echo
            .iter()
            .flat_map(|y| {
                let heard = y + self.noise * noise.next();
                self.channels.iter().map(move |channel| channel(heard))
            })
            .collect();
        let channels = self.channels.len();
        (self.cut(&near, channels, self.ahead), self.cut(&far, 1, 0), level)
    }

    fn cut(&self, sound: &[f32], channels: usize, ahead: u64) -> Recording {
        let cut = |(k, part): (usize, &[f32])| {
            let position = k as u64 * 480;
            let head = PeriodHead {
                at: Moment::from_micros(5_000_000 - ahead) + RATE.span(position),
                moved: Moment::ZERO,
                position,
                gap: 0,
                frames: (part.len() / channels) as u32,
                rate: RATE,
                channels: channels as u16,
                stream: 1,
            };
            (head, part.to_vec())
        };
        sound.chunks(480 * channels).enumerate().map(cut).collect()
    }

    fn measure(&self) -> (Measured, EchoPath, f64) {
        let (near, far, level) = self.play();
        let (measured, path) = measure(Channel::Auto, &near, &far).expect("two sides");
        (measured, path, level)
    }
}

const SAMPLE_MS: f64 = 1.0 / 16.0;

#[test]
fn the_delay_is_found_to_the_sample_and_the_level_to_the_decibel() {
    for (delay, echo, noise, ahead) in
        [(1200, 0.2, 1e-4, 0), (0, 1.0, 1e-5, 0), (14_407, 0.02, 1e-4, 0), (1200, 0.2, 3e-3, 7_130)]
    {
        let device = Device { delay, echo, noise, ahead, ..Device::default() };
        let (measured, _, level) = device.measure();
        let wanted = delay as f64 / 48.0 - ahead as f64 / 1e3;
        let off = measured.delay_ms - wanted;
        assert!(off.abs() <= SAMPLE_MS, "{delay}: {} and not {wanted}", measured.delay_ms);
        assert!((measured.echo_db - level).abs() < 1.0, "{} and not {level}", measured.echo_db);
        // A sine of amplitude 0.05.
        assert!((measured.played_dbfs + 29.0).abs() < 0.3, "{}", measured.played_dbfs);
        let floor = 20.0 * f64::from(noise).log10() - 4.8;
        assert!((measured.noise_dbfs - floor).abs() < 6.0, "{} {floor}", measured.noise_dbfs);
        assert!(measured.clear_db > 20.0 && measured.bent_db < -25.0, "{measured:?}");
        let verdict = judge(&measured, Db(-20.0));
        assert_eq!((verdict.duplex, verdict.wrong.len()), (Some(Duplex::Full), 0));
        assert!(verdict.words.contains("full duplex"), "{}", verdict.words);
    }
}

#[test]
fn the_measured_path_is_where_the_canceller_looks_for_it() {
    for delay in [480, 9600] {
        let device = Device { delay, ..Device::default() };
        let (_, path, _) = device.measure();
        // A third of the frames, and the lead of the reference.
        let wanted = delay / 3 + 48;
        let at = |i: &usize| path.taps[*i].abs();
        let loudest = (0..TAPS).max_by(|a, b| at(a).total_cmp(&at(b))).unwrap();
        assert!((usize::from(path.first) * BLOCK + loudest).abs_diff(wanted) <= 1);
        // The sweep leaves out what is below 100 Hz and above 7 kHz.
        assert!((0.14..0.21).contains(&path.taps[loudest]), "{}", path.taps[loudest]);
    }
}

#[test]
fn dead_and_deaf_channels_are_told_from_live_ones() {
    let channels: Vec<Bend> = vec![|x| x, |_| 0.0, |_| 0.031, |x| 0.5 * x, |x| 0.01 * x];
    let device = Device { channels, ..Device::default() };
    let (measured, _, _) = device.measure();
    let states = [State::Alive, State::Dead, State::Dead, State::Alive, State::Weak];
    assert_eq!(measured.channels, states);
    let verdict = judge(&measured, Db(-20.0));
    assert!(verdict.wrong.iter().any(|w| w.starts_with("microphone 4 ")), "{:?}", verdict.wrong);
    // One that is chosen by its number is the one that is judged.
    let (near, far, _) = device.play();
    let (chosen, _) = measure(Channel::Number(1), &near, &far).unwrap();
    assert_eq!(judge(&chosen, Db(-20.0)).duplex, None);
    let (mixed, _) = measure(Channel::Mix, &near, &far).unwrap();
    // The mean of those that live, which are two.
    assert!((mixed.echo_db - measured.echo_db + 2.5).abs() < 0.5, "{}", mixed.echo_db);
}

#[test]
fn what_is_not_heard_is_said() {
    let (deaf, _, _) = Device { echo: 0.0, ..Device::default() }.measure();
    let verdict = judge(&deaf, Db(-20.0));
    assert_eq!(verdict.duplex, None);
    assert!(verdict.wrong[0].contains("was not heard"), "{:?}", verdict.wrong);
    let (dead, _, _) = Device { channels: vec![|_| 0.0; 2], ..Device::default() }.measure();
    assert!(judge(&dead, Db(-20.0)).wrong[0].contains("dead"));
    assert!(measure(Channel::Auto, &Vec::new(), &Vec::new()).is_none());
}

#[test]
fn clipping_and_bending_cost_the_interruption() {
    let clips: Vec<Bend> = vec![|x| (100.0 * x).clamp(-1.0, 1.0)];
    let (clipped, _, _) = Device { channels: clips, ..Device::default() }.measure();
    assert!(clipped.clipped > 1000, "{}", clipped.clipped);
    let verdict = judge(&clipped, Db(-20.0));
    assert_ne!(verdict.duplex, Some(Duplex::Full));
    assert!(verdict.wrong[0].contains("clips"), "{:?}", verdict.wrong);
    // Even harmonics 20 dB down are borne; where little else is left, nothing is.
    let bends: [(Bend, Duplex); 3] = [
        (|x| x + 4.0 * x * x, Duplex::Full),
        (|x| x + 40.0 * x * x, Duplex::Wake),
        (|x| x + 400.0 * x * x, Duplex::Half),
    ];
    let mut before = -100.0;
    for (bend, duplex) in bends {
        let (bent, _, _) = Device { bend, ..Device::default() }.measure();
        assert!(bent.bent_db > before + 3.0, "{}", bent.bent_db);
        before = bent.bent_db;
        let verdict = judge(&bent, Db(-20.0));
        assert_eq!(verdict.duplex, Some(duplex), "{bent:?}");
        assert_eq!(verdict.words.contains("distorts"), duplex != Duplex::Full);
    }
}

#[test]
fn an_echo_at_full_scale_or_out_of_reach_costs_the_interruption() {
    let good = Device::default().measure().0;
    let loud = Measured { echo_db: 5.0, ..good.clone() };
    assert_eq!(judge(&loud, Db(-20.0)).duplex, Some(Duplex::Full));
    assert_eq!(judge(&loud, Db(0.0)).duplex, Some(Duplex::Wake));
    for delay_ms in [-8.0, 420.0] {
        let far = Measured { delay_ms, ..good.clone() };
        assert_eq!(judge(&far, Db(-20.0)).duplex, Some(Duplex::Half));
    }
}

#[test]
fn silence_of_many_seconds_before_the_sweep_changes_nothing() {
    let device = Device::default();
    let (near, far, _) = device.play();
    let later = |sides: &Recording| -> Recording {
        let shift = Duration::from_secs(6);
        let (first, count) = (sides[0].0, sides[0].1.len());
        let silence = (0..600u64).map(|k| {
            let head = PeriodHead { at: first.at + RATE.span(k * 480), ..first };
            (head, vec![0.0; count])
        });
        let rest = sides
            .iter()
            .map(|(head, sound)| (PeriodHead { at: head.at + shift, ..*head }, sound.clone()));
        silence.chain(rest).collect()
    };
    let (at_once, _) = measure(Channel::Auto, &near, &far).unwrap();
    let (waited, _) = measure(Channel::Auto, &later(&near), &later(&far)).unwrap();
    assert!((at_once.delay_ms - waited.delay_ms).abs() < 0.01);
    assert!((at_once.echo_db - waited.echo_db).abs() < 0.1);
}
