//! What the owner wrote, layered and checked, as each room's options.
//!
//! Read once at start on the main thread. Rooms never import it: they are given their options.
//! Seven layers, each over the one before: built-in defaults, board profile, the file, `conf.d`
//! beside it, what a person chose at a panel (`live`), the environment, `--set`.

pub mod key;
pub mod keys;
mod kind;
mod layer;
pub mod live;
mod meaning;
mod rule;

use crate::board::profile::Profile;
use crate::{audio, conversation, speech};
pub use live::Changes;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Where the system's file lies.
pub const SYSTEM_FILE: &str = "/etc/grok-speaker/config.toml";
/// Where boards are looked for: a checkout first, then what the package installed.
pub const BOARD_DIRS: [&str; 2] = ["board", "/usr/share/grok-speaker/board"];

/// What [`load`] reads.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// `--config FILE`: must exist.
    pub file: Option<PathBuf>,
    /// The file when none is named: may be absent.
    pub system_file: PathBuf,
    /// `--set KEY=VALUE`, in order.
    pub sets: Vec<String>,
    /// The environment: `GROK_SPEAKER__*`, `STATE_DIRECTORY` and `HOME` are looked at.
    pub env: Vec<(String, String)>,
    /// Folders with boards, the first one first.
    pub board_dirs: Vec<PathBuf>,
}

impl Sources {
    /// This process's environment and the usual places.
    pub fn of_process(file: Option<PathBuf>, sets: Vec<String>) -> Self {
        let text = |s: std::ffi::OsString| s.to_string_lossy().into_owned();
        Self {
            file,
            system_file: SYSTEM_FILE.into(),
            sets,
            env: std::env::vars_os().map(|(k, v)| (text(k), text(v))).collect(),
            board_dirs: BOARD_DIRS.map(PathBuf::from).to_vec(),
        }
    }
}

/// Everything the owner decides, by room.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// `[turn]`, the prices and the session's part of `[grok]`.
    pub policy: conversation::Policy,
    /// What holds before anything was stored: `audio.volume`, unmuted.
    pub settings: conversation::Settings,
    /// `[audio]`.
    pub audio: audio::Options,
    /// `[speech]` and `audio.input_channel`.
    pub speech: speech::Options,
    /// The socket's part of `[grok]`.
    pub socket: Socket,
    /// `[panel]`.
    pub panel: Panel,
    /// `[wake]`.
    pub wake: Wake,
    /// `board.profile`.
    pub board: String,
    /// What it says about pins.
    pub profile: Profile,
    /// `state.directory`.
    pub state: PathBuf,
    /// `control.socket`.
    pub control: PathBuf,
    /// `log.level`.
    pub log: log::LevelFilter,
    /// The same by key, for a reader.
    pub in_force: InForce,
}

/// What holds for every key, and where it was written. Two configurations are told apart by what
/// they say to the rooms, so all of these are equal.
#[derive(Debug, Clone)]
pub struct InForce(pub Vec<Setting>);

impl PartialEq for InForce {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// What holds for one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// `section.key`.
    pub key: &'static str,
    /// As TOML, cut short where it is long.
    pub value: String,
    /// Characters of a text that is not cut.
    pub length: usize,
    /// File and line, variable or option; none for the default.
    pub place: Option<String>,
}

/// How the service is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Socket {
    /// `grok.url`.
    pub url: String,
    /// `grok.ca_file`.
    pub ca_file: Option<PathBuf>,
    /// `grok.key_file`.
    pub key_file: Option<PathBuf>,
}

/// The panel's door.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Panel {
    /// `panel.listen`; `None`: off.
    pub listen: Option<SocketAddr>,
    /// `panel.listen_tls`; `None`: off.
    pub listen_tls: Option<SocketAddr>,
    /// `panel.secrets_on_http`.
    pub secrets_on_http: bool,
    /// `panel.open_view`: whether viewers need no pairing.
    pub open_view: bool,
    /// `panel.mdns`: whether the speaker may say its own name on the network.
    pub mdns: bool,
    /// `panel.hosts`.
    pub hosts: Vec<String>,
    /// `panel.max_connections`.
    pub max_connections: usize,
    /// `panel.max_per_address`.
    pub max_per_address: usize,
    /// `panel.max_per_session`.
    pub max_per_session: usize,
}

