//! Called once per output period by whoever owns the card's clock.
//!
//! Goal: the first sample of a reply sounds at once, an interrupted reply is silent within 3 ms,
//! and what was heard is known to the sample. What cannot be changed: speech arrives unevenly,
//! mostly faster than it plays, and the card wants its period now. Choice: one ring of speech at
//! the service's rate; a tag starts with its first sample, without a pre-buffer, because the
//! service runs ahead; only when the ring ran dry in mid-tag a start threshold applies, because
//! then the link is slower than speech and each further gap would be heard as a stutter. Volume,
//! ducking and limiter come before the reference tap, so that the canceller sees what the speaker
//! plays. A flush fades what sounds and then resets the resampler, so that nothing of the old
//! epoch is left in a filter. Rejected: a jitter buffer that is always filled first (it costs its
//! length on each reply), and a lock around a queue (the main thread would be waited for).
//! Measured in `playout_test` and in the sound tests.
//!
//! ```text
//! slices -> resample -> fade -> volume -> duck -+-> limiter -+-> card
//!                         earcon -> volume -----+            +-> reference (mono)
//! ```

mod mix;
mod rest;

pub use rest::REST_AFTER;

use super::feed::{Feed, Source, feed, is_older};
use super::ledger::Ledger;
use super::shape::Shape;
use super::{Stamp, TimeAxis};
use crate::base::event::{PlayoutFact, Tag};
use crate::base::pcm::from_i16;
use crate::base::ring::{Bell, Epoch, PeriodWriter};
use crate::base::unit::{Gain, Moment, Rate};
use crate::dsp::gain::{Ramp, samples};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Fade of a flush: shorter clicks, longer is heard as a reply that will not stop. Its ends are round:
/// a straight one of 5 ms clicks 9 dB louder (a voice of 150 Hz, what is above 2 kHz).
pub const FADE: Duration = Duration::from_millis(3);
/// Speech that must be ready before sound goes on after a gap: a few of the service's deltas, and
/// little enough that a person takes it for a breath.
pub const START_THRESHOLD: Duration = Duration::from_millis(120);
/// Longest wait for the threshold when something is there: the rest of a reply may be shorter than
/// the threshold and its end mark late.
const START_WAIT: Duration = Duration::from_millis(250);
/// No resampler holds sound for so long: after it, silence goes past it.
const TAIL: Duration = Duration::from_millis(50);
/// A change of volume: short enough to follow a finger, long enough not to click.
const VOLUME_RAMP: Duration = Duration::from_millis(20);

/// What playout is told once.
#[derive(Debug, Clone, Copy)]
pub struct PlayoutOptions {
    /// Rate of the speech that is fed.
    pub rate: Rate,
    /// Volume at start.
    pub gain: Gain,
}

/// Makes both ends: [`Playout`] for the thread that serves the card, [`Feed`] for the main thread.
/// `reference` receives what is written, `bell` is rung when there is a fact other than progress,
/// `wake` when there is something to play while the card stands still.
pub fn playout(
    options: PlayoutOptions,
    reference: PeriodWriter,
    bell: Arc<dyn Bell>,
    wake: Arc<dyn Bell>,
) -> (Playout, Feed) {
    let (source, feed) = feed(options.rate, options.gain, wake);
    let mut playout = Playout {
        source,
        reference,
        bell,
        rate: options.rate,
        card: Shape::new(options.rate, options.rate, 1, options.gain),
        ledger: Ledger::new(options.rate, options.rate),
        axis: TimeAxis::default(),
        stream: 0,
        written: 0,
        heard: 0,
        base: 0,
        fed: 0,
        epoch: Epoch(0),
        current: None,
        tag: None,
        taken: 0,
        ends: 0,
        flow: Flow::Idle,
        fade: None,
        now: Now::default(),
        silent: 0,
        rang: false,
    };
    playout.shape(options.rate, 1);
    (playout, feed)
}

