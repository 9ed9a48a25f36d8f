//! What a device can do, measured: a sweep is played, recorded and divided out of its recording.
//!
//! Works on what the audio room hands over, with its stamps, and so measures the very delay that the
//! front end will meet. Has no card and no clock: whoever owns them plays [`crate::dsp::sweep`] and
//! records both sides.

mod answer;
mod judge;
#[cfg(test)]
mod test;

pub use judge::{Verdict, judge, meaning};

use super::Channel;
use super::chain::LEAD;
use super::channel::CHANNELS;
use super::echo::{EchoPath, TAPS};
use super::intake::{Intake, Piece, Side};
use crate::base::pcm::{BLOCK, BLOCK_RATE};
use crate::base::ring::PeriodHead;
use crate::base::unit::Db;
use crate::dsp::meter;
use answer::{Answer, LONGEST, SOUNDS};
use serde::{Deserialize, Serialize};

/// A sample this large is clipped in the card.
const CLIPPED: f32 = 0.98;
/// A channel this far below the best is no use.
const WEAK: f64 = 20.0;
/// Power below which a channel says nothing after its high-pass: -100 dBFS.
const NOTHING: f32 = 1e-10;

/// One side of a recording.
pub type Recording = Vec<(PeriodHead, Vec<f32>)>;

/// What one channel of the microphone is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It hears.
    Alive,
    /// It hears far less than the best one.
    Weak,
    /// Nothing comes out of it: a constant, or silence no microphone makes.
    Dead,
}

/// What came out. Levels in dB, those of the microphone below full scale.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// From the time stamp of a sound at the speaker to the time stamp of its echo at the microphone.
    pub delay_ms: f64,
    /// The echo's level at the microphone above what was played.
    pub echo_db: f64,
    /// Level of what was played.
    pub played_dbfs: f64,
    /// Level of the microphone before it.
    pub noise_dbfs: f64,
    /// The answer above the noise in it; below 10 dB nothing was heard.
    pub clear_db: f64,
    /// Second and third harmonic above the echo.
    pub bent_db: f64,
    /// Samples that were clipped in the card.
    pub clipped: u64,
    /// Each channel.
    pub channels: Vec<State>,
}

/// Measures a recording of a sweep that began in silence. The echo path is the one to begin with.
/// `None` where one of both sides is no sound at all.
pub fn measure(rule: Channel, near: &Recording, far: &Recording) -> Option<(Measured, EchoPath)> {
    let far = line(Side::Far, far)?.trimmed();
    let channels = near.first().map_or(0, |(head, _)| usize::from(head.channels)).min(CHANNELS);
    let lines: Vec<Option<Line>> = (0..channels)
        .map(|channel| {
            let number = u16::try_from(channel).unwrap_or(0);
            line(Side::Near(Channel::Number(number)), near).filter(|_| !is_constant(near, channel))
        })
        .collect();
    let mix = match rule {
        Channel::Mix => line(Side::Near(Channel::Mix), near),
        Channel::Auto | Channel::Number(_) => None,
    };
    let reference = Answer::reference(&far.samples);
    let answers: Vec<Option<Answer>> = lines
        .iter()
        .map(|line| line.as_ref().filter(|l| meter::power(&l.samples) > NOTHING))
        .map(|line| Some(reference.answer(&line?.under(&far))))
        .collect();
    let best = answers
        .iter()
        .enumerate()
        .filter_map(|(channel, answer)| Some((channel, answer.as_ref()?.echo_db)))
        .max_by(|a, b| a.1.total_cmp(&b.1));
    let states: Vec<State> = answers
        .iter()
        .map(|answer| match (answer, best) {
            (Some(answer), Some((_, loud))) if answer.echo_db >= loud - WEAK => State::Alive,
            (Some(_), _) => State::Weak,
            (None, _) => State::Dead,
        })
        .collect();
    let silent = |states: Vec<State>| Measured {
        delay_ms: 0.0,
        echo_db: f64::from(Db::SILENCE.0),
        played_dbfs: reference.level_dbfs,
        noise_dbfs: f64::from(Db::SILENCE.0),
        clear_db: 0.0,
        bent_db: 0.0,
        clipped: 0,
        channels: states,
    };
    let chosen = match rule {
        Channel::Number(number) => usize::from(number).min(channels.saturating_sub(1)),
        Channel::Auto | Channel::Mix => best.map_or(0, |(channel, _)| channel),
    };
    let mixed = mix.as_ref().map(|line| (line, reference.answer(&line.under(&far))));
    let single = || Some((lines.get(chosen)?.as_ref()?, answers.get(chosen)?.clone()?));
    let Some((line, answer)) = mixed.or_else(single) else {
        return Some((silent(states), EchoPath::SILENT));
    };
    // What the stamps of both sides say beyond whole samples.
    let part = line.offset(&far) - line.offset(&far).round();
    let late = f64::from(answer.late) + part;
    let clipped = near.iter().flat_map(|(head, samples)| {
        samples
            .chunks_exact(usize::from(head.channels.max(1)))
            .filter_map(|frame| frame.get(chosen))
    });
    let measured = Measured {
        delay_ms: late * 1e3 / f64::from(BLOCK_RATE.0),
        echo_db: answer.echo_db,
        played_dbfs: reference.level_dbfs,
        noise_dbfs: line.noise(&far, reference.begin),
        clear_db: answer.clear_db,
        bent_db: answer.bent_db,
        clipped: clipped.filter(|x| x.abs() >= CLIPPED).count() as u64,
        channels: states,
    };
    Some((measured, path(&answer)))
}

