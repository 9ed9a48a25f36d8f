//! The panel on a thread of its own, fed by the bench.

use crate::crowd::News;
use crate::{now, runtime, thread};
use grok_speaker::base::event::Tag;
use grok_speaker::base::pulse::Pulse;
use grok_speaker::base::unit::{Moment, Rate};
use grok_speaker::panel::event::{Audio, Event, Tick};
use grok_speaker::panel::trust::Role;
use grok_speaker::panel::{self, Options, Trust, Wires};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::{Sender, channel};

pub(crate) const NAME: &str = "bench-panel";

pub(crate) struct House {
    pub(crate) address: SocketAddr,
    pub(crate) cookie: String,
    pub(crate) csrf: String,
    events: Sender<Event>,
    trust: Trust,
    stop: Arc<Pulse>,
}

impl Drop for House {
    fn drop(&mut self) {
        self.stop.stop();
    }
}

impl House {
    pub(crate) fn start(clients: usize) -> Self {
        let options = Options {
            listen: Some(SocketAddr::from(([127, 0, 0, 1], 0))),
            max_connections: clients + 10,
            max_per_address: clients + 10,
            max_per_session: clients,
            // Nothing is written there.
            state_dir: "/proc/nowhere".into(),
            ..Options::default()
        };
        let trust = Trust::open(&options.state_dir, Arc::new(|| 0));
        let listener = panel::bind(&options).unwrap();
        let address = listener.address().unwrap();
        let code = trust.open_window(Role::Admin, Moment::ZERO).to_string();
        let (events, incoming) = channel(1024);
        let (requests, _ignored) = channel(64);
        let start = now();
        let wires = Wires {
            events: incoming,
            requests,
            desk: Arc::new(|_, _| Box::pin(async { Ok(serde_json::Value::Null) })),
            health: Arc::new(|| Ok(())),
            metrics: Arc::new(String::new),
            clock: Arc::new(move || {
                Moment::from_micros(u64::try_from(start.elapsed().as_micros()).unwrap())
            }),
        };
        let (stop, theirs) = (Arc::new(Pulse::default()), trust.clone());
        let stopped = Arc::clone(&stop);
        thread(NAME, move || {
            runtime().block_on(panel::serve(options, listener, theirs, wires, stopped)).unwrap();
        });
        let (cookie, csrf) = pair(address, &code);
        Self { address, cookie, csrf, events, trust, stop }
    }

    pub(crate) fn clients(&self) -> usize {
        self.trust.clients()
    }

    pub(crate) fn tell(&self, news: News, n: u32) {
        self.events.try_send(event(news, f64::from(n) * 0.01)).unwrap();
    }
}

fn event(news: News, t: f64) -> Event {
    match news {
        News::Sound => Event::Audio(Audio {
            item: "bench".to_owned(),
            tag: Tag(1),
            rate: Rate(24_000),
            pcm: vec![1000; 480],
            to: None,
        }),
        News::Meters => Event::Tick(Tick {
            t,
            mic_dbfs: -41.25,
            clipped: 0,
            speaker_dbfs: -18.5,
            speech: 0.5,
            erle_db: 21.75,
        }),
    }
}

/// Pairs as the page does.
pub(crate) fn pair(address: SocketAddr, code: &str) -> (String, String) {
    let body = format!("{{\"code\":\"{code}\",\"name\":\"bench\"}}");
    let mut tcp = TcpStream::connect(address).unwrap();
    tcp.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let head = format!(
        "POST /api/pair HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    tcp.write_all((head + &body).as_bytes()).unwrap();
    let mut answer = String::new();
    tcp.read_to_string(&mut answer).unwrap();
    let cookie = answer.lines().find_map(|line| line.strip_prefix("set-cookie: "));
    let cookie = cookie.unwrap().split(';').next().unwrap().to_owned();
    let csrf = answer.split("\"csrf\":\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    (cookie, csrf)
}
