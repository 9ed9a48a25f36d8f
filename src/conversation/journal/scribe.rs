//! One line of text for each thing that happened and each thing that was asked.

use super::kind;
use crate::base::event::{Earcon, Fault, Hand, Link, PlayoutFact, Voice, Wire};
use crate::base::unit::Moment;
use crate::conversation::{Input, Output};
use crate::panel::event::{Command, Event, Speaker};

/// Writes lines; runs of sound become one.
#[derive(Debug, Default)]
pub struct Scribe {
    voice: Voice,
    /// A run of sound that goes on: since when, what, bytes or samples, pieces.
    run: Option<(Moment, String, u64, u32)>,
}

impl Scribe {
    /// What happened; nothing for what happens all the time.
    pub fn input(&mut self, at: Moment, input: &Input) -> Vec<String> {
        let words = match input {
            Input::Near(near) => {
                let changed = near.voice != self.voice;
                self.voice = near.voice;
                match near.wake {
                    Some(score) => format!("wake word {:.2}", score.0),
                    None if changed => {
                        format!("speech {:.2} {}", near.speech.0, voice(near.voice))
                    }
                    None => return Vec::new(),
                }
            }
            Input::Playout(fact) => match fact {
                PlayoutFact::Started { tag, .. } => format!("audible t{}", tag.0),
                PlayoutFact::Drained { tag } => format!("drained t{}", tag.0),
                PlayoutFact::Starved { tag } => format!("starved t{}", tag.0),
                PlayoutFact::Heard { .. } | PlayoutFact::Flushed { .. } => return Vec::new(),
            },
            Input::Link(link) => match link {
                Link::Up => "link up".to_owned(),
                Link::Congested => "link congested".to_owned(),
                Link::Clear => "link clear".to_owned(),
                Link::Failed { trouble, .. } => format!("link failed {trouble:?}"),
                Link::Lost { trouble, .. } => format!("link lost {trouble:?}"),
            },
            Input::Message(Wire::Text(text)) => {
                let kind = kind(text);
                if kind == "ping" {
                    return Vec::new();
                }
                if kind.ends_with("audio.delta") {
                    return self.run(at, "> service sound", sound_bytes(text, "delta"));
                }
                format!("service {kind}")
            }
            Input::Message(Wire::Binary(bytes)) => {
                return self.run(at, "> service sound", bytes.len() as u64);
            }
            Input::Hand(hand) => match hand {
                Hand::Pressed => "button down".to_owned(),
                Hand::Released => "button up".to_owned(),
                Hand::Held => "button held".to_owned(),
                Hand::Mute { on } => format!("mute button {}", on_off(*on)),
                Hand::Step { up: true } => "louder".to_owned(),
                Hand::Step { up: false } => "quieter".to_owned(),
            },
            Input::Panel(request) => format!("panel {}", command(&request.command)),
            Input::Fault(fault) => match fault {
                Fault::CardLost { side, .. } => format!("card lost {side:?}"),
                Fault::CardReady { side, .. } => format!("card ready {side:?}"),
                Fault::StateSetAside { .. } => "state set aside".to_owned(),
                Fault::WorldChanged => "world changed".to_owned(),
            },
            Input::Policy(_) => "settings".to_owned(),
            Input::Duplex(duplex) => format!("measured {duplex:?}"),
            Input::Wall(_) | Input::Place(_) | Input::Tick => return Vec::new(),
            Input::Stop => "stop".to_owned(),
        };
        self.line(at, &format!("> {words}"))
    }

    /// What was asked; nothing for the log.
    pub fn output(&mut self, at: Moment, output: &Output) -> Vec<String> {
        let words = match output {
            Output::Dial(dial) => {
                let query: Vec<String> =
                    dial.query.iter().map(|(name, value)| format!("{name}={value}")).collect();
                format!("dial {}", query.join("&"))
            }
            Output::HangUp => "hang up".to_owned(),
            Output::Transmit(Wire::Binary(bytes)) => {
                return self.run(at, "< send sound", bytes.len() as u64);
            }
            Output::Transmit(Wire::Text(text)) => match sent(text) {
                Some(words) => format!("send {words}"),
                None => return self.run(at, "< send sound", sound_bytes(text, "audio")),
            },
            Output::Play { epoch, tag, samples } => {
                let what = format!("< play e{} t{}", epoch.0, tag.0);
                return self.run(at, &what, samples.len() as u64);
            }
            Output::PlayEnd { tag, .. } => format!("play end t{}", tag.0),
            Output::Flush(epoch) => format!("flush e{}", epoch.0),
            Output::Duck(on) => format!("duck {}", on_off(*on)),
            Output::SetVolume(volume) => format!("volume {}", volume.percent()),
            Output::Sound(earcon) => format!("earcon {}", earcon_word(*earcon)),
            Output::Show(scene) => format!("show {}", scene.word()),
            Output::Store(settings) => {
                format!(
                    "store volume {} mute {}",
                    settings.volume.percent(),
                    on_off(settings.muted)
                )
            }
            Output::Ready => "ready".to_owned(),
            Output::Invite => "invite".to_owned(),
            Output::Publish(event) => match published(event) {
                Some(words) => words,
                None => return Vec::new(),
            },
            Output::Log { .. } => return Vec::new(),
        };
        self.line(at, &format!("< {words}"))
    }

