//! Configuration from the outside: layers, values, mistakes.

use grok_speaker::audio::{Backend, Device};
use grok_speaker::base::unit::{Rate, Volume};
use grok_speaker::config::key::{self, KeyError, KeySources, Place};
use grok_speaker::config::keys::{KEYS, reference};
use grok_speaker::config::{self, Config, ConfigError, Sources};
use grok_speaker::conversation::{BargeIn, Gate, Mode};
use grok_speaker::grok::session::Transport;
use grok_speaker::speech::{Channel, Level};
use proptest::prelude::*;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// A new empty folder.
pub(crate) fn scratch(name: &str) -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}_{number}"));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}

pub(crate) fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
    std::fs::write(path, text).expect("a file");
}

fn sets(sets: &[&str]) -> Result<Config, ConfigError> {
    config::load(&Sources {
        sets: sets.iter().map(ToString::to_string).collect(),
        ..Sources::default()
    })
}

fn env(pairs: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let env = pairs.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
    config::load(&Sources { env, ..Sources::default() })
}

fn file(text: &str) -> Result<Config, ConfigError> {
    let folder = scratch("file");
    let path = folder.join("config.toml");
    write(&path, text);
    let result = config::load(&Sources { file: Some(path), ..Sources::default() });
    std::fs::remove_dir_all(folder).expect("the folder");
    result
}

#[test]
fn the_defaults_are_the_contract() {
    let c = sets(&[]).unwrap();
    let s = &c.policy.session;
    assert_eq!(c.socket.url, "wss://api.x.ai/v1/realtime");
    assert_eq!((c.socket.ca_file, c.socket.key_file), (None, None));
    assert_eq!((s.model.as_str(), s.voice.as_str()), ("grok-voice-latest", "eve"));
    assert_eq!((s.language.as_str(), s.reasoning.as_str()), ("auto", "high"));
    assert!(!s.instructions.is_empty());
    assert_eq!(s.transport, Transport::Json);
    assert_eq!((s.input_rate, s.output_rate), (Rate(16_000), Rate(24_000)));
    assert_eq!(s.life, Duration::from_secs(25 * 60));
    assert_eq!(c.policy.hang_up_after, Some(Duration::from_secs(30)));
    assert_eq!((c.policy.price_per_minute, c.policy.price_per_text), (0.08, 0.004));
    assert_eq!(c.policy.budget_per_day, 0.0);
    assert_eq!(c.audio.backend, Backend::Auto);
    assert_eq!((c.audio.input, c.audio.output), (Device::Default, Device::Default));
    assert_eq!(c.speech.channel, Channel::Auto);
    assert_eq!(c.speech.echo_cancellation, Level::Auto);
    assert_eq!(c.settings.volume, Volume::new(60).unwrap());
    assert!(!c.settings.muted);
    assert_eq!((c.policy.mode, c.policy.gate), (Mode::Wake, Gate::Speech));
    assert_eq!(c.policy.barge_in, BargeIn::Auto);
    assert_eq!(c.policy.linger, Duration::from_secs(6));
    assert_eq!((c.wake.words, c.wake.sensitivity), (vec!["okay_nabu".to_owned()], 0.5));
    assert_eq!(c.board, "generic");
    assert_eq!(c.control, Path::new("/run/grok-speaker/control.sock"));
    assert_eq!(c.panel.listen, Some("0.0.0.0:8080".parse().unwrap()));
    assert_eq!((c.panel.listen_tls, c.panel.hosts.len()), (None, 0));
    assert!(
        !c.panel.secrets_on_http && !c.panel.open_view && c.panel.mdns && c.policy.name.is_empty()
    );
    let p = (c.panel.max_connections, c.panel.max_per_address, c.panel.max_per_session);
    assert_eq!(p, (64, 16, 8));
    assert_eq!(c.log, log::LevelFilter::Info);
}

