//! Streaming mono resampling, exact in length.
//!
//! Goal: 1 ms of delay on the live path, aliases below -60 dB, any input size, no allocation.
//! Choice: small ratios (48->16, 24->48, 16->24 and their like) go through a polyphase Kaiser FIR
//! of our own with 32 taps a phase; every other ratio through rubato: its FFT resampler where a
//! transform lasts at most 10 ms, its sinc resampler where the rates share too small a divisor.
//! Rejected: rubato for everything, because an FFT block costs 5 ms where the whole front end may
//! take 15; linear or polynomial interpolation, because it does not remove aliases.

mod short;

use crate::base::unit::Rate;
use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Async, Fft, FixedAsync, FixedSync, SincInterpolationParameters, WindowFunction};
use short::Short;
use std::time::Duration;

/// Taps a phase: 24 leave aliases at -35 dB, 48 cost half a millisecond more.
const TAPS: usize = 32;
/// Above this ratio term a table of phases is larger than it is worth.
const TERM_MAX: usize = 12;
/// Kaiser window: side lobes below -80 dB.
const BETA: f64 = 8.0;
/// Pass band as a part of the lower Nyquist frequency (-6 dB there).
const EDGE: f64 = 0.9;
/// Longest transform of rubato's FFT resampler, in milliseconds; its delay is half of that.
const BLOCK_MS_MAX: usize = 10;
/// Taps of rubato's sinc resampler: 1.3 ms at 48 kHz, aliases below -57 dB from 1.1 Nyquist on.
const SINC: usize = 128;
/// How far the sinc resampler's ratio may move; we never move it.
const SINC_RANGE: f64 = 1.1;

/// Turns mono sound of one rate into another, piece by piece.
pub struct Resampler {
    kind: Kind,
    delay: usize,
    to: Rate,
    ratio: f64,
}

enum Kind {
    Copy,
    Pick(Pick),
    Short(Short),
    Long(Box<Long>),
}

impl std::fmt::Debug for Resampler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = match self.kind {
            Kind::Copy => "copy",
            Kind::Pick(_) => "pick",
            Kind::Short(_) => "fir",
            Kind::Long(_) => "rubato",
        };
        write!(f, "Resampler({kind}, to {})", self.to)
    }
}

impl Resampler {
    /// From `from` to `to`, for pieces of at most `max_input` samples. Allocates here and never
    /// again.
    ///
    /// # Panics
    /// When a rate is 0.
    pub fn new(from: Rate, to: Rate, max_input: usize) -> Self {
        assert!(from.0 > 0 && to.0 > 0, "a rate is at least 1 Hz");
        let divisor = gcd(from.0, to.0);
        let (up, down) = ((to.0 / divisor) as usize, (from.0 / divisor) as usize);
        let ratio = f64::from(to.0) / f64::from(from.0);
        let (kind, delay) = if up == down {
            (Kind::Copy, 0)
        } else if up.max(down) <= TERM_MAX {
            let short = Short::new(up, down, max_input);
            let delay = short.delay;
            (Kind::Short(short), delay)
        } else {
            let long = Long::new(from, to, max_input);
            let delay = long.inner.output_delay();
            (Kind::Long(Box::new(long)), delay)
        };
        Self { kind, delay, to, ratio }
    }

    /// Not for ears: takes the sample at or before each moment and filters nothing, so that what lies
    /// above the new Nyquist frequency folds back. The level is that of the whole band.
    ///
    /// # Panics
    /// When a rate is 0.
    pub fn coarse(from: Rate, to: Rate) -> Self {
        assert!(from.0 > 0 && to.0 > 0, "a rate is at least 1 Hz");
        let divisor = gcd(from.0, to.0);
        let pick =
            Pick { up: (to.0 / divisor) as usize, down: (from.0 / divisor) as usize, next: 0 };
        let ratio = f64::from(to.0) / f64::from(from.0);
        Self { kind: Kind::Pick(pick), delay: 0, to, ratio }
    }

    /// Resamples `input` and appends what is ready to `out`. Does not allocate when `out` has room
    /// for [`Self::output_max`] more samples. A piece longer than `max_input` is worked off in
    /// several turns.
    pub fn process(&mut self, input: &[f32], out: &mut Vec<f32>) {
        match &mut self.kind {
            Kind::Copy => out.extend_from_slice(input),
            Kind::Pick(pick) => pick.process(input, out),
            Kind::Short(short) => {
                for piece in input.chunks(short.max_input) {
                    short.process(piece, out);
                }
            }
            Kind::Long(long) => long.process(input, out),
        }
    }

