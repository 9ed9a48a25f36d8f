//! Inputs, routed: microphone, speaker, buttons, panels, faults.

use super::budget::SPENT;
use super::turn::{By, Deed, Fact, Reason, Turn};
use super::{Conversation, Gate, Input, Mode, Output, Typed, uplink};
use crate::base::event::{Earcon, Fault, Hand, Near, PlayoutFact, Side, Voice};
use crate::base::unit::{Db, Moment, Volume};
use crate::panel::event::{Answer, ClientId, Command, Event, Refusal, Request, Severity};
use std::time::Duration;

/// Sound from before the first sign of speech: detectors are late, consonants are short.
const LEAD: Duration = Duration::from_millis(400);
/// After a wake word people go on at once.
const LEAD_WAKE: Duration = Duration::from_millis(300);
/// People begin to speak as they press.
const LEAD_BUTTON: Duration = Duration::from_millis(100);
/// Gate `always`: the last chunk is there already, and leaves as soon as the session is up.
const LEAD_ALWAYS: Duration = uplink::CHUNK;
/// A shorter press is a slip of the finger; the service would not answer it anyway.
const PRESS_MIN: Duration = Duration::from_millis(150);
/// A block that scores so high is speech; it marks the end of speech before the hang-over.
const SPEECH: f32 = 0.5;
/// While a button is held, anything louder than this may be speech the detector missed.
const AUDIBLE: Db = Db(-50.0);
/// Characters of a typed turn.
const TEXT_MAX: usize = 4000;
/// Typed lines that wait for the link or for the end of speech.
const TYPED: usize = 4;
/// One press of a volume button, in percent.
const STEP: u8 = 5;

impl Conversation {
    pub(super) fn start(&mut self, now: Moment) {
        self.last_active = now;
        self.queue.push_back(Output::SetVolume(self.settings.volume));
        if self.policy.mode == Mode::Open && !self.is_spent(now) {
            self.session.demand(now, false);
        }
    }

    pub(super) fn take(&mut self, now: Moment, input: Input) {
        match input {
            Input::Near(near) => self.hear(now, &near),
            Input::Playout(fact) => self.playout(now, fact),
            Input::Link(link) => self.session.link(now, link),
            Input::Message(wire) => self.session.message(now, &wire),
            Input::Hand(hand) => self.hand(now, hand),
            Input::Panel(request) => self.panel(now, request),
            Input::Fault(fault) => self.fault(now, fault),
            Input::Duplex(duplex) => self.told_duplex(duplex),
            Input::Wall(wall) => self.wall = Some((wall, now)),
            Input::Place(place) => self.place = place,
            Input::Policy(policy) => self.change(*policy),
            Input::Tick => {}
            Input::Stop => self.stop(now),
        }
    }

    fn hear(&mut self, now: Moment, near: &Near) {
        self.uplink.hear(near, self.settings.muted);
        let speaking = matches!(self.turn, Turn::Speaking { .. });
        self.ear.note(near, speaking);
        self.follow_echo(near);
        self.mic.last_block = near.at;
        if self.settings.muted {
            self.mic.voice = Voice::Quiet;
            self.mic.first_sign = None;
            self.mic.fresh = false;
            self.duck(false);
            return;
        }
        self.mic.echo = self.ear.hears_echo(self.barge_in(), near);
        self.follow_voice(now, near);
        if near.wake.is_some() && self.policy.mode == Mode::Wake {
            self.woke(now, near);
        }
        let detected = match self.policy.mode {
            Mode::Push => false,
            Mode::Open => true,
            // Who typed did not wake the microphone for the room.
            Mode::Wake => !self.typed_turn,
        };
        let allowed = detected && self.ear.allows(self.barge_in(), near);
        let may_open = match self.turn {
            // Nobody would answer; only a person's own action tries again.
            Turn::Asleep | Turn::Lingering { .. }
                if self.session.is_refused() || self.over_budget =>
            {
                false
            }
            Turn::Thinking { .. } if self.over_budget => false,
            Turn::Asleep => self.policy.mode == Mode::Open,
            Turn::Lingering { .. } | Turn::Thinking { .. } | Turn::Listening { .. } => detected,
            Turn::Speaking { .. } => allowed,
        };
        if may_open && self.turn.is_resting() && near.voice != Voice::Quiet {
            // Dialling takes longer than the rest of a first word.
            self.session.demand(now, false);
        }
        if may_open && self.mic.fresh {
            self.mic.fresh = false;
            self.lead = self.mic.first_sign.map_or(LEAD, |sign| near.at - sign + LEAD);
            if !self.turns_away(now) {
                self.fact(now, Fact::Spoke);
                self.mark_speech(now);
            }
        }
        let speaking = matches!(self.turn, Turn::Speaking { .. });
        let suspect = detected && self.ear.suspects(self.policy.barge_in, near);
        self.duck(speaking && suspect && self.mic.fresh_sign());
    }

