//! Every key there is: its default, what it takes, what it means.
//!
//! The one list behind the checks, the error texts and `systemd/config.toml`.

pub use super::kind::{Kind, Rule, Value};

/// One key.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// `section.key`.
    pub path: &'static str,
    /// As TOML.
    pub default: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// One line for `systemd/config.toml`.
    pub meaning: &'static str,
}

const fn key(path: &'static str, default: &'static str, kind: Kind, meaning: &'static str) -> Key {
    Key { path, default, kind, meaning }
}

/// Rates the service lists for PCM.
const RATES: &[i64] = &[8_000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000];
const LEVELS: &[&str] = &["auto", "off", "low", "medium", "high"];

const URL: Rule = Rule {
    allowed: "wss://host[:port]/path, or ws:// to this machine (localhost, 127.0.0.1, [::1])",
    test: super::rule::url,
};
const IDENTIFIER: Rule = Rule {
    allowed: "a name of letters, digits, '-', '_', '.' (at most 128)",
    test: super::rule::identifier,
};
const NAME: Rule = Rule {
    allowed: "a name of at most 32 characters on one line, without control characters, or \"\" for \
              the host name",
    test: super::rule::name,
};
const INSTRUCTIONS: Rule = Rule {
    allowed: "text of at most 16000 characters without control characters",
    test: super::rule::instructions,
};
const LANGUAGE: Rule = Rule {
    allowed: "auto, or a language code such as en or fr; Spanish and Portuguese with their \
              region (es-MX, es-ES, pt-BR, pt-PT)",
    test: super::rule::language,
};
const PATH_OR_NONE: Rule = Rule {
    allowed: "the whole path of a file ('~' is not expanded), or \"\" for none",
    test: super::rule::path_or_none,
};
const DEVICE: Rule = Rule {
    allowed: "default, null, file:PATH, or the name of a card or PCM (see grok-speaker devices)",
    test: super::rule::device,
};
const ADDRESS: Rule = Rule {
    allowed: "off, or an address with a port such as 0.0.0.0:8080 or [::]:8080",
    test: super::rule::address,
};
const HOST: Rule = Rule {
    allowed: "a host name or an address without scheme and port, such as speaker.lan",
    test: super::rule::host,
};
const FOLDER: Rule = Rule {
    allowed: "the name of a folder under board/: letters, digits, '-', '_'",
    test: super::rule::folder,
};
const CHIP: Rule = Rule {
    allowed: "a name or label as `gpiodetect` prints it, or nothing",
    test: |t| t.len() < 32 && !t.chars().any(char::is_control),
};
const WAKE_WORD: Rule = Rule {
    allowed: "the name of a wake word or the path of a model file",
    test: super::rule::wake_word,
};

