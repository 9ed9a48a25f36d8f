//! The card through ALSA: find by stable name, open, serve, recover.
//!
//! Goal: 10-15 ms queued in the speaker, no capture latency beyond a period, and every xrun
//! survived. What cannot be changed: plugins choose buffers of their own and some (pulse) never
//! report an underrun. Choice: the period is asked for before the buffer, because plugins keep only
//! the first; playout looks at what is queued and writes as little as needed instead of keeping the
//! ring full; an empty queue counts as an underrun whether reported or not, and each one lets the
//! fill grow, up to 60 ms. Rejected: blocking on a full ring (its length becomes latency), and
//! the device's own time stamps, whose size differs between C libraries on 32-bit ARM.

use super::capture::Capture;
use super::drive::{Ready, Run};
use super::holder::holder;
use super::playout::Playout;
use super::sample::{self, Layout};
use super::{Card, CardError, Device, Facts, Stamp};
use crate::base::event::Side;
use crate::base::unit::{Moment, Rate};
use alsa::pcm::{Access, Format, Frames, HwParams, PCM, State};
use alsa::{Direction, Error, ValueOr};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// The rate we ask for first: every codec has it, and it is a whole multiple of ours.
const RATE: u32 = 48_000;
/// Rates we take.
const RATES: std::ops::RangeInclusive<u32> = 8_000..=192_000;
/// Most channels we take; a device that offers more is a plugin that takes any number.
const CHANNELS_MAX: u32 = 8;
/// Periods a second: 10 ms of capture is what a block of the front end needs, 5 ms of playout is
/// what a short queue needs.
const CAPTURE_PERIODS: u32 = 100;
const PLAYOUT_PERIODS: u32 = 200;
/// Depth of the capture ring in periods: 80 ms of patience cost no latency.
const CAPTURE_DEPTH: Frames = 8;
/// Depth of the playout ring in periods: room for the fill to grow to [`FILL_MAX`].
const PLAYOUT_DEPTH: Frames = 16;
/// Periods queued in the speaker at most (15 ms); one has been played when the next is written.
const FILL: usize = 3;
/// Largest fill in periods (60 ms): what a loaded desktop needs, and still no noticeable latency.
const FILL_MAX: usize = 12;
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

/// Index, id and names of a card, for finding it by what stays the same.
struct Named {
    index: i32,
    id: String,
    name: String,
    long: String,
    ctl: alsa::Ctl,
}

fn named_cards() -> Vec<Named> {
    alsa::card::Iter::new()
        .flatten()
        .filter_map(|card| {
            let ctl = alsa::Ctl::from_card(&card, false).ok()?;
            let info = ctl.card_info().ok()?;
            let (id, name) = (info.get_id().ok()?.to_owned(), info.get_name().ok()?.to_owned());
            let long = info.get_longname().unwrap_or_default().to_owned();
            Some(Named { index: card.get_index(), id, name, long, ctl })
        })
        .collect()
}

impl Named {
    /// Its PCM devices in a direction.
    fn devices(&self, side: Side) -> Vec<i32> {
        alsa::ctl::DeviceIter::new(&self.ctl)
            .filter(|d| {
                let device = u32::try_from(*d).unwrap_or(0);
                self.ctl.pcm_info(device, 0, direction(side)).is_ok()
            })
            .collect()
    }
}

/// The index behind `hw:CARD=Name,..`, for looking up its holder.
fn card_index(pcm: &str) -> Option<i32> {
    let id = pcm.split_once("CARD=")?.1.split(',').next()?;
    named_cards().into_iter().find(|c| c.id == id).map(|c| c.index)
}

