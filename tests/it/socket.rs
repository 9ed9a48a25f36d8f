//! The service's socket against a hand-made far end on loopback.

pub(crate) mod capture;
mod peer;
mod refusal;
mod stall;

use grok_speaker::base::event::{Dial, Link, Trouble, Wire};
use grok_speaker::base::secret::Secret;
use grok_speaker::grok::socket::{Event, Options, Socket};
use peer::{BINARY, CLOSE, PING, PONG, Peer, TEXT, header, listen, read_head};
use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::time::{sleep, timeout};

const KEY: &str = "xai-K3yThatMustNeverBeSeen";
/// What must happen happens long before.
const SOON: Duration = Duration::from_secs(8);

/// Runs a test as the daemon does: on one thread.
fn run(test: impl Future<Output = ()>) {
    capture::install();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { timeout(Duration::from_secs(30), test).await.expect("hangs") });
    assert!(!capture::text().contains(KEY), "the key was logged");
}

fn socket(url: String, ca_file: Option<PathBuf>) -> Socket {
    Socket::new(Options { url, ca_file }).unwrap()
}

fn plain(port: u16) -> Socket {
    socket(format!("ws://127.0.0.1:{port}/v1/realtime"), None)
}

fn key() -> Option<Secret> {
    Secret::new(KEY)
}

async fn next(socket: &mut Socket) -> Event {
    let event = timeout(SOON, socket.next()).await.expect("nothing happened");
    assert!(!format!("{event:?} {socket:?}").contains(KEY), "the key is shown");
    event
}

async fn up(socket: &mut Socket) {
    assert_eq!(next(socket).await, Event::Link(Link::Up));
}

async fn failure(socket: &mut Socket) -> (Trouble, Option<u16>, Option<Duration>, String) {
    let event = next(socket).await;
    let Event::Link(Link::Failed { trouble, status, retry_after, words }) = event else {
        panic!("{event:?}");
    };
    (trouble, status, retry_after, words)
}

async fn loss(socket: &mut Socket) -> (Trouble, Option<u16>, String) {
    let event = next(socket).await;
    let Event::Link(Link::Lost { trouble, code, words }) = event else { panic!("{event:?}") };
    (trouble, code, words)
}

fn text(text: &str) -> Wire {
    Wire::Text(text.to_owned())
}

