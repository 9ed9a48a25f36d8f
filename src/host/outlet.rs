//! Between the conversation and the playout ring: replies arrive several times faster than they
//! play, so what does not fit the ring waits here, in order.

use crate::audio::feed::Feed;
use crate::base::event::{PlayoutFact, Tag};
use crate::base::ring::Epoch;
use std::collections::VecDeque;

/// Samples that may wait: ten minutes at 24 kHz (29 MB). The longest reply seen is far shorter;
/// more than this is a fault of the service, and what comes beyond it is dropped and counted.
const WAITING_MAX: usize = 10 * 60 * 24_000;

#[derive(Debug)]
enum Piece {
    Play { epoch: Epoch, tag: Tag, samples: usize },
    End { epoch: Epoch, tag: Tag },
}

/// The main thread's end of playout.
#[derive(Debug)]
pub struct Outlet {
    feed: Feed,
    waiting: VecDeque<Piece>,
    /// The samples of all that waits, in one piece of memory that goes back when it is empty.
    held: VecDeque<i16>,
    /// The generation of speech that may sound.
    epoch: Epoch,
    /// The reply that was begun and has not left the speaker.
    reply: Option<Tag>,
}

impl Outlet {
    /// Nothing waits.
    pub fn new(feed: Feed) -> Self {
        let (waiting, held) = (VecDeque::new(), VecDeque::new());
        Self { feed, waiting, held, epoch: Epoch(0), reply: None }
    }

    /// The ring's own end, for everything that does not wait in line.
    pub fn feed(&mut self) -> &mut Feed {
        &mut self.feed
    }

    /// Plays after all that waits. Returns the samples that had to be dropped.
    pub fn play(&mut self, epoch: Epoch, tag: Tag, samples: &[i16]) -> usize {
        (self.epoch, self.reply) = (epoch, Some(tag));
        self.put(epoch, tag, samples)
    }

    /// Plays something of our own after all that waits; a flush silences it too.
    pub fn aside(&mut self, tag: Tag, samples: &[i16]) {
        self.put(self.epoch, tag, samples);
        self.end(self.epoch, tag);
    }

    /// Whether a reply sounds or is about to.
    pub fn is_replying(&self) -> bool {
        self.reply.is_some()
    }

    /// The next fact of playout, oldest first.
    pub fn fact(&mut self) -> Option<PlayoutFact> {
        let fact = self.feed.fact()?;
        if let PlayoutFact::Drained { tag } = fact
            && self.reply == Some(tag)
        {
            self.reply = None;
        }
        Some(fact)
    }

    fn put(&mut self, epoch: Epoch, tag: Tag, samples: &[i16]) -> usize {
        let at_once = if self.waiting.is_empty() { self.feed.play(epoch, tag, samples) } else { 0 };
        let rest = &samples[at_once..];
        let kept = rest.len().min(WAITING_MAX - self.held.len());
        if kept > 0 {
            self.held.extend(&rest[..kept]);
            self.waiting.push_back(Piece::Play { epoch, tag, samples: kept });
        }
        rest.len() - kept
    }

    /// Marks the end of a tag.
    pub fn end(&mut self, epoch: Epoch, tag: Tag) {
        self.waiting.push_back(Piece::End { epoch, tag });
        self.advance();
    }

    /// Forgets what waits and silences the ring.
    pub fn flush(&mut self, epoch: Epoch) {
        self.waiting.clear();
        self.held = VecDeque::new();
        (self.epoch, self.reply) = (epoch, None);
        self.feed.flush(epoch);
    }

