//! Sound through a card made of software: PulseAudio null sinks behind ALSA (`tests/card`).
//!
//! The library reads `ALSA_CONFIG_PATH` from its own environment, so each test starts a card and
//! then runs itself again, as one of the tests in `inside`, with that environment.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "tests, and their figures")]

use crate::fair;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

/// One card at a time: two at once would measure each other.
pub(crate) static TURN: Mutex<()> = Mutex::new(());

/// A running card; stopped and removed when dropped.
pub(crate) struct SoftCard {
    pub(crate) folder: PathBuf,
    pub(crate) environment: Vec<(String, String)>,
}

pub(crate) fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/card/card.sh")
}

impl SoftCard {
    pub(crate) fn start(name: &str) -> Self {
        Self::within(name, &[])
    }

    /// With more in the environment of its script.
    pub(crate) fn within(name: &str, more: &[(&str, &str)]) -> Self {
        let folder = std::env::temp_dir().join(format!("card-{name}-{}", std::process::id()));
        let out = Command::new(script())
            .arg("start")
            .arg(&folder)
            .envs(more.iter().copied())
            .output()
            .unwrap();
        let words = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(out.status.success(), "the test's sound card did not start: {words}");
        let mut environment: Vec<_> = String::from_utf8_lossy(&out.stdout)
            .lines()
            .filter_map(|l| l.split_once('='))
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .collect();
        environment.push(("SOFT_CARD".into(), folder.display().to_string()));
        Self { folder, environment }
    }
}

impl Drop for SoftCard {
    fn drop(&mut self) {
        let _ = Command::new(script()).arg("stop").arg(&self.folder).status();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Runs one of the tests below on a card of its own.
fn on_a_card(test: &str, backend: &str) {
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    fair::judged(|| once_on_a_card(test, backend));
    drop(turn);
}

fn once_on_a_card(test: &str, backend: &str) {
    let card = SoftCard::start(&format!("{test}-{backend}"));
    // The audio threads have real-time priority in the daemon; here the whole process has it.
    let prompt = Command::new("chrt").args(["-f", "10", "true"]).stderr(Stdio::null()).status();
    let own = std::env::current_exe().unwrap();
    let mut command = if prompt.is_ok_and(|s| s.success()) {
        let mut command = Command::new("chrt");
        command.args(["-f", "10"]).arg(own);
        command
    } else {
        Command::new(own)
    };
    let out = command
        .args(["--ignored", "--exact", "--nocapture", &format!("sound::inside::{test}")])
        .envs(card.environment.iter().cloned())
        .env("SOFT_CARD_BACKEND", backend)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    drop(card);
    let words =
        String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success() && words.contains("1 passed"), "{backend}: {words}");
    println!("{backend}: {words}");
}

#[test]
fn alsa_plays_ten_seconds_without_a_gap() {
    on_a_card("a_tone_is_played_whole", "alsa");
}

#[test]
fn alsa_hears_ten_seconds_without_a_gap() {
    on_a_card("a_tone_is_heard_whole", "alsa");
}

#[test]
fn alsa_hears_whole_while_it_saves_wake_ups() {
    on_a_card("a_tone_is_heard_whole_at_ease", "alsa");
}

#[test]
fn alsa_keeps_the_time_axis_over_a_standstill() {
    on_a_card("a_standstill_keeps_the_time_axis", "alsa");
}

#[test]
fn alsa_is_silent_after_a_flush() {
    on_a_card("a_flush_is_silent", "alsa");
}

#[test]
fn alsa_speaks_whole_after_a_rest() {
    on_a_card("a_tone_is_played_whole_after_a_rest", "alsa");
}

#[test]
fn alsa_reopens_a_card_that_vanishes() {
    on_a_card("a_card_comes_back", "alsa");
}

#[test]
fn alsa_waits_for_a_card_that_is_absent_at_the_start() {
    on_a_card("a_card_comes_late", "alsa");
}

#[test]
fn the_cards_are_listed_by_the_names_a_user_writes() {
    on_a_card("cards_are_listed", "alsa");
}

#[test]
fn cpal_plays_ten_seconds_without_a_gap() {
    on_a_card("a_tone_is_played_whole", "cpal");
}

#[test]
fn cpal_hears_ten_seconds_without_a_gap() {
    on_a_card("a_tone_is_heard_whole", "cpal");
}

#[test]
fn cpal_is_silent_after_a_flush() {
    on_a_card("a_flush_is_silent", "cpal");
}

mod inside {
    use super::script;
    use grok_speaker::audio::capture::Capture;
    use grok_speaker::audio::drive;
    use grok_speaker::audio::feed::Feed;
    use grok_speaker::audio::playout::{PlayoutOptions, playout};
    use grok_speaker::audio::{Backend, Device, Options, Xruns};
    use grok_speaker::base::Clock;
    use grok_speaker::base::event::{Fault, PlayoutFact, Side, Tag};
    use grok_speaker::base::pulse::Pulse;
    use grok_speaker::base::ring::{Bell, Epoch, PeriodHead, PeriodReader, Silent, periods};
    use grok_speaker::base::unit::{Gain, Moment, Rate};
    use grok_speaker::host::thread;
    use std::path::PathBuf;
    use std::process::{Child, Command, Stdio};
    use std::sync::atomic::Ordering;
    use std::sync::{Arc, Mutex};
    use std::thread::JoinHandle;
    use std::time::Duration;

