//! Both card threads, and the ends of what connects them.

use super::supervise::{Crew, Watched};
use super::thread::{self, CARD};
use crate::audio::capture::Capture;
use crate::audio::feed::Feed;
use crate::audio::playout::{PlayoutOptions, playout};
use crate::audio::{Options, Xruns, drive};
use crate::base::Clock;
use crate::base::event::Fault;
use crate::base::pulse::Pulse;
use crate::base::ring::{Bell, PeriodReader, periods};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// Periods and samples between the card threads and their reader: from the microphone 0.7 s of 48 kHz
/// stereo, 43 ms of the widest card there is (8 channels at 192 kHz); what was played is mono. When
/// full the newest period becomes a gap.
const PERIODS: usize = 512;
const NEAR_SAMPLES: usize = 65_536;
const FAR_SAMPLES: usize = 32_768;
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
        let side = |pulse: &Arc<Pulse>| Side {
            options: options.clone(),
            clock: Arc::clone(clock),
            xruns: Arc::clone(&xruns),
            report: report.clone(),
            bell: Arc::clone(bell),
            pulse: Arc::clone(pulse),
        };

        let capture_pulse = Arc::new(Pulse::default());
        let mut capture = Capture::new(near_in, heard);
        let microphone = side(&capture_pulse);
        let worker = super::start("capture", CARD, bell, move || {
            microphone.work(|options, clock, pulse, xruns, report| {
                drive::run_capture(options, clock, pulse, xruns, &mut capture, report);
            });
        })?;
        crew.add(Watched::new(worker, Arc::clone(&capture_pulse), started));

        let (wake, woken) = thread::bell()?;
        let (mut playout, feed) = playout(speech, far_in, Arc::clone(bell), wake);
        let pulse = Arc::new(Pulse::default());
        let speaker = side(&pulse);
        let worker = super::start("playout", CARD, bell, move || {
            speaker.work(|options, clock, pulse, xruns, report| {
                let playout = &mut playout;
                drive::run_playout(options, clock, pulse, xruns, playout, &woken, report);
            });
        })?;
        crew.add(Watched::new(worker, pulse, started));
        Ok(Self { near, far, feed, faults, report, capture: capture_pulse, crew, xruns })
    }
}

/// What both card threads are given.
struct Side {
    options: Options,
    clock: Clock,
    xruns: Arc<Xruns>,
    report: SyncSender<Fault>,
    bell: Arc<dyn Bell>,
    pulse: Arc<Pulse>,
}

impl Side {
    fn work(self, run: impl FnOnce(&Options, &Clock, &Pulse, &Xruns, &mut dyn FnMut(Fault))) {
        run(&self.options, &self.clock, &self.pulse, &self.xruns, &mut |fault| {
            // A full queue holds older news of the same card; the next change is told again.
            let _ = self.report.try_send(fault);
            self.bell.ring();
        });
    }
}
