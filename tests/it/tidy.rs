//! The laws of the house, read off the sources: floors, doors, purity, and no dead or orphaned file.
//!
//! Each rule is a function from text to complaints, so that the tests below can also show it a
//! planted violation and see that it complains.

mod planted;
mod source;

use source::{Module, Source, mask_tests, module_tree, strip};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What a room may import. `room::file` allows that file of the room only.
const FLOORS: &[(&str, &[&str])] = &[
    ("base", &[]),
    ("dsp", &["base"]),
    ("audio", &["base", "dsp"]),
    ("speech", &["base", "dsp"]),
    ("grok", &["base"]),
    ("board", &["base"]),
    ("panel", &["base"]),
    ("standin", &["base", "dsp"]),
    ("conversation", &["base", "grok::session", "panel::event"]),
    (
        "config",
        &["base", "dsp", "audio", "speech", "grok", "board", "panel", "standin", "conversation"],
    ),
    (
        "host",
        &[
            "base",
            "dsp",
            "audio",
            "speech",
            "grok",
            "board",
            "panel",
            "standin",
            "conversation",
            "config",
        ],
    ),
    ("cli", &["base", "audio", "speech", "standin", "conversation", "config", "host"]),
];

/// Where an outside crate may be named: files, or folders with a slash at their end.
const DOORS: &[(&str, &[&str])] = &[
    ("alsa", &["audio/card/"]),
    ("anyhow", &["cli.rs", "host/"]),
    ("axum", &["panel/guard.rs", "panel/pages.rs", "panel/redirect.rs"]),
    ("base64", &["conversation/journal.rs", "grok/", "host/desk/record.rs", "standin/wire.rs"]),
    ("clap", &["cli.rs", "host/listen.rs", "host/standin.rs"]),
    ("config", &["config/layer.rs"]),
    ("cpal", &["audio/desktop.rs"]),
    ("earshot", &["speech/vad.rs"]),
    ("futures_util", &["grok/socket/", "standin/socket.rs"]),
    ("getrandom", &["host/mod.rs", "panel/token.rs"]),
    ("gpiocdev", &["board/gpio.rs"]),
    ("hound", &["audio/wav.rs"]),
    ("http", &["grok/socket/", "panel/guard.rs", "panel/pages.rs", "panel/redirect.rs"]),
    ("hyper", &["panel/engine.rs", "panel/server.rs"]),
    ("hyper_util", &["panel/engine.rs", "panel/server.rs"]),
    ("jiff", &["conversation/tool.rs", "grok/socket/words.rs", "host/clock.rs"]),
    ("listenfd", &["host/systemd.rs"]),
    ("mdns_sd", &["panel/mdns.rs"]),
    ("nix", &["board/gpio.rs", "host/"]),
    ("rcgen", &["panel/ca.rs", "standin/tls.rs"]),
    ("realfft", &["speech/"]),
    ("rubato", &["dsp/resample.rs"]),
    ("rustls", &["grok/socket/", "panel/tls.rs", "standin/tls.rs"]),
    ("rustls_native_certs", &["grok/socket/tls.rs"]),
    ("sd_notify", &["host/systemd.rs"]),
    ("sha2", &["panel/ca.rs", "panel/token.rs"]),
    ("socket2", &["grok/socket/dial.rs", "panel/stream.rs"]),
    (
        "socketioxide",
        &["panel/client.rs", "panel/engine.rs", "panel/socket.rs", "panel/socket/errands.rs"],
    ),
    ("subtle", &["panel/pairing.rs", "panel/token.rs"]),
    ("systemd_journal_logger", &["host/telemetry.rs"]),
    ("thread_priority", &["host/thread.rs"]),
    (
        "tokio",
        &[
            "board/gpio.rs",
            "grok/socket/",
            "host/",
            "panel/guard.rs",
            "panel/heads.rs",
            "panel/server.rs",
            "panel/socket.rs",
            "panel/socket/errands.rs",
            "panel/stream.rs",
            "standin/server.rs",
            "standin/socket.rs",
            "standin/stream.rs",
        ],
    ),
    (
        "tokio_rustls",
        &["grok/socket/dial.rs", "panel/tls.rs", "standin/server.rs", "standin/tls.rs"],
    ),
    ("tokio_tungstenite", &["grok/socket/", "standin/socket.rs"]),
    ("tokio_util", &["panel/heads.rs"]),
    ("toml", &["config/layer.rs"]),
    ("tower", &["panel/guard.rs"]),
    ("webpki_roots", &["grok/socket/tls.rs"]),
];

