//! The far end of the socket tests, made by hand from RFC 6455: it can also be wrong on purpose.

use base64::Engine;
use sha1::{Digest, Sha1};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

pub(super) const TEXT: u8 = 1;
pub(super) const BINARY: u8 = 2;
pub(super) const CLOSE: u8 = 8;
pub(super) const PING: u8 = 9;
pub(super) const PONG: u8 = 10;

/// Listens on a free port of IPv4 loopback.
pub(super) async fn listen() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// Listens with a receive buffer as small as the kernel allows.
pub(super) fn listen_small() -> (TcpListener, u16) {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(1).unwrap();
    socket.set_nonblocking(true).unwrap();
    let address: std::net::SocketAddr = "127.0.0.1:0".parse().unwrap();
    socket.bind(&address.into()).unwrap();
    socket.listen(8).unwrap();
    let listener = TcpListener::from_std(socket.into()).unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// One accepted WebSocket.
pub(super) struct Peer<S> {
    pub(super) stream: S,
    /// The request as it came.
    pub(super) head: String,
}

/// Reads a request up to the empty line.
pub(super) async fn read_head<S: AsyncRead + Unpin>(stream: &mut S) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.expect("the request ended early"));
    }
    String::from_utf8(head).unwrap()
}

/// Value of a header of a request.
pub(super) fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then_some(value.trim())
    })
}

/// The answer that opens a WebSocket.
pub(super) fn answer(head: &str) -> String {
    let nonce = header(head, "sec-websocket-key").expect("no Sec-WebSocket-Key");
    let hash = Sha1::digest(format!("{nonce}258EAFA5-E914-47DA-95CA-C5AB0DC85B11"));
    let accept = base64::engine::general_purpose::STANDARD.encode(hash);
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    )
}

impl Peer<TcpStream> {
    pub(super) async fn accept(listener: &TcpListener) -> Self {
        let (stream, _) = listener.accept().await.unwrap();
        Self::open(stream).await
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Peer<S> {
    pub(super) async fn open(mut stream: S) -> Self {
        let head = read_head(&mut stream).await;
        stream.write_all(answer(&head).as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
        Self { stream, head }
    }

    /// Writes one frame; `last` is the FIN bit.
    pub(super) async fn frame(&mut self, opcode: u8, last: bool, payload: &[u8]) {
        let bytes = frame(opcode, last, payload);
        self.stream.write_all(&bytes).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    pub(super) async fn text(&mut self, text: &str) {
        self.frame(TEXT, true, text.as_bytes()).await;
    }

    /// Reads one frame of the client: masked, and whole (it never splits).
    pub(super) async fn read(&mut self) -> std::io::Result<(u8, Vec<u8>)> {
        let first = self.stream.read_u8().await?;
        let second = self.stream.read_u8().await?;
        assert!(first & 0x80 != 0, "a client frame in pieces");
        assert!(first & 0x70 == 0, "reserved bits: nothing was negotiated");
        assert!(second & 0x80 != 0, "a client frame without mask");
        let length = match second & 0x7f {
            126 => u64::from(self.stream.read_u16().await?),
            127 => self.stream.read_u64().await?,
            short => u64::from(short),
        };
        let mut mask = [0; 4];
        self.stream.read_exact(&mut mask).await?;
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        self.stream.read_exact(&mut payload).await?;
        payload.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
        Ok((first & 0x0f, payload))
    }
}

/// One server frame.
pub(super) fn frame(opcode: u8, last: bool, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![opcode | if last { 0x80 } else { 0 }];
    match payload.len() {
        short @ 0..=125 => bytes.push(u8::try_from(short).unwrap()),
        medium @ 126..=0xffff => {
            bytes.push(126);
            bytes.extend(u16::try_from(medium).unwrap().to_be_bytes());
        }
        long => {
            bytes.push(127);
            bytes.extend(u64::try_from(long).unwrap().to_be_bytes());
        }
    }
    bytes.extend_from_slice(payload);
    bytes
}

/// A certificate and who accepts with it.
pub(super) struct Certified {
    pub(super) acceptor: TlsAcceptor,
    /// Its PEM, in a file that goes away with this.
    pub(super) ca_file: PathBuf,
    _directory: Directory,
}

/// A directory of its own that is removed at the end.
pub(super) struct Directory(pub(super) PathBuf);

impl Directory {
    pub(super) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("grok-speaker-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Makes a certificate that signs itself, valid for the years and the name given.
pub(super) fn certify(test: &str, name: &str, years: std::ops::Range<i32>) -> Certified {
    let mut params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.not_before = rcgen::date_time_ymd(years.start, 1, 1);
    params.not_after = rcgen::date_time_ymd(years.end, 1, 1);
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let directory = Directory::new(test);
    let ca_file = directory.0.join("ca.pem");
    std::fs::write(&ca_file, certificate.pem()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            rustls::pki_types::PrivateKeyDer::Pkcs8(key.serialize_der().into()),
        )
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    Certified { acceptor, ca_file, _directory: directory }
}

impl Peer<TlsStream<TcpStream>> {
    pub(super) async fn accept_tls(listener: &TcpListener, acceptor: &TlsAcceptor) -> Self {
        let (stream, _) = listener.accept().await.unwrap();
        Self::open(acceptor.accept(stream).await.unwrap()).await
    }
}
