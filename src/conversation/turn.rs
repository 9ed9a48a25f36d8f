//! Whose turn it is. One total function over every state and every fact; it draws itself.

use crate::base::ring::Epoch;
use crate::base::unit::Moment;
use std::time::Duration;

/// What opened the gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    /// Speech.
    Voice,
    /// The wake word; nobody need have spoken yet.
    Wake,
    /// The button, held.
    Button,
    /// The person has finished, the service has not said so: silence is sent in place of the
    /// microphone until its turn detection ends the turn.
    Finished,
}

/// Whose turn it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// Waiting to be addressed; nothing leaves.
    Asleep,
    /// A person speaks; the gate is open.
    Listening { since: Moment, by: By, heard: bool },
    /// The service has the turn.
    Thinking { since: Moment },
    /// The reply is played.
    Speaking { since: Moment, epoch: Epoch },
    /// Open for more; `None` has no end (gate `always`).
    Lingering { until: Option<Moment> },
}

/// What happened to the turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fact {
    /// The wake word.
    Woke,
    /// The button went down.
    Pressed,
    /// The button came up; with manual turns that ends the turn.
    Released { manual: bool },
    /// Speech that may open the gate or interrupt.
    Spoke,
    /// The service hears speech.
    ServiceHeard,
    /// The service has the whole turn.
    Committed,
    /// Speech is to be sent again, and it had ended.
    Resent,
    /// A typed turn begins.
    Typed,
    /// Sound of a reply.
    Sounded,
    /// Everything was heard; `more` is coming.
    Drained { more: bool },
    /// No reply is to be expected.
    Over(Reason),
    /// The state has lasted too long; a reply is still on its way or not.
    Expired { pending: bool },
    /// Be quiet.
    Stopped,
    /// The microphone was switched off.
    Muted,
    /// Gate `always`: sound may leave from now on.
    Roused,
    /// The connection was closed because nobody talks.
    Slept,
}

/// How a turn ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    Completed,
    Interrupted,
    Stopped,
    Failed,
    Unanswered,
    Muted,
    Nothing,
}

impl Reason {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Interrupted => "interrupted",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
            Self::Unanswered => "unanswered",
            Self::Muted => "muted",
            Self::Nothing => "nothing_heard",
        }
    }
}

/// What is to be done about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deed {
    /// A turn begins.
    Begin,
    /// It ends.
    Finish(Reason),
    /// Hand the turn to the service.
    Commit,
    /// Forget what was said.
    Discard,
    /// Stop the reply: silence, cancel, truncate.
    Interrupt,
}

/// Where a turn goes when nothing is left to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rest {
    /// Nothing leaves.
    Sleep,
    /// A follow-up window.
    Linger(Duration),
    /// Gate `always`.
    Always,
}

/// What the step needs besides state and fact.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scope {
    pub(super) now: Moment,
    /// The audible generation.
    pub(super) epoch: Epoch,
    pub(super) rest: Rest,
}

impl Scope {
    fn rest(&self) -> Turn {
        match self.rest {
            Rest::Sleep => Turn::Asleep,
            Rest::Linger(span) => Turn::Lingering { until: Some(self.now + span) },
            Rest::Always => Turn::Lingering { until: None },
        }
    }

    fn listen(&self, by: By, heard: bool) -> Turn {
        Turn::Listening { since: self.now, by, heard }
    }

    fn think(&self) -> Turn {
        Turn::Thinking { since: self.now }
    }

    fn speak(&self) -> Turn {
        Turn::Speaking { since: self.now, epoch: self.epoch }
    }
}

const CUT: [Deed; 3] = [Deed::Interrupt, Deed::Finish(Reason::Interrupted), Deed::Begin];

impl Turn {
    /// The next state and what it takes.
    pub(super) fn step(self, scope: &Scope, fact: Fact) -> (Self, Vec<Deed>) {
        match self {
            Self::Asleep => self.resting(scope, fact),
            Self::Lingering { .. } => self.lingering(scope, fact),
            Self::Listening { by, .. } => self.listening(scope, by, fact),
            Self::Thinking { .. } => self.thinking(scope, fact),
            Self::Speaking { .. } => self.speaking(scope, fact),
        }
    }

    fn resting(self, s: &Scope, fact: Fact) -> (Self, Vec<Deed>) {
        let begin = |turn| (turn, vec![Deed::Begin]);
        match fact {
            Fact::Woke => begin(s.listen(By::Wake, false)),
            Fact::Pressed => begin(s.listen(By::Button, false)),
            Fact::Spoke => begin(s.listen(By::Voice, false)),
            Fact::Typed => begin(s.think()),
            Fact::Sounded => begin(s.speak()),
            Fact::Roused => (Self::Lingering { until: None }, vec![]),
            Fact::Released { .. }
            | Fact::ServiceHeard
            | Fact::Committed
            | Fact::Resent
            | Fact::Drained { .. }
            | Fact::Over(_)
            | Fact::Expired { .. }
            | Fact::Stopped
            | Fact::Muted
            | Fact::Slept => (self, vec![]),
        }
    }