/// Spoken everywhere: no door.
const FREE: &[&str] = &["log", "rtrb", "serde", "serde_json", "thiserror"];

/// All that `base` may name.
const BASE_MAY: &[&str] = &["rtrb", "serde"];

/// Not in a pure file: clocks, threads, sockets, files.
const IMPURE: &[&str] = &[
    "std::env",
    "std::fs",
    "std::net",
    "std::process",
    "std::thread",
    "std::time::Instant",
    "std::time::SystemTime",
];

/// Of `std::net`, the names that are values and no sockets.
const ADDRESSES: &[&str] =
    &["IpAddr", "Ipv4Addr", "Ipv6Addr", "SocketAddr", "SocketAddrV4", "SocketAddrV6"];

/// Words of boards: they are data in `board/`, never code. The folder names there are added.
const BOARD_WORDS: &[&str] = &["googlevoicehat", "hifiberry", "respeaker", "wm8960"];

fn root() -> PathBuf {
    std::env::var_os("CARGO_MANIFEST_DIR").expect("run by cargo").into()
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn files_below(folder: &Path, ending: &str) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let Ok(entries) = std::fs::read_dir(folder) else { return found };
    for entry in entries {
        let path = entry.expect("readable folder").path();
        if path.is_dir() {
            found.extend(files_below(&path, ending));
        } else if path.to_string_lossy().ends_with(ending) {
            found.insert(path);
        }
    }
    found
}

/// `src` as modules, walked from its roots as the compiler does.
fn house() -> Vec<Module> {
    let src = root().join("src");
    let mut modules = module_tree(&src, "lib.rs");
    modules.extend(module_tree(&src, "main.rs"));
    modules
}