/// Another value for every key.
const OTHERS: &[(&str, &str)] = &[
    ("grok.url", "ws://localhost:1/v1"),
    ("grok.model", "grok-voice-think-fast-2.0"),
    ("grok.voice", "ara"),
    ("grok.instructions", "Be brief."),
    ("grok.language", "pt-BR"),
    ("grok.reasoning", "none"),
    ("grok.transport", "binary"),
    ("grok.ca_file", "/a.pem"),
    ("grok.key_file", "/key"),
    ("grok.input_rate", "24000"),
    ("grok.output_rate", "48000"),
    ("grok.session_minutes", "10.5"),
    ("grok.hang_up_after_s", "0"),
    ("grok.price_per_minute", "1"),
    ("grok.price_per_text", "0.5"),
    ("grok.budget_per_day", "2"),
    ("audio.backend", "cpal"),
    ("audio.input", "file:/a.wav"),
    ("audio.output", "null"),
    ("audio.input_channel", "1"),
    ("audio.input_gain_db", "24"),
    ("audio.volume", "0"),
    ("speech.echo_cancellation", "off"),
    ("speech.noise_suppression", "low"),
    ("speech.gain_control", "high"),
    ("turn.mode", "open"),
    ("turn.gate", "always"),
    ("turn.barge_in", "off"),
    ("turn.linger_s", "2.5"),
    ("wake.words", "[\"a\", \"b\"]"),
    ("wake.sensitivity", "1"),
    ("board.profile", "other"),
    ("state.directory", "/s"),
    ("control.socket", "/c.sock"),
    ("panel.name", "Kitchen"),
    ("panel.listen", "off"),
    ("panel.listen_tls", "[::1]:8443"),
    ("panel.secrets_on_http", "true"),
    ("panel.open_view", "true"),
    ("panel.mdns", "off"),
    ("panel.hosts", "[\"speaker.lan\"]"),
    ("panel.max_connections", "1"),
    ("panel.max_per_address", "2"),
    ("panel.max_per_session", "3"),
    ("log.level", "trace"),
];

#[test]
fn every_key_does_something_by_set_and_by_environment() {
    let mut mentioned: Vec<_> = OTHERS.iter().map(|(key, _)| *key).collect();
    mentioned.dedup();
    assert_eq!(mentioned, KEYS.iter().map(|k| k.path).collect::<Vec<_>>());
    let boards = scratch("boards");
    write(&boards.join("other/profile.toml"), "");
    let plain = Sources { board_dirs: vec![boards], ..Sources::default() };
    let defaults = config::load(&plain).unwrap();
    for (key, value) in OTHERS {
        let by_set = Sources { sets: vec![format!("{key}={value}")], ..plain.clone() };
        let by_set = config::load(&by_set).unwrap_or_else(|e| panic!("{e}"));
        assert_ne!(by_set, defaults, "{key}");
        let name = format!("GROK_SPEAKER__{}", key.replacen('.', "__", 1).to_uppercase());
        let by_env = Sources { env: vec![(name, (*value).to_owned())], ..plain.clone() };
        assert_eq!(config::load(&by_env).unwrap(), by_set, "{key}");
    }
}

#[test]
fn the_reference_file_lists_every_key_with_its_default() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd/config.toml");
    if std::env::var_os("UPDATE_REFERENCE").is_some() {
        std::fs::write(&path, reference()).unwrap();
    }
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text, reference(), "UPDATE_REFERENCE=1 cargo test --test it config:: writes it");
    let defaults = sets(&[]).unwrap();
    assert_eq!(file(&text).unwrap(), defaults);
    // With every key in force it is still the defaults, and every key is there.
    let bare =
        |line: &str| line.strip_prefix('#').filter(|l| !l.starts_with(' ')).map(String::from);
    let plain: Vec<_> = text.lines().map(|l| bare(l).unwrap_or_else(|| l.to_owned())).collect();
    assert_eq!(
        plain.iter().filter(|l| !l.starts_with('#') && l.contains(" = ")).count(),
        KEYS.len()
    );
    assert_eq!(file(&plain.join("\n")).unwrap(), defaults);
    assert!(text.lines().all(|l| l.len() < 240));
}

