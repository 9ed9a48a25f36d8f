//! The speaker: writes as little as needed, and stands still while there is nothing to play.
//!
//! While it is silent a period is written at a time, because the first sound of a reply waits behind
//! what is queued. While it speaks two are: half the wake-ups, and the least that is ever queued is
//! the same.

use super::{EPIPE, Opened, STALL, WAIT_MS, open, soften};
use crate::audio::drive::{Ready, Run};
use crate::audio::fill::{Fill, Queue};
use crate::audio::playout::Playout;
use crate::audio::sample;
use crate::audio::{CardError, Device, Stamp};
use crate::base::event::Side;
use crate::base::ring::Wait;
use crate::base::unit::Moment;
use alsa::Error;
use alsa::pcm::Frames;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Longest sleep of a speaker at rest before the card and a wish for another one are looked at. Who
/// wants it to end rings.
const NAP: Duration = Duration::from_millis(500);
/// Periods written at one go while something sounds (10 ms): a flush waits for no more than that.
const SPEAKING: usize = 2;
/// In the name of a sink that swallows what comes in the first moments after a start: it never
/// rests.
const SLOW_TO_START: &str = "hdmi";

/// The speaker while it is open.
struct Speaker {
    card: Opened,
    samples: Vec<f32>,
    bytes: Vec<u8>,
    fill: Fill,
    /// Whether it may stand still.
    rests: bool,
    /// Whether something was queued since the stream was prepared.
    running: bool,
    xrun: bool,
    moved: Moment,
}

/// Opens the speaker and serves it until the worker must stop or the card is lost.
pub(in crate::audio) fn run_playout(
    device: &Device,
    run: &Run,
    playout: &mut Playout,
    wake: &dyn Wait,
    ready: Ready,
) -> Result<(), CardError> {
    let card = open(device, Side::Playout)?;
    playout.shape(card.rate, card.channels);
    let count = SPEAKING * card.period * usize::from(card.channels);
    let mut ready = Some(ready);
    let mut speaker = Speaker {
        samples: vec![0.0; count],
        bytes: vec![0; count * card.layout.bytes()],
        fill: Fill::new(card.period, card.buffer),
        rests: !is_slow_to_start(&card),
        running: false,
        xrun: false,
        moved: run.now(),
        card,
    };
    while !run.pulse.stopped() {
        run.pulse.beat();
        let turned = if speaker.rests && playout.may_rest() {
            speaker.rest(run, playout, wake)
        } else {
            speaker.turn(run, playout)
        };
        match turned {
            Ok(true) => {
                if let Some(ready) = ready.take() {
                    ready(speaker.card.words());
                }
            }
            Ok(false) if run.now().since(speaker.moved) > STALL => {
                return Err(speaker.card.stalled());
            }
            Ok(false) => {}
            Err(error) => {
                speaker.card.recover(error)?;
                speaker.judge(0, run);
                speaker.running = false;
            }
        }
    }
    Ok(())
}

impl Speaker {
    /// Writes a period or two if the queue is low, else waits until it is. Returns whether it wrote.
    fn turn(&mut self, run: &Run, playout: &mut Playout) -> Result<bool, Error> {
        let (free, delay) = self.queue()?;
        let queued = self.card.buffer.saturating_sub(free);
        if self.running {
            self.judge(queued, run);
        }
        if self.fill.excess(queued) > 0 {
            self.pause()?;
            return Ok(false);
        }
        let delay = u32::try_from(delay.max(queued)).unwrap_or(u32::MAX);
        let stamp = Stamp { at: run.now(), delay, xrun: std::mem::take(&mut self.xrun) };
        let periods = if playout.is_sounding() { SPEAKING } else { 1 };
        let frames = (periods * self.card.period).min(free);
        let count = frames * usize::from(self.card.channels);
        let bytes = &mut self.bytes[..count * self.card.layout.bytes()];
        playout.fill(&mut self.samples[..count], stamp);
        sample::write(self.card.layout, &self.samples[..count], bytes);
        self.card.pcm.io_bytes().writei(bytes)?;
        self.running = true;
        self.moved = run.now();
        Ok(true)
    }

    /// Frames of room in the ring, and frames until what is written now is heard.
    fn queue(&self) -> Result<(usize, usize), Error> {
        let size = |frames: Frames| usize::try_from(frames).unwrap_or(0);
        match self.card.pcm.avail_delay() {
            Ok((free, delay)) => Ok((size(free), size(delay))),
            // The pulse plugin knows no delay for a moment after an underrun.
            Err(error) if error.errno() != EPIPE => {
                let free = size(self.card.pcm.avail_update()?);
                Ok((free, self.card.buffer.saturating_sub(free)))
            }
            Err(error) => Err(error),
        }
    }

    /// Stops the card (what is queued is silence) until there is something to play. Returns whether
    /// it wrote: it did not.
    fn rest(&mut self, run: &Run, playout: &mut Playout, wake: &dyn Wait) -> Result<bool, Error> {
        self.card.pcm.drop()?;
        self.card.pcm.prepare()?;
        playout.rest();
        while !run.pulse.stopped() && !playout.stirs() {
            run.pulse.beat();
            wake.wait(NAP);
            // A card that was pulled out says so.
            self.card.pcm.avail_update()?;
        }
        // The reference has a gap of this length.
        self.xrun = true;
        self.running = false;
        self.moved = run.now();
        Ok(false)
    }

    /// Waits until there is room below the fill.
    fn pause(&mut self) -> Result<(), Error> {
        // A card wakes us with its period; what wakes earlier (or at once) is waited for by time.
        self.card.pcm.wait(Some(WAIT_MS))?;
        let free = usize::try_from(self.card.pcm.avail_update()?).unwrap_or(0);
        let left = self.fill.excess(self.card.buffer.saturating_sub(free));
        if left > 0 {
            std::thread::park_timeout(self.card.rate.span(left.min(self.card.buffer) as u64));
        }
        Ok(())
    }

    /// An underrun, reported (the queue is then empty) or seen, is counted, and the fill follows.
    fn judge(&mut self, queued: usize, run: &Run) {
        let (queue, changed) = self.fill.judge(queued, run.now());
        if queue == Queue::Dry {
            run.xruns.underruns.fetch_add(1, Ordering::Relaxed);
            self.xrun = true;
        }
        if changed {
            // Where it is refused, waiting by time does it.
            let _ = soften(&self.card, self.fill.frames());
        }
    }
}

fn is_slow_to_start(card: &Opened) -> bool {
    let info = card.pcm.info();
    let name = info.as_ref().ok().and_then(|i| i.get_name().ok()).unwrap_or_default();
    [card.name.as_str(), name].iter().any(|n| n.to_lowercase().contains(SLOW_TO_START))
}