    /// Forgets what it heard: the next sample is the first.
    pub fn reset(&mut self) {
        match &mut self.kind {
            Kind::Copy => {}
            Kind::Pick(pick) => pick.next = 0,
            Kind::Short(short) => short.reset(),
            Kind::Long(long) => long.reset(),
        }
    }

    /// How much later a sound comes out than it went in.
    pub fn delay(&self) -> Duration {
        self.to.span(self.delay as u64)
    }

    /// The same in samples at the output rate, rounded down.
    pub fn delay_samples(&self) -> usize {
        self.delay
    }

    /// An upper bound of what `input` samples can add to `out` in one call.
    pub fn output_max(&self, input: usize) -> usize {
        let block = match &self.kind {
            Kind::Copy | Kind::Pick(_) | Kind::Short(_) => 0,
            Kind::Long(long) => long.input_size(),
        };
        ((input + block) as f64 * self.ratio).ceil() as usize + 2
    }
}

/// The sample at or before the moment of each one that is wanted.
struct Pick {
    up: usize,
    down: usize,
    /// Where the next one lies after the end of what was taken, in `up`s of an input sample.
    next: usize,
}

impl Pick {
    fn process(&mut self, input: &[f32], out: &mut Vec<f32>) {
        while let Some(&sample) = input.get(self.next / self.up) {
            out.push(sample);
            self.next += self.down;
        }
        self.next -= input.len() * self.up;
    }
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// A windowed sinc that is symmetric about tap `length / 2` (tap 0 is 0, so that the delay is a
/// whole number), with the edge `edge` as a part of Nyquist and the gain `gain`.
fn kaiser_low_pass(length: usize, edge: f64, gain: f64) -> Vec<f64> {
    let centre = (length / 2) as f64;
    let mut taps: Vec<f64> = (0..length)
        .map(|i| {
            let x = i as f64 - centre;
            let window = bessel(BETA * (1.0 - (x / centre).powi(2)).max(0.0).sqrt()) / bessel(BETA);
            let angle = std::f64::consts::PI * x * edge;
            let sinc = if x == 0.0 { 1.0 } else { angle.sin() / angle };
            if i == 0 { 0.0 } else { sinc * window }
        })
        .collect();
    let scale = gain / taps.iter().sum::<f64>();
    taps.iter_mut().for_each(|t| *t *= scale);
    taps
}

/// Modified Bessel function of the first kind, order 0.
pub(super) fn bessel(x: f64) -> f64 {
    let (mut sum, mut term) = (1.0, 1.0);
    for k in 1..50 {
        term *= (x / (2.0 * f64::from(k))).powi(2);
        sum += term;
    }
    sum
}

/// rubato, with the input cut into the blocks it wants.
struct Long {
    inner: Box<dyn rubato::Resampler<f32>>,
    block: Vec<f32>,
    output: Vec<f32>,
    filled: usize,
}

impl Long {
    fn new(from: Rate, to: Rate, max_input: usize) -> Self {
        let (rate_in, rate_out) = (from.0 as usize, to.0 as usize);
        let step = rate_in / gcd(from.0, to.0) as usize;
        let ten_ms = (rate_in * BLOCK_MS_MAX / 1000).max(1);
        let fft = (step <= ten_ms)
            .then(|| {
                let blocks = (ten_ms / step).max(1) * step;
                Fft::<f32>::new_custom(
                    rate_in,
                    rate_out,
                    blocks,
                    1,
                    1,
                    WindowFunction::BlackmanHarris2,
                    FixedSync::Both,
                )
                .ok()
            })
            .flatten();
        let inner: Box<dyn rubato::Resampler<f32>> = match fft {
            Some(fft) => Box::new(fft),
            None => Box::new(sinc(from, to, max_input)),
        };
        let block = vec![0.0; inner.input_frames_max()];
        let output = vec![0.0; inner.output_frames_max()];
        Self { inner, block, output, filled: 0 }
    }

    fn input_size(&self) -> usize {
        self.block.len()
    }

