//! A spoken conversation through a card made of software: five turns, two of them spoken into the
//! reply before. The verdict is on the speaker's sound, held against the stand-in's wire log.

use crate::daemon::{Folder, Process, once};
use crate::fair;
use crate::sheet::{self, Log, Wav};
use crate::sound::{SoftCard, TURN, script};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::PoisonError;
use std::time::Duration;

/// Longer than any pause inside a sentence, in seconds.
const PAUSE: f64 = 1.0;
/// Louder than the card's rounding, far below any reply.
const SILENCE: f32 = 1e-3;
/// An interrupted reply is silent so soon after the service has heard speech, in seconds.
const SILENT_AFTER: f64 = 0.3;
/// What the card may still hold when a reply is flushed: its largest fill (60 ms), the fade (4 ms)
/// and what the plugin has on its way, in seconds.
const QUEUED: f64 = 0.1;
/// Pieces in which a reply is looked for; one that was shifted by a gap shows where.
const PIECE: f64 = 0.4;
/// A piece may stand off its place by less than any gap a card can make (one period of 5 ms).
const OFF: f64 = 0.002;

/// The sentences of a WAV file of the tests, as files of their own.
fn sentences(folder: &Folder, name: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/speech/{name}.wav"));
    let mut reader = hound::WavReader::open(path).unwrap();
    let spec = reader.spec();
    let samples: Vec<i16> = reader.samples::<i16>().map(Result::unwrap).collect();
    let pause = (f64::from(spec.sample_rate) * PAUSE) as usize;
    let mut found: Vec<std::ops::Range<usize>> = Vec::new();
    for (i, _) in samples.iter().enumerate().filter(|(_, s)| s.abs() > 100) {
        match found.last_mut() {
            Some(last) if i - last.end < pause => last.end = i + 1,
            _ => found.push(i..i + 1),
        }
    }
    let write = |(i, range): (usize, std::ops::Range<usize>)| {
        let path = folder.join(&format!("{name}-{i}.wav"));
        let mut writer = hound::WavWriter::create(&path, spec).unwrap();
        samples[range].iter().for_each(|s| writer.write_sample(*s).unwrap());
        writer.finalize().unwrap();
        path.display().to_string()
    };
    found.into_iter().enumerate().map(write).collect()
}

/// The speaker's sound, recorded from now on.
struct Recording(Child);

impl Recording {
    fn start(card: &SoftCard, path: &Path) -> Self {
        let mut command = Command::new(script());
        command.arg("hear").arg(&card.folder).arg("90");
        command.stdout(std::fs::File::create(path).unwrap()).stdin(Stdio::null());
        Self(command.spawn().unwrap())
    }

