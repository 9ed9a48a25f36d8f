//! DOOR to how the libraries serve: Socket.IO and HTTP/1.1 with every limit set. The panel and the
//! server for the official protocol suites (`tests/conformance`) are both built here, so that what
//! the suites say of one holds for the other.

use hyper::server::conn::http1;
use hyper_util::rt::TokioTimer;
use socketioxide::{ParserConfig, SocketIo, SocketIoBuilder};
use std::time::Duration;

/// From the connection, or the last answer, to a whole request head.
const HEADER: Duration = Duration::from_secs(10);
/// Longest request head in bytes; the shortest hyper allows.
const HEAD_MAX: usize = 8192;
/// Packets the library holds for one socket.
const PACKETS: usize = 128;

/// What is different between the panel and a server that is to be examined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// A live client is heard at least this often ...
    pub ping: Duration,
    /// ... and answers within this.
    pub pong: Duration,
    /// For each step of a handshake, and for the attachments of one packet.
    pub connect: Duration,
    /// Largest message in bytes, both transports.
    pub message_max: usize,
    /// Binary attachments of one packet from a client.
    pub attachments: usize,
}

/// A Socket.IO server at `/socket.io`, still without namespaces.
pub fn socket_io(limits: &Limits) -> SocketIoBuilder {
    let parser = ParserConfig::common()
        .max_incoming_binaries(limits.attachments)
        .max_incoming_binary_buf_size(limits.attachments * limits.message_max)
        .packet_completion_timeout(limits.connect);
    SocketIo::builder()
        .req_path("/socket.io")
        .ping_interval(limits.ping)
        .ping_timeout(limits.pong)
        .connect_timeout(limits.connect)
        .upgrade_timeout(limits.connect)
        .max_buffer_size(PACKETS)
        .max_payload(limits.message_max as u64)
        .ws_max_message_size(limits.message_max)
        .ws_max_frame_size(limits.message_max)
        .with_parser(parser)
}

/// How a connection is served: slow and long request heads end it.
pub fn http() -> http1::Builder {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEADER).max_buf_size(HEAD_MAX);
    http
}
