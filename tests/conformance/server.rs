//! A server for the official Socket.IO v5 and Engine.IO v4 test suites: the panel's libraries with
//! the panel's settings, on the address and with the times the suites want. `make conformance
//! SUITES=folder` runs them beside it.

use axum::Router;
use axum::body::Bytes;
use engineioxide::handler::EngineIoHandler;
use engineioxide::layer::EngineIoLayer;
use engineioxide::{DisconnectReason, Socket, Str};
use grok_speaker::panel::{Limits, http, socket_io};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use serde::de::{SeqAccess, Visitor};
use serde::ser::SerializeTuple;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value, json};
use socketioxide::extract::{AckSender, Data, SocketRef, TryData};
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::time::sleep;

/// Where the suites look.
const ADDRESS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 3000);

/// What the suites expect.
const LIMITS: Limits = Limits {
    ping: Duration::from_millis(300),
    pong: Duration::from_millis(200),
    connect: Duration::from_secs(1),
    message_max: 1_000_000,
    attachments: 10,
};

/// Between the answer to CONNECT and the first event: the suite waits for one message at a time and
/// misses what comes in the same piece.
const APART: Duration = Duration::from_millis(20);

#[expect(clippy::disallowed_methods, reason = "how a connection ends is the suites' business")]
#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let (layer, io) = socket_io(&LIMITS).build_layer();
    io.ns("/", joined);
    io.ns("/custom", joined);
    let mut engine = io.config().engine_config.clone();
    engine.req_path = "/engine.io".into();
    let house =
        Router::new().layer(layer).layer(EngineIoLayer::from_config(Arc::new(Echo), engine));
    let listener = TcpListener::bind(ADDRESS).await?;
    loop {
        let (tcp, _) = listener.accept().await?;
        tcp.set_nodelay(true)?;
        let service = TowerToHyperService::new(house.clone());
        let served = http().serve_connection(TokioIo::new(tcp), service).with_upgrades();
        tokio::spawn(async { served.await.ok() });
    }
}

async fn joined(socket: SocketRef, TryData(auth): TryData<Value>) {
    socket.on("message", async |socket: SocketRef, Data(said): Data<Arguments>| {
        let _ = socket.emit("message-back", &said);
    });
    socket.on("message-with-ack", async |Data(said): Data<Arguments>, ack: AckSender| {
        let _ = ack.send(&said);
    });
    sleep(APART).await;
    let _ = socket.emit("auth", &auth.unwrap_or_else(|_| json!({})));
}

/// Says everything back.
#[derive(Debug, Clone)]
struct Echo;

impl EngineIoHandler for Echo {
    type Data = ();

    fn on_connect(self: Arc<Self>, _: Arc<Socket<()>>) {}

    fn on_disconnect(&self, _: Arc<Socket<()>>, _: DisconnectReason) {}

    fn on_message(self: &Arc<Self>, message: Str, socket: Arc<Socket<()>>) {
        let _ = socket.emit(message);
    }

    fn on_binary(self: &Arc<Self>, data: Bytes, socket: Arc<Socket<()>>) {
        let _ = socket.emit_binary(data);
    }
}

/// Any number of arguments. The library spreads over the arguments of an event what calls itself a
/// tuple, and nothing else.
struct Arguments(Vec<Argument>);

/// JSON is tried first, because bytes would also be read out of a string.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Argument {
    Json(Value),
    Binary(Bytes),
}

impl Serialize for Arguments {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut tuple = s.serialize_tuple(self.0.len())?;
        self.0.iter().try_for_each(|argument| tuple.serialize_element(argument))?;
        tuple.end()
    }
}

impl<'de> Deserialize<'de> for Arguments {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Each;
        impl<'de> Visitor<'de> for Each {
            type Value = Arguments;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("arguments")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut all: A) -> Result<Arguments, A::Error> {
                let mut arguments = Vec::new();
                while let Some(argument) = all.next_element()? {
                    arguments.push(argument);
                }
                Ok(Arguments(arguments))
            }
        }
        // JSON does not look at the length.
        d.deserialize_tuple(0, Each)
    }
}
