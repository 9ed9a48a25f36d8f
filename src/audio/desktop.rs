//! The card through cpal: any system that is not Linux, and Linux by `audio.backend = "cpal"`.
//!
//! The two real-time functions run in cpal's callbacks, so their engines are lent to the stream and
//! come home when it is dropped. After an xrun cpal may repeat an error thousands of times and call
//! back no more: the first error ends the stream, it is built anew at once, and only a card that
//! fails again and again counts as lost.

use super::capture::Capture;
use super::drive::{CHANNELS_MAX, RATE, RATES, Ready, Run};
use super::playout::{Playout, PlayoutOptions, playout};
use super::sample::{self, Layout};
use super::{CardError, Device, Stamp};
use crate::base::Clock;
use crate::base::event::Side;
use crate::base::ring::{Silent, periods};
use crate::base::unit::{Gain, Moment, Rate};
use cpal::traits::{DeviceTrait, HostTrait, StreamTrait};
use cpal::{Data, ErrorKind, SampleFormat, StreamConfig, SupportedStreamConfigRange};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

/// Period of a stream, and what it may grow to when streams break: cpal queues two of them, so that
/// the queue stays within 60 ms.
const PERIOD_MS: u32 = 10;
const PERIOD_MS_MAX: u32 = 30;
/// Longest piece handed on at once, in frames; longer ones of a system are cut.
const PIECE: usize = 1024;
/// Longest time without looking at the pulse.
const NAP: Duration = Duration::from_millis(50);
/// A stream that calls back nothing for so long is built anew.
const STALL: Duration = Duration::from_secs(3);
/// A stream that broke before it ran so long is a lost card.
const STEADY: Duration = Duration::from_secs(2);
/// How long a dropped stream may take to give its engine back: it joins its own thread.
const HOMECOMING: Duration = Duration::from_secs(2);

/// What the callbacks and the waiting thread share.
#[derive(Default)]
struct Signals {
    /// Callbacks so far, written by the stream.
    turns: AtomicU64,
    /// Xruns so far, written by the stream.
    xruns: AtomicU64,
    /// Set by an xrun, taken by the next period.
    xrun: AtomicBool,
}

/// An engine inside a callback; it goes home when the stream is dropped.
struct Lent<T> {
    engine: Option<T>,
    home: SyncSender<T>,
}

impl<T> Drop for Lent<T> {
    fn drop(&mut self) {
        if let Some(engine) = self.engine.take() {
            let _ = self.home.try_send(engine);
        }
    }
}

/// A device with the shape in which it is opened.
struct Found {
    device: cpal::Device,
    name: String,
    side: Side,
    config: StreamConfig,
    format: SampleFormat,
    layout: Layout,
}

impl Found {
    fn words(&self) -> String {
        format!(
            "{}: {} Hz, {} channels, {}",
            self.name,
            self.config.sample_rate,
            self.config.channels,
            self.layout.name()
        )
    }

    fn rate(&self) -> Rate {
        Rate(self.config.sample_rate)
    }

    fn trouble(&self, error: &cpal::Error) -> CardError {
        trouble(&self.name, self.side, error)
    }
}

fn trouble(name: &str, side: Side, error: &cpal::Error) -> CardError {
    let (device, detail) = (name.to_owned(), error.to_string());
    if error.kind() == ErrorKind::DeviceBusy {
        CardError::Busy { device, holder: "another process".into() }
    } else if error.kind() == ErrorKind::DeviceNotAvailable
        || error.kind() == ErrorKind::HostUnavailable
    {
        CardError::Missing { device, side, detail }
    } else {
        CardError::Broken { device, detail }
    }
}

