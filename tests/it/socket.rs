//! The service's socket against a hand-made far end on loopback.

mod peer;

use grok_speaker::base::event::{Dial, Link, Trouble, Wire};
use grok_speaker::base::secret::Secret;
use grok_speaker::grok::socket::{Event, Options, Socket};
use peer::{BINARY, CLOSE, PING, PONG, Peer, TEXT, certify, header, listen, read_head};
use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{sleep, timeout};

const KEY: &str = "xai-K3yThatMustNeverBeSeen";
/// What must happen happens long before.
const SOON: Duration = Duration::from_secs(8);

/// Runs a test as the daemon does: on one thread.
fn run(test: impl Future<Output = ()>) {
    log_capture::install();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { timeout(Duration::from_secs(30), test).await.expect("hangs") });
    assert!(!log_capture::text().contains(KEY), "the key was logged");
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
    match next(socket).await {
        Event::Link(Link::Failed { trouble, status, retry_after, words }) => {
            (trouble, status, retry_after, words)
        }
        other => panic!("{other:?}"),
    }
}

async fn loss(socket: &mut Socket) -> (Trouble, Option<u16>, String) {
    match next(socket).await {
        Event::Link(Link::Lost { trouble, code, words }) => (trouble, code, words),
        other => panic!("{other:?}"),
    }
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
        socket.dial(Dial { query }, key());
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
fn a_missing_key_is_said_before_anything_is_sent() {
    run(async {
        let mut abroad = socket("wss://192.0.2.1/v1/realtime".to_owned(), None);
        abroad.dial(Dial::default(), None);
        let (trouble, _, _, words) = failure(&mut abroad).await;
        assert_eq!(trouble, Trouble::NoKey);
        assert!(words.contains("grok.key_file"), "{words}");

        let (listener, port) = listen().await;
        let mut local = plain(port);
        local.dial(Dial::default(), None);
        let (peer, ()) = tokio::join!(Peer::accept(&listener), up(&mut local));
        assert_eq!(header(&peer.head, "authorization"), None);
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
            socket.send(text("hello")).unwrap();
            socket.send(Wire::Binary(vec![9; 70_000])).unwrap();
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
            match next(&mut socket).await {
                Event::Message(Wire::Binary(bytes)) => assert_eq!(bytes.len(), MAX),
                other => panic!("{other:?}"),
            }
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
        socket.send(text("too late")).unwrap();
        assert!(timeout(Duration::from_millis(100), socket.next()).await.is_err());
    });
}

#[test]
fn refusals_show_what_the_service_says_but_never_the_key() {
    run(async {
        let (listener, port) = listen().await;
        let mut socket = plain(port);
        for (status, trouble) in [
            (400, Trouble::Refused),
            (401, Trouble::Refused),
            (403, Trouble::Refused),
            (404, Trouble::Protocol),
            (429, Trouble::Busy),
            (503, Trouble::Busy),
        ] {
            let body = format!(r#"{{"code":"c-{status}","error":"Incorrect API key: {KEY}"}}"#);
            let far = async {
                let (mut stream, _) = listener.accept().await.unwrap();
                read_head(&mut stream).await;
                let length = body.len();
                let head = format!(
                    "HTTP/1.1 {status} No\r\nRetry-After: 17\r\nContent-Length: {length}\r\n\r\n"
                );
                stream.write_all(head.as_bytes()).await.unwrap();
                // The body comes in a segment of its own.
                sleep(Duration::from_millis(50)).await;
                stream.write_all(body.as_bytes()).await.unwrap();
            };
            socket.dial(Dial::default(), key());
            let ((), failed) = tokio::join!(far, failure(&mut socket));
            let (got, code, retry_after, words) = failed;
            assert_eq!((got, code), (trouble, Some(status)), "{words}");
            assert_eq!(retry_after, Some(Duration::from_secs(17)));
            assert!(words.contains(&format!("c-{status}: Incorrect API key: ***")), "{words}");
        }
    });
}

#[test]
fn what_is_no_websocket_is_said_so() {
    let answers = [
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", Some(200)),
        ("HTTP/1.1 301 Moved\r\nLocation: https://elsewhere/\r\n\r\n", Some(301)),
        ("SSH-2.0-OpenSSH_9.2\r\n", None),
        ("HTTP/1.1 101 Ok\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", None),
    ];
    for (answer, expected) in answers {
        run(async {
            let (listener, port) = listen().await;
            let mut socket = plain(port);
            socket.dial(Dial::default(), key());
            let far = async {
                let (mut stream, _) = listener.accept().await.unwrap();
                read_head(&mut stream).await;
                stream.write_all(answer.as_bytes()).await.unwrap();
            };
            let ((), (trouble, status, _, words)) = tokio::join!(far, failure(&mut socket));
            assert_eq!((trouble, status), (Trouble::Protocol, expected), "{words}");
        });
    }
}

#[test]
fn nobody_there_is_told_apart_from_no_name() {
    run(async {
        let (listener, port) = listen().await;
        drop(listener);
        let mut socket = plain(port);
        socket.dial(Dial::default(), key());
        let (trouble, _, _, words) = failure(&mut socket).await;
        assert_eq!(trouble, Trouble::NoNetwork);
        assert!(words.contains("refuses connections"), "{words}");

        let mut socket = self::socket("wss://no-such-host.invalid/".to_owned(), None);
        socket.dial(Dial::default(), key());
        // A resolver without a network may take its time.
        match timeout(Duration::from_secs(15), socket.next()).await.unwrap() {
            Event::Link(Link::Failed { trouble, words, .. }) => {
                assert_eq!(trouble, Trouble::NoName, "{words}");
                assert!(words.contains("no-such-host.invalid"), "{words}");
            }
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn a_handshake_that_never_ends_is_given_up_after_10_s() {
    run(async {
        let (listener, port) = listen().await;
        let mut socket = socket(format!("wss://127.0.0.1:{port}/"), None);
        socket.dial(Dial::default(), key());
        let near = timeout(Duration::from_secs(12), socket.next());
        let ((_held, _), event) = tokio::join!(async { listener.accept().await.unwrap() }, near);
        match event.expect("longer than 10 s") {
            Event::Link(Link::Failed { trouble, words, .. }) => {
                assert_eq!(trouble, Trouble::NoNetwork);
                assert!(words.contains("did not finish the TLS handshake in 10 s"), "{words}");
            }
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn tls_trusts_the_file_and_resumes_its_session() {
    run(async {
        let good = certify("good", "localhost", 2020..2090);
        let (listener, port) = listen().await;
        let url = format!("wss://localhost:{port}/v1/realtime");
        let mut socket = socket(url, Some(good.ca_file.clone()));
        for resumed in [false, true] {
            socket.dial(Dial::default(), key());
            let accepted = Peer::accept_tls(&listener, &good.acceptor);
            let (mut peer, ()) = tokio::join!(accepted, up(&mut socket));
            let tls = socket.options_in_force().unwrap().tls.clone().unwrap();
            assert!(tls.starts_with("TLSv1_3 "), "{tls}");
            assert_eq!(tls.ends_with("resumed"), resumed, "{tls}");
            assert_eq!(peer.stream.get_ref().1.alpn_protocol(), None, "not asked of the server");
            socket.send(text("ping")).unwrap();
            peer.text("pong").await;
            let (read, event) = tokio::join!(peer.read(), next(&mut socket));
            assert_eq!(read.unwrap(), (TEXT, b"ping".to_vec()));
            assert_eq!(event, Event::Message(text("pong")));
        }
    });
}

#[test]
fn certificates_that_are_not_accepted_say_why() {
    let cases = [
        ("stranger", "localhost", 2020..2090, false, Trouble::NotTrusted, "grok.ca_file"),
        ("name", "other.example", 2020..2090, true, Trouble::NotTrusted, "another name"),
        ("expired", "localhost", 2000..2001, true, Trouble::WrongClock, "expired on 2001-01-01"),
        ("early", "localhost", 2080..2090, true, Trouble::WrongClock, "before 2080-01-01"),
    ];
    for (test, name, years, trusted, expected, part) in cases {
        run(async {
            let certified = certify(test, name, years);
            let (listener, port) = listen().await;
            let ca_file = trusted.then(|| certified.ca_file.clone());
            let mut socket = socket(format!("wss://localhost:{port}/"), ca_file);
            socket.dial(Dial::default(), key());
            let far = async {
                let (stream, _) = listener.accept().await.unwrap();
                assert!(certified.acceptor.accept(stream).await.is_err());
            };
            let ((), (trouble, _, _, words)) = tokio::join!(far, failure(&mut socket));
            assert_eq!(trouble, expected, "{test}: {words}");
            assert!(words.contains(part), "{test}: {words}");
        });
    }
}

#[test]
fn plain_http_on_the_tls_port_is_recognised() {
    run(async {
        let (listener, port) = listen().await;
        let mut socket = socket(format!("wss://localhost:{port}/"), None);
        socket.dial(Dial::default(), key());
        let far = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.read_u8().await.unwrap();
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
            stream
        };
        let (_held, (trouble, _, _, words)) = tokio::join!(far, failure(&mut socket));
        assert_eq!(trouble, Trouble::Protocol);
        assert!(words.contains("does not speak TLS"), "{words}");
    });
}

/// Offers audio at the live pace to a peer that does not read; then the peer reads on.
async fn stall<S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin>(
    socket: &mut Socket,
    mut peer: Peer<S>,
) {
    let mut pace = tokio::time::interval(Duration::from_millis(20));
    let mut offered = 0u64;
    loop {
        tokio::select! {
            _ = pace.tick() => {
                socket.send(chunk()).unwrap();
                offered += 1;
                assert!(offered < 100, "2 s of audio went nowhere unnoticed");
            }
            event = socket.next() => {
                assert_eq!(event, Event::Link(Link::Congested));
                break;
            }
        }
    }
    let after = offered * 20;
    println!("congested after {after} ms of audio");
    assert!(after <= 300, "congested only after {after} ms of audio");
    // Held back from here on. Control messages still have room.
    socket.send(text("control")).unwrap();
    assert!(timeout(Duration::from_millis(200), socket.next()).await.is_err());
    let reading = async {
        for _ in 0..offered {
            assert_eq!(peer.read().await.unwrap().0, TEXT);
        }
        assert_eq!(peer.read().await.unwrap(), (TEXT, b"control".to_vec()));
    };
    let ((), event) = tokio::join!(reading, next(socket));
    assert_eq!(event, Event::Link(Link::Clear));
}

#[test]
fn a_stalled_link_shows_within_300_ms_and_clears() {
    run(async {
        let (listener, port) = peer::listen_small();
        let mut socket = plain(port);
        socket.dial(Dial::default(), key());
        let (peer, ()) = tokio::join!(Peer::accept(&listener), up(&mut socket));
        stall(&mut socket, peer).await;
    });
}

#[test]
fn a_stalled_tls_link_shows_within_300_ms_and_clears() {
    run(async {
        let good = certify("stalled", "localhost", 2020..2090);
        let (listener, port) = peer::listen_small();
        let url = format!("wss://localhost:{port}/");
        let mut socket = socket(url, Some(good.ca_file.clone()));
        socket.dial(Dial::default(), key());
        let accepted = Peer::accept_tls(&listener, &good.acceptor);
        let (peer, ()) = tokio::join!(accepted, up(&mut socket));
        stall(&mut socket, peer).await;
    });
}

#[test]
fn a_healthy_link_is_never_congested() {
    run(async {
        let (listener, port) = listen().await;
        let mut socket = plain(port);
        socket.dial(Dial::default(), key());
        let (mut peer, ()) = tokio::join!(Peer::accept(&listener), up(&mut socket));
        let near = async {
            let mut pace = tokio::time::interval(Duration::from_millis(20));
            for _ in 0..50 {
                tokio::select! {
                    biased;
                    event = socket.next() => panic!("{event:?}"),
                    _ = pace.tick() => socket.send(chunk()).unwrap(),
                }
            }
        };
        let far = async {
            for _ in 0..50 {
                peer.read().await.unwrap();
            }
        };
        tokio::join!(near, far);
    });
}

#[test]
fn a_link_that_stays_stalled_is_given_up() {
    run(async {
        let (listener, port) = peer::listen_small();
        let mut socket = plain(port);
        socket.dial(Dial::default(), key());
        let (_peer, ()) = tokio::join!(Peer::accept(&listener), up(&mut socket));
        for _ in 0..50 {
            socket.send(chunk()).unwrap();
        }
        assert_eq!(next(&mut socket).await, Event::Link(Link::Congested));
        match timeout(Duration::from_secs(16), socket.next()).await.expect("stalled for ever") {
            Event::Link(Link::Lost { trouble, words, .. }) => {
                assert_eq!(trouble, Trouble::Dropped, "{words}");
            }
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn a_full_send_queue_gives_the_link_up() {
    run(async {
        let (listener, port) = peer::listen_small();
        let mut socket = plain(port);
        socket.dial(Dial::default(), key());
        let (_peer, ()) = tokio::join!(Peer::accept(&listener), up(&mut socket));
        let big = Wire::Binary(vec![0; 1 << 20]);
        let taken = (0..8).take_while(|_| socket.send(big.clone()).is_ok()).count();
        assert!((3..8).contains(&taken), "{taken} MiB were taken");
        assert_eq!(loss(&mut socket).await.0, Trouble::Dropped);
        // And it can be dialled anew.
        socket.dial(Dial::default(), key());
        let (_peer, ()) = tokio::join!(Peer::accept(&listener), up(&mut socket));
    });
}

#[test]
fn a_host_that_does_not_listen_holds_the_far_end_back() {
    run(async {
        let (listener, port) = listen().await;
        let mut socket = plain(port);
        socket.dial(Dial::default(), key());
        let (mut peer, ()) = tokio::join!(Peer::accept(&listener), up(&mut socket));
        let message = "x".repeat(100_000);
        let mut taken = 0;
        while timeout(Duration::from_millis(300), peer.text(&message)).await.is_ok() {
            taken += 1;
            assert!(taken < 200, "20 MB were taken and nobody asked for them");
        }
        // Everything that was taken is still there, in order.
        for _ in 0..taken {
            assert_eq!(next(&mut socket).await, Event::Message(text(&message)));
        }
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
        socket.send(text("goodbye")).unwrap();
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
fn hanging_up_a_stalled_link_takes_a_second() {
    run(async {
        let (listener, port) = peer::listen_small();
        let mut socket = plain(port);
        socket.dial(Dial::default(), key());
        let (_peer, ()) = tokio::join!(Peer::accept(&listener), up(&mut socket));
        for _ in 0..100 {
            socket.send(chunk()).unwrap();
        }
        sleep(Duration::from_millis(100)).await;
        timeout(Duration::from_millis(1500), socket.close()).await.expect("took too long");
    });
}

/// Everything that is logged while the socket tests run, at every level.
mod log_capture {
    use std::sync::{Mutex, Once, PoisonError};

    static LINES: Mutex<String> = Mutex::new(String::new());
    static ONCE: Once = Once::new();

    struct Capture;

    impl log::Log for Capture {
        fn enabled(&self, _: &log::Metadata<'_>) -> bool {
            true
        }

        fn log(&self, record: &log::Record<'_>) {
            use std::fmt::Write;
            let mut lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
            let _ = writeln!(lines, "{} {}", record.target(), record.args());
            let _ = record.key_values().visit(&mut Fields(&mut lines));
        }

        fn flush(&self) {}
    }

    struct Fields<'a>(&'a mut String);

    impl<'kvs> log::kv::VisitSource<'kvs> for Fields<'_> {
        fn visit_pair(
            &mut self,
            key: log::kv::Key<'kvs>,
            value: log::kv::Value<'kvs>,
        ) -> Result<(), log::kv::Error> {
            use std::fmt::Write;
            writeln!(self.0, "{key}={value}").map_err(log::kv::Error::from)
        }
    }

    pub(super) fn install() {
        ONCE.call_once(|| {
            log::set_logger(&Capture).expect("nobody else captures the log");
            log::set_max_level(log::LevelFilter::Trace);
        });
    }

    pub(super) fn text() -> String {
        LINES.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[test]
fn the_log_is_really_captured() {
    run(async {
        let (listener, port) = listen().await;
        let mut socket = plain(port);
        socket.dial(Dial::default(), key());
        let (_peer, ()) = tokio::join!(Peer::accept(&listener), up(&mut socket));
        assert!(log_capture::text().contains("link is up"));
    });
}
