//! The card through ALSA: find by stable name, open, serve, recover.
//!
//! Goal: 10-15 ms queued in the speaker, no capture latency beyond a period, and every xrun
//! survived. What cannot be changed: plugins choose buffers of their own and some (pulse) never
//! report an underrun. Choice: the period is asked for before the buffer, because plugins keep only
//! the first; playout looks at what is queued and writes as little as needed instead of keeping the
//! ring full; an empty queue counts as an underrun whether reported or not, and the fill grows after
//! each one, up to 60 ms, and shrinks again while all goes well; a speaker that has been silent for
//! 2 s is stopped. Rejected: blocking on a full ring (its length becomes latency), and the device's
//! own time stamps, whose size differs between C libraries on 32-bit ARM.

mod list;
mod speaker;

use list::{candidates, card_index};
pub(super) use list::{cards, stable_name};
pub(super) use speaker::run_playout;

use crate::audio::capture::Capture;
use crate::audio::drive::{CHANNELS_MAX, RATE, RATES, Ready, Run};
use crate::audio::fill::Fill;
use crate::audio::holder::holder;
use crate::audio::sample::{self, Layout};
use crate::audio::{CardError, Device, Stamp};
use crate::base::event::Side;
use crate::base::unit::Rate;
use alsa::pcm::{Access, Format, Frames, HwParams, PCM};
use alsa::{Direction, Error, ValueOr};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Periods a second: 20 ms of capture is what a message to the service carries, and shorter ones
/// would be waited for there; 5 ms of playout is what a short queue needs.
const CAPTURE_PERIODS: u32 = 50;
const PLAYOUT_PERIODS: u32 = 200;
/// Depth of the capture ring in periods: 160 ms of patience cost no latency.
const CAPTURE_DEPTH: Frames = 8;
/// Depth of the playout ring in periods: room for the largest fill.
const PLAYOUT_DEPTH: Frames = 16;
/// Periods read at one go while nobody waits for each: 40 ms.
const PERIODS_AT_EASE: usize = 2;
/// Longest wait for the device before the pulse is looked at.
const WAIT_MS: u32 = 50;
/// A device that moves nothing for so long is opened anew.
const STALL: Duration = Duration::from_secs(3);
/// Best first. Integers before floats: a float-only device is a plugin.
const LAYOUTS: [Layout; 5] = [Layout::S32, Layout::S24In3, Layout::S24, Layout::S16, Layout::Float];

// Linux error numbers; the same on every architecture we build for.
const EPERM: i32 = 1;
const ENOENT: i32 = 2;
const EINTR: i32 = 4;
const ENXIO: i32 = 6;
const EAGAIN: i32 = 11;
const EACCES: i32 = 13;
const EBUSY: i32 = 16;
const ENODEV: i32 = 19;
const EPIPE: i32 = 32;
const ESTRPIPE: i32 = 86;
const ECONNREFUSED: i32 = 111;

/// An open device.
struct Opened {
    pcm: PCM,
    name: String,
    side: Side,
    rate: Rate,
    channels: u16,
    layout: Layout,
    period: usize,
    buffer: usize,
}

impl Opened {
    fn words(&self) -> String {
        format!(
            "{}: {}, {} channels, {}, periods of {:.1} ms",
            self.name,
            self.rate,
            self.channels,
            self.layout.name(),
            self.rate.span(self.period as u64).as_secs_f32() * 1000.0
        )
    }

    fn lost(&self, error: Error) -> CardError {
        trouble(&self.name, self.side, error, None)
    }

    fn stalled(&self) -> CardError {
        let detail = format!("nothing moved for {} s", STALL.as_secs());
        CardError::Broken { device: self.name.clone(), detail }
    }

    /// Gets over an xrun or a suspend; anything else is a lost card.
    fn recover(&self, error: Error) -> Result<(), CardError> {
        match error.errno() {
            EPIPE | ESTRPIPE | EINTR => self.pcm.try_recover(error, true).map_err(|e| self.lost(e)),
            _ => Err(self.lost(error)),
        }
    }
}

const fn direction(side: Side) -> Direction {
    match side {
        Side::Capture => Direction::Capture,
        Side::Playout => Direction::Playback,
    }
}

const fn format(layout: Layout) -> Format {
    match layout {
        Layout::S16 => Format::S16LE,
        Layout::S24In3 => Format::S243LE,
        Layout::S24 => Format::S24LE,
        Layout::S32 => Format::S32LE,
        Layout::Float => Format::FloatLE,
    }
}

/// Keeps what the library would print to stderr; returns the last of it as words.
struct Quiet(Option<std::rc::Rc<std::cell::RefCell<alsa::Output>>>);

