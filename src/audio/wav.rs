//! WAV files (and nothing at all) as cards, paced in real time by our own clock.
//!
//! Written by hound; read by [`super::riff`].

use super::capture::Capture;
use super::drive::{Ready, Run};
use super::playout::Playout;
use super::riff::{SAMPLES_MAX, decode, header};
use super::{CardError, Stamp};
use crate::base::pcm::{BLOCK_RATE, to_i16};
use crate::base::unit::{Moment, Rate};
use std::fs::File;
use std::io::{BufReader, BufWriter, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Periods a second, as of a card.
const PERIODS: u64 = 100;
/// A microphone file begins when the session is ready, or after this time.
const PATIENCE: Duration = Duration::from_secs(2);
/// A file that fell behind by more than this lost time (the machine slept); it does not hurry after.
const BEHIND_MAX: Duration = Duration::from_millis(200);
/// How often the header of a file being written is brought up to date.
const HEADER: Duration = Duration::from_secs(1);

/// A whole WAV file.
#[derive(Debug, Clone, PartialEq)]
pub struct Sound {
    /// Frames a second.
    pub rate: Rate,
    /// Interleaved.
    pub channels: u16,
    /// In [-1, 1].
    pub samples: Vec<f32>,
}

/// Why a WAV file cannot be used, in one line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WavError {
    /// It cannot be opened, read or written.
    #[error("{}: {detail}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        detail: String,
    },
    /// It is no WAV file, or not one of ours.
    #[error(
        "{}: {detail}; a WAV file here is PCM of 16, 24 or 32-bit integers or 32-bit floats, \
         8-192 kHz, 1-8 channels",
        path.display()
    )]
    Unfit {
        /// Which file.
        path: PathBuf,
        /// What it is instead.
        detail: String,
    },
}

impl From<WavError> for CardError {
    fn from(error: WavError) -> Self {
        Self::File(error.to_string())
    }
}

/// Reads a whole file. One whose end is missing counts as long as what is there.
///
/// # Errors
/// [`WavError`] with one clear line.
pub fn read(path: &Path) -> Result<Sound, WavError> {
    let io = |e: std::io::Error| WavError::Io { path: path.to_owned(), detail: e.to_string() };
    let unfit = |detail: String| WavError::Unfit { path: path.to_owned(), detail };
    let mut file = BufReader::new(File::open(path).map_err(io)?);
    let header = match header(&mut file) {
        Ok(found) => found.map_err(unfit)?,
        Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => {
            return Err(unfit("no WAV file, or its header is cut off".into()));
        }
        Err(e) => return Err(io(e)),
    };
    let mut samples =
        decode(&mut file.take(u64::from(header.length)), header.layout).map_err(io)?;
    if samples.len() >= SAMPLES_MAX {
        return Err(unfit(format!("longer than {SAMPLES_MAX} samples")));
    }
    samples.truncate(samples.len() - samples.len() % usize::from(header.channels));
    Ok(Sound { rate: header.rate, channels: header.channels, samples })
}

/// Whether a WAV file can be written there; does not make it.
///
/// # Errors
/// [`WavError::Io`] where the folder is missing or something else is in the way.
pub fn check_writable(path: &Path) -> Result<(), WavError> {
    let fail = |detail: String| Err(WavError::Io { path: path.to_owned(), detail });
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        Some(_) | None => Path::new("."),
    };
    if !folder.is_dir() {
        return fail(format!("the folder {} does not exist", folder.display()));
    }
    if path.is_dir() {
        return fail("is a folder; a WAV file is needed".into());
    }
    if path.exists() {
        return match std::fs::OpenOptions::new().append(true).open(path) {
            Ok(_) => Ok(()),
            Err(error) => fail(error.to_string()),
        };
    }
    Ok(())
}

/// Refuses to write over what is heard: a recording is seldom there twice.
///
/// # Errors
/// [`WavError::Io`] where both are one file, under whatever name.
pub fn check_apart(heard: &Path, written: &Path) -> Result<(), WavError> {
    match (heard.canonicalize(), written.canonicalize()) {
        (Ok(heard), Ok(same)) if heard == same => {
            let detail = "is heard and would be written over; name another file".to_owned();
            Err(WavError::Io { path: written.to_owned(), detail })
        }
        (Ok(_) | Err(_), _) => Ok(()),
    }
}