    fn reset(&mut self) {
        self.inner.reset();
        self.filled = 0;
    }

    fn process(&mut self, mut input: &[f32], out: &mut Vec<f32>) {
        while !input.is_empty() {
            let wanted = self.inner.input_frames_next();
            let take = input.len().min(wanted - self.filled);
            self.block[self.filled..self.filled + take].copy_from_slice(&input[..take]);
            self.filled += take;
            input = &input[take..];
            if self.filled == wanted {
                self.filled = 0;
                out.extend_from_slice(self.turn(wanted));
            }
        }
    }

    /// One block. The sizes are the ones rubato itself named, so it cannot refuse them.
    fn turn(&mut self, wanted: usize) -> &[f32] {
        let room = self.output.len();
        let made = match (
            InterleavedSlice::new(&self.block[..wanted], 1, wanted),
            InterleavedSlice::new_mut(&mut self.output, 1, room),
        ) {
            (Ok(from), Ok(mut to)) => {
                self.inner.process_into_buffer(&from, &mut to, None).map_or(0, |(_, made)| made)
            }
            _ => 0,
        };
        debug_assert!(made > 0 || wanted < 4, "the sizes are rubato's own");
        &self.output[..made]
    }
}

/// rubato's sinc resampler for rates without a useful common divisor.
fn sinc(from: Rate, to: Rate, max_input: usize) -> Async<f32> {
    let ratio = f64::from(to.0) / f64::from(from.0);
    let parameters = SincInterpolationParameters::new(SINC, WindowFunction::BlackmanHarris2);
    // Short blocks add no delay that is worth saving; 5 ms or what the caller brings at once.
    let block = (from.0 as usize / 200).clamp(1, max_input.max(1));
    match Async::new_sinc(ratio, SINC_RANGE, &parameters, block, 1, FixedAsync::Input) {
        Ok(sinc) => sinc,
        Err(error) => unreachable!("a ratio above 0 and a block of {block} are valid: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use assert_no_alloc::assert_no_alloc;
    use proptest::prelude::*;

    const SHORT: [(u32, u32); 9] = [
        (48_000, 16_000),
        (16_000, 48_000),
        (24_000, 48_000),
        (48_000, 24_000),
        (96_000, 16_000),
        (32_000, 16_000),
        (16_000, 24_000),
        (24_000, 16_000),
        (32_000, 24_000),
    ];
    const LONG: [(u32, u32); 4] =
        [(44_100, 16_000), (24_000, 44_100), (11_025, 16_000), (47_999, 48_000)];

    fn tone(rate: u32, hz: f64, count: usize) -> Vec<f32> {
        let w = std::f64::consts::TAU * hz / f64::from(rate);
        (0..count).map(|i| (0.5 * (w * i as f64).sin()) as f32).collect()
    }

    fn run(from: u32, to: u32, input: &[f32], piece: usize) -> Vec<f32> {
        let mut r = Resampler::new(Rate(from), Rate(to), piece);
        let mut out = Vec::new();
        for p in input.chunks(piece) {
            let before = out.len();
            r.process(p, &mut out);
            assert!(out.len() - before <= r.output_max(p.len()));
        }
        out
    }

    fn db(samples: &[f32]) -> f32 {
        10.0 * (samples.iter().map(|s| s * s).sum::<f32>() / samples.len() as f32).log10()
    }

    #[test]
    fn short_ratios_are_exact_in_length() {
        for (from, to) in SHORT {
            let out = run(from, to, &vec![0.0; from as usize], 331);
            assert_eq!(out.len(), to as usize, "{from} -> {to}");
        }
    }

    #[test]
    fn every_ratio_keeps_length_and_energy() {
        for (from, to) in SHORT.into_iter().chain(LONG) {
            let out = run(from, to, &tone(from, 1000.0, from as usize), 480);
            let missing = to as usize - out.len();
            assert!(missing <= to as usize / 90, "{from} -> {to}: {missing} samples missing");
            let level = db(&out[out.len() / 2..]);
            assert!((level + 9.03).abs() < 0.1, "{from} -> {to}: {level} dB");
        }
    }

    #[test]
    fn aliases_are_60_db_down_at_a_quarter_above_nyquist() {
        for (from, to) in SHORT.into_iter().chain(LONG).filter(|(from, to)| from > to) {
            let hz = f64::from(to) / 2.0 * 1.25;
            let out = run(from, to, &tone(from, hz, from as usize), 480);
            let level = db(&out[out.len() / 2..]) + 9.03;
            assert!(level <= -60.0, "{from} -> {to}: {level} dB");
        }
    }

    #[test]
    fn images_are_60_db_down() {
        // A tone at 0.75 of the lower Nyquist, 16 -> 48 kHz: its image lies at 10 kHz.
        let out = run(16_000, 48_000, &tone(16_000, 6000.0, 16_000), 160);
        let (mut re, mut im) = (0.0f64, 0.0f64);
        let w = std::f64::consts::TAU * 10_000.0 / 48_000.0;
        for (i, s) in out[24_000..].iter().enumerate() {
            re += f64::from(*s) * (w * i as f64).cos();
            im += f64::from(*s) * (w * i as f64).sin();
        }
        let amplitude = re.hypot(im) * 2.0 / 24_000.0;
        assert!(20.0 * (amplitude / 0.5).log10() < -60.0);
    }

    #[test]
    fn delay_is_what_it_says() {
        for (from, to) in SHORT.into_iter().chain(LONG) {
            let mut input = vec![0.0; from as usize / 4];
            let at = from as usize / 10;
            input[at] = 1.0;
            let out = run(from, to, &input, 480);
            let r = Resampler::new(Rate(from), Rate(to), 480);
            let top = (0..out.len()).max_by(|&a, &b| out[a].abs().total_cmp(&out[b].abs()));
            let expected = at as f64 * f64::from(to) / f64::from(from) + r.delay_samples() as f64;
            let found = top.unwrap() as f64;
            assert!((found - expected).abs() <= 1.5, "{from} -> {to}: {found}, not {expected}");
            if SHORT.contains(&(from, to)) {
                assert!(r.delay() <= Duration::from_micros(1001), "{from} -> {to}");
            }
        }
        assert_eq!(Resampler::new(Rate(48_000), Rate(16_000), 480).delay().as_micros(), 1000);
    }

    #[test]
    fn equal_rates_copy() {
        let input = tone(24_000, 440.0, 1000);
        assert_eq!(run(24_000, 24_000, &input, 77), input);
    }

    #[test]
    fn never_allocates() {
        for (from, to) in SHORT.into_iter().chain(LONG) {
            let mut r = Resampler::new(Rate(from), Rate(to), 480);
            let mut out = Vec::with_capacity(r.output_max(480));
            let input = [0.25; 480];
            for size in [480, 1, 160, 333] {
                out.clear();
                assert_no_alloc(|| r.process(&input[..size], &mut out));
            }
            assert_no_alloc(|| r.reset());
        }
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(sizes in prop::collection::vec(1usize..700, 1..40), pick in 0usize..9) {
            let (from, to) = SHORT[pick];
            let input = tone(from, 700.0, sizes.iter().sum());
            let whole = run(from, to, &input, input.len());
            let mut r = Resampler::new(Rate(from), Rate(to), 700);
            let (mut out, mut at) = (Vec::new(), 0);
            for size in sizes {
                r.process(&input[at..at + size], &mut out);
                at += size;
            }
            prop_assert_eq!(whole, out);
        }
    }

    #[test]
    fn picked_samples_are_those_of_their_time_whatever_the_pieces() {
        for (from, to) in [(48_000, 16_000), (44_100, 16_000), (8_000, 16_000), (16_000, 16_000)] {
            let input: Vec<f32> = (0..from / 10).map(|i| i as f32).collect();
            let mut picker = Resampler::coarse(Rate(from), Rate(to));
            let mut out = Vec::with_capacity(to as usize);
            for piece in [input.len(), 1, 7, 441] {
                out.clear();
                picker.reset();
                assert_no_alloc(|| {
                    for part in input.chunks(piece) {
                        let before = out.len();
                        picker.process(part, &mut out);
                        assert!(out.len() - before <= picker.output_max(part.len()));
                    }
                });
                let wanted =
                    (0..to / 10).map(|k| (u64::from(k) * u64::from(from) / u64::from(to)) as f32);
                assert!(out.iter().copied().eq(wanted), "{from} -> {to}, {piece}");
            }
        }
    }
}