impl Quiet {
    fn new() -> Self {
        Self(alsa::Output::local_error_handler().ok())
    }

    fn words(&self) -> Option<String> {
        let text = self.0.as_ref()?.borrow().to_string();
        text.lines().rev().find(|l| !l.trim().is_empty()).map(|l| l.trim().to_owned())
    }
}

fn trouble(name: &str, side: Side, error: Error, more: Option<String>) -> CardError {
    let device = name.to_owned();
    let system = std::io::Error::from_raw_os_error(error.errno()).to_string();
    let detail = more.map_or_else(|| system.clone(), |m| format!("{system}: {m}"));
    match error.errno() {
        EBUSY => {
            let holder = holder(card_index(name), side);
            CardError::Busy { device, holder: holder.unwrap_or_else(|| "another process".into()) }
        }
        ENOENT | ENODEV | ENXIO | ECONNREFUSED => CardError::Missing { device, side, detail },
        EPERM | EACCES => {
            let detail = format!("{detail}; is the user in the group audio?");
            CardError::Broken { device, detail }
        }
        _ => CardError::Broken { device, detail },
    }
}

fn open(device: &Device, side: Side) -> Result<Opened, CardError> {
    let quiet = Quiet::new();
    let mut first = None;
    for name in candidates(device, side) {
        match open_named(&name, side, &quiet) {
            Ok(opened) => return Ok(opened),
            Err(error @ (CardError::Missing { .. } | CardError::Busy { .. })) => return Err(error),
            Err(error) => first = first.or(Some(error)),
        }
    }
    let device = device.to_string();
    Err(first.unwrap_or(CardError::Missing { device, side, detail: "no PCM".into() }))
}

fn open_named(name: &str, side: Side, quiet: &Quiet) -> Result<Opened, CardError> {
    let failed = |e| trouble(name, side, e, quiet.words());
    let path = std::ffi::CString::new(name).map_err(|_| CardError::Missing {
        device: name.replace('\0', "?"),
        side,
        detail: "a name has no zero byte".into(),
    })?;
    let pcm = PCM::open(&path, direction(side), false).map_err(failed)?;
    let (rate, channels, layout) = negotiate(&pcm, side, name)?.ok_or_else(|| {
        let detail = "offers none of 16, 24, 32-bit integer or 32-bit float samples, 1-8 channels, \
                      8-192 kHz";
        CardError::Unsuitable { device: name.to_owned(), detail: detail.into() }
    })?;
    let (buffer, period) = pcm.get_params().map_err(failed)?;
    let size = |frames: u64| usize::try_from(frames).unwrap_or(usize::MAX).max(1);
    let (period, buffer) = (size(period), size(buffer));
    let name = name.to_owned();
    let opened = Opened { pcm, name, side, rate, channels, layout, period, buffer };
    let least = match side {
        Side::Capture => period,
        Side::Playout => Fill::new(period, buffer).frames(),
    };
    soften(&opened, least).map_err(failed)?;
    Ok(opened)
}

/// Sets the shape of the stream. `None`: it has no shape of ours.
fn negotiate(pcm: &PCM, side: Side, name: &str) -> Result<Option<(Rate, u16, Layout)>, CardError> {
    let failed = |e| trouble(name, side, e, None);
    let h = HwParams::any(pcm).map_err(failed)?;
    h.set_access(Access::RWInterleaved).map_err(failed)?;
    let Some(layout) = LAYOUTS.into_iter().find(|l| h.test_format(format(*l)).is_ok()) else {
        return Ok(None);
    };
    h.set_format(format(layout)).map_err(failed)?;
    let (least, most) =
        (h.get_channels_min().map_err(failed)?, h.get_channels_max().map_err(failed)?);
    if least > u32::from(CHANNELS_MAX) {
        return Ok(None);
    }
    // A microphone is read with all its channels: a plugin asked for one gives the average.
    let wanted = match side {
        Side::Capture if most <= u32::from(CHANNELS_MAX) => most,
        Side::Capture | Side::Playout => 2.clamp(least, most),
    };
    let channels = h.set_channels_near(wanted).map_err(failed)?;
    let rate = h.set_rate_near(RATE, ValueOr::Nearest).map_err(failed)?;
    if channels > u32::from(CHANNELS_MAX) || !RATES.contains(&rate) {
        return Ok(None);
    }
    let (periods, depth) = match side {
        Side::Capture => (CAPTURE_PERIODS, CAPTURE_DEPTH),
        Side::Playout => (PLAYOUT_PERIODS, PLAYOUT_DEPTH),
    };
    // The period first: plugins keep what was set first.
    let period = Frames::from((rate / periods).max(1) as i32);
    let period = h.set_period_size_near(period, ValueOr::Nearest).map_err(failed)?;
    h.set_buffer_size_near(period * depth).map_err(failed)?;
    pcm.hw_params(&h).map_err(failed)?;
    Ok(Some((Rate(rate), u16::try_from(channels).unwrap_or(1), layout)))
}

