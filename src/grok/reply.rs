//! One reply per turn: which is active, which is wanted, which is over (R2, R3, R4). Pure.
//!
//! The service may answer a commit by itself or wait to be asked (Q1, documents), may drop a reply
//! without a word (Q3, Q6), or never close one. So a wish for a reply and the reply itself are kept
//! apart, both with limits: a wish is met by the next `response.created`, repeated once with a
//! clear before it, then given up; a reply is over by its `response.done`, by another reply, by
//! speech under server VAD, or by its limit.

use crate::base::unit::Moment;
use std::collections::VecDeque;
use std::time::Duration;

/// Without sound so long after `response.created`, the reply is given up (R2; 8.7 s were seen, Q16).
pub const FIRST_AUDIO: Duration = Duration::from_secs(15);
/// `response.done` is taken as come so long after the last sound (R2).
pub const DONE: Duration = Duration::from_secs(5);
/// The same after an error in mid-reply: nothing more is expected, only a last delta on its way.
pub const DONE_AFTER_ERROR: Duration = Duration::from_secs(1);
/// A cancelled reply may never be closed (R3): so long is waited before the next is asked for.
pub const CANCELLED: Duration = Duration::from_millis(1500);
/// After a manual commit the service usually answers by itself within 0.4 s (section 5.3).
pub const BY_ITSELF: Duration = Duration::from_millis(1500);
/// A commit that is not even confirmed: silence, most likely (Q1).
pub const UNCONFIRMED: Duration = Duration::from_secs(3);
/// From asking to `response.created`; under server VAD from the commit.
pub const CREATED: Duration = Duration::from_secs(5);
/// Deltas may overtake `response.done` by so much and are still played.
pub const OVERTAKEN: Duration = Duration::from_secs(1);
/// A reply that was asked for and is not wanted any more may still begin for so long; until then no
/// other is asked for.
pub const UNWANTED: Duration = Duration::from_secs(2);
/// Ids of finished replies that are remembered; late deltas come within seconds, not days.
const FINISHED: usize = 64;

/// Why a reply is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// The service's own turn detection committed a spoken turn.
    Heard,
    /// A button ended a spoken turn.
    Committed {
        /// Somebody spoke, so an answer is due.
        spoken: bool,
    },
    /// A typed turn or the outputs of tools: they must be asked for.
    Asked,
}

/// How a reply ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// The service said so: complete.
    Completed,
    /// The service said so: not complete.
    Broken,
    /// It was cancelled, by us or by the service.
    Cancelled,
    /// Speech under server VAD took it back (Q3) or interrupted it.
    SpokenOver,
    /// Another reply began.
    Superseded,
    /// Its end never came, but its sound did.
    Unclosed,
    /// No sound came in time.
    TooSlow,
    /// The link ended.
    Lost,
}

/// What is to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// `response.create`.
    Create,
    /// `input_audio_buffer.clear`, then `response.create` (Q6).
    ClearAndCreate,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// A reply is over.
    Over {
        /// Which.
        id: String,
        /// How.
        how: Over,
    },
    /// A wish was given up.
    NoReply {
        /// Somebody waits for it.
        due: bool,
    },
    /// A reply began that nobody wants any more: it is to be cancelled.
    Unwanted {
        /// Which.
        id: String,
    },
}

#[derive(Debug, Clone)]
struct Active {
    id: String,
    since: Moment,
    last_sound: Option<Moment>,
    called: bool,
    cancelled: Option<Moment>,
    error: Option<Moment>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// The service should answer by itself until then.
    ByItself(Moment),
    /// To be asked for as soon as no reply is active.
    Next,
    /// Asked; a second try is left or not.
    Sent { at: Moment, again: bool },
}

#[derive(Debug, Clone, Copy)]
struct Wanted {
    wish: Wish,
    step: Step,
}

#[derive(Debug, Clone)]
struct Finished {
    id: String,
    how: Over,
    at: Moment,
}

/// The replies of one connection.
#[derive(Debug, Clone, Default)]
pub struct Replies {
    active: Option<Active>,
    wanted: Option<Wanted>,
    finished: VecDeque<Finished>,
    /// A wish was taken back while its reply was on its way.
    unwanted: Option<Moment>,
}

