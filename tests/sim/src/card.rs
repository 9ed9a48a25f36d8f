//! A speaker with a ledger: plays what it is handed in virtual time and says what was heard.

use grok_speaker::base::event::{PlayoutFact, Tag};
use grok_speaker::base::ring::Epoch;
use grok_speaker::base::unit::{Moment, Rate};
use grok_speaker::conversation::Output;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

#[derive(Debug)]
enum Piece {
    Sound { tag: Tag, left: u64 },
    End { tag: Tag },
}

/// The card.
#[derive(Debug)]
pub struct Card {
    rate: Rate,
    epoch: Epoch,
    queue: VecDeque<Piece>,
    heard: BTreeMap<Tag, u64>,
    /// Samples handed over, by tag.
    pub sent: BTreeMap<Tag, u64>,
    clock: Moment,
    reported: Moment,
    starved: bool,
    /// Sound of an older epoch that was handed over after its flush.
    pub stale: u64,
}

impl Card {
    /// A silent one.
    pub fn new(rate: Rate) -> Self {
        Self {
            rate,
            epoch: Epoch(0),
            queue: VecDeque::new(),
            heard: BTreeMap::new(),
            sent: BTreeMap::new(),
            clock: Moment::ZERO,
            reported: Moment::ZERO,
            starved: false,
            stale: 0,
        }
    }

    /// Whether sound comes out of it.
    pub fn is_playing(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Samples of a tag that were heard.
    pub fn heard(&self, tag: Tag) -> u64 {
        self.heard.get(&tag).copied().unwrap_or(0)
    }

    /// Takes what is meant for it.
    pub fn take(&mut self, now: Moment, output: &Output) -> Vec<PlayoutFact> {
        match output {
            Output::Play { epoch, tag, samples } => {
                *self.sent.entry(*tag).or_default() += samples.len() as u64;
                if *epoch < self.epoch {
                    self.stale += samples.len() as u64;
                } else {
                    if self.queue.is_empty() {
                        self.clock = now;
                    }
                    self.queue.push_back(Piece::Sound { tag: *tag, left: samples.len() as u64 });
                    self.starved = false;
                }
                Vec::new()
            }
            Output::PlayEnd { tag, .. } => {
                if self.queue.is_empty() {
                    self.clock = now;
                }
                self.queue.push_back(Piece::End { tag: *tag });
                Vec::new()
            }
            Output::Flush(epoch) => {
                self.epoch = *epoch;
                self.queue.clear();
                vec![PlayoutFact::Flushed { epoch: *epoch }]
            }
            _ => Vec::new(),
        }
    }

    /// Plays on until now.
    pub fn advance(&mut self, now: Moment) -> Vec<PlayoutFact> {
        let mut facts = Vec::new();
        let mut budget = self.rate.frames(now - self.clock);
        self.clock += self.rate.span(budget);
        let mut last = None;
        while let Some(piece) = self.queue.front_mut() {
            match piece {
                Piece::Sound { tag, left } => {
                    let played = budget.min(*left);
                    let heard = self.heard.entry(*tag).or_default();
                    if *heard == 0 && played > 0 {
                        facts.push(PlayoutFact::Started { tag: *tag, at: now });
                    }
                    *heard += played;
                    *left -= played;
                    budget -= played;
                    last = Some((*tag, *heard));
                    if *left > 0 {
                        break;
                    }
                }
                Piece::End { tag } => {
                    let heard = self.heard.get(tag).copied().unwrap_or(0);
                    facts.push(PlayoutFact::Heard { tag: *tag, samples: heard });
                    facts.push(PlayoutFact::Drained { tag: *tag });
                    last = None;
                }
            }
            self.queue.pop_front();
        }
        if self.queue.is_empty() {
            if let Some((tag, samples)) = last {
                facts.push(PlayoutFact::Heard { tag, samples });
                if !std::mem::replace(&mut self.starved, true) {
                    facts.push(PlayoutFact::Starved { tag });
                }
            }
            self.clock = now;
        } else if let Some((tag, samples)) = last
            && now - self.reported >= Duration::from_millis(50)
        {
            self.reported = now;
            facts.push(PlayoutFact::Heard { tag, samples });
        }
        facts
    }
}