    fn lingering(self, s: &Scope, fact: Fact) -> (Self, Vec<Deed>) {
        match fact {
            Fact::Expired { .. } | Fact::Muted | Fact::Slept => (Self::Asleep, vec![]),
            Fact::ServiceHeard if s.rest == Rest::Always => {
                (s.listen(By::Voice, true), vec![Deed::Begin])
            }
            Fact::Committed if s.rest == Rest::Always => (s.think(), vec![Deed::Begin]),
            Fact::Stopped => (s.rest(), vec![]),
            Fact::Woke
            | Fact::Pressed
            | Fact::Released { .. }
            | Fact::Spoke
            | Fact::ServiceHeard
            | Fact::Committed
            | Fact::Resent
            | Fact::Typed
            | Fact::Sounded
            | Fact::Drained { .. }
            | Fact::Over(_)
            | Fact::Roused => self.resting(s, fact),
        }
    }

    fn listening(self, s: &Scope, by: By, fact: Fact) -> (Self, Vec<Deed>) {
        let Self::Listening { since, heard, .. } = self else { return (self, vec![]) };
        let with = |by, heard| Self::Listening { since, by, heard };
        match fact {
            Fact::Pressed => (with(By::Button, heard), vec![]),
            Fact::Released { manual: true } if by == By::Button => (s.think(), vec![Deed::Commit]),
            Fact::Released { manual: false } if by == By::Button => {
                (s.listen(By::Finished, heard), vec![])
            }
            Fact::Spoke if by == By::Finished => (with(By::Voice, heard), vec![]),
            Fact::ServiceHeard => (with(by, true), vec![]),
            Fact::Committed => (s.think(), vec![]),
            Fact::Sounded => (s.speak(), vec![]),
            Fact::Expired { pending: true } => (s.think(), vec![]),
            Fact::Expired { pending: false } => {
                // Woken by mistake: no follow-up window for nothing.
                let next = if by == By::Wake { Self::Asleep } else { s.rest() };
                (next, vec![Deed::Discard, Deed::Finish(Reason::Nothing)])
            }
            Fact::Resent if by != By::Button => (s.listen(By::Finished, heard), vec![]),
            Fact::Over(Reason::Unanswered) => {
                (s.rest(), vec![Deed::Discard, Deed::Finish(Reason::Unanswered)])
            }
            Fact::Stopped => (s.rest(), vec![Deed::Discard, Deed::Finish(Reason::Stopped)]),
            Fact::Muted => (Self::Asleep, vec![Deed::Discard, Deed::Finish(Reason::Muted)]),
            Fact::Woke
            | Fact::Released { .. }
            | Fact::Spoke
            | Fact::Resent
            | Fact::Typed
            | Fact::Drained { .. }
            | Fact::Over(_)
            | Fact::Roused
            | Fact::Slept => (self, vec![]),
        }
    }

    fn thinking(self, s: &Scope, fact: Fact) -> (Self, Vec<Deed>) {
        match fact {
            Fact::Woke => (s.listen(By::Wake, false), CUT.to_vec()),
            Fact::Pressed => (s.listen(By::Button, false), CUT.to_vec()),
            Fact::Typed => (self, CUT.to_vec()),
            // More of the same turn: only the service can tell whether it takes its end back (Q3).
            Fact::Spoke => (s.listen(By::Voice, false), vec![]),
            Fact::ServiceHeard => (s.listen(By::Voice, true), vec![]),
            Fact::Resent => (s.listen(By::Finished, false), vec![]),
            Fact::Sounded => (s.speak(), vec![]),
            Fact::Over(reason) => (s.rest(), vec![Deed::Finish(reason)]),
            Fact::Expired { .. } => (s.rest(), vec![Deed::Interrupt, Deed::Finish(Reason::Failed)]),
            Fact::Stopped => (s.rest(), vec![Deed::Interrupt, Deed::Finish(Reason::Stopped)]),
            Fact::Released { .. }
            | Fact::Committed
            | Fact::Drained { .. }
            | Fact::Muted
            | Fact::Roused
            | Fact::Slept => (self, vec![]),
        }
    }

    fn speaking(self, s: &Scope, fact: Fact) -> (Self, Vec<Deed>) {
        match fact {
            Fact::Woke => (s.listen(By::Wake, false), CUT.to_vec()),
            Fact::Pressed => (s.listen(By::Button, false), CUT.to_vec()),
            Fact::Spoke => (s.listen(By::Voice, false), CUT.to_vec()),
            Fact::ServiceHeard => (s.listen(By::Voice, true), CUT.to_vec()),
            Fact::Typed => (s.think(), CUT.to_vec()),
            Fact::Drained { more: true } => (s.think(), vec![]),
            Fact::Drained { more: false } => (s.rest(), vec![Deed::Finish(Reason::Completed)]),
            Fact::Expired { .. } => (s.rest(), vec![Deed::Interrupt, Deed::Finish(Reason::Failed)]),
            Fact::Stopped => (s.rest(), vec![Deed::Interrupt, Deed::Finish(Reason::Stopped)]),
            Fact::Released { .. }
            | Fact::Committed
            | Fact::Resent
            | Fact::Sounded
            | Fact::Over(_)
            | Fact::Muted
            | Fact::Roused
            | Fact::Slept => (self, vec![]),
        }
    }