/// The answer as the canceller meets it, whose reference is read a little earlier.
fn path(answer: &Answer) -> EchoPath {
    let lead = i32::try_from(BLOCK_RATE.frames(LEAD)).unwrap_or(0);
    let late = usize::try_from(answer.late + lead).unwrap_or(0);
    let first = (late / BLOCK).saturating_sub(1);
    let mut path = EchoPath { first: u16::try_from(first).unwrap_or(u16::MAX), ..EchoPath::SILENT };
    for (i, tap) in path.taps.iter_mut().enumerate().take(TAPS) {
        let lag = i32::try_from(first * BLOCK + i).unwrap_or(0) - lead;
        *tap = answer.at(lag);
    }
    path
}

/// A side at 16 kHz on one time axis.
struct Line {
    /// When its first sample was at the converter, in samples.
    begin: f64,
    samples: Vec<f32>,
}

impl Line {
    /// Without all but half a second of the silence before it sounds.
    fn trimmed(mut self) -> Self {
        let sounds = self.samples.iter().position(|x| x.abs() > SOUNDS).unwrap_or(0);
        let cut = sounds.saturating_sub(BLOCK_RATE.0 as usize / 2);
        self.samples.drain(..cut);
        self.begin += cut as f64;
        self
    }

    /// By how many samples the other begins later.
    fn offset(&self, other: &Self) -> f64 {
        other.begin - self.begin
    }

    /// What this one heard while the other played its samples, from the first of them on.
    fn under(&self, far: &Self) -> Vec<f32> {
        let offset = self.offset(far).round() as i64;
        let at = |i: usize| usize::try_from(i as i64 + offset).ok();
        (0..LONGEST)
            .map(|i| at(i).and_then(|i| self.samples.get(i)).copied().unwrap_or(0.0))
            .collect()
    }

    /// Its level before the other sounded.
    fn noise(&self, far: &Self, sounded: usize) -> f64 {
        // Not up to the last moment: it begins softly, and stamps may be wrong by some milliseconds.
        let end = self.offset(far).round() as i64 + sounded as i64 - i64::from(BLOCK_RATE.0 / 20);
        let end = usize::try_from(end).unwrap_or(0).min(self.samples.len());
        // Filters settle in the first tenth of a second.
        let from = (BLOCK_RATE.0 as usize / 10).min(end);
        f64::from(meter::rms(&self.samples[from..end]).0)
    }
}

/// Brings a side to 16 kHz; what came before a new beginning of its stream is left out.
fn line(side: Side, periods: &Recording) -> Option<Line> {
    let mut intake = Intake::new(side);
    let (mut samples, mut begins) = (Vec::new(), Vec::new());
    let us = 1e6 / f64::from(BLOCK_RATE.0);
    for (head, period) in periods {
        intake.period(head, period, &mut |piece| match piece {
            Piece::Restart => {
                samples.clear();
                begins.clear();
            }
            Piece::Moved => {}
            Piece::Sound { at, samples: piece } => {
                begins.push(at.micros() as f64 / us - samples.len() as f64);
                samples.extend_from_slice(piece);
            }
        });
    }
    // The stamps' jitter averages out.
    let begin = begins.iter().sum::<f64>() / begins.len().max(1) as f64;
    (!samples.is_empty()).then_some(Line { begin, samples })
}

/// Whether a channel says one and the same all the time.
fn is_constant(periods: &Recording, channel: usize) -> bool {
    let mut values = periods.iter().flat_map(|(head, samples)| {
        samples.chunks_exact(usize::from(head.channels.max(1))).filter_map(|f| f.get(channel))
    });
    let first = values.next();
    values.all(|value| Some(value) == first)
}