/// Every key, in the order of `systemd/config.toml`.
pub const KEYS: &[Key] = &[
    key(
        "grok.url",
        r#""wss://api.x.ai/v1/realtime""#,
        Kind::Text(URL),
        "Address of the realtime service; ws:// only to this machine.",
    ),
    key(
        "grok.model",
        r#""grok-voice-latest""#,
        Kind::Text(IDENTIFIER),
        "Model, as the service names it.",
    ),
    key(
        "grok.voice",
        r#""eve""#,
        Kind::Text(IDENTIFIER),
        "Voice, as the service names it, or the id of a voice of your own.",
    ),
    key(
        "grok.instructions",
        r#""You are the voice of a small speaker in a home. Answer in one to three short spoken sentences, without lists or markup, in the language you are spoken to.""#,
        Kind::Text(INSTRUCTIONS),
        "Who the assistant is and how it answers.",
    ),
    key(
        "grok.language",
        r#""auto""#,
        Kind::Text(LANGUAGE),
        "Language of the people who speak: auto, or a code such as en, fr, pt-BR.",
    ),
    key(
        "grok.reasoning",
        r#""high""#,
        Kind::Word(&["high", "none"]),
        "How hard the model thinks before it answers: high, none (faster).",
    ),
    key(
        "grok.transport",
        r#""json""#,
        Kind::Word(&["json", "binary"]),
        "How audio travels: json (base64 in events), binary (frames).",
    ),
    key(
        "grok.ca_file",
        r#""""#,
        Kind::Text(PATH_OR_NONE),
        "PEM file of trust anchors beside the system's; empty = none.",
    ),
    key(
        "grok.key_file",
        r#""""#,
        Kind::Text(PATH_OR_NONE),
        "File with the API key, mode 0600 or 0400; empty = none. Never the key itself.",
    ),
    key(
        "grok.input_rate",
        "16000",
        Kind::OneOf(RATES),
        "Samples a second of the microphone's sound on its way to the service.",
    ),
    key("grok.output_rate", "24000", Kind::OneOf(RATES), "Samples a second of the replies."),
    key(
        "grok.session_minutes",
        "25",
        Kind::Number(1.0, 120.0),
        "Renew the session at a quiet moment after so many minutes, before the service ends it.",
    ),
    key(
        "grok.hang_up_after_s",
        "30",
        Kind::Number(0.0, 86_400.0),
        "Close the session when nobody has talked for so many seconds; 0 = never.",
    ),
    key(
        "grok.price_per_minute",
        "0.08",
        Kind::Number(0.0, 1000.0),
        "US dollars for a minute of audio sent or received, for the meter.",
    ),
    key(
        "grok.price_per_text",
        "0.004",
        Kind::Number(0.0, 1000.0),
        "US dollars for a typed message, for the meter.",
    ),
    key(
        "grok.budget_per_day",
        "0",
        Kind::Number(0.0, 100_000.0),
        "US dollars a day after which it stops asking the service; 0 = no ceiling.",
    ),
    key(
        "audio.backend",
        r#""auto""#,
        Kind::Word(&["auto", "alsa", "cpal"]),
        "What drives the card: auto (alsa on Linux, cpal elsewhere), alsa, cpal.",
    ),
    key(
        "audio.input",
        r#""default""#,
        Kind::Text(DEVICE),
        "Microphone: default, a stable card name or PCM name, file:PATH, null.",
    ),
    key(
        "audio.output",
        r#""default""#,
        Kind::Text(DEVICE),
        "Speaker: default, a stable card name or PCM name, file:PATH, null.",
    ),
    key(
        "audio.input_channel",
        r#""auto""#,
        Kind::WordOr(&["auto", "mix"], 0, 7),
        "Channel of the microphone: auto, mix, or a number from 0.",
    ),
    key(
        "audio.input_gain_db",
        "0",
        Kind::Number(-20.0, 40.0),
        "What the microphone's sound is raised by, in dB; a board with faint microphones sets it.",
    ),
    key(
        "audio.volume",
        "60",
        Kind::Integer(0, 100),
        "Volume at the first start in percent: 0 silent, 1..100 = -50..0 dB.",
    ),
    key(
        "speech.echo_cancellation",
        r#""auto""#,
        Kind::Word(LEVELS),
        "Echo cancellation: auto, off, low, medium, high.",
    ),
    key(
        "speech.noise_suppression",
        r#""auto""#,
        Kind::Word(LEVELS),
        "Noise suppression: auto, off, low, medium, high.",
    ),
    key(
        "speech.gain_control",
        r#""auto""#,
        Kind::Word(LEVELS),
        "Automatic gain: auto, off, low, medium, high.",
    ),
    key(
        "turn.mode",
        r#""wake""#,
        Kind::Word(&["wake", "open", "push"]),
        "How it is addressed: wake (wake word), open (just speak), push (hold a button).",
    ),
    key(
        "turn.gate",
        r#""speech""#,
        Kind::Word(&["speech", "always"]),
        "In mode open: send from local speech on (speech), or all the time while unmuted (always).",
    ),
    key(
        "turn.barge_in",
        r#""auto""#,
        Kind::Word(&["auto", "speech", "wake", "off"]),
        "What interrupts a reply: auto (as `check --sound` and the echo allow), speech, wake, off (buttons only).",
    ),
    key(
        "turn.linger_s",
        "6",
        Kind::Number(0.0, 300.0),
        "Seconds after a reply in which no wake word is needed.",
    ),
    key(
        "wake.words",
        r#"["okay_nabu"]"#,
        Kind::Texts(WAKE_WORD),
        "Ready-made words, names of taught words, or model files.",
    ),
    key(
        "wake.sensitivity",
        "0.5",
        Kind::Number(0.0, 1.0),
        "0 = never by mistake, 1 = at the faintest likeness.",
    ),
    key(
        "board.profile",
        r#""generic""#,
        Kind::Text(FOLDER),
        "Folder under board/ that describes the hardware.",
    ),
    key(
        "state.directory",
        r#""""#,
        Kind::Text(PATH_OR_NONE),
        "Where settings and pairings are kept; empty = $STATE_DIRECTORY, else ~/.local/state/grok-speaker.",
    ),
    key(
        "control.socket",
        r#""/run/grok-speaker/control.sock""#,
        Kind::Text(PATH_OR_NONE),
        "Socket of `status` and `pair`; in the state directory when it cannot be made here.",
    ),
    key(
        "panel.name",
        r#""""#,
        Kind::Text(NAME),
        "Name of the speaker for people, such as Kitchen; \"\" is the host name.",
    ),
    key(
        "panel.listen",
        r#""0.0.0.0:8080""#,
        Kind::Text(ADDRESS),
        "Address and port of the panel, or off.",
    ),
    key(
        "panel.listen_tls",
        r#""off""#,
        Kind::Text(ADDRESS),
        "Address and port of the panel over TLS, or off.",
    ),
    key(
        "panel.secrets_on_http",
        "false",
        Kind::Boolean,
        "Whether secrets, such as the API key, may be typed into the panel without TLS.",
    ),
    key(
        "panel.open_view",
        "false",
        Kind::Boolean,
        "Whether everybody on the local network may watch, without pairing: state, meters, health.",
    ),
    key(
        "panel.mdns",
        r#""auto""#,
        Kind::Word(&["auto", "off"]),
        "Say the panel's name on the network: auto (where avahi does not run), off.",
    ),
    key(
        "panel.hosts",
        "[]",
        Kind::Texts(HOST),
        "Further names under which the panel may be reached.",
    ),
    key("panel.max_connections", "64", Kind::Integer(1, 1024), "Connections at most."),
    key(
        "panel.max_per_address",
        "16",
        Kind::Integer(1, 1024),
        "Connections of one address at most.",
    ),
    key(
        "panel.max_per_session",
        "8",
        Kind::Integer(1, 1024),
        "Connections of one paired browser at most.",
    ),
    key(
        "log.level",
        r#""info""#,
        Kind::Word(&["error", "warn", "info", "debug", "trace"]),
        "How much is logged: error, warn, info, debug, trace.",
    ),
];

