//! What the panel is compared with: an axum server that does nothing but upgrade and send everybody
//! the same bytes, each message made once. The upgrade is what axum's own WebSocket extractor does.

use crate::crowd::News;
use crate::{now, runtime, task, thread};
use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures_util::{SinkExt, StreamExt};
use http::{StatusCode, header};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use std::net::SocketAddr;
use tokio::sync::broadcast::{Receiver, Sender, channel};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

pub(crate) const NAME: &str = "bench-bare";
/// Messages a client may be behind.
const BEHIND: usize = 64;

pub(crate) struct Bare {
    pub(crate) address: SocketAddr,
    messages: Sender<Message>,
    start: std::time::Instant,
}

impl Bare {
    pub(crate) fn start() -> Self {
        let (messages, _) = channel(BEHIND);
        let router = Router::new().route("/", get(upgrade)).with_state(messages.clone());
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        thread(NAME, move || {
            runtime().block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                loop {
                    let (tcp, _) = listener.accept().await.unwrap();
                    tcp.set_nodelay(true).unwrap();
                    let service = TowerToHyperService::new(router.clone());
                    let http = grok_speaker::panel::http();
                    let served = http.serve_connection(TokioIo::new(tcp), service);
                    let served = served.with_upgrades();
                    task(async { served.await.unwrap() });
                }
            });
        });
        Self { address, messages, start: now() }
    }

    /// The same bytes as the panel sends for it.
    pub(crate) fn tell(&self, news: News) {
        let t = self.start.elapsed().as_secs_f64();
        let message = match news {
            News::Sound => {
                let head = "451-[\"grok-voice:audio\",{\"item\":\"bench\",\"seq\":1000,\
                    \"rate\":24000,\"pcm\":{\"_placeholder\":true,\"num\":0}}]";
                let mut bytes = head.as_bytes().to_vec();
                bytes.extend([3; 960]);
                Message::binary(bytes)
            }
            News::Meters => Message::text(format!(
                "42[\"grok-voice:tick\",{{\"t\":{t:.2},\"mic_dbfs\":-41.25,\"clipped\":0,\
                 \"speaker_dbfs\":-18.5,\"speech\":0.5,\"erle_db\":21.75,\"seq\":1000000}}]"
            )),
        };
        let _ = self.messages.send(message);
    }
}

async fn upgrade(State(messages): State<Sender<Message>>, mut request: Request) -> Response {
    let key = request.headers()[header::SEC_WEBSOCKET_KEY].as_bytes();
    let accept = derive_accept_key(key);
    let upgraded = hyper::upgrade::on(&mut request);
    let messages = messages.subscribe();
    task(async move {
        let io = TokioIo::new(upgraded.await.unwrap());
        send(WebSocketStream::from_raw_socket(io, Role::Server, None).await, messages).await;
    });
    let headers = [
        (header::CONNECTION, "upgrade"),
        (header::UPGRADE, "websocket"),
        (header::SEC_WEBSOCKET_ACCEPT, accept.as_str()),
    ];
    (StatusCode::SWITCHING_PROTOCOLS, headers).into_response()
}

async fn send<S>(ws: WebSocketStream<S>, mut messages: Receiver<Message>)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let (mut out, mut back) = ws.split();
    task(async move { while let Some(Ok(_)) = back.next().await {} });
    while let Ok(message) = messages.recv().await {
        if out.send(message).await.is_err() {
            break;
        }
    }
}
