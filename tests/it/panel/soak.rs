//! F05: panels come and go by the hundred, on both transports, and leave in the middle of what they do. A
//! process of its own, so that its files and memory are those of the panel alone.

use super::desk::{Desk, SOON, Session, clock};
use super::poll::Poll;
use grok_speaker::panel::trust::Role;
use serde_json::{Value, json};
use std::process::{Command, Stdio};
use std::time::Duration;
use tokio::time::sleep;

/// Browsers that are paired; each has room for one round.
const BROWSERS: usize = 20;
/// Each lets every browser come and go once in every way; the first warms up.
const ROUNDS: usize = 4;
/// Longer than a silent panel is kept.
const SILENT: Duration = Duration::from_secs(20);
/// The list allows that much more for ten thousand.
const DRIFT_KB: usize = 2048;

#[test]
fn f05_panels_that_come_and_go_leave_nothing() {
    let out = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture", "panel::soak::alone"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let words = String::from_utf8_lossy(&out.stdout) + String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success() && words.contains("1 passed"), "{words}");
}

/// Up to which step of the upgrade from polling to WebSocket it goes before it is gone.
const STEPS: usize = 7;

async fn come_and_go(desk: &Desk, session: &Session, step: usize) {
    if step == 0 {
        drop(desk.connect(session, Value::Null).await);
        return;
    }
    let poll = Poll::dial(desk, session).await;
    if step == 1 {
        return;
    }
    poll.say(&format!("40{}", json!({"csrf": session.csrf}))).await;
    if step == 2 {
        return;
    }
    let mut panel = desk.dial_at(&format!("&sid={}", poll.sid), &session.cookie).await;
    if step > 3 {
        panel.say("2probe").await;
    }
    if step > 4 {
        assert_eq!(panel.text().await.as_deref(), Some("3probe"));
    }
    if step > 5 {
        panel.say("5").await;
    }
}

#[tokio::test]
#[ignore = "run by the test above, in a process of its own"]
async fn alone() {
    let desk = Desk::with(|options| {
        (options.max_connections, options.max_per_address) = (512, 512);
    });
    let mut browsers = Vec::new();
    for _ in 0..BROWSERS {
        browsers.push(desk.pair(Role::Admin).await);
    }
    let mut after = Vec::new();
    for _ in 0..ROUNDS {
        for step in 0..STEPS {
            for session in &browsers {
                come_and_go(&desk, session, step).await;
            }
        }
        assert!(desk.trust.clients() > 0, "nobody was there");
        desk.skip(SILENT);
        desk.live(0, SOON).await;
        after.push((files(&desk).await, memory_kb()));
    }
    let (first, last) = (after[0], after[ROUNDS - 1]);
    assert_eq!(last.0, first.0, "open files, {after:?}");
    assert!(last.1 < first.1 + DRIFT_KB, "memory in kB, {after:?}");
    assert_eq!(desk.trust.panics(), 0);
}

/// Open files, once they no longer become fewer.
async fn files(desk: &Desk) -> usize {
    let count = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let (start, mut least) = (clock(), count());
    while start.elapsed() < Duration::from_secs(2) {
        sleep(Duration::from_millis(100)).await;
        least = least.min(count());
    }
    assert_eq!(desk.trust.clients(), 0);
    least
}

fn memory_kb() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