/// What a board profile may say beside the sections of [`PROFILE_SECTIONS`].
pub const PROFILE_KEYS: &[Key] = &[
    key(
        "buttons.talk",
        "-1",
        Kind::Integer(-1, LINE_MAX),
        "GPIO line of the talk button; -1 = none.",
    ),
    key(
        "buttons.mute",
        "-1",
        Kind::Integer(-1, LINE_MAX),
        "GPIO line of the mute button; each press turns the microphone off or on; -1 = none.",
    ),
    key(
        "buttons.volume_up",
        "-1",
        Kind::Integer(-1, LINE_MAX),
        "GPIO line of the button for louder; -1 = none.",
    ),
    key(
        "buttons.volume_down",
        "-1",
        Kind::Integer(-1, LINE_MAX),
        "GPIO line of the button for quieter; -1 = none.",
    ),
    key("buttons.active_low", "true", Kind::Boolean, "Whether a pressed button reads 0."),
    key(
        "buttons.chip",
        r#""""#,
        Kind::Text(CHIP),
        "GPIO chip, by name or label; empty = the first named pinctrl-*, else gpiochip0.",
    ),
    key(
        "leds.kind",
        r#""none""#,
        Kind::Word(&["none", "gpio", "apa102", "ws2812"]),
        "What shows the state: none, gpio (one lamp), apa102, ws2812.",
    ),
    key("leds.count", "0", Kind::Integer(0, 256), "Pixels."),
    key("leds.line", "-1", Kind::Integer(-1, LINE_MAX), "GPIO line of a lamp; -1 = none."),
];

