//! The two blocking loops: they pick the door for the configured device, and reopen what is lost
//! for ever. Nothing here decides; nothing here ends but by [`Pulse::stop`].

use super::capture::Capture;
use super::playout::Playout;
use super::{Backend, Card, CardError, Device, Options, Xruns, wav};
use crate::base::Clock;
use crate::base::event::{Fault, Side};
use crate::base::pulse::Pulse;
use crate::base::ring::Wait;
use crate::base::unit::Moment;
use std::time::Duration;

/// The rate a card is asked for first: every codec has it, and it is a whole multiple of ours.
pub(super) const RATE: u32 = 48_000;
/// Rates we take, in Hz.
pub(super) const RATES: std::ops::RangeInclusive<u32> = 8_000..=192_000;
/// Most channels we take; a device that offers more is a plugin that takes any number.
pub(super) const CHANNELS_MAX: u16 = 8;
/// First wait before a lost card is opened again: a USB plug bounces for about as long.
const WAIT_FIRST: Duration = Duration::from_millis(250);
/// Longest wait: what a person who plugs a card in will bear.
const WAIT_MAX: Duration = Duration::from_secs(5);
/// A card that ran so long was fine: the next loss starts with the first wait again.
const STEADY: Duration = Duration::from_secs(5);
/// Longest time without looking at the pulse.
const NAP: Duration = Duration::from_millis(50);

/// What the loops share.
pub(super) struct Run<'a> {
    pub(super) clock: &'a Clock,
    pub(super) pulse: &'a Pulse,
    pub(super) xruns: &'a Xruns,
}

impl Run<'_> {
    pub(super) fn now(&self) -> Moment {
        (self.clock)()
    }

    /// Waits until `due` or until the worker must stop, which it returns as `false`.
    pub(super) fn wait_until(&self, due: Moment) -> bool {
        loop {
            if self.pulse.stopped() {
                return false;
            }
            let left = due.since(self.now());
            if left.is_zero() {
                return true;
            }
            std::thread::park_timeout(left.min(NAP));
        }
    }
}

/// Serves the microphone until `pulse` stops it: reads periods and hands them to `capture`.
/// Returns within 100 ms of the stop. A card that is missing, busy or broken is reopened for ever;
/// each change is reported once.
pub fn run_capture(
    options: &Options,
    clock: &Clock,
    pulse: &Pulse,
    xruns: &Xruns,
    capture: &mut Capture,
    report: &mut dyn FnMut(Fault),
) {
    let run = Run { clock, pulse, xruns };
    let device = &options.input;
    match device {
        Device::File(path) => {
            let once = |c: &mut Capture, ready: Ready| wav::hear_file(path, &run, c, ready);
            keep_open(Side::Capture, &run, capture, report, once, |_| {});
        }
        Device::Null => wav::hear_nothing(&run, capture),
        Device::Default | Device::Named(_) => match backend(options.backend) {
            Backend::Cpal => {
                let once = |c: &mut Capture, ready: Ready| cpal_capture(device, &run, c, ready);
                keep_open(Side::Capture, &run, capture, report, once, |_| {});
            }
            Backend::Alsa | Backend::Auto => {
                let once = |c: &mut Capture, ready: Ready| alsa_capture(device, &run, c, ready);
                keep_open(Side::Capture, &run, capture, report, once, |_| {});
            }
        },
    }
}

/// Serves the speaker until `pulse` stops it: lets `playout` fill periods and writes them. The
/// same promises as [`run_capture`]. `wake` is the other end of the bell `playout` was made with.
pub fn run_playout(
    options: &Options,
    clock: &Clock,
    pulse: &Pulse,
    xruns: &Xruns,
    playout: &mut Playout,
    wake: &dyn Wait,
    report: &mut dyn FnMut(Fault),
) {
    let run = Run { clock, pulse, xruns };
    let device = &options.output;
    let idle = Playout::absent;
    match device {
        Device::File(path) => {
            // A file that cannot be written any more is told once and not begun anew.
            let mut lost = None;
            let once =
                |p: &mut Playout, ready: Ready| wav::say_file(path, &run, p, ready, &mut lost);
            keep_open(Side::Playout, &run, playout, report, once, idle);
        }
        Device::Null => wav::say_nothing(&run, playout),
        Device::Default | Device::Named(_) => match backend(options.backend) {
            Backend::Cpal => {
                let once = |p: &mut Playout, ready: Ready| cpal_playout(device, &run, p, ready);
                keep_open(Side::Playout, &run, playout, report, once, idle);
            }
            Backend::Alsa | Backend::Auto => {
                let once =
                    |p: &mut Playout, ready: Ready| alsa_playout(device, &run, p, wake, ready);
                keep_open(Side::Playout, &run, playout, report, once, idle);
            }
        },
    }
}

