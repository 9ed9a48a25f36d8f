//! What passes through the loop, counted.

use crate::audio::Xruns;
use crate::base::event::{Dial, Near, PlayoutFact, Side, Tag, Wire};
use crate::base::unit::{Moment, Rate};
use crate::conversation::report::stages;
use crate::host::counters::{Counters, Inside, Stage};
use crate::panel::Trust;
use crate::panel::event::{Event, State};
use crate::speech::thread::Counts;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How JSON audio begins; what else is sent is no audio.
const APPEND: &str = "{\"type\":\"input_audio_buffer.append\"";

/// Sees everything and counts it.
#[derive(Debug)]
pub struct Tally {
    counters: Arc<Counters>,
    output_rate: Rate,
    state: Option<State>,
    turns: u64,
    cost: f64,
    heard: (Tag, u64),
    /// When the newest sound that leaves as it comes was read from the card.
    read: Option<Moment>,
    /// The reply that is to be heard next, and when its first sound came.
    begun: Option<(Tag, Moment)>,
    xruns: [u64; 2],
    /// What the speech thread counts, and how many dropped blocks were told.
    near: (Arc<Counts>, u64),
}

impl Tally {
    /// Nothing counted yet.
    pub fn new(counters: Arc<Counters>, output_rate: Rate, near: Arc<Counts>) -> Self {
        Self {
            counters,
            output_rate,
            state: None,
            turns: 0,
            cost: 0.0,
            heard: (Tag(0), 0),
            read: None,
            begun: None,
            xruns: [0; 2],
            near: (near, 0),
        }
    }

    /// For the panels.
    pub fn event(&mut self, event: &Event) {
        match event {
            Event::State(state) => self.state = Some(state.clone()),
            Event::Turn(turn) => {
                self.turns += 1;
                self.cost += turn.cost;
                self.counters.turns.add(&turn.reason, 1);
                self.counters.cost(turn.cost);
                for (name, ms) in stages(&turn.marks) {
                    log::debug!(TURN_ID = turn.turn, STAGE = name, MS = ms; "A stage of a turn");
                    if let Some(stage) = Stage::named(name) {
                        self.counters.stage(stage, Duration::from_millis(ms));
                    }
                }
            }
            Event::Tick(tick) => {
                self.counters.mic_dbfs.set(tick.mic_dbfs);
                self.counters.erle_db.set(tick.erle_db);
            }
            Event::Transcript(_)
            | Event::Notice(_)
            | Event::Audio(_)
            | Event::Traffic(_)
            | Event::Answer(_) => {}
        }
    }

    /// The last state that was published.
    pub fn state(&self) -> Option<State> {
        self.state.clone()
    }

    /// From the front end. `read` is when it was read from the card, if it leaves as it comes.
    pub fn near(&mut self, near: &Near, read: Option<Moment>) {
        self.read = read;
        if let Some(score) = near.wake {
            self.counters.wake_score_max.set(score.0);
        }
    }

    /// To the service. When its last sample was read from the card, if it is sound that leaves as it
    /// comes.
    pub fn sent(&mut self, wire: &Wire) -> Option<Moment> {
        match wire {
            Wire::Text(text) if text.starts_with(APPEND) => self.counters.sent(sound(text)),
            Wire::Text(_) => return None,
            Wire::Binary(bytes) => self.counters.sent(bytes.len() as u64),
        }
        self.read.take()
    }

    /// To the speaker, at the same moment from the service; `alone` when nothing is before it.
    pub fn play(&mut self, tag: Tag, now: Moment, alone: bool) {
        if alone {
            self.begun = Some((tag, now));
        }
    }

    /// From the speaker.
    pub fn playout(&mut self, fact: PlayoutFact) {
        match fact {
            PlayoutFact::Heard { tag, samples } => {
                let before = if self.heard.0 == tag { self.heard.1 } else { 0 };
                self.counters.played(self.output_rate.span(samples.saturating_sub(before)));
                self.heard = (tag, samples);
            }
            PlayoutFact::Started { tag, at } => {
                if let Some((begun, came)) = self.begun.take()
                    && begun == tag
                {
                    self.counters.inside(Inside::DeltaToCard, at - came);
                }
            }
            PlayoutFact::Drained { .. }
            | PlayoutFact::Starved { .. }
            | PlayoutFact::Flushed { .. } => {}
        }
    }

    /// To the socket.
    pub fn dial(&self, dial: &Dial) {
        if let Some(trouble) = dial.after {
            self.counters.reconnects.add(trouble.word(), 1);
        }
    }

    /// Something did not fit its queue.
    pub fn dropped(&self, queue: &str) {
        self.counters.queue_dropped.add(queue, 1);
    }

