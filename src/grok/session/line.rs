//! The line to the service: when it is dialled, and what its end leaves behind.

use super::{Ask, Fact, Line, Over, Replies, Restored, Session};
use crate::base::event::{Dial, Link, Trouble};
use crate::base::unit::Moment;
use std::time::Duration;

/// A connection that served so long is dialled again at once when it is lost.
const SERVED: Duration = Duration::from_secs(10);

impl Session {
    /// Asks for a connection. A person's own action tries once where time or a refusal forbid it.
    pub fn demand(&mut self, now: Moment, by_person: bool) {
        self.wanted = true;
        match self.line {
            Line::Closed => self.dial(now),
            Line::Refused if by_person => self.dial(now),
            Line::Waiting { asked: false, .. } if by_person => self.dial(now),
            Line::Waiting { .. }
            | Line::Refused
            | Line::Dialling { .. }
            | Line::Greeting { .. }
            | Line::Ready { .. } => {}
        }
    }

    /// Closes the connection; it is not dialled again until it is asked for.
    pub fn hang_up(&mut self, now: Moment) {
        self.wanted = false;
        self.after = None;
        if matches!(self.line, Line::Dialling { .. } | Line::Greeting { .. } | Line::Ready { .. }) {
            self.asks.push_back(Ask::HangUp);
        }
        if self.line != Line::Refused {
            self.line = Line::Closed;
        }
        self.forget_connection(now);
    }

    /// Closes the connection and dials a new one, at a quiet moment of the caller's choice.
    pub fn recycle(&mut self, now: Moment) {
        self.hang_up(now);
        self.demand(now, false);
    }

    /// The key or the clock changed: what was refused may be accepted.
    pub fn world_changed(&mut self, now: Moment) {
        let waits = matches!(self.line, Line::Refused | Line::Waiting { asked: false, .. });
        if waits {
            self.line = Line::Closed;
            self.backoff.reset();
            if self.wanted {
                self.dial(now);
            }
        }
    }

    pub(super) fn dial(&mut self, now: Moment) {
        let mut query = vec![("model".to_owned(), self.options.model.clone())];
        // With a tool's output on its way the service's copy of the conversation is not ours.
        if !self.unacknowledged.is_empty() {
            self.conversation = None;
            self.unacknowledged.clear();
        }
        let resuming = self.conversation.is_some();
        if let Some(id) = &self.conversation {
            query.push(("conversation_id".to_owned(), id.clone()));
        }
        self.line = Line::Dialling { since: now, resuming };
        self.asks.push_back(Ask::Dial(Dial { query, after: self.after.take() }));
    }

    /// The socket reports.
    pub fn link(&mut self, now: Moment, link: Link) {
        match link {
            Link::Up => {
                if matches!(self.line, Line::Dialling { .. }) {
                    self.met = true;
                    self.line = Line::Greeting { since: now };
                    self.last_frame = now;
                    self.same_conversation = false;
                    self.replayed = Restored::default();
                    self.configure();
                }
            }
            Link::Congested => self.congested = self.is_ready(),
            Link::Clear => {
                self.congested = false;
                self.asks.extend(self.outbox.drain(..).map(Ask::Transmit));
            }
            Link::Failed { trouble, status, retry_after, words } => {
                let Line::Dialling { resuming, .. } = self.line else { return };
                if resuming && matches!(status, Some(400 | 404)) {
                    // The conversation may have expired: that is no refusal of the key.
                    self.conversation = None;
                    self.dial(now);
                    return;
                }
                self.down(now, trouble, words, retry_after);
            }
            Link::Lost { trouble, code: _, words } => {
                if matches!(
                    self.line,
                    Line::Dialling { .. } | Line::Greeting { .. } | Line::Ready { .. }
                ) {
                    self.down(now, trouble, words, None);
                }
            }
        }
    }

