//! The unit file as systemd itself reads it: nothing to complain about, and little exposed.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The most that may be exposed, on systemd's scale of 0 to 10.
const EXPOSURE_MAX: f64 = 1.6;

const COMMAND: &str = "ExecStart=/usr/bin/grok-speaker run";

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn analyze(arguments: &[&str]) -> Output {
    Command::new("systemd-analyze")
        .args(arguments)
        .env("SYSTEMD_COLORS", "0")
        .env("LC_ALL", "C.UTF-8")
        .output()
        .expect("systemd-analyze, which .ci/setup test installs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The major version, as in `systemd 252 (252.38-1)`.
fn version() -> String {
    let said = text(&analyze(&["--version"]).stdout);
    said.split_whitespace().nth(1).expect("a version").to_owned()
}

/// Verifies a unit of this text; what systemd says about it.
fn verify(name: &str, unit: &str) -> String {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&folder).expect("a folder for the unit");
    let path = folder.join("grok-speaker.service");
    std::fs::write(&path, unit).expect("the unit");
    let output = analyze(&["verify", "--man=no", &path.to_string_lossy()]);
    format!("{}{}", text(&output.stdout), text(&output.stderr))
}

/// The unit with the program of this build as its command: `verify` wants to find it.
fn unit() -> String {
    let unit = std::fs::read_to_string(here("systemd/grok-speaker.service")).expect("the unit");
    assert_eq!(unit.matches("ExecStart=").count(), 1);
    assert!(unit.lines().any(|line| line == COMMAND), "{COMMAND}");
    unit.replace(COMMAND, &format!("ExecStart={} run", env!("CARGO_BIN_EXE_grok-speaker")))
}

#[test]
fn systemd_has_nothing_to_say() {
    assert_eq!(verify("silent", &unit()), "");
}

#[test]
fn a_wrong_key_would_be_said() {
    let said = verify("wrong", &unit().replace("WatchdogSec=", "WatchdogSeconds="));
    assert!(said.contains("WatchdogSeconds"), "{said}");
}

#[test]
fn restarts_back_off_where_systemd_can() {
    let drop_in = std::fs::read_to_string(here("systemd/backoff.conf")).expect("the drop-in");
    let said = verify("backoff", &format!("{}\n{drop_in}", unit()));
    if version().parse::<u32>().expect("a number") >= 254 {
        assert_eq!(said, "");
    } else {
        // Older ones know neither key, which is why they are not in the unit.
        assert_eq!(said.lines().count(), 2, "{said}");
        assert!(said.contains("'RestartSteps'") && said.contains("'RestartMaxDelaySec'"), "{said}");
    }
}

/// A27: what is in memory is in no core file.
#[test]
fn a27_no_core_is_written() {
    assert!(unit().lines().any(|line| line == "LimitCORE=0"));
}

#[test]
fn little_is_exposed() {
    let unit = here("systemd/grok-speaker.service");
    let arguments = ["security", "--offline=true", "--no-pager", &unit.to_string_lossy()];
    let table = text(&analyze(&arguments).stdout);
    let overall = table
        .lines()
        .find_map(|line| line.split_once("Overall exposure level for grok-speaker.service: "))
        .and_then(|(_, rest)| rest.split_whitespace().next())
        .unwrap_or_else(|| panic!("no score in:\n{table}"));
    let score: f64 = overall.parse().expect("a number");
    assert!(score <= EXPOSURE_MAX, "exposed {score}, at most {EXPOSURE_MAX}:\n{table}");

    let exposed: Vec<String> = table
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix('✗'))
        .map(|line| {
            let name = line.split_whitespace().next().unwrap_or_default();
            let points = line.split_whitespace().last().unwrap_or_default();
            format!("{points} {name}")
        })
        .collect();
    let report = format!("systemd {}\nexposure {overall}\n{}\n", version(), exposed.join("\n"));
    let golden = here("tests/golden/security.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(here("tests/golden")).expect("the goldens' folder");
        std::fs::write(&golden, &report).expect("the golden");
    }
    let expected = std::fs::read_to_string(&golden).expect("tests/golden/security.txt");
    // Every version weighs other things; the limit above holds for all.
    if expected.lines().next() == report.lines().next() {
        assert_eq!(report, expected, "make golden writes it anew");
    }
}
