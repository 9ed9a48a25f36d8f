//! The one loop: bells, socket, panel, control socket, timer -> conversation -> effects.
//!
//! Runs on the main thread. It waits for everyone and nobody waits for it: what it hands to the
//! audio threads goes through rings, what it hands to the panel through a bounded channel.

mod asked;

use crate::audio::Xruns;
use crate::base::Clock;
use crate::base::event::{Fault, Link, PlayoutFact, Scene, Trouble, Wire};
use crate::base::pulse::Pulse;
use crate::base::ring::Bell;
use crate::base::unit::Moment;
use crate::config::Config;
use crate::conversation::{Conversation, Input, Output};
use crate::grok::socket::{self, Socket};
use crate::host::cards::Wanted;
use crate::host::clock::{self, Steps};
use crate::host::control::{Control, Question, Reply};
use crate::host::desk::Order;
use crate::host::fingers::Fingers;
use crate::host::health::Health;
use crate::host::inspect;
use crate::host::journal::Journal;
use crate::host::lore::Archive;
use crate::host::outlet::Outlet;
use crate::host::pages::Pages;
use crate::host::panel::PanelLine;
use crate::host::prompt::{self, Notice};
use crate::host::settings::Choices;
use crate::host::supervise::{Crew, Finding};
use crate::host::systemd;
use crate::host::tally::Tally;
use crate::host::telemetry::Telemetry;
use crate::host::thread::AsyncWait;
use crate::host::vitals::Vitals;
use crate::host::{Bug, FLIGHT, key, meter::Meter, redact};
use crate::panel::Trust;
use crate::panel::event::{Direction, Event, Severity};
use crate::speech::thread::Fresh;
use anyhow::anyhow;
use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Duration;

/// Blocks taken from the ring at one go before the others get their turn: 640 ms of sound.
const BATCH: usize = 64;
/// When the first look round is due, after the cards are open and the service is dialled: asking ALSA
/// what they are would wait until it has opened them.
const SETTLED: Duration = Duration::from_millis(200);
/// After this much silence of the microphone thread the speaker counts as deaf.
const DEAF_AFTER: Duration = Duration::from_secs(3);
/// For so long it is worth saying that a pairing window was lost.
const LOST_IS_NEWS: Duration = Duration::from_secs(30);
/// What the goodbye to the service may take.
const GOODBYE: Duration = Duration::from_millis(400);

/// Sees every event; may end the run.
pub type Onlooker = Box<dyn FnMut(Moment, &Event) -> ControlFlow<anyhow::Result<()>>>;

/// Everything the loop holds.
pub struct Pump {
    pub(super) config: Config,
    pub(super) clock: Clock,
    pub(super) conversation: Conversation,
    pub(super) socket: Socket,
    pub(super) bell: Arc<dyn Bell>,
    pub(super) door: AsyncWait,
    /// What effects answer at once, taken in after the effects of the input before.
    pub(super) pending: VecDeque<Input>,
    pub(super) near: rtrb::Consumer<Fresh>,
    pub(super) lore: Archive,
    /// Whether the cards of the start were looked up.
    pub(super) settled: bool,
    /// Which cards are wanted.
    pub(super) cards: Arc<Wanted>,
    pub(super) outlet: Outlet,
    pub(super) faults: Receiver<Fault>,
    pub(super) capture: Arc<Pulse>,
    pub(super) speech: Arc<Pulse>,
    pub(super) crew: Crew,
    pub(super) xruns: Arc<Xruns>,
    pub(super) panel: Option<PanelLine>,
    pub(super) trust: Trust,
    pub(super) control: Option<Control>,
    pub(super) fingers: Fingers,
    pub(super) choices: Choices,
    /// From the panel's desk.
    pub(super) orders: tokio::sync::mpsc::Receiver<Order>,
    pub(super) journal: Journal,
    pub(super) tally: Tally,
    pub(super) telemetry: Telemetry,
    pub(super) health: Arc<Health>,
    pub(super) steps: Steps,
    pub(super) meter: Meter,
    pub(super) vitals: Arc<Vitals>,
    pub(super) pages: Pages,
    pub(super) onlooker: Option<Onlooker>,
    /// What we say ourselves.
    pub(super) notice: prompt::Speech,
    /// Pairing windows lost to wrong codes that were spoken of.
    pub(super) lost: usize,
    /// Where the panel was when it was last looked at, and when.
    pub(super) place: (Vec<String>, Option<Moment>),
    pub(super) last_near: Moment,
    pub(super) ended: Option<anyhow::Result<()>>,
}

