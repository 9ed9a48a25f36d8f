//! What a step of the turn takes, and everything that is looked at after every input.

use super::budget::SPENT;
use super::cue::{self, Weather};
use super::report::{self, Report};
use super::turn::{By, Deed, Fact, Reason, Rest, Scope, Turn};
use super::uplink::Mouth;
use super::{Conversation, Gate, Mode, Output};
use crate::base::event::{Earcon, Scene};
use crate::base::unit::Moment;
use crate::grok::session::{Ask, Wish};
use crate::panel::event::{Event, Notice, Severity, Speaker, State};
use std::time::Duration;

/// Chunks that leave at one look: 80 times real time for a backlog, and a stalled link is noticed
/// before much is handed to it.
const BURST: usize = 8;
/// A reply to tools begins when the lead-in is so nearly over that nobody hears the seam.
const NEARLY: Duration = Duration::from_millis(300);

impl Conversation {
    pub(super) fn always(&self) -> bool {
        self.policy.mode == Mode::Open && self.policy.gate == Gate::Always
    }

    fn rest(&self) -> Rest {
        let always = self.always() && self.session.is_ready();
        match self.policy.mode {
            Mode::Push => Rest::Sleep,
            Mode::Open | Mode::Wake if self.settings.muted => Rest::Sleep,
            Mode::Open if always => Rest::Always,
            // Who typed did not ask the microphone to listen.
            Mode::Wake if self.typed_turn => Rest::Sleep,
            Mode::Open | Mode::Wake if self.policy.linger.is_zero() => Rest::Sleep,
            Mode::Open | Mode::Wake => Rest::Linger(self.policy.linger),
        }
    }

    /// Moves the turn and does what that takes.
    pub(super) fn fact(&mut self, now: Moment, fact: Fact) {
        let scope = Scope { now, epoch: self.downlink.epoch(), rest: self.rest() };
        let (turn, deeds) = self.turn.step(&scope, fact);
        self.turn = turn;
        for deed in deeds {
            self.act(now, deed);
        }
    }

    pub(super) fn act(&mut self, now: Moment, deed: Deed) {
        match deed {
            Deed::Begin => self.begin(now),
            Deed::Finish(reason) => self.finish(now, reason),
            Deed::Commit => {
                let spoken = self.report.as_ref().is_some_and(|r| r.spoken);
                self.commit_due = Some(spoken);
            }
            Deed::Discard => {
                self.commit_due = None;
                self.session.forget_reply(now);
                if !self.always() {
                    if self.uplink.has_sent() {
                        self.session.clear();
                    }
                    self.uplink.discard();
                }
            }
            Deed::Interrupt => self.interrupt(now),
        }
    }

    fn begin(&mut self, now: Moment) {
        self.turns += 1;
        self.report = Some(Report::new(self.turns, now));
        self.missing_since = (!self.session.is_ready()).then_some(now);
    }

    fn finish(&mut self, now: Moment, reason: Reason) {
        self.commit_due = None;
        self.resends = 0;
        self.missing_since = None;
        self.audience = None;
        self.calls.reply_due = false;
        self.overflow_told = false;
        self.session.forget_reply(now);
        if std::mem::take(&mut self.typed_turn) {
            self.typed.clear();
        }
        if self.always() && self.session.is_ready() {
            self.uplink.trim();
        } else {
            self.uplink.discard();
        }
        match reason {
            Reason::Failed | Reason::Unanswered => {
                self.queue.push_back(Output::Sound(Earcon::Failed));
            }
            Reason::Nothing if self.policy.mode == Mode::Wake => {
                self.queue.push_back(Output::Sound(Earcon::Slept));
            }
            Reason::Completed
            | Reason::Interrupted
            | Reason::Stopped
            | Reason::Muted
            | Reason::Nothing => {}
        }
        self.tell_turn(now, reason);
    }

