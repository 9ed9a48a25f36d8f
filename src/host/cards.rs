//! Both card threads, and the ends of what connects them.

use super::supervise::{Crew, Watched};
use super::thread::{self, CARD};
use crate::audio::capture::Capture;
use crate::audio::feed::Feed;
use crate::audio::playout::{PlayoutOptions, playout};
use crate::audio::{Options, Xruns, drive};
use crate::base::Clock;
use crate::base::event::{Fault, Side as Hand};
use crate::base::pulse::Pulse;
use crate::base::ring::{Bell, PeriodReader, Silent, periods};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Periods and samples between the card threads and their reader: from the microphone 0.3 s of 48 kHz
/// stereo, 21 ms of the widest card there is (8 channels at 192 kHz), that is one of its periods; what was
/// played is mono, 0.3 s at 48 kHz and 85 ms at 192 kHz. When full the newest period becomes a gap.
const PERIODS: usize = 512;
const NEAR_SAMPLES: usize = 32_768;
const FAR_SAMPLES: usize = 16_384;
/// Faults under way from the card threads: each is reported once a change, a handful at most.
const FAULTS: usize = 64;

/// The cards at work.
pub(super) struct Cards {
    /// What the microphone hears, and what was played.
    pub(super) near: PeriodReader,
    pub(super) far: PeriodReader,
    pub(super) feed: Feed,
    pub(super) faults: Receiver<Fault>,
    pub(super) report: SyncSender<Fault>,
    /// Of the microphone's thread.
    pub(super) capture: Arc<Pulse>,
    pub(super) crew: Crew,
    pub(super) xruns: Arc<Xruns>,
    pub(super) wanted: Arc<Wanted>,
}

/// Which cards are to be open; another choice is followed without a restart.
#[derive(Debug)]
pub struct Wanted {
    options: Mutex<Options>,
    /// Of the threads, microphone first.
    pulses: [Arc<Pulse>; 2],
}

impl Wanted {
    /// Nothing serves them yet.
    pub fn new(options: Options) -> Self {
        Self { options: Mutex::new(options), pulses: Default::default() }
    }

    /// Those that are wanted now.
    pub fn now(&self) -> Options {
        self.lock().clone()
    }

    /// Wants others. The thread of each side that changed closes its card and opens the new one;
    /// returns those sides.
    pub fn change(&self, options: &Options) -> Vec<Hand> {
        let before = std::mem::replace(&mut *self.lock(), options.clone());
        let changed = [
            (Hand::Capture, before.input != options.input),
            (Hand::Playout, before.output != options.output),
        ];
        let sides = changed.into_iter().filter(|(_, changed)| *changed);
        sides.map(|(side, _)| side).inspect(|side| self.pulses[*side as usize].renew()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Options> {
        self.options.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cards {
    /// Starts both threads. `heard` is rung by the microphone's after each period, `bell` by both when
    /// there is something to tell.
    pub(super) fn start(
        options: &Options,
        speech: PlayoutOptions,
        clock: &Clock,
        heard: Arc<dyn Bell>,
        bell: &Arc<dyn Bell>,
    ) -> std::io::Result<Self> {
        let (report, faults) = sync_channel(FAULTS);
        let xruns = Arc::new(Xruns::default());
        let mut crew = Crew::default();
        let started = clock();
        let (near_in, near) = periods(PERIODS, NEAR_SAMPLES);
        let (far_in, far) = periods(PERIODS, FAR_SAMPLES);
        let wanted = Arc::new(Wanted::new(options.clone()));
        let [capture_pulse, pulse] = wanted.pulses.clone();
        let side = |pulse: &Arc<Pulse>| Side {
            wanted: Arc::clone(&wanted),
            clock: Arc::clone(clock),
            xruns: Arc::clone(&xruns),
            report: report.clone(),
            bell: Arc::clone(bell),
            pulse: Arc::clone(pulse),
        };

        let mut capture = Capture::new(near_in, heard);
        let microphone = side(&capture_pulse);
        let worker = super::start("capture", CARD, bell, move || {
            microphone.work(|options, clock, pulse, xruns, report| {
                drive::run_capture(options, clock, pulse, xruns, &mut capture, report);
            });
        })?;
        crew.add(Watched::new(worker, Arc::clone(&capture_pulse), Arc::new(Silent), started));

        let (wake, woken) = thread::bell()?;
        let (mut playout, feed) = playout(speech, far_in, Arc::clone(bell), Arc::clone(&wake));
        let speaker = side(&pulse);
        let worker = super::start("playout", CARD, bell, move || {
            speaker.work(|options, clock, pulse, xruns, report| {
                let playout = &mut playout;
                drive::run_playout(options, clock, pulse, xruns, playout, &woken, report);
            });
        })?;
        crew.add(Watched::new(worker, pulse, wake, started));
        Ok(Self { near, far, feed, faults, report, capture: capture_pulse, crew, xruns, wanted })
    }
}

/// What both card threads are given.
struct Side {
    wanted: Arc<Wanted>,
    clock: Clock,
    xruns: Arc<Xruns>,
    report: SyncSender<Fault>,
    bell: Arc<dyn Bell>,
    pulse: Arc<Pulse>,
}

impl Side {
    fn work(self, mut run: impl FnMut(&Options, &Clock, &Pulse, &Xruns, &mut dyn FnMut(Fault))) {
        loop {
            let options = self.wanted.now();
            run(&options, &self.clock, &self.pulse, &self.xruns, &mut |fault| {
                // A full queue holds older news of the same card; the next change is told again.
                let _ = self.report.try_send(fault);
                self.bell.ring();
            });
            if !self.pulse.renewed() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::Device;

    #[test]
    fn only_the_side_that_changed_begins_anew() {
        let wanted = Wanted::new(Options::default());
        let other = Options { output: Device::Named("Headphones".into()), ..Options::default() };
        assert_eq!(wanted.change(&other), [Hand::Playout]);
        assert_eq!(wanted.now(), other);
        assert_eq!(wanted.change(&other), []);
        let [microphone, speaker] = &wanted.pulses;
        assert!(!microphone.stopped() && speaker.stopped());
        assert!(speaker.renewed() && !speaker.stopped() && !speaker.renewed());
        wanted.change(&Options::default());
        speaker.stop();
        assert!(!speaker.renewed(), "the end comes first");
    }
}
