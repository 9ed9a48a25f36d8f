//! A Socket.IO client over polling.

use super::desk::{Desk, Heard, Session, heard, split};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::collections::VecDeque;

/// One that is connected, or about to be.
pub(super) struct Poll<'a> {
    desk: &'a Desk,
    pub(super) sid: String,
    cookie: String,
    left: VecDeque<String>,
}

impl<'a> Poll<'a> {
    /// Opens the Engine.IO session only.
    pub(super) async fn dial(desk: &'a Desk, session: &Session) -> Poll<'a> {
        let cookie = session.line();
        let reply = desk.http("GET /socket.io/?EIO=4&transport=polling", &[&cookie], "").await;
        assert_eq!(reply.status, 200);
        let open: Value = serde_json::from_str(&reply.body[1..]).unwrap();
        let sid = open["sid"].as_str().unwrap().to_owned();
        Poll { desk, sid, cookie, left: VecDeque::new() }
    }

    pub(super) async fn connect(desk: &'a Desk, session: &Session, seq: Value) -> Poll<'a> {
        let mut poll = Self::dial(desk, session).await;
        poll.say(&format!("40{}", json!({"csrf": session.csrf, "seq": seq}))).await;
        while !poll.packet().await.starts_with("40") {}
        poll
    }

    pub(super) fn path(&self) -> String {
        format!("/socket.io/?EIO=4&transport=polling&sid={}", self.sid)
    }

    pub(super) async fn say(&self, packet: &str) {
        let reply = self.desk.http(&format!("POST {}", self.path()), &[&self.cookie], packet).await;
        assert_eq!((reply.status, reply.body.as_str()), (200, "ok"));
    }

    pub(super) async fn packet(&mut self) -> String {
        loop {
            if let Some(packet) = self.left.pop_front() {
                if packet == "2" {
                    self.say("3").await;
                    continue;
                }
                return packet;
            }
            let reply = self.desk.http(&format!("GET {}", self.path()), &[&self.cookie], "").await;
            assert_eq!(reply.status, 200);
            assert!(reply.body.len() <= 64 * 1024);
            self.left.extend(reply.body.split('\u{1e}').map(str::to_owned));
        }
    }

    pub(super) async fn heard(&mut self) -> Heard {
        loop {
            let packet = self.packet().await;
            let Some((count, json)) = split(&packet) else { continue };
            let mut bytes = Vec::new();
            for _ in 0..count {
                let packet = self.packet().await;
                let text = packet.strip_prefix('b').expect("an attachment");
                bytes.push(STANDARD.decode(text).unwrap());
            }
            return heard(json, bytes);
        }
    }

    pub(super) async fn wait(&mut self, event: &str) -> Heard {
        loop {
            let heard = self.heard().await;
            if heard.event == event {
                return heard;
            }
        }
    }
}