/// Whether speech flows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow {
    /// Nothing to play.
    Idle,
    /// A tag is being played.
    Playing,
    /// It ran dry before its end; so many samples of silence were played since something is there
    /// again.
    Starved { waited: u64 },
}

/// The stamp of the period being filled.
#[derive(Debug, Clone, Copy, Default)]
struct Now {
    at: Moment,
    delay: u64,
    /// Frames written before it.
    written: u64,
}

/// The far end of the device. Owned by the playout thread.
pub struct Playout {
    source: Source,
    reference: PeriodWriter,
    bell: Arc<dyn Bell>,
    rate: Rate,
    card: Shape,
    ledger: Ledger,
    axis: TimeAxis,
    stream: u32,
    /// Frames written since the card was opened.
    written: u64,
    /// Of those, how many have left the speaker.
    heard: u64,
    /// The frame at which the resampler was last reset, and the samples fed to it since.
    base: u64,
    fed: u64,
    /// The audible epoch.
    epoch: Epoch,
    /// The slice being played: its tag and what is left of it.
    current: Option<(Tag, usize)>,
    /// The last tag that started, and the samples of it that were taken.
    tag: Option<Tag>,
    taken: u64,
    /// End marks taken, wrapping.
    ends: u32,
    flow: Flow,
    /// The fade of a flush and how much of it is left.
    fade: Option<(Ramp, usize)>,
    now: Now,
    /// Frames of nothing at all that were written last.
    silent: u64,
    rang: bool,
}

impl std::fmt::Debug for Playout {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Playout({} to {}, {:?})", self.rate, self.card.rate, self.flow)
    }
}

impl Playout {
    /// Rate of the speech it is fed.
    pub fn rate(&self) -> Rate {
        self.rate
    }

    /// Says that the card was opened (anew) with this shape. Allocates; not while sound flows. What
    /// was queued in the card before counts as never heard.
    pub fn shape(&mut self, rate: Rate, channels: u16) {
        self.forsake();
        let gain = Gain(f32::from_bits(self.source.shared.gain.load(Ordering::Relaxed)));
        self.card = Shape::new(self.rate, rate, channels, gain);
        self.ledger.reshape(rate);
        self.axis = TimeAxis::default();
        self.stream = self.stream.wrapping_add(1);
        (self.written, self.heard, self.base, self.fed, self.silent) = (0, 0, 0, 0, 0);
        self.ring();
    }

    /// Whether speech is being played: what comes next waits for nobody.
    pub fn is_sounding(&self) -> bool {
        self.flow == Flow::Playing
    }

    /// One period for the card: fills `out` (interleaved; speech goes to the first two channels)
    /// with samples in [-1, 1]. Real-time: neither allocates nor waits. Channels beyond whole
    /// frames are left silent.
    pub fn fill(&mut self, out: &mut [f32], stamp: Stamp) {
        let delay = u64::from(stamp.delay);
        self.now = Now { at: stamp.at, delay, written: self.written };
        self.heard = self.heard.max(self.written.saturating_sub(delay));
        self.listen();
        let channels = usize::from(self.card.channels);
        let run = self.card.mono.len() * channels;
        let mut xrun = stamp.xrun;
        let mut silent = true;
        for piece in out.chunks_mut(run) {
            let frames = piece.len() / channels;
            if frames == 0 {
                piece.fill(0.0);
                break;
            }
            self.speech(frames);
            silent &= self.mix(frames);
            self.card.deal(piece);
            self.tap(frames, xrun);
            xrun = false;
            self.written += frames as u64;
        }
        self.rang |= self.ledger.advance(self.heard, &mut self.source.facts);
        let idle = self.flow == Flow::Idle && self.source.heads.is_empty();
        let still = silent && idle && self.ledger.is_settled();
        self.silent = if still { self.silent + self.written - self.now.written } else { 0 };
        self.ring();
    }

    fn ring(&mut self) {
        if std::mem::take(&mut self.rang) {
            self.bell.ring();
        }
    }