    fn down(
        &mut self,
        now: Moment,
        trouble: Trouble,
        words: String,
        retry_after: Option<Duration>,
    ) {
        let was_ready = self.is_ready();
        let served = self.ready_since().is_some_and(|since| now - since >= SERVED);
        self.forget_connection(now);
        self.after = self.met.then_some(trouble);
        if trouble.is_permanent() {
            self.line = Line::Refused;
        } else if !self.wanted {
            self.line = Line::Closed;
        } else if served {
            self.backoff.reset();
            self.dial(now);
        } else {
            let until = now + self.backoff.pause(retry_after);
            self.line = Line::Waiting { until, asked: retry_after.is_some() };
        }
        self.facts.push_back(Fact::Down { trouble, words, was_ready });
    }

    /// Nothing of a connection outlives it but the conversation's id.
    fn forget_connection(&mut self, now: Moment) {
        self.end_reply(now, Over::Lost);
        self.replies = Replies::default();
        self.congested = false;
        self.outbox.clear();
        self.stuck = false;
        self.last_append = None;
        self.spoken_item = None;
        self.committed_item = None;
        self.seen = Default::default();
        self.parts = Default::default();
        self.binary_owner = Default::default();
    }

    /// Hangs up ourselves and treats it as a loss.
    pub(super) fn give_up(&mut self, now: Moment, words: &str) {
        self.asks.push_back(Ask::HangUp);
        self.down(now, Trouble::Dropped, words.to_owned(), None);
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Options, Transport};
    use super::*;
    use crate::base::event::Wire;
    use crate::base::unit::Rate;

    fn session() -> Session {
        let options = Options {
            model: "m".into(),
            voice: "v".into(),
            instructions: String::new(),
            language: "auto".into(),
            reasoning: "none".into(),
            transport: Transport::Json,
            input_rate: Rate(16_000),
            output_rate: Rate(24_000),
            life: Duration::from_secs(600),
        };
        Session::new(options, None, serde_json::json!([]), 1)
    }

    /// Why each connection that was asked for is made anew.
    fn dials(session: &mut Session) -> Vec<Option<Trouble>> {
        std::iter::from_fn(|| session.ask())
            .filter_map(|ask| match ask {
                Ask::Dial(dial) => Some(dial.after),
                Ask::HangUp | Ask::Transmit(_) => None,
            })
            .collect()
    }

    fn up(session: &mut Session, now: Moment) {
        session.link(now, Link::Up);
        session.message(now, &Wire::Text(r#"{"type":"session.updated","session":{}}"#.into()));
        assert!(session.is_ready());
    }

    fn failed(trouble: Trouble) -> Link {
        Link::Failed { trouble, status: None, retry_after: None, words: String::new() }
    }

    #[test]
    fn a_connection_that_is_made_anew_says_why_whoever_ended_the_one_before() {
        let (mut session, at) = (session(), Moment::from_millis);
        session.demand(at(0), false);
        session.link(at(10), failed(Trouble::Busy));
        session.tick(at(5000));
        assert_eq!(dials(&mut session), [None, None], "none was there before");
        up(&mut session, at(5100));
        // The service ends a long conversation, falls silent, then cuts the line.
        let long = r#"{"type":"error","error":{"type":"max_duration"}}"#;
        session.message(at(20_000), &Wire::Text(long.into()));
        up(&mut session, at(20_100));
        session.tick(at(60_000));
        up(&mut session, at(60_100));
        let cut = Link::Lost { trouble: Trouble::Dropped, code: None, words: String::new() };
        session.link(at(80_000), cut);
        session.link(at(80_100), failed(Trouble::NoNetwork));
        session.tick(at(90_000));
        let dropped = Some(Trouble::Dropped);
        let why = [dropped, dropped, dropped, Some(Trouble::NoNetwork)];
        assert_eq!(dials(&mut session), why);
        up(&mut session, at(90_100));
        session.recycle(at(100_000));
        assert_eq!(dials(&mut session), [None], "ended by us, at a quiet moment");
    }
}