    const SERVICE: Rate = Rate(24_000);
    const CARD: f64 = 48_000.0;
    const HZ: f64 = 440.0;

    fn clock() -> Clock {
        #[expect(clippy::disallowed_methods, reason = "the test is the host here")]
        let began = std::time::Instant::now();
        Arc::new(move || {
            let micros = began.elapsed().as_micros();
            Moment::from_micros(u64::try_from(micros).unwrap())
        })
    }

    fn wait(span: Duration) {
        #[expect(clippy::disallowed_methods, reason = "a test of real time waits in real time")]
        std::thread::sleep(span);
    }

    fn folder() -> PathBuf {
        std::env::var_os("SOFT_CARD").expect("run by the tests outside, with a card").into()
    }

    fn backend() -> Backend {
        match std::env::var("SOFT_CARD_BACKEND").unwrap().as_str() {
            "alsa" => Backend::Alsa,
            "cpal" => Backend::Cpal,
            other => panic!("backend {other}"),
        }
    }

    fn options() -> Options {
        Options {
            backend: backend(),
            input: Device::Named("mic".into()),
            output: Device::Named("speaker".into()),
        }
    }

    /// What a worker shares with the test.
    #[derive(Default)]
    struct Shared {
        pulse: Pulse,
        xruns: Xruns,
        faults: Mutex<Vec<Fault>>,
    }

    impl Shared {
        fn lost(&self) -> usize {
            let faults = self.faults.lock().unwrap();
            faults.iter().filter(|f| matches!(f, Fault::CardLost { .. })).count()
        }

        fn ready(&self) -> usize {
            let faults = self.faults.lock().unwrap();
            faults.iter().filter(|f| matches!(f, Fault::CardReady { .. })).count()
        }
    }

    fn until(what: &str, limit: Duration, mut done: impl FnMut() -> bool) {
        let clock = clock();
        while !done() {
            assert!(clock() < Moment::ZERO + limit, "{what} did not happen within {limit:?}");
            wait(Duration::from_millis(2));
        }
    }

    /// Stops a worker; it must return within 100 ms (and a margin for a loaded machine).
    fn stop(shared: &Shared, worker: JoinHandle<()>, wake: &dyn Bell) {
        shared.pulse.stop();
        wake.ring();
        let clock = clock();
        worker.join().unwrap();
        let took = clock();
        assert!(took < Moment::from_millis(400), "stopped after {took} s");
    }

    struct Speaker {
        feed: Feed,
        reference: PeriodReader,
        shared: Arc<Shared>,
        wake: Arc<dyn Bell>,
        worker: JoinHandle<()>,
        facts: Vec<(Moment, PlayoutFact)>,
        clock: Clock,
    }