/// What woke the loop.
enum Woken {
    Door,
    Socket(socket::Event),
    Panel(crate::panel::event::Request),
    Control(Question, Reply),
    Order(Order),
    Deadline,
    Fingers,
    Second,
    Signal,
}

impl Pump {
    /// Runs until a signal, a bug, or the onlooker ends it. Everything is closed afterwards.
    pub async fn run(mut self) -> anyhow::Result<()> {
        let mut signals = super::signals()?;
        let mut second = tokio::time::interval_at(clock::after(SETTLED), Duration::from_secs(1));
        second.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        systemd::ready();
        // Begins the conversation, and with it the first dial.
        self.handle(Input::Tick);
        self.tell_time();
        while self.ended.is_none() {
            let woken = {
                let (panel, control, orders, fingers, deadline) = (
                    &mut self.panel,
                    &mut self.control,
                    &mut self.orders,
                    &mut self.fingers,
                    self.conversation.deadline(),
                );
                let now = (self.clock)();
                tokio::select! {
                    biased;
                    _ = self.door.rung() => Woken::Door,
                    event = self.socket.next() => Woken::Socket(event),
                    () = wait_until(now, deadline.map(|d| d.0)) => Woken::Deadline,
                    () = fingers.stir(now) => Woken::Fingers,
                    request = next_request(panel) => Woken::Panel(request),
                    (question, reply) = next_question(control) => Woken::Control(question, reply),
                    // Without a panel nobody orders anything.
                    Some(order) = orders.recv() => Woken::Order(order),
                    _ = second.tick() => Woken::Second,
                    () = signals.next() => Woken::Signal,
                }
            };
            // Interruptions are told where the speaker was when they came.
            while let Some(fact) = self.outlet.fact() {
                self.playout(fact);
            }
            match woken {
                Woken::Door => self.drain(),
                Woken::Socket(socket::Event::Link(link)) => self.handle(Input::Link(link)),
                Woken::Socket(socket::Event::Message(wire)) => {
                    self.inspect(Direction::Received, &wire);
                    self.handle(Input::Message(wire));
                }
                Woken::Socket(socket::Event::Pong(stamp)) => {
                    self.vitals.pong((self.clock)(), stamp);
                }
                Woken::Panel(request) => self.handle(Input::Panel(request)),
                Woken::Control(question, reply) => self.answer(question, reply).await,
                Woken::Order(order) => self.order(order),
                Woken::Deadline => self.handle(Input::Tick),
                Woken::Fingers => self.fingers(),
                Woken::Second => self.second(),
                Woken::Signal => self.ended = Some(Ok(())),
            }
            self.ease();
        }
        self.close().await
    }

    /// What fingers did until now.
    fn fingers(&mut self) {
        let now = (self.clock)();
        while let Some(hand) = self.fingers.poll(now, self.choices.settings().muted) {
            self.handle(Input::Hand(hand));
        }
    }

    /// Lets the conversation take in what happened and does what it asks.
    fn handle(&mut self, input: Input) {
        self.pending.push_back(input);
        while let Some(input) = self.pending.pop_front() {
            let now = (self.clock)();
            if let Some(words) = self.journal.record(now, &input) {
                log::warn!("{words}");
            }
            self.conversation.handle(now, input);
            while let Some(output) = self.conversation.poll() {
                self.perform(now, output);
            }
        }
    }

