//! From checked values to each room's options.

use super::keys::{self, Value};
use super::layer::{self, Layer, Merged};
use super::{Config, Panel, Problem, Socket, Sources, Wake};
use crate::audio::{self, Backend, Device};
use crate::base::unit::{Db, Rate, Volume};
use crate::board::profile::{Buttons, Lamp, Leds, Profile};
use crate::conversation::{BargeIn, Gate, Mode, Policy, Settings};
use crate::grok::session::{self, Transport};
use crate::speech::{self, Channel, Level};
use std::path::PathBuf;
use std::time::Duration;

/// Where state is kept by the package, and by whoever has neither `$STATE_DIRECTORY` nor a home.
const STATE: &str = "/var/lib/grok-speaker";

/// Builds the whole; notes what contradicts itself.
pub(super) fn config(
    merged: &Merged,
    sources: &Sources,
    profile: Profile,
    problems: &mut Vec<Problem>,
) -> Config {
    let policy = policy(merged);
    let wake = wake(merged);
    if policy.mode == Mode::Wake && wake.words.is_empty() {
        problems.push(Problem::Senseless {
            place: merged.place("wake.words"),
            key: "wake.words".to_owned(),
            words: "turn.mode = \"wake\" needs at least one word; or set turn.mode to open or push"
                .to_owned(),
        });
    }
    let panel = panel(merged);
    if let (Some(plain), Some(tls)) = (panel.listen, panel.listen_tls)
        && plain.port() == tls.port()
        && plain.port() != 0
        && (plain.ip() == tls.ip() || plain.ip().is_unspecified() || tls.ip().is_unspecified())
    {
        problems.push(Problem::Senseless {
            place: merged.place("panel.listen_tls"),
            key: "panel.listen_tls".to_owned(),
            words: format!(
                "{tls} is taken by panel.listen; set another port, or one of them to off"
            ),
        });
    }
    Config {
        policy,
        settings: Settings {
            volume: volume(merged.integer("audio.volume")),
            muted: false,
            spent: Default::default(),
        },
        audio: audio::Options {
            backend: match merged.text("audio.backend").as_str() {
                "alsa" => Backend::Alsa,
                "cpal" => Backend::Cpal,
                _ => Backend::Auto,
            },
            input: device(&merged.text("audio.input")),
            output: device(&merged.text("audio.output")),
        },
        speech: speech(merged),
        socket: Socket {
            url: merged.text("grok.url"),
            ca_file: path(merged, "grok.ca_file"),
            key_file: path(merged, "grok.key_file"),
        },
        panel,
        wake,
        board: merged.text("board.profile"),
        profile,
        state: path(merged, "state.directory").unwrap_or_else(|| state(sources)),
        control: merged.text("control.socket").into(),
        log: merged.text("log.level").parse().unwrap_or(log::LevelFilter::Info),
        in_force: merged.in_force(),
    }
}

fn policy(merged: &Merged) -> Policy {
    let hang_up = merged.number("grok.hang_up_after_s");
    Policy {
        mode: match merged.text("turn.mode").as_str() {
            "open" => Mode::Open,
            "push" => Mode::Push,
            _ => Mode::Wake,
        },
        gate: match merged.text("turn.gate").as_str() {
            "always" => Gate::Always,
            _ => Gate::Speech,
        },
        barge_in: match merged.text("turn.barge_in").as_str() {
            "speech" => BargeIn::Speech,
            "wake" => BargeIn::Wake,
            "off" => BargeIn::Off,
            _ => BargeIn::Auto,
        },
        linger: seconds(merged.number("turn.linger_s")),
        hang_up_after: (hang_up > 0.0).then(|| seconds(hang_up)),
        price_per_minute: merged.number("grok.price_per_minute"),
        price_per_text: merged.number("grok.price_per_text"),
        budget_per_day: merged.number("grok.budget_per_day"),
        name: merged.text("panel.name"),
        session: session::Options {
            model: merged.text("grok.model"),
            voice: merged.text("grok.voice"),
            instructions: merged.text("grok.instructions"),
            language: merged.text("grok.language"),
            reasoning: merged.text("grok.reasoning"),
            transport: match merged.text("grok.transport").as_str() {
                "binary" => Transport::Binary,
                _ => Transport::Json,
            },
            input_rate: rate(merged.integer("grok.input_rate")),
            output_rate: rate(merged.integer("grok.output_rate")),
            life: seconds(merged.number("grok.session_minutes") * 60.0),
        },
    }
}

