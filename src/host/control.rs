//! DOOR unix socket: `status` and `pair` of the running daemon, one JSON line each way.

use crate::config::{self, Config, Sources};
use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream as Blocking;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

/// Longest question in bytes: a role and a few braces.
const QUESTION_MAX: u64 = 1024;
/// A client that neither asks nor reads for so long is left alone.
const PATIENCE: Duration = Duration::from_secs(2);

/// What may be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "lowercase", deny_unknown_fields)]
pub enum Question {
    /// The state, as one object.
    Status,
    /// A pairing window for this role; answered with `code` and `seconds`.
    Pair {
        /// `viewer`, `controller` or `admin`.
        role: String,
    },
}

/// A client that was accepted and has not asked yet.
type Hearing = Pin<Box<dyn Future<Output = Option<(Question, Reply)>> + Send>>;

/// The listening end.
pub struct Control {
    listener: UnixListener,
    hearing: Option<Hearing>,
    path: PathBuf,
}

impl std::fmt::Debug for Control {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Control({})", self.path.display())
    }
}

impl Control {
    /// Makes the socket at the configured path, or in the state directory when that cannot be made.
    pub fn open(config: &Config) -> std::io::Result<Self> {
        let mut last = None;
        for path in paths(config) {
            match bind(&path) {
                Ok(listener) => return Ok(Self { listener, hearing: None, path }),
                Err(e) => {
                    last = Some(std::io::Error::new(e.kind(), format!("{}: {e}", path.display())))
                }
            }
        }
        Err(last.unwrap_or_else(|| std::io::Error::other("no path for the control socket")))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The next question of somebody who may ask. Never fails: a bad client is dropped. Whoever
    /// waits may stop at any time; a client that was accepted meanwhile is heard the next time.
    pub async fn next(&mut self) -> (Question, Reply) {
        loop {
            if let Some(hearing) = &mut self.hearing {
                let asked = hearing.await;
                self.hearing = None;
                if let Some(asked) = asked {
                    return asked;
                }
            }
            let Ok((stream, _)) = self.listener.accept().await else {
                // Out of descriptors, most likely: others will close some.
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            self.hearing = Some(Box::pin(async {
                tokio::time::timeout(PATIENCE, hear(stream)).await.ok().flatten()
            }));
        }
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        // Gone already is as good.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Takes one answer.
#[derive(Debug)]
pub struct Reply(UnixStream);

impl Reply {
    /// Sends it as one line.
    pub async fn send(mut self, answer: &serde_json::Value) {
        let line = format!("{answer}\n");
        // A client that left does not want it.
        let _ = tokio::time::timeout(PATIENCE, self.0.write_all(line.as_bytes())).await;
    }
}

async fn hear(mut stream: UnixStream) -> Option<(Question, Reply)> {
    if !may_ask(&stream) {
        return None;
    }
    let mut line = String::new();
    tokio::io::BufReader::new((&mut stream).take(QUESTION_MAX)).read_line(&mut line).await.ok()?;
    match serde_json::from_str(&line) {
        Ok(question) => Some((question, Reply(stream))),
        Err(e) => {
            Reply(stream).send(&serde_json::json!({"error": format!("not a question: {e}")})).await;
            None
        }
    }
}

/// Root, our own user, and members of our own group, which is what the mode 0660 says as well.
fn may_ask(stream: &UnixStream) -> bool {
    let Ok(peer) = stream.peer_cred() else { return false };
    let (uid, gid) = (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw());
    peer.uid() == 0 || peer.uid() == uid || peer.gid() == gid || in_group(peer.pid(), gid)
}

fn in_group(pid: Option<i32>, gid: u32) -> bool {
    let Some(pid) = pid else { return false };
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let groups = status.lines().find_map(|l| l.strip_prefix("Groups:")).unwrap_or_default();
    groups.split_whitespace().any(|g| g.parse() == Ok(gid))
}

fn paths(config: &Config) -> [PathBuf; 2] {
    [config.control.clone(), config.state.join("control.sock")]
}

fn bind(path: &Path) -> std::io::Result<UnixListener> {
    if Blocking::connect(path).is_ok() {
        return Err(std::io::Error::new(
            std::io::ErrorKind::AddrInUse,
            "another grok-speaker is running here",
        ));
    }
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    // Left behind by a process that was killed: nobody answers there. What is no socket is not ours.
    if std::fs::symlink_metadata(path).is_ok_and(|there| there.file_type().is_socket()) {
        std::fs::remove_file(path)?;
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660))?;
    Ok(listener)
}

fn ask(config: &Config, question: &Question) -> anyhow::Result<serde_json::Value> {
    let paths = paths(config);
    let mut stream = None;
    for path in &paths {
        match Blocking::connect(path) {
            Ok(s) => {
                stream = Some(s);
                break;
            }
            Err(e) if e.kind() == std::io::ErrorKind::PermissionDenied => {
                bail!(
                    "{}: not allowed; run it as root or as a member of the daemon's group",
                    path.display()
                )
            }
            Err(_) => {}
        }
    }
    let Some(mut stream) = stream else {
        bail!(
            "no running grok-speaker answers at {} or {}",
            paths[0].display(),
            paths[1].display()
        );
    };
    stream.set_read_timeout(Some(PATIENCE * 2))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    writeln!(stream, "{}", serde_json::to_string(question)?)?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).context("the daemon does not answer")?;
    if line.is_empty() {
        bail!("the daemon hung up: this user may not ask it");
    }
    let answer: serde_json::Value = serde_json::from_str(&line).context("the daemon's answer")?;
    match answer.get("error").and_then(|e| e.as_str()) {
        Some(error) => bail!("{error}"),
        None => Ok(answer),
    }
}

/// `status`: one fact a line, or one JSON object.
pub fn status(sources: &Sources, json: bool) -> anyhow::Result<()> {
    let answer = ask(&config::load(sources)?, &Question::Status)?;
    let mut out = std::io::stdout().lock();
    if json {
        writeln!(out, "{answer}")?;
        return Ok(());
    }
    for (key, value) in answer.as_object().into_iter().flatten() {
        match value.as_str() {
            Some("") => {}
            Some(text) => writeln!(out, "{key}: {text}")?,
            None => writeln!(out, "{key}: {value}")?,
        }
    }
    Ok(())
}

/// `pair`: opens the window and prints the code.
pub fn pair(sources: &Sources, role: &str) -> anyhow::Result<()> {
    let answer = ask(&config::load(sources)?, &Question::Pair { role: role.to_owned() })?;
    let code = answer["code"].as_str().context("the daemon gave no code")?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{code}")?;
    let mut beside = std::io::stderr().lock();
    let list = answer["panel_addresses"].as_array().into_iter().flatten();
    let addresses: Vec<&str> = list.filter_map(|address| address.as_str()).collect();
    if let Some((first, others)) = addresses.split_first() {
        let seconds = &answer["seconds"];
        writeln!(beside, "Enter it at {first} within {seconds} seconds (role: {role}).")?;
        if !others.is_empty() {
            writeln!(beside, "The same place: {}", others.join(" "))?;
        }
    }
    if let (Some(groups), Some(sha256)) =
        (answer["fingerprint"].as_str(), answer["fingerprint_sha256"].as_str())
    {
        writeln!(beside, "Over TLS the speaker shows the fingerprint {groups}\n({sha256}).")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_of_the_dead_is_taken_away_and_nothing_else() {
        let folder = std::env::temp_dir().join(format!("grok-speaker-bind-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (left, file) = (folder.join("left.sock"), folder.join("notes.txt"));
        drop(std::os::unix::net::UnixListener::bind(&left).unwrap());
        std::fs::write(&file, "mine").unwrap();
        crate::host::runtime().unwrap().block_on(async {
            let socket = bind(&left).unwrap();
            assert!(bind(&left).is_err(), "it is alive");
            drop(socket);
            assert!(bind(&file).is_err());
        });
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine");
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