    /// Edges of the voice detector.
    fn follow_voice(&mut self, now: Moment, near: &Near) {
        let was = std::mem::replace(&mut self.mic.voice, near.voice);
        if near.speech.0 >= SPEECH {
            self.mic.last_speech = near.at;
        }
        match near.voice {
            Voice::Quiet => {
                self.mic.first_sign = None;
                self.mic.fresh = false;
            }
            Voice::Maybe | Voice::Likely => {
                self.mic.first_sign.get_or_insert(near.at);
            }
            Voice::Talking => {
                self.mic.first_sign.get_or_insert(near.at);
                self.mic.fresh |= was != Voice::Talking;
            }
        }
        let listening = matches!(self.turn, Turn::Listening { .. });
        if was == Voice::Talking && near.voice != Voice::Talking {
            self.mic.quiet_since = now;
            let end = self.mic.last_speech;
            if let Some(report) = self.report.as_mut().filter(|_| listening) {
                report.mark_again("speech_end", end);
            }
        }
        let audible = self.held && near.mic > AUDIBLE;
        if listening
            && (near.voice == Voice::Talking || audible)
            && let Some(report) = &mut self.report
        {
            report.spoken = true;
            report.mark("speech_start", self.mic.first_sign.unwrap_or(near.at));
        }
    }

    fn woke(&mut self, now: Moment, near: &Near) {
        let free = match self.turn {
            Turn::Speaking { .. } | Turn::Thinking { .. } => self.barge_in() != super::BargeIn::Off,
            Turn::Asleep | Turn::Lingering { .. } => true,
            Turn::Listening { .. } => false,
        };
        if free && self.turns_away(now) {
            self.queue.push_back(Output::Sound(Earcon::Failed));
        } else if free {
            self.lead = LEAD_WAKE;
            self.session.demand(now, true);
            self.fact(now, Fact::Woke);
            self.mark("wake", near.at);
            self.queue.push_back(Output::Sound(Earcon::Woke));
        }
    }

    fn mark_speech(&mut self, now: Moment) {
        let sign = self.mic.first_sign.unwrap_or(now);
        let listening = matches!(self.turn, Turn::Listening { .. });
        if let Some(report) = self.report.as_mut().filter(|_| listening) {
            report.mark("speech_start", sign);
            report.spoken = true;
        }
    }

    pub(super) fn duck(&mut self, on: bool) {
        if self.ducked != on {
            self.ducked = on;
            self.queue.push_back(Output::Duck(on));
        }
    }

    fn playout(&mut self, now: Moment, fact: PlayoutFact) {
        self.progress = now;
        if let PlayoutFact::Started { tag, at } = fact
            && let Some(report) = self.report.as_mut().filter(|r| r.tag == Some(tag))
        {
            report.mark("speaker", at);
        }
        if self.downlink.heed(fact) {
            self.drained(now);
        }
    }

    /// Everything that was handed to playout was heard.
    pub(super) fn drained(&mut self, now: Moment) {
        let begun = self.session.reply_due();
        let more = begun || self.session.reply_wanted() || self.calls.reply_due;
        // Echo of the last words is no speech of a new turn.
        self.mic.fresh = false;
        self.fact(now, Fact::Drained { more });
    }

