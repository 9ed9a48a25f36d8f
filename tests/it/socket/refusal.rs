//! Dials that fail, and what is said about them.

use super::peer::{Peer, TEXT, certify, header, listen, read_head};
use super::{KEY, failure, key, next, plain, run, socket, text, up};
use grok_speaker::base::event::{Dial, Link, Trouble};
use grok_speaker::grok::socket::Event;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{sleep, timeout};

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

/// What is made of a server that answers so, and then keeps the connection open.
async fn answered(answer: &str) -> (Trouble, Option<u16>, String) {
    let (listener, port) = listen().await;
    let mut socket = plain(port);
    socket.dial(Dial::default(), key());
    let far = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        read_head(&mut stream).await;
        stream.write_all(answer.as_bytes()).await.unwrap();
        stream
    };
    let (_held, (trouble, status, _, words)) = tokio::join!(far, failure(&mut socket));
    (trouble, status, words)
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
            let (trouble, status, words) = answered(answer).await;
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

        let mut socket = super::socket("wss://no-such-host.invalid/".to_owned(), None);
        socket.dial(Dial::default(), key());
        // A resolver without a network may take its time.
        let event = timeout(Duration::from_secs(15), socket.next()).await.unwrap();
        let Event::Link(Link::Failed { trouble, words, .. }) = event else { panic!("{event:?}") };
        assert_eq!(trouble, Trouble::NoName, "{words}");
        assert!(words.contains("no-such-host.invalid"), "{words}");
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
            socket.send(text("ping"), None).unwrap();
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

#[test]
fn refusals_of_simple_servers_and_of_proxies_are_understood() {
    let old = "HTTP/1.0 403 Forbidden\r\nServer: x\r\n\r\n{\"error\":\"no plan\"}";
    let proxy = "HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\n\
                 8\r\n{\"error\"\r\nb\r\n:\"no plan\"}\r\n0\r\n\r\n";
    for answer in [old.to_owned(), proxy.to_owned()] {
        run(async {
            let (trouble, status, words) = answered(&answer).await;
            assert_eq!((trouble, status), (Trouble::Refused, Some(403)), "{words}");
            assert!(words.ends_with("(403): no plan"), "{words}");
        });
    }
}
