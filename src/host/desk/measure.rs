//! Measures the cards while they are at work: a soft sweep is played, and what both sides delivered of it
//! is judged, kept for these cards and used from then on.
//!
//! Of what the microphone hears meanwhile nothing goes on, and it is forgotten when it was judged.

use super::{Desk, Order};
use crate::base::pcm::BLOCK_RATE;
use crate::base::unit::{Db, Volume};
use crate::config::Config;
use crate::host::lore::{Calibration, Pair, delay};
use crate::host::measure::{AFTER, BEFORE};
use crate::host::store::Store;
use crate::panel::ask::refusal;
use crate::panel::errand::Outcome;
use crate::panel::event::Refusal;
use crate::speech::Known;
use crate::speech::calibration::{Verdict, judge, measure};
use crate::speech::tape::Tape;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// The sweep is 1.5 s long, and a speaker that rested may take half a second to begin.
const SWEEP: Duration = Duration::from_secs(2);

/// Measures, keeps what came of it, and says it.
pub(super) async fn run(desk: &Desk) -> Outcome {
    let no_room = || refusal("no_card", "Only sound cards are in a room, and one side is none.");
    let pair = Pair::of(&desk.cards.now()).ok_or_else(no_room)?;
    let span = BEFORE + SWEEP + AFTER;
    let samples = span.as_millis() as usize * BLOCK_RATE.0 as usize / 1000;
    let mut running = desk.booth.begin(desk, Tape::of_both_sides(samples))?;
    tokio::time::sleep(BEFORE).await;
    let volume = sweep(desk).await?;
    let tape = running.end(desk, span).await?;
    drop(running);
    let (config, store) = (desk.config.clone(), Arc::clone(&desk.store));
    // It takes a second of a small board, and this thread serves all panels.
    let judged = tokio::task::spawn_blocking(move || judged(&tape, &pair, volume, &config, &store));
    let failed = |_| refusal("failed", "The measurement failed.");
    let (told, found) = judged.await.map_err(failed)??;
    if let Some(order) = found {
        desk.order(order)?;
    }
    Ok(told)
}

async fn sweep(desk: &Desk) -> Result<Volume, Refusal> {
    let (reply, answer) = oneshot::channel();
    desk.order(Order::Sweep(reply))?;
    answer.await.unwrap_or_else(|_| Err(refusal("busy", "the speaker is stopping")))
}

/// What to tell, and what is known now.
fn judged(
    tape: &Tape,
    pair: &Pair,
    volume: Volume,
    config: &Config,
    store: &Store,
) -> Result<(serde_json::Value, Option<Order>), Refusal> {
    let deaf = || refusal("deaf", "The cards delivered no sound.");
    let sides = tape.sides.as_ref().ok_or_else(deaf)?;
    if sides.has_gaps() {
        return Err(refusal(
            "gaps",
            "Sound was lost on the way: the machine was too busy. Try again.",
        ));
    }
    let (near, far) = sides.recordings();
    let (measured, path) = measure(config.speech.channel, &near, &far).ok_or_else(deaf)?;
    let volume = Db::from_power(volume.gain().0.powi(2));
    let Verdict { duplex, words, wrong } = judge(&measured, volume);
    let told = json!({
        "duplex": duplex,
        "delay_ms": tenth(measured.delay_ms),
        "echo_db": tenth(measured.echo_db),
        "noise_dbfs": tenth(measured.noise_dbfs),
        "harmonics_db": tenth(measured.bent_db),
        "clipped": measured.clipped,
        "channels": measured.channels,
        "words": words,
        "wrong": wrong,
    });
    let Some(duplex) = duplex else { return Ok((told, None)) };
    let calibration = Calibration { pair: pair.clone(), volume, measured };
    pair.save(store, &calibration, &path).map_err(|e| refusal("failed", e.to_string()))?;
    let known = Known { delay: delay(&calibration), path: Some(path) };
    Ok((told, Some(Order::Measured(Box::new(known), duplex))))
}

fn tenth(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}
