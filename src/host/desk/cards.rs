//! The sound cards there are, and which of them are used.

use super::Desk;
use crate::audio::{Card, Device, Options, drive};
use crate::base::event::Side;
use crate::panel::ask::refusal;
use crate::panel::errand::Outcome;
use serde_json::{Value, json};
use std::sync::{Mutex, PoisonError};

/// Cards are opened for a moment to see what they can do: two who look at once would take each other for
/// the holder.
static LOOKING: Mutex<()> = Mutex::new(());

/// All of them. Opening takes its time, and this thread serves all panels.
pub(super) async fn list(desk: &Desk) -> Outcome {
    let audio = desk.cards.now();
    let devices = [audio.input.clone(), audio.output.clone()];
    let look = tokio::task::spawn_blocking(move || {
        let _one = LOOKING.lock().unwrap_or_else(PoisonError::into_inner);
        let names = [name(&audio, Side::Capture), name(&audio, Side::Playout)];
        (names, drive::cards())
    });
    let ([input_name, output_name], cards) =
        look.await.map_err(|_| refusal("failed", "The cards cannot be looked at."))?;
    let [input, output] = desk.records.vitals.glance().cards;
    Ok(json!({
        "input": used(&devices[0], input_name, input),
        "output": used(&devices[1], output_name, output),
        "cards": cards.iter().map(|card| shown(card, std::process::id())).collect::<Vec<_>>(),
    }))
}

/// What one side uses: the setting, its card's name where it is one, and what was opened.
fn used(device: &Device, name: Option<String>, words: Option<String>) -> Value {
    json!({"setting": device.to_string(), "name": name, "open": words})
}

fn name(audio: &Options, side: Side) -> Option<String> {
    let device = match side {
        Side::Capture => &audio.input,
        Side::Playout => &audio.output,
    };
    match device {
        Device::Default | Device::Named(_) => Some(drive::stable_name(audio, device, side)),
        Device::File(_) | Device::Null => None,
    }
}

/// A card with its sides; one that is held by ourselves is ours.
fn shown(card: &Card, own: u32) -> Value {
    let own = format!("(pid {own})");
    let sides: Vec<Value> = card
        .sides
        .iter()
        .map(|facts| {
            let ours = facts.holder.as_ref().is_some_and(|holder| holder.ends_with(&own));
            json!({
                "side": facts.side,
                "channels": facts.channels.map(|(_, most)| most),
                "rates": facts.rates,
                "holder": facts.holder.as_ref().filter(|_| !ours),
                "ours": ours,
            })
        })
        .collect();
    json!({"name": card.name, "description": card.description, "sides": sides})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::Facts;

    #[test]
    fn a_card_says_who_holds_it_and_whether_that_is_us() {
        let side = |side, holder: Option<&str>| Facts {
            side,
            channels: Some((1, 2)),
            rates: vec![48_000],
            formats: vec!["S16_LE".into()],
            holder: holder.map(str::to_owned),
        };
        let sides = vec![
            side(Side::Capture, Some("grok-speaker (pid 42)")),
            side(Side::Playout, Some("mpd (pid 142)")),
        ];
        let card = Card { name: "Device".into(), description: "USB Audio".into(), sides };
        let shown = shown(&card, 42);
        let [ours, theirs] = [&shown["sides"][0], &shown["sides"][1]];
        assert_eq!((&ours["ours"], &ours["holder"]), (&json!(true), &Value::Null));
        assert_eq!((&theirs["ours"], &theirs["holder"]), (&json!(false), &json!("mpd (pid 142)")));
        assert_eq!(theirs["channels"], 2);
    }
}