#[test]
fn six_layers_lie_over_each_other_in_order() {
    let folder = scratch("layers");
    let system = folder.join("etc/config.toml");
    let boards = folder.join("boards");
    write(&boards.join("mine/profile.toml"), "[audio]\nvolume = 1\n[turn]\nlinger_s = 1");
    write(&boards.join("system/profile.toml"), "");
    let mut sources = Sources {
        system_file: system.clone(),
        sets: vec!["board.profile=mine".to_owned()],
        board_dirs: vec![boards],
        ..Sources::default()
    };
    let expect = |sources: &Sources, volume: u8| {
        let config = config::load(sources).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(config.settings.volume.percent(), volume);
        assert_eq!(config.policy.linger, Duration::from_secs(1), "no layer hides another key");
    };
    expect(&sources, 1);
    write(&system, "[audio]\nvolume = 2\n[board]\nprofile = \"system\"");
    expect(&sources, 2);
    write(&folder.join("etc/conf.d/20-b.toml"), "audio.volume = 4");
    write(&folder.join("etc/conf.d/10-a.toml"), "audio.volume = 3");
    write(&folder.join("etc/conf.d/30-c.txt"), "audio.volume = 99");
    write(&folder.join("etc/conf.d/.40-d.toml"), "audio.volume = 98");
    expect(&sources, 4);
    sources.env.push(("GROK_SPEAKER__AUDIO__VOLUME".to_owned(), "5".to_owned()));
    expect(&sources, 5);
    sources.sets.push("audio.volume=6".to_owned());
    expect(&sources, 6);
    sources.sets.push("audio.volume=7".to_owned());
    expect(&sources, 7);
    // The named file replaces the system's, with the conf.d beside itself.
    let named = folder.join("named/my.toml");
    write(&named, "audio.volume = 8");
    sources = Sources {
        file: Some(named),
        sets: vec!["board.profile=mine".to_owned()],
        env: Vec::new(),
        ..sources
    };
    expect(&sources, 8);
    write(&folder.join("named/conf.d/x.toml"), "audio.volume = 9");
    expect(&sources, 9);
}

#[test]
fn an_array_replaces_an_array() {
    let config = file("[wake]\nwords = [\"a\", \"b\", \"c\"]").unwrap();
    assert_eq!(config.wake.words, ["a", "b", "c"]);
    assert_eq!(sets(&["wake.words=[\"x\"]"]).unwrap().wake.words, ["x"]);
}

#[test]
fn values_of_set_are_toml_where_they_are_scalars_else_text() {
    let c = sets(&["grok.instructions=a = b, \"c\"", "audio.input=hw:CARD=x,DEV=0"]).unwrap();
    assert_eq!(c.policy.session.instructions, "a = b, \"c\"");
    assert_eq!(c.audio.input, Device::Named("hw:CARD=x,DEV=0".to_owned()));
    assert_eq!(sets(&["audio.input_channel=2"]).unwrap().speech.channel, Channel::Number(2));
    assert_eq!(sets(&["audio.input_channel=mix"]).unwrap().speech.channel, Channel::Mix);
    assert_eq!(sets(&["grok.input_rate=0x3e80"]).unwrap().policy.session.input_rate, Rate(16_000));
    assert_eq!(sets(&["wake.sensitivity= 1 "]).unwrap().wake.sensitivity, 1.0);
    assert_eq!(
        env(&[("GROK_SPEAKER__TURN__LINGER_S", "1.5")]).unwrap().policy.linger.as_millis(),
        1500
    );
    // What is not ours is not looked at.
    assert!(
        env(&[("GROK_SPEAKER_DEBUG", "x"), ("PATH", "/"), ("grok_speaker__x__y", "1")]).is_ok()
    );
}