    fn wanted(&self) -> Epoch {
        Epoch(self.source.shared.wanted.load(Ordering::Acquire))
    }

    /// Takes what the main thread asks for.
    fn listen(&mut self) {
        let shared = &self.source.shared;
        let gain = Gain(f32::from_bits(shared.gain.load(Ordering::Relaxed)));
        self.card.volume.aim(gain, samples(self.card.rate, VOLUME_RAMP));
        self.card.duck.aim(shared.duck.load(Ordering::Relaxed));
        if !self.card.chime.is_playing()
            && let Ok(earcon) = self.source.earcons.pop()
        {
            self.card.chime.start(earcon);
        }
        if is_older(self.epoch, self.wanted()) && self.fade.is_none() {
            if self.flow == Flow::Playing || self.ledger.sounds_at(self.written) {
                let frames = samples(self.card.rate, FADE);
                let mut ramp = Ramp::new(Gain::UNITY);
                ramp.aim(Gain::ZERO, frames);
                self.fade = Some((ramp, frames as usize));
            } else {
                self.cut(self.written);
            }
        }
    }

    /// Whether nothing comes and nothing is left in the resampler.
    fn is_still(&self) -> bool {
        self.flow == Flow::Idle
            && self.fade.is_none()
            && self.current.is_none()
            && self.silent >= self.card.rate.frames(TAIL)
            && self.source.heads.is_empty()
    }

    /// Speech of `frames` frames into `mono`.
    fn speech(&mut self, frames: usize) {
        if self.is_still() {
            if self.fed > 0 {
                self.card.resampler.reset();
                self.card.pending.clear();
                self.fed = 0;
            }
            self.base = self.written + frames as u64;
            self.card.mono[..frames].fill(0.0);
            return;
        }
        let mut done = 0;
        while done < frames {
            let left = self.fade.map_or(usize::MAX, |(_, left)| left);
            let count = left.min(frames - done);
            self.produce(count);
            let piece = &mut self.card.mono[done..done + count];
            piece.copy_from_slice(&self.card.pending[..count]);
            self.card.pending.drain(..count);
            done += count;
            if let Some((ramp, left)) = &mut self.fade {
                for sample in piece {
                    let straight = ramp.step();
                    *sample *= straight * straight * (3.0 - 2.0 * straight);
                }
                *left -= count;
                if *left == 0 {
                    self.cut(self.written + done as u64);
                }
            }
        }
    }

    /// Resamples until `count` frames are pending.
    fn produce(&mut self, count: usize) {
        let (from, to) = (self.rate.0 as usize, self.card.rate.0 as usize);
        while self.card.pending.len() < count {
            let short = count - self.card.pending.len();
            self.pull((short * from).div_ceil(to).clamp(1, self.card.input_max));
            let card = &mut self.card;
            card.resampler.process(&card.input, &mut card.pending);
        }
    }

    /// The next `count` samples at the service's rate: speech, or silence where there is none.
    fn pull(&mut self, count: usize) {
        self.card.input.clear();
        while self.card.input.len() < count {
            let Some((tag, left)) = self.slice() else { break };
            let take = left.min(count - self.card.input.len());
            let start = self.frame_of_next();
            if let Ok(chunk) = self.source.samples.read_chunk(take) {
                let (a, b) = chunk.as_slices();
                self.card.input.extend(a.iter().chain(b).map(|s| from_i16(*s)));
                chunk.commit_all();
            }
            self.ledger.play(tag, self.taken, take as u64, start);
            self.taken += take as u64;
            self.current = (left > take).then_some((tag, left - take));
        }
        let silence = count - self.card.input.len();
        if let Flow::Starved { waited } = &mut self.flow
            && !self.source.heads.is_empty()
        {
            *waited += silence as u64;
        }
        self.card.input.resize(count, 0.0);
        self.fed += count as u64;
    }