    fn hand(&mut self, now: Moment, hand: Hand) {
        match hand {
            Hand::Pressed => {
                if self.settings.muted {
                    self.queue.push_back(Output::Sound(Earcon::Muted));
                } else if self.turns_away(now) {
                    self.queue.push_back(Output::Sound(Earcon::Failed));
                } else {
                    self.press(now);
                }
            }
            Hand::Released => self.release(now),
            Hand::Held => self.hold(now),
            Hand::Mute { on } => self.mute(now, on),
            Hand::Step { up } => {
                let percent = self.settings.volume.percent();
                let percent = if up { percent + STEP } else { percent.saturating_sub(STEP) };
                self.set_volume(Volume::new(percent.min(100)).unwrap_or(self.settings.volume));
                self.queue.push_back(Output::Sound(Earcon::Volume));
            }
        }
    }

    fn press(&mut self, now: Moment) {
        self.held = true;
        self.pressed = now;
        self.lead = LEAD_BUTTON;
        self.session.demand(now, true);
        self.fact(now, Fact::Pressed);
    }

    /// With manual turns the turn is committed. Under the service's turn detection a commit would
    /// be ignored without a word (Q6), and switching detection off for one turn would race with it;
    /// so silence is sent, at the pace of the microphone, until the service ends the turn itself.
    fn release(&mut self, now: Moment) {
        if !std::mem::take(&mut self.held) {
            return;
        }
        let manual = self.policy.mode == Mode::Push;
        let button = matches!(self.turn, Turn::Listening { by: By::Button, .. });
        if button {
            self.mark("speech_end", now);
        }
        if manual && self.pressed_for(now).is_some_and(|span| span < PRESS_MIN) {
            self.fact(now, Fact::Expired { pending: false });
        } else {
            self.fact(now, Fact::Released { manual });
        }
    }

    /// A long hold asks for a pairing window, unless it is talking. With the microphone off no
    /// hold is.
    fn hold(&mut self, now: Moment) {
        if self.held && self.is_talked_into() {
            return;
        }
        if std::mem::take(&mut self.held) && matches!(self.turn, Turn::Listening { .. }) {
            self.fact(now, Fact::Expired { pending: false });
        }
        self.queue.push_back(Output::Invite);
    }

    /// Whether the held button is one to talk with: always in mode `push`, else once somebody has
    /// spoken.
    fn is_talked_into(&self) -> bool {
        let heard = match self.turn {
            Turn::Listening { heard, .. } => heard,
            Turn::Thinking { .. } | Turn::Speaking { .. } => true,
            Turn::Asleep | Turn::Lingering { .. } => false,
        };
        let spoke = self.mic.voice == Voice::Talking || self.mic.quiet_since > self.pressed;
        self.policy.mode == Mode::Push || heard || spoke
    }

    fn pressed_for(&self, now: Moment) -> Option<Duration> {
        match self.turn {
            Turn::Listening { since, by: By::Button, .. } => Some(now - since),
            Turn::Listening { .. }
            | Turn::Asleep
            | Turn::Thinking { .. }
            | Turn::Speaking { .. }
            | Turn::Lingering { .. } => None,
        }
    }

    fn mute(&mut self, now: Moment, on: bool) {
        if self.settings.muted == on {
            return;
        }
        self.settings.muted = on;
        self.held = false;
        self.queue.push_back(Output::Store(self.settings.clone()));
        self.queue.push_back(Output::Sound(if on { Earcon::Muted } else { Earcon::Unmuted }));
        if on {
            // Not even what was said before may leave from here on, nor leave once more.
            let waiting = self.commit_due.is_some()
                || self.uplink.has_backlog()
                || (!self.session.is_ready() && !self.typed_turn);
            self.fact(now, Fact::Muted);
            if waiting && matches!(self.turn, Turn::Thinking { .. }) {
                // What the service has of it is taken back, too.
                self.act(now, Deed::Discard);
                self.fact(now, Fact::Over(Reason::Muted));
            }
            self.uplink.discard();
        } else {
            self.rouse(now);
        }
    }

    /// Gate `always`: sound leaves whenever a session is up and the microphone is on.
    pub(super) fn rouse(&mut self, now: Moment) {
        let always = self.policy.mode == Mode::Open && self.policy.gate == Gate::Always;
        if always && self.session.is_ready() && !self.settings.muted {
            self.lead = LEAD_ALWAYS;
            self.fact(now, Fact::Roused);
        }
    }