    /// The last line, when nothing more comes; call until `None`.
    pub fn end(&mut self) -> Option<String> {
        self.run.take().map(finish)
    }

    fn line(&mut self, at: Moment, words: &str) -> Vec<String> {
        let mut lines: Vec<String> = self.end().into_iter().collect();
        lines.push(format!("{at} {words}"));
        lines
    }

    fn run(&mut self, at: Moment, what: &str, amount: u64) -> Vec<String> {
        if let Some((_, running, total, pieces)) = &mut self.run
            && running == what
        {
            *total += amount;
            *pieces += 1;
            return Vec::new();
        }
        let lines = self.end().into_iter().collect();
        self.run = Some((at, what.to_owned(), amount, 1));
        lines
    }
}

fn finish((at, what, total, pieces): (Moment, String, u64, u32)) -> String {
    let unit = if what.starts_with("< play") { "samples" } else { "bytes" };
    format!("{at} {what}, {total} {unit} in {pieces}")
}

/// Bytes of sound in an event, from the length of its base64.
fn sound_bytes(text: &str, field: &str) -> u64 {
    let event: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
    let sound = event[field].as_str().unwrap_or_default();
    sound.trim_end_matches('=').len() as u64 * 3 / 4
}

fn on_off(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}

fn voice(voice: Voice) -> &'static str {
    match voice {
        Voice::Quiet => "quiet",
        Voice::Maybe => "maybe",
        Voice::Likely => "likely",
        Voice::Talking => "talking",
    }
}

fn earcon_word(earcon: Earcon) -> &'static str {
    match earcon {
        Earcon::Woke => "woke",
        Earcon::Slept => "slept",
        Earcon::Failed => "failed",
        Earcon::Muted => "muted",
        Earcon::Unmuted => "unmuted",
        Earcon::Volume => "volume",
        Earcon::Test => "test",
    }
}

fn command(command: &Command) -> String {
    match command {
        Command::Text { text } => format!("text {text:?}"),
        Command::Talk { on } => format!("talk {}", on_off(*on)),
        Command::Stop => "stop".to_owned(),
        Command::Tone => "tone".to_owned(),
        Command::Mute { on } => format!("mute {}", on_off(*on)),
        Command::Volume { percent } => format!("volume {}", percent.percent()),
    }
}

/// A client event in a few words; `None` for sound.
fn sent(text: &str) -> Option<String> {
    let event: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
    let item = &event["item"];
    Some(match event["type"].as_str().unwrap_or("garbage") {
        "input_audio_buffer.append" => return None,
        "conversation.item.truncate" => format!(
            "truncate {} {}ms",
            event["item_id"].as_str().unwrap_or_default(),
            event["audio_end_ms"]
        ),
        "conversation.item.create" => match item["type"].as_str() {
            Some("function_call_output") => format!(
                "output {} {}",
                item["call_id"].as_str().unwrap_or_default(),
                item["output"].as_str().unwrap_or_default()
            ),
            _ => format!("item {} {}", item["role"], item["content"][0]["text"]),
        },
        kind => kind.to_owned(),
    })
}

fn published(event: &Event) -> Option<String> {
    Some(match event {
        Event::Transcript(line) => format!(
            "line {} {:?}{}{}",
            match line.role {
                Speaker::User => "user",
                Speaker::Assistant => "assistant",
            },
            line.text,
            if line.r#final { " final" } else { "" },
            if line.interrupted { " interrupted" } else { "" },
        ),
        Event::Turn(turn) => {
            let marks: Vec<String> =
                turn.marks.iter().map(|(name, ms)| format!("{name}={ms}")).collect();
            format!("turn {} {} {}", turn.turn, turn.reason, marks.join(" "))
        }
        Event::Notice(notice) => format!("notice {}", notice.code),
        Event::Answer(answer) => match &answer.result {
            Ok(()) => "answer ok".to_owned(),
            Err(refusal) => format!("answer {}", refusal.code),
        },
        Event::State(_) | Event::Audio(_) | Event::Traffic(_) | Event::Tick(_) => return None,
    })
}
