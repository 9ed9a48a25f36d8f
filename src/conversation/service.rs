//! What the service says, as it moves the conversation.

use super::tool::{self, Around, Effect};
use super::turn::{Fact, Reason, Turn};
use super::{Conversation, Mode, Output};
use crate::base::event::Trouble;
use crate::base::unit::Moment;
use crate::grok::session::{self, Call, Over};
use crate::panel::event::{Audio, Event, Severity, Speaker, Transcript};

/// An unanswered turn is sent again after so many lost connections at most; the 30 s it may wait
/// for the link are the other limit.
const RESENDS: u8 = 3;

impl Conversation {
    pub(super) fn heed(&mut self, now: Moment, fact: session::Fact) {
        match fact {
            session::Fact::Ready { restored } => self.ready(now, restored),
            session::Fact::Down { trouble, words, was_ready } => {
                self.down(now, trouble, &words, was_ready);
            }
            session::Fact::SpeechStarted => {
                // What came after the end it took back goes ahead, whole.
                self.lead = super::uplink::PRE_ROLL;
                self.fact(now, Fact::ServiceHeard);
            }
            session::Fact::SpeechStopped => {}
            session::Fact::Committed => self.committed(now),
            session::Fact::UserText(text) => {
                let line = self.talk.user(&text.item, &text.text, text.is_final);
                if let Some(report) = self.report.as_mut().filter(|r| !r.sounded) {
                    report.item = Some(text.item);
                }
                self.tell_line(now, line);
            }
            session::Fact::ReplyBegan { .. } => self.mark("response_created", now),
            session::Fact::Sound { response, item, samples } => {
                self.sound(now, &response, item, samples);
            }
            session::Fact::SoundEnd { response, item } => {
                self.downlink.end(&response, Some(&item), &mut self.queue);
            }
            session::Fact::Words { item, text, whole } => {
                let line = self.talk.assistant(&item, &text, whole);
                self.tell_line(now, line);
            }
            session::Fact::Call(call) => self.call(now, &call),
            session::Fact::Truncated { item, text } => {
                let line = self.talk.truncated(&item, &text);
                self.tell_line(now, line);
            }
            session::Fact::ReplyOver { id, how } => self.reply_over(now, &id, how),
            session::Fact::NoReply { due } => self.no_reply(now, due),
            session::Fact::Complaint { code, message } => {
                let words = format!("The service complains: {message}");
                self.notice(Severity::Warn, &code, &words, "");
            }
        }
    }