fn find(device: &Device, side: Side) -> Result<Found, CardError> {
    let host = cpal::default_host();
    let name = device.to_string();
    let missing =
        |detail: &str| CardError::Missing { device: name.clone(), side, detail: detail.to_owned() };
    let found = match (device, side) {
        (Device::Named(wanted), _) => {
            let mut all = host.devices().map_err(|e| trouble(&name, side, &e))?;
            all.find(|d| is_called(d, wanted))
        }
        (Device::Default | Device::File(_) | Device::Null, Side::Capture) => {
            host.default_input_device()
        }
        (Device::Default | Device::File(_) | Device::Null, Side::Playout) => {
            host.default_output_device()
        }
    };
    let device = found.ok_or_else(|| missing("the system lists none of this name"))?;
    let offers: Result<Vec<SupportedStreamConfigRange>, cpal::Error> = match side {
        Side::Capture => device.supported_input_configs().map(Iterator::collect),
        Side::Playout => device.supported_output_configs().map(Iterator::collect),
    };
    let offers = offers.map_err(|e| trouble(&name, side, &e))?;
    let (config, format, layout) = choose(&offers, side).ok_or_else(|| CardError::Unsuitable {
        device: name.clone(),
        detail: "offers no 16, 24, 32-bit integer or 32-bit float samples at 1-8 channels, \
                 8-192 kHz"
            .into(),
    })?;
    Ok(Found { device, name, side, config, format, layout })
}

/// By the system's own identifier or by the name it shows.
fn is_called(device: &cpal::Device, wanted: &str) -> bool {
    device.id().is_ok_and(|id| id.id() == wanted)
        || device.description().is_ok_and(|d| d.name() == wanted)
}

fn layout(format: SampleFormat) -> Option<Layout> {
    // Integers first: through a plugin floats are converted twice.
    [
        (SampleFormat::I32, Layout::S32),
        (SampleFormat::I24, Layout::S24),
        (SampleFormat::I16, Layout::S16),
        (SampleFormat::F32, Layout::Float),
    ]
    .into_iter()
    .find_map(|(f, l)| (f == format).then_some(l))
}

/// All channels of a microphone, two of a speaker; 48 kHz where it can be had; 32 bits before 16.
fn choose(
    offers: &[SupportedStreamConfigRange],
    side: Side,
) -> Option<(StreamConfig, SampleFormat, Layout)> {
    let most = offers.iter().map(SupportedStreamConfigRange::channels).max()?;
    let wanted = match side {
        Side::Capture if most <= CHANNELS_MAX => most,
        Side::Capture | Side::Playout => 2,
    };
    let rank = |layout: Layout| match layout {
        Layout::S32 => 0,
        Layout::S24 | Layout::S24In3 => 1,
        Layout::Float => 2,
        Layout::S16 => 3,
    };
    let rate =
        |o: &SupportedStreamConfigRange| RATE.clamp(o.min_sample_rate(), o.max_sample_rate());
    let (offer, layout) = offers
        .iter()
        .filter(|o| (1..=CHANNELS_MAX).contains(&o.channels()) && RATES.contains(&rate(o)))
        .filter_map(|o| layout(o.sample_format()).map(|l| (o, l)))
        .min_by_key(|(o, l)| (o.channels().abs_diff(wanted), rate(o).abs_diff(RATE), rank(*l)))?;
    let chosen = offer.with_sample_rate(rate(offer));
    Some((chosen.config(), offer.sample_format(), layout))
}

/// Serves the microphone until the worker must stop or the card is lost.
pub(super) fn run_capture(
    device: &Device,
    run: &Run,
    capture: &mut Capture,
    ready: Ready,
) -> Result<(), CardError> {
    let idle = || Capture::new(periods(1, 1).0, Arc::new(Silent));
    serve(
        device,
        Side::Capture,
        run,
        capture,
        idle,
        ready,
        |found, lent, clock, signals, errors| {
            let (rate, layout) = (found.rate(), found.layout);
            let channels = usize::from(found.config.channels);
            let mut samples = vec![0.0; PIECE * channels];
            let mut lent = lent;
            if let Some(capture) = &mut lent.engine {
                capture.shape(rate, found.config.channels);
            }
            let heard = signals.clone();
            let hear = move |data: &Data, info: &cpal::InputCallbackInfo| {
                let (at, times) = (clock(), info.timestamp());
                let frames = data.len() / channels;
                let age = rate.frames(times.callback.duration_since(times.capture));
                let inside = age.saturating_sub(frames as u64);
                let mut left = frames;
                let Some(capture) = &mut lent.engine else { return };
                for bytes in data.bytes().chunks(PIECE * channels * layout.bytes()) {
                    let count = sample::read(layout, bytes, &mut samples);
                    left -= (count / channels).min(left);
                    let delay = u32::try_from(inside + left as u64).unwrap_or(0);
                    let xrun = heard.xrun.swap(false, Ordering::Relaxed);
                    capture.period(&samples[..count], Stamp { at, delay, xrun });
                }
                heard.turns.fetch_add(1, Ordering::Relaxed);
            };
            let failed = on_error(signals, errors);
            found.device.build_input_stream_raw(
                found.config,
                found.format,
                hear,
                failed,
                Some(STALL),
            )
        },
    )
}