/// Wake words.
#[derive(Debug, Clone, PartialEq)]
pub struct Wake {
    /// `wake.words`.
    pub words: Vec<String>,
    /// `wake.sensitivity`, 0..=1.
    pub sensitivity: f32,
}

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// No such key.
    #[error("{place}: unknown key {key}; {advice}")]
    Unknown {
        /// File and line, variable or option.
        place: String,
        /// As written.
        key: String,
        /// What it may have meant, and what is allowed.
        advice: String,
    },
    /// A wrong type or a senseless value.
    #[error("{place}: {key} = {value} is not allowed; it takes {allowed}")]
    Refused {
        /// File and line, variable or option.
        place: String,
        /// `section.key`.
        key: String,
        /// As written, cut short.
        value: String,
        /// In words.
        allowed: String,
    },
    /// Good values that contradict each other.
    #[error("{place}: {key}: {words}")]
    Senseless {
        /// Of one of them.
        place: String,
        /// Of the same.
        key: String,
        /// Why, and what is allowed.
        words: String,
    },
    /// A choice at a panel that does not count.
    #[error("{key} is set by {place}, which goes over what is chosen here")]
    Fixed {
        /// `section.key`.
        key: String,
        /// Variable or option.
        place: String,
    },
    /// A choice at a panel that needs a configuration file.
    #[error("panel: {key} cannot be changed while it runs; these can: {allowed}")]
    NotLive {
        /// `section.key`.
        key: String,
        /// Those that can.
        allowed: String,
    },
    /// Not TOML.
    #[error("{place}: not TOML: {words}")]
    Syntax {
        /// File and line.
        place: String,
        /// What the parser says.
        words: String,
    },
    /// A file or folder that cannot be read.
    #[error("{place}: cannot be read: {words}")]
    Unreadable {
        /// Path.
        place: String,
        /// Why.
        words: String,
    },
    /// `--set` without `=`.
    #[error("--set {written}: no value; it takes section.key=value")]
    NoValue {
        /// As written.
        written: String,
    },
    /// No such board.
    #[error("{place}: board.profile = {name:?}: there is no such profile; there are: {there_are}")]
    NoProfile {
        /// Where it was named.
        place: String,
        /// As written.
        name: String,
        /// Those there are.
        there_are: String,
    },
    /// A profile that sets what does not follow from hardware.
    #[error("{place}: {key}: a board profile sets {allowed}")]
    NotForProfile {
        /// File and line.
        place: String,
        /// `section.key`.
        key: String,
        /// The sections it may set.
        allowed: String,
    },
}

/// Everything that is wrong, a line each. The command prints it and exits with 78.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", lines(.0))]
pub struct ConfigError(pub Vec<Problem>);

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// What the owner wrote, read once: a person's choices at a panel go between its two halves.
#[derive(Debug)]
pub struct Layers {
    sources: Sources,
    /// Defaults, board profile, files.
    lower: Vec<layer::Layer>,
    /// Environment, `--set`.
    upper: Vec<layer::Layer>,
    profile: Profile,
}

/// Reads, layers and checks.
///
/// # Errors
/// Every mistake of every layer at once.
pub fn load(sources: &Sources) -> Result<Config, ConfigError> {
    read(sources).map(|(_, config)| config)
}

/// Reads and checks each layer on its own; beside them what they give while nobody has chosen
/// anything.
///
/// # Errors
/// Every mistake of every layer at once, and of the whole.
pub fn read(sources: &Sources) -> Result<(Layers, Config), ConfigError> {
    let mut problems = Vec::new();
    let defaults = layer::defaults(keys::KEYS, &mut problems);
    let files = layer::files(sources, &mut problems);
    let upper =
        vec![layer::environment(sources, &mut problems), layer::sets(sources, &mut problems)];

    // Which board is decided by every other layer, and then it goes under them.
    let all = [&defaults].into_iter().chain(&files).chain(&upper);
    let (name, place) = layer::topmost(all, "board.profile");
    let mut lower = vec![defaults];
    let mut profile = Profile::default();
    if let Some((text, place)) = layer::profile(sources, &name, &place, &mut problems) {
        let (layer, pins) = layer::board(&text, &place, &mut problems);
        lower.push(layer);
        profile = meaning::profile(pins, &mut problems);
    }
    lower.extend(files);
    let layers = Layers { sources: sources.clone(), lower, upper, profile };
    match layers.config(&Changes::new()) {
        Ok(config) if problems.is_empty() => Ok((layers, config)),
        Ok(_) => Err(ConfigError(problems)),
        Err(ConfigError(more)) => {
            problems.extend(more);
            Err(ConfigError(problems))
        }
    }
}