    pub(super) fn tell_line(&mut self, now: Moment, line: Option<Transcript>) {
        let Some(line) = line else { return };
        if line.r#final {
            self.history.note(now, &line.item, line.role, &line.text);
        }
        self.queue.push_back(Output::Publish(Event::Transcript(line)));
    }

    fn ready(&mut self, now: Moment, restored: session::Restored) {
        self.trouble.clear();
        self.offline = false;
        self.refused = false;
        self.missing_since = None;
        self.last_active = now;
        self.tell_history(now, restored);
        if !std::mem::replace(&mut self.ready_told, true) {
            self.queue.push_back(Output::Ready);
        }
        let spoken = self.report.as_ref().is_some_and(|r| r.spoken);
        let ended = self.has_fallen_silent(now) && spoken;
        let waiting = matches!(self.turn, Turn::Thinking { .. }) && !self.typed_turn;
        if (waiting || ended) && !self.uplink.kept().is_zero() {
            match self.policy.mode {
                Mode::Push => self.commit_due = Some(spoken),
                Mode::Open | Mode::Wake => self.fact(now, Fact::Resent),
            }
        }
        self.rouse(now);
    }

    fn tell_history(&mut self, now: Moment, restored: session::Restored) {
        // What is not answered yet is told anyway, once.
        let current = self.typed.front().map(|t| t.item.as_str());
        let current = current.or_else(|| self.report.as_ref()?.item.as_deref());
        for (who, text) in self.history.missing(now, current, restored) {
            match who {
                Speaker::User => self.session.user_item(None, text),
                Speaker::Assistant => self.session.assistant_item(text),
            }
            self.meter.typed += 1;
        }
    }

    fn down(&mut self, now: Moment, trouble: Trouble, words: &str, was_ready: bool) {
        self.refused = trouble.is_permanent();
        self.offline = self.session.is_waiting();
        if self.trouble != words {
            words.clone_into(&mut self.trouble);
            let (level, action) = match trouble {
                Trouble::NoKey | Trouble::Refused => (Severity::Error, "Set a valid API key."),
                Trouble::WrongClock => (Severity::Error, "Check the clock of this device."),
                Trouble::NotTrusted => (Severity::Error, "Check grok.url and grok.ca_file."),
                Trouble::Busy
                | Trouble::NoName
                | Trouble::NoNetwork
                | Trouble::Protocol
                | Trouble::Dropped => (Severity::Warn, ""),
            };
            self.notice(level, trouble.word(), words, action);
        }
        let answered = self.report.as_ref().is_some_and(|r| r.sounded);
        let waiting = matches!(self.turn, Turn::Listening { .. } | Turn::Thinking { .. });
        if waiting && answered {
            // It began to be heard: saying it again would be worse than a missing end.
            self.fact(now, Fact::Over(Reason::Failed));
        } else if waiting && (self.refused || self.resends >= RESENDS) {
            self.fact(now, Fact::Over(Reason::Unanswered));
        } else if waiting {
            if was_ready {
                self.resends += 1;
                self.uplink.rewind();
                self.typed.iter_mut().for_each(|t| t.sent = false);
            }
            self.missing_since.get_or_insert(now);
        }
        if self.always() && self.turn.is_resting() {
            self.uplink.discard();
            self.fact(now, Fact::Slept);
        }
        if self.policy.mode != Mode::Open && self.turn.is_resting() && was_ready {
            // Nobody needs it: it is dialled again when somebody does.
            self.session.hang_up(now);
            self.offline = false;
        }
    }

    fn committed(&mut self, now: Moment) {
        self.mark("committed", now);
        if self.policy.mode == Mode::Push {
            return;
        }
        self.fact(now, Fact::Committed);
        if !self.always() {
            self.uplink.complete();
        }
    }

    fn sound(&mut self, now: Moment, response: &str, item: String, samples: Vec<i16>) {
        self.progress = now;
        self.meter.received += samples.len() as u64;
        self.fact(now, Fact::Sounded);
        let pcm = samples.clone();
        let Some(tag) = self.downlink.play(response, &item, samples, &mut self.queue) else {
            return;
        };
        if self.session.active_reply() != Some(response) {
            // Its end was told before this sound: no other will come.
            self.downlink.end(response, Some(&item), &mut self.queue);
        }
        if let Some(report) = self.report.as_mut().filter(|r| !r.sounded) {
            report.sounded = true;
            report.tag = Some(tag);
            report.mark("first_audio", now);
            // From here on the turn is answered: nothing of it is sent again.
            self.uplink.forget();
            self.typed.retain(|t| !t.sent);
            for line in self.talk.settle_user() {
                self.tell_line(now, Some(line));
            }
        }
        self.queue.push_back(Output::Publish(Event::Audio(Audio {
            item,
            tag,
            rate: self.policy.session.output_rate,
            pcm,
            to: self.audience,
        })));
    }

    fn call(&mut self, now: Moment, call: &Call) {
        let around = Around { settings: &self.settings, place: &self.place, wall: self.wall, now };
        let ran = tool::run(&call.name, &call.arguments, &around);
        let Some((output, effect)) = ran else { return };
        if !self.calls.first(&call.call_id) {
            return;
        }
        self.session.output_item(&call.call_id, &output.to_string());
        match effect {
            Effect::Nothing => self.calls.reply_due = true,
            Effect::Volume(volume) => {
                self.set_volume(volume);
                self.calls.reply_due = true;
            }
            // Silence is the answer.
            Effect::Quiet => self.fact(now, Fact::Stopped),
        }
    }

    fn reply_over(&mut self, now: Moment, id: &str, how: Over) {
        // An interrupted reply may end after the next turn has begun.
        if self.report.as_ref().is_some_and(|report| report.has("response_created")) {
            self.mark("reply_end", now);
        }
        let broken = match how {
            Over::Completed | Over::Unclosed | Over::SpokenOver | Over::Superseded => false,
            Over::Broken | Over::Cancelled | Over::TooSlow | Over::Lost => true,
        };
        self.downlink.end(id, None, &mut self.queue);
        if let Some(report) = self.report.as_mut() {
            report.broken |= broken && report.sounded;
        }
        if how == Over::TooSlow {
            self.notice(
                Severity::Warn,
                "slow_reply",
                "The service began a reply and did not go on. Please ask again.",
                "",
            );
        }
        let over = match how {
            // What comes instead is told next.
            Over::SpokenOver | Over::Superseded | Over::Lost => return,
            Over::Completed | Over::Unclosed => Reason::Completed,
            Over::Broken | Over::Cancelled | Over::TooSlow => Reason::Failed,
        };
        let more = self.session.reply_wanted() || self.calls.reply_due || self.commit_due.is_some();
        match self.turn {
            Turn::Thinking { .. } if !more && !self.waits_to_send() => {
                self.fact(now, Fact::Over(over));
            }
            Turn::Speaking { .. } if !self.downlink.is_playing() => self.drained(now),
            Turn::Asleep
            | Turn::Listening { .. }
            | Turn::Thinking { .. }
            | Turn::Speaking { .. }
            | Turn::Lingering { .. } => {}
        }
    }

    /// A typed turn whose words have not left yet.
    fn waits_to_send(&self) -> bool {
        self.typed_turn && self.typed.iter().any(|t| !t.sent)
    }

    fn no_reply(&mut self, now: Moment, due: bool) {
        if !matches!(self.turn, Turn::Thinking { .. }) {
            return;
        }
        if due {
            self.tell_no_reply(now);
        } else {
            self.session.clear();
            self.fact(now, Fact::Over(Reason::Nothing));
        }
    }

    pub(super) fn tell_no_reply(&mut self, now: Moment) {
        let words = "The service did not answer. Please ask again.";
        self.notice(Severity::Warn, "no_reply", words, "");
        self.fact(now, Fact::Over(Reason::Unanswered));
    }
}
