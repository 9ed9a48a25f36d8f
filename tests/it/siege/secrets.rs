//! A27: everything the speaker says and leaves behind, searched for its key.

use super::guest::{Guest, request};
use crate::daemon::Pair;
use serde_json::json;
use std::path::{Path, PathBuf};

/// How the keys of these tests begin, and the part of them that nothing may show.
pub(super) const KEY: &str = "xai-TESTSECRET-0123456789abcdef";
const SECRET: &str = "TESTSECRET";

/// Where to search, and what is there.
pub(super) struct Places(Vec<(String, Vec<u8>)>);

impl Places {
    /// What the speaker shows while it runs: `heard` is what panels were told, the rest is asked for.
    pub(super) fn of(pair: &Pair, owner: &Guest, heard: Vec<u8>) -> Self {
        let id = pair.speaker.id();
        let mut all = vec![("what panels were told".to_owned(), heard)];
        for name in ["cmdline", "environ"] {
            all.push((name.to_owned(), std::fs::read(format!("/proc/{id}/{name}")).unwrap()));
        }
        let cookie = format!("Cookie: {}\r\n", owner.cookie);
        for path in ["/metrics", "/healthz", "/api/session", "/api/trust"] {
            let answer = request(owner.address, &format!("GET {path}"), &cookie, "");
            assert!(answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
            all.push((path.to_owned(), answer.into_bytes()));
        }
        let mut ws = owner.join();
        for event in ["health", "clients", "key", "setup", "cards", "logs", "bundle"] {
            let answer = Guest::ask(&mut ws, event, &json!({}));
            assert!(answer.contains("\"ok\":true"), "{event}: {answer}");
            all.push((event.to_owned(), answer.into_bytes()));
        }
        Self(all)
    }

    /// Searches all of it, and every file of the test's folder but `home`, where the key lives.
    pub(super) fn search(&self, folder: &Path, home: &Path) {
        let mut files = Vec::new();
        walk(folder, &mut files);
        assert!(files.iter().any(|file| file == home), "no key at {}", home.display());
        for file in files.iter().filter(|file| *file != home) {
            search(&file.display().to_string(), &std::fs::read(file).unwrap());
        }
        for (place, bytes) in &self.0 {
            assert!(!bytes.is_empty(), "nothing in {place}");
            search(place, bytes);
        }
        let log = std::fs::read_to_string(folder.join("log")).unwrap();
        assert!(log.contains(" TRACE "), "not all was logged");
    }
}

fn search(place: &str, bytes: &[u8]) {
    let found = bytes.windows(SECRET.len()).any(|w| w == SECRET.as_bytes());
    assert!(!found, "the key is in {place}");
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, files);
        } else if path.is_file() {
            files.push(path);
        }
    }
}