#[test]
fn bad_input_names_the_key_the_place_and_what_is_allowed() {
    let rates = "8000, 11025, 16000, 22050, 24000, 32000, 44100, 48000";
    for (text, words) in [
        ("[grok]\ninput_rate = 12345", vec![", line 2", "grok.input_rate = 12345", rates]),
        ("[grok]\n\ninput_rate = \"x\"", vec![", line 3", "grok.input_rate = \"x\"", rates]),
        ("[grok]\nreasoning = \"low\"", vec!["grok.reasoning = \"low\"", "high, none"]),
        ("[grok]\nlanguage = \"es\"", vec!["grok.language = \"es\"", "es-MX"]),
        ("[grok]\nurl = \"ws://example.org\"", vec!["grok.url", "ws:// to this machine"]),
        ("[grok]\nvoice = 3", vec!["grok.voice = 3", "letters, digits"]),
        ("[grok]\nvoice = \"\"", vec!["grok.voice = \"\"", "letters, digits"]),
        ("[grok]\nhang_up_after_s = -1", vec!["grok.hang_up_after_s = -1", "from 0 to 86400"]),
        ("[grok]\nprice_per_minute = nan", vec!["price_per_minute = NaN", "from 0 to 1000"]),
        ("[grok]\nprice_per_minute = inf", vec!["price_per_minute = inf", "from 0 to 1000"]),
        ("[audio]\nvolume = 101", vec!["audio.volume = 101", "a whole number from 0 to 100"]),
        ("[audio]\nvolume = 50.5", vec!["audio.volume = 50.5", "a whole number from 0 to 100"]),
        ("[audio]\ninput_channel = \"left\"", vec!["input_channel = \"left\"", "auto, mix, or"]),
        ("[audio]\ninput = \"file:\"", vec!["audio.input = \"file:\"", "default, null, file:PATH"]),
        ("[turn]\nmode = true", vec!["turn.mode = true", "wake, open, push"]),
        ("[wake]\nwords = \"x\"", vec!["wake.words = \"x\"", "an array"]),
        ("[wake]\nwords = [1]", vec!["wake.words = [1]", "an array"]),
        ("[wake]\nwords = []", vec!["wake.words", "at least one word", "line 2"]),
        ("[wake]\nsensitivity = 1.5", vec!["wake.sensitivity = 1.5", "from 0 to 1"]),
        ("[panel]\nlisten = 8080", vec!["panel.listen = 8080", "0.0.0.0:8080"]),
        ("[panel]\nlisten = \"host:80\"", vec!["panel.listen = \"host:80\"", "off, or an address"]),
        (
            "[panel]\nlisten_tls = \"127.0.0.1:8080\"",
            vec!["panel.listen_tls", "taken by panel.listen", "line 2"],
        ),
        ("[panel]\nhosts = [\"http://x\"]", vec!["panel.hosts", "without scheme and port"]),
        ("[panel]\nmax_connections = 0", vec!["max_connections = 0", "from 1 to 1024"]),
        ("[log]\nlevel = \"loud\"", vec!["log.level = \"loud\"", "error, warn, info"]),
        ("[log]\nlevel = 1979-05-27", vec!["log.level = a date or time", "error, warn, info"]),
        ("log = \"info\"", vec!["line 1", "unknown key log", "[log] takes level"]),
        ("[log.level]\nx = 1", vec!["log.level = a table", "error, warn"]),
        ("[state]\ndirectory = \"~/x\"", vec!["state.directory = \"~/x\"", "not expanded"]),
        (
            "[grok]\nvolume = 3",
            vec!["unknown key grok.volume", "did you mean audio.volume", "[grok] takes url"],
        ),
        ("[speech]\nmode = \"open\"", vec!["speech.mode", "did you mean turn.mode"]),
        ("volume = 3", vec!["unknown key volume", "did you mean audio.volume"]),
        ("[grok]\nvoise = \"x\"", vec!["grok.voise", "did you mean grok.voice"]),
        ("[nonsense]\nx = 1", vec!["unknown key nonsense.x", "the sections are grok, audio"]),
        ("[grok]\napi_key = \"secret-1\"", vec!["grok.api_key", "grok.key_file"]),
        ("[grok\nx", vec!["line 1", "not TOML"]),
        ("[grok]\nurl = \"a\"\nurl = \"b\"", vec!["line 3", "not TOML", "duplicate"]),
        ("[board]\nprofile = \"../x\"", vec!["board.profile", "folder under board/"]),
        (
            "[board]\nprofile = \"nobody\"",
            vec!["line 2", "board.profile = \"nobody\"", "there are: none"],
        ),
    ] {
        let error = file(text).unwrap_err().to_string();
        assert!(error.contains("config.toml"), "{text:?}: {error}");
        for word in words {
            assert!(error.contains(word), "{text:?}: {error} lacks {word:?}");
        }
        assert_eq!(error.lines().count(), 1, "{text:?}: {error}");
    }
}

#[test]
fn a_key_pasted_into_the_configuration_is_not_repeated() {
    for text in ["[grok]\napi_key = \"xai-abc\"", "[grok]\nkey_file = \"xai-abc\""] {
        let error = file(text).unwrap_err().to_string();
        assert!(!error.contains("abc"), "{error}");
        assert!(error.contains("key_file"), "{error}");
    }
}