    /// Moves on what fits.
    pub fn advance(&mut self) {
        while let Some(piece) = self.waiting.front_mut() {
            match piece {
                Piece::Play { epoch, tag, samples } => {
                    let next = self.held.as_slices().0;
                    let next = &next[..next.len().min(*samples)];
                    let taken = self.feed.play(*epoch, *tag, next);
                    self.held.drain(..taken);
                    *samples -= taken;
                    if *samples > 0 {
                        if taken == 0 {
                            return;
                        }
                        continue;
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
        if self.held.capacity() > 0 {
            self.held = VecDeque::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::Stamp;
    use crate::audio::playout::{PlayoutOptions, playout};
    use crate::base::pcm::to_i16;
    use crate::base::ring::{Silent, periods};
    use crate::base::unit::{Gain, Rate};
    use std::sync::Arc;

    const RATE: Rate = Rate(24_000);

    #[test]
    fn what_does_not_fit_the_ring_waits_in_order_and_its_memory_goes_back() {
        let options = PlayoutOptions { rate: RATE, gain: Gain::UNITY };
        let (writer, _reference) = periods(1, 1);
        let (mut playout, feed) = playout(options, writer, Arc::new(Silent), Arc::new(Silent));
        playout.shape(RATE, 1);
        let mut outlet = Outlet::new(feed);
        // 12 s, which no ring holds; quiet enough for the limiter.
        let said: Vec<i16> = (0..288_000).map(|i| (i * 31 % 20_000) as i16 - 10_000).collect();
        let dropped: usize =
            said.chunks(4801).map(|piece| outlet.play(Epoch(0), Tag(1), piece)).sum();
        outlet.end(Epoch(0), Tag(1));
        assert!(dropped == 0 && !outlet.held.is_empty());
        let (mut heard, mut out, mut drained) = (Vec::new(), [0.0; 240], false);
        for _ in 0..1300 {
            playout.fill(&mut out, Stamp::default());
            heard.extend(out.map(to_i16));
            while let Some(fact) = outlet.fact() {
                drained |= fact == PlayoutFact::Drained { tag: Tag(1) };
            }
            outlet.advance();
        }
        assert!(drained && heard[..said.len()] == said[..]);
        assert_eq!(outlet.held.capacity(), 0);
    }

    #[test]
    fn what_we_say_ourselves_waits_for_a_reply_and_goes_with_a_flush() {
        let options = PlayoutOptions { rate: RATE, gain: Gain::UNITY };
        let (writer, _reference) = periods(1, 1);
        let (mut playout, feed) = playout(options, writer, Arc::new(Silent), Arc::new(Silent));
        playout.shape(RATE, 1);
        let mut outlet = Outlet::new(feed);
        let mut hear = |outlet: &mut Outlet, periods: usize| {
            let mut heard = Vec::new();
            for _ in 0..periods {
                let mut out = [0.0; 240];
                playout.fill(&mut out, Stamp::default());
                heard.extend(out.map(to_i16));
                while outlet.fact().is_some() {}
            }
            heard
        };
        assert!(!outlet.is_replying());
        assert_eq!(outlet.play(Epoch(3), Tag(7), &[500; 2400]), 0);
        outlet.flush(Epoch(4));
        assert!(!outlet.is_replying(), "a flush ends a reply");
        assert_eq!(outlet.play(Epoch(4), Tag(8), &[500; 2400]), 0);
        outlet.end(Epoch(4), Tag(8));
        assert!(outlet.is_replying());
        outlet.aside(Tag(9), &[900; 2400]);
        let heard = hear(&mut outlet, 30);
        let first = |level: i16| heard.iter().position(|sample| *sample == level);
        assert!(first(500) < first(900) && first(900).is_some());
        assert!(!outlet.is_replying(), "it has left the speaker");
        outlet.aside(Tag(9), &[900; 24_000]);
        hear(&mut outlet, 5);
        outlet.flush(Epoch(5));
        hear(&mut outlet, 2);
        assert!(hear(&mut outlet, 5).iter().all(|sample| *sample == 0));
    }

    #[test]
    fn a_flush_forgets_what_waits() {
        let options = PlayoutOptions { rate: RATE, gain: Gain::UNITY };
        let (writer, _reference) = periods(1, 1);
        let (_playout, feed) = playout(options, writer, Arc::new(Silent), Arc::new(Silent));
        let mut outlet = Outlet::new(feed);
        assert_eq!(outlet.play(Epoch(0), Tag(1), &vec![1; WAITING_MAX]), 0);
        let beyond = outlet.play(Epoch(0), Tag(1), &vec![1; WAITING_MAX]);
        let ring = 2 * WAITING_MAX - beyond - outlet.held.len();
        assert!((1..WAITING_MAX / 2).contains(&ring), "all but what the ring took: {ring}");
        assert_eq!(outlet.held.len(), WAITING_MAX, "no more than that waits");
        outlet.flush(Epoch(1));
        assert_eq!((outlet.held.capacity(), outlet.waiting.len()), (0, 0));
    }
}