    fn read(path: &Path) -> Wav {
        let bytes = std::fs::read(path).unwrap();
        let samples: Vec<f32> = bytes
            .chunks_exact(2)
            .map(|b| f32::from(i16::from_le_bytes([b[0], b[1]])) / 32_768.0)
            .collect();
        Wav::of(&samples, 48_000.0)
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A daemon on the card, talking to a stand-in.
struct Talk {
    folder: Folder,
    card: SoftCard,
    _service: Process,
    speaker: Process,
    control: String,
}

impl Talk {
    fn start() -> Self {
        let folder = Folder::new("talk");
        let card = SoftCard::start("talk");
        let path = |n: &str| folder.join(n).display().to_string();
        let (tls, log) = (path("tls"), path("wire.jsonl"));
        let mut service = Process::start(&[
            "standin",
            "--listen",
            "127.0.0.1:0",
            "--tls",
            &tls,
            "--wire-log",
            &log,
        ]);
        let url = service.line();
        let ca = service.line().trim_start_matches("certificate: ").to_owned();
        let (config, control) =
            (path("config.toml"), format!("control.socket={}", path("control.sock")));
        std::fs::write(&config, "").unwrap();
        let sets = [
            format!("grok.url={url}"),
            format!("grok.ca_file={ca}"),
            "audio.input=mic".to_owned(),
            "audio.output=speaker".to_owned(),
            "turn.mode=open".to_owned(),
            "panel.listen=127.0.0.1:0".to_owned(),
            format!("state.directory={}", path("state")),
            control.clone(),
        ];
        let journal = path("journal.jsonl");
        let mut arguments = vec!["run", "--config", &config, "--journal", &journal];
        for set in &sets {
            arguments.extend(["--set", set]);
        }
        let speaker = Process::within(&card.environment, &arguments);
        Self { folder, card, _service: service, speaker, control }
    }

    fn log(&self) -> Log {
        Log::read(&self.folder.join("wire.jsonl"))
    }

    fn wait(&mut self, what: &str, enough: impl Fn(&Log) -> bool) {
        for _ in 0..200 {
            let log = self.log();
            if enough(&log) {
                return;
            }
            assert!(self.speaker.running(), "the speaker ended before {what}");
            sheet::pause(Duration::from_millis(100));
        }
        panic!("{what}: not within 20 s\n{}", self.log().summary());
    }

    /// Speaks into the microphone; returns when it has been spoken.
    fn say(&self, file: &str) {
        let mut command = Command::new(script());
        command.arg("say").arg(&self.card.folder).arg(file);
        assert!(command.status().unwrap().success());
    }

    /// Waits until the reply with this number has been said to its end.
    fn hear_out(&mut self, number: usize) {
        self.wait("a reply", |log| log.done() > number);
        sheet::pause(self.log().last_reply_length() + Duration::from_millis(600));
    }

    /// Speaks into the reply with this number, when it has sounded for a second.
    fn interrupt(&mut self, number: usize, file: &str) {
        self.wait("the first sound", |log| log.first_deltas().len() > number);
        sheet::pause(Duration::from_millis(1000));
        self.say(file);
    }

    /// Overruns and underruns so far.
    fn xruns(&self) -> (u64, u64) {
        let config = self.folder.join("config.toml").display().to_string();
        let out = once(&["status", "--json", "--config", &config, "--set", &self.control]);
        let status: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
        (status["overruns"].as_u64().unwrap(), status["underruns"].as_u64().unwrap())
    }
}

/// The sound of `reply` stands whole in `sound`, from second `at` on, without a gap.
pub(crate) fn whole(sound: &Wav, reply: &Wav, at: f64, name: &str) {
    let mut from = 0.0;
    while from + PIECE <= reply.seconds() {
        let piece = reply.part(from, from + PIECE);
        if piece.power().sqrt() > 0.01 {
            let near = sound.part(at + from - OFF, at + from + PIECE + OFF);
            let (_, likeness) = near.find(&piece, 0.0);
            assert!(likeness > 0.9, "{name} at {from:.1} s: likeness {likeness:.3}, a gap?");
        }
        from += PIECE / 2.0;
    }
}

#[test]
fn five_turns_with_two_barge_ins_are_spoken_through_a_card() {
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    fair::judged(five_turns);
    drop(turn);
}

fn five_turns() {
    let mut talk = Talk::start();
    let short = sentences(&talk.folder, "five_turns");
    let long = sentences(&talk.folder, "barge_in");
    assert_eq!((short.len(), long.len()), (5, 2));
    talk.wait("the session", |log| !log.times("out", "session.updated").is_empty());
    let path = talk.folder.join("speaker.raw");
    let recording = Recording::start(&talk.card, &path);
    sheet::pause(Duration::from_millis(1500));
    let settled = talk.xruns();
    talk.say(&short[0]);
    talk.hear_out(0);
    talk.say(&long[0]);
    talk.interrupt(1, &long[1]);
    talk.hear_out(2);
    talk.say(&long[0]);
    talk.interrupt(3, &short[2]);
    talk.hear_out(4);
    let xruns = talk.xruns();
    let (log, sound) = (talk.log(), Recording::read(&path));
    drop(recording);
    assert_eq!(talk.speaker.terminate(), Some(0));
    assert_eq!(xruns, settled, "overruns and underruns while nothing but us was to blame");
    judge(&log, &sound);
}

fn judge(log: &Log, sound: &Wav) {
    let replies = log.replies();
    assert_eq!((log.done(), replies.len()), (5, 5), "{}", log.summary());
    assert_eq!(log.violations(), Vec::<String>::new());
    let cut = log.truncations();
    assert_eq!(cut.len(), 2, "two replies were cut off: {cut:?}\n{}", log.summary());
    // Replies that were heard out stand whole, in order; the others stand between them.
    let mut at = [0.0; 5];
    let mut from = 0.0;
    for i in [0, 2, 4] {
        let (place, likeness) = sound.find(&replies[i], from);
        assert!(likeness > 0.9, "reply {i}: likeness {likeness:.3}");
        whole(sound, &replies[i], place, &format!("reply {i}"));
        (at[i], from) = (place, place + replies[i].seconds());
    }
    for (i, cut_ms) in [1, 3].into_iter().zip(&cut) {
        let heard = *cut_ms as f64 / 1000.0;
        assert!(heard > 0.8 && heard + 0.5 < replies[i].seconds(), "reply {i} cut at {heard} s");
        let before = at[i - 1] + replies[i - 1].seconds();
        // Where it was flushed it fades: that last bit is not compared.
        let prefix = replies[i].part(0.0, heard - 0.05);
        let (place, likeness) = sound.part(before, at[i + 1]).find(&prefix, 0.0);
        assert!(likeness > 0.9, "reply {i}: likeness {likeness:.3}");
        at[i] = before + place;
        whole(sound, &prefix, at[i], &format!("reply {i}"));
        let last = sound.part(at[i], at[i + 1] - 0.01).last_above(SILENCE).unwrap();
        let off = last - heard;
        assert!(
            off > -0.02 && off < QUEUED,
            "reply {i}: said to be heard to {heard} s, sounded to {last} s"
        );
    }
    // The log's clock against the recording's, from the reply that came quickest to the ear.
    let lead = log.first_deltas().iter().zip(at).map(|(t, a)| a - t).fold(f64::INFINITY, f64::min);
    let speech = log.times("out", "input_audio_buffer.speech_started");
    for i in [1, 3] {
        let said = speech.iter().find(|t| **t > log.first_deltas()[i]).unwrap();
        let last = sound.part(0.0, at[i + 1] - 0.01).last_above(SILENCE).unwrap();
        let late = last - lead - said;
        assert!(late < SILENT_AFTER, "reply {i} sounded on for {late:.3} s");
    }
}