    /// Whether nobody has the turn.
    pub(super) const fn is_resting(self) -> bool {
        matches!(self, Self::Asleep | Self::Lingering { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeMap, BTreeSet};

    const NOW: Moment = Moment::from_millis(5000);
    const THEN: Moment = Moment::from_millis(1000);

    fn states() -> Vec<Turn> {
        let mut states = vec![
            Turn::Asleep,
            Turn::Thinking { since: THEN },
            Turn::Speaking { since: THEN, epoch: Epoch(1) },
            Turn::Lingering { until: Some(NOW) },
            Turn::Lingering { until: None },
        ];
        for by in [By::Voice, By::Wake, By::Button, By::Finished] {
            states.extend([true, false].map(|heard| Turn::Listening { since: THEN, by, heard }));
        }
        states
    }

    fn facts() -> Vec<(&'static str, Fact)> {
        vec![
            ("wake word", Fact::Woke),
            ("button down", Fact::Pressed),
            ("button up", Fact::Released { manual: true }),
            ("button up", Fact::Released { manual: false }),
            ("speech", Fact::Spoke),
            ("speech at the service", Fact::ServiceHeard),
            ("committed", Fact::Committed),
            ("link back", Fact::Resent),
            ("typed", Fact::Typed),
            ("sound", Fact::Sounded),
            ("heard, more to come", Fact::Drained { more: true }),
            ("heard", Fact::Drained { more: false }),
            ("no reply", Fact::Over(Reason::Completed)),
            ("no reply", Fact::Over(Reason::Unanswered)),
            ("limit", Fact::Expired { pending: true }),
            ("limit", Fact::Expired { pending: false }),
            ("stop", Fact::Stopped),
            ("muted", Fact::Muted),
            ("connected", Fact::Roused),
            ("hung up", Fact::Slept),
        ]
    }

    fn scopes() -> Vec<Scope> {
        [Rest::Sleep, Rest::Linger(Duration::from_secs(6)), Rest::Always]
            .map(|rest| Scope { now: NOW, epoch: Epoch(1), rest })
            .to_vec()
    }

    fn name(turn: Turn) -> &'static str {
        match turn {
            Turn::Asleep => "Asleep",
            Turn::Listening { .. } => "Listening",
            Turn::Thinking { .. } => "Thinking",
            Turn::Speaking { .. } => "Speaking",
            Turn::Lingering { .. } => "Lingering",
        }
    }

    /// Every state, every fact, every kind of rest.
    fn all_steps() -> Vec<(Turn, &'static str, Turn, Vec<Deed>)> {
        let mut steps = Vec::new();
        for scope in scopes() {
            for state in states() {
                for (word, fact) in facts() {
                    let (next, deeds) = state.step(&scope, fact);
                    steps.push((state, word, next, deeds));
                }
            }
        }
        steps
    }

    #[test]
    fn the_states_draw_themselves() {
        let mut arrows: BTreeMap<(&str, &str), BTreeSet<String>> = BTreeMap::new();
        for (from, word, to, deeds) in all_steps() {
            if name(from) == name(to) && deeds.is_empty() {
                continue;
            }
            let cut = deeds.contains(&Deed::Interrupt);
            let label = if cut { format!("{word} (cut)") } else { word.to_owned() };
            arrows.entry((name(from), name(to))).or_default().insert(label);
        }
        let mut drawing = String::from("stateDiagram-v2\n    [*] --> Asleep\n");
        for ((from, to), labels) in arrows {
            let labels = labels.into_iter().collect::<Vec<_>>().join(", ");
            drawing.push_str(&format!("    {from} --> {to}: {labels}\n"));
        }
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/turn.mmd");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(path, &drawing).unwrap();
        }
        let golden = std::fs::read_to_string(path).unwrap_or_default();
        assert_eq!(golden, drawing, "UPDATE_GOLDEN=1 cargo test draws it anew");
    }

    #[test]
    fn turns_begin_and_end_in_pairs() {
        for (from, word, to, deeds) in all_steps() {
            let mut running = !from.is_resting();
            for deed in &deeds {
                match deed {
                    Deed::Begin => {
                        assert!(!running, "{from:?} {word}: begins twice");
                        running = true;
                    }
                    Deed::Finish(_) => {
                        assert!(running, "{from:?} {word}: ends twice");
                        running = false;
                    }
                    Deed::Commit | Deed::Discard | Deed::Interrupt => {}
                }
            }
            assert_eq!(running, !to.is_resting(), "{from:?} {word} -> {to:?}");
        }
    }

    #[test]
    fn a_muted_microphone_ends_what_is_heard_and_nothing_else() {
        for scope in scopes() {
            for state in states() {
                let (next, _) = state.step(&scope, Fact::Muted);
                assert!(!matches!(next, Turn::Listening { .. } | Turn::Lingering { .. }));
            }
        }
    }
}
