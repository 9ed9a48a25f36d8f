//! DOOR to Socket.IO: who is connected, what comes in, what goes out. Everything here is done in
//! one go under one lock, on one thread; nothing waits for a peer.

mod errands;
mod links;
mod often;
mod payload;
mod wire;

use super::ask::{self, Ask, Verdict};
use super::client::{Client, Gone, reply};
use super::engine::{self, Limits};
use super::errand::{Asker, Desk};
use super::event::{Answer, ClientId, Command, Event, Request, Tick};
use super::feed::Feed;
use super::pairing::{Trust, Visitor};
use super::stream::Peer;
use super::token;
use super::trust::TokenHash;
use crate::base::Clock;
use crate::base::unit::Moment;
use errands::{Back, Errands};
use payload::Payload;
use serde::Deserialize;
use serde_json::Value;
use socketioxide::SocketIo;
use socketioxide::extract::{AckSender, Event as Name, SocketRef, TryData};
use socketioxide::handler::ConnectHandler;
use socketioxide::layer::SocketIoLayer;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc::Sender;
use wire::Wire;

/// Largest message in bytes, both transports.
pub(super) const MESSAGE_MAX: usize = 64 * 1024;
/// Messages hold the longest typed turn with room to spare; a panel sends no attachments.
const LIMITS: Limits = Limits {
    ping: Duration::from_secs(8),
    pong: Duration::from_secs(6),
    connect: Duration::from_secs(5),
    message_max: MESSAGE_MAX,
    attachments: 0,
};
/// Silent for longer than ping and pong together, a client is gone, whatever the library believes.
const SILENCE: Duration = Duration::from_secs(16);
/// A session without a Socket.IO socket is forgotten after this.
const UNUSED: Duration = Duration::from_secs(10);
/// Time for the last packet to leave before the connection is cut.
const GRACE: Duration = Duration::from_millis(500);
/// Releases of the talk button that found the host's queue full; one client holds one button.
const OWED: usize = 64;

/// One Engine.IO session.
struct Link {
    session: TokenHash,
    opened: Moment,
    /// Last HTTP request of it.
    heard: Moment,
    /// Its WebSocket.
    peer: Option<Arc<Peer>>,
    client: Option<ClientId>,
    /// When it is to be cut.
    end: Option<Moment>,
}

struct State {
    feed: Feed,
    clients: BTreeMap<ClientId, Client>,
    links: BTreeMap<String, Link>,
    next_request: u64,
    next_slice: u64,
    wire: Wire,
    /// When a slice was last sent to anybody.
    sounded: Option<Moment>,
    /// Meters that wait for the next slice.
    tick: Option<Tick>,
    owed: Vec<Request>,
    errands: Errands,
    /// Of the paired clients, as last looked at.
    changes: u64,
}

/// Far from the numbers of any earlier run, and exact in a page's 53-bit integers.
fn first_number() -> u64 {
    u64::from(token::any_u32()) << 16
}

/// The panels and what they are told.
pub(super) struct Hub {
    state: Mutex<State>,
    trust: Trust,
    clock: Clock,
    requests: Sender<Request>,
    desk: Desk,
    build: String,
    /// What the machine is called: for a speaker that has no name of its own.
    host: String,
    max_per_session: usize,
}

/// What a page says when it connects.
#[derive(Debug, Default, Deserialize)]
struct Auth {
    #[serde(default)]
    csrf: String,
    #[serde(default)]
    seq: Option<Value>,
}

impl Hub {
    pub(super) fn new(
        trust: Trust,
        clock: Clock,
        (requests, desk): (Sender<Request>, Desk),
        (build, host): (String, String),
        max_per_session: usize,
    ) -> Arc<Self> {
        let state = Mutex::new(State {
            feed: Feed::new(first_number()),
            clients: BTreeMap::new(),
            links: BTreeMap::new(),
            next_request: 1,
            next_slice: 1,
            wire: Wire::new(first_number()),
            sounded: None,
            tick: None,
            owed: Vec::new(),
            errands: Errands::default(),
            changes: trust.changes(),
        });
        Arc::new(Self { state, trust, clock, requests, desk, build, host, max_per_session })
    }

