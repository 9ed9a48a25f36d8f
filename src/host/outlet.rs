//! Between the conversation and the playout ring: replies arrive several times faster than they
//! play, so what does not fit the ring waits here, in order.

use crate::audio::feed::Feed;
use crate::base::event::Tag;
use crate::base::ring::Epoch;
use std::collections::VecDeque;

/// Samples that may wait: ten minutes at 24 kHz (29 MB). The longest reply seen is far shorter;
/// more than this is a fault of the service, and what comes beyond it is dropped and counted.
const WAITING_MAX: usize = 10 * 60 * 24_000;

#[derive(Debug)]
enum Piece {
    Play { epoch: Epoch, tag: Tag, samples: Vec<i16>, played: usize },
    End { epoch: Epoch, tag: Tag },
}

/// The main thread's end of playout.
#[derive(Debug)]
pub struct Outlet {
    feed: Feed,
    waiting: VecDeque<Piece>,
    held: usize,
}

impl Outlet {
    /// Nothing waits.
    pub fn new(feed: Feed) -> Self {
        Self { feed, waiting: VecDeque::new(), held: 0 }
    }

    /// The ring's own end, for everything that does not wait in line.
    pub fn feed(&mut self) -> &mut Feed {
        &mut self.feed
    }

    /// Plays after all that waits. Returns the samples that had to be dropped.
    pub fn play(&mut self, epoch: Epoch, tag: Tag, samples: Vec<i16>) -> usize {
        let taken = samples.len().min(WAITING_MAX - self.held);
        let dropped = samples.len() - taken;
        let mut samples = samples;
        samples.truncate(taken);
        self.held += taken;
        self.waiting.push_back(Piece::Play { epoch, tag, samples, played: 0 });
        self.advance();
        dropped
    }

    /// Marks the end of a tag.
    pub fn end(&mut self, epoch: Epoch, tag: Tag) {
        self.waiting.push_back(Piece::End { epoch, tag });
        self.advance();
    }

    /// Forgets what waits and silences the ring.
    pub fn flush(&mut self, epoch: Epoch) {
        self.waiting.clear();
        self.held = 0;
        self.feed.flush(epoch);
    }

    /// Moves on what fits.
    pub fn advance(&mut self) {
        while let Some(piece) = self.waiting.front_mut() {
            match piece {
                Piece::Play { epoch, tag, samples, played } => {
                    let taken = self.feed.play(*epoch, *tag, &samples[*played..]);
                    *played += taken;
                    self.held -= taken;
                    if *played < samples.len() {
                        return;
                    }
                }
                Piece::End { epoch, tag } => {
                    if !self.feed.end(*epoch, *tag) {
                        return;
                    }
                }
            }
            self.waiting.pop_front();
        }
    }
}