    #[expect(clippy::disallowed_methods, reason = "the test is the host here")]
    fn speaker(options: Options) -> Speaker {
        let (writer, reference) = periods(8192, 48_000 * 40);
        let (wake, woken) = thread::bell().unwrap();
        let speech = PlayoutOptions { rate: SERVICE, gain: Gain::UNITY };
        let (mut playout, feed) = playout(speech, writer, Arc::new(Silent), wake.clone());
        let shared = Arc::new(Shared::default());
        let (clock, theirs) = (clock(), shared.clone());
        let ours = clock.clone();
        let worker = std::thread::spawn(move || {
            let mut report = |f| theirs.faults.lock().unwrap().push(f);
            drive::run_playout(
                &options,
                &clock,
                &theirs.pulse,
                &theirs.xruns,
                &mut playout,
                &woken,
                &mut report,
            );
        });
        Speaker { feed, reference, shared, wake, worker, facts: Vec::new(), clock: ours }
    }

    impl Speaker {
        fn drain(&mut self) {
            while let Some(fact) = self.feed.fact() {
                self.facts.push(((self.clock)(), fact));
            }
        }

        fn until(&mut self, fact: PlayoutFact, limit: Duration) {
            until(&format!("{fact:?}"), limit, || {
                self.drain();
                self.facts.iter().any(|(_, f)| *f == fact)
            });
        }

        fn heard(&self) -> u64 {
            let heard = self.facts.iter().rev().find_map(|(_, f)| match f {
                PlayoutFact::Heard { samples, .. } => Some(*samples),
                PlayoutFact::Started { .. }
                | PlayoutFact::Drained { .. }
                | PlayoutFact::Starved { .. }
                | PlayoutFact::Flushed { .. } => None,
            });
            heard.unwrap_or(0)
        }
    }

    fn tone(rate: f64, seconds: f64) -> Vec<i16> {
        let w = std::f64::consts::TAU * HZ / rate;
        (0..(rate * seconds) as usize).map(|i| (8000.0 * (w * i as f64).sin()) as i16).collect()
    }

    /// Records what the speaker plays, into a file: a pipe that nobody empties would hold the sound
    /// server up.
    fn hear(seconds: u32) -> Child {
        let file = std::fs::File::create(folder().join("heard")).unwrap();
        let mut command = Command::new(script());
        command.arg("hear").arg(folder()).arg(seconds.to_string());
        command.stdout(Stdio::from(file)).spawn().unwrap()
    }

    fn recorded(mut child: Child) -> Vec<f64> {
        assert!(child.wait().unwrap().success());
        let bytes = std::fs::read(folder().join("heard")).unwrap();
        let samples = bytes.as_chunks::<2>().0;
        samples.iter().map(|b| f64::from(i16::from_le_bytes(*b))).collect()
    }

    /// Stretches in which `sound` is the tone, by the recurrence every sine obeys. A single wrong
    /// sample ends a stretch.
    fn stretches(sound: &[f64]) -> Vec<std::ops::Range<usize>> {
        let k = 2.0 * (std::f64::consts::TAU * HZ / CARD).cos();
        let mut found: Vec<std::ops::Range<usize>> = Vec::new();
        for i in 2..sound.len() {
            let wrong = (sound[i] - k * sound[i - 1] + sound[i - 2]).abs();
            // The steepest the tone gets is 460 a sample; rounding makes at most a few units.
            let power = sound[i].abs() + sound[i - 1].abs() + sound[i - 2].abs();
            if wrong > 12.0 || power < 10.0 {
                continue;
            }
            match found.last_mut() {
                Some(last) if i - last.end <= 1 => last.end = i + 1,
                _ => found.push(i..i + 1),
            }
        }
        found.retain(|r| r.len() > 480);
        found
    }

    #[test]
    #[ignore = "run by the tests outside, with a card"]
    fn a_tone_is_played_whole() {
        a_tone_after(Duration::from_millis(1500));
    }

    #[test]
    #[ignore = "run by the tests outside, with a card"]
    fn a_tone_is_played_whole_after_a_rest() {
        let tapped = a_tone_after(Duration::from_millis(3500));
        let rested: u32 = tapped.iter().map(|h| h.gap).sum();
        let span = Rate(48_000).span(u64::from(rested));
        println!("stood still for {span:?}");
        assert!(span > Duration::from_millis(1000) && span < Duration::from_millis(2000));
        let (first, last) = (tapped[0], tapped[tapped.len() - 1]);
        let counted = Rate(48_000).span(last.position - first.position);
        let off = last.at.since(first.at).as_secs_f64() - counted.as_secs_f64();
        // A sound server tells delays of a stream that begins or ran dry with an error as large.
        assert!(off.abs() < 0.3, "the reference keeps the time over the rest: {off} s off");
    }

