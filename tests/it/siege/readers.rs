//! A21: panels that want everything and do not take it. Each goes on until the speaker has let it go.

use super::attack::Field;
use super::guest::{Wire, is_quiet};
use super::watch::{clock, held};
use crate::sheet::pause;
use std::time::Duration;
use tokio_tungstenite::tungstenite::{Message, WebSocket};

/// What the list allows them.
const GONE: Duration = Duration::from_secs(20);
/// A filter of one instruction that lets nothing through (BPF's `RET`).
const NOTHING: socket2::SockFilter = socket2::SockFilter::new(0x06, 0, 0, 0);

/// It stops to read.
pub(super) fn frozen(field: &Field) {
    let ws = greedy(field);
    until_gone(field, ws, |_| pause(Duration::from_millis(100)));
}

/// It takes a kilobyte a second, and answers whatever it has read.
pub(super) fn sipping(field: &Field) {
    let mut ws = greedy(field);
    ws.get_mut().sip();
    until_gone(field, ws, |ws| match ws.read() {
        Ok(message) if message.to_text().is_ok_and(|text| text == "2") => {
            let _ = ws.send(Message::text("3"));
        }
        Err(e) if !is_quiet(&e) => pause(Duration::from_millis(100)),
        Ok(_) | Err(_) => {}
    });
}

/// It has left the network: no packet reaches it any more, and nobody says so.
pub(super) fn vanished(field: &Field) {
    let ws = greedy(field);
    socket2::SockRef::from(&ws.get_ref().tcp).attach_filter(&[NOTHING]).unwrap();
    until_gone(field, ws, |_| pause(Duration::from_millis(100)));
}

fn greedy(field: &Field) -> WebSocket<Wire> {
    let mut ws = field.owner.join();
    for event in ["listen", "inspect"] {
        ws.send(Message::text(format!("42[\"grok-voice:{event}\",{{\"on\":true}}]"))).unwrap();
    }
    ws
}

fn until_gone(
    field: &Field,
    mut ws: WebSocket<Wire>,
    mut meanwhile: impl FnMut(&mut WebSocket<Wire>),
) {
    let me = ws.get_ref().tcp.local_addr().unwrap();
    let start = clock();
    while held(field.address).contains(&me) {
        assert!(start.elapsed() < GONE, "a reader that does not read is there after {GONE:?}");
        field.blows.strike();
        meanwhile(&mut ws);
    }
}