impl Replies {
    /// The reply that is being produced.
    pub fn active(&self) -> Option<&str> {
        self.active.as_ref().map(|a| a.id.as_str())
    }

    /// Whether a reply is wanted and has not begun.
    pub fn is_wanted(&self) -> bool {
        self.wanted.is_some()
    }

    /// Whether a reply has begun and its first sound is still to come.
    pub fn is_due(&self) -> bool {
        self.active.as_ref().is_some_and(|a| a.last_sound.is_none() && a.cancelled.is_none())
    }

    /// Wants a reply. A stronger wish replaces a weaker one; there is one reply a turn.
    pub fn want(&mut self, now: Moment, wish: Wish) {
        let step = match wish {
            Wish::Heard => {
                if self.active.as_ref().is_some_and(|a| a.cancelled.is_none()) {
                    // It was opened before the commit was told (section 5.2).
                    return;
                }
                Step::ByItself(now + CREATED)
            }
            Wish::Committed { .. } => Step::ByItself(now + UNCONFIRMED),
            Wish::Asked => Step::Next,
        };
        self.wanted = Some(Wanted { wish, step });
    }

    /// The manual commit is confirmed: the service answers soon, or waits to be asked.
    pub fn confirmed(&mut self, now: Moment) {
        if let Some(Wanted { wish: Wish::Committed { .. }, step: step @ Step::ByItself(_) }) =
            &mut self.wanted
        {
            *step = Step::ByItself(now + BY_ITSELF);
        }
    }

    /// Nobody waits any more.
    pub fn forget(&mut self, now: Moment) {
        if let Some(wanted) = self.wanted.take()
            && wanted.step != Step::Next
        {
            self.unwanted = Some(now);
        }
    }

    /// Whether a reply that nobody wants may still begin.
    fn expects_unwanted(&self, now: Moment) -> bool {
        self.unwanted.is_some_and(|at| now - at < UNWANTED)
    }

    /// `response.created`, or the first event of a reply whose `created` is late. `true` if new.
    pub fn began(&mut self, now: Moment, id: &str, news: &mut Vec<News>) -> bool {
        if self.active() == Some(id) || self.finished.iter().any(|f| f.id == id) {
            return false;
        }
        self.end(now, Over::Superseded, news);
        let unwanted = self.expects_unwanted(now);
        self.unwanted = None;
        let met = self.wanted.is_some_and(|w| match w.wish {
            Wish::Heard | Wish::Committed { .. } => true,
            // Began by itself before we asked: ours is still to come.
            Wish::Asked => w.step != Step::Next,
        });
        if met && !unwanted {
            self.wanted = None;
        }
        self.active = Some(Active {
            id: id.to_owned(),
            since: now,
            last_sound: None,
            called: false,
            cancelled: unwanted.then_some(now),
            error: None,
        });
        if unwanted {
            news.push(News::Unwanted { id: id.to_owned() });
        }
        !unwanted
    }

    /// Whether sound of this reply may be heard; begins a reply that was never announced.
    pub fn admits(&mut self, now: Moment, id: &str, news: &mut Vec<News>) -> Admission {
        if let Some(done) = self.finished.iter().find(|f| f.id == id) {
            let overtaken = done.how == Over::Completed && now - done.at <= OVERTAKEN;
            return if overtaken { Admission::Old } else { Admission::Late };
        }
        let new = self.began(now, id, news);
        match &mut self.active {
            Some(active) if active.cancelled.is_none() => {
                active.last_sound = Some(now);
                if new { Admission::New } else { Admission::Old }
            }
            Some(_) | None => Admission::Late,
        }
    }

    /// A call of the active reply came: no sound need follow.
    pub fn called(&mut self) {
        if let Some(active) = &mut self.active {
            active.called = true;
        }
    }

    /// `response.done`.
    pub fn done(&mut self, now: Moment, id: &str, status: &str, news: &mut Vec<News>) {
        if self.active() != Some(id) {
            if !id.is_empty() && !self.finished.iter().any(|f| f.id == id) {
                // Its `created` is still to come, or never will: remember that it is over.
                self.remember(now, id.to_owned(), over(status));
            }
            return;
        }
        let cancelled = self.active.as_ref().is_some_and(|a| a.cancelled.is_some());
        self.end(now, if cancelled { Over::Cancelled } else { over(status) }, news);
    }