#[test]
fn environment_and_set_are_named_as_places() {
    let error = env(&[("GROK_SPEAKER__AUDIO__VOLUME", "loud")]).unwrap_err().to_string();
    assert!(error.starts_with("environment GROK_SPEAKER__AUDIO__VOLUME: audio.volume = \"loud\""));
    let error = env(&[("GROK_SPEAKER__AUDIO", "x")]).unwrap_err().to_string();
    assert!(error.contains("unknown key audio; [audio] takes backend"), "{error}");
    let error = sets(&["audio.volume=loud"]).unwrap_err().to_string();
    assert!(error.starts_with("--set audio.volume: audio.volume = \"loud\""), "{error}");
    let error = sets(&["audio.volume"]).unwrap_err().to_string();
    assert!(error.contains("section.key=value"), "{error}");
}

#[test]
fn every_mistake_of_every_layer_is_told_at_once() {
    let folder = scratch("many");
    let path = folder.join("config.toml");
    write(&path, "[audio]\nvolume = 200\nloudness = 3\n");
    write(&folder.join("conf.d/a.toml"), "[turn]\nmode = \"x\"");
    write(&folder.join("conf.d/b.toml"), "broken");
    let error = config::load(&Sources {
        file: Some(path),
        sets: vec!["log.level=x".to_owned(), "audio.volume=10".to_owned()],
        env: vec![("GROK_SPEAKER__GROK__URL".to_owned(), "x".to_owned())],
        ..Sources::default()
    })
    .unwrap_err();
    assert_eq!(error.0.len(), 6, "{error}");
    assert_eq!(error.to_string().lines().count(), 6);
}

#[test]
fn files_that_cannot_be_read_are_named() {
    let folder = scratch("unreadable");
    let load = |path: PathBuf| config::load(&Sources { file: Some(path), ..Sources::default() });
    let missing = load(folder.join("none.toml")).unwrap_err().to_string();
    assert!(missing.contains("none.toml") && missing.contains("No such file"), "{missing}");
    assert!(load(folder.clone()).is_err(), "a folder");
    std::fs::write(folder.join("latin.toml"), b"# \xe9").unwrap();
    assert!(load(folder.join("latin.toml")).unwrap_err().to_string().contains("not UTF-8"));
    write(&folder.join("big.toml"), &"#".repeat(2 << 20));
    assert!(load(folder.join("big.toml")).unwrap_err().to_string().contains("1 MiB"));
    // A missing system file is not a mistake.
    let system_file = folder.join("etc/config.toml");
    assert!(config::load(&Sources { system_file, ..Sources::default() }).is_ok());
}

#[test]
fn an_unknown_profile_lists_those_there_are() {
    let (checkout, installed) = (scratch("checkout"), scratch("installed"));
    write(&checkout.join("alpha/profile.toml"), "[audio]\nvolume = 11");
    write(&installed.join("alpha/profile.toml"), "[audio]\nvolume = 12");
    write(&installed.join("beta/profile.toml"), "");
    let load = |name: &str| {
        config::load(&Sources {
            sets: vec![format!("board.profile={name}")],
            board_dirs: vec![checkout.clone(), installed.clone()],
            ..Sources::default()
        })
    };
    assert_eq!(load("alpha").unwrap().settings.volume.percent(), 11, "the checkout first");
    assert!(load("beta").is_ok());
    let error = load("gamma").unwrap_err().to_string();
    assert!(error.starts_with("--set board.profile: "), "{error}");
    assert!(error.contains("\"gamma\"") && error.contains("there are: alpha, beta"), "{error}");
}

#[test]
fn a_working_directory_without_boards_is_no_mistake() {
    let file = scratch("notaboard").join("board");
    write(&file, "a file");
    let board_dirs = vec![file, PathBuf::from("/nowhere/board")];
    let config = config::load(&Sources { board_dirs, ..Sources::default() }).unwrap();
    assert_eq!(config.board, "generic");
}

#[test]
fn the_state_lies_where_systemd_says_or_at_home() {
    let state = |pairs: &[(&str, &str)]| env(pairs).unwrap().state;
    assert_eq!(state(&[("STATE_DIRECTORY", "/v/a:/v/b"), ("HOME", "/h")]), Path::new("/v/a"));
    assert_eq!(
        state(&[("STATE_DIRECTORY", ""), ("HOME", "/h")]),
        Path::new("/h/.local/state/grok-speaker")
    );
    assert_eq!(state(&[]), Path::new("/var/lib/grok-speaker"));
    let own = [("GROK_SPEAKER__STATE__DIRECTORY", "/own"), ("STATE_DIRECTORY", "/v")];
    assert_eq!(state(&own), Path::new("/own"));
}