fn none(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

/// What of a file goes into the daemon: neither comments nor strings nor tests.
fn shipped(module: &Module, text: &str) -> Source {
    Source::new(&if module.test { String::new() } else { mask_tests(&strip(text)) })
}

/// The room of a file: its folder below `src`, or its own name.
fn room_of(path: &str) -> &str {
    path.split('/').next().unwrap_or(path).trim_end_matches(".rs")
}

fn floors(path: &str, source: &Source) -> Vec<String> {
    let room = room_of(path);
    if matches!(room, "lib" | "main") {
        return Vec::new();
    }
    let Some((_, may)) = FLOORS.iter().find(|(name, _)| *name == room) else {
        return vec![format!("src/{path}: the room `{room}` has no floor in tests/it/tidy.rs")];
    };
    let depth = path.trim_end_matches("/mod.rs").split('/').count();
    let is_room = |name: &str| FLOORS.iter().any(|(room, _)| *room == name);
    let mut complaints = Vec::new();
    for (line, words) in source.paths() {
        let steps: Vec<&str> = words.iter().map(String::as_str).collect();
        let target = match steps.as_slice() {
            ["crate", target @ ..] => target,
            // As many steps up as the file is deep lead to the whole house.
            ["super", ..] => {
                let up = steps.iter().take_while(|step| **step == "super").count();
                if up < depth {
                    continue;
                }
                &steps[up..]
            }
            _ => continue,
        };
        let Some(other) = target.first().filter(|name| is_room(name)) else { continue };
        let file = target.get(1).map(|file| format!("{other}::{file}"));
        let allowed = *other == room
            || may.contains(other)
            || file.as_deref().is_some_and(|file| may.contains(&file));
        if !allowed {
            let named = file.unwrap_or_else(|| (*other).to_owned());
            complaints.push(format!("src/{path}:{line}: `{room}` may not name `{named}`"));
        }
    }
    complaints
}

fn doors(path: &str, source: &Source) -> Vec<String> {
    let paths = source.paths();
    // The room `config` and the crate `config` share a name: whoever imports the room means it.
    let own_config =
        paths.iter().any(|(_, words)| words.starts_with(&["crate".into(), "config".into()]));
    let mut complaints = Vec::new();
    for (line, words) in &paths {
        let Some(name) = words.first().filter(|name| !own_config || *name != "config") else {
            continue;
        };
        let door = DOORS.iter().find(|(outside, _)| outside == name).map(|(_, files)| *files);
        let free = FREE.contains(&name.as_str());
        if room_of(path) == "base" && (door.is_some() || free) && !BASE_MAY.contains(&name.as_str())
        {
            complaints.push(format!("src/{path}:{line}: base names std, serde and rtrb only"));
        }
        let through = |door: &&str| *door == path || door.ends_with('/') && path.starts_with(*door);
        if let Some(files) = door.filter(|files| !files.iter().any(through)) {
            complaints
                .push(format!("src/{path}:{line}: `{name}` has its door in {}", files.join(", ")));
        }
    }
    complaints
}

fn purity(path: &str, source: &Source) -> Vec<String> {
    let outside =
        |name: &str| matches!(name, "tokio" | "alsa" | "cpal" | "nix" | "socket2" | "hound");
    let mut complaints = Vec::new();
    for (line, words) in source.paths() {
        let whole = words.join("::");
        let impure = IMPURE.iter().any(|banned| {
            whole.strip_prefix(banned).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
        });
        let address = whole.starts_with("std::net::") && ADDRESSES.contains(&words[2].as_str());
        if impure && !address || words.first().is_some_and(|name| outside(name)) {
            complaints.push(format!("src/{path}:{line}: a pure file names `{whole}`"));
        }
    }
    complaints
}

/// `#[cfg(feature = "io")]` stands before `mod` and `use` and nothing else.
fn feature_lines(path: &str, text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let mut complaints = Vec::new();
    for (i, line) in lines.iter().enumerate() {
        if !line.starts_with("#[") || !line.contains(concat!("feature = ", "\"io\"")) {
            continue;
        }
        let next =
            lines[i + 1..].iter().find(|l| !l.is_empty() && !l.starts_with("#[")).unwrap_or(&"");
        let bare = next.trim_start_matches("pub(crate) ").trim_start_matches("pub ");
        if !bare.starts_with("mod ") && !bare.starts_with("use ") {
            complaints
                .push(format!("src/{path}:{}: the feature `io` stands at mod lines only", i + 1));
        }
    }
    complaints
}

fn head(path: &str, text: &str) -> Vec<String> {
    if text.starts_with("//! ") {
        return Vec::new();
    }
    vec![format!("{path}:1: a room begins with what it is for (//!)")]
}

fn promises(path: &str, text: &str) -> Vec<String> {
    let words = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];
    let said = |line: &str| {
        line.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| words.contains(&word))
    };
    text.lines()
        .enumerate()
        .filter(|(_, line)| said(line))
        .map(|(i, _)| format!("{path}:{}: do it, or say it in the README's list", i + 1))
        .collect()
}

fn boards(path: &str, text: &str, names: &[String]) -> Vec<String> {
    let mut complaints = Vec::new();
    for (i, line) in text.lines().enumerate() {
        let line = line.to_lowercase();
        for name in names.iter().filter(|name| line.contains(name.as_str())) {
            complaints.push(format!("src/{path}:{}: a board's name, `{name}`, in code", i + 1));
        }
    }
    complaints
}

fn each_module(rule: impl Fn(&Module, &str) -> Vec<String>) -> Vec<String> {
    house()
        .iter()
        .flat_map(|module| rule(module, &read(&root().join("src").join(&module.path))))
        .collect()
}

#[test]
fn imports_point_down() {
    none(&each_module(|m, text| floors(&m.path, &shipped(m, text))));
}

#[test]
fn outside_crates_stay_in_their_doors() {
    none(&each_module(|m, text| doors(&m.path, &shipped(m, text))));
}

#[test]
fn every_door_is_there() {
    let missing: Vec<String> = DOORS
        .iter()
        .flat_map(|(outside, files)| files.iter().map(move |file| (outside, file)))
        .filter(|(_, file)| !root().join("src").join(file).exists())
        .map(|(outside, file)| format!("src/{file}, the door of `{outside}`, is not there"))
        .collect();
    none(&missing);
}

#[test]
fn pure_files_are_pure() {
    none(&each_module(
        |m, text| if m.io { Vec::new() } else { purity(&m.path, &shipped(m, text)) },
    ));
}