/// Called by a door when the first period went through, with words for a person.
pub(super) type Ready<'a> = &'a mut dyn FnMut(String);

/// Runs `once` (which returns `Ok` only when the worker must stop) again and again, with waits that
/// double. `idle` is called while there is no card.
fn keep_open<T>(
    side: Side,
    run: &Run<'_>,
    engine: &mut T,
    report: &mut dyn FnMut(Fault),
    mut once: impl FnMut(&mut T, Ready) -> Result<(), CardError>,
    idle: impl Fn(&mut T),
) {
    let mut told: Option<CardError> = None;
    let mut wait = WAIT_FIRST;
    while !run.pulse.stopped() {
        run.pulse.beat();
        let opened = run.now();
        let result = once(engine, &mut |words| {
            told = None;
            report(Fault::CardReady { side, words });
        });
        let Err(error) = result else { continue };
        if told.as_ref() != Some(&error) {
            report(Fault::CardLost { side, words: format!("{error}; it is tried again") });
            told = Some(error);
        }
        if run.now().since(opened) > STEADY {
            wait = WAIT_FIRST;
        }
        let due = run.now() + wait;
        while run.now() < due && run.wait_until(due.min(run.now() + NAP)) {
            run.pulse.beat();
            idle(engine);
        }
        wait = (wait * 2).min(WAIT_MAX);
    }
}

/// Finds what cannot work before any thread starts: unreadable or unfit WAV files, a place where no
/// WAV file can be written, a backend that is not in this build. Cards are not opened: they may
/// come later.
///
/// # Errors
/// [`CardError::File`] or [`CardError::NoBackend`], in words for the owner.
pub fn check(options: &Options) -> Result<(), CardError> {
    if let Device::File(path) = &options.input {
        wav::read(path).map_err(|e| CardError::File(e.to_string()))?;
    }
    if let Device::File(path) = &options.output {
        wav::check_writable(path).map_err(|e| CardError::File(e.to_string()))?;
        if let Device::File(heard) = &options.input {
            wav::check_apart(heard, path).map_err(|e| CardError::File(e.to_string()))?;
        }
    }
    let missing = match options.backend {
        Backend::Auto => None,
        Backend::Alsa => (!cfg!(target_os = "linux")).then_some("alsa"),
        Backend::Cpal => (!HAS_CPAL).then_some("cpal"),
    };
    missing.map_or(Ok(()), |name| Err(CardError::NoBackend(name)))
}

/// Opens a device once, as `check` does, and says in words what it found: name, rate, channels and
/// format. Closes it again.
///
/// # Errors
/// As the card says it, with the process that holds a busy one.
pub fn probe(options: &Options, side: Side) -> Result<String, CardError> {
    let device = match side {
        Side::Capture => &options.input,
        Side::Playout => &options.output,
    };
    match device {
        Device::File(_) => check(options).map(|()| format!("{device}: a WAV file in real time")),
        Device::Null => Ok(format!("{device}: silence in real time")),
        Device::Default | Device::Named(_) => match backend(options.backend) {
            Backend::Cpal => cpal_probe(device, side),
            Backend::Alsa | Backend::Auto => alsa_probe(device, side),
        },
    }
}

/// A name that stays the same as long as the card does, whichever way it is written in the
/// configuration: what was measured with one card must not count for another.
pub fn stable_name(options: &Options, device: &Device, side: Side) -> String {
    match backend(options.backend) {
        Backend::Cpal => format!("cpal {device}"),
        Backend::Alsa | Backend::Auto => alsa_stable_name(device, side),
    }
}

/// Every card and PCM a user can name, with what it can do. Cards are opened for a moment.
pub fn cards() -> Vec<Card> {
    alsa_cards()
}

const HAS_CPAL: bool = cfg!(not(all(target_os = "linux", target_arch = "arm")));

fn backend(wanted: Backend) -> Backend {
    match wanted {
        Backend::Auto if cfg!(target_os = "linux") => Backend::Alsa,
        Backend::Auto => Backend::Cpal,
        Backend::Alsa | Backend::Cpal => wanted,
    }
}

#[cfg(target_os = "linux")]
use super::card::{
    cards as alsa_cards, probe as alsa_probe, run_capture as alsa_capture,
    run_playout as alsa_playout, stable_name as alsa_stable_name,
};
#[cfg(not(all(target_os = "linux", target_arch = "arm")))]
use super::desktop::{
    probe as cpal_probe, run_capture as cpal_capture, run_playout as cpal_playout,
};

#[cfg(not(target_os = "linux"))]
mod no_alsa {
    use super::*;