    fn tell_turn(&mut self, now: Moment, reason: Reason) {
        let Some(report) = self.report.take() else { return };
        let cost = self.cost();
        if self.policy.budget_per_day > 0.0 {
            self.count(now);
            self.queue.push_back(Output::Store(self.settings.clone()));
        }
        self.meter = Default::default();
        self.counted = 0.0;
        let turn = report.finish(now, reason, cost);
        let mut fields = vec![
            ("TURN_ID", turn.turn.to_string()),
            ("REASON", turn.reason.clone()),
            ("COST", format!("{cost:.4}")),
        ];
        fields.extend(report::stages(&turn.marks).map(|(name, ms)| (name, ms.to_string())));
        self.queue.push_back(Output::Log {
            level: Severity::Info,
            message: format!("Turn {} {}", turn.turn, turn.reason.replace('_', " ")),
            fields,
        });
        self.queue.push_back(Output::Publish(Event::Turn(turn)));
    }

    /// What the meter shows, in US dollars.
    pub(super) fn cost(&self) -> f64 {
        let o = &self.policy.session;
        self.meter.cost(
            o.input_rate,
            o.output_rate,
            self.policy.price_per_minute,
            self.policy.price_per_text,
        )
    }

    /// Silence now; then the service is told to stop and how much was heard.
    fn interrupt(&mut self, now: Moment) {
        let cuts = self.downlink.cut(&mut self.queue);
        self.session.cancel(now);
        self.session.forget_reply(now);
        self.calls.reply_due = false;
        for cut in cuts {
            self.session.cut(&cut.response);
            self.session.truncate(&cut.item, cut.heard_ms);
            if let Some(line) = self.talk.interrupt(&cut.item) {
                self.history.note(now, &line.item, Speaker::Assistant, &line.text);
                self.queue.push_back(Output::Publish(Event::Transcript(line)));
            }
        }
        self.duck(false);
    }

    pub(super) fn mark(&mut self, name: &'static str, at: Moment) {
        if let Some(report) = &mut self.report {
            report.mark(name, at);
        }
    }

    pub(super) fn notice(&mut self, level: Severity, code: &str, message: &str, action: &str) {
        self.queue.push_back(Output::Publish(Event::Notice(Notice {
            level,
            code: code.to_owned(),
            message: message.to_owned(),
            action: action.to_owned(),
        })));
        self.queue.push_back(Output::Log {
            level,
            message: message.to_owned(),
            fields: vec![("CODE", code.to_owned())],
        });
    }

    /// Everything that may have become due, in this order: limits, the service's facts, tools,
    /// typed turns, the gate, sound to be sent, what shows.
    pub(super) fn settle(&mut self, now: Moment) {
        if self.closing {
            self.show();
            return;
        }
        self.session.tick(now);
        self.heed_session(now);
        self.expire(now);
        self.adopt(now);
        self.mind_budget(now);
        self.answer_tools(now);
        self.send_typed(now);
        self.move_gate(now);
        self.pump(now);
        self.session.tick(now);
        self.heed_session(now);
        self.move_gate(now);
        self.collect();
        if !self.turn.is_resting() {
            self.last_active = now;
        }
        self.show();
    }

    fn heed_session(&mut self, now: Moment) {
        while let Some(fact) = self.session.fact() {
            self.heed(now, fact);
        }
    }

    /// What the session asks of the world, in order.
    pub(super) fn collect(&mut self) {
        while let Some(ask) = self.session.ask() {
            self.queue.push_back(match ask {
                Ask::Dial(dial) => Output::Dial(dial),
                Ask::HangUp => Output::HangUp,
                Ask::Transmit(wire) => Output::Transmit(wire),
            });
        }
    }

    fn answer_tools(&mut self, now: Moment) {
        let free = self.session.is_ready() && self.session.active_reply().is_none();
        if self.calls.reply_due && free && self.downlink.unheard() <= NEARLY {
            self.calls.reply_due = false;
            self.session.want_reply(now, Wish::Asked);
        }
    }

    fn send_typed(&mut self, now: Moment) {
        if self.turn.is_resting() && !self.typed.is_empty() {
            self.fact(now, Fact::Typed);
            self.typed_turn = true;
            self.mark("typed", now);
        }
        let thinking = matches!(self.turn, Turn::Thinking { .. });
        if !self.typed_turn || !thinking || !self.session.is_ready() {
            return;
        }
        let mut any = false;
        for typed in self.typed.iter_mut().filter(|t| !t.sent) {
            typed.sent = true;
            any = true;
            self.audience = Some(typed.client);
            // The service gives the id: ours may be known to it from a connection before.
            self.session.user_item(None, &typed.text);
            self.meter.typed += 1;
        }
        if any {
            self.session.want_reply(now, Wish::Asked);
        }
    }