#[test]
fn every_dependency_has_a_door() {
    let manifest = read(&root().join("Cargo.toml"));
    let mut section = "";
    let mut complaints = Vec::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            section = line;
            continue;
        }
        let dependency = section.ends_with("dependencies]") && section != "[dev-dependencies]";
        let Some((name, rest)) = line.split_once(" = ").filter(|_| dependency) else { continue };
        let name = name.trim().replace('-', "_");
        if !FREE.contains(&name.as_str()) && !DOORS.iter().any(|(outside, _)| *outside == name) {
            complaints.push(format!("Cargo.toml: `{name}` has no door in tests/it/tidy.rs"));
        }
        if !rest.contains("# ") {
            complaints.push(format!("Cargo.toml: `{name}` has no reason beside it"));
        }
    }
    none(&complaints);
}

#[test]
fn feature_stands_at_mod_lines() {
    none(&each_module(|m, text| feature_lines(&m.path, text)));
}

#[test]
fn rooms_begin_with_their_purpose() {
    let complaints = each_module(|m, text| {
        if m.path.ends_with("mod.rs") || !m.path.contains('/') {
            head(&format!("src/{}", m.path), text)
        } else {
            Vec::new()
        }
    });
    none(&complaints);
}

#[test]
fn no_file_is_dead() {
    let mut reached: BTreeSet<PathBuf> =
        house().iter().map(|m| root().join("src").join(&m.path)).collect();
    let tests = root().join("tests/it");
    reached.extend(module_tree(&tests, "main.rs").iter().map(|m| tests.join(&m.path)));
    let sim = root().join("tests/sim/src");
    reached.extend(module_tree(&sim, "lib.rs").iter().map(|m| sim.join(&m.path)));
    let mut there = files_below(&root().join("src"), ".rs");
    there.extend(files_below(&tests, ".rs"));
    there.extend(files_below(&sim, ".rs"));
    let dead: Vec<String> = there
        .difference(&reached)
        .map(|path| format!("{}: no mod line reaches it", path.display()))
        .collect();
    none(&dead);
}

#[test]
fn nothing_is_promised_in_comments() {
    let mut complaints = Vec::new();
    for folder in ["src", "tests", "web/src", ".ci", "systemd"] {
        for path in files_below(&root().join(folder), "") {
            let code = ["rs", "sh", "ts", "tsx", "html", "py"];
            if path.extension().is_some_and(|e| code.iter().any(|code| e == *code)) {
                complaints.extend(promises(&path.display().to_string(), &read(&path)));
            }
        }
    }
    none(&complaints);
}

#[test]
fn boards_are_data() {
    let mut names: Vec<String> = BOARD_WORDS.iter().map(|word| (*word).to_owned()).collect();
    if let Ok(folders) = std::fs::read_dir(root().join("board")) {
        let folders = folders.map(|f| f.expect("readable folder")).filter(|f| f.path().is_dir());
        names.extend(folders.map(|f| f.file_name().to_string_lossy().to_lowercase()));
    }
    names.retain(|name| name != "generic");
    none(&each_module(|m, text| boards(&m.path, text, &names)));
}

/// What ARCHITECTURE.md names between backticks as a path of this repository.
fn named_paths(text: &str) -> Vec<&str> {
    let tops = ["src/", "tests/", "systemd/", "board/", "web/", ".ci/"];
    text.split('`')
        .skip(1)
        .step_by(2)
        .filter(|word| tops.iter().any(|top| word.starts_with(top)))
        .filter(|word| !word.contains(['<', '*', ' ', '{']))
        .collect()
}

#[test]
fn the_map_is_true() {
    let map = read(&root().join("ARCHITECTURE.md"));
    let mut complaints: Vec<String> = named_paths(&map)
        .iter()
        .filter(|path| !root().join(path).exists())
        .map(|path| format!("ARCHITECTURE.md: `{path}` is not there"))
        .collect();
    for module in
        house().iter().filter(|m| m.path.ends_with("/mod.rs") && m.path.matches('/').count() == 1)
    {
        let room = format!("`src/{}/`", room_of(&module.path));
        if !map.contains(&room) {
            complaints.push(format!("ARCHITECTURE.md: {room} is not on the map"));
        }
    }
    none(&complaints);
}
