//! A TLS connection whose bytes stay in memory.

use crate::tls;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, Connection, RootCertStore, ServerConnection};
use std::io::{self, Read, Write};
use std::sync::Arc;
use tokio_tungstenite::tungstenite::WebSocket;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

/// One end.
pub(crate) struct Memory {
    pub(crate) tls: Connection,
    /// Encrypted, from the far end; what was read of it.
    incoming: Vec<u8>,
    read: usize,
    /// Encrypted, for the far end.
    pub(crate) outgoing: Vec<u8>,
}

impl Memory {
    fn new(tls: Connection) -> Self {
        Self { tls, incoming: Vec::new(), read: 0, outgoing: Vec::new() }
    }

    /// What the far end's socket brings.
    pub(crate) fn receive(&mut self, bytes: &[u8]) {
        self.incoming.clear();
        self.incoming.extend_from_slice(bytes);
        self.read = 0;
    }

    fn shake(&mut self, far: &mut Self) {
        self.emit().unwrap();
        far.receive(&self.outgoing);
        self.outgoing.clear();
        while far.read < far.incoming.len() {
            far.take_in().unwrap();
        }
    }

    fn emit(&mut self) -> io::Result<()> {
        while self.tls.wants_write() {
            self.tls.write_tls(&mut self.outgoing)?;
        }
        Ok(())
    }

    fn take_in(&mut self) -> io::Result<()> {
        self.read += self.tls.read_tls(&mut &self.incoming[self.read..])?;
        self.tls.process_new_packets().map(drop).map_err(io::Error::other)
    }
}

impl Read for Memory {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.tls.reader().read(into) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                done => return done,
            }
            if self.read == self.incoming.len() {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            self.take_in()?;
        }
    }
}

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.tls.writer().write(bytes)?;
        self.emit()?;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.tls.writer().flush()?;
        self.emit()
    }
}

/// Both ends of an open connection: ours and the service's.
pub(crate) fn pair() -> (Memory, Memory) {
    let (certificate, server) = tls::server();
    let mut roots = RootCertStore::empty();
    roots.add(certificate.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let client = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut near = Memory::new(client.into());
    let mut far = Memory::new(ServerConnection::new(server).unwrap().into());
    // Hello, the server's flight, our finish, its session tickets.
    for _ in 0..2 {
        near.shake(&mut far);
        far.shake(&mut near);
    }
    assert!(!near.tls.is_handshaking() && !far.tls.is_handshaking());
    (near, far)
}

/// A WebSocket over it, with the daemon's settings.
pub(crate) fn web_socket(memory: Memory, role: Role) -> WebSocket<Memory> {
    let config = WebSocketConfig::default().read_buffer_size(4 * 1024).write_buffer_size(0);
    WebSocket::from_raw_socket(memory, role, Some(config))
}
