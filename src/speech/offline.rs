//! The front end on files, as fast as it can: what the command `listen` prints.

use super::chain::Chain;
use super::{Known, Options};
use crate::base::event::{Near, Voice};
use crate::base::pcm::{BLOCK, BLOCK_MS, BLOCK_RATE, Block};
use crate::base::ring::PeriodHead;
use crate::base::unit::{Db, Moment, Rate};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A piece of recorded sound.
#[derive(Debug, Clone, Copy)]
pub struct Sound<'a> {
    /// Interleaved.
    pub samples: &'a [f32],
    /// Frames a second, 8-192 kHz.
    pub rate: Rate,
    /// At least one.
    pub channels: u16,
}

/// One line of output; `t` is in seconds from the beginning of the microphone's sound.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Line {
    /// A wake word ended.
    Wake {
        /// When.
        t: f64,
        /// Which.
        word: String,
        /// How sure.
        score: f64,
    },
    /// Somebody speaks.
    SpeechStart {
        /// When it was decided.
        t: f64,
    },
    /// Nobody speaks any more.
    SpeechStop {
        /// When it was decided.
        t: f64,
    },
    /// Levels of the last second.
    Level {
        /// Its end.
        t: f64,
        /// Microphone.
        mic_dbfs: f64,
        /// Reference.
        far_dbfs: f64,
        /// Echo attenuation.
        erle_db: f64,
    },
    /// The last line.
    End {
        /// Length of the microphone's sound.
        audio_s: f64,
        /// Processor time it took.
        cpu_s: f64,
        /// By how much `--out` is later than the microphone's sound.
        delay_ms: f64,
    },
}

/// What a run says at its end; the caller adds the processor time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct End {
    /// Length of the microphone's sound.
    pub audio: Duration,
    /// By how much the blocks are later than the microphone's sound.
    pub delay: Duration,
    /// Samples that were not a number and became silence.
    pub replaced: u64,
}

impl End {
    /// The last line.
    pub fn line(&self, cpu: Duration) -> Line {
        Line::End {
            audio_s: rounded(self.audio.as_secs_f64(), 1e3),
            cpu_s: rounded(cpu.as_secs_f64(), 1e4),
            delay_ms: rounded(self.delay.as_secs_f64() * 1e3, 1e3),
        }
    }
}

/// Time of the first sample: our time has nothing before its beginning, and the reference may be
/// wanted a little earlier.
const BEGIN: Moment = Moment::from_millis(10_000);
/// Length of the periods the files are cut into.
const PERIOD_MS: u64 = 10;
/// Periods the reference is ahead: as in a device, where it is known before it is audible; more
/// than the delay of any resampler.
const LEAD: usize = 3;
/// Silence after the end at most, so that the last blocks come out of every filter.
const TAIL_PERIODS: usize = 10;

/// By how much the echo may come earlier than the hint says, as it does where a recording has lost a piece:
/// half of what the canceller searches, so that it may come as much later. Of sound that is paired later than it
/// is heard nothing can be cancelled.
const EARLIER: Duration = Duration::from_millis(170);

/// Runs the front end over `mic`, with `far` as what the speaker played from the same moment on
/// and `hint` as what a driver would say about the delay between both (zero when unknown). The
/// blocks cover the whole of `mic`, whose end is filled up with silence.
pub fn run(
    options: &Options,
    mic: Sound<'_>,
    far: Option<Sound<'_>>,
    hint: Option<Duration>,
    on_line: &mut dyn FnMut(Line),
    on_block: &mut dyn FnMut(&Block),
) -> End {
    pass(&mut Chain::new(options), mic, far, hint, on_line, on_block)
}