    pub(super) fn alsa_capture(
        _: &Device,
        _: &Run,
        _: &mut Capture,
        _: Ready,
    ) -> Result<(), CardError> {
        Err(CardError::NoBackend("alsa"))
    }

    pub(super) fn alsa_playout(
        _: &Device,
        _: &Run,
        _: &mut Playout,
        _: &dyn Wait,
        _: Ready,
    ) -> Result<(), CardError> {
        Err(CardError::NoBackend("alsa"))
    }

    pub(super) fn alsa_probe(_: &Device, _: Side) -> Result<String, CardError> {
        Err(CardError::NoBackend("alsa"))
    }

    pub(super) fn alsa_stable_name(device: &Device, _: Side) -> String {
        device.to_string()
    }

    pub(super) fn alsa_cards() -> Vec<Card> {
        super::super::desktop::cards()
    }
}
#[cfg(not(target_os = "linux"))]
use no_alsa::{alsa_capture, alsa_cards, alsa_playout, alsa_probe};

#[cfg(all(target_os = "linux", target_arch = "arm"))]
mod no_cpal {
    use super::*;

    pub(super) fn cpal_capture(
        _: &Device,
        _: &Run,
        _: &mut Capture,
        _: Ready,
    ) -> Result<(), CardError> {
        Err(CardError::NoBackend("cpal"))
    }

    pub(super) fn cpal_playout(
        _: &Device,
        _: &Run,
        _: &mut Playout,
        _: Ready,
    ) -> Result<(), CardError> {
        Err(CardError::NoBackend("cpal"))
    }

