//! Links over which nothing moves, either way.

use super::peer::{Peer, TEXT, certify, listen, listen_small};
use super::{chunk, key, loss, next, plain, run, socket, text, up};
use grok_speaker::base::event::{Dial, Link, Trouble, Wire};
use grok_speaker::base::unit::Moment;
use grok_speaker::grok::socket::{Event, Socket};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// Offers audio at the live pace to a peer that does not read; then the peer reads on.
async fn stall<S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin>(
    socket: &mut Socket,
    mut peer: Peer<S>,
) {
    let mut pace = tokio::time::interval(Duration::from_millis(20));
    // While the machine stands still nothing is offered, and nothing need show.
    pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut offered = 0u64;
    loop {
        tokio::select! {
            biased;
            event = socket.next() => {
                assert_eq!(event, Event::Link(Link::Congested));
                break;
            }
            _ = pace.tick() => {
                socket.send(chunk(), None).unwrap();
                offered += 1;
                assert!(offered < 100, "2 s of audio went nowhere unnoticed");
            }
        }
    }
    let after = offered * 20;
    assert!(after <= 300, "congested only after {after} ms of audio");
    // Held back from here on. Control messages still have room.
    socket.send(text("control"), None).unwrap();
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
        let (listener, port) = listen_small();
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
        let (listener, port) = listen_small();
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
                    _ = pace.tick() => socket.send(chunk(), None).unwrap(),
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
fn a_message_has_left_when_it_is_in_the_kernel_and_not_before() {
    run(async {
        let (listener, port) = listen_small();
        let mut socket = plain(port);
        let told = Arc::new(Mutex::new(Vec::new()));
        let left = Arc::clone(&told);
        socket.watch(Arc::new(move |since: Moment| left.lock().unwrap().push(since.millis())));
        socket.dial(Dial::default(), key());
        let (mut peer, ()) = tokio::join!(Peer::accept(&listener), up(&mut socket));
        let since = |ms| Some(Moment::from_millis(ms));
        let long = Wire::Binary(vec![0; 1 << 20]);
        for (wire, since) in [(chunk(), since(1)), (long, since(2)), (text("a"), None)] {
            socket.send(wire, since).unwrap();
        }
        socket.send(chunk(), since(3)).unwrap();
        assert_eq!(next(&mut socket).await, Event::Link(Link::Congested));
        assert_eq!(*told.lock().unwrap(), [1], "the long one is on its way");
        let reading = async {
            for _ in 0..4 {
                peer.read().await.unwrap();
            }
        };
        let ((), event) = tokio::join!(reading, next(&mut socket));
        assert_eq!(event, Event::Link(Link::Clear));
        assert_eq!(*told.lock().unwrap(), [1, 2, 3]);
    });
}

#[test]
fn a_full_send_queue_gives_the_link_up() {
    run(async {
        let (listener, port) = listen_small();
        let mut socket = plain(port);
        socket.dial(Dial::default(), key());
        let (_peer, ()) = tokio::join!(Peer::accept(&listener), up(&mut socket));
        let big = Wire::Binary(vec![0; 1 << 20]);
        let taken = (0..8).take_while(|_| socket.send(big.clone(), None).is_ok()).count();
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
fn hanging_up_a_stalled_link_takes_a_second() {
    run(async {
        let (listener, port) = listen_small();
        let mut socket = plain(port);
        socket.dial(Dial::default(), key());
        let (_peer, ()) = tokio::join!(Peer::accept(&listener), up(&mut socket));
        for _ in 0..100 {
            socket.send(chunk(), None).unwrap();
        }
        sleep(Duration::from_millis(100)).await;
        timeout(Duration::from_millis(1500), socket.close()).await.expect("took too long");
    });
}

/// One test, because both halves take their ten seconds.
#[test]
fn what_never_ends_is_given_up_after_10_s() {
    run(async {
        let (quiet, port) = listen().await;
        let mut dialling = socket(format!("wss://127.0.0.1:{port}/"), None);
        dialling.dial(Dial::default(), key());
        let handshake = async {
            let (_held, _) = quiet.accept().await.unwrap();
            let limit = Duration::from_secs(12);
            let event = timeout(limit, dialling.next()).await.expect("longer than 10 s");
            let Event::Link(Link::Failed { trouble, words, .. }) = event else {
                panic!("{event:?}");
            };
            assert_eq!(trouble, Trouble::NoNetwork);
            assert!(words.contains("did not finish the TLS handshake in 10 s"), "{words}");
        };

        let (listener, port) = listen_small();
        let mut stalled = plain(port);
        stalled.dial(Dial::default(), key());
        let stall = async {
            let (_peer, ()) = tokio::join!(Peer::accept(&listener), up(&mut stalled));
            for _ in 0..50 {
                stalled.send(chunk(), None).unwrap();
            }
            assert_eq!(next(&mut stalled).await, Event::Link(Link::Congested));
            let limit = Duration::from_secs(16);
            let event = timeout(limit, stalled.next()).await.expect("stalled for ever");
            let Event::Link(Link::Lost { trouble, words, .. }) = event else {
                panic!("{event:?}");
            };
            assert_eq!(trouble, Trouble::Dropped, "{words}");
        };
        tokio::join!(handshake, stall);
    });
}
