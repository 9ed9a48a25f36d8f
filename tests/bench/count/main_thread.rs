//! What the daemon's main thread does with an input, without its event loop.

use crate::line::{Memory, pair, web_socket};
use grok_speaker::audio::feed::Feed;
use grok_speaker::base::event::{Link, Wire};
use grok_speaker::base::unit::{Moment, Rate};
use grok_speaker::config::{Sources, load};
use grok_speaker::conversation::journal::Line;
use grok_speaker::conversation::{Conversation, Input, Output};
use grok_speaker::host::counters::Counters;
use grok_speaker::host::journal::Journal;
use grok_speaker::host::meter::Meter;
use grok_speaker::host::outlet::Outlet;
use grok_speaker::host::tally::Tally;
use grok_speaker::speech::thread::Fresh;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::{Message, WebSocket};

/// Rates on the wire.
pub(crate) const UP: Rate = Rate(16_000);
pub(crate) const DOWN: Rate = Rate(24_000);

/// The main thread, and the far end of its connection.
pub(crate) struct MainThread {
    conversation: Conversation,
    journal: Journal,
    tally: Tally,
    meter: Meter,
    outlet: Outlet,
    socket: WebSocket<Memory>,
    far: WebSocket<Memory>,
    now: Moment,
    /// Messages with sound that left.
    pub(crate) appends: usize,
    /// Samples handed to playout.
    pub(crate) played: usize,
}

impl MainThread {
    /// With an open session that hears everything.
    pub(crate) fn new(feed: Feed) -> Self {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let sets = ["turn.mode=open", "turn.gate=always", "state.directory=/nowhere"];
        let config = load(&Sources {
            sets: sets.map(str::to_owned).to_vec(),
            board_dirs: vec![root.join("board")],
            ..Sources::default()
        })
        .unwrap();
        assert_eq!(
            (config.policy.session.input_rate, config.policy.session.output_rate),
            (UP, DOWN)
        );
        let (near, far) = pair();
        let (policy, settings, seed) = (config.policy, config.settings, 1);
        let head = Line::Head {
            policy: policy.clone(),
            settings: settings.clone(),
            seed,
            build: String::new(),
        };
        let mut main = Self {
            conversation: Conversation::new(policy, settings, seed),
            journal: Journal::new(&head, None).unwrap(),
            tally: Tally::new(Arc::new(Counters::default()), DOWN, Arc::default()),
            meter: Meter::new(Arc::default()),
            outlet: Outlet::new(feed),
            socket: web_socket(near, Role::Client),
            far: web_socket(far, Role::Server),
            now: Moment::from_millis(1000),
            appends: 0,
            played: 0,
        };
        main.handle(Input::Tick);
        main.handle(Input::Link(Link::Up));
        main.say(&json!({"type": "session.created", "session": {"id": "s"}}));
        main.say(&json!({"type": "session.updated", "session": {"id": "s"}}));
        main
    }

    pub(crate) fn now(&self) -> Moment {
        self.now
    }

    pub(crate) fn pass(&mut self, span: Duration) {
        self.now += span;
    }

    /// The bytes of a message of the service on the line.
    pub(crate) fn encrypt(&mut self, event: &Value) -> Vec<u8> {
        self.far.send(Message::text(event.to_string())).unwrap();
        std::mem::take(&mut self.far.get_mut().outgoing)
    }

    /// The service says something.
    pub(crate) fn say(&mut self, event: &Value) {
        let bytes = self.encrypt(event);
        self.receive(&bytes);
    }

    /// Bytes of the service's come, a message.
    pub(crate) fn receive(&mut self, bytes: &[u8]) {
        self.socket.get_mut().receive(bytes);
        let Message::Text(text) = self.socket.read().unwrap() else { panic!("not a text") };
        self.handle(Input::Message(Wire::Text(text.as_str().to_owned())));
    }

    /// A block of the speech thread.
    pub(crate) fn near(&mut self, (near, read): Fresh) {
        self.tally.near(&near, self.conversation.is_live().then_some(read));
        self.handle(Input::Near(near));
        if let Some(tick) = self.meter.feed(&near, self.outlet.feed().level()) {
            self.tally.event(&grok_speaker::panel::event::Event::Tick(tick));
        }
    }

    /// What the playout thread has put down.
    pub(crate) fn facts(&mut self) {
        while let Some(fact) = self.outlet.feed().fact() {
            self.tally.playout(fact);
            self.handle(Input::Playout(fact));
        }
        self.outlet.advance();
    }

    fn handle(&mut self, input: Input) {
        assert!(self.journal.record(self.now, &input).is_none());
        self.conversation.handle(self.now, input);
        while let Some(output) = self.conversation.poll() {
            match output {
                Output::Transmit(wire) => self.transmit(wire),
                Output::Play { epoch, tag, samples } => {
                    self.played += samples.len();
                    self.tally.play(tag, self.now, !self.outlet.is_replying());
                    assert_eq!(self.outlet.play(epoch, tag, &samples), 0);
                }
                Output::PlayEnd { epoch, tag } => self.outlet.end(epoch, tag),
                Output::Flush(epoch) => self.outlet.flush(epoch),
                Output::Duck(on) => self.outlet.feed().duck(on),
                Output::SetVolume(volume) => self.outlet.feed().gain(volume.gain()),
                Output::Publish(event) => self.tally.event(&event),
                Output::Dial(_)
                | Output::HangUp
                | Output::Sound(_)
                | Output::Show(_)
                | Output::Store(_)
                | Output::Ready
                | Output::Invite
                | Output::Log { .. } => {}
            }
        }
    }

    fn transmit(&mut self, wire: Wire) {
        let _ = self.tally.sent(&wire);
        let Wire::Text(text) = wire else { panic!("not a text") };
        self.appends += usize::from(text.contains("input_audio_buffer.append"));
        self.socket.send(Message::text(text)).unwrap();
        assert!(!self.socket.get_ref().outgoing.is_empty());
        self.socket.get_mut().outgoing.clear();
    }
}
