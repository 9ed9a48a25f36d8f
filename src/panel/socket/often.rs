//! What many panels are told many times a second: sound and meters.

use super::State;
use crate::base::unit::Moment;
use crate::panel::client::{Client, Slice};
use crate::panel::event::{Audio, Tick};
use std::sync::Arc;
use std::time::Duration;

/// Samples in one piece of sound: 200 ms at 24 kHz, so that several fit into one polling answer.
const PIECE: usize = 4800;
/// While slices follow each other this closely, meters wait for the next and leave in one write with
/// it; never for longer than a turn of the loop.
const CLOSE: Duration = Duration::from_millis(30);

impl State {
    /// A slice for those who listen and for the one whose typed turn it answers.
    pub(super) fn sound(&mut self, audio: &Audio, now: Moment) {
        let Self { clients, feed, next_slice, .. } = self;
        let seq = feed.seq();
        let ears = |c: &Client| c.listening || audio.to == Some(c.id);
        if !clients.values().any(ears) {
            return;
        }
        for piece in audio.pcm.chunks(PIECE) {
            let slice = Arc::new(Slice::new(&audio.item, *next_slice, audio.rate, piece));
            *next_slice += 1;
            let mut in_step = None;
            for client in clients.values_mut() {
                if client.hear(ears(client), &slice, seq) {
                    in_step = Some(&*client);
                }
            }
            if let Some(any) = in_step {
                any.play(&slice);
            }
        }
        self.sounded = Some(now);
        self.send_meters();
    }

    /// The meters moved: newer ones take the place of those that wait.
    pub(super) fn meter(&mut self, tick: Tick, now: Moment) {
        self.tick = Some(tick);
        if self.sounded.is_none_or(|last| now.since(last) > CLOSE) {
            self.send_meters();
        }
    }

    /// Sends the meters that wait.
    pub(super) fn send_meters(&mut self) {
        let Some(tick) = self.tick.take() else { return };
        let mut metered = None;
        for client in self.clients.values_mut() {
            if client.meter() {
                metered = Some(&*client);
            }
        }
        if let Some(any) = metered {
            any.tick(self.feed.seq(), &tick);
        }
    }
}