/// Serves the speaker until the worker must stop or the card is lost.
pub(super) fn run_playout(
    device: &Device,
    run: &Run,
    engine: &mut Playout,
    ready: Ready,
) -> Result<(), CardError> {
    let idle = || {
        let options = PlayoutOptions { rate: Rate(1), gain: Gain::ZERO };
        playout(options, periods(1, 1).0, Arc::new(Silent), Arc::new(Silent)).0
    };
    serve(device, Side::Playout, run, engine, idle, ready, |found, lent, clock, signals, errors| {
        let (rate, layout) = (found.rate(), found.layout);
        let channels = usize::from(found.config.channels);
        let mut samples = vec![0.0; PIECE * channels];
        let mut lent = lent;
        if let Some(playout) = &mut lent.engine {
            playout.shape(rate, found.config.channels);
        }
        let spoken = signals.clone();
        let speak = move |data: &mut Data, info: &cpal::OutputCallbackInfo| {
            let (at, times) = (clock(), info.timestamp());
            let mut queued = rate.frames(times.playback.duration_since(times.callback));
            let Some(playout) = &mut lent.engine else { return };
            for bytes in data.bytes_mut().chunks_mut(PIECE * channels * layout.bytes()) {
                let count = bytes.len() / layout.bytes();
                let delay = u32::try_from(queued).unwrap_or(u32::MAX);
                let xrun = spoken.xrun.swap(false, Ordering::Relaxed);
                playout.fill(&mut samples[..count], Stamp { at, delay, xrun });
                sample::write(layout, &samples[..count], bytes);
                queued += (count / channels) as u64;
            }
            spoken.turns.fetch_add(1, Ordering::Relaxed);
        };
        let failed = on_error(signals, errors);
        found.device.build_output_stream_raw(found.config, found.format, speak, failed, Some(STALL))
    })
}

/// Counts xruns and passes the first real error on; the channel holds one, the rest is dropped.
fn on_error(signals: Arc<Signals>, errors: SyncSender<cpal::Error>) -> impl FnMut(cpal::Error) {
    move |error| {
        if error.kind() == ErrorKind::Xrun {
            signals.xruns.fetch_add(1, Ordering::Relaxed);
            signals.xrun.store(true, Ordering::Relaxed);
        } else if error.kind() != ErrorKind::DeviceChanged
            && error.kind() != ErrorKind::RealtimeDenied
        {
            let _ = errors.try_send(error);
        }
    }
}

