//! DOOR to one Socket.IO socket: what still has to be sent to it and what it waits for.
//!
//! The library's queue holds 128 packets a socket, and a heartbeat that finds it full closes the
//! socket. So no more goes in than a share of it, and only while the peer takes it; the rest waits
//! here (audio, oldest dropped) or in the ring of the feed (deltas, never dropped).
//!
//! What many are told many times a second is written once for all of them, through the library's
//! rooms.

use super::ask::{self, Pace, TELLS};
use super::errand;
use super::event::{Answer, ClientId, Refusal, Tick, Traffic, name};
use super::feed::{Feed, Next};
use super::pairing::Visitor;
use super::stream::Peer;
use super::trust::Role;
use crate::base::unit::{Moment, Rate};
use serde::{Serialize, Serializer};
use serde_json::{Value, json};
use socketioxide::extract::{AckSender, SocketRef};
use socketioxide::{SendError, SocketError, TransportType};
use std::collections::{BTreeMap, VecDeque};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// The room of those who see the meters and have room for them.
const METERS: &str = "meters";
/// The room of listeners who wait for nothing but the next slice.
const IN_STEP: &str = "in step";
/// Packets in flight: a quarter of the library's queue, so that answers and heartbeats find room.
const PACKETS: usize = 32;
/// Bytes in flight to a polling client: as base64 they fit into one answer of 64 KiB.
const POLL_BYTES: usize = 40 * 1024;
/// Bytes in flight over a WebSocket.
const WS_BYTES: usize = 256 * 1024;
/// Sound that waits for a slow listener: 43 s at 24 kHz. Then the oldest slices are dropped.
const AUDIO_BYTES: usize = 2 << 20;
/// Messages of the wire that wait for a slow reader: some seconds of a lively turn. Then the oldest
/// are dropped, and their numbers show the gap.
const TRAFFIC: usize = 500;
/// Commands that wait for the host: more than the pace lets through in [`ANSWER`].
const WAITING: usize = 128;
/// The host answers in milliseconds; a page gives up after 3 s.
const ANSWER: Duration = Duration::from_millis(2500);

/// Samples as the wire has them, sent as a binary attachment.
#[derive(Debug)]
struct Pcm(Vec<u8>);

impl Serialize for Pcm {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_bytes(&self.0)
    }
}

/// A piece of a reply, shared by all who hear it.
#[derive(Debug, Serialize)]
pub(super) struct Slice {
    item: String,
    seq: u64,
    rate: Rate,
    pcm: Pcm,
}

impl Slice {
    pub(super) fn new(item: &str, seq: u64, rate: Rate, samples: &[i16]) -> Self {
        let pcm = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        Self { item: item.to_owned(), seq, rate, pcm: Pcm(pcm) }
    }
}

/// A message of the wire, shared by all who inspect.
#[derive(Debug, Serialize)]
pub(super) struct Seen {
    seq: u64,
    #[serde(flatten)]
    traffic: Traffic,
    #[serde(skip)]
    size: usize,
}

impl Seen {
    pub(super) fn new(seq: u64, traffic: Traffic) -> Self {
        let size = serde_json::to_vec(&traffic).map_or(0, |json| json.len());
        Self { seq, traffic, size }
    }
}

/// Why a client must go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Gone(pub(super) &'static str);

/// A live panel.
pub(super) struct Client {
    pub(super) id: ClientId,
    pub(super) sid: String,
    pub(super) visitor: Visitor,
    pub(super) pace: Pace,
    /// It holds the talk button.
    pub(super) talking: bool,
    /// It hears every reply.
    pub(super) listening: bool,
    /// It sees the messages of the wire.
    pub(super) inspecting: bool,
    /// Secrets may be asked for on its connection.
    pub(super) private: bool,
    /// The connection of its WebSocket.
    pub(super) peer: Option<Arc<Peer>>,
    /// Errands under way.
    errands: usize,
    /// It asked for more than its role may; said once.
    overstepped: bool,
    socket: SocketRef,
    /// Number of the last delta it was given.
    cursor: u64,
    audio: VecDeque<Arc<Slice>>,
    audio_bytes: usize,
    traffic: VecDeque<Arc<Seen>>,
    /// It is in the room of that name.
    in_step: bool,
    /// It is in the room of the meters.
    metered: bool,
    packets: usize,
    bytes: usize,
    waiting: BTreeMap<u64, (Moment, AckSender)>,
}

