//! What the loop is asked: by the control socket, and by the panel's desk.

use super::Pump;
use crate::audio::Options;
use crate::base::event::{Duplex, Fault};
use crate::base::pcm::to_i16;
use crate::base::unit::{Moment, Volume};
use crate::conversation::Input;
use crate::dsp::sweep::sweep;
use crate::host::control::{Question, Reply};
use crate::host::desk::Order;
use crate::host::panel::PanelLine;
use crate::host::prompt::{self, Notice};
use crate::host::{BUILD, Invitation, lan, measure, redact};
use crate::panel::Fingerprint;
use crate::panel::ask::refusal;
use crate::panel::event::Refusal;
use crate::panel::trust::Role;
use std::time::Duration;

/// How often is looked where the panel is: an address that the network gives anew is known so soon.
const LOOK: Duration = Duration::from_secs(60);

impl Pump {
    /// Answers a question of `status` or `pair`.
    pub(super) async fn answer(&mut self, question: Question, reply: Reply) {
        self.settle();
        let answer = match question {
            Question::Status => self.status(),
            Question::Pair { role } => self.open_window(&role),
        };
        reply.send(&answer).await;
    }

    /// Does what the panel's desk cannot do itself.
    pub(super) fn order(&mut self, order: Order) {
        self.settle();
        match order {
            Order::Settings(changes, reply) => {
                let outcome = match self.choices.change(&changes) {
                    Ok(None) => Ok(self.choices.sheet()),
                    Ok(Some(config)) => {
                        let keys: Vec<_> = changes.keys().map(String::as_str).collect();
                        log::info!(keys = keys.join(" ").as_str(); "settings changed by a panel");
                        self.config.policy = config.policy.clone();
                        self.turn_to(&config.audio);
                        self.vitals.configured(config.in_force.0);
                        self.handle(Input::Policy(Box::new(config.policy)));
                        Ok(self.choices.sheet())
                    }
                    Err(e) => Err(refusal("bad_request", redact::redact(e.to_string()))),
                };
                // A panel that has gone does not want it.
                let _ = reply.send(outcome);
            }
            Order::Sweep(reply) => {
                // As above.
                let _ = reply.send(self.sweep());
            }
            Order::Measured(known, duplex) => {
                self.lore.tell(*known);
                self.handle(Input::Duplex(duplex));
            }
            Order::KeyChanged => self.handle(Input::Fault(Fault::WorldChanged)),
        }
    }

    /// Plays a sweep, if nothing else sounds; says at what volume.
    fn sweep(&mut self) -> Result<Volume, Refusal> {
        let volume = self.choices.settings().volume;
        if self.outlet.is_replying() || self.notice.is_under_way() {
            return Err(refusal("busy", "Somebody is talking with the speaker."));
        }
        if volume.percent() == 0 {
            return Err(refusal("silent", "The volume is 0: nothing would be heard."));
        }
        let rate = self.config.policy.session.output_rate;
        // Playout lowers it by the volume.
        let peak = (measure::peak(volume) / volume.gain().0).min(1.0);
        let sound: Vec<i16> = sweep(rate).iter().map(|x| to_i16(x * peak)).collect();
        self.outlet.aside(prompt::TAG, &sound);
        Ok(volume)
    }

    /// Turns to other cards, and to what is known of them.
    fn turn_to(&mut self, audio: &Options) {
        let changed = self.cards.change(audio);
        if changed.is_empty() {
            return;
        }
        for side in changed {
            // Not open until its thread says so; that is no fault of the card.
            self.vitals.fault(&Fault::CardLost { side, words: String::new() });
        }
        self.recall();
    }

    /// The cards of the start are looked up once, by whoever needs it first.
    pub(super) fn settle(&mut self) {
        if !std::mem::replace(&mut self.settled, true) {
            self.recall();
        }
    }

    /// Looks up what is known of the cards.
    fn recall(&mut self) {
        let (duplex, faults) = self.lore.turn_to(&self.cards.now());
        self.handle(Input::Duplex(duplex.unwrap_or(Duplex::Full)));
        for fault in faults {
            self.handle(Input::Fault(fault));
        }
    }

    /// Tells the conversation where the panel is, when that has changed.
    pub(super) fn tell_place(&mut self, now: Moment) {
        let (known, looked) = &mut self.place;
        if looked.is_some_and(|at| now.since(at) < LOOK) {
            return;
        }
        *looked = Some(now);
        let place = self.panel.as_ref().map_or_else(Vec::new, PanelLine::urls);
        if *known != place {
            known.clone_from(&place);
            self.handle(Input::Place(place));
        }
    }

    /// What `status` says.
    fn status(&self) -> serde_json::Value {
        let mut status = self.tally.status();
        let health = self.health.word().err().unwrap_or("ok");
        status.insert("health".into(), health.into());
        status.insert("uptime_s".into(), (self.clock)().since(Moment::ZERO).as_secs().into());
        status.insert("build".into(), BUILD.into());
        if status.get("name").is_none_or(|name| name == "") {
            status.insert("name".into(), lan::host().into());
        }
        if let Some(panel) = &self.panel {
            let urls = panel.urls();
            status.insert("panel".into(), urls.first().cloned().into());
            status.insert("panel_addresses".into(), urls.into());
            if let Some(Fingerprint { sha256, groups }) = panel.fingerprint() {
                status.insert("fingerprint".into(), groups.as_str().into());
                status.insert("fingerprint_sha256".into(), sha256.as_str().into());
            }
        }
        status.into()
    }

    /// Opens a pairing window; `None` where there is no panel.
    pub(in crate::host) fn invite(&self, role: Role) -> Option<Invitation> {
        let panel = self.panel.as_ref()?;
        let (urls, fingerprint) = (panel.urls(), panel.fingerprint().cloned());
        let now = (self.clock)();
        let code = self.trust.open_window(role, now);
        let seconds = code.until.since(now).as_secs();
        Some(Invitation { urls, fingerprint, code: code.to_string(), seconds })
    }

    /// Opens a pairing window for whoever held a button. The code is said, and nowhere written.
    pub(super) fn invite_by_hand(&mut self) {
        let Some(panel) = &self.panel else {
            return log::warn!("a button asks for pairing, but the panel is off (panel.listen)");
        };
        let address = panel.said();
        let now = (self.clock)();
        let code = self.trust.held(now);
        let digits = code.to_string();
        let notice = Notice::Code { digits: &digits, address: address.as_deref() };
        if self.announce(notice, code.until.since(now)) {
            log::info!("a button opened a pairing window");
        } else {
            log::warn!("a button asks for pairing, but there are no prompts to say the code with");
        }
    }

    fn open_window(&mut self, role: &str) -> serde_json::Value {
        let role = match role.parse() {
            Ok(role) => role,
            Err(e) => return serde_json::json!({"error": format!("{e}")}),
        };
        let invitation = self.invite(role);
        if let Some(Invitation { code, seconds, .. }) = &invitation {
            let address = self.panel.as_ref().and_then(PanelLine::said);
            let notice = Notice::Code { digits: code, address: address.as_deref() };
            self.announce(notice, Duration::from_secs(*seconds));
        }
        match invitation {
            Some(Invitation { urls, fingerprint, code, seconds }) => serde_json::json!({
                "code": code,
                "seconds": seconds,
                "panel": urls.first(),
                "panel_addresses": urls,
                "fingerprint": fingerprint.as_ref().map(|f| f.groups.as_str()),
                "fingerprint_sha256": fingerprint.as_ref().map(|f| f.sha256.as_str()),
            }),
            None => serde_json::json!({"error": "the panel is off (panel.listen)"}),
        }
    }
}