    fn perform(&mut self, now: Moment, output: Output) {
        match output {
            Output::Dial(dial) => match key(&self.config) {
                Ok(key) => {
                    self.tally.dial(&dial);
                    let key = key.map(|found| found.key);
                    key.iter().for_each(redact::hide);
                    self.socket.dial(dial, key);
                }
                Err(e) => self.pending.push_back(Input::Link(Link::Failed {
                    trouble: Trouble::NoKey,
                    status: None,
                    retry_after: None,
                    words: e.to_string(),
                })),
            },
            Output::HangUp => self.socket.hang_up(),
            Output::Transmit(wire) => self.transmit(wire),
            Output::Play { epoch, tag, samples } => {
                self.tally.play(tag, now, !self.outlet.is_replying());
                let dropped = self.outlet.play(epoch, tag, &samples);
                if dropped > 0 {
                    self.tally.dropped("playout");
                }
            }
            Output::PlayEnd { epoch, tag } => self.outlet.end(epoch, tag),
            Output::Flush(epoch) => {
                self.outlet.flush(epoch);
                self.notice.stop(now);
            }
            Output::Duck(on) => self.outlet.feed().duck(on),
            Output::SetVolume(volume) => self.outlet.feed().gain(volume.gain()),
            Output::Sound(earcon) => self.outlet.feed().earcon(earcon),
            Output::Show(scene) => self.show(scene),
            Output::Publish(event) => self.publish(now, event),
            Output::Store(settings) => self.choices.keep(settings),
            Output::Ready => self.capture.go(),
            Output::Invite => self.invite_by_hand(),
            Output::Log { level, message, fields } => say(level, &message, &fields),
        }
    }

    /// While nothing is sent and nobody looks at meters, sound may come in larger pieces.
    fn ease(&self) {
        let ease = !self.conversation.is_prompt() && self.trust.clients() == 0;
        self.capture.ease(ease);
        self.speech.ease(ease);
    }

    fn transmit(&mut self, wire: Wire) {
        self.inspect(Direction::Sent, &wire);
        let since = self.tally.sent(&wire);
        if self.socket.send(wire, since).is_err() {
            self.tally.dropped("socket");
        }
    }

    /// Shows a message of the wire to those who look.
    fn inspect(&self, dir: Direction, wire: &Wire) {
        if let Some(panel) = self.panel.as_ref().filter(|_| self.trust.is_inspected()) {
            panel.tell(Event::Traffic(inspect::traffic((self.clock)(), dir, wire)));
        }
    }

    fn show(&mut self, scene: Scene) {
        systemd::status(scene.word());
    }

    fn publish(&mut self, now: Moment, event: Event) {
        self.tally.event(&event);
        self.vitals.event(&event);
        if let Some(onlooker) = &mut self.onlooker
            && let ControlFlow::Break(result) = onlooker(now, &event)
        {
            self.ended.get_or_insert(result);
        }
        // Nobody misses a meter that nobody looks at, and the panel's thread need not wake for it.
        let moment = matches!(event, Event::Tick(_) | Event::Audio(_));
        if let Some(panel) = &self.panel
            && !(moment && self.trust.clients() == 0)
        {
            panel.tell(event);
        }
    }

    /// Takes what the audio threads have put down.
    fn drain(&mut self) {
        self.outlet.advance();
        while let Ok(fault) = self.faults.try_recv() {
            self.vitals.fault(&fault);
            self.handle(Input::Fault(fault));
        }
        for _ in 0..BATCH {
            let Ok((near, read)) = self.near.pop() else { return };
            self.last_near = (self.clock)();
            let near = self.notice.without(near);
            self.tally.near(&near, self.conversation.is_live().then_some(read));
            self.handle(Input::Near(near));
            if let Some(tick) = self.meter.feed(&near, self.outlet.feed().level()) {
                self.publish(self.last_near, Event::Tick(tick));
            }
        }
        // More is waiting than one turn takes: come again after the others.
        self.bell.ring();
    }

    fn playout(&mut self, fact: PlayoutFact) {
        let now = (self.clock)();
        if !self.notice.heed(fact, now) {
            self.tally.playout(fact);
            self.handle(Input::Playout(fact));
        }
        self.speak(now);
    }

    /// Says something ourselves, for as long as it is of use; where there are no recordings, not.
    /// Whether there are.
    fn announce(&mut self, notice: Notice<'_>, useful: Duration) -> bool {
        let session = &self.config.policy.session;
        let dirs = prompt::DIRS.map(PathBuf::from);
        let words = prompt::words(&dirs, &session.language, notice, session.output_rate);
        let Some(words) = words else { return false };
        let now = (self.clock)();
        self.notice.begin(notice, words, now + useful);
        self.speak(now);
        true
    }

