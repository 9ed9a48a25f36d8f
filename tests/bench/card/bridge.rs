//! The plain bridge in `bridge/`: Node with `arecord` and `aplay` as its children.

use crate::card::Card;
use crate::service::Service;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// As it comes, `arecord` hands over pieces of 125 ms. With these options it hands over what the
/// daemon sends at a time.
pub(crate) const SHORT: &str = "--period-size=320 --buffer-size=2560";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bench/card/bridge")
}

/// Whether it can run here; else says why not.
pub(crate) fn is_there() -> bool {
    let quiet = |c: &mut Command| c.stdout(Stdio::null()).stderr(Stdio::null()).status();
    let node = quiet(Command::new("node").arg("--version")).is_ok_and(|s| s.success());
    let library = folder().join("node_modules/ws/package.json").exists();
    if !node {
        println!("No Node here: the bridge is left out.");
    } else if !library {
        println!("The bridge's library is not installed (`make bench` does it): it is left out.");
    }
    node && library
}

/// The bridge, with more options for its `arecord`.
pub(crate) fn command(card: &Card, service: &Service, arecord: &str) -> Command {
    let mut command = card.command("node");
    command
        .arg(folder().join("bridge.mjs"))
        .env("BRIDGE_URL", format!("wss://localhost:{}/v1/realtime", service.port))
        .env("BRIDGE_CA", card.folder.join("ca.pem"))
        .env("BRIDGE_ARECORD", arecord)
        .env("XAI_API_KEY", "bench");
    command
}
