//! Which reply is audible, how much of it was received, sent to playout and heard, and where an
//! interruption cuts it. heard <= sent <= received, always.

use super::Output;
use crate::base::event::{PlayoutFact, Tag};
use crate::base::ring::Epoch;
use crate::base::unit::Rate;
use std::collections::VecDeque;
use std::time::Duration;

/// Stretches that wait to be heard; a reply has a handful. A service that sends more is cut short.
const STRETCHES: usize = 32;
/// Sound that waits to be heard; a reply is minutes, not hours. What is beyond it is dropped.
const UNHEARD: Duration = Duration::from_secs(600);

/// A run of sound of one item.
#[derive(Debug, Clone)]
struct Stretch {
    tag: Tag,
    response: String,
    item: String,
    /// Samples of the item before this stretch.
    base: u64,
    sent: u64,
    heard: u64,
    ended: bool,
}

/// Where an item is to be cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cut {
    pub(super) response: String,
    pub(super) item: String,
    pub(super) heard_ms: u64,
}

#[derive(Debug)]
pub(super) struct Downlink {
    rate: Rate,
    epoch: Epoch,
    next_tag: u32,
    stretches: VecDeque<Stretch>,
    /// Samples dropped because too much waited.
    pub(super) dropped: u64,
    /// The item whose sound came last and how much of it, for a stretch that goes on after its end.
    last: Option<(String, u64)>,
}

impl Downlink {
    pub(super) fn new(rate: Rate) -> Self {
        Self {
            rate,
            epoch: Epoch(1),
            next_tag: 0,
            stretches: VecDeque::new(),
            dropped: 0,
            last: None,
        }
    }

    pub(super) fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Whether anything is still to be heard.
    pub(super) fn is_playing(&self) -> bool {
        !self.stretches.is_empty()
    }

    /// How long what was sent will still be heard.
    pub(super) fn unheard(&self) -> Duration {
        self.rate.span(self.stretches.iter().map(|s| s.sent - s.heard).sum())
    }

    /// Hands sound on; its tag, or `None` when too much waits.
    pub(super) fn play(
        &mut self,
        response: &str,
        item: &str,
        samples: Vec<i16>,
        out: &mut VecDeque<Output>,
    ) -> Option<Tag> {
        let count = samples.len() as u64;
        let open = self
            .stretches
            .iter()
            .position(|s| s.item == item && s.response == response && !s.ended);
        if self.unheard() > UNHEARD || (open.is_none() && self.stretches.len() == STRETCHES) {
            self.dropped += count;
            return None;
        }
        let index = match open {
            Some(index) => index,
            None => self.begin(response, item),
        };
        let stretch = self.stretches.get_mut(index)?;
        stretch.sent += count;
        self.last = Some((item.to_owned(), stretch.base + stretch.sent));
        out.push_back(Output::Play { epoch: self.epoch, tag: stretch.tag, samples });
        Some(stretch.tag)
    }

    fn begin(&mut self, response: &str, item: &str) -> usize {
        self.next_tag = self.next_tag.wrapping_add(1);
        let base = match &self.last {
            Some((last, sent)) if last == item => *sent,
            Some(_) | None => 0,
        };
        self.stretches.push_back(Stretch {
            tag: Tag(self.next_tag),
            response: response.to_owned(),
            item: item.to_owned(),
            base,
            sent: 0,
            heard: 0,
            ended: false,
        });
        self.stretches.len() - 1
    }

    /// No more comes for this item, or for the whole reply.
    pub(super) fn end(&mut self, response: &str, item: Option<&str>, out: &mut VecDeque<Output>) {
        for s in &mut self.stretches {
            let ours = s.response == response && item.is_none_or(|item| s.item == item);
            if ours && !s.ended {
                s.ended = true;
                out.push_back(Output::PlayEnd { epoch: self.epoch, tag: s.tag });
            }
        }
    }

    /// Playout reports. `true` when the last of it was heard.
    pub(super) fn heed(&mut self, fact: PlayoutFact) -> bool {
        match fact {
            PlayoutFact::Heard { tag, samples } => {
                if let Some(s) = self.stretches.iter_mut().find(|s| s.tag == tag) {
                    s.heard = s.heard.max(samples.min(s.sent));
                }
                false
            }
            PlayoutFact::Drained { tag } => {
                let before = self.stretches.len();
                self.stretches.retain(|s| s.tag != tag || !s.ended);
                before > 0 && self.stretches.is_empty()
            }
            PlayoutFact::Started { .. }
            | PlayoutFact::Starved { .. }
            | PlayoutFact::Flushed { .. } => false,
        }
    }

    /// Silences everything and says where each item was cut.
    pub(super) fn cut(&mut self, out: &mut VecDeque<Output>) -> Vec<Cut> {
        if self.stretches.is_empty() {
            return Vec::new();
        }
        self.epoch = self.epoch.next();
        self.last = None;
        out.push_back(Output::Flush(self.epoch));
        let mut cuts: Vec<Cut> = Vec::new();
        for s in self.stretches.drain(..) {
            let heard_ms = (s.base + s.heard) * 1000 / u64::from(self.rate.0.max(1));
            match cuts.iter_mut().find(|c| c.item == s.item) {
                // The item goes on from a stretch that was heard to its end.
                Some(cut) if s.heard > 0 => cut.heard_ms = heard_ms,
                Some(_) => {}
                None => cuts.push(Cut { response: s.response, item: s.item, heard_ms }),
            }
        }
        cuts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_is_cut_where_it_was_heard() {
        let (mut down, mut out) = (Downlink::new(Rate(24_000)), VecDeque::new());
        let tag = down.play("r", "a", vec![0; 24_000], &mut out).unwrap();
        down.play("r", "b", vec![0; 4800], &mut out);
        down.heed(PlayoutFact::Heard { tag, samples: 20_183 });
        down.heed(PlayoutFact::Heard { tag, samples: 20_000 });
        let cuts = down.cut(&mut out);
        let at = |i: usize| (cuts[i].item.as_str(), cuts[i].heard_ms);
        assert_eq!((at(0), at(1), cuts.len()), (("a", 840), ("b", 0), 2));
        assert_eq!(out.back(), Some(&Output::Flush(Epoch(2))));
        assert!(down.cut(&mut out).is_empty());
    }

    #[test]
    fn more_is_never_heard_than_was_sent_and_the_end_needs_a_mark() {
        let (mut down, mut out) = (Downlink::new(Rate(24_000)), VecDeque::new());
        let tag = down.play("r", "a", vec![0; 480], &mut out).unwrap();
        down.heed(PlayoutFact::Heard { tag, samples: 9999 });
        assert_eq!(down.unheard(), Duration::ZERO);
        assert!(!down.heed(PlayoutFact::Drained { tag }));
        down.end("r", Some("a"), &mut out);
        assert!(down.heed(PlayoutFact::Drained { tag }));
    }

    #[test]
    fn sound_after_the_end_mark_is_a_new_stretch_of_the_same_item() {
        let (mut down, mut out) = (Downlink::new(Rate(24_000)), VecDeque::new());
        let first = down.play("r", "a", vec![0; 2400], &mut out).unwrap();
        down.end("r", Some("a"), &mut out);
        down.heed(PlayoutFact::Heard { tag: first, samples: 2400 });
        down.heed(PlayoutFact::Drained { tag: first });
        let second = down.play("r", "a", vec![0; 2400], &mut out).unwrap();
        down.heed(PlayoutFact::Heard { tag: second, samples: 240 });
        assert_eq!(down.cut(&mut out)[0].heard_ms, 110);
    }
}