/// An audio event of 20 ms at 16 kHz.
fn chunk() -> Wire {
    let audio = "A".repeat(856);
    text(&format!(r#"{{"type":"input_audio_buffer.append","audio":"{audio}"}}"#))
}

#[test]
fn the_request_is_what_the_service_wants() {
    run(async {
        let (listener, port) = listen().await;
        let mut socket = plain(port);
        let query = vec![("model".to_owned(), "grok voice".to_owned()), ("a.b".into(), "&".into())];
        socket.dial(Dial { query, after: None }, key());
        let (peer, ()) = tokio::join!(Peer::accept(&listener), up(&mut socket));
        let head = &peer.head;
        assert!(
            head.starts_with("GET /v1/realtime?model=grok%20voice&a.b=%26 HTTP/1.1\r\n"),
            "{head}"
        );
        assert_eq!(header(head, "authorization"), Some(format!("Bearer {KEY}").as_str()));
        assert_eq!(header(head, "host"), Some(format!("127.0.0.1:{port}").as_str()));
        assert_eq!(header(head, "sec-websocket-version"), Some("13"));
        assert_eq!(header(head, "sec-websocket-protocol"), None);
        assert_eq!(header(head, "sec-websocket-extensions"), None, "no compression");
    });
}

#[test]
fn the_options_are_in_force_on_the_live_socket() {
    run(async {
        let (listener, port) = listen().await;
        let mut socket = plain(port);
        assert!(socket.options_in_force().is_none());
        socket.dial(Dial::default(), key());
        let (_peer, ()) = tokio::join!(Peer::accept(&listener), up(&mut socket));
        let in_force = socket.options_in_force().unwrap();
        assert!(in_force.nodelay, "Nagle's algorithm is on");
        assert!(in_force.keepalive);
        if cfg!(target_os = "linux") {
            assert_eq!(in_force.user_timeout, Some(Duration::from_secs(10)));
        }
        assert!(in_force.send_buffer <= 32 * 1024, "{in_force:?}");
        assert_eq!((in_force.peer.port(), in_force.tls.as_deref()), (port, None));
    });
}

#[test]
fn a_ping_comes_back_with_its_stamp() {
    run(async {
        let (listener, port) = listen().await;
        let mut socket = plain(port);
        socket.ping(1);
        socket.dial(Dial::default(), key());
        let (mut peer, ()) = tokio::join!(Peer::accept(&listener), up(&mut socket));
        socket.ping(0x0102_0304_0506_0708);
        let (opcode, payload) = peer.read().await.unwrap();
        assert_eq!((opcode, &payload[..]), (PING, &[1, 2, 3, 4, 5, 6, 7, 8][..]));
        peer.frame(PONG, true, b"of somebody else").await;
        peer.frame(PONG, true, &payload).await;
        assert_eq!(next(&mut socket).await, Event::Pong(0x0102_0304_0506_0708));
    });
}

#[test]
fn messages_pass_both_ways_in_pieces_and_byte_by_byte() {
    run(async {
        let (listener, port) = listen().await;
        let mut socket = plain(port);
        socket.dial(Dial::default(), key());
        let far = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            let head = read_head(&mut stream).await;
            // The first frame rides on the answer, and everything comes one byte at a time.
            let mut bytes = peer::answer(&head).into_bytes();
            bytes.extend(peer::frame(TEXT, false, b"{\"a\":"));
            bytes.extend(peer::frame(PING, true, b"there?"));
            bytes.extend(peer::frame(0, false, "\"ü".as_bytes()));
            bytes.extend(peer::frame(0, true, b"\"}"));
            bytes.extend(peer::frame(BINARY, true, &[1, 2, 3]));
            for byte in bytes {
                stream.write_all(&[byte]).await.unwrap();
                tokio::task::yield_now().await;
            }
            let mut peer = Peer { stream, head };
            assert_eq!(peer.read().await.unwrap(), (PONG, b"there?".to_vec()));
            assert_eq!(peer.read().await.unwrap(), (TEXT, b"hello".to_vec()));
            assert_eq!(peer.read().await.unwrap(), (BINARY, vec![9; 70_000]));
            peer
        };
        let near = async {
            up(&mut socket).await;
            assert_eq!(next(&mut socket).await, Event::Message(text("{\"a\":\"ü\"}")));
            assert_eq!(next(&mut socket).await, Event::Message(Wire::Binary(vec![1, 2, 3])));
            socket.send(text("hello"), None).unwrap();
            socket.send(Wire::Binary(vec![9; 70_000]), None).unwrap();
            assert!(timeout(Duration::from_millis(100), socket.next()).await.is_err());
        };
        tokio::join!(far, near);
    });
}

#[test]
fn a_message_of_16_mib_passes_and_a_longer_one_ends_the_link() {
    const MAX: usize = 16 << 20;
    run(async {
        let (listener, port) = listen().await;
        let mut socket = plain(port);
        socket.dial(Dial::default(), key());
        let far = async {
            let mut peer = Peer::accept(&listener).await;
            peer.frame(BINARY, true, &vec![7; MAX]).await;
            // The header alone is enough to be refused.
            let mut header = peer::frame(BINARY, true, &[0; 70_000]);
            header.truncate(10);
            header[2..10].copy_from_slice(&(MAX as u64 + 1).to_be_bytes());
            peer.stream.write_all(&header).await.unwrap();
            peer
        };
        let near = async {
            up(&mut socket).await;
            let event = next(&mut socket).await;
            let Event::Message(Wire::Binary(bytes)) = event else { panic!("{event:?}") };
            assert_eq!(bytes.len(), MAX);
            let (trouble, code, words) = loss(&mut socket).await;
            assert_eq!((trouble, code), (Trouble::Protocol, None), "{words}");
        };
        tokio::join!(far, near);
    });
}

#[test]
fn broken_frames_end_the_link_as_a_protocol_error() {
    let broken: [(&str, Vec<u8>); 4] = [
        ("masked by the server", vec![0x81, 0x81, 1, 2, 3, 4, 5]),
        ("reserved bits", vec![0xC1, 0]),
        ("text that is not UTF-8", peer::frame(TEXT, true, &[0xff])),
        ("a continuation of nothing", peer::frame(0, true, b"x")),
    ];
    for (what, bytes) in broken {
        run(async {
            let (listener, port) = listen().await;
            let mut socket = plain(port);
            socket.dial(Dial::default(), key());
            let (mut peer, ()) = tokio::join!(Peer::accept(&listener), up(&mut socket));
            peer.stream.write_all(&bytes).await.unwrap();
            assert_eq!(loss(&mut socket).await.0, Trouble::Protocol, "{what}");
        });
    }
}

#[test]
fn a_close_frame_gives_code_and_reason_and_is_answered() {
    run(async {
        let (listener, port) = listen().await;
        let mut socket = plain(port);
        socket.dial(Dial::default(), key());
        let (mut peer, ()) = tokio::join!(Peer::accept(&listener), up(&mut socket));
        peer.text("last words").await;
        let mut payload = 1011u16.to_be_bytes().to_vec();
        payload.extend(b"session timeout");
        peer.frame(CLOSE, true, &payload).await;
        assert_eq!(next(&mut socket).await, Event::Message(text("last words")));
        let (trouble, code, words) = loss(&mut socket).await;
        assert_eq!((trouble, code), (Trouble::Dropped, Some(1011)));
        assert!(words.contains("1011") && words.contains("session timeout"), "{words}");
        let (opcode, answer) = timeout(SOON, peer.read()).await.unwrap().unwrap();
        assert_eq!((opcode, &answer[..2]), (CLOSE, &1011u16.to_be_bytes()[..]));
    });
}

#[test]
fn a_drop_without_a_close_frame_is_noticed() {
    run(async {
        let (listener, port) = listen().await;
        let mut socket = plain(port);
        socket.dial(Dial::default(), key());
        let (peer, ()) = tokio::join!(Peer::accept(&listener), up(&mut socket));
        drop(peer);
        let (trouble, code, words) = loss(&mut socket).await;
        assert_eq!((trouble, code), (Trouble::Dropped, None), "{words}");
        // What is sent now goes nowhere, and nothing more is told.
        socket.send(text("too late"), None).unwrap();
        assert!(timeout(Duration::from_millis(100), socket.next()).await.is_err());
    });
}

#[test]
fn facts_of_an_older_dial_are_never_told() {
    run(async {
        let (listener, port) = listen().await;
        let mut socket = plain(port);
        socket.dial(Dial::default(), key());
        let (mut old, ()) = tokio::join!(Peer::accept(&listener), up(&mut socket));
        old.text("from before").await;
        sleep(Duration::from_millis(50)).await;
        socket.dial(Dial::default(), key());
        let (mut new, ()) = tokio::join!(Peer::accept(&listener), up(&mut socket));
        drop(old);
        new.text("from now").await;
        assert_eq!(next(&mut socket).await, Event::Message(text("from now")));
        // One that is still being dialled is dropped too.
        socket.dial(Dial::default(), key());
        socket.dial(Dial::default(), key());
        let both = async {
            let first = Peer::accept(&listener);
            timeout(SOON, first).await.unwrap()
        };
        let (_peer, ()) = tokio::join!(both, up(&mut socket));
        assert!(timeout(Duration::from_millis(100), socket.next()).await.is_err());
    });
}

#[test]
fn hanging_up_sends_what_was_asked_then_a_close_frame() {
    run(async {
        let (listener, port) = listen().await;
        let mut socket = plain(port);
        socket.dial(Dial::default(), key());
        let (mut peer, ()) = tokio::join!(Peer::accept(&listener), up(&mut socket));
        socket.send(text("goodbye"), None).unwrap();
        let far = async {
            assert_eq!(peer.read().await.unwrap(), (TEXT, b"goodbye".to_vec()));
            assert_eq!(peer.read().await.unwrap().0, CLOSE);
            // No answer: the socket goes away all the same.
            assert!(peer.read().await.is_err());
        };
        let close = timeout(Duration::from_millis(1500), socket.close());
        let ((), closed) = tokio::join!(far, close);
        closed.expect("the goodbye took too long");
        assert!(timeout(Duration::from_millis(50), socket.next()).await.is_err());
    });
}

#[test]
fn the_log_is_really_captured() {
    run(async {
        let (listener, port) = listen().await;
        let mut socket = plain(port);
        socket.dial(Dial::default(), key());
        let (_peer, ()) = tokio::join!(Peer::accept(&listener), up(&mut socket));
        assert!(capture::text().contains("link is up"));
    });
}