    /// The frame at which the next sample that is pulled begins to sound.
    fn frame_of_next(&self) -> u64 {
        let position = self.fed + self.card.input.len() as u64;
        self.base + self.ledger.frames(position) + self.card.resampler.delay_samples() as u64
    }

    /// The slice to play from now, if sound may flow.
    fn slice(&mut self) -> Option<(Tag, usize)> {
        if self.current.is_some() {
            return self.current;
        }
        loop {
            let Ok(head) = self.source.heads.peek().copied() else {
                self.run_dry();
                return None;
            };
            if is_older(head.epoch, self.epoch) {
                self.skip();
                continue;
            }
            // Speech of the epoch after a flush that is not carried out yet.
            if is_older(self.epoch, head.epoch) && !is_older(self.wanted(), head.epoch) {
                return None;
            }
            if self.ledger.is_full() {
                return None;
            }
            if head.end {
                self.skip();
                let (start, taken) = (self.frame_of_next(), self.taken_of(head.tag));
                self.ledger.end_tag(head.tag, taken, start);
                self.flow = Flow::Idle;
                continue;
            }
            if !self.may_start(head.tag) {
                return None;
            }
            let _ = self.source.heads.pop();
            self.start(head.tag);
            self.current = Some((head.tag, head.samples as usize));
            return self.current;
        }
    }

    /// Samples of a tag that were taken.
    fn taken_of(&self, tag: Tag) -> u64 {
        if self.tag == Some(tag) { self.taken } else { 0 }
    }

    fn run_dry(&mut self) {
        if let (Flow::Playing, Some(tag)) = (self.flow, self.tag) {
            self.flow = Flow::Starved { waited: 0 };
            self.ledger.pause();
            self.tell(PlayoutFact::Starved { tag });
        }
    }

    /// After a gap: whether enough is there, or all that will come, or it has waited long enough.
    fn may_start(&self, tag: Tag) -> bool {
        let Flow::Starved { waited } = self.flow else { return true };
        self.tag != Some(tag)
            || self.source.samples.slots() as u64 >= self.rate.frames(START_THRESHOLD)
            || self.source.shared.ends.load(Ordering::Acquire) != self.ends
            || waited >= self.rate.frames(START_WAIT)
    }

    fn start(&mut self, tag: Tag) {
        self.flow = Flow::Playing;
        if self.tag == Some(tag) {
            return;
        }
        self.tag = Some(tag);
        self.taken = 0;
        let ahead = self.frame_of_next().saturating_sub(self.now.written) + self.now.delay;
        self.tell(PlayoutFact::Started { tag, at: self.now.at + self.card.rate.span(ahead) });
    }

    /// Facts that do not come from the ledger. The ring keeps places free for them; should even
    /// those be taken, the main thread has been asleep for seconds and the fact is lost.
    fn tell(&mut self, fact: PlayoutFact) {
        self.rang |= self.source.facts.push(fact).is_ok();
    }

    /// Drops the next head with its samples.
    fn skip(&mut self) {
        if let Ok(head) = self.source.heads.pop() {
            if head.end {
                self.ends = self.ends.wrapping_add(1);
            }
            self.drop_samples(head.samples as usize);
        }
    }

    fn drop_samples(&mut self, count: usize) {
        if let Ok(chunk) = self.source.samples.read_chunk(count) {
            chunk.commit_all();
        }
    }

    fn skip_older(&mut self) {
        while self.source.heads.peek().is_ok_and(|h| is_older(h.epoch, self.epoch)) {
            self.skip();
        }
    }

    /// From `frame` on nothing of the epochs before the wanted one sounds.
    fn cut(&mut self, frame: u64) {
        self.epoch = self.wanted();
        if let Some((_, left)) = self.current.take() {
            self.drop_samples(left);
        }
        self.flow = Flow::Idle;
        self.fade = None;
        self.card.resampler.reset();
        self.card.pending.clear();
        self.base = frame;
        self.fed = 0;
        self.ledger.cut(frame, self.epoch);
    }
}