/// Where periods of 10 ms begin and end when the rate is no multiple of 100.
struct Pace {
    rate: Rate,
    began: Moment,
    period: u64,
}

impl Pace {
    /// Waits for the end of the next period. Gives its end and its frames, and whether time was
    /// lost before it; nothing when the worker must stop.
    fn next(&mut self, run: &Run) -> Option<(Moment, usize, bool)> {
        run.pulse.beat();
        let first = self.period * u64::from(self.rate.0) / PERIODS;
        self.period += 1;
        let last = self.period * u64::from(self.rate.0) / PERIODS;
        let mut due = self.began + self.rate.span(last);
        let behind = run.now().since(due);
        let lost = behind > BEHIND_MAX;
        if lost {
            self.began += behind;
            due += behind;
        }
        run.wait_until(due).then(|| (due, usize::try_from(last - first).unwrap_or(0), lost))
    }
}

fn pace(run: &Run, rate: Rate) -> Pace {
    Pace { rate, began: run.now(), period: 0 }
}

/// Time that was lost while the machine slept counts like a card's: the file goes on where it was,
/// but the time axis has a gap, as that of the speaker has.
fn overrun(run: &Run, xrun: bool) {
    if xrun {
        run.xruns.overruns.fetch_add(1, Ordering::Relaxed);
    }
}

/// A file as microphone: silence until the session is ready (or 2 s), the file once, silence.
pub(super) fn hear_file(
    path: &Path,
    run: &Run,
    capture: &mut Capture,
    ready: Ready,
) -> Result<(), CardError> {
    let sound = read(path)?;
    let channels = usize::from(sound.channels);
    capture.shape(sound.rate, sound.channels);
    let seconds = sound.rate.span((sound.samples.len() / channels) as u64).as_secs_f32();
    ready(format!("file:{}: {}, {channels} channels, {seconds:.1} s", path.display(), sound.rate));
    let mut pace = pace(run, sound.rate);
    let begun = run.now();
    let mut period = Vec::new();
    let mut rest: Option<&[f32]> = None;
    while let Some((at, frames, xrun)) = pace.next(run) {
        overrun(run, xrun);
        if rest.is_none() && (run.pulse.going() || at.since(begun) >= PATIENCE) {
            rest = Some(&sound.samples);
        }
        period.clear();
        if let Some(left) = &mut rest {
            let (now, later) = left.split_at(left.len().min(frames * channels));
            period.extend_from_slice(now);
            *left = later;
        }
        period.resize(frames * channels, 0.0);
        capture.period(&period, Stamp { at, delay: 0, xrun });
    }
    Ok(())
}

/// No microphone: silence.
pub(super) fn hear_nothing(run: &Run, capture: &mut Capture) {
    capture.shape(BLOCK_RATE, 1);
    let mut pace = pace(run, BLOCK_RATE);
    let mut period = Vec::new();
    while let Some((at, frames, xrun)) = pace.next(run) {
        overrun(run, xrun);
        period.resize(frames, 0.0);
        capture.period(&period, Stamp { at, delay: 0, xrun });
    }
}

/// A file as speaker: mono, 16 bit, at the service's rate, so that what was said stands in it
/// sample for sample (but for volume). `lost` is why the file cannot be written any more: the time
/// axis of the conversation then goes on without it.
pub(super) fn say_file(
    path: &Path,
    run: &Run,
    playout: &mut Playout,
    ready: Ready,
    lost: &mut Option<CardError>,
) -> Result<(), CardError> {
    if lost.is_some() {
        say_nothing(run, playout);
        return Ok(());
    }
    let mut file = Some(Recorder::create(path, playout.rate())?);
    ready(format!("file:{}: {}, mono, 16 bit", path.display(), playout.rate()));
    let mut failed = None;
    say(run, playout, |samples| {
        if let Some(recorder) = &mut file
            && let Err(error) = recorder.write(samples)
        {
            failed = Some(error);
            file = None;
        }
        failed.is_none()
    });
    if failed.is_none() {
        failed = file.and_then(|f| f.finish().err());
    }
    let Some(error) = failed else { return Ok(()) };
    *lost = Some(error.clone().into());
    Err(error.into())
}

/// No speaker.
pub(super) fn say_nothing(run: &Run, playout: &mut Playout) {
    say(run, playout, |_| true);
}

