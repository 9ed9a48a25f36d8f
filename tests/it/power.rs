//! F11: the process is killed while it writes what it keeps, again and again. What is found afterwards is the
//! old or the new, and never nothing.

use crate::daemon::Folder;
use crate::sheet::pause;
use grok_speaker::host::store::Store;
use serde::{Deserialize, Serialize};
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Some tens, each at another moment of a write.
const KILLS: u64 = 50;
const FILE: &str = "settings.json";

#[derive(Serialize, Deserialize)]
struct Kept {
    count: usize,
    text: String,
}

impl Kept {
    fn new(count: usize) -> Self {
        Self { count, text: "x".repeat(count * 37 % 6000) }
    }
}

#[test]
fn f11_a_kill_while_settings_are_written_leaves_the_old_or_the_new() {
    let folder = Folder::new("power").join("state");
    let (mut kept, mut halves) = (0, 0);
    for kill in 0..KILLS {
        let mut writer = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "--nocapture", "power::writes_without_end"])
            .env("POWER_FOLDER", &folder)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(writer.stdout.take().unwrap());
        let mut line = String::new();
        while !line.starts_with("kept ") {
            line.clear();
            assert_ne!(said.read_line(&mut line).unwrap(), 0, "it wrote nothing");
        }
        pause(Duration::from_micros(kill * 997 % 5000));
        writer.kill().unwrap();
        writer.wait().unwrap();
        said.read_to_string(&mut line).unwrap();
        let last = line.lines().filter_map(|line| line.strip_prefix("kept ")).next_back();
        kept = kept.max(last.unwrap().parse().unwrap());
        halves += u32::from(folder.join(format!("{FILE}.new")).exists());

        let loaded = Store::open(&folder).load::<Kept>(FILE);
        assert!(loaded.fault.is_none(), "{:?}", loaded.fault);
        let found = loaded.value.expect("nothing is left");
        assert_eq!(found.text, Kept::new(found.count).text);
        assert!((kept..=kept + 1).contains(&found.count), "{} after {kept}", found.count);
        kept = found.count;
    }
    assert!(halves > 0, "no write was cut short");
}

#[test]
#[ignore = "run by the test above, which ends it"]
fn writes_without_end() {
    let store = Store::open(std::env::var_os("POWER_FOLDER").unwrap().as_ref());
    let last = store.load::<Kept>(FILE).value.map_or(0, |kept| kept.count);
    let mut out = std::io::stdout();
    for count in last + 1.. {
        store.save(FILE, &Kept::new(count)).unwrap();
        writeln!(out, "\nkept {count}").unwrap();
    }
}
