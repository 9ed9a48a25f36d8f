//! DOOR to prompts: what the speaker says by itself, in words that were recorded when the package was
//! built. Where there are none it says nothing.

use crate::audio::wav;
use crate::base::event::{Near, PlayoutFact, Tag, Voice};
use crate::base::pcm::{Block, to_i16};
use crate::base::unit::{Moment, Rate, Score};
use crate::dsp::resample::Resampler;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where prompts are looked for: a checkout first, then what the package installed.
pub const DIRS: [&str; 2] = ["prompts", "/usr/share/grok-speaker/prompts"];
/// Where the person's language is not spoken.
const ENGLISH: &str = "en";
/// Tag of every word: the conversation counts its own from 1 and does not come so far.
pub const TAG: Tag = Tag(u32::MAX);
/// Longest recording of a word that is taken for one.
const WORD_MAX: Duration = Duration::from_secs(5);
/// Between two digits, between two groups of three, and before it is said again.
const GAP: Duration = Duration::from_millis(120);
const PAUSE: Duration = Duration::from_millis(450);
const AGAIN: Duration = Duration::from_millis(900);
/// After a word the room still sounds for so long.
const ECHO: Duration = Duration::from_millis(300);

/// What can be said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice<'a> {
    /// "The pairing code is", and six digits, all twice; then once, where the panel is.
    Code {
        /// Six of them.
        digits: &'a str,
        /// Digits with `.` between, and a port behind `:`.
        address: Option<&'a str>,
    },
    /// Too many wrong codes: the window is closed.
    Lost,
}

/// The words of a notice that are still to be said. One at a time goes to playout, so that a reply
/// waits for a word at most, and none goes while a reply sounds.
#[derive(Debug, Default)]
pub struct Speech {
    words: VecDeque<Vec<i16>>,
    sounding: bool,
    /// It tells a code.
    code: bool,
    /// Since when nothing sounds.
    ended: Option<Moment>,
    until: Moment,
}

impl Speech {
    /// Says this from now on, until it is of no use any more; what was being said before is dropped.
    pub fn begin(&mut self, notice: Notice<'_>, words: VecDeque<Vec<i16>>, until: Moment) {
        (self.words, self.until) = (words, until);
        self.code = matches!(notice, Notice::Code { .. });
    }

    /// Whether a code is being told, or about to be.
    pub fn tells_code(&self) -> bool {
        self.code && self.is_under_way()
    }

    /// Whether something is being said, or about to be.
    pub fn is_under_way(&self) -> bool {
        self.sounding || !self.words.is_empty()
    }

    /// Nobody wants to hear it.
    pub fn stop(&mut self, now: Moment) {
        self.words.clear();
        if std::mem::take(&mut self.sounding) {
            self.ended = Some(now);
        }
    }

    /// The next word, when it is its turn.
    pub fn next(&mut self, now: Moment, is_replying: bool) -> Option<Vec<i16>> {
        if now >= self.until {
            self.words.clear();
            self.sounding = false;
        }
        if self.sounding || is_replying {
            return None;
        }
        let word = self.words.pop_front()?;
        self.sounding = true;
        Some(word)
    }

    /// Whether playout speaks of a word of ours. The conversation knows nothing of it.
    pub fn heed(&mut self, fact: PlayoutFact, now: Moment) -> bool {
        let (PlayoutFact::Started { tag, .. }
        | PlayoutFact::Heard { tag, .. }
        | PlayoutFact::Drained { tag }
        | PlayoutFact::Starved { tag }) = fact
        else {
            return false;
        };
        if fact == (PlayoutFact::Drained { tag: TAG }) {
            (self.sounding, self.ended) = (false, Some(now));
        }
        tag == TAG
    }

    /// What the microphone heard, without our own words: a code is not for the service, and no
    /// reason to answer.
    pub fn without(&self, near: Near) -> Near {
        let echoes = self.ended.is_some_and(|at| near.at.since(at) < ECHO);
        if !self.sounding && !echoes {
            return near;
        }
        Near { block: Block::SILENCE, speech: Score(0.0), voice: Voice::Quiet, wake: None, ..near }
    }
}

