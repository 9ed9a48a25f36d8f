//! What the device can do for the model: volume, being quiet, the time, where its panel is.

use super::{Settings, Wall};
use crate::base::unit::{Moment, Volume};
use serde_json::{Value, json};
use std::collections::VecDeque;

/// Calls that are remembered, so that each runs once.
const CALLS: usize = 64;

/// What a call changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    /// Nothing.
    Nothing,
    /// How loud it is.
    Volume(Volume),
    /// The reply ends here.
    Quiet,
}

/// What calls are answered from.
pub(super) struct Around<'a> {
    pub(super) settings: &'a Settings,
    /// Where a browser finds the panel.
    pub(super) place: &'a [String],
    pub(super) wall: Option<(Wall, Moment)>,
    pub(super) now: Moment,
}

/// The functions as the service wants them declared.
pub(super) fn declared() -> Value {
    let none = json!({"type": "object", "properties": {}});
    json!([
        {
            "type": "function",
            "name": "set_volume",
            "description": "Sets how loud this speaker is, in percent from 0 (silent) to 100.",
            "parameters": {
                "type": "object",
                "properties": {"percent": {"type": "integer", "minimum": 0, "maximum": 100}},
                "required": ["percent"],
            },
        },
        {
            "type": "function",
            "name": "get_volume",
            "description": "Tells how loud this speaker is, in percent.",
            "parameters": none,
        },
        {
            "type": "function",
            "name": "stop_speaking",
            "description": "Makes this speaker silent at once. Use it when the person wants quiet.",
            "parameters": none,
        },
        {
            "type": "function",
            "name": "current_time",
            "description": "Tells the local date and time at this speaker.",
            "parameters": none,
        },
        {
            "type": "function",
            "name": "panel_address",
            "description": "Tells where a browser in the same network finds this speaker's own page.",
            "parameters": none,
        },
    ])
}

/// Runs a call: what to answer and what to do. `None` for a function that was not declared: it is
/// the service's own (Q8).
pub(super) fn run(name: &str, arguments: &str, around: &Around<'_>) -> Option<(Value, Effect)> {
    const KNOWN: [&str; 5] =
        ["set_volume", "get_volume", "stop_speaking", "current_time", "panel_address"];
    if !KNOWN.contains(&name) {
        return None;
    }
    let blank = arguments.trim().is_empty();
    let arguments = match serde_json::from_str::<Value>(if blank { "{}" } else { arguments }) {
        Ok(Value::Object(fields)) => fields,
        Ok(_) | Err(_) => {
            return Some((
                json!({"error": "the arguments are not a JSON object"}),
                Effect::Nothing,
            ));
        }
    };
    let percent = around.settings.volume.percent();
    Some(match name {
        "set_volume" => match volume(arguments.get("percent")) {
            Some(volume) => {
                (json!({"ok": true, "percent": volume.percent()}), Effect::Volume(volume))
            }
            None => (
                json!({"error": "percent must be a number from 0 to 100", "percent": percent}),
                Effect::Nothing,
            ),
        },
        "get_volume" => (json!({"percent": percent}), Effect::Nothing),
        "stop_speaking" => (json!({"ok": true}), Effect::Quiet),
        "panel_address" => (address(around.place), Effect::Nothing),
        _ => (time(around.wall, around.now), Effect::Nothing),
    })
}

fn volume(value: Option<&Value>) -> Option<Volume> {
    let number = value?.as_f64().or_else(|| value?.as_str()?.trim().parse().ok())?;
    if !(0.0..=100.0).contains(&number) {
        return None;
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked to be within 0..=100 before"
    )]
    Volume::new(number.round() as u8)
}

fn address(place: &[String]) -> Value {
    match place.split_first() {
        Some((first, [])) => json!({"address": first}),
        Some((first, others)) => json!({"address": first, "others": others}),
        None => json!({"error": "this speaker has no page: panel.listen is off"}),
    }
}

