//! Moves messages over an open WebSocket until one side has had enough.
//!
//! A stalled link must show at once, not as speech that is answered late. Three buffers could hide
//! it: those of the WebSocket library and of TLS (each message is flushed through both before the
//! next is taken) and the kernel's (made small in `dial`). What does not fit waits in the send
//! queue, and a queue that has not been empty for [`PATIENCE`] is congestion.

use super::dial::Carrier;
use super::{Event, Left, Order, size, words};
use crate::base::event::{Link, Wire};
use crate::base::unit::Moment;
use futures_util::{SinkExt, StreamExt};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Error, Message};

/// How long the queue may stay non-empty: three chunks at the live pace. Longer than the pauses of
/// a healthy link, shorter than what a person notices.
const PATIENCE: Duration = Duration::from_millis(60);
/// When not one message has left for so long, the link is dead. The user time-out says it sooner
/// where the system has one.
const STALL_LIMIT: Duration = Duration::from_secs(12);
/// For the rest of the queue, our close frame and the answer to it.
const GOODBYE_LIMIT: Duration = Duration::from_secs(1);

/// The pump's end of the send queue.
pub(super) struct Orders {
    pub(super) queue: mpsc::Receiver<Order>,
    /// Bytes in it.
    pub(super) queued: Arc<AtomicUsize>,
    /// The stamp of the ping that is asked for.
    pub(super) pings: watch::Receiver<u64>,
    pub(super) left: Left,
}

impl Orders {
    /// The next message; `None` when the host has hung up and everything before that was taken. A
    /// ping is behind what waits: it is to find what a message would find.
    async fn next(&mut self) -> Option<(Message, Option<Moment>)> {
        let (wire, since) = tokio::select! {
            biased;
            order = self.queue.recv() => order?,
            Ok(()) = self.pings.changed() => {
                let stamp = *self.pings.borrow_and_update();
                return Some((Message::Ping(stamp.to_be_bytes().to_vec().into()), None));
            }
        };
        self.queued.fetch_sub(size(&wire), Ordering::Relaxed);
        let message = match wire {
            Wire::Text(text) => Message::text(text),
            Wire::Binary(bytes) => Message::binary(bytes),
        };
        Some((message, since))
    }
}

/// Pumps until the far end or the host ends it; the last fact is [`Link::Lost`], unless the host
/// hung up.
pub(super) async fn run(
    mut ws: WebSocketStream<Box<dyn Carrier>>,
    mut orders: Orders,
    facts: mpsc::Sender<Event>,
    stalled: watch::Sender<bool>,
) {
    match exchange(&mut ws, &mut orders, &facts, &stalled).await {
        Some(lost) => {
            // A host that is gone needs no fact.
            let _ = facts.send(Event::Link(lost)).await;
            drop((facts, stalled));
            // Its close frame is answered, or ours tells it that it broke the protocol.
            let _ = tokio::time::timeout(GOODBYE_LIMIT, async {
                let _ = ws.flush().await;
                let _ = ws.close(None).await;
            })
            .await;
        }
        None => {
            let _ = tokio::time::timeout(GOODBYE_LIMIT, goodbye(&mut ws, &mut orders)).await;
        }
    }
}

/// `None` when the host hung up.
async fn exchange(
    ws: &mut WebSocketStream<Box<dyn Carrier>>,
    orders: &mut Orders,
    facts: &mpsc::Sender<Event>,
    stalled: &watch::Sender<bool>,
) -> Option<Link> {
    let (mut sink, mut stream) = ws.split();
    // A message has been taken and is not yet wholly in the kernel.
    let mut leaving = false;
    // What is told when it is.
    let mut since = None;
    // The queue has not been empty since `patience` was wound up.
    let mut busy = false;
    // Room for one message at the host: without it nothing is read, and TCP holds the far end back.
    let mut room = None;
    let patience = tokio::time::sleep(PATIENCE);
    tokio::pin!(patience);
    loop {
        let congested = *stalled.borrow();
        tokio::select! {
            // In this order, so that a main thread that was busy elsewhere is not taken for a
            // stalled link: patience ends only when nothing could be moved. None of the others
            // can starve the rest: the queue and the room at the host are finite.
            biased;
            left = sink.flush(), if leaving => {
                if let Err(error) = left {
                    return Some(words::lost(&error));
                }
                leaving = false;
                if let Some(since) = since.take() {
                    (orders.left)(since);
                }
                if orders.queue.is_empty() {
                    busy = false;
                    stalled.send_if_modified(|was| std::mem::replace(was, false));
                } else if congested {
                    patience.set(tokio::time::sleep(STALL_LIMIT));
                }
            }
            () = facts.closed() => return None,
            Ok(slot) = facts.reserve(), if room.is_none() => room = Some(slot),
            item = stream.next(), if room.is_some() => match receive(item) {
                ControlFlow::Continue(None) => {}
                ControlFlow::Continue(Some(event)) => {
                    if let Some(slot) = room.take() {
                        slot.send(event);
                    }
                }
                ControlFlow::Break(lost) => return Some(lost),
            },
            order = orders.next(), if !leaving => {
                if !busy {
                    busy = true;
                    patience.set(tokio::time::sleep(PATIENCE));
                }
                let message;
                (message, since) = order?;
                // The sink is flushed: it takes one message without waiting.
                if let Err(error) = sink.feed(message).await {
                    return Some(words::lost(&error));
                }
                leaving = true;
            }
            () = &mut patience, if busy => {
                if congested {
                    return Some(words::stalled(STALL_LIMIT));
                }
                stalled.send_replace(true);
                patience.set(tokio::time::sleep(STALL_LIMIT));
            }
        }
    }
}

/// What a received item means. The text is copied once, out of the read buffer.
fn receive(item: Option<Result<Message, Error>>) -> ControlFlow<Link, Option<Event>> {
    let message = |wire| ControlFlow::Continue(Some(Event::Message(wire)));
    match item {
        Some(Ok(Message::Text(text))) => message(Wire::Text(text.as_str().to_owned())),
        Some(Ok(Message::Binary(bytes))) => message(Wire::Binary(bytes.into())),
        Some(Ok(Message::Pong(bytes))) => {
            let stamp = <[u8; 8]>::try_from(&bytes[..]).ok();
            ControlFlow::Continue(stamp.map(|stamp| Event::Pong(u64::from_be_bytes(stamp))))
        }
        // The library has queued the pong; reading on sends it.
        Some(Ok(Message::Ping(_) | Message::Frame(_))) => ControlFlow::Continue(None),
        Some(Ok(Message::Close(frame))) => ControlFlow::Break(match frame {
            Some(frame) => words::closed(Some(frame.code.into()), &frame.reason),
            None => words::closed(None, ""),
        }),
        Some(Err(error)) => ControlFlow::Break(words::lost(&error)),
        None => ControlFlow::Break(words::lost(&Error::ConnectionClosed)),
    }
}

/// Sends what was handed over before the host hung up, then a close frame, and reads until the far
/// end has answered it.
async fn goodbye(ws: &mut WebSocketStream<Box<dyn Carrier>>, orders: &mut Orders) {
    while let Some((message, _)) = orders.next().await {
        if ws.send(message).await.is_err() {
            return;
        }
    }
    if ws.close(None).await.is_ok() {
        while let Some(Ok(_)) = ws.next().await {}
    }
}
