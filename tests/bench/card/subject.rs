//! Who is measured: the daemon or a bridge. Both by the same witnesses and in the same way.

use crate::card::{Card, Witness, between, bytes, click, tone};
use crate::service::Service;
use crate::work::{Work, tree, work};
use crate::{measuring, now, pause};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Rate of the speech the service sends.
const SPEECH: f64 = 24_000.0;
/// Length of a reply that is a click and then silence: longer than the half second that `aplay`
/// gathers before it begins.
const REPLY_S: f64 = 0.7;
/// Milliseconds of sound in a delta.
const DELTA_BYTES: usize = 9600;

/// A process that listens to the card, talks to the service, and plays.
pub(crate) struct Subject {
    child: Child,
    listener: Child,
    began: Instant,
    opened: Arc<Mutex<Option<Instant>>>,
}

impl Subject {
    /// Starts it; the service has heard nothing of it before.
    pub(crate) fn start(mut command: Command, card: &Card, service: &Service) -> Self {
        let opened = Arc::new(Mutex::new(None));
        let listener = listen(card, &opened);
        // Also what is left of whoever was measured before is gone then.
        pause(Duration::from_millis(300));
        service.forget();
        *opened.lock().unwrap() = None;
        let began = now();
        let child = command.stdout(Stdio::null()).stderr(Stdio::inherit()).spawn().unwrap();
        Self { child, listener, began, opened }
    }

    /// Milliseconds from exec to the open microphone, and to the first append at the service.
    pub(crate) fn start_times(&self, service: &Service) -> (f64, f64) {
        for _ in 0..200 {
            pause(Duration::from_millis(50));
            let opened = *self.opened.lock().unwrap();
            if let (Some(open), Some(append)) = (opened, service.first_append()) {
                let ms = |t: Instant| (t - self.began).as_secs_f64() * 1000.0;
                return (ms(open), ms(append));
            }
        }
        panic!("nothing was sent within 10 s");
    }

    /// What it takes to listen.
    pub(crate) fn listening(&self, span: Duration) -> Work {
        work(self.child.id(), span)
    }

    /// What it takes to talk at the same time; and how often the tone that is said was broken.
    pub(crate) fn talking(&self, card: &Card, service: &Service, span: Duration) -> (Work, usize) {
        let witness = Witness::of(card, "speaker");
        let long = bytes(&tone(SPEECH, span.as_secs_f64() + 4.0));
        service.reply(&long.chunks(DELTA_BYTES).map(<[u8]>::to_vec).collect::<Vec<_>>());
        pause(Duration::from_secs(1));
        let work = work(self.child.id(), span);
        (work, witness.end().gaps)
    }

    /// A click in the microphone to the message that carries its first sample.
    pub(crate) fn microphone_to_service(
        &self,
        card: &Card,
        service: &Service,
        count: usize,
    ) -> Vec<f64> {
        let witness = Witness::of(card, "voice");
        service.forget();
        card.click(count);
        pause(Duration::from_millis(800));
        let truth = witness.end();
        let spoken = truth.spoken();
        let from: Vec<Instant> = truth.sounds.iter().map(|s| spoken(s.0)).collect();
        between(&from, &service.clicks())
    }

    /// The first delta of a reply, as it is handed to the socket, to its sound.
    pub(crate) fn service_to_ear(&self, card: &Card, service: &Service, count: usize) -> Vec<f64> {
        let witness = Witness::of(card, "speaker");
        let mut from = Vec::new();
        let mut sound = click(SPEECH);
        sound.resize((SPEECH * REPLY_S) as usize, 0);
        for i in 0..count {
            from.push(service.reply(&[bytes(&sound)]));
            pause(Duration::from_millis(400 + (i as u64 * 7) % 20));
        }
        let truth = witness.end();
        let played = truth.played();
        let to: Vec<Instant> = truth.sounds.iter().map(|s| played(s.0)).collect();
        between(&from, &to)
    }

    /// `speech_started`, as it is handed to the socket, to the last sound of a reply.
    pub(crate) fn started_to_silence(
        &self,
        card: &Card,
        service: &Service,
        count: usize,
    ) -> Vec<f64> {
        let witness = Witness::of(card, "speaker");
        let mut from = Vec::new();
        let sound = bytes(&tone(SPEECH, 3.0));
        let deltas: Vec<Vec<u8>> = sound.chunks(DELTA_BYTES).map(<[u8]>::to_vec).collect();
        for i in 0..count {
            service.reply(&deltas);
            pause(Duration::from_millis(400 + (i as u64 * 7) % 20));
            from.push(service.interrupt());
            pause(Duration::from_millis(300));
        }
        let truth = witness.end();
        let played = truth.played();
        let to: Vec<Instant> = truth.sounds.iter().map(|s| played(s.1)).collect();
        between(&from, &to)
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        for process in tree(self.child.id()) {
            let id = i32::try_from(process).unwrap();
            let _ = kill(Pid::from_raw(id), Signal::SIGKILL);
        }
        let _ = self.child.wait();
        let _ = self.listener.kill();
        let _ = self.listener.wait();
    }
}

/// Notes when a recording begins on the card.
fn listen(card: &Card, opened: &Arc<Mutex<Option<Instant>>>) -> Child {
    let mut child = card.command("pactl").arg("subscribe").stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let opened = opened.clone();
    measuring(move || {
        for line in lines.map_while(Result::ok) {
            if line.contains("'new' on source-output") {
                opened.lock().unwrap().get_or_insert_with(now);
            }
        }
    });
    child
}