fn time(wall: Option<(Wall, Moment)>, now: Moment) -> Value {
    let told = wall.and_then(|(wall, at)| {
        let elapsed = i64::try_from((now - at).as_secs()).ok()?;
        let stamp = jiff::Timestamp::from_second(wall.unix.checked_add(elapsed)?).ok()?;
        let offset = jiff::tz::Offset::from_seconds(wall.offset).ok()?;
        let local = offset.to_datetime(stamp);
        Some(json!({
            "time": local.strftime("%H:%M").to_string(),
            "date": local.strftime("%A, %-d %B %Y").to_string(),
        }))
    });
    told.unwrap_or_else(|| json!({"error": "the clock of this speaker is not set"}))
}

/// Which calls ran, and whether the model waits for us.
#[derive(Debug, Default)]
pub(super) struct Calls {
    ran: VecDeque<String>,
    /// Outputs were sent, a reply to them is to be asked for.
    pub(super) reply_due: bool,
}

impl Calls {
    /// Whether this call is new; remembers it.
    pub(super) fn first(&mut self, call_id: &str) -> bool {
        if self.ran.iter().any(|id| id == call_id) {
            return false;
        }
        if self.ran.len() == CALLS {
            self.ran.pop_front();
        }
        self.ran.push_back(call_id.to_owned());
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        Settings { volume: Volume::new(60).unwrap(), muted: false, spent: Default::default() }
    }

    /// Where nothing is known.
    fn blind(settings: &Settings) -> Around<'_> {
        Around { settings, place: &[], wall: None, now: Moment::ZERO }
    }

    fn ran(name: &str, arguments: &str) -> (String, Effect) {
        let wall = Wall { unix: 1_795_550_400, offset: 3600 };
        let place = ["http://kitchen.local/", "http://192.168.1.7/"].map(str::to_owned);
        let around = Around {
            settings: &settings(),
            place: &place,
            wall: Some((wall, Moment::ZERO)),
            now: Moment::from_millis(61_000),
        };
        let (output, effect) = run(name, arguments, &around).unwrap();
        (output.to_string(), effect)
    }

    #[test]
    fn calls_do_what_they_say() {
        assert_eq!(ran("get_volume", "").0, r#"{"percent":60}"#);
        assert_eq!(
            ran("set_volume", r#"{"percent":30}"#),
            (r#"{"ok":true,"percent":30}"#.into(), Effect::Volume(Volume::new(30).unwrap()))
        );
        assert_eq!(
            ran("set_volume", r#"{"percent":"30"}"#).1,
            ran("set_volume", r#"{"percent":30}"#).1
        );
        assert_eq!(ran("stop_speaking", "{}").1, Effect::Quiet);
        assert_eq!(
            ran("current_time", "{}").0,
            r#"{"date":"Tuesday, 24 November 2026","time":"21:01"}"#
        );
        assert_eq!(
            ran("panel_address", "").0,
            r#"{"address":"http://kitchen.local/","others":["http://192.168.1.7/"]}"#
        );
    }

    #[test]
    fn what_cannot_be_done_is_said() {
        for bad in ["{", "7", "[]", r#"{"percent":101}"#, r#"{"percent":null}"#, "{}"] {
            let (output, effect) = ran("set_volume", bad);
            assert!(output.contains("error") && effect == Effect::Nothing, "{bad}");
        }
        let settings = settings();
        for (name, words) in [("current_time", "not set"), ("panel_address", "off")] {
            let (output, _) = run(name, "{}", &blind(&settings)).unwrap();
            assert!(output.to_string().contains(words));
        }
        assert!(run("x_keyword_search", "{}", &blind(&settings)).is_none());
    }

    #[test]
    fn each_call_runs_once_and_memory_is_bounded() {
        let mut calls = Calls::default();
        assert!(calls.first("a") && !calls.first("a"));
        (0..1000).for_each(|i| assert!(calls.first(&i.to_string())));
        assert_eq!(calls.ran.len(), CALLS);
    }

    /// A39: whatever a reply was talked into, it cannot do what people at a panel may.
    #[test]
    fn nothing_a_panel_may_ask_is_a_function() {
        use crate::panel::event::name;
        let wanted = [name::SETTINGS, name::LISTEN, name::INSPECT, name::MUTE, name::TEXT];
        let plain = wanted.map(|name| name.trim_start_matches("grok-voice:"));
        for name in wanted.into_iter().chain(plain).chain(["pair", "set_role", "set_key"]) {
            assert!(run(name, "{}", &blind(&settings())).is_none(), "{name}");
        }
    }
}
