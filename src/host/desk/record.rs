//! A few seconds of the microphone for who sets it up, before and after the front end.
//!
//! What is recorded goes to the panel that asked and nowhere else: while a tape runs, the front end
//! hands on silence. It is held in memory for a minute and never written.

use super::Desk;
use crate::base::event::Scene;
use crate::base::pcm::BLOCK_RATE;
use crate::base::unit::Db;
use crate::panel::ask::refusal;
use crate::panel::errand::{Asker, Outcome};
use crate::panel::event::Refusal;
use crate::panel::trust::TokenHash;
use crate::speech::tape::{Shelf, Tape};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::task::JoinSet;

/// Between two looks at a recording under way: what a mute may be behind.
const LOOK: Duration = Duration::from_millis(50);
/// A microphone that is this much late delivers nothing.
const LATE: Duration = Duration::from_secs(2);
/// How long a recording is held: a page fetches it at once.
const HELD: Duration = Duration::from_secs(60);
/// Bytes of sound in one answer: with base64 half of what a client may be owed at a time.
const PART: usize = 24 * 1024;
/// A 16-bit sample from here on is as large as they get.
const FULL_SCALE: u16 = 32_767;

/// Records, and holds the last recording.
#[derive(Debug)]
pub struct Booth {
    shelf: tokio::sync::Mutex<Shelf>,
    last: Arc<Mutex<Last>>,
}

#[derive(Debug, Default)]
struct Last {
    id: u64,
    held: Option<Held>,
    /// Forgets it in time.
    expiry: JoinSet<()>,
}

/// A recording that waits to be fetched by who made it.
#[derive(Debug)]
struct Held {
    owner: TokenHash,
    bytes: Vec<u8>,
}

/// Ends the recording of an errand that was given up.
pub(super) struct Running<'a>(tokio::sync::MutexGuard<'a, Shelf>);

impl Running<'_> {
    /// The tape, when it is full: in so long, or a little more.
    pub(super) async fn end(&mut self, desk: &Desk, span: Duration) -> Result<Tape, Refusal> {
        let end = (desk.clock)() + span + LATE;
        loop {
            tokio::time::sleep(LOOK).await;
            if let Some(tape) = self.0.fetch() {
                return Ok(tape);
            }
            allowed(desk)?;
            if (desk.clock)() > end {
                return Err(refusal("deaf", "The microphone delivers no sound."));
            }
        }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.stop();
    }
}

impl Booth {
    /// With the other end of the front end's deck.
    pub fn new(shelf: Shelf) -> Self {
        Self { shelf: tokio::sync::Mutex::new(shelf), last: Arc::default() }
    }

    /// Records, and says how it came out.
    pub(super) async fn record(&self, desk: &Desk, asker: Asker, seconds: u8) -> Outcome {
        self.last().held = None;
        let tape = Tape::new(usize::from(seconds) * BLOCK_RATE.0 as usize);
        let mut running = self.begin(desk, tape)?;
        let tape = running.end(desk, Duration::from_secs(u64::from(seconds))).await?;
        Ok(self.hold(asker, &tape, HELD))
    }

    /// Puts a tape in, when the microphone is free.
    pub(super) fn begin(&self, desk: &Desk, tape: Tape) -> Result<Running<'_>, Refusal> {
        let busy = || refusal("busy", "Another recording is under way.");
        let mut running = Running(self.shelf.try_lock().map_err(|_| busy())?);
        allowed(desk)?;
        if running.0.start(tape) { Ok(running) } else { Err(busy()) }
    }

    fn hold(&self, asker: Asker, tape: &Tape, limit: Duration) -> Value {
        let both = tape.before.iter().chain(&tape.after);
        let bytes: Vec<u8> = both.flat_map(|s| s.to_le_bytes()).collect();
        let parts = bytes.len().div_ceil(PART);
        let mut last = self.last();
        last.id += 1;
        let id = last.id;
        last.held = Some(Held { owner: asker.session, bytes });
        let notes = Arc::clone(&self.last);
        // The one for the recording before ends with it.
        last.expiry = JoinSet::new();
        last.expiry.spawn(async move {
            tokio::time::sleep(limit).await;
            let mut last = lock(&notes);
            if last.id == id {
                last.held = None;
            }
        });
        let after = side(&tape.after);
        let mut before = side(&tape.before);
        // The card's own count, over all its channels and before any filter.
        before["clipped"] = tape.clipped.into();
        json!({
            "id": id,
            "rate": BLOCK_RATE.0,
            "samples": tape.before.len(),
            "parts": parts,
            "before": before,
            "after": after,
        })
    }

    /// A part of the recording, for who made it; with the last one it is forgotten.
    pub(super) fn part(&self, asker: Asker, id: u64, part: usize) -> Outcome {
        let mut last = self.last();
        let current = last.id == id;
        let held = last.held.as_ref().filter(|held| current && held.owner == asker.session);
        let found = held.and_then(|held| {
            let mut parts = held.bytes.chunks(PART).skip(part);
            parts.next().map(|bytes| (BASE64_STANDARD.encode(bytes), parts.next().is_none()))
        });
        let (pcm, is_last) =
            found.ok_or_else(|| refusal("gone", "The recording is not there any more."))?;
        if is_last {
            last.held = None;
        }
        Ok(json!({"pcm": pcm}))
    }

    fn last(&self) -> MutexGuard<'_, Last> {
        lock(&self.last)
    }
}

