//! From an address to an open WebSocket: look up, race, TLS, upgrade.

use super::target::Target;
use super::words::Failure;
use super::{InForce, race, tls, upgrade};
use crate::base::event::{Dial, Trouble};
use crate::base::secret::Secret;
use rustls::pki_types::ServerName;
use socket2::{Domain, Protocol, SockRef, TcpKeepalive, Type};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

/// Everything together, from the name to the open WebSocket.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// Unacknowledged bytes end the connection after this; the kernel's own limit is a quarter hour.
const USER_TIMEOUT: Duration = Duration::from_secs(10);
/// An idle connection is probed after this, and then at [`KEEPALIVE_INTERVAL`]; the user time-out
/// ends it when no probe is answered.
const KEEPALIVE_TIME: Duration = Duration::from_secs(15);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
/// Send buffer of a connection without delay, before the kernel's doubling. With it, and the 60 ms
/// of `pump`, a link that swallows everything shows after 177 ms of 20 ms chunks (measured under
/// TLS), a peer on loopback that stops reading after 240 ms. A third more is past 300 ms.
const SEND_BUFFER: usize = 6 * 1024;
/// Bytes a second at the live pace: 50 messages of 920 bytes.
const PACE: u128 = 46_000;
/// Longest round trip that is made room for; a longer one was a lost packet.
const ROUND_TRIP_MAX: Duration = Duration::from_millis(600);
/// The longest message of the service, and the longest frame.
const MESSAGE_MAX: usize = 16 << 20;
/// What is read at a time. The library clears that much memory before each look, and it looks
/// whenever something was sent; what is longer is put together by several.
const READ_BUFFER: usize = 4 * 1024;

/// Whatever carries the WebSocket.
pub(super) trait Carrier: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Carrier for T {}

/// An open WebSocket.
pub(super) struct Opened {
    pub(super) stream: WebSocketStream<Box<dyn Carrier>>,
    pub(super) in_force: InForce,
}

/// How far a dial has come, for the words of a time-out.
#[derive(Debug, Clone, Copy)]
enum Stage {
    Lookup,
    Connect,
    Tls,
    Upgrade,
}

/// Dials within [`CONNECT_LIMIT`].
pub(super) async fn open(
    target: &Target,
    tls: Option<tls::Ready>,
    dial: &Dial,
    key: Option<&Secret>,
) -> Result<Opened, Failure> {
    if key.is_none() && !target.is_loopback() {
        return Err(Failure::no_key());
    }
    let mut stage = Stage::Lookup;
    match tokio::time::timeout(CONNECT_LIMIT, steps(target, tls, dial, key, &mut stage)).await {
        Ok(outcome) => outcome,
        Err(_) => Err(too_slow(target, stage)),
    }
}

async fn steps(
    target: &Target,
    tls: Option<tls::Ready>,
    dial: &Dial,
    key: Option<&Secret>,
    stage: &mut Stage,
) -> Result<Opened, Failure> {
    let (host, port) = (target.host.as_str(), target.port);
    let mut addresses: Vec<SocketAddr> = tokio::net::lookup_host((host, port))
        .await
        .map_err(|error| Failure::lookup(host, &error))?
        .collect();
    if !target.secure {
        // "localhost" is a name like any other: what it stands for must be this machine.
        addresses.retain(|address| address.ip().is_loopback());
    }
    if addresses.is_empty() {
        return Err(Failure::lookup(host, &io::Error::other("it has no usable address")));
    }

    *stage = Stage::Connect;
    let tcp = race::race(race::order(&addresses), connect)
        .await
        .map_err(|failed| Failure::connect(host, port, &failed))?;
    let broken = |error: io::Error| Failure::handshake(host, port, &error);
    let mut in_force = read_back(&tcp).map_err(broken)?;

    let mut carrier: Box<dyn Carrier> = if let Some(tls) = tls {
        *stage = Stage::Tls;
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| Failure::new(Trouble::NotTrusted, format!("{host} is no host name")))?;
        let connector = TlsConnector::from(tls.await);
        let stream = connector.connect(name, tcp).await.map_err(broken)?;
        in_force.tls = Some(describe(stream.get_ref().1));
        Box::new(stream)
    } else {
        Box::new(tcp)
    };

    *stage = Stage::Upgrade;
    let rest = upgrade::upgrade(&mut carrier, target, &dial.query, key).await?;
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        // Every message goes to the kernel at once.
        .write_buffer_size(0)
        .max_message_size(Some(MESSAGE_MAX))
        .max_frame_size(Some(MESSAGE_MAX));
    let stream =
        WebSocketStream::from_partially_read(carrier, rest, Role::Client, Some(config)).await;
    Ok(Opened { stream, in_force })
}