    /// The Socket.IO layer with every limit set.
    pub(super) fn layer(self: &Arc<Self>) -> (SocketIoLayer, SocketIo) {
        let (layer, io) = engine::socket_io(&LIMITS).build_layer();
        let hub = self.clone();
        let joined = move |socket: SocketRef, TryData(auth): TryData<Auth>| {
            let hub = hub.clone();
            async move { hub.joined(socket, auth.unwrap_or_default()) }
        };
        io.ns("/", joined.with(check));
        (layer, io)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn joined(self: &Arc<Self>, socket: SocketRef, auth: Auth) {
        let Some(visitor) = socket.req_parts().extensions.get::<Visitor>().cloned() else {
            return;
        };
        let now = (self.clock)();
        let seq = auth.seq.as_ref().and_then(Value::as_u64);
        let mut state = self.lock();
        let id = ClientId(self.trust.next_client());
        self.listen(&socket, id);
        let sid = socket.id.to_string();
        let peer = socket.req_parts().extensions.get::<Arc<Peer>>().cloned();
        let private = peer.as_ref().is_some_and(|peer| peer.may_carry_secrets());
        let link = state.links.entry(sid.clone()).or_insert(Link {
            session: visitor.session,
            opened: now,
            heard: now,
            peer,
            client: None,
            end: None,
        });
        (link.client, link.end) = (Some(id), None);
        let peer = link.peer.clone();
        let mine = |c: &&Client| c.visitor.session == visitor.session;
        let live = state.clients.values().filter(mine).count();
        if live >= self.max_per_session
            && let Some(oldest) = state.clients.values().find(mine).map(|c| c.id)
        {
            self.expel(&mut state, oldest, Gone("a newer panel of the same browser"));
        }
        match Client::greet(id, socket, visitor, seq, (&state.feed, &self.build, now)) {
            Ok(mut client) => {
                (client.private, client.peer) = (private, peer);
                state.clients.insert(id, client);
                self.pump(&mut state);
            }
            Err(gone) => {
                log::debug!(client = id.0; "panel left: {}", gone.0);
                // It takes none of the places of its browser.
                if let Some(link) = state.links.get_mut(&sid) {
                    link.end = Some(now + GRACE);
                }
            }
        }
        self.count(&mut state);
    }

    /// Registers what a socket may say.
    fn listen(self: &Arc<Self>, socket: &SocketRef, id: ClientId) {
        for &(event, _) in ask::ASKS {
            let hub = self.clone();
            socket.on(event, move |TryData(payload): TryData<Payload>, ack: AckSender| {
                let hub = hub.clone();
                async move {
                    hub.contained(id, || match payload {
                        Ok(Payload(payload)) => hub.heard(id, event, &payload, ack),
                        Err(_) => hub.left(id, Gone("an event that cannot be read")),
                    });
                }
            });
        }
        let hub = self.clone();
        socket.on_fallback(move |Name(event): Name, ack: AckSender| {
            let hub = hub.clone();
            async move { hub.contained(id, || hub.unknown(id, &event, ack)) }
        });
        let hub = self.clone();
        socket.on_disconnect(move || {
            let hub = hub.clone();
            async move { hub.contained(id, || hub.left(id, Gone("disconnected"))) }
        });
    }

    /// Does something for one client. The library would swallow a panic and leave a socket that hangs;
    /// here it costs that socket and is counted.
    fn contained(&self, id: ClientId, work: impl FnOnce()) {
        if catch_unwind(AssertUnwindSafe(work)).is_err() {
            self.trust.count_panic();
            log::error!(client = id.0; "a panic in the panel cost one socket; the speaker is not affected");
            self.left(id, Gone("a panic"));
        }
    }

    /// One event of a client.
    fn heard(&self, id: ClientId, event: &'static str, payload: &Value, ack: AckSender) {
        let now = (self.clock)();
        let mut state = self.lock();
        let seq = state.feed.seq();
        let Some(client) = state.clients.get_mut(&id) else { return };
        match client.pace.event(now) {
            Verdict::Pass => {}
            Verdict::Refuse => {
                return reply(ack, seq, Err(ask::refusal("limit", "too many events a second")));
            }
            Verdict::Close => return self.expel(&mut state, id, Gone("a flood of events")),
        }
        match ask::parse(event, client.role(), payload) {
            Err(refusal) => {
                client.overstepped(event, &refusal);
                reply(ack, seq, Err(refusal));
            }
            Ok(Ask::Listen { on }) => {
                client.listening = on;
                reply(ack, seq, Ok(Value::Null));
            }
            Ok(Ask::Inspect { on, after }) => {
                state.look(id, on.then_some(after));
                reply(ack, seq, Ok(Value::Null));
                self.count(&mut state);
            }
            Ok(Ask::Errand(_)) if !client.sends() => {
                reply(ack, seq, Err(ask::refusal("busy", "earlier errands are still under way")));
            }
            Ok(Ask::Errand(errand)) => {
                let Visitor { session, role, .. } = client.visitor;
                let asker = Asker { session, role, secure: client.private };
                state.errands.send(id, (self.desk)(asker, errand), ack);
            }
            Ok(Ask::Command(command)) => self.forward(&mut state, id, command, ack),
        }
    }

    /// Hands a command to the host; its answer comes back as [`Event::Answer`].
    fn forward(&self, state: &mut State, client: ClientId, command: Command, ack: AckSender) {
        let seq = state.feed.seq();
        let id = state.next_request;
        state.next_request += 1;
        let Some(asker) = state.clients.get_mut(&client) else { return };
        let busy = || ask::refusal("busy", "the speaker has too much to do; try again");
        if let Err(ack) = asker.wait(id, ack, (self.clock)()) {
            return reply(ack, seq, Err(busy()));
        }
        if let Command::Talk { on } = command {
            asker.talking = on;
        }
        let request = Request { client, id, command };
        if self.requests.try_send(request).is_err() {
            asker.answer(seq, Answer { client, id, result: Err(busy()) });
        }
    }

    /// Tells the host for whom it works.
    fn count(&self, state: &mut State) {
        self.trust.count_clients(state.clients.len());
        let inspected = state.clients.values().any(|client| client.inspecting)
            || state.wire.is_awaited((self.clock)());
        if !inspected {
            state.wire.forget();
        }
        self.trust.inspect(inspected);
    }

    fn unknown(&self, id: ClientId, event: &str, ack: AckSender) {
        let mut state = self.lock();
        let seq = state.feed.seq();
        let Some(client) = state.clients.get_mut(&id) else { return };
        if client.pace.unknown() == Verdict::Close {
            return self.expel(&mut state, id, Gone("too many unknown events"));
        }
        let shown: String = event.chars().filter(|c| !c.is_control()).take(60).collect();
        reply(ack, seq, Err(ask::refusal("unsupported", format!("there is no event {shown}"))));
    }

    /// A socket is gone, as the library says, or is to go.
    fn left(&self, id: ClientId, gone: Gone) {
        let mut state = self.lock();
        self.expel(&mut state, id, gone);
    }

    /// Forgets a client at once, releases the talk button it held, and ends its connection.
    fn expel(&self, state: &mut State, id: ClientId, gone: Gone) {
        let Some(client) = state.clients.remove(&id) else { return };
        log::debug!(client = id.0; "panel left: {}", gone.0);
        if client.talking && state.owed.len() < OWED {
            let request = Request {
                client: id,
                id: state.next_request,
                command: Command::Talk { on: false },
            };
            state.next_request += 1;
            state.owed.push(request);
            self.pay(state);
        }
        if let Some(link) = state.links.get_mut(&client.sid) {
            link.end = Some((self.clock)() + GRACE);
        }
        if client.inspecting {
            state.wire.leave((self.clock)());
        }
        client.leave();
        self.count(state);
    }

    /// Sends what the host had no room for.
    fn pay(&self, state: &mut State) {
        while let Some(request) = state.owed.first() {
            if self.requests.try_send(request.clone()).is_err() {
                break;
            }
            state.owed.remove(0);
        }
    }

    /// Something happened in the speaker.
    pub(super) fn tell(&self, event: Event) {
        let mut state = self.lock();
        let state = &mut *state;
        match event {
            Event::State(mut news) => {
                if news.name.is_empty() {
                    news.name.clone_from(&self.host);
                }
                state.feed.state(news);
            }
            Event::Transcript(line) => {
                if line.interrupted {
                    state.clients.values_mut().for_each(|client| client.flush(&line.item));
                }
                state.feed.transcript(line);
            }
            Event::Turn(turn) => state.feed.turn(turn),
            Event::Notice(notice) => state.feed.notice(notice),
            Event::Audio(audio) => state.sound(&audio, (self.clock)()),
            // One that was still under way when the last one looked is of no use.
            Event::Traffic(_) if !self.trust.is_inspected() => return,
            Event::Traffic(traffic) => {
                let seen = state.wire.see(traffic);
                let inspecting = state.clients.values_mut().filter(|c| c.inspecting);
                inspecting.for_each(|client| client.see(&seen));
            }
            Event::Tick(tick) => return state.meter(tick, (self.clock)()),
            Event::Answer(answer) => {
                let seq = state.feed.seq();
                if let Some(client) = state.clients.get_mut(&answer.client) {
                    client.answer(seq, answer);
                }
                return;
            }
        }
        self.pump(state);
    }

    fn pump(&self, state: &mut State) {
        let feed = &state.feed;
        let gone: Vec<_> = state
            .clients
            .values_mut()
            .filter_map(|client| client.pump(feed).err().map(|gone| (client.id, gone)))
            .collect();
        for (id, gone) in gone {
            self.expel(state, id, gone);
        }
    }

    /// Whether there is nothing to be done between two looks for the silent.
    pub(super) fn is_idle(&self) -> bool {
        let state = self.lock();
        let State { clients, links, owed, errands, .. } = &*state;
        clients.is_empty() && links.is_empty() && owed.is_empty() && errands.is_empty()
    }

    /// Every 50 ms: who has taken what was in flight gets more, what is owed is paid, errands are
    /// answered, and who was turned away goes.
    pub(super) fn turn(&self) {
        let now = (self.clock)();
        let mut state = self.lock();
        let changes = self.trust.changes();
        if std::mem::replace(&mut state.changes, changes) != changes {
            drop(state);
            self.sweep();
            state = self.lock();
        }
        let state = &mut *state;
        let seq = state.feed.seq();
        for client in state.clients.values_mut() {
            if client.flows() {
                client.refill();
            }
            client.give_up(seq, now);
        }
        while let Some(Back { client, ack, outcome, panicked }) = state.errands.back() {
            if panicked {
                self.trust.count_panic();
            }
            if let Some(client) = state.clients.get_mut(&client) {
                client.back();
                reply(ack, seq, outcome);
            }
        }
        self.pay(state);
        self.pump(state);
        state.send_meters();
        state.links.retain(|_, link| {
            let over = link.end.is_some_and(|end| now >= end);
            if over && let Some(peer) = &link.peer {
                peer.cut();
            }
            !over
        });
    }

    /// Every second: the silent, the revoked and the never connected go.
    pub(super) fn sweep(&self) {
        let now = (self.clock)();
        let mut state = self.lock();
        self.count(&mut state);
        let heard = |client: &Client| {
            let link = state.links.get(&client.sid)?;
            let peer = link.peer.as_ref().filter(|_| !client.is_polling());
            Some(peer.map_or(link.heard, |peer| peer.heard()))
        };
        let gone: Vec<_> = state
            .clients
            .values()
            .filter_map(|client| {
                let silent = heard(client).is_none_or(|heard| now.since(heard) > SILENCE);
                let role = self.trust.alive(&client.visitor.session, now);
                let revoked = role != Some(client.role());
                let why = if silent { "silent" } else { "no longer paired" };
                (silent || revoked).then_some((client.id, Gone(why)))
            })
            .collect();
        for (id, gone) in gone {
            self.expel(&mut state, id, gone);
        }
        let State { clients, links, .. } = &mut *state;
        links.retain(|_, link| {
            link.client.is_some_and(|id| clients.contains_key(&id))
                || link.end.is_some()
                || now.since(link.opened) < UNUSED
        });
    }
}

/// The second check, inside Socket.IO: the page must know the word that only our own page can read.
async fn check(socket: SocketRef, TryData(auth): TryData<Auth>) -> Result<(), &'static str> {
    let visitor = socket.req_parts().extensions.get::<Visitor>().ok_or("no session")?;
    match auth {
        Ok(auth) if token::same(&auth.csrf, &visitor.csrf) => Ok(()),
        Ok(_) | Err(_) => Err("auth.csrf is missing or wrong: read it from /api/session"),
    }
}