/// The PCM names to try for what the owner wrote, best first: a card's own hardware with its native
/// channels, then with conversion.
fn candidates(device: &Device, side: Side) -> Vec<String> {
    let name = match device {
        Device::Named(name) => name.as_str(),
        Device::Default | Device::File(_) | Device::Null => "default",
    };
    let card = named_cards()
        .into_iter()
        .find(|c| !name.contains(':') && [&c.id, &c.name, &c.long].iter().any(|n| *n == name));
    let Some(card) = card else { return vec![name.to_owned()] };
    let number = card.devices(side).first().copied().unwrap_or(0);
    ["hw", "plughw"].map(|kind| format!("{kind}:CARD={},DEV={number}", card.id)).to_vec()
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
    let opened =
        Opened { pcm, name: name.to_owned(), side, rate, channels, layout, period, buffer };
    soften(&opened, FILL).map_err(failed)?;
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
    if least > CHANNELS_MAX {
        return Ok(None);
    }
    // A microphone is read with all its channels: a plugin asked for one gives the average.
    let wanted = match side {
        Side::Capture if most <= CHANNELS_MAX => most,
        Side::Capture | Side::Playout => 2.clamp(least, most),
    };
    let channels = h.set_channels_near(wanted).map_err(failed)?;
    let rate = h.set_rate_near(RATE, ValueOr::Nearest).map_err(failed)?;
    if channels > CHANNELS_MAX || !RATES.contains(&rate) {
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

/// When the stream starts and when a wait ends, for a playout fill of so many periods.
fn soften(card: &Opened, fill: usize) -> Result<(), Error> {
    let s = card.pcm.sw_params_current()?;
    let frames = |n: usize| Frames::try_from(n).unwrap_or(Frames::MAX);
    match card.side {
        Side::Capture => s.set_avail_min(frames(card.period))?,
        Side::Playout => {
            let fill = (fill * card.period).min(card.buffer);
            s.set_start_threshold(frames(fill))?;
            s.set_avail_min(frames(card.buffer + card.period - fill))?;
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
    let mut bytes = vec![0; card.period * channels * card.layout.bytes()];
    let mut samples = vec![0.0; card.period * channels];
    card.pcm.start().map_err(|e| card.lost(e))?;
    let (mut ready, mut xrun, mut moved) = (Some(ready), false, run.now());
    while !run.pulse.stopped() {
        run.pulse.beat();
        match read(&card, &mut bytes) {
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

/// Waits a little for a whole period; 0 when there is none yet.
fn read(card: &Opened, bytes: &mut [u8]) -> Result<usize, Error> {
    card.pcm.wait(Some(WAIT_MS))?;
    if card.pcm.avail_update()? < Frames::try_from(card.period).unwrap_or(1) {
        // A plugin may be ready with less: without this it would be asked in a circle.
        std::thread::park_timeout(Duration::from_millis(1));
        return Ok(0);
    }
    match card.pcm.io_bytes().readi(bytes) {
        Err(error) if error.errno() == EAGAIN => Ok(0),
        result => result,
    }
}

/// The speaker while it is open.
struct Speaker {
    card: Opened,
    samples: Vec<f32>,
    bytes: Vec<u8>,
    /// Periods queued at most.
    fill: usize,
    /// Whether something was queued since the stream was prepared.
    running: bool,
    xrun: bool,
    moved: Moment,
}

/// Opens the speaker and serves it until the worker must stop or the card is lost.
pub(super) fn run_playout(
    device: &Device,
    run: &Run,
    playout: &mut Playout,
    ready: Ready,
) -> Result<(), CardError> {
    let card = open(device, Side::Playout)?;
    playout.shape(card.rate, card.channels);
    let count = card.period * usize::from(card.channels);
    let mut ready = Some(ready);
    let mut speaker = Speaker {
        samples: vec![0.0; count],
        bytes: vec![0; count * card.layout.bytes()],
        fill: FILL,
        running: false,
        xrun: false,
        moved: run.now(),
        card,
    };
    while !run.pulse.stopped() {
        run.pulse.beat();
        match speaker.turn(run, playout) {
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
                speaker.ran_dry(run);
                speaker.running = false;
            }
        }
    }
    Ok(())
}

impl Speaker {
    /// Writes one period if the queue is low, else waits until it is. Returns whether it wrote.
    fn turn(&mut self, run: &Run, playout: &mut Playout) -> Result<bool, Error> {
        let (period, buffer) = (self.card.period, self.card.buffer);
        let (free, delay) = self.queue()?;
        let queued = buffer.saturating_sub(free);
        if self.running && queued == 0 {
            self.ran_dry(run);
        } else if self.running && queued < period {
            self.grow(self.fill.div_ceil(3));
        }
        let fill = (self.fill * period).min(buffer);
        if queued + period > fill {
            self.rest(queued + period - fill)?;
            return Ok(false);
        }
        let delay = u32::try_from(delay.max(queued)).unwrap_or(u32::MAX);
        let stamp = Stamp { at: run.now(), delay, xrun: std::mem::take(&mut self.xrun) };
        playout.fill(&mut self.samples, stamp);
        sample::write(self.card.layout, &self.samples, &mut self.bytes);
        self.card.pcm.io_bytes().writei(&self.bytes)?;
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

    /// Waits until `excess` frames more have been played.
    fn rest(&mut self, excess: usize) -> Result<(), Error> {
        if self.card.pcm.state() == State::Prepared {
            self.card.pcm.start()?;
        }
        // A card wakes us with its period; what wakes earlier (or at once) is waited for by time.
        self.card.pcm.wait(Some(WAIT_MS))?;
        let free = usize::try_from(self.card.pcm.avail_update()?).unwrap_or(0);
        let queued = self.card.buffer.saturating_sub(free);
        let fill = (self.fill * self.card.period).min(self.card.buffer);
        let left = (queued + self.card.period).saturating_sub(fill).min(excess);
        if left > 0 {
            std::thread::park_timeout(self.card.rate.span(left as u64));
        }
        Ok(())
    }

    /// An underrun, reported or seen: count it, and queue a little more from now on.
    fn ran_dry(&mut self, run: &Run) {
        run.xruns.underruns.fetch_add(1, Ordering::Relaxed);
        self.xrun = true;
        self.grow(self.fill);
    }

    /// Queues a little more from now on: after an underrun, and when one was near, because a plugin
    /// may have run dry further down while a period of ours was on its way to it.
    fn grow(&mut self, by: usize) {
        if self.fill < FILL_MAX {
            self.fill = (self.fill + by).min(FILL_MAX);
            // Where it is refused, waiting by time does it.
            let _ = soften(&self.card, self.fill);
        }
    }
}

/// Opens a device once and says what it is.
pub(super) fn probe(device: &Device, side: Side) -> Result<String, CardError> {
    open(device, side).map(|card| card.words())
}

/// PCM names of the library's own that convert or do nothing: nobody's card.
const PLUGINS: [&str; 11] = [
    "null",
    "lavrate",
    "samplerate",
    "speexrate",
    "speex",
    "upmix",
    "vdownmix",
    "jack",
    "oss",
    "hw",
    "plughw",
];

/// Cards by stable name, then the PCMs of the configuration (`default`, ...).
pub(super) fn cards() -> Vec<Card> {
    let quiet = Quiet::new();
    let both = [Side::Capture, Side::Playout];
    let mut cards: Vec<Card> = named_cards()
        .into_iter()
        .map(|card| {
            let sides = both.iter().filter_map(|side| {
                let device = card.devices(*side).first().copied()?;
                facts(&format!("hw:CARD={},DEV={device}", card.id), *side, Some(card.index), &quiet)
            });
            Card { sides: sides.collect(), name: card.id.clone(), description: card.name.clone() }
        })
        .collect();
    let hints = alsa::device_name::HintIter::new(None, c"pcm").into_iter().flatten();
    for hint in hints {
        let Some(name) = hint.name else { continue };
        if name.contains(':') || PLUGINS.contains(&name.as_str()) {
            continue;
        }
        let wanted = |s: &&Side| hint.direction.is_none_or(|d| d == direction(**s));
        let sides: Vec<Facts> = both
            .iter()
            .filter(wanted)
            .filter_map(|side| facts(&name, *side, None, &quiet))
            .filter(|f| f.channels.is_some() || f.holder.is_some())
            .collect();
        if !sides.is_empty() {
            let description = hint.desc.unwrap_or_default().replace('\n', ", ");
            cards.push(Card { name, description, sides });
        }
    }
    cards
}

/// What a PCM can do; nothing when it does not exist in this direction.
fn facts(pcm: &str, side: Side, card: Option<i32>, quiet: &Quiet) -> Option<Facts> {
    let mut facts = Facts { side, channels: None, rates: vec![], formats: vec![], holder: None };
    let path = std::ffi::CString::new(pcm).ok()?;
    let opened = match PCM::open(&path, direction(side), true) {
        Ok(opened) => opened,
        Err(error) => {
            return match trouble(pcm, side, error, quiet.words()) {
                CardError::Busy { holder, .. } => {
                    facts.holder = Some(holder);
                    Some(facts)
                }
                _ if card.is_some() => {
                    facts.holder = holder(card, side);
                    Some(facts)
                }
                _ => None,
            };
        }
    };
    let h = HwParams::any(&opened).ok()?;
    facts.channels = h.get_channels_min().ok().zip(h.get_channels_max().ok());
    let rates = [8_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000, 192_000];
    facts.rates = rates.into_iter().filter(|r| h.test_rate(*r).is_ok()).collect();
    let formats = LAYOUTS.iter().filter(|l| h.test_format(format(**l)).is_ok());
    facts.formats = formats.map(|l| l.name().to_owned()).collect();
    Some(facts)
}