/// Lets `playout` fill period after period until the worker must stop or `write` returns `false`.
fn say(run: &Run, playout: &mut Playout, mut write: impl FnMut(&[f32]) -> bool) {
    let rate = playout.rate();
    playout.shape(rate, 1);
    let mut pace = pace(run, rate);
    let mut period = Vec::new();
    while let Some((at, frames, xrun)) = pace.next(run) {
        if xrun {
            run.xruns.underruns.fetch_add(1, Ordering::Relaxed);
        }
        period.resize(frames, 0.0);
        playout.fill(&mut period, Stamp { at, delay: 0, xrun });
        if !write(&period) {
            return;
        }
    }
}

/// Writes a whole 16-bit mono file.
///
/// # Errors
/// [`WavError::Io`] when it cannot be written.
pub fn write(path: &Path, rate: Rate, samples: &[f32]) -> Result<(), WavError> {
    let mut recorder = Recorder::create(path, rate)?;
    recorder.write(samples)?;
    recorder.finish()
}

/// A WAV file whose header is true once a second and at the end.
struct Recorder {
    path: PathBuf,
    writer: hound::WavWriter<BufWriter<File>>,
    /// Samples between two headers, and since the last one.
    every: u64,
    since: u64,
}

impl Recorder {
    fn create(path: &Path, rate: Rate) -> Result<Self, WavError> {
        let spec = hound::WavSpec {
            channels: 1,
            sample_rate: rate.0,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let writer = hound::WavWriter::create(path, spec).map_err(|e| failed(path, &e))?;
        let mut recorder =
            Self { path: path.to_owned(), writer, every: rate.frames(HEADER), since: 0 };
        recorder.header()?;
        Ok(recorder)
    }

    fn header(&mut self) -> Result<(), WavError> {
        self.since = 0;
        self.writer.flush().map_err(|e| failed(&self.path, &e))
    }

    fn write(&mut self, samples: &[f32]) -> Result<(), WavError> {
        for sample in samples {
            self.writer.write_sample(to_i16(*sample)).map_err(|e| failed(&self.path, &e))?;
        }
        self.since += samples.len() as u64;
        if self.since >= self.every { self.header() } else { Ok(()) }
    }

    fn finish(self) -> Result<(), WavError> {
        self.writer.finalize().map_err(|e| failed(&self.path, &e))
    }
}

fn failed(path: &Path, error: &hound::Error) -> WavError {
    let detail = format!("cannot be written: {error}");
    WavError::Io { path: path.to_owned(), detail }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("wav-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    fn read_bytes(name: &str, bytes: &[u8]) -> Result<Sound, WavError> {
        let folder = folder(name);
        let path = folder.join("x.wav");
        std::fs::write(&path, bytes).unwrap();
        let sound = read(&path);
        std::fs::remove_dir_all(folder).unwrap();
        sound
    }

    #[test]
    fn an_unfit_file_is_one_clear_line() {
        for bytes in [&b"hello"[..], b"RIFF\x10\0\0\0WAVEdata\0\0\0\0"] {
            let line = read_bytes("bad", bytes).unwrap_err().to_string();
            assert!(line.contains("x.wav") && line.contains("8-192 kHz"), "{line}");
            assert!(!line.contains('\n'), "{line}");
        }
        let line = read(Path::new("/nowhere/x.wav")).unwrap_err().to_string();
        assert!(line.starts_with("/nowhere/x.wav: "), "{line}");
    }

    #[test]
    fn a_killed_recorder_leaves_a_readable_file() {
        let folder = folder("killed");
        let path = folder.join("x.wav");
        let mut recorder = Recorder::create(&path, Rate(24_000)).unwrap();
        for _ in 0..250 {
            recorder.write(&[0.5; 240]).unwrap();
        }
        // Neither finished nor dropped, as if killed.
        std::mem::forget(recorder);
        let sound = hound::WavReader::open(&path).unwrap();
        assert_eq!((sound.duration(), sound.spec().channels), (48_000, 1));
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn where_no_file_can_be_written_is_said_before() {
        let folder = folder("writable");
        check_writable(&folder.join("new.wav")).unwrap();
        assert!(!folder.join("new.wav").exists(), "looking makes no file");
        let line = check_writable(&folder.join("no/such/x.wav")).unwrap_err().to_string();
        assert!(line.contains("does not exist"), "{line}");
        assert!(check_writable(&folder).unwrap_err().to_string().contains("is a folder"));
        std::fs::remove_dir_all(folder).unwrap();
    }
}
