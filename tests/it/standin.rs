//! The stand-in through its door: handshakes, refusals, TLS, frames, the wire log.

use futures_util::{SinkExt, StreamExt};
use grok_speaker::base::secret::Secret;
use grok_speaker::standin::{Options, Running, StandinError, start};
use serde_json::{Value, json};
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::Response;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

/// Longer than anything here takes; a test that waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(20);

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { timeout(PATIENCE, test).await.expect("in time") });
}

fn faults(list: &[&str]) -> Options {
    Options { faults: list.iter().map(|f| f.parse().unwrap()).collect(), ..Options::default() }
}

fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("standin-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

type Headers<'a> = &'a [(&'static str, &'a str)];

async fn upgrade<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    url: &str,
    headers: Headers<'_>,
) -> Result<(WebSocketStream<S>, Response), Error> {
    let mut request = url.into_client_request()?;
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    client_async(request, stream).await
}

async fn dial(
    running: &Running,
    headers: Headers<'_>,
) -> Result<(WebSocketStream<TcpStream>, Response), Error> {
    let stream = TcpStream::connect(running.addr()).await.unwrap();
    upgrade(stream, &format!("{}?model=grok-voice-latest", running.url()), headers).await
}

const KEY: Headers<'static> = &[("authorization", "Bearer k")];

/// The status of a refused handshake, and its `Retry-After`.
async fn refusal(running: &Running, headers: Headers<'_>) -> (u16, Option<String>, Value) {
    match dial(running, headers).await {
        Err(Error::Http(answer)) => {
            let after = answer.headers().get("retry-after").map(|v| v.to_str().unwrap().to_owned());
            let body = answer.body().clone().unwrap_or_default();
            (answer.status().as_u16(), after, serde_json::from_slice(&body).unwrap_or(Value::Null))
        }
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("not refused"),
    }
}

/// The next JSON event of a kind.
async fn event<S: AsyncRead + AsyncWrite + Unpin>(
    socket: &mut WebSocketStream<S>,
    kind: &str,
) -> Value {
    loop {
        let message = socket.next().await.expect("open").expect("whole");
        if let Message::Text(text) = message {
            let event: Value = serde_json::from_str(&text).unwrap();
            if event["type"] == kind {
                return event;
            }
        }
    }
}

async fn say<S: AsyncRead + AsyncWrite + Unpin>(socket: &mut WebSocketStream<S>, event: Value) {
    socket.send(Message::Text(event.to_string().into())).await.unwrap();
}

async fn configure<S: AsyncRead + AsyncWrite + Unpin>(socket: &mut WebSocketStream<S>) {
    let session = json!({ "voice": "eve", "turn_detection": null });
    say(socket, json!({ "type": "session.update", "session": session })).await;
    event(socket, "session.updated").await;
}

async fn typed<S: AsyncRead + AsyncWrite + Unpin>(socket: &mut WebSocketStream<S>, text: &str) {
    let content = json!([{ "type": "input_text", "text": text }]);
    let item = json!({ "type": "message", "role": "user", "content": content });
    say(socket, json!({ "type": "conversation.item.create", "item": item })).await;
    say(socket, json!({ "type": "response.create" })).await;
}