impl Client {
    /// Says hello. `seq` is the last number the client saw: when the ring still holds what came
    /// after it, that follows; otherwise the snapshot is all.
    pub(super) fn greet(
        id: ClientId,
        socket: SocketRef,
        visitor: Visitor,
        seq: Option<u64>,
        (feed, build, now): (&Feed, &str, Moment),
    ) -> Result<Self, Gone> {
        let role = visitor.role;
        let hello = json!({
            "build": build,
            "role": role,
            "seq": feed.seq(),
            "snapshot": feed.snapshot(role),
        });
        socket.emit(name::HELLO, &hello).map_err(|_| Gone("closed during hello"))?;
        let cursor = seq.filter(|seq| feed.after(*seq) != Next::Lost).unwrap_or(feed.seq());
        Ok(Self {
            id,
            sid: socket.id.to_string(),
            visitor,
            pace: Pace::new(now),
            talking: false,
            listening: false,
            inspecting: false,
            private: false,
            peer: None,
            errands: 0,
            overstepped: false,
            socket,
            cursor,
            audio: VecDeque::new(),
            audio_bytes: 0,
            traffic: VecDeque::new(),
            in_step: false,
            metered: false,
            packets: PACKETS,
            bytes: POLL_BYTES,
            waiting: BTreeMap::new(),
        })
    }

    pub(super) fn role(&self) -> Role {
        self.visitor.role
    }

    /// Says in the log, once a panel, that it asked for more than its role may.
    pub(super) fn overstepped(&mut self, event: &str, refusal: &Refusal) {
        if refusal.code == "forbidden" && !std::mem::replace(&mut self.overstepped, true) {
            let role = self.role().word();
            log::warn!(client = self.id.0, role, event; "a panel asked for more than its role may");
        }
    }

    pub(super) fn is_polling(&self) -> bool {
        self.socket.transport_type() == TransportType::Polling
    }

    /// Whether its WebSocket takes what is written to it.
    pub(super) fn flows(&self) -> bool {
        !self.is_polling() && self.peer.as_ref().is_some_and(|peer| !peer.is_blocked())
    }

    /// The peer has taken what was in flight.
    pub(super) fn refill(&mut self) {
        self.packets = PACKETS;
        self.bytes = if self.is_polling() { POLL_BYTES } else { WS_BYTES };
    }

    /// Sends what is due and fits.
    pub(super) fn pump(&mut self, feed: &Feed) -> Result<(), Gone> {
        while self.packets > 0 {
            match feed.after(self.cursor) {
                Next::UpToDate => break,
                Next::Lost => return Err(Gone("too slow for the replay ring")),
                Next::Delta(delta) => {
                    if ask::may(TELLS, self.role(), delta.event)
                        && !self.emit(delta.event, &delta.body)?
                    {
                        return Ok(());
                    }
                    self.cursor = delta.seq;
                }
            }
        }
        while self.packets > 0 {
            let Some(slice) = self.audio.front().cloned() else { break };
            if self.bytes < slice.pcm.0.len() || !self.emit(name::AUDIO, &*slice)? {
                break;
            }
            self.bytes -= slice.pcm.0.len();
            self.audio_bytes -= slice.pcm.0.len();
            self.audio.pop_front();
        }
        while self.packets > 0 {
            let Some(seen) = self.traffic.front().cloned() else { break };
            if self.bytes < seen.size || !self.emit(name::EVENT, &*seen)? {
                break;
            }
            self.bytes -= seen.size;
            self.traffic.pop_front();
        }
        Ok(())
    }

    /// Whether the library had room.
    fn emit(&mut self, event: &str, body: &impl Serialize) -> Result<bool, Gone> {
        match self.socket.emit(event, body) {
            Ok(()) => {
                self.packets -= 1;
                Ok(true)
            }
            Err(SendError::Socket(SocketError::InternalChannelFull)) => {
                self.packets = 0;
                Ok(false)
            }
            Err(SendError::Socket(SocketError::Closed)) => Err(Gone("closed")),
            Err(SendError::Serialize(_)) => Err(Gone("an event could not be written")),
        }
    }

    /// Sound for one that `hears` it or not. Says whether it gets the slice with all who are in step;
    /// one that still waits for something has it queued, and loses the oldest if it does not keep up.
    pub(super) fn hear(&mut self, hears: bool, slice: &Arc<Slice>, seq: u64) -> bool {
        let size = slice.pcm.0.len();
        let ready = self.audio.is_empty() && self.cursor == seq;
        let in_step = hears && ready && self.packets > 0 && self.bytes >= size;
        seat(&self.socket, IN_STEP, &mut self.in_step, in_step);
        if in_step {
            self.packets -= 1;
            self.bytes -= size;
        } else if hears {
            self.queue(slice.clone());
        }
        in_step
    }

    fn queue(&mut self, slice: Arc<Slice>) {
        self.audio_bytes += slice.pcm.0.len();
        self.audio.push_back(slice);
        while self.audio_bytes > AUDIO_BYTES {
            let Some(lost) = self.audio.pop_front() else { break };
            self.audio_bytes -= lost.pcm.0.len();
        }
    }

