//! The whole speaker with a file as microphone, and a service that listens and talks without end.

use crate::house::pair;
use crate::{now, pause, runtime, thread};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio_tungstenite::tungstenite::Message;

const BINARY: &str = env!("CARGO_BIN_EXE_grok-speaker");
/// Sound in one message from the speaker and in one delta to it.
const CHUNK: f64 = 0.02;
const DELTA: Duration = Duration::from_millis(100);

/// When messages with sound came.
type Arrivals = Arc<Mutex<Vec<Instant>>>;

pub(crate) struct Speaker {
    pub(crate) panel: SocketAddr,
    pub(crate) cookie: String,
    pub(crate) csrf: String,
    child: Child,
    folder: PathBuf,
    arrivals: Arrivals,
}

impl Drop for Speaker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Speaker {
    pub(crate) fn start() -> Self {
        let folder = std::env::temp_dir().join(format!("bench-panel-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let arrivals = Arrivals::default();
        let service = service(Arc::clone(&arrivals));
        let path = |name: &str| folder.join(name).display().to_string();
        microphone(&folder.join("mic.wav"));
        std::fs::write(path("config.toml"), "").unwrap();
        let sets = [
            format!("grok.url=ws://{service}/v1/realtime"),
            format!("audio.input=file:{}", path("mic.wav")),
            "audio.output=null".to_owned(),
            "turn.mode=open".to_owned(),
            "turn.gate=always".to_owned(),
            "speech.echo_cancellation=off".to_owned(),
            "panel.listen=127.0.0.1:0".to_owned(),
            "panel.max_connections=250".to_owned(),
            "panel.max_per_address=250".to_owned(),
            "panel.max_per_session=250".to_owned(),
            format!("state.directory={}", path("state")),
            format!("control.socket={}", path("control.sock")),
            "log.level=warn".to_owned(),
        ];
        let mut command = Command::new(BINARY);
        command.args(["run", "--config", &path("config.toml")]).env("XAI_API_KEY", "bench");
        sets.iter().for_each(|set| {
            command.args(["--set", set]);
        });
        let child = command.stdin(Stdio::null()).spawn().unwrap();
        let control = format!("control.socket={}", path("control.sock"));
        let status: Value = serde_json::from_str(&ask(&["status", "--json"], &control)).unwrap();
        let url = status["panel"].as_str().unwrap().trim_end_matches('/');
        let port = url.rsplit(':').next().unwrap().parse().unwrap();
        let panel = SocketAddr::from(([127, 0, 0, 1], port));
        let (cookie, csrf) = pair(panel, ask(&["pair"], &control).trim());
        pause(Duration::from_secs(2));
        Self { panel, cookie, csrf, child, folder, arrivals }
    }

    /// How much later than its rhythm allows the 99th of 100 messages comes, in milliseconds. The
    /// rhythm is the line below all arrivals.
    pub(crate) fn late(&self, span: Duration) -> f64 {
        self.arrivals.lock().unwrap().clear();
        pause(span);
        let arrivals = self.arrivals.lock().unwrap();
        let first = arrivals[0];
        let mut late: Vec<f64> = arrivals
            .iter()
            .enumerate()
            .map(|(n, at)| (at.duration_since(first).as_secs_f64() - n as f64 * CHUNK) * 1e3)
            .collect();
        let expected = span.as_secs_f64() / CHUNK;
        assert!(late.len() as f64 > expected * 0.9, "{} of {expected} messages", late.len());
        late.sort_by(f64::total_cmp);
        late[late.len() * 99 / 100] - late[0]
    }

    /// Nanoseconds the panel's thread has been on a processor.
    pub(crate) fn spent(&self) -> f64 {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        let read = |task: &std::fs::DirEntry, file: &str| {
            std::fs::read_to_string(task.path().join(file)).unwrap_or_default()
        };
        let mut all = tasks.filter_map(Result::ok);
        let panel = all.find(|task| read(task, "comm").trim() == "panel").unwrap();
        read(&panel, "schedstat").split(' ').next().unwrap().parse().unwrap()
    }
}

/// What a command says once the daemon answers it.
fn ask(arguments: &[&str], control: &str) -> String {
    for _ in 0..100 {
        let out = Command::new(BINARY).args(arguments).args(["--set", control]).output().unwrap();
        if out.status.success() {
            return String::from_utf8(out.stdout).unwrap();
        }
        pause(Duration::from_millis(50));
    }
    panic!("the speaker does not answer");
}

/// Five minutes of a quiet tone.
fn microphone(path: &Path) {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: 16_000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut file = hound::WavWriter::create(path, spec).unwrap();
    for n in 0..16_000 * 300 {
        file.write_sample(if n % 40 < 20 { 300i16 } else { -300 }).unwrap();
    }
    file.finalize().unwrap();
}

/// Keeps when sound came, and says a reply that does not end.
fn service(arrivals: Arrivals) -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    thread("service", move || {
        runtime().block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            loop {
                let (tcp, _) = listener.accept().await.unwrap();
                tcp.set_nodelay(true).unwrap();
                let ws = tokio_tungstenite::accept_async(tcp).await.unwrap();
                talk(ws, &arrivals).await;
            }
        });
    });
    address
}

async fn talk<S>(mut ws: tokio_tungstenite::WebSocketStream<S>, arrivals: &Arrivals)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let say = |event: Value| Message::text(event.to_string());
    let created = json!({"type": "session.created", "session": {"id": "sess_bench"}});
    let _ = ws.send(say(created)).await;
    let mut delta = tokio::time::interval(DELTA);
    let sound = STANDARD.encode([0x10, 0x03].repeat(2400));
    let mut talks = false;
    loop {
        tokio::select! {
            message = ws.next() => {
                let Some(Ok(message)) = message else { return };
                let at = now();
                let Message::Text(text) = message else { continue };
                if text.starts_with("{\"type\":\"input_audio_buffer.append\"") {
                    arrivals.lock().unwrap().push(at);
                } else if text.contains("\"session.update\"") {
                    let mut event: Value = serde_json::from_str(&text).unwrap();
                    event["type"] = "session.updated".into();
                    let line = json!({"id": "item_1", "object": "realtime.item", "type": "message",
                        "role": "assistant", "status": "in_progress", "content": []});
                    let spoken = json!({"id": "user_1", "object": "realtime.item",
                        "type": "message", "role": "user", "content": [{"type": "input_audio"}]});
                    for event in [
                        event,
                        json!({"type": "input_audio_buffer.speech_started", "item_id": "user_1"}),
                        json!({"type": "conversation.item.added", "item": spoken}),
                        json!({"type": "input_audio_buffer.speech_stopped", "item_id": "user_1"}),
                        json!({"type": "input_audio_buffer.committed", "item_id": "user_1"}),
                        json!({"type": "response.created", "response":
                            {"id": "resp_1", "status": "in_progress", "output": []}}),
                        json!({"type": "response.output_item.added", "response_id": "resp_1",
                            "item": line}),
                        json!({"type": "conversation.item.added", "item": line}),
                    ] {
                        let _ = ws.send(say(event)).await;
                    }
                    talks = true;
                }
            }
            _ = delta.tick(), if talks => {
                let _ = ws.send(say(json!({"type": "response.output_audio.delta",
                    "response_id": "resp_1", "item_id": "item_1", "output_index": 0,
                    "content_index": 0, "delta": sound}))).await;
            }
        }
    }
}
