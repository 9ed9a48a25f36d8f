//! DOOR sd-notify, listenfd: what we tell systemd, and the sockets it may hand us. Outside systemd
//! every call is a no-op.

use sd_notify::NotifyState;
use std::net::TcpListener;
use std::time::Duration;

/// Everything is open: units that wait for us may start.
pub fn ready() {
    tell(&[NotifyState::Ready]);
}

/// One line for `systemctl status`.
pub fn status(line: &str) {
    tell(&[NotifyState::Status(line)]);
}

/// Said when the loops of all threads still turn.
pub fn alive() {
    tell(&[NotifyState::Watchdog]);
}

/// We are closing.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// How often to say [`alive`]: half of what the unit allows, as sd_watchdog_enabled(3) asks.
/// `None` when no watchdog is set.
pub fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|limit| limit / 2)
}

/// What a socket unit with this `FileDescriptorName` hands over is for HTTPS.
const TLS: &str = "tls";

/// The panel's sockets, where socket units hold them open.
#[derive(Debug, Default)]
pub struct Sockets {
    /// For HTTP.
    pub plain: Option<TcpListener>,
    /// For HTTPS.
    pub tls: Option<TcpListener>,
}

/// Takes them, the first of each kind. Only the first call gets them.
pub fn panel_sockets() -> Sockets {
    let mut sockets = Sockets::default();
    let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
    let mut handed = listenfd::ListenFd::from_env();
    for index in 0..handed.len() {
        let is_tls = names.split(':').nth(index) == Some(TLS);
        let place = if is_tls { &mut sockets.tls } else { &mut sockets.plain };
        match handed.take_tcp_listener(index) {
            Ok(socket) if place.is_none() => *place = socket,
            Ok(_) => log::warn!("more sockets are handed over than the panel has use for"),
            Err(error) => {
                log::warn!(error:%; "a socket handed over is no listening TCP socket");
            }
        }
    }
    sockets
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        log::debug!(error:% = error; "systemd cannot be told");
    }
}