/// One attempt of the race. The options are set before the first packet, so that they hold for
/// all of them.
async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let socket =
        socket2::Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    // Small messages must not wait for the acknowledgement of the one before.
    socket.set_tcp_nodelay(true)?;
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.set_tcp_keepalive(
        &TcpKeepalive::new().with_time(KEEPALIVE_TIME).with_interval(KEEPALIVE_INTERVAL),
    )?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(USER_TIMEOUT))?;
    let begun = now();
    let tcp = TcpSocket::from_std_stream(socket.into()).connect(address).await?;
    let round_trip = now().saturating_duration_since(begun);
    SockRef::from(&tcp).set_send_buffer_size(send_buffer(round_trip))?;
    Ok(tcp)
}

/// What is on its way fills the buffer too: a far service needs as much more as it takes to hear
/// from it.
fn send_buffer(round_trip: Duration) -> usize {
    let under_way = round_trip.min(ROUND_TRIP_MAX).as_millis() * PACE / 1000;
    SEND_BUFFER + usize::try_from(under_way).unwrap_or(0)
}

#[expect(clippy::disallowed_methods, reason = "measures a round trip; nothing is decided by it")]
fn now() -> tokio::time::Instant {
    tokio::time::Instant::now()
}

/// Asks the kernel what it made of the options.
fn read_back(tcp: &TcpStream) -> io::Result<InForce> {
    let socket = SockRef::from(tcp);
    #[cfg(target_os = "linux")]
    let user_timeout = socket.tcp_user_timeout()?;
    #[cfg(not(target_os = "linux"))]
    let user_timeout = None;
    Ok(InForce {
        peer: tcp.peer_addr()?,
        nodelay: socket.tcp_nodelay()?,
        user_timeout,
        keepalive: socket.keepalive()?,
        send_buffer: socket.send_buffer_size()?,
        tls: None,
    })
}

fn describe(session: &rustls::ClientConnection) -> String {
    let version = session.protocol_version().map_or("TLS", |v| v.as_str().unwrap_or("TLS"));
    let suite = session.negotiated_cipher_suite().map(|s| format!(" {:?}", s.suite()));
    let resumed = match session.handshake_kind() {
        Some(rustls::HandshakeKind::Resumed) => ", resumed",
        Some(_) | None => "",
    };
    format!("{version}{}{resumed}", suite.unwrap_or_default())
}

fn too_slow(target: &Target, stage: Stage) -> Failure {
    let Target { host, port, .. } = target;
    let limit = CONNECT_LIMIT.as_secs();
    match stage {
        Stage::Lookup => Failure::new(
            Trouble::NoName,
            format!(
                "no answer to the look-up of {host} in {limit} s: check the network and its DNS"
            ),
        ),
        Stage::Connect => Failure::new(
            Trouble::NoNetwork,
            format!("no answer from {host} port {port} in {limit} s: check the network"),
        ),
        Stage::Tls => Failure::new(
            Trouble::NoNetwork,
            format!("{host} did not finish the TLS handshake in {limit} s"),
        ),
        Stage::Upgrade => Failure::new(
            Trouble::NoNetwork,
            format!("{host} did not finish the WebSocket handshake in {limit} s"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_far_service_gets_a_larger_buffer() {
        assert_eq!(send_buffer(Duration::ZERO), SEND_BUFFER);
        assert_eq!(send_buffer(Duration::from_millis(200)), SEND_BUFFER + 9200);
        assert_eq!(send_buffer(Duration::from_secs(7)), send_buffer(ROUND_TRIP_MAX));
    }
}
