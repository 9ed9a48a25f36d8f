//! A28: what a panel sets is data. There is no time zone, hostname, Wi-Fi, time server or MQTT to set;
//! there are words for the service, names, and cards (`config::live` sees to those).

use super::addresses;
use super::guest::Guest;
use crate::daemon::Pair;
use serde_json::json;
use std::time::Duration;

/// What a shell, a file name, a header or a template could take for its own.
const HOSTILE: &str =
    "'; touch pwned; $(touch pwned) `touch pwned` | \"q\" \\ %s ${HOME} ../../x ü \u{202e}";

#[test]
fn a28_hostile_settings_stay_data() {
    let sets = ["panel.listen_tls=127.0.0.1:0"];
    let mut pair = Pair::start("settings", "null", &[], &sets);
    let [address, _] = addresses(&pair);
    let owner = Guest::pair(address, pair.ask(&["pair"]).trim());
    let mut ws = owner.join();
    let mut ask = |event: &str, payload| Guest::ask(&mut ws, event, &payload);
    // Words for people and the service arrive as they are.
    let set = ask("settings", json!({"changes": {"grok.instructions": HOSTILE}}));
    assert!(set.contains("\"ok\":true"), "{set}");
    let told =
        |log: &crate::sheet::Log| log.instructions().is_some_and(|text| text.contains(HOSTILE));
    pair.wait("the service to be told", Duration::from_secs(10), told);
    // Names of the service's are letters; where it goes, and what the device is, is not for panels.
    for (key, words) in [
        ("panel.name", "is not allowed"),
        ("grok.voice", "is not allowed"),
        ("grok.model", "is not allowed"),
        ("grok.language", "is not allowed"),
        ("audio.output", "--set audio.output"),
        ("grok.url", "goes over what is chosen here"),
        ("grok.ca_file", "goes over what is chosen here"),
        ("grok.key_file", "cannot be changed while it runs"),
        ("panel.hosts", "cannot be changed while it runs"),
        ("state.directory", "goes over what is chosen here"),
    ] {
        for value in [HOSTILE, "a\nb", "http://169.254.169.254/\u{202e}"] {
            let refused = ask("settings", json!({"changes": {key: value}}));
            assert!(
                refused.contains("\"ok\":false") && refused.contains(words),
                "{key}: {refused}"
            );
        }
    }
    let me = ask("clients", json!({}));
    let id = me.split("\"id\":\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let renamed = ask("client", json!({"id": id, "name": HOSTILE}));
    assert!(renamed.contains("touch pwned"), "{renamed}");
    // Nothing was started and no file made: not here, not where it was started.
    let tasks = format!("/proc/{}/task", pair.speaker.id());
    for task in std::fs::read_dir(tasks).unwrap() {
        let children = std::fs::read_to_string(task.unwrap().path().join("children")).unwrap();
        assert_eq!(children, "");
    }
    for folder in [std::env::temp_dir(), pair.folder.join(""), pair.folder.join("state")] {
        assert!(!folder.join("pwned").exists(), "{}", folder.display());
    }
    assert_eq!(pair.speaker.terminate(), Some(0));
}