fn speech(merged: &Merged) -> speech::Options {
    let level = |key| match merged.text(key).as_str() {
        "off" => Level::Off,
        "low" => Level::Low,
        "medium" => Level::Medium,
        "high" => Level::High,
        _ => Level::Auto,
    };
    speech::Options {
        channel: match merged.value("audio.input_channel") {
            Some(Value::Integer(n)) => Channel::Number(u16::try_from(*n).unwrap_or(0)),
            Some(Value::Text(t)) if t == "mix" => Channel::Mix,
            _ => Channel::Auto,
        },
        input_gain: Db(merged.number("audio.input_gain_db") as f32),
        echo_cancellation: level("speech.echo_cancellation"),
        noise_suppression: level("speech.noise_suppression"),
        gain_control: level("speech.gain_control"),
    }
}

fn panel(merged: &Merged) -> Panel {
    let count = |key| usize::try_from(merged.integer(key)).unwrap_or(0);
    Panel {
        // "off" is no address.
        listen: merged.text("panel.listen").parse().ok(),
        listen_tls: merged.text("panel.listen_tls").parse().ok(),
        secrets_on_http: merged.boolean("panel.secrets_on_http"),
        open_view: merged.boolean("panel.open_view"),
        mdns: merged.text("panel.mdns") == "auto",
        hosts: merged.texts("panel.hosts"),
        max_connections: count("panel.max_connections"),
        max_per_address: count("panel.max_per_address"),
        max_per_session: count("panel.max_per_session"),
    }
}

fn wake(merged: &Merged) -> Wake {
    let sensitivity = merged.number("wake.sensitivity") as f32;
    Wake { words: merged.texts("wake.words"), sensitivity }
}

/// The pins of a board profile; notes what contradicts itself.
pub(super) fn profile(pins: Layer, problems: &mut Vec<Problem>) -> Profile {
    let defaults = layer::defaults(keys::PROFILE_KEYS, problems);
    let merged = layer::merge(keys::PROFILE_KEYS, vec![defaults, pins], problems);
    // -1 is no line.
    let line = |key| u32::try_from(merged.integer(key)).ok();
    let profile = Profile {
        buttons: Buttons {
            talk: line("buttons.talk"),
            mute: line("buttons.mute"),
            volume_up: line("buttons.volume_up"),
            volume_down: line("buttons.volume_down"),
            active_low: merged.boolean("buttons.active_low"),
            chip: merged.text("buttons.chip"),
        },
        leds: Leds {
            lamp: match merged.text("leds.kind").as_str() {
                "gpio" => Lamp::Gpio,
                "apa102" => Lamp::Apa102,
                "ws2812" => Lamp::Ws2812,
                _ => Lamp::None,
            },
            count: u16::try_from(merged.integer("leds.count")).unwrap_or(0),
            line: line("leds.line"),
        },
    };
    if let Err(error) = profile.check() {
        problems.push(Problem::Senseless {
            // What is missing was written nowhere; what asks for it was.
            place: merged.written(error.key()).unwrap_or_else(|| merged.place("leds.kind")),
            key: error.key().to_owned(),
            words: error.to_string(),
        });
    }
    profile
}

/// `$STATE_DIRECTORY` (the first of several), else below the home.
fn state(sources: &Sources) -> PathBuf {
    let variable = |name: &str| {
        sources.env.iter().find(|(n, v)| n == name && !v.is_empty()).map(|(_, v)| v.as_str())
    };
    if let Some(first) = variable("STATE_DIRECTORY").and_then(|all| all.split(':').next()) {
        return first.into();
    }
    match variable("HOME") {
        Some(home) => PathBuf::from(home).join(".local/state/grok-speaker"),
        None => STATE.into(),
    }
}

fn path(merged: &Merged, key: &str) -> Option<PathBuf> {
    Some(merged.text(key)).filter(|t| !t.is_empty()).map(PathBuf::from)
}

fn device(text: &str) -> Device {
    match text.strip_prefix("file:") {
        Some(file) => Device::File(file.into()),
        None if text == "default" => Device::Default,
        None if text == "null" => Device::Null,
        None => Device::Named(text.to_owned()),
    }
}

/// A span of a checked range.
fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

fn rate(hz: i64) -> Rate {
    Rate(u32::try_from(hz).unwrap_or(0))
}

fn volume(percent: i64) -> Volume {
    u8::try_from(percent).ok().and_then(Volume::new).unwrap_or_else(silent)
}

/// Stands for a volume whose mistake has been noted.
fn silent() -> Volume {
    Volume::new(0).unwrap_or_else(|| unreachable!("0 is a volume"))
}
