//! Boards are data: every profile in `board/` is read as the daemon reads it.

use grok_speaker::board::profile::Lamp;
use grok_speaker::config::{self, Sources};
use std::path::{Path, PathBuf};

fn boards() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("board")
}

fn load(folder: PathBuf, name: &str) -> Result<config::Config, config::ConfigError> {
    config::load(&Sources {
        sets: vec![format!("board.profile={name}")],
        board_dirs: vec![folder],
        ..Sources::default()
    })
}

#[test]
fn every_profile_is_valid() {
    let mut count = 0;
    for entry in std::fs::read_dir(boards()).unwrap().map(Result::unwrap) {
        if entry.path().is_dir() {
            let name = entry.file_name().into_string().unwrap();
            load(boards(), &name).unwrap_or_else(|e| panic!("{e}"));
            count += 1;
        }
    }
    assert!(count >= 1);
}

#[test]
fn no_board_is_named_in_the_sources() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let names: Vec<String> = std::fs::read_dir(boards())
        .unwrap()
        .map(|e| e.unwrap())
        .filter(|e| e.path().is_dir() && e.file_name() != "generic")
        .map(|e| e.file_name().into_string().unwrap())
        .collect();
    let mut folders = vec![root];
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else {
                let text = std::fs::read_to_string(&path).unwrap();
                for name in &names {
                    assert!(!text.contains(name.as_str()), "{} names {name}", path.display());
                }
            }
        }
    }
}

#[test]
fn the_documented_example_means_what_it_says() {
    let readme = std::fs::read_to_string(boards().join("README.md")).unwrap();
    let example = readme.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    let folder = super::config::scratch("board_readme");
    super::config::write(&folder.join("mine/profile.toml"), example);
    let config = load(folder, "mine").unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(config.profile.buttons.talk, Some(17));
    assert_eq!(config.profile.leds.lamp, Lamp::Apa102);
    assert_eq!(config.profile.leds.count, 3);
    assert_eq!(config.board, "mine");
}

#[test]
fn bad_profiles_are_answered_with_file_key_and_what_is_allowed() {
    for (text, words) in [
        ("[buttons]\ntalk = 4000", ["line 2", "buttons.talk = 4000", "from -1 to 511"]),
        ("[buttons]\ntalk = 3\nmute = 3", ["line 3", "buttons.mute", "taken by buttons.talk"]),
        ("[buttons]\nbell = 3", ["line 2", "unknown key buttons.bell", "talk, mute, volume_up"]),
        ("[leds]\nkind = \"neon\"", ["line 2", "leds.kind = \"neon\"", "none, gpio, apa102"]),
        ("[leds]\nkind = \"gpio\"", ["line 2", "leds.line", "needs leds.line"]),
        ("[leds]\nkind = \"apa102\"", ["line 2", "leds.count", "from 1 to 256"]),
        ("[grok]\nurl = \"wss://a\"", ["line 2", "grok.url", "audio, speech, turn, wake"]),
        ("[board]\nprofile = \"x\"", ["line 2", "board.profile", "audio, speech, turn, wake"]),
        ("[audio]\nvolume = 101", ["line 2", "audio.volume = 101", "from 0 to 100"]),
        ("[audio", ["line 1", "not TOML", ""]),
    ] {
        let folder = super::config::scratch("board_bad");
        super::config::write(&folder.join("mine/profile.toml"), text);
        let error = load(folder, "mine").unwrap_err().to_string();
        assert!(error.contains("mine/profile.toml"), "{text:?}: {error}");
        for word in words {
            assert!(error.contains(word), "{text:?}: {error} lacks {word:?}");
        }
    }
}