fn lock(last: &Mutex<Last>) -> MutexGuard<'_, Last> {
    last.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Not while muted, and not while somebody talks with the speaker: they are heard first.
fn allowed(desk: &Desk) -> Result<(), Refusal> {
    let seen = desk.records.vitals.glance();
    if seen.muted {
        return Err(refusal("muted", "The microphone is off."));
    }
    match seen.scene {
        Scene::Listening | Scene::Thinking => {
            Err(refusal("busy", "Somebody is talking with the speaker."))
        }
        Scene::Asleep
        | Scene::Speaking
        | Scene::Lingering
        | Scene::Muted
        | Scene::Offline
        | Scene::Error => Ok(()),
    }
}

/// How loud a side is.
fn side(samples: &[i16]) -> Value {
    let square = |s: &i16| f64::from(*s).powi(2);
    let power = samples.iter().map(square).sum::<f64>() / samples.len().max(1) as f64;
    let peak = samples.iter().map(|s| s.unsigned_abs()).max().unwrap_or(0);
    let full = f32::from(i16::MAX);
    let level = Db::from_power(power as f32 / full.powi(2));
    let peak_level = Db::from_power((f32::from(peak) / full).powi(2));
    let clipped = samples.iter().filter(|s| s.unsigned_abs() >= FULL_SCALE).count();
    json!({"level_dbfs": tenth(level), "peak_dbfs": tenth(peak_level), "clipped": clipped})
}

fn tenth(level: Db) -> f64 {
    (f64::from(level.0) * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::panel::trust::Role;
    use crate::speech::tape::tape;

    fn asker(token: u8) -> Asker {
        Asker { session: TokenHash([token; 32]), role: Role::Admin, secure: true }
    }

    #[tokio::test]
    async fn a_recording_is_fetched_once_by_its_maker_and_forgotten_in_time() {
        let booth = Booth::new(tape().1);
        let (maker, other) = (asker(1), asker(2));
        let mut full = Tape::new(48_000);
        full.before = (0..48_000).map(|i| (i % 1000) as i16).collect();
        full.after = vec![i16::MIN; 48_000];
        full.clipped = 7;
        let told = booth.hold(maker, &full, HELD);
        assert_eq!((&told["parts"], &told["samples"]), (&json!(8), &json!(48_000)));
        assert_eq!(
            (&told["before"]["clipped"], &told["after"]["clipped"]),
            (&json!(7), &json!(48_000))
        );
        assert_eq!(told["after"]["peak_dbfs"], 0.0);
        let id = told["id"].as_u64().unwrap();
        assert_eq!(booth.part(other, id, 0).unwrap_err().code, "gone");
        assert_eq!(booth.part(maker, id, 8).unwrap_err().code, "gone");
        let mut bytes = Vec::new();
        for part in 0..8 {
            let answer = booth.part(maker, id, part).unwrap();
            bytes.extend(BASE64_STANDARD.decode(answer["pcm"].as_str().unwrap()).unwrap());
        }
        assert_eq!(bytes.len(), 2 * 2 * 48_000);
        assert_eq!((bytes[2], bytes[96_000..96_002].to_vec()), (1, vec![0, 0x80]));
        assert_eq!(booth.part(maker, id, 0).unwrap_err().code, "gone", "fetched");

        let id = booth.hold(maker, &full, LOOK)["id"].as_u64().unwrap();
        assert!(booth.part(maker, id, 0).is_ok());
        tokio::time::sleep(LOOK * 4).await;
        assert_eq!(booth.part(maker, id, 1).unwrap_err().code, "gone", "too late");
    }
}