/// The recorded words of a notice in this language (a BCP-47 tag or `auto`), one by one, with the
/// pauses that belong to them. `None` where one is missing.
pub fn words(
    dirs: &[PathBuf],
    language: &str,
    notice: Notice<'_>,
    rate: Rate,
) -> Option<VecDeque<Vec<i16>>> {
    let spoken = language.split('-').next().unwrap_or_default().to_ascii_lowercase();
    let folders = || dirs.iter().filter_map(|dir| folder(dir, &spoken));
    let folder = folders().next()?;
    let word = |name: &str, pause: Duration| read(&folder.join(format!("{name}.wav")), rate, pause);
    let once = match notice {
        Notice::Lost => return Some(VecDeque::from([word("lost", GAP)?])),
        Notice::Code { digits, .. } => {
            let mut once = vec![word("code", PAUSE)?];
            for (n, digit) in digits.chars().enumerate() {
                let pause = match n {
                    2 => PAUSE,
                    5 => AGAIN,
                    _ => GAP,
                };
                once.push(word(&digit.to_string(), pause)?);
            }
            once
        }
    };
    let mut all: VecDeque<_> = once.iter().chain(&once).cloned().collect();
    if let Notice::Code { address: Some(address), .. } = notice {
        // Where these words are missing the code is as good.
        all.extend(place(address, word).into_iter().flatten());
    }
    Some(all)
}

/// "The address is", and what is typed.
fn place(
    address: &str,
    word: impl Fn(&str, Duration) -> Option<Vec<i16>>,
) -> Option<Vec<Vec<i16>>> {
    let mut said = vec![word("address", PAUSE)?];
    for sign in address.chars() {
        said.push(match sign {
            '.' => word("dot", GAP)?,
            ':' => word("port", PAUSE)?,
            digit => word(&digit.to_string(), GAP)?,
        });
    }
    Some(said)
}

fn folder(dir: &Path, language: &str) -> Option<PathBuf> {
    let known = !language.is_empty() && language.bytes().all(|b| b.is_ascii_lowercase());
    let own = known.then(|| dir.join(language));
    own.into_iter().chain([dir.join(ENGLISH)]).find(|folder| folder.is_dir())
}