/// One plain HTTP request and its whole answer.
async fn http(running: &Running, request: &str) -> String {
    let mut stream = TcpStream::connect(running.addr()).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[test]
fn a_key_is_asked_for() {
    run(async {
        let any = start(Options::default()).await.unwrap();
        assert_eq!(refusal(&any, &[]).await.0, 401);
        assert_eq!(refusal(&any, &[("authorization", "Basic k")]).await.0, 401);
        assert!(dial(&any, KEY).await.is_ok());
        assert_eq!(any.report().refused, 2);
        let one = Options { key: Secret::new("right"), ..Options::default() };
        let one = start(one).await.unwrap();
        let (status, _, body) = refusal(&one, KEY).await;
        assert_eq!((status, body["code"].as_str()), (400, Some("invalid-argument")));
        assert!(dial(&one, &[("authorization", "Bearer right")]).await.is_ok());
    });
}

#[test]
fn browsers_come_in_by_subprotocol_with_an_ephemeral_secret() {
    run(async {
        let running = Options { key: Secret::new("right"), ..Options::default() };
        let running = start(running).await.unwrap();
        let body = r#"{"expires_after":{"seconds":60}}"#;
        let request = format!(
            "POST /v1/realtime/client_secrets HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer right\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let answer = http(&running, &request).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK"));
        let answer: Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
        let secret = answer["value"].as_str().unwrap();
        assert!(secret.starts_with("xai-realtime-client-secret-"));
        let protocol = format!("xai-client-secret.{secret}");
        let (_, answer) = dial(&running, &[("sec-websocket-protocol", &protocol)]).await.unwrap();
        assert_eq!(answer.headers()["sec-websocket-protocol"], protocol.as_str());
        let offer = format!("realtime, openai-insecure-api-key.{secret}, openai-beta.realtime-v1");
        let (_, answer) = dial(&running, &[("sec-websocket-protocol", &offer)]).await.unwrap();
        assert_eq!(answer.headers()["sec-websocket-protocol"], "realtime");
        assert!(!answer.headers().contains_key("sec-websocket-extensions"));
        let wrong = request.replace("right", "wrong");
        assert!(http(&running, &wrong).await.starts_with("HTTP/1.1 400"));
        let long = request.replace(r#":60}"#, r#":99}"#).replace("seconds", "sec0nds");
        assert!(http(&running, &long).await.starts_with("HTTP/1.1 200"), "600 s by default");
        let bad = request.replace(":60}", ":-1}");
        assert!(http(&running, &bad).await.starts_with("HTTP/1.1 400"));
    });
}

#[test]
fn other_requests_are_answered_and_large_ones_refused() {
    run(async {
        let running = start(Options::default()).await.unwrap();
        for (request, status) in [
            ("GET / HTTP/1.1\r\n\r\n".to_owned(), "404"),
            ("GET /v1/realtime HTTP/1.1\r\nAuthorization: Bearer k\r\n\r\n".to_owned(), "400"),
            ("GET /v1/tts/voices HTTP/1.1\r\n\r\n".to_owned(), "200"),
            ("nonsense\r\n\r\n".to_owned(), "400"),
            (format!("GET / HTTP/1.1\r\nX: {}", "x".repeat(20_000)), "413"),
        ] {
            let answer = http(&running, &request).await;
            assert_eq!(answer.split(' ').nth(1), Some(status), "{answer}");
        }
    });
}

#[test]
fn handshakes_are_refused_and_slowed_as_told() {
    run(async {
        let running = start(faults(&["refuse=429x2", "retry-after=7"])).await.unwrap();
        for _ in 0..2 {
            let (status, after, body) = refusal(&running, KEY).await;
            assert_eq!((status, after.as_deref()), (429, Some("7")));
            assert!(body["error"].is_string());
        }
        assert!(dial(&running, KEY).await.is_ok());
        for status in [400, 401, 403, 429, 503] {
            let running = start(faults(&[&format!("refuse={status}")])).await.unwrap();
            for _ in 0..3 {
                assert_eq!(refusal(&running, KEY).await.0, status);
            }
        }
        let running = start(faults(&["slow-handshake=0.6"])).await.unwrap();
        assert!(timeout(Duration::from_millis(500), dial(&running, KEY)).await.is_err());
        assert!(dial(&running, KEY).await.is_ok());
    });
}

#[test]
fn a_typed_turn_over_tls_is_in_the_wire_log() {
    run(async {
        let folder = folder("tls");
        let log = folder.join("wire.jsonl");
        let options = Options {
            tls: Some(folder.clone()),
            wire_log: Some(log.clone()),
            delays: false,
            ..Options::default()
        };
        let running = start(options).await.unwrap();
        assert!(running.url().starts_with("wss://localhost:"));
        let mut roots = rustls::RootCertStore::empty();
        let pem = running.ca_file().unwrap();
        use rustls::pki_types::pem::PemObject;
        roots.add(rustls::pki_types::CertificateDer::from_pem_file(pem).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
        for name in ["localhost", "127.0.0.1", "::1"] {
            let stream = TcpStream::connect(running.addr()).await.unwrap();
            let name = name.to_owned().try_into().unwrap();
            let stream = connector.connect(name, stream).await.expect("a name of the certificate");
            let (mut socket, _) = upgrade(stream, &running.url(), KEY).await.unwrap();
            configure(&mut socket).await;
            typed(&mut socket, "hello there").await;
            event(&mut socket, "response.done").await;
            socket.close(None).await.unwrap();
            while let Some(Ok(_)) = socket.next().await {}
        }
        assert_eq!(running.report().violations.get("no model in the URL"), Some(&3));
        let text = std::fs::read_to_string(&log).unwrap();
        let lines: Vec<Value> = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
        let of = |dir: &str, kind: &str| {
            lines.iter().filter(|l| l["dir"] == dir && l["type"] == kind).count()
        };
        assert_eq!((of("in", "session.update"), of("out", "session.updated")), (3, 3));
        let delta = lines.iter().find(|l| l["type"] == "response.output_audio.delta").unwrap();
        assert!(delta["event"]["delta"].as_str().unwrap().len() > 1000);
        assert!(delta["t"].as_f64().unwrap() > 0.0 && delta["conn"] == 1);
        assert!(lines.windows(2).all(|w| w[0]["t"].as_f64() <= w[1]["t"].as_f64()));
        std::fs::remove_dir_all(folder).unwrap();
    });
}

#[test]
fn messages_come_in_fragments_and_are_still_whole() {
    run(async {
        let running = start(faults(&["split-frames"])).await.unwrap();
        let mut raw = TcpStream::connect(running.addr()).await.unwrap();
        raw.write_all(
            b"GET /v1/realtime?model=m HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
              Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
              Authorization: Bearer k\r\n\r\n",
        )
        .await
        .unwrap();
        let mut bytes = Vec::new();
        while !bytes.windows(7).any(|w| w == b"\r\n\r\n\x01\x01{") {
            assert!(raw.read_buf(&mut bytes).await.unwrap() > 0, "{bytes:?}");
        }
        let (mut socket, _) = dial(&running, KEY).await.unwrap();
        configure(&mut socket).await;
        typed(&mut socket, "hello").await;
        let delta = event(&mut socket, "response.output_audio.delta").await;
        assert!(delta["delta"].as_str().unwrap().len() > 5000);
    });
}

/// What a ping brings within a second, other than events.
async fn pong(running: &Running) -> bool {
    let (mut socket, _) = dial(running, KEY).await.unwrap();
    configure(&mut socket).await;
    socket.send(Message::Ping(vec![7].into())).await.unwrap();
    let wait = async {
        loop {
            if let Message::Pong(_) = socket.next().await.unwrap().unwrap() {
                return;
            }
        }
    };
    timeout(Duration::from_secs(1), wait).await.is_ok()
}

#[test]
fn pings_are_answered_unless_told_otherwise() {
    run(async {
        assert!(pong(&start(Options::default()).await.unwrap()).await);
        assert!(!pong(&start(faults(&["no-pong"])).await.unwrap()).await);
        assert!(!pong(&start(faults(&["silence=0"])).await.unwrap()).await);
    });
}

/// How a configured connection ends: the code of the close frame, or none.
async fn end(running: &Running) -> Option<u16> {
    let (mut socket, _) = dial(running, KEY).await.unwrap();
    configure(&mut socket).await;
    while let Some(message) = socket.next().await {
        match message {
            Ok(Message::Close(frame)) => return frame.map(|f| f.code.into()),
            Ok(_) => {}
            Err(_) => return None,
        }
    }
    None
}

#[test]
fn connections_end_with_and_without_a_close_frame() {
    run(async {
        assert_eq!(end(&start(faults(&["drop=0.3"])).await.unwrap()).await, None);
        assert_eq!(end(&start(faults(&["close=1011"])).await.unwrap()).await, Some(1011));
        assert_eq!(end(&start(faults(&["max-duration=0.5"])).await.unwrap()).await, Some(1000));
        let running = start(faults(&["drop=0.1x2"])).await.unwrap();
        assert_eq!((end(&running).await, end(&running).await), (None, None));
        let third = timeout(Duration::from_millis(1500), end(&running)).await;
        assert!(third.is_err(), "the third connection lives");
    });
}

#[test]
fn silence_is_complete_and_the_next_connection_is_well() {
    run(async {
        let running = start(faults(&["silence=0.2"])).await.unwrap();
        let (mut socket, _) = dial(&running, KEY).await.unwrap();
        configure(&mut socket).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        typed(&mut socket, "hello").await;
        let heard = timeout(Duration::from_secs(2), socket.next()).await;
        assert!(heard.is_err(), "{heard:?}");
        let (mut socket, _) = dial(&running, KEY).await.unwrap();
        configure(&mut socket).await;
        typed(&mut socket, "hello").await;
        event(&mut socket, "response.done").await;
    });
}

#[test]
fn stopping_says_goodbye() {
    run(async {
        let running = start(Options::default()).await.unwrap();
        let (mut socket, _) = dial(&running, KEY).await.unwrap();
        configure(&mut socket).await;
        let addr = running.addr();
        let listen = async {
            while let Some(message) = socket.next().await {
                if let Ok(Message::Close(Some(frame))) = message {
                    return Some(u16::from(frame.code));
                }
            }
            None
        };
        let (code, ()) = tokio::join!(listen, running.stop());
        assert_eq!(code, Some(1001));
        assert!(TcpStream::connect(addr).await.is_err());
    });
}

#[test]
fn a_taken_address_is_said() {
    run(async {
        let first = start(Options::default()).await.unwrap();
        let second = start(Options { listen: first.addr(), ..Options::default() }).await;
        let Err(StandinError::Listen { addr, .. }) = second else { panic!("listens twice") };
        assert_eq!(addr, first.addr());
    });
}