    /// The active reply ends in this way.
    pub fn end(&mut self, now: Moment, how: Over, news: &mut Vec<News>) {
        let Some(active) = self.active.take() else { return };
        let how = if active.cancelled.is_some() { Over::Cancelled } else { how };
        self.remember(now, active.id.clone(), how);
        news.push(News::Over { id: active.id, how });
    }

    fn remember(&mut self, at: Moment, id: String, how: Over) {
        if self.finished.len() == FINISHED {
            self.finished.pop_front();
        }
        self.finished.push_back(Finished { id, how, at });
    }

    /// A reply that was closed but is still played is cut off: its last deltas are late.
    pub fn cut(&mut self, id: &str) {
        for done in self.finished.iter_mut().filter(|f| f.id == id) {
            done.how = Over::Cancelled;
        }
    }

    /// Whether this reply was cut off, cancelled or given up.
    pub fn is_cut(&self, id: &str) -> bool {
        self.finished.iter().any(|f| f.id == id && f.how != Over::Completed)
    }

    /// Marks the active reply as cancelled; its id, if there is one.
    pub fn cancel(&mut self, now: Moment) -> Option<String> {
        let active = self.active.as_mut()?;
        if active.cancelled.is_some() {
            return None;
        }
        active.cancelled = Some(now);
        Some(active.id.clone())
    }

    /// "No active response": what we took for active is over (Q14, R10).
    pub fn not_active(&mut self, now: Moment, news: &mut Vec<News>) {
        self.end(now, Over::Cancelled, news);
    }

    /// "Already has an active response": the reply of a spoken turn is on its way; what was asked
    /// for is asked again when that one is over (R4).
    pub fn already_active(&mut self, now: Moment) {
        match &mut self.wanted {
            Some(Wanted { wish: Wish::Asked, step }) => {
                *step =
                    if self.active.is_some() { Step::Next } else { Step::ByItself(now + CREATED) };
            }
            Some(Wanted { wish: Wish::Heard | Wish::Committed { .. }, .. }) | None => {
                self.wanted = None;
            }
        }
    }

    /// An error that is not about cancelling or asking.
    pub fn failed(&mut self, now: Moment) {
        if let Some(active) = &mut self.active {
            active.error = Some(now);
        }
    }

    /// What is due now.
    pub fn tick(&mut self, now: Moment, news: &mut Vec<News>) -> Option<Ask> {
        if let Some((limit, how)) = self.active.as_ref().map(limit)
            && now >= limit
        {
            self.end(now, how, news);
        }
        let waits = self.expects_unwanted(now);
        let wanted = self.wanted.as_mut()?;
        match wanted.step {
            Step::Next if self.active.is_none() && !waits => {
                wanted.step = Step::Sent { at: now, again: true };
                Some(Ask::Create)
            }
            Step::ByItself(until) if now >= until && self.active.is_none() => {
                if wanted.wish == (Wish::Committed { spoken: false }) {
                    self.wanted = None;
                    news.push(News::NoReply { due: false });
                    return None;
                }
                wanted.step = Step::Sent { at: now, again: true };
                Some(Ask::Create)
            }
            Step::Sent { at, again } if now - at >= CREATED && self.active.is_none() => {
                if again {
                    wanted.step = Step::Sent { at: now, again: false };
                    return Some(Ask::ClearAndCreate);
                }
                self.wanted = None;
                news.push(News::NoReply { due: true });
                None
            }
            Step::Next | Step::ByItself(_) | Step::Sent { .. } => None,
        }
    }

    /// When [`Replies::tick`] has something to do at the latest.
    pub fn deadline(&self) -> Option<Moment> {
        let active = self.active.as_ref().map(|a| limit(a).0);
        let wanted = self.wanted.filter(|_| self.active.is_none()).map(|w| match w.step {
            Step::Next => self.unwanted.map_or(Moment::ZERO, |at| at + UNWANTED),
            Step::ByItself(until) => until,
            Step::Sent { at, .. } => at + CREATED,
        });
        [active, wanted].into_iter().flatten().min()
    }
}

/// Whether sound may be heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It is of the active reply, or of one that was closed a moment ago.
    Old,
    /// It begins a reply that was not announced yet.
    New,
    /// It is of a reply that is over.
    Late,
}