    /// Sends a slice to all who are in step. The library has room for it unless answers fill its queue
    /// of a client, which then loses the slice; a socket that is closed is about to be forgotten.
    pub(super) fn play(&self, slice: &Slice) {
        let sent = self.socket.within(IN_STEP).emit(name::AUDIO, slice);
        if let Poll::Ready(Err(error)) = at_once(sent) {
            log::debug!(error:%; "a listener lost a slice");
        }
    }

    /// Queues a message of the wire.
    pub(super) fn see(&mut self, seen: &Arc<Seen>) {
        if self.traffic.len() == TRAFFIC {
            self.traffic.pop_front();
        }
        self.traffic.push_back(seen.clone());
    }

    /// Sees the messages of the wire from now on, or no more.
    pub(super) fn inspect(&mut self, on: bool) {
        self.inspecting = on;
        self.traffic.clear();
    }

    /// A reply was cut off: what has not left yet is not heard any more.
    pub(super) fn flush(&mut self, item: &str) {
        self.audio.retain(|slice| slice.item != item);
        self.audio_bytes = self.audio.iter().map(|slice| slice.pcm.0.len()).sum();
    }

    /// The meters moved. Says whether it gets them with all who have room for them; for one that is
    /// slow they are lost.
    pub(super) fn meter(&mut self) -> bool {
        let metered = self.packets > 0 && ask::may(TELLS, self.role(), name::TICK);
        seat(&self.socket, METERS, &mut self.metered, metered);
        self.packets -= usize::from(metered);
        metered
    }

    /// Sends the meters to all who have room for them. Not volatile in the library's sense: that is
    /// a way of its own to the socket, with a write of its own.
    pub(super) fn tick(&self, seq: u64, tick: &Tick) {
        #[derive(Serialize)]
        struct Numbered<'a> {
            #[serde(flatten)]
            tick: &'a Tick,
            seq: u64,
        }
        let tick = Numbered { tick, seq };
        let sent = self.socket.within(METERS).emit(name::TICK, &tick);
        if let Poll::Ready(Err(error)) = at_once(sent) {
            log::trace!(error:%; "a panel lost a tick");
        }
    }

    /// Keeps the way to answer until the host has.
    pub(super) fn wait(&mut self, id: u64, ack: AckSender, now: Moment) -> Result<(), AckSender> {
        if self.waiting.len() >= WAITING {
            return Err(ack);
        }
        self.waiting.insert(id, (now, ack));
        Ok(())
    }

    /// Whether one more errand may go out.
    pub(super) fn sends(&mut self) -> bool {
        let free = self.errands < errand::UNDER_WAY;
        self.errands += usize::from(free);
        free
    }

    /// An errand is over.
    pub(super) fn back(&mut self) {
        self.errands -= 1;
    }

    /// The host has answered.
    pub(super) fn answer(&mut self, seq: u64, answer: Answer) {
        if let Some((_, ack)) = self.waiting.remove(&answer.id) {
            reply(ack, seq, answer.result.map(|()| Value::Null));
        }
    }

    /// Answers what the host has not.
    pub(super) fn give_up(&mut self, seq: u64, now: Moment) {
        while let Some(oldest) = self.waiting.first_entry() {
            if now.since(oldest.get().0) < ANSWER {
                break;
            }
            let (_, ack) = oldest.remove();
            reply(ack, seq, Err(ask::refusal("busy", "the speaker did not answer in time")));
        }
    }

    /// Leaves the namespace, with a last packet that says so.
    pub(super) fn leave(self) {
        self.socket.leave_all();
        let _ = self.socket.disconnect();
    }
}

/// Lets a client into a room or out of it.
fn seat(socket: &SocketRef, room: &'static str, is: &mut bool, should: bool) {
    if std::mem::replace(is, should) == should {
        return;
    }
    if should {
        socket.join(room);
    } else {
        socket.leave(room);
    }
}

/// What the library does on this machine alone is done when it is asked for.
fn at_once<T>(work: impl Future<Output = T>) -> Poll<T> {
    pin!(work).poll(&mut Context::from_waker(Waker::noop()))
}

/// Answers a command, an errand with its data.
pub(super) fn reply(ack: AckSender, seq: u64, result: Result<Value, Refusal>) {
    let _ = match result {
        Ok(Value::Null) => ack.send(&json!({"ok": true, "seq": seq})),
        Ok(data) => ack.send(&json!({"ok": true, "seq": seq, "data": data})),
        Err(Refusal { code, message }) => {
            ack.send(&json!({"ok": false, "code": code, "message": message}))
        }
    };
}
