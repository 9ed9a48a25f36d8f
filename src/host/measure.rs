//! Measures the sound of the configured cards: plays a soft sweep and records both sides.
//!
//! Opens the cards itself, so nobody else may hold them: `check --sound` runs it beside no daemon.

use super::cards::Cards;
use super::{clock, thread};
use crate::audio::playout::PlayoutOptions;
use crate::base::event::{Fault, PlayoutFact, Tag};
use crate::base::pcm::to_i16;
use crate::base::ring::{Epoch, PeriodReader, Wait};
use crate::base::unit::{Gain, Moment, Rate, Volume};
use crate::config::Config;
use crate::dsp::sweep::sweep;
use crate::speech::calibration::{Measured, Recording, measure};
use crate::speech::echo::EchoPath;
use anyhow::{anyhow, bail};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Rate of the sweep: a card's own, mostly.
const RATE: Rate = Rate(48_000);
/// Its peak beside that of the loudest reply, and its bounds: -46 dBFS is heard over a quiet room, -20
/// dBFS is as loud as one wants to hear a sweep.
const OF_A_REPLY: f32 = 0.5;
const SOFTEST: f32 = 0.005;
const LOUDEST: f32 = 0.1;
/// What the opening of both cards may take: a USB card wakes up within a second, a sound server in two.
const OPEN_MAX: Duration = Duration::from_secs(6);
/// Silence before the sweep, in which the room's noise is measured.
pub const BEFORE: Duration = Duration::from_millis(700);
/// Silence after it: the latest echo, and noise behind it.
pub const AFTER: Duration = Duration::from_millis(1_300);
/// What the sweep itself may take; it is 1.5 s long.
const SWEEP_MAX: Duration = Duration::from_secs(5);
/// Samples kept of a side: all of these limits with 8 channels at 48 kHz. What goes beyond is a card that
/// does not keep time.
const SAMPLES_MAX: usize = 14 * 8 * 48_000;
/// Tries until a recording has no gap.
const TRIES: u32 = 3;

/// Plays and measures. `volume` is that of the replies, and the sweep follows it.
///
/// # Errors
/// In words for a person: a card that is busy, missing, or plays nothing.
pub fn run(config: &Config, volume: Volume) -> anyhow::Result<(Measured, EchoPath)> {
    let mut gaps = 0;
    for _ in 0..TRIES {
        let (near, far, lost) = record(config, volume)?;
        gaps = lost;
        if gaps == 0 {
            return measure(config.speech.channel, &near, &far)
                .ok_or_else(|| anyhow!("the cards delivered no sound"));
        }
    }
    bail!("{gaps} gaps in the recording: the machine is too busy, or the card's buffers too short")
}

/// How loud the sweep is, where replies have this volume.
pub fn peak(volume: Volume) -> f32 {
    (volume.gain().0 * OF_A_REPLY).clamp(SOFTEST, LOUDEST)
}

/// One sweep: what was heard, what was played, and how many times sound was lost.
fn record(config: &Config, volume: Volume) -> anyhow::Result<(Recording, Recording, u64)> {
    let clock = clock::clock();
    let (bell, wait) = thread::bell()?;
    let options = PlayoutOptions { rate: RATE, gain: Gain::UNITY };
    let cards = Cards::start(&config.audio, options, &clock, Arc::clone(&bell), &bell)?;
    let mut session =
        Session { cards, near: Vec::new(), far: Vec::new(), ready: 0, drained: false };
    let played = session.play(volume, &clock, &wait);
    let Session { cards, near, far, .. } = session;
    let xruns = &cards.xruns;
    let lost = xruns.overruns.load(Ordering::Relaxed) + xruns.underruns.load(Ordering::Relaxed);
    for name in cards.crew.stop(&clock) {
        log::warn!("the {name} thread did not end in time");
    }
    played.map(|()| (near, far, lost))
}

/// A recording under way.
struct Session {
    cards: Cards,
    near: Recording,
    far: Recording,
    /// Sides that were opened.
    ready: u32,
    drained: bool,
}

impl Session {
    fn play(
        &mut self,
        volume: Volume,
        clock: &crate::base::Clock,
        wait: &dyn Wait,
    ) -> anyhow::Result<()> {
        let until = |session: &mut Self, limit: Duration, done: fn(&Self) -> bool| {
            let end = clock() + limit;
            session.wait(end, clock, wait, done)
        };
        until(self, OPEN_MAX, |s| s.ready >= 2 && !s.near.is_empty())?;
        if self.ready < 2 || self.near.is_empty() {
            bail!("the cards were not ready within {} s", OPEN_MAX.as_secs());
        }
        until(self, BEFORE, |_| false)?;
        let peak = peak(volume);
        let sound: Vec<i16> = sweep(RATE).iter().map(|x| to_i16(x * peak)).collect();
        self.cards.feed.play(Epoch(0), Tag(1), &sound);
        self.cards.feed.end(Epoch(0), Tag(1));
        until(self, SWEEP_MAX, |s| s.drained)?;
        if !self.drained {
            bail!("the speaker did not play the sweep within {} s", SWEEP_MAX.as_secs());
        }
        until(self, AFTER, |_| false)
    }

    /// Takes what comes until `end`, or until it is `done`.
    fn wait(
        &mut self,
        end: Moment,
        clock: &crate::base::Clock,
        wait: &dyn Wait,
        done: fn(&Self) -> bool,
    ) -> anyhow::Result<()> {
        while clock() < end && !done(self) {
            wait.wait(end - clock());
            take(&mut self.cards.near, &mut self.near);
            take(&mut self.cards.far, &mut self.far);
            while let Some(fact) = self.cards.feed.fact() {
                self.drained |= matches!(fact, PlayoutFact::Drained { .. });
            }
            while let Ok(fault) = self.cards.faults.try_recv() {
                match fault {
                    Fault::CardReady { .. } => self.ready += 1,
                    Fault::CardLost { words, .. } => bail!("{words}"),
                    Fault::StateSetAside { .. } | Fault::WorldChanged => {}
                }
            }
        }
        Ok(())
    }
}

fn take(ring: &mut PeriodReader, to: &mut Recording) {
    let mut room = SAMPLES_MAX.saturating_sub(to.iter().map(|(_, samples)| samples.len()).sum());
    loop {
        let mut samples = Vec::new();
        let Some(head) = ring.pop(&mut samples) else { return };
        if samples.len() > room {
            return;
        }
        room -= samples.len();
        to.push((head, samples));
    }
}