    fn mouth(&self, now: Moment) -> Mouth {
        if self.settings.muted {
            return Mouth::Shut;
        }
        let online = self.session.is_ready();
        match self.turn {
            Turn::Listening { by: By::Finished, .. } if online => Mouth::Hushed,
            Turn::Listening { by: By::Finished, .. } => Mouth::Shut,
            // Without the service nobody else ends the turn: what is kept is speech, not the room.
            Turn::Listening { .. } if !online && self.has_fallen_silent(now) => Mouth::Shut,
            Turn::Listening { .. } => Mouth::Open,
            Turn::Asleep => Mouth::Shut,
            Turn::Thinking { .. } | Turn::Speaking { .. } | Turn::Lingering { .. }
                if !self.always() || self.over_budget =>
            {
                Mouth::Shut
            }
            // The service would interrupt itself.
            Turn::Speaking { .. } if self.mic.echo => Mouth::Hushed,
            Turn::Thinking { .. } | Turn::Speaking { .. } | Turn::Lingering { .. } => Mouth::Open,
        }
    }

    fn move_gate(&mut self, now: Moment) {
        let mouth = self.mouth(now);
        if mouth != Mouth::Shut && self.uplink.mouth() == Mouth::Shut {
            self.mark("gate_open", now);
        }
        self.uplink.set(mouth, self.lead);
    }

    fn pump(&mut self, now: Moment) {
        self.pumped = now;
        if self.settings.muted || self.turn == Turn::Asleep {
            return;
        }
        let all = self.commit_due.is_some();
        for _ in 0..BURST {
            if !self.session.may_stream() {
                return;
            }
            let Some(chunk) = self.uplink.chunk(all) else { break };
            self.meter.sent += chunk.len() as u64;
            self.session.append(now, chunk);
            if self.turn.is_resting() || matches!(self.turn, Turn::Speaking { .. }) {
                self.uplink.trim();
            } else {
                self.mark("first_send", now);
            }
        }
        if self.uplink.dropped > 0 && !std::mem::replace(&mut self.overflow_told, true) {
            self.notice(
                Severity::Warn,
                "speech_dropped",
                "The link is too slow: the oldest of what was said is dropped.",
                "",
            );
        }
        if let Some(spoken) = self.commit_due
            && self.session.may_stream()
            && !self.uplink.has_backlog()
        {
            self.commit_due = None;
            self.session.commit(now, spoken);
        }
    }

    fn show(&mut self) {
        let weather = Weather {
            muted: self.settings.muted,
            offline: self.offline,
            error: self.refused || self.over_budget || self.cards_lost.contains(&true),
        };
        let scene = cue::scene(self.turn, weather);
        if self.shown != Some(scene) {
            self.shown = Some(scene);
            self.queue.push_back(Output::Show(scene));
        }
        let online = self.session.is_ready();
        let same = self.published.as_ref().is_some_and(|p| {
            p.state == scene
                && p.volume == self.settings.volume
                && p.muted == self.settings.muted
                && p.online == online
                && p.trouble == self.trouble()
                && p.settings == self.revision
                && p.mode == self.policy.mode.word()
                && p.voice == self.policy.session.voice
                && p.model == self.policy.session.model
                && p.barge_in == self.barge_in_word()
        });
        if !same {
            let state = self.state(scene, online);
            self.published = Some(state.clone());
            self.queue.push_back(Output::Publish(Event::State(state)));
        }
    }

    fn trouble(&self) -> &str {
        if self.over_budget { SPENT } else { &self.trouble }
    }

    fn state(&self, scene: Scene, online: bool) -> State {
        State {
            state: scene,
            volume: self.settings.volume,
            muted: self.settings.muted,
            online,
            mode: self.policy.mode.word().to_owned(),
            voice: self.policy.session.voice.clone(),
            model: self.policy.session.model.clone(),
            trouble: self.trouble().to_owned(),
            settings: self.revision,
            barge_in: self.barge_in_word().to_owned(),
            name: self.policy.name.clone(),
        }
    }
}
