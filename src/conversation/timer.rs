//! What has a limit in time, and what happens when it has passed.

use super::turn::{By, Fact, Reason, Turn};
use super::{Conversation, Why};
use crate::base::event::Voice;
use crate::base::unit::Moment;
use crate::panel::event::Severity;
use std::time::Duration;

/// How long an unanswered turn waits for the link.
const UNANSWERED: Duration = Duration::from_secs(30);
/// After the wake word somebody should speak.
const AFTER_WAKE: Duration = Duration::from_secs(5);
/// Speech that has ended and that the service did not hear was none.
const UNHEARD: Duration = Duration::from_secs(4);
/// Speech that has ended and that the service heard is committed within its silence.
const UNCOMMITTED: Duration = Duration::from_secs(10);
/// Without the service a turn is taken for ended after so much silence: twice its own.
const ENDED: Duration = Duration::from_secs(1);
/// Nobody speaks longer; a television does, and every minute costs.
const LISTENING: Duration = Duration::from_secs(120);
/// Longer than all limits of a reply together.
const THINKING: Duration = Duration::from_secs(90);
/// The speaker reports many times a second; without a report it is gone.
const SPEAKING: Duration = Duration::from_secs(30);
/// Part of the session's life after which a quiet moment is used to begin a new one.
const RIPE: f64 = 0.8;
/// So long nobody spoke: a quiet moment.
const CALM: Duration = Duration::from_secs(5);
/// A backlog is looked at again after so long, when no microphone block comes first.
const PACE: Duration = Duration::from_millis(10);

impl Conversation {
    /// When the turn has lasted too long.
    fn turn_limit(&self) -> Option<Moment> {
        match self.turn {
            Turn::Asleep => None,
            Turn::Lingering { until } => until,
            Turn::Thinking { since } => Some(since + THINKING),
            Turn::Speaking { since, .. } => Some(self.progress.max(since) + SPEAKING),
            Turn::Listening { since, by, heard } => {
                let longest = since + LISTENING;
                let talking = self.mic.voice == Voice::Talking && by != By::Finished;
                let Some(ready) = self.session.ready_since() else { return Some(longest) };
                if by == By::Button || talking || self.uplink.has_backlog() {
                    return Some(longest);
                }
                let base = since.max(self.mic.quiet_since).max(ready);
                let spoken = self.report.as_ref().is_some_and(|r| r.spoken);
                let span = match (heard, by, spoken) {
                    (true, ..) => UNCOMMITTED,
                    (false, By::Wake, false) => AFTER_WAKE,
                    (false, By::Wake | By::Voice | By::Button | By::Finished, _) => UNHEARD,
                };
                Some((base + span).min(longest))
            }
        }
    }

    /// Whether the person seems to have finished, by our own detector.
    pub(super) fn has_fallen_silent(&self, now: Moment) -> bool {
        match self.turn {
            Turn::Listening { since, by, .. } => {
                by != By::Button
                    && self.mic.voice != Voice::Talking
                    && now - since.max(self.mic.quiet_since) >= ENDED
            }
            Turn::Asleep
            | Turn::Thinking { .. }
            | Turn::Speaking { .. }
            | Turn::Lingering { .. } => false,
        }
    }

    pub(super) fn expire(&mut self, now: Moment) {
        let waiting = matches!(self.turn, Turn::Listening { .. } | Turn::Thinking { .. });
        if waiting && self.session.is_refused() {
            self.fact(now, Fact::Over(Reason::Unanswered));
        }
        if self.missing_since.is_some_and(|since| now - since >= UNANSWERED) {
            self.missing_since = None;
            self.notice(
                Severity::Warn,
                "unanswered",
                "The service could not be reached in time; what was said is dropped.",
                "",
            );
            self.fact(now, Fact::Over(Reason::Unanswered));
        }
        if self.turn_limit().is_some_and(|limit| now >= limit) {
            let pending = self.session.reply_wanted() || self.session.active_reply().is_some();
            self.mic.fresh = false;
            if !pending && self.is_left_waiting(now) {
                self.tell_no_reply(now);
            } else {
                self.fact(now, Fact::Expired { pending });
            }
        }
        if self.hang_up_at().is_some_and(|at| now >= at) {
            self.session.hang_up(now);
            self.uplink.discard();
            self.fact(now, Fact::Slept);
        }
        if self.recycle_at().is_some_and(|at| now >= at) {
            self.session.recycle(now);
            if self.always() {
                self.uplink.discard();
                self.fact(now, Fact::Slept);
            }
        }
    }

    /// Somebody spoke, the service heard it, and nothing came of it.
    fn is_left_waiting(&self, now: Moment) -> bool {
        let spoken = self.report.as_ref().is_some_and(|r| r.spoken);
        match self.turn {
            Turn::Listening { since, heard, .. } => heard && spoken && now - since < LISTENING,
            Turn::Asleep
            | Turn::Thinking { .. }
            | Turn::Speaking { .. }
            | Turn::Lingering { .. } => false,
        }
    }

    fn hang_up_at(&self) -> Option<Moment> {
        let idle = self.turn.is_resting() && self.session.is_ready() && self.typed.is_empty();
        let after = self.policy.hang_up_after.filter(|_| idle)?;
        Some(self.quiet_since() + after)
    }

    fn quiet_since(&self) -> Moment {
        let talking = self.mic.voice == Voice::Talking && self.always();
        if talking { self.mic.last_block.max(self.last_active) } else { self.last_active }
    }

    fn recycle_at(&self) -> Option<Moment> {
        let ready = self.session.ready_since()?;
        if !self.turn.is_resting() || self.downlink.is_playing() {
            return None;
        }
        let ripe = ready + self.policy.session.life.mul_f64(RIPE);
        Some(ripe.max(self.quiet_since() + CALM))
    }

    pub(super) fn timers(&self) -> impl Iterator<Item = (Moment, Why)> {
        let (line, reply) = self.session.deadlines();
        let sends = self.session.may_stream();
        let backlog = sends && (self.uplink.has_backlog() || self.commit_due.is_some());
        let turn_why = match self.turn {
            Turn::Lingering { .. } => Why::Linger,
            Turn::Asleep | Turn::Listening { .. } => Why::Listening,
            Turn::Thinking { .. } | Turn::Speaking { .. } => Why::Reply,
        };
        [
            line.map(|at| (at, Why::Session)),
            reply.map(|at| (at, Why::Reply)),
            backlog.then(|| (self.pumped + PACE, Why::Backlog)),
            self.turn_limit().map(|at| (at, turn_why)),
            self.hang_up_at().map(|at| (at, Why::HangUp)),
            self.recycle_at().map(|at| (at, Why::Recycle)),
            self.missing_since.map(|at| (at + UNANSWERED, Why::Unanswered)),
        ]
        .into_iter()
        .flatten()
    }
}