    pub(super) fn set_volume(&mut self, volume: Volume) {
        if self.settings.volume != volume {
            self.settings.volume = volume;
            self.queue.push_back(Output::SetVolume(volume));
            self.queue.push_back(Output::Store(self.settings.clone()));
        }
    }

    fn panel(&mut self, now: Moment, request: Request) {
        let Request { client, id, command } = request;
        let result = match command {
            Command::Text { text } => self.type_in(now, client, &text),
            Command::Talk { on: true } if self.settings.muted => {
                Err(refusal("muted", "The microphone is off."))
            }
            Command::Talk { on: true } if self.turns_away(now) => Err(refusal("budget", SPENT)),
            Command::Talk { on: true } => {
                self.press(now);
                Ok(())
            }
            Command::Talk { on: false } => {
                self.release(now);
                Ok(())
            }
            Command::Stop => {
                self.fact(now, Fact::Stopped);
                Ok(())
            }
            Command::Tone if self.turn.is_resting() && !self.downlink.is_playing() => {
                self.queue.push_back(Output::Sound(Earcon::Test));
                Ok(())
            }
            Command::Tone => Err(refusal("busy", "Somebody is talking with the speaker.")),
            Command::Mute { on } => {
                self.mute(now, on);
                Ok(())
            }
            Command::Volume { percent } => {
                self.set_volume(percent);
                Ok(())
            }
        };
        self.queue.push_back(Output::Publish(Event::Answer(Answer { client, id, result })));
    }

    fn type_in(&mut self, now: Moment, client: ClientId, text: &str) -> Result<(), Refusal> {
        let text = text.trim();
        if text.is_empty() {
            return Err(refusal("bad_request", "There is nothing to say."));
        }
        if text.chars().count() > TEXT_MAX {
            return Err(refusal("limit", "A typed turn has at most 4000 characters."));
        }
        if self.over_budget {
            return Err(refusal("budget", SPENT));
        }
        if self.typed.len() == TYPED {
            return Err(refusal("busy", "Earlier typed turns are still waiting."));
        }
        self.typed_count += 1;
        let item = format!("typed-{}", self.typed_count);
        let line = self.talk.user(&item, text, true);
        self.tell_line(now, line);
        self.session.demand(now, true);
        let unsent = self.typed_turn && self.typed.iter().any(|t| !t.sent);
        let listening = matches!(self.turn, Turn::Listening { .. });
        if !unsent && !listening {
            self.fact(now, Fact::Typed);
            self.typed_turn = true;
        }
        if self.typed_turn {
            self.mark("typed", now);
        }
        self.typed.push_back(Typed { client, item, text: text.to_owned(), sent: false });
        Ok(())
    }

    fn fault(&mut self, now: Moment, fault: Fault) {
        let index = |side| match side {
            Side::Capture => 0,
            Side::Playout => 1,
        };
        match fault {
            Fault::CardLost { side, words } => {
                if !std::mem::replace(&mut self.cards_lost[index(side)], true) {
                    self.notice(Severity::Error, "card_lost", &words, "Check the sound card.");
                }
            }
            Fault::CardReady { side, words } => {
                if std::mem::replace(&mut self.cards_lost[index(side)], false) {
                    self.notice(Severity::Info, "card_ready", &words, "");
                }
            }
            Fault::StateSetAside { words } => {
                self.notice(Severity::Warn, "state_set_aside", &words, "");
            }
            Fault::WorldChanged => {
                if std::mem::take(&mut self.refused) {
                    // Until it is refused again.
                    self.trouble.clear();
                }
                self.session.world_changed(now);
            }
        }
    }

    /// The owner wants it to end: nothing is left playing, half said or connected.
    fn stop(&mut self, now: Moment) {
        self.fact(now, Fact::Stopped);
        self.act(now, Deed::Interrupt);
        self.collect();
        self.session.hang_up(now);
        self.collect();
        self.turn = Turn::Asleep;
        self.closing = true;
    }
}

impl super::Mic {
    /// A sign of speech that may still become an interruption.
    fn fresh_sign(&self) -> bool {
        matches!(self.voice, Voice::Maybe | Voice::Likely) || self.fresh
    }
}

fn refusal(code: &str, message: &str) -> Refusal {
    Refusal { code: code.to_owned(), message: message.to_owned() }
}