    pub(super) fn cpal_probe(_: &Device, _: Side) -> Result<String, CardError> {
        Err(CardError::NoBackend("cpal"))
    }
}
#[cfg(all(target_os = "linux", target_arch = "arm"))]
use no_cpal::{cpal_capture, cpal_playout, cpal_probe};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::playout::{PlayoutOptions, playout};
    use crate::base::event::{PlayoutFact, Tag};
    use crate::base::ring::{Epoch, PeriodReader, Silent, periods};
    use crate::base::unit::{Gain, Rate};
    use std::path::PathBuf;
    use std::sync::{Arc, Mutex};

    fn clock() -> Clock {
        #[expect(clippy::disallowed_methods, reason = "the test is the host here")]
        let began = std::time::Instant::now();
        Arc::new(move || Moment::from_micros(u64::try_from(began.elapsed().as_micros()).unwrap()))
    }

    fn wait(ms: u64) {
        let (clock, pulse, xruns) = (clock(), Pulse::default(), Xruns::default());
        let run = Run { clock: &clock, pulse: &pulse, xruns: &xruns };
        run.wait_until(Moment::from_millis(ms));
    }

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("drive-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    fn write_wav(path: &std::path::Path, rate: u32, samples: &[i16]) {
        let length = u32::try_from(samples.len() * 2).unwrap();
        let mut bytes = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0".to_vec();
        bytes.extend(rate.to_le_bytes());
        bytes.extend((rate * 2).to_le_bytes());
        bytes.extend(b"\x02\0\x10\0data");
        bytes.extend(length.to_le_bytes());
        bytes.extend(samples.iter().flat_map(|s| s.to_le_bytes()));
        std::fs::write(path, bytes).unwrap();
    }

    /// Runs a microphone beside `meanwhile`; gives what it heard, its faults and how long its
    /// stop took.
    fn hear(input: Device, meanwhile: impl FnOnce(&Pulse)) -> (PeriodReader, Vec<Fault>, Duration) {
        let (writer, reader) = periods(2048, 1 << 20);
        let mut capture = Capture::new(writer, Arc::new(Silent));
        let (pulse, xruns, faults) = (Pulse::default(), Xruns::default(), Mutex::new(Vec::new()));
        let options = Options { input, ..Options::default() };
        let clock = clock();
        let stopped = std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut report = |f| faults.lock().unwrap().push(f);
                run_capture(&options, &clock, &pulse, &xruns, &mut capture, &mut report);
            });
            meanwhile(&pulse);
            pulse.stop();
            clock()
        });
        let took = clock().since(stopped);
        (reader, faults.into_inner().unwrap(), took)
    }

    fn heard(mut reader: PeriodReader) -> Vec<f32> {
        let mut samples = Vec::new();
        while reader.pop(&mut samples).is_some() {}
        samples
    }

    #[test]
    fn a_microphone_file_waits_for_go_is_heard_once_and_then_silent() {
        let folder = folder("mic");
        let path = folder.join("mic.wav");
        write_wav(&path, 11_025, &[16_384; 1103]);
        let (reader, faults, took) = hear(Device::File(path), |pulse| {
            wait(300);
            pulse.go();
            wait(500);
        });
        let sound = heard(reader);
        let first = sound.iter().position(|s| *s != 0.0).unwrap();
        assert!((250..500).contains(&(first * 1000 / 11_025)), "began at {first}");
        assert!(sound[first..first + 1103].iter().all(|s| *s == 0.5), "whole and once");
        assert!(sound[first + 1103..].iter().all(|s| *s == 0.0), "then silence");
        let ms = sound.len() * 1000 / 11_025;
        assert!((650..950).contains(&ms), "in real time: {ms} ms of 800");
        assert!(matches!(faults[..], [Fault::CardReady { side: Side::Capture, .. }]));
        assert!(took < Duration::from_millis(100), "{took:?}");
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_microphone_file_begins_after_2_s_by_itself() {
        let folder = folder("patience");
        let path = folder.join("mic.wav");
        write_wav(&path, 8000, &[16_384; 80]);
        let (reader, ..) = hear(Device::File(path), |_| wait(2300));
        let first = heard(reader).iter().position(|s| *s != 0.0).unwrap();
        assert!((15_900..17_600).contains(&first), "began at {first}");
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn no_microphone_is_silence_in_real_time() {
        let (reader, faults, took) = hear(Device::Null, |pulse| {
            wait(300);
            assert!(pulse.beats() > 20);
        });
        let sound = heard(reader);
        assert!((3200..5600).contains(&sound.len()) && sound.iter().all(|s| *s == 0.0));
        assert!(faults.is_empty() && took < Duration::from_millis(100));
    }

    #[test]
    fn a_missing_card_is_reported_once_and_tried_for_ever() {
        let (_, faults, took) = hear(Device::Named("no-such-card".into()), |pulse| {
            wait(1200);
            assert!(pulse.beats() > 10, "waiting counts as turning");
        });
        let [Fault::CardLost { side: Side::Capture, words }] = &faults[..] else {
            panic!("{faults:?}");
        };
        assert!(words.starts_with("no-such-card: no such microphone"), "{words}");
        assert!(took < Duration::from_millis(100), "{took:?}");
    }

    /// The bell of a speaker that never rests.
    struct Never;

    impl Wait for Never {
        fn wait(&self, limit: Duration) -> bool {
            std::thread::park_timeout(limit);
            false
        }
    }

    #[test]
    fn a_speaker_file_holds_what_was_said_sample_for_sample() {
        let folder = folder("speaker");
        let path = folder.join("said.wav");
        let said: Vec<i16> = (0..7200).map(|i| (i * 7 % 20_000 - 10_000) as i16).collect();
        let (writer, _reference) = periods(2048, 1 << 20);
        let options = PlayoutOptions { rate: Rate(24_000), gain: Gain::UNITY };
        let (mut playout, mut feed) = playout(options, writer, Arc::new(Silent), Arc::new(Silent));
        let (pulse, xruns, clock) = (Pulse::default(), Xruns::default(), clock());
        let device = Options { output: Device::File(path.clone()), ..Options::default() };
        std::thread::scope(|scope| {
            scope.spawn(|| {
                run_playout(&device, &clock, &pulse, &xruns, &mut playout, &Never, &mut |_| {});
            });
            assert_eq!(feed.play(Epoch(0), Tag(1), &said), said.len());
            feed.end(Epoch(0), Tag(1));
            let drained = PlayoutFact::Drained { tag: Tag(1) };
            let limit = clock() + Duration::from_secs(3);
            while !std::iter::from_fn(|| feed.fact()).any(|f| f == drained) {
                assert!(clock() < limit);
                wait(5);
            }
            pulse.stop();
        });
        let sound = wav::read(&path).unwrap();
        assert_eq!((sound.rate, sound.channels), (Rate(24_000), 1));
        let samples: Vec<i16> =
            sound.samples.iter().map(|s| crate::base::pcm::to_i16(*s)).collect();
        let at = samples.iter().position(|s| *s == said[0]).unwrap();
        assert_eq!(samples[at..at + said.len()], said);
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn what_cannot_work_is_found_before_threads_start() {
        let file = |p: &str| Device::File(p.into());
        let line = |o: Options| check(&o).unwrap_err().to_string();
        let input = Options { input: file("/no/mic.wav"), ..Options::default() };
        assert!(line(input).starts_with("/no/mic.wav: "));
        let output = Options { output: file("/no/such/said.wav"), ..Options::default() };
        assert!(line(output).contains("/no/such does not exist"));
        check(&Options { input: Device::Null, output: Device::Null, ..Options::default() })
            .unwrap();
        check(&Options::default()).unwrap();
    }
}
