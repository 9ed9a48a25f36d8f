//! DOOR sd-notify, listenfd: what we tell systemd, and the socket it may hand us. Outside systemd
//! every call is a no-op.

use sd_notify::NotifyState;
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

/// The panel's socket, where a socket unit holds it open. Only the first call gets it.
pub fn panel_socket() -> Option<std::net::TcpListener> {
    match listenfd::ListenFd::from_env().take_tcp_listener(0) {
        Ok(socket) => socket,
        Err(error) => {
            log::warn!(error:%; "the socket handed over is no listening TCP socket");
            None
        }
    }
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        log::debug!(error:% = error; "systemd cannot be told");
    }
}