fn key_file(folder: &Path, name: &str, text: &str, mode: u32) -> PathBuf {
    let path = folder.join(name);
    write(&path, text);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("permissions");
    path
}

#[test]
fn the_api_key_is_found_in_order() {
    let folder = scratch("key");
    let credential = key_file(&folder, "cred/xai_api_key", "xai-credential\n", 0o440);
    let own = key_file(&folder, "own", "xai-own\n", 0o400);
    let stored = key_file(&folder, "state/api_key", "xai-stored", 0o600);
    let mut sources = KeySources {
        credentials: Some(folder.join("cred")),
        key_file: Some(own.clone()),
        state: folder.join("state"),
        variable: Some("xai-variable".to_owned()),
    };
    let expect = |sources: &KeySources, key: &str, place: Place| {
        let found = key::find(sources).unwrap().unwrap();
        assert_eq!((found.key.expose(), found.place), (key, place));
    };
    expect(&sources, "xai-credential", Place::Credential(credential.clone()));
    // An empty credential counts as absent.
    std::fs::set_permissions(&credential, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::write(&credential, "\n").unwrap();
    expect(&sources, "xai-own", Place::KeyFile(own));
    sources.key_file = None;
    expect(&sources, "xai-stored", Place::Stored(stored.clone()));
    std::fs::remove_file(stored).unwrap();
    expect(&sources, "xai-variable", Place::Variable);
    sources.variable = Some("  ".to_owned());
    assert_eq!(key::find(&sources).unwrap(), None);
    assert!(!format!("{sources:?}").contains("xai-"));
}

#[test]
fn a_key_that_cannot_be_used_is_an_error_and_never_shown() {
    let folder = scratch("badkey");
    let find = |path: PathBuf| {
        key::find(&KeySources { key_file: Some(path), ..KeySources::default() }).unwrap_err()
    };
    for mode in [0o644, 0o640, 0o660, 0o604, 0o700] {
        let error = find(key_file(&folder, "open", "xai-abc", mode));
        assert!(matches!(error, KeyError::Open { mode: m, .. } if m == mode));
        let text = error.to_string();
        assert!(text.contains("0600 and 0400") && text.contains("grok.key_file"), "{text}");
    }
    for bad in ["xai-abc def", "xai-abc\nxai-def", "xai-\u{e9}", "", "  \n"] {
        let error = find(key_file(&folder, "bad", bad, 0o600));
        assert!(matches!(error, KeyError::NotAKey { .. }), "{bad:?}");
        assert!(!format!("{error} {error:?}").contains("xai-"), "{error}");
    }
    assert!(matches!(find(folder.join("missing")), KeyError::Unreadable { .. }));
    assert!(matches!(find(folder.clone()), KeyError::Unreadable { .. }));
    let long = find(key_file(&folder, "long", &"x".repeat(5000), 0o600));
    assert!(long.to_string().contains("longer than any key"));
}

proptest! {
    #[test]
    fn no_text_panics(text in any::<String>(), path in any::<String>(), value in any::<String>()) {
        let _ = config::load(&Sources {
            sets: vec![format!("{path}={value}"), text.clone()],
            env: vec![(format!("GROK_SPEAKER__{path}"), value)],
            ..Sources::default()
        });
        let _ = file(&text);
    }

    #[test]
    fn no_toml_panics_and_every_mistake_names_its_file(
        lines in prop::collection::vec((0..KEYS.len(), "[a-z_]{0,8}", 0usize..2,
            prop_oneof![
                Just("1"), Just("-1"), Just("1.5"), Just("true"), Just("[]"), Just("[[1], {}]"),
                Just("\"\""), Just("\"auto\""), Just("{ a = 1 }"), Just("1979-05-27"), Just("inf"),
                Just("99999999999999999999"), Just("\"\\u0000\""), Just("0xff"), Just("'xai-1'"),
            ]), 0..12))
    {
        let mut text = String::new();
        for (key, name, known, value) in lines {
            let path = if known == 1 { KEYS[key].path.to_owned() } else { format!("grok.{name}x[0]") };
            text.push_str(&format!("{path} = {value}\n"));
        }
        if let Err(error) = file(&text) {
            for problem in error.0 {
                prop_assert!(problem.to_string().contains("config.toml"), "{}", problem);
            }
        }
    }
}
