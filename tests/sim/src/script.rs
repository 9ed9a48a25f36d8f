//! Scenarios as text: a script in, a transcript out.
//!
//! A line of the script is `TIME VERB ARGUMENTS`, in seconds; lines before the first time set
//! numbers of the policy. The verbs are those of [`act`].

use crate::event;
use crate::stage::{Stage, policy};
use grok_speaker::base::event::{Hand, Link, Trouble, Voice, Wire};
use grok_speaker::base::unit::{Moment, Rate, Volume};
use grok_speaker::conversation::{BargeIn, Gate, Input, Mode, Policy, Wall};
use grok_speaker::grok::session::Transport;
use grok_speaker::panel::event::{ClientId, Command, Request};
use std::time::Duration;

/// Runs a script; the transcript, or the line that is not understood.
///
/// # Errors
/// Names the line.
pub fn run(script: &str) -> Result<String, String> {
    let mut numbers = policy(Mode::Open);
    let mut lines = script.lines().filter(|l| !l.trim().is_empty() && !l.starts_with('#'));
    let mut steps = Vec::new();
    for line in lines.by_ref() {
        let (first, rest) = line.split_once(' ').unwrap_or((line, ""));
        match first.parse::<f64>() {
            Ok(at) => steps.push(((at * 1000.0).round() as u64, rest.trim(), line)),
            Err(_) => set(&mut numbers, first, rest.trim()).ok_or_else(|| line.to_owned())?,
        }
    }
    let mut stage = Stage::new(numbers, 1);
    for (at, verb, line) in steps {
        stage.run_to(at);
        stage.now = Moment::from_millis(at);
        act(&mut stage, verb).ok_or_else(|| line.to_owned())?;
    }
    Ok(stage.transcript())
}

fn set(policy: &mut Policy, key: &str, value: &str) -> Option<()> {
    match (key, value) {
        ("mode", "open") => policy.mode = Mode::Open,
        ("mode", "push") => policy.mode = Mode::Push,
        ("mode", "wake") => policy.mode = Mode::Wake,
        ("gate", "always") => policy.gate = Gate::Always,
        ("barge_in", "off") => policy.barge_in = BargeIn::Off,
        ("transport", "binary") => policy.session.transport = Transport::Binary,
        ("input_rate", rate) => policy.session.input_rate = Rate(rate.parse().ok()?),
        ("hang_up_after", "never") => policy.hang_up_after = None,
        ("life", seconds) => policy.session.life = Duration::from_secs(seconds.parse().ok()?),
        ("voice", name) => name.clone_into(&mut policy.session.voice),
        ("model", name) => name.clone_into(&mut policy.session.model),
        ("linger", seconds) => policy.linger = Duration::from_secs(seconds.parse().ok()?),
        _ => return None,
    }
    Some(())
}

/// One step: what it names happens now.
pub fn act(stage: &mut Stage, step: &str) -> Option<()> {
    let words: Vec<&str> = step.split_whitespace().collect();
    let quoted = || step.split('"').nth(1).map(str::to_owned);
    let number = |i: usize| words.get(i)?.parse::<u64>().ok();
    let word = |i: usize| words.get(i).copied();
    match *words.first()? {
        "quiet" => stage.voice(Voice::Quiet),
        "maybe" => stage.voice(Voice::Maybe),
        "likely" => stage.voice(Voice::Likely),
        "talking" => stage.voice(Voice::Talking),
        "wake" => stage.wake(),
        "up" => stage.feed(Input::Link(Link::Up)),
        "connect" => stage.connect(),
        "greeting" => {
            for event in event::greeting(word(1)?) {
                stage.service(event);
            }
        }
        "updated" => stage.service(event::updated()),
        "ping" => stage.service(event::ping()),
        "lose" => stage.lose(),
        "refuse" => stage.refuse(trouble(word(1)?)?, None),
        "congested" => stage.feed(Input::Link(Link::Congested)),
        "clear" => stage.feed(Input::Link(Link::Clear)),
        "started" => stage.service(event::buffer("speech_started", word(1)?)),
        "stopped" => stage.service(event::buffer("speech_stopped", word(1)?)),
        "committed" => stage.service(event::buffer("committed", word(1)?)),
        "caption" => stage.service(event::caption(word(1)?, &quoted()?)),
        "said" => stage.service(event::user_text(word(1)?, &quoted()?, "completed")),
        "created" => stage.service(event::created(word(1)?)),
        "sound" => {
            let samples = vec![100; usize::try_from(number(3)?).ok()? * 24];
            stage.service(event::sound(word(1)?, word(2)?, &samples));
        }
        "binary" => {
            let samples = usize::try_from(number(1)?).ok()? * 24;
            stage.feed(Input::Message(Wire::Binary([100, 0].repeat(samples))));
        }
        "part" => stage.service(serde_json::json!({"type": "response.content_part.added",
            "response_id": word(1)?, "item_id": word(2)?, "part": {"type": "audio"}})),
        "sound-done" => stage.service(event::sound_done(word(1)?, word(2)?)),
        "words" => stage.service(event::words(word(1)?, word(2)?, &quoted()?)),
        "words-done" => stage.service(event::words_done(word(1)?, word(2)?, &quoted()?)),
        "truncated" => stage.service(serde_json::json!({"type": "conversation.item.truncated",
            "item_id": word(1)?, "transcript": quoted()?})),
        "call" => {
            let arguments = step.split_once('{').map(|(_, rest)| format!("{{{rest}"));
            let arguments = arguments.unwrap_or_default();
            stage.service(event::call(word(1)?, word(2)?, word(3)?, &arguments));
        }
        "done" => stage.service(event::done(word(1)?, word(2)?)),
        "error" => stage.service(event::error(word(1)?, "", &quoted()?)),
        "raw" => stage.raw(step.split_once(' ')?.1),
        "press" => stage.feed(Input::Hand(Hand::Pressed)),
        "release" => stage.feed(Input::Hand(Hand::Released)),
        "hold" => stage.feed(Input::Hand(Hand::Held)),
        "mute" => stage.feed(Input::Hand(Hand::Mute { on: word(1)? == "on" })),
        "wall" => {
            let unix = words.get(1)?.parse().ok()?;
            stage.feed(Input::Wall(Wall { unix, offset: 0 }));
        }
        "text" => panel(stage, Command::Text { text: quoted()? }),
        "talk" => panel(stage, Command::Talk { on: word(1)? == "on" }),
        "hush" => panel(stage, Command::Stop),
        "tone" => panel(stage, Command::Tone),
        "volume" => {
            let percent = Volume::try_from(u8::try_from(number(1)?).ok()?).ok()?;
            panel(stage, Command::Volume { percent });
        }
        "set" => {
            set(&mut stage.policy, word(1)?, word(2)?)?;
            stage.feed(Input::Policy(Box::new(stage.policy.clone())));
        }
        "stop" => stage.feed(Input::Stop),
        "end" => {}
        _ => return None,
    }
    Some(())
}

fn panel(stage: &mut Stage, command: Command) {
    stage.feed(Input::Panel(Request { client: ClientId(7), id: 1, command }));
}

fn trouble(word: &str) -> Option<Trouble> {
    Some(match word {
        "key" => Trouble::Refused,
        "busy" => Trouble::Busy,
        "network" => Trouble::NoNetwork,
        _ => return None,
    })
}