    /// The next word of what we say ourselves, when it is its turn.
    fn speak(&mut self, now: Moment) {
        if let Some(word) = self.notice.next(now, self.outlet.is_replying()) {
            self.outlet.aside(prompt::TAG, &word);
        }
    }

    fn tell_time(&mut self) {
        self.handle(Input::Wall(clock::wall()));
    }

    /// Once a second: time, watchdog, health, files.
    fn second(&mut self) {
        let now = (self.clock)();
        self.settle();
        if self.steps.look().is_some() {
            self.tell_time();
            self.handle(Input::Fault(Fault::WorldChanged));
        }
        let hearing = now.since(self.last_near) < DEAF_AFTER;
        match self.crew.look(now) {
            Finding::Well => {
                self.health.tell(if hearing { Ok(()) } else { Err("deaf") });
                systemd::alive();
            }
            Finding::Still(name) => {
                self.health.tell(Err("stuck"));
                log::error!("the {name} thread no longer turns; the watchdog is not fed");
            }
            Finding::Ended(name) => {
                self.ended = Some(Err(anyhow!(Bug(format!("the {name} thread has ended")))));
            }
        }
        if let Some(panel) = &mut self.panel
            && panel.revive(now)
        {
            panel.greet();
            if let Some(state) = self.tally.state() {
                panel.tell(Event::State(state));
            }
        }
        self.tally.second(&self.xruns, &self.trust);
        self.tell_place(now);
        if let Some(stamp) = self.vitals.ping(now) {
            self.socket.ping(stamp);
        }
        self.lore.look();
        self.pages.look(now, self.outlet.is_replying());
        let lost = self.trust.lost();
        if std::mem::replace(&mut self.lost, lost) < lost {
            self.announce(Notice::Lost, LOST_IS_NEWS);
        }
        if self.notice.tells_code() && !self.trust.is_open(now) {
            // Somebody has typed it.
            self.notice.stop(now);
        }
        self.speak(now);
    }

    /// Closes in reverse: the service first, then the threads, then the files.
    async fn close(mut self) -> anyhow::Result<()> {
        systemd::stopping();
        self.health.tell(Err("stopping"));
        let result = self.ended.take().unwrap_or(Ok(()));
        if result.as_ref().is_err_and(|e| e.is::<Bug>())
            && let Err(e) = self.journal.dump(&self.config.state.join(FLIGHT))
        {
            log::error!("the last inputs could not be kept: {e}");
        }
        self.handle(Input::Stop);
        let _ = tokio::time::timeout(GOODBYE, self.socket.close()).await;
        for name in self.crew.stop(&self.clock) {
            log::warn!("the {name} thread did not end in time");
        }
        self.lore.look();
        if let Some(panel) = self.panel {
            panel.stop((self.clock)() + GOODBYE);
        }
        drop(self.choices);
        drop(self.lore);
        if let Some(words) = self.journal.close() {
            log::warn!("{words}");
        }
        self.telemetry.flush();
        result
    }
}

/// A line for the log, its fields beside it.
fn say(level: Severity, message: &str, fields: &[(&'static str, String)]) {
    let level = match level {
        Severity::Info => log::Level::Info,
        Severity::Warn => log::Level::Warn,
        Severity::Error => log::Level::Error,
    };
    log::logger().log(
        &log::Record::builder()
            .level(level)
            .target(module_path!())
            .args(format_args!("{message}"))
            .key_values(&fields)
            .build(),
    );
}

pub(super) async fn wait_until(now: Moment, deadline: Option<Moment>) {
    match deadline {
        Some(at) => tokio::time::sleep(at.since(now)).await,
        None => std::future::pending().await,
    }
}

async fn next_request(panel: &mut Option<PanelLine>) -> crate::panel::event::Request {
    match panel {
        Some(panel) => panel.next().await,
        None => std::future::pending().await,
    }
}

async fn next_question(control: &mut Option<Control>) -> (Question, Reply) {
    match control {
        Some(control) => control.next().await,
        None => std::future::pending().await,
    }
}