/// A recording at the rate of the service, and silence after it.
fn read(path: &Path, rate: Rate, pause: Duration) -> Option<Vec<i16>> {
    let sound = wav::read(path).ok()?;
    if sound.channels != 1 || sound.samples.len() as u64 > sound.rate.frames(WORD_MAX) {
        return None;
    }
    let mut samples = Vec::new();
    let mut resampler = Resampler::new(sound.rate, rate, sound.samples.len().max(1));
    resampler.process(&sound.samples, &mut samples);
    let mut samples: Vec<i16> = samples.into_iter().map(to_i16).collect();
    let silence = usize::try_from(rate.frames(pause)).unwrap_or(0);
    samples.resize(samples.len() + silence, 0);
    Some(samples)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::unit::Db;

    const RATE: Rate = Rate(24_000);

    /// Prompts of one language, each a constant of its own; removed afterwards.
    struct Prompts(PathBuf);

    impl Prompts {
        fn new(name: &str, language: &str, rate: u32, level: i16) -> Self {
            let dir = std::env::temp_dir().join(format!("prompts-{name}-{}", std::process::id()));
            let folder = dir.join(language);
            std::fs::create_dir_all(&folder).unwrap();
            let spec = hound::WavSpec {
                channels: 1,
                sample_rate: rate,
                bits_per_sample: 16,
                sample_format: hound::SampleFormat::Int,
            };
            let names = (0..10)
                .map(|n| n.to_string())
                .chain(["code", "lost", "address", "dot", "port"].map(Into::into));
            for (n, name) in (1..).zip(names) {
                let file = folder.join(format!("{name}.wav"));
                let mut out = hound::WavWriter::create(file, spec).unwrap();
                (0..rate / 10).for_each(|_| out.write_sample(level * n).unwrap());
                out.finalize().unwrap();
            }
            Self(dir)
        }

        fn words(&self, language: &str, notice: Notice<'_>) -> Option<VecDeque<Vec<i16>>> {
            words(std::slice::from_ref(&self.0), language, notice, RATE)
        }
    }

    impl Drop for Prompts {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn at(ms: u64) -> Moment {
        Moment::ZERO + Duration::from_millis(ms)
    }

    #[test]
    fn a_code_is_said_digit_by_digit_and_twice() {
        let prompts = Prompts::new("twice", "en", 24_000, 1000);
        let code = |address| prompts.words("auto", Notice::Code { digits: "072319", address });
        let words = code(None).unwrap();
        let said = |words: &VecDeque<Vec<i16>>| -> Vec<_> {
            words.iter().map(|word| word[10] / 1000 - 1).collect()
        };
        // 10 is "the pairing code is".
        let twice = [10, 0, 7, 2, 3, 1, 9, 10, 0, 7, 2, 3, 1, 9];
        assert_eq!(said(&words), twice);
        let more = said(&code(Some("10.0.3.7:80")).unwrap());
        // "The address is", "dot", "port".
        assert_eq!(more[..14], twice);
        assert_eq!(more[14..], [12, 1, 0, 13, 0, 13, 3, 13, 7, 14, 8, 0]);
        std::fs::remove_file(prompts.0.join("en/dot.wav")).unwrap();
        assert_eq!(said(&code(Some("10.0.3.7:80")).unwrap()), twice);
        assert!(words.iter().all(|word| word.ends_with(&[0; 100]) && word[2399] != 0));
        assert_eq!(prompts.words("xx-YY", Notice::Lost).unwrap()[0][10], 12_000);
    }

    #[test]
    fn a_person_hears_their_own_language_where_it_is_there() {
        let prompts = Prompts::new("language", "en", 24_000, 1000);
        let german = Prompts::new("language", "de", 24_000, 2000);
        let lost = |language: &str| prompts.words(language, Notice::Lost).unwrap()[0][10];
        assert_eq!(
            (lost("de-AT"), lost("DE"), lost("fr"), lost("../de")),
            (24_000, 24_000, 12_000, 12_000)
        );
        drop(german);
    }

    #[test]
    fn without_recordings_nothing_is_said() {
        let prompts = Prompts::new("none", "en", 24_000, 100);
        let code = |digits| Notice::Code { digits, address: None };
        assert!(words(&[], "en", Notice::Lost, RATE).is_none());
        assert!(prompts.words("en", code("12x456")).is_none());
        let file = |name: &str| prompts.0.join("en").join(name);
        std::fs::write(file("3.wav"), "no sound").unwrap();
        assert!(prompts.words("en", code("123456")).is_none());
        std::fs::remove_file(file("lost.wav")).unwrap();
        assert!(prompts.words("en", Notice::Lost).is_none());
        // One that is no word.
        let long = wav_of(6);
        std::fs::write(file("lost.wav"), long).unwrap();
        assert!(prompts.words("en", Notice::Lost).is_none());
    }

    fn wav_of(seconds: u32) -> Vec<u8> {
        let mut bytes = std::io::Cursor::new(Vec::new());
        let spec = hound::WavSpec {
            channels: 1,
            sample_rate: 8000,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let mut out = hound::WavWriter::new(&mut bytes, spec).unwrap();
        (0..seconds * 8000).for_each(|_| out.write_sample(1_i16).unwrap());
        out.finalize().unwrap();
        bytes.into_inner()
    }

    #[test]
    fn other_rates_are_made_ours() {
        let prompts = Prompts::new("rate", "en", 48_000, 1000);
        let word = &prompts.words("en", Notice::Lost).unwrap()[0];
        let pause = RATE.frames(GAP) as usize;
        assert!((2390..=2410).contains(&(word.len() - pause)), "{}", word.len());
        assert!((11_900..12_100).contains(&word[1200]), "{}", word[1200]);
    }

    #[test]
    fn a_word_waits_for_the_one_before_and_for_a_reply() {
        let mut speech = Speech::default();
        speech.begin(Notice::Lost, VecDeque::from([vec![1], vec![2], vec![3]]), at(60_000));
        assert_eq!(speech.next(at(0), true), None);
        assert_eq!(speech.next(at(1), false), Some(vec![1]));
        assert_eq!(speech.next(at(2), false), None);
        assert!(speech.heed(PlayoutFact::Heard { tag: TAG, samples: 1 }, at(3)));
        assert!(!speech.heed(PlayoutFact::Drained { tag: Tag(1) }, at(3)));
        assert_eq!(speech.next(at(3), false), None);
        assert!(speech.heed(PlayoutFact::Drained { tag: TAG }, at(4)));
        assert_eq!(speech.next(at(5), false), Some(vec![2]));
        // Somebody says stop.
        speech.stop(at(6));
        assert_eq!(speech.next(at(7), false), None);
        // A code that is no good any more is not said.
        speech.begin(Notice::Lost, VecDeque::from([vec![1]]), at(10));
        assert_eq!(speech.next(at(10), false), None);
        assert_eq!(speech.next(at(5), false), None);
    }

    #[test]
    fn what_we_say_is_not_heard() {
        let near = |ms| Near {
            at: at(ms),
            block: Block([0.5; crate::base::pcm::BLOCK]),
            speech: Score(0.9),
            voice: Voice::Talking,
            wake: Some(Score(1.0)),
            mic: Db(-20.0),
            far: Db(-20.0),
            erle: Db(0.0),
        };
        let mut speech = Speech::default();
        assert_eq!(speech.without(near(0)), near(0));
        speech.begin(Notice::Lost, VecDeque::from([vec![1]]), at(60_000));
        assert!(speech.next(at(100), false).is_some());
        for ms in [100, 150, 399] {
            let heard = speech.without(near(ms));
            let silence = (Block::SILENCE, Voice::Quiet, None, Score(0.0));
            assert_eq!((heard.block, heard.voice, heard.wake, heard.speech), silence, "{ms}");
            if ms == 150 {
                speech.heed(PlayoutFact::Drained { tag: TAG }, at(150));
            }
        }
        assert_eq!(speech.without(near(460)), near(460));
    }
}