fn over(status: &str) -> Over {
    match status {
        "cancelled" => Over::Cancelled,
        "incomplete" | "failed" => Over::Broken,
        _ => Over::Completed,
    }
}

/// When an open reply is taken for over, and how.
fn limit(active: &Active) -> (Moment, Over) {
    if let Some(at) = active.cancelled {
        return (at + CANCELLED, Over::Cancelled);
    }
    let (limit, how) = match active.last_sound {
        Some(at) => (at + DONE, Over::Unclosed),
        None if active.called => (active.since + FIRST_AUDIO, Over::Unclosed),
        None => (active.since + FIRST_AUDIO, Over::TooSlow),
    };
    match active.error {
        Some(at) => (limit.min(at + DONE_AFTER_ERROR), Over::Broken),
        None => (limit, how),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Moment {
        Moment::from_millis(ms)
    }

    #[test]
    fn a_wish_is_repeated_once_then_given_up() {
        let (mut replies, mut news) = (Replies::default(), Vec::new());
        replies.want(at(0), Wish::Committed { spoken: true });
        replies.confirmed(at(100));
        assert_eq!(replies.tick(at(1599), &mut news), None);
        assert_eq!(replies.tick(at(1600), &mut news), Some(Ask::Create));
        assert_eq!(replies.tick(at(6600), &mut news), Some(Ask::ClearAndCreate));
        assert_eq!(replies.tick(at(11_600), &mut news), None);
        assert_eq!(news, [News::NoReply { due: true }]);
        assert_eq!(replies.deadline(), None);
    }

    #[test]
    fn each_reply_ends_once() {
        let (mut replies, mut news) = (Replies::default(), Vec::new());
        assert!(replies.began(at(0), "a", &mut news));
        assert!(!replies.began(at(1), "a", &mut news));
        replies.done(at(2), "a", "completed", &mut news);
        replies.done(at(3), "a", "completed", &mut news);
        assert!(!replies.began(at(4), "a", &mut news));
        assert_eq!(news, [News::Over { id: "a".into(), how: Over::Completed }]);
        assert_eq!(replies.admits(at(5), "a", &mut news), Admission::Old);
        replies.cut("a");
        assert_eq!(replies.admits(at(5), "a", &mut news), Admission::Late);
    }

    #[test]
    fn what_is_asked_waits_for_the_active_reply_to_end() {
        let (mut replies, mut news) = (Replies::default(), Vec::new());
        replies.began(at(0), "a", &mut news);
        replies.want(at(10), Wish::Asked);
        assert_eq!(replies.tick(at(20), &mut news), None);
        assert!(replies.cancel(at(30)).is_some() && replies.cancel(at(31)).is_none());
        assert_eq!(replies.tick(at(1530), &mut news), Some(Ask::Create));
        assert_eq!(news, [News::Over { id: "a".into(), how: Over::Cancelled }]);
    }

    #[test]
    fn a_reply_that_is_not_wanted_any_more_is_cancelled_as_it_comes() {
        let (mut replies, mut news) = (Replies::default(), Vec::new());
        replies.want(at(0), Wish::Asked);
        assert_eq!(replies.tick(at(0), &mut news), Some(Ask::Create));
        replies.forget(at(50));
        replies.want(at(50), Wish::Asked);
        assert_eq!(replies.tick(at(50), &mut news), None);
        assert!(!replies.began(at(100), "a", &mut news));
        assert_eq!(replies.admits(at(110), "a", &mut news), Admission::Late);
        replies.done(at(200), "a", "cancelled", &mut news);
        assert_eq!(replies.tick(at(200), &mut news), Some(Ask::Create));
        assert!(replies.began(at(300), "b", &mut news));
    }

    #[test]
    fn silence_after_created_and_a_missing_end_have_limits() {
        let (mut replies, mut news) = (Replies::default(), Vec::new());
        replies.began(at(0), "a", &mut news);
        assert_eq!(replies.deadline(), Some(at(15_000)));
        replies.tick(at(15_000), &mut news);
        replies.began(at(16_000), "b", &mut news);
        replies.admits(at(17_000), "b", &mut news);
        replies.tick(at(22_000), &mut news);
        assert_eq!(
            news,
            [
                News::Over { id: "a".into(), how: Over::TooSlow },
                News::Over { id: "b".into(), how: Over::Unclosed },
            ]
        );
    }
}