    /// Plays a tone so long after the card was opened. What the reference was told.
    fn a_tone_after(pause: Duration) -> Vec<PeriodHead> {
        let mut speaker = speaker(options());
        until("CardReady", Duration::from_secs(5), || speaker.shared.ready() == 1);
        let recording = hear(17);
        wait(pause);
        let settled = speaker.shared.xruns.underruns.load(Ordering::Relaxed);
        let said = tone(24_000.0, 10.0);
        let mut given = 0;
        until("all of it is given", Duration::from_secs(12), || {
            given += speaker.feed.play(Epoch(0), Tag(1), &said[given..]);
            speaker.drain();
            given == said.len()
        });
        assert!(speaker.feed.end(Epoch(0), Tag(1)));
        speaker.until(PlayoutFact::Drained { tag: Tag(1) }, Duration::from_secs(13));
        assert_eq!(speaker.heard(), 240_000);
        let started = speaker.facts.iter().find_map(|(_, f)| match f {
            PlayoutFact::Started { at, .. } => Some(*at),
            PlayoutFact::Heard { .. }
            | PlayoutFact::Drained { .. }
            | PlayoutFact::Starved { .. }
            | PlayoutFact::Flushed { .. } => None,
        });
        let took = speaker.facts.last().unwrap().0.since(started.unwrap()).as_secs_f64();
        let late = speaker.shared.xruns.underruns.load(Ordering::Relaxed) - settled;
        let sound = recorded(recording);
        stop(&speaker.shared, speaker.worker, &*speaker.wake);
        let found = stretches(&sound);
        println!("{settled} underruns to settle, {late} after; {took:.3} s; {found:?}");
        assert!((took - 10.0).abs() < 0.2, "the rate is right within 2 %: {took} s");
        assert_eq!(late, 0);
        assert_eq!(found.len(), 1, "one tone without a gap: {found:?}");
        assert!((found[0].len() as f64 - 10.0 * CARD).abs() < 200.0, "{found:?}");
        // The canceller's reference has the same tone without a gap.
        let (mut tapped, mut heads) = (Vec::new(), Vec::new());
        heads.extend(std::iter::from_fn(|| speaker.reference.pop(&mut tapped)));
        let tapped: Vec<f64> = tapped.iter().map(|s| f64::from(*s) * 32_768.0).collect();
        assert_eq!(stretches(&tapped).len(), 1);
        heads
    }

    #[test]
    #[ignore = "run by the tests outside, with a card"]
    fn a_flush_is_silent() {
        let mut speaker = speaker(options());
        until("CardReady", Duration::from_secs(5), || speaker.shared.ready() == 1);
        let recording = hear(6);
        wait(Duration::from_millis(1500));
        speaker.feed.play(Epoch(0), Tag(1), &tone(24_000.0, 20.0));
        wait(Duration::from_millis(1500));
        speaker.feed.flush(Epoch(1));
        speaker.until(PlayoutFact::Flushed { epoch: Epoch(1) }, Duration::from_secs(2));
        let heard = speaker.heard();
        let sound = recorded(recording);
        stop(&speaker.shared, speaker.worker, &*speaker.wake);
        // The ledger against the air: how much of the tone was in the recording.
        let first = sound.iter().position(|s| s.abs() > 10.0).unwrap();
        let last = sound.iter().rposition(|s| s.abs() > 10.0).unwrap();
        let air = (last - first) / 2;
        println!("ledger {heard}, recording {air}, tail {}", sound.len() - last);
        assert!(sound.len() - last > 48_000, "silent to the end");
        assert!((heard as f64 - air as f64).abs() < 120.0, "within 5 ms: {heard} and {air}");
    }

    struct Ear {
        reader: PeriodReader,
        shared: Arc<Shared>,
        worker: JoinHandle<()>,
    }

    #[expect(clippy::disallowed_methods, reason = "the test is the host here")]
    fn ear(options: Options) -> Ear {
        let (writer, reader) = periods(8192, 48_000 * 40);
        let mut capture = Capture::new(writer, Arc::new(Silent));
        let shared = Arc::new(Shared::default());
        let (clock, theirs) = (clock(), shared.clone());
        let worker = std::thread::spawn(move || {
            let mut report = |f| theirs.faults.lock().unwrap().push(f);
            drive::run_capture(
                &options,
                &clock,
                &theirs.pulse,
                &theirs.xruns,
                &mut capture,
                &mut report,
            );
        });
        Ear { reader, shared, worker }
    }