/// The same with a chain that may know the room already, and knows it better afterwards.
pub fn pass(
    chain: &mut Chain,
    mic: Sound<'_>,
    far: Option<Sound<'_>>,
    hint: Option<Duration>,
    on_line: &mut dyn FnMut(Line),
    on_block: &mut dyn FnMut(&Block),
) -> End {
    let frames = mic.samples.len() / usize::from(mic.channels.max(1));
    let periods = frames.div_ceil(period_frames(mic.rate).max(1));
    let stamped = hint.unwrap_or_default().saturating_sub(EARLIER);
    if let Some(hint) = hint {
        // No block of room before it: a hint is the least it can be.
        let delay = hint - stamped + BLOCK_RATE.span(BLOCK as u64);
        chain.know(&Known { delay: Some(delay), path: None });
    }
    let mut far = far.map(|sound| Cutter::new(sound, BEGIN + stamped));
    let mut near = Cutter::new(mic, BEGIN);
    for _ in 0..LEAD {
        far.iter_mut().for_each(|far| far.next(|head, samples| chain.far(head, samples)));
    }
    let mut scribe = Scribe::default();
    let mut blocks = 0u64;
    for period in 0..periods + TAIL_PERIODS {
        far.iter_mut().for_each(|far| far.next(|head, samples| chain.far(head, samples)));
        let wanted = mic.rate.span(frames as u64) + chain.delay();
        if period >= periods && Duration::from_millis(blocks * BLOCK_MS) >= wanted {
            break;
        }
        let mut said: Option<(f64, f64)> = None;
        near.next(|head, samples| {
            chain.near(head, samples, &mut |near| {
                blocks += 1;
                on_block(&near.block);
                if let Some(score) = near.wake {
                    said = Some((seconds(near.at), f64::from(score.0)));
                }
                scribe.block(&near, on_line);
            });
        });
        if let Some((t, score)) = said {
            on_line(Line::Wake { t, word: chain.word().to_owned(), score: rounded(score, 1e3) });
        }
    }
    End { audio: mic.rate.span(frames as u64), delay: chain.delay(), replaced: chain.replaced() }
}

/// Cuts a sound into periods; silence after its end.
struct Cutter<'a> {
    sound: Sound<'a>,
    begin: Moment,
    position: u64,
    scratch: Vec<f32>,
}

impl<'a> Cutter<'a> {
    fn new(sound: Sound<'a>, begin: Moment) -> Self {
        Self { sound, begin, position: 0, scratch: Vec::new() }
    }

    fn next(&mut self, mut each: impl FnMut(&PeriodHead, &[f32])) {
        let frames = period_frames(self.sound.rate);
        let channels = usize::from(self.sound.channels);
        let count = frames * channels;
        let from = usize::try_from(self.position).unwrap_or(usize::MAX).saturating_mul(channels);
        let rest = self.sound.samples.get(from..).unwrap_or_default();
        self.scratch.clear();
        self.scratch.extend_from_slice(&rest[..count.min(rest.len())]);
        self.scratch.resize(count, 0.0);
        let head = PeriodHead {
            at: self.begin + self.sound.rate.span(self.position),
            moved: self.begin + self.sound.rate.span(self.position + frames as u64),
            position: self.position,
            gap: 0,
            frames: u32::try_from(frames).unwrap_or(u32::MAX),
            rate: self.sound.rate,
            channels: self.sound.channels,
            stream: 0,
        };
        each(&head, &self.scratch);
        self.position += frames as u64;
    }
}

/// Turns blocks into lines.
#[derive(Default)]
struct Scribe {
    talking: bool,
    blocks: u64,
    mic: f64,
    far: f64,
    erle: f64,
}

/// Blocks of a level line: one second.
const BLOCKS_A_LEVEL: u64 = 1000 / BLOCK_MS;

impl Scribe {
    fn block(&mut self, near: &Near, on_line: &mut dyn FnMut(Line)) {
        let t = seconds(near.at);
        let talking = match near.voice {
            Voice::Likely | Voice::Talking => true,
            Voice::Quiet => false,
            Voice::Maybe => self.talking,
        };
        if talking != self.talking {
            self.talking = talking;
            on_line(if talking { Line::SpeechStart { t } } else { Line::SpeechStop { t } });
        }
        self.mic += power(near.mic);
        self.far += power(near.far);
        self.erle += f64::from(near.erle.0);
        self.blocks += 1;
        if self.blocks.is_multiple_of(BLOCKS_A_LEVEL) {
            let mean = |sum: &mut f64| std::mem::take(sum) / BLOCKS_A_LEVEL as f64;
            on_line(Line::Level {
                t: rounded(t + BLOCK_RATE.span(BLOCK as u64).as_secs_f64(), 1e3),
                mic_dbfs: level(mean(&mut self.mic)),
                far_dbfs: level(mean(&mut self.far)),
                erle_db: rounded(mean(&mut self.erle), 10.0),
            });
        }
    }
}

fn period_frames(rate: Rate) -> usize {
    usize::try_from(rate.frames(Duration::from_millis(PERIOD_MS))).unwrap_or(0)
}

/// Seconds from the beginning of the sound, to the millisecond.
fn seconds(at: Moment) -> f64 {
    rounded(at.since(BEGIN).as_secs_f64(), 1e3)
}

fn power(level: Db) -> f64 {
    if level <= Db::SILENCE { 0.0 } else { 10f64.powf(f64::from(level.0) / 10.0) }
}

fn level(power: f64) -> f64 {
    let db = Db::from_power(power as f32);
    rounded(f64::from(db.0), 10.0)
}

fn rounded(value: f64, steps: f64) -> f64 {
    (value * steps).round() / steps
}