/// Lends `engine` to one stream after the other until the worker must stop or the card is lost.
fn serve<T: Send + 'static>(
    device: &Device,
    side: Side,
    run: &Run,
    engine: &mut T,
    idle: impl Fn() -> T,
    ready: Ready,
    build: impl Fn(
        &Found,
        Lent<T>,
        Clock,
        Arc<Signals>,
        SyncSender<cpal::Error>,
    ) -> Result<cpal::Stream, cpal::Error>,
) -> Result<(), CardError> {
    let mut ready = Some(ready);
    let mut period_ms = PERIOD_MS;
    loop {
        let mut found = find(device, side)?;
        let frames = found.config.sample_rate * period_ms / 1000;
        found.config.buffer_size = cpal::BufferSize::Fixed(frames.max(1));
        let (home, returns) = sync_channel(1);
        let (errors_in, errors) = sync_channel(1);
        let signals = Arc::new(Signals::default());
        let lent = Lent { engine: Some(std::mem::replace(engine, idle())), home };
        let began = run.now();
        let result = build(&found, lent, run.clock.clone(), signals.clone(), errors_in)
            .and_then(|stream| stream.play().map(|()| stream))
            .map_err(|e| found.trouble(&e))
            .and_then(|stream| watch(&found, run, &signals, &errors, &mut ready, &stream));
        // The stream is gone here, and its callback with it.
        match returns.recv_timeout(HOMECOMING) {
            Ok(home) => *engine = home,
            Err(_) => unreachable!("a dropped stream drops its callback, which sends it home"),
        }
        count(run, side, &signals);
        match result {
            Err(_) if !run.pulse.stopped() && run.now().since(began) > STEADY => {
                period_ms = (period_ms + PERIOD_MS).min(PERIOD_MS_MAX);
            }
            other => return other,
        }
    }
}

/// Waits beside a running stream. `Ok` when the worker must stop.
fn watch(
    found: &Found,
    run: &Run,
    signals: &Signals,
    errors: &Receiver<cpal::Error>,
    ready: &mut Option<Ready>,
    _stream: &cpal::Stream,
) -> Result<(), CardError> {
    let (mut turns, mut moved) = (0, Moment::ZERO);
    while !run.pulse.stopped() {
        run.pulse.beat();
        count(run, found.side, signals);
        if let Ok(error) = errors.try_recv() {
            return Err(found.trouble(&error));
        }
        let now = signals.turns.load(Ordering::Relaxed);
        if now != turns || moved == Moment::ZERO {
            (turns, moved) = (now, run.now());
        } else if run.now().since(moved) > STALL {
            let detail = format!("nothing moved for {} s", STALL.as_secs());
            return Err(CardError::Broken { device: found.name.clone(), detail });
        }
        if turns > 0
            && let Some(ready) = ready.take()
        {
            ready(found.words());
        }
        std::thread::park_timeout(NAP);
    }
    Ok(())
}

fn count(run: &Run, side: Side, signals: &Signals) {
    let counter = match side {
        Side::Capture => &run.xruns.overruns,
        Side::Playout => &run.xruns.underruns,
    };
    counter.fetch_add(signals.xruns.swap(0, Ordering::Relaxed), Ordering::Relaxed);
}

/// Finds a device and says in which shape it would be opened.
pub(super) fn probe(device: &Device, side: Side) -> Result<String, CardError> {
    find(device, side).map(|found| found.words())
}

/// Every device the system lists.
#[cfg(not(target_os = "linux"))]
pub(super) fn cards() -> Vec<super::Card> {
    let devices = cpal::default_host().devices().into_iter().flatten();
    devices
        .filter_map(|device| {
            let name = device.id().ok()?.id().to_owned();
            let description = device.description().ok()?.name().to_owned();
            let inputs: Vec<_> = device.supported_input_configs().into_iter().flatten().collect();
            let outputs: Vec<_> = device.supported_output_configs().into_iter().flatten().collect();
            let sides = [(Side::Capture, inputs), (Side::Playout, outputs)];
            let sides = sides.into_iter().filter_map(|(side, o)| facts(side, &o)).collect();
            Some(super::Card { name, description, sides })
        })
        .collect()
}

#[cfg(not(target_os = "linux"))]
fn facts(side: Side, offers: &[SupportedStreamConfigRange]) -> Option<super::Facts> {
    let channels = || offers.iter().map(|o| u32::from(o.channels()));
    let usual = [8_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000, 192_000];
    let mut formats: Vec<String> = offers.iter().map(|o| o.sample_format().to_string()).collect();
    formats.sort();
    formats.dedup();
    Some(super::Facts {
        side,
        channels: Some((channels().min()?, channels().max()?)),
        rates: usual.into_iter().filter(|r| offers.iter().any(|o| o.contains_rate(*r))).collect(),
        formats,
        holder: None,
    })
}