    fn wav(samples: &[i16]) -> Vec<u8> {
        let length = u32::try_from(samples.len() * 2).unwrap();
        let mut bytes = b"RIFF".to_vec();
        bytes.extend((36 + length).to_le_bytes());
        bytes.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0\x80\xbb\0\0\0\x77\x01\0\x02\0\x10\0data");
        bytes.extend(length.to_le_bytes());
        bytes.extend(samples.iter().flat_map(|s| s.to_le_bytes()));
        bytes
    }

    #[test]
    #[ignore = "run by the tests outside, with a card"]
    fn a_tone_is_heard_whole() {
        a_heard_tone(|_| {});
    }

    #[test]
    #[ignore = "run by the tests outside, with a card"]
    fn a_tone_is_heard_whole_at_ease() {
        a_heard_tone(|pulse| {
            for on in [true, false].into_iter().cycle().take(30) {
                pulse.ease(on);
                wait(Duration::from_millis(if on { 500 } else { 170 }));
            }
        });
    }

    /// Speaks a tone into the microphone, and lets something happen to capture meanwhile.
    fn a_heard_tone(meanwhile: impl FnOnce(&Pulse)) {
        let mut ear = ear(options());
        until("CardReady", Duration::from_secs(5), || ear.shared.ready() == 1);
        let path = folder().join("tone.wav");
        std::fs::write(&path, wav(&tone(CARD, 10.0))).unwrap();
        wait(Duration::from_millis(500));
        let mut say = Command::new(script()).arg("say").arg(folder()).arg(&path).spawn().unwrap();
        meanwhile(&ear.shared.pulse);
        assert!(say.wait().unwrap().success());
        wait(Duration::from_millis(500));
        stop(&ear.shared, ear.worker, &Silent);
        let (mut samples, mut heads) = (Vec::new(), Vec::<PeriodHead>::new());
        while let Some(head) = ear.reader.pop(&mut samples) {
            heads.push(head);
        }
        let (first, last) = (heads[20], heads[heads.len() - 1]);
        let rate = (last.position - first.position) as f64 / last.at.since(first.at).as_secs_f64();
        let channels = usize::from(first.channels);
        let sound: Vec<f64> =
            samples.iter().step_by(channels).map(|s| f64::from(*s) * 32_768.0).collect();
        let found = stretches(&sound);
        let overruns = ear.shared.xruns.overruns.load(Ordering::Relaxed);
        println!("{rate:.0} Hz, {channels} channels, {overruns} overruns, {found:?}");
        assert_eq!(first.rate, Rate(48_000));
        assert!((rate / CARD - 1.0).abs() < 0.02, "the rate is right within 2 %: {rate}");
        assert_eq!((overruns, heads.iter().map(|h| h.gap).sum::<u32>()), (0, 0));
        assert_eq!(found.len(), 1, "one tone without a gap: {found:?}");
        assert!((found[0].len() as f64 - 10.0 * CARD).abs() < 200.0, "{found:?}");
    }

    #[test]
    #[ignore = "run by the tests outside, with a card"]
    fn a_standstill_keeps_the_time_axis() {
        let mut ear = ear(options());
        until("CardReady", Duration::from_secs(5), || ear.shared.ready() == 1);
        wait(Duration::from_millis(500));
        // The whole process stands still for much longer than the card's ring.
        let halt = format!("kill -STOP {0}; sleep 0.5; kill -CONT {0}", std::process::id());
        assert!(Command::new("sh").args(["-c", &halt]).status().unwrap().success());
        wait(Duration::from_millis(1000));
        let overruns = ear.shared.xruns.overruns.load(Ordering::Relaxed);
        stop(&ear.shared, ear.worker, &Silent);
        let (mut samples, mut heads) = (Vec::new(), Vec::<PeriodHead>::new());
        while let Some(head) = ear.reader.pop(&mut samples) {
            heads.push(head);
        }
        let (first, last) = (heads[10], heads[heads.len() - 1]);
        let counted = (last.position - first.position) as f64 / CARD;
        let passed = last.at.since(first.at).as_secs_f64();
        let gap: u32 = heads.iter().map(|h| h.gap).sum();
        println!("{counted:.3} s counted, {passed:.3} s passed, {overruns} overruns, gap {gap}");
        assert!((counted - passed).abs() < 0.03, "{counted} s counted, {passed} s passed");
    }