/// Sections of the configuration that a board profile may set: what follows from hardware.
pub const PROFILE_SECTIONS: &[&str] = &["audio", "speech", "turn", "wake"];

/// Highest GPIO line: more than the chip of any board has.
const LINE_MAX: i64 = 511;

/// The key of this path.
pub fn find<'a>(keys: &'a [Key], path: &str) -> Option<&'a Key> {
    keys.iter().find(|key| key.path == path)
}

/// For a path that is no key: what it may have meant, and what its section takes.
pub fn advice(keys: &[Key], path: &str) -> String {
    let (section, name) = path.split_once('.').unwrap_or((path, ""));
    if ["api_key", "key", "token", "xai_api_key", "secret"].contains(&name) {
        return "the API key is never a configuration value: put it into a file named by \
                grok.key_file, or the credential xai_api_key"
            .to_owned();
    }
    let known: Vec<_> = names(keys, section).collect();
    let takes = if known.is_empty() {
        format!("the sections are {}", sections(keys).join(", "))
    } else {
        format!("[{section}] takes {}", known.join(", "))
    };
    match nearest(keys, path, name) {
        Some(near) => format!("did you mean {near}? {takes}"),
        None => takes,
    }
}

/// The sections, in order.
pub fn sections(keys: &[Key]) -> Vec<&'static str> {
    let mut all: Vec<_> = keys.iter().filter_map(|key| key.path.split('.').next()).collect();
    all.dedup();
    all
}

/// The names of a section's keys.
fn names<'a>(keys: &'a [Key], section: &'a str) -> impl Iterator<Item = &'static str> + 'a {
    keys.iter().filter_map(move |key| match key.path.split_once('.') {
        Some((s, name)) if s == section => Some(name),
        _ => None,
    })
}

/// Edits at which two paths still look alike.
const EDITS_MAX: usize = 3;

fn nearest(keys: &[Key], path: &str, name: &str) -> Option<&'static str> {
    // A key in the wrong section, or without any, keeps its name.
    let same = |key: &&Key| key.path.split_once('.').is_some_and(|(_, n)| n == name || n == path);
    if let Some(key) = keys.iter().find(same) {
        return Some(key.path);
    }
    keys.iter()
        .map(|key| (edits(key.path, path), key.path))
        .filter(|(edits, _)| *edits <= EDITS_MAX)
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, path)| path)
}

/// Levenshtein distance; long texts are not compared.
fn edits(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().take(64).collect());
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let cost = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = cost.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

/// The text of `systemd/config.toml`: every key with its meaning and its default, as a comment, so
/// that a line left alone leaves the word to the board profile.
pub fn reference() -> String {
    let mut text = String::from(HEAD);
    for section in sections(KEYS) {
        text.push_str(&format!("\n[{section}]\n"));
        for key in KEYS {
            if let Some((s, name)) = key.path.split_once('.')
                && s == section
            {
                text.push_str(&format!("# {}\n#{name} = {}\n", key.meaning, key.default));
            }
        }
    }
    text
}

const HEAD: &str = "\
# grok-speaker: every key with its default and what it means.
# Take away the '#' before a key to change it. What is said here goes over the board profile; files
# in conf.d/ beside this one, what is changed at the panel, the environment
# (GROK_SPEAKER__SECTION__KEY) and --set go over this.
# The API key does not belong here: see grok.key_file.
";
