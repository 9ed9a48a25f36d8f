//! The front end alone, over both sides of a simulated room in periods of 10 ms.

use crate::counted;
use grok_speaker::audio::wav::read;
use grok_speaker::base::event::Voice;
use grok_speaker::base::ring::PeriodHead;
use grok_speaker::base::unit::{Moment, Rate};
use grok_speaker::dsp::resample::Resampler;
use grok_speaker::host::clock::now;
use grok_speaker::speech::Options;
use grok_speaker::speech::chain::Chain;
use grok_speaker_sim::room::{PARTS, RATE, Scene, Sounds, play};
use std::path::Path;
use std::time::Duration;

/// Whether the speaker plays.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Far {
    Audible,
    Silent,
}

/// What the card delivers.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Card {
    /// 16 kHz mono.
    Plain,
    /// 48 kHz, two channels, one of them with nothing wired to it.
    I2s,
}

/// Seconds before what is counted: the filter knows the room by then.
const BEFORE: u32 = 8;
/// Runs whose best is taken, block by block: what another program took of a run is left out.
const RUNS: usize = 25;

/// Counts `seconds`, most of them of both voices and then of the speaker's alone.
pub(crate) fn chain(far: Far, card: Card, seconds: u32) {
    let mut room = Room::new(far, card);
    (0..BEFORE * 100).for_each(|_| room.period());
    counted(&mut || (0..seconds * 100).for_each(|_| room.period()));
    assert!(room.speech > 20, "nobody was heard");
}

/// Time of the slowest block of a scene and of the mean one, each block at its best.
pub(crate) fn slowest(card: Card) -> (Duration, Duration) {
    let mut best: Vec<Duration> = Vec::new();
    for _ in 0..RUNS {
        let mut room = Room::new(Far::Audible, card);
        let times = (0..room.periods()).map(|_| {
            let begin = now();
            room.period();
            now().since(begin)
        });
        let times: Vec<Duration> = times.collect();
        best.resize(times.len(), Duration::MAX);
        best.iter_mut().zip(times).for_each(|(best, time)| *best = time.min(*best));
    }
    let mean = best.iter().sum::<Duration>() / best.len() as u32;
    (best.into_iter().max().unwrap_or_default(), mean)
}

struct Room {
    chain: Chain,
    near: Side,
    far: Side,
    /// Blocks in which somebody spoke.
    speech: u32,
}

impl Room {
    fn new(far: Far, card: Card) -> Self {
        let [talker, reply] = ["interruptions", "replies"].map(|name| {
            let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/speech");
            let wav = read(&tests.join(name).with_extension("wav")).unwrap();
            wav.samples
        });
        let Sounds { mic, far: played, person, .. } = play(&Scene::default(), 1, &reply, &talker);
        let (mic, played) = match far {
            Far::Audible => (mic, played),
            Far::Silent => (person, vec![0.0; played.len()]),
        };
        let near = match card {
            Card::Plain => Side::new(mic, RATE as u32, 1),
            Card::I2s => {
                let mut up = Resampler::new(Rate(RATE as u32), Rate(48_000), mic.len());
                let mut fast = Vec::new();
                up.process(&mic, &mut fast);
                Side::new(fast.into_iter().flat_map(|x| [x + 0.02, 1e-7]).collect(), 48_000, 2)
            }
        };
        Self {
            chain: Chain::new(&Options::default()),
            near,
            far: Side::new(played, RATE as u32, 1),
            speech: 0,
        }
    }

    fn periods(&self) -> usize {
        (PARTS[4] * 100.0) as usize - 1
    }

    fn period(&mut self) {
        let (head, samples) = self.far.next();
        self.chain.far(&head, samples);
        let (head, samples) = self.near.next();
        let speech = &mut self.speech;
        self.chain.near(&head, samples, &mut |near| {
            *speech += u32::from(near.voice == Voice::Talking);
        });
    }
}

/// What one side's card delivers, period by period.
struct Side {
    samples: Vec<f32>,
    rate: u32,
    channels: u16,
    position: u64,
}

impl Side {
    fn new(samples: Vec<f32>, rate: u32, channels: u16) -> Self {
        Self { samples, rate, channels, position: 0 }
    }

    fn next(&mut self) -> (PeriodHead, &[f32]) {
        let frames = self.rate / 100;
        let at = Moment::from_millis(1000) + Rate(self.rate).span(self.position);
        let head = PeriodHead {
            at,
            moved: at,
            position: self.position,
            gap: 0,
            frames,
            rate: Rate(self.rate),
            channels: self.channels,
            stream: 0,
        };
        let from = self.position as usize * usize::from(self.channels);
        self.position += u64::from(frames);
        (head, &self.samples[from..][..frames as usize * usize::from(self.channels)])
    }
}