    fn card(verb: &str) {
        let out = Command::new(script()).arg(verb).arg(folder()).output().unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    }

    #[test]
    #[ignore = "run by the tests outside, with a card"]
    fn a_card_comes_back() {
        let mut speaker = speaker(options());
        let ear = ear(options());
        let both = [speaker.shared.clone(), ear.shared.clone()];
        let all = |count: fn(&Shared) -> usize, n: usize| both.iter().all(|s| count(s) == n);
        until("CardReady", Duration::from_secs(5), || all(Shared::ready, 1));
        card("stop");
        until("CardLost", Duration::from_secs(6), || both.iter().all(|s| s.lost() > 0));
        // It may fail in one way while it goes and in another when it is gone; then the tries fail
        // alike, and that is not said again.
        wait(Duration::from_millis(1500));
        let before = both.each_ref().map(|s| (s.lost(), s.pulse.beats()));
        wait(Duration::from_millis(2500));
        for (shared, (lost, beats)) in both.iter().zip(before) {
            assert!(shared.lost() == lost && lost <= 2, "{:?}", shared.faults.lock().unwrap());
            assert!(shared.pulse.beats() > beats + 10, "waiting counts as turning");
        }
        card("start");
        until("CardReady again", Duration::from_secs(12), || all(Shared::ready, 2));
        speaker.feed.play(Epoch(0), Tag(3), &tone(24_000.0, 0.5));
        speaker.feed.end(Epoch(0), Tag(3));
        speaker.until(PlayoutFact::Drained { tag: Tag(3) }, Duration::from_secs(5));
        stop(&speaker.shared, speaker.worker, &*speaker.wake);
        stop(&ear.shared, ear.worker, &Silent);
    }

    #[test]
    #[ignore = "run by the tests outside, with a card"]
    fn a_card_comes_late() {
        card("stop");
        let mut speaker = speaker(options());
        let ear = ear(options());
        let both = [speaker.shared.clone(), ear.shared.clone()];
        let all = |count: fn(&Shared) -> usize, n: usize| both.iter().all(|s| count(s) == n);
        wait(Duration::from_millis(2500));
        assert!(all(Shared::ready, 0), "there is no card");
        assert!(all(Shared::lost, 1), "it is missed once");
        card("start");
        until("CardReady", Duration::from_secs(12), || all(Shared::ready, 1));
        speaker.feed.play(Epoch(0), Tag(1), &tone(24_000.0, 0.5));
        speaker.feed.end(Epoch(0), Tag(1));
        speaker.until(PlayoutFact::Drained { tag: Tag(1) }, Duration::from_secs(5));
        stop(&speaker.shared, speaker.worker, &*speaker.wake);
        stop(&ear.shared, ear.worker, &Silent);
    }

    #[test]
    #[ignore = "run by the tests outside, with a card"]
    fn cards_are_listed() {
        let cards = drive::cards();
        for (name, side) in
            [("default", Side::Capture), ("mic", Side::Capture), ("speaker", Side::Playout)]
        {
            let card = cards.iter().find(|c| c.name == name);
            let card = card.unwrap_or_else(|| panic!("{name} is listed: {cards:?}"));
            let facts = card.sides.iter().find(|f| f.side == side).unwrap();
            assert!(facts.rates.contains(&48_000) && facts.channels.is_some(), "{facts:?}");
            assert!(facts.formats.iter().any(|f| f == "S16_LE"), "{facts:?}");
        }
        let words = drive::probe(&options(), Side::Playout).unwrap();
        assert!(words.starts_with("speaker: 48000 Hz, 2 channels"), "{words}");
        let missing = Options { input: Device::Named("nosuch".into()), ..options() };
        let words = drive::probe(&missing, Side::Capture).unwrap_err().to_string();
        assert!(words.starts_with("nosuch: no such microphone"), "{words}");
    }
}