/// When a wait ends, for so many frames that are read at one go, or that are queued. A speaker starts
/// with its first period and not with its fill: a plugin keeps the threshold the stream was prepared
/// with, and after an underrun would wait for ever for a fill that has shrunk since.
fn soften(card: &Opened, count: usize) -> Result<(), Error> {
    let s = card.pcm.sw_params_current()?;
    let frames = |n: usize| Frames::try_from(n).unwrap_or(Frames::MAX);
    match card.side {
        Side::Capture => s.set_avail_min(frames(count))?,
        Side::Playout => {
            s.set_start_threshold(frames(card.period))?;
            s.set_avail_min(frames(card.buffer + card.period - count))?;
        }
    }
    card.pcm.sw_params(&s)
}

/// Opens the microphone and serves it until the worker must stop or the card is lost.
pub(super) fn run_capture(
    device: &Device,
    run: &Run,
    capture: &mut Capture,
    ready: Ready,
) -> Result<(), CardError> {
    let card = open(device, Side::Capture)?;
    capture.shape(card.rate, card.channels);
    let channels = usize::from(card.channels);
    let most = card.period * PERIODS_AT_EASE * channels;
    let mut bytes = vec![0; most * card.layout.bytes()];
    let mut samples = vec![0.0; most];
    card.pcm.start().map_err(|e| card.lost(e))?;
    let (mut ready, mut xrun, mut moved) = (Some(ready), false, run.now());
    let mut wanted = card.period;
    while !run.pulse.stopped() {
        run.pulse.beat();
        let count = card.period * if run.pulse.eased() { PERIODS_AT_EASE } else { 1 };
        if wanted != count {
            // Where it is refused, waiting by time does it.
            let _ = soften(&card, count);
            wanted = count;
        }
        match read(&card, wanted, &mut bytes[..wanted * channels * card.layout.bytes()]) {
            Ok(0) if run.now().since(moved) > STALL => return Err(card.stalled()),
            Ok(0) => {}
            Ok(frames) => {
                // A plugin may report more than a second when it does not know.
                let delay = card.pcm.delay().unwrap_or(0).clamp(0, Frames::from(RATE as i32));
                moved = run.now();
                let stamp = Stamp { at: moved, delay: u32::try_from(delay).unwrap_or(0), xrun };
                let count = sample::read(
                    card.layout,
                    &bytes[..frames * channels * card.layout.bytes()],
                    &mut samples,
                );
                capture.period(&samples[..count], stamp);
                xrun = false;
                if let Some(ready) = ready.take() {
                    ready(card.words());
                }
            }
            Err(error) => {
                card.recover(error)?;
                card.pcm.start().map_err(|e| card.lost(e))?;
                run.xruns.overruns.fetch_add(1, Ordering::Relaxed);
                xrun = true;
            }
        }
    }
    Ok(())
}

/// Waits a little for `wanted` frames and reads them; 0 when they are not there yet.
fn read(card: &Opened, wanted: usize, bytes: &mut [u8]) -> Result<usize, Error> {
    card.pcm.wait(Some(WAIT_MS))?;
    let there = card.pcm.avail_update().map(|frames| usize::try_from(frames).unwrap_or(0))?;
    if there < wanted {
        // A plugin may be ready with less: the rest is there when it has been spoken.
        std::thread::park_timeout(card.rate.span((wanted - there) as u64));
        return Ok(0);
    }
    match card.pcm.io_bytes().readi(bytes) {
        Err(error) if error.errno() == EAGAIN => Ok(0),
        result => result,
    }
}

/// Opens a device once and says what it is.
pub(super) fn probe(device: &Device, side: Side) -> Result<String, CardError> {
    open(device, side).map(|card| card.words())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_speaker_starts_with_a_period_whatever_its_fill() {
        let card = open(&Device::Named("null".into()), Side::Playout).unwrap();
        for periods in [3, 12, 4] {
            soften(&card, periods * card.period).unwrap();
            let set = card.pcm.sw_params_current().unwrap();
            assert_eq!(set.get_start_threshold().unwrap(), card.period as Frames);
            let room = card.buffer + card.period - periods * card.period;
            assert_eq!(set.get_avail_min().unwrap(), room as Frames);
        }
    }
}