    /// Once a second.
    pub fn second(&mut self, xruns: &Xruns, panels: &Trust) {
        let now = [xruns.overruns.load(Ordering::Relaxed), xruns.underruns.load(Ordering::Relaxed)];
        self.counters.xruns(Side::Capture, now[0] - self.xruns[0]);
        self.counters.xruns(Side::Playout, now[1] - self.xruns[1]);
        self.xruns = now;
        let dropped = self.near.0.dropped.load(Ordering::Relaxed);
        if dropped > self.near.1 {
            self.counters.queue_dropped.add("near", dropped - self.near.1);
            self.near.1 = dropped;
        }
        self.counters.panel_clients.set(panels.clients() as f32);
        self.counters.panel_panics.store(panels.panics() as u64, Ordering::Relaxed);
    }

    /// What `status` says about all this.
    pub fn status(&self) -> serde_json::Map<String, serde_json::Value> {
        let state = self.state.as_ref().and_then(|s| serde_json::to_value(s).ok());
        let mut status = match state {
            Some(serde_json::Value::Object(state)) => state,
            Some(_) | None => serde_json::Map::new(),
        };
        status.insert("turns".into(), self.turns.into());
        status.insert("cost_usd".into(), self.cost.into());
        status.insert("overruns".into(), self.xruns[0].into());
        status.insert("underruns".into(), self.xruns[1].into());
        status
    }
}

/// Bytes of sound in a JSON audio event.
fn sound(text: &str) -> u64 {
    let base64 = text.rsplit('"').nth(1).unwrap_or_default().trim_end_matches('=');
    base64.len() as u64 * 3 / 4
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::event::{Trouble, Voice};
    use crate::base::pcm::Block;
    use crate::base::unit::{Db, Score};

    #[test]
    fn sound_is_counted_without_its_wrapping() {
        let append = |audio: &str| format!("{APPEND},\"audio\":\"{audio}\"}}");
        assert_eq!(sound(&append("AAABAAIAAwAEAAUABgAHAA==")), 16);
        assert_eq!(sound(&append("")), 0);
    }

    fn tally() -> (Tally, Arc<Counters>) {
        let counters = Arc::new(Counters::default());
        (Tally::new(Arc::clone(&counters), Rate(24_000), Arc::default()), counters)
    }

    #[test]
    fn connections_made_anew_are_counted_by_cause() {
        let (tally, counters) = tally();
        tally.dial(&Dial::default());
        tally.dial(&Dial { after: Some(Trouble::Dropped), ..Dial::default() });
        let page = counters.prometheus();
        let lines: Vec<_> = page.lines().filter(|l| l.contains("reconnects_total{")).collect();
        assert_eq!(lines, ["grok_speaker_reconnects_total{cause=\"dropped\"} 1"]);
    }

    #[test]
    fn sound_that_leaves_as_it_comes_has_a_beginning_once() {
        let mut tally = tally().0;
        let near = Near {
            at: Moment::ZERO,
            block: Block::SILENCE,
            speech: Score(0.0),
            voice: Voice::Quiet,
            wake: None,
            mic: Db(-60.0),
            far: Db::SILENCE,
            erle: Db(0.0),
        };
        let append = Wire::Text(format!("{APPEND},\"audio\":\"AAAB\"}}"));
        let read = Some(Moment::from_millis(70));
        assert_eq!(tally.sent(&append), None);
        tally.near(&near, read);
        assert_eq!(tally.sent(&Wire::Text("{\"type\":\"response.cancel\"}".into())), None);
        assert_eq!((tally.sent(&append), tally.sent(&append)), (read, None));
        tally.near(&near, read);
        assert_eq!(tally.sent(&Wire::Binary(vec![0; 640])), read);
        tally.near(&near, read);
        tally.near(&near, None);
        assert_eq!(tally.sent(&append), None, "what waited has no beginning");
    }

    #[test]
    fn a_reply_is_timed_from_its_first_sound_unless_it_waits_for_another() {
        let (mut tally, counters) = tally();
        let ms = Moment::from_millis;
        let mut play = |tag, at, alone| tally.play(Tag(tag), ms(at), alone);
        play(1, 100, true);
        play(1, 104, false);
        play(2, 105, false);
        let started = |tag, at| PlayoutFact::Started { tag: Tag(tag), at: ms(at) };
        tally.playout(started(1, 113));
        tally.playout(started(2, 900));
        // One that is cut before it began, and the next.
        tally.play(Tag(3), ms(1000), true);
        tally.playout(started(4, 1300));
        let page = counters.prometheus();
        let line = |end: &str| format!("grok_speaker_inside_seconds_{end}\n");
        for end in ["sum{stage=\"delta_to_card\"} 0.013", "count{stage=\"delta_to_card\"} 1"] {
            assert!(page.contains(&line(end)), "{end}\n{page}");
        }
    }
}
