//! The `check` and `devices` commands: what works on this device, one line each.

use crate::audio::{Facts, Options, drive};
use crate::base::event::{Dial, Link, Side};
use crate::base::secret::Secret;
use crate::base::unit::Db;
use crate::config::{self, Config, Sources};
use crate::grok::socket::{self, Socket};
use crate::host::lore::{Calibration, Pair};
use crate::host::store::Store;
use crate::host::{clock, key, measure, settings, socket_options};
use crate::speech::calibration::judge;
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

/// What an answer of the service may take; the socket's own limit is shorter.
const ANSWER_MAX: Duration = Duration::from_secs(12);
/// 1 November 2026 in Unix seconds: no clock that runs shows less.
const WRITTEN: i64 = 1_793_491_200;

/// `devices`.
pub fn devices(json: bool) -> anyhow::Result<()> {
    let cards = drive::cards();
    let mut out = std::io::stdout().lock();
    if json {
        writeln!(out, "{}", serde_json::to_string_pretty(&cards)?)?;
        return Ok(());
    }
    if cards.is_empty() {
        writeln!(out, "no sound card")?;
    }
    for card in cards {
        writeln!(out, "{}  {}", card.name, card.description)?;
        for facts in &card.sides {
            writeln!(out, "    {}", words(facts))?;
        }
    }
    Ok(())
}

/// One direction of a card in a line.
fn words(facts: &Facts) -> String {
    let side = match facts.side {
        Side::Capture => "microphone",
        Side::Playout => "speaker   ",
    };
    let mut line = match facts.channels {
        Some((from, to)) if from == to => format!("{side} {from} channels"),
        Some((from, to)) => format!("{side} {from}-{to} channels"),
        None => side.to_owned(),
    };
    if let (Some(low), Some(high)) = (facts.rates.iter().min(), facts.rates.iter().max()) {
        line.push_str(&format!(", {low}-{high} Hz, {}", facts.formats.join(" ")));
    }
    if let Some(holder) = &facts.holder {
        line.push_str(&format!(", {holder}"));
    }
    line
}

/// Lines of `check`.
struct Sheet {
    failed: bool,
}

impl Sheet {
    fn line(&mut self, what: &str, result: Result<String, String>) {
        let (mark, words) = match &result {
            Ok(words) => ("ok  ", words),
            Err(words) => ("FAIL", words),
        };
        self.failed |= result.is_err();
        // A closed standard output leaves the exit status.
        let _ = writeln!(std::io::stdout(), "{mark} {what:<10} {words}");
    }
}

/// `check`: 0 when all is well, 1 when something is not, 78 for the configuration.
/// With `sound` the cards are measured, too.
pub fn run(sources: &Sources, sound: bool) -> anyhow::Result<ExitCode> {
    let (layers, base) = config::read(sources)?;
    let config = settings::in_force(&layers, base);
    let mut sheet = Sheet { failed: false };
    sheet.line("config", Ok(format!("good; board profile {}", config.board)));
    for (what, side) in [("microphone", Side::Capture), ("speaker", Side::Playout)] {
        sheet.line(what, drive::probe(&config.audio, side).map_err(|e| e.to_string()));
    }
    if sound {
        let cards_open = !sheet.failed;
        measure_sound(&mut sheet, &config, cards_open);
    }
    let key = key(&config);
    sheet.line(
        "key",
        match &key {
            Ok(Some(found)) => Ok(format!("found in {}", found.place)),
            Ok(None) => Err(
                "no API key: put it into a file and name it in grok.key_file, or set XAI_API_KEY"
                    .into(),
            ),
            Err(e) => Err(e.to_string()),
        },
    );
    sheet.line("clock", sane(clock::wall().unix));
    super::runtime()?.block_on(async {
        let key = key.ok().flatten().map(|found| found.key);
        match Socket::new(socket_options(&config)) {
            Ok(mut socket) => {
                sheet.line("name", socket.look_up().await);
                let (tls, service) = call(&mut socket, &config, key).await;
                sheet.line("tls", tls);
                if let Some(service) = service {
                    sheet.line("service", service);
                }
            }
            Err(e) => sheet.line("tls", Err(e.to_string())),
        }
    });
    Ok(ExitCode::from(u8::from(sheet.failed)))
}

/// Plays a sweep, says what came of it, and keeps that for these cards.
fn measure_sound(sheet: &mut Sheet, config: &Config, cards_open: bool) {
    let Some(pair) = Pair::of(&config.audio) else {
        let Options { input, output, .. } = &config.audio;
        let words = format!("not measured: {input} to {output}, and only cards are in a room");
        return sheet.line("sound", Ok(words));
    };
    if !cards_open {
        let words = "not measured: both cards must open, and a running daemon holds them (systemctl \
                     stop grok-speaker)";
        return sheet.line("sound", Err(words.into()));
    }
    let store = Store::open(&config.state);
    let kept = settings::stored(&store);
    let volume = kept.map_or(config.settings.volume, |kept| kept.volume);
    let (measured, path) = match measure::run(config, volume) {
        Ok(both) => both,
        Err(e) => return sheet.line("sound", Err(format!("not measured: {e:#}"))),
    };
    let volume = Db::from_power(volume.gain().0.powi(2));
    let verdict = judge(&measured, volume);
    if verdict.duplex.is_some() {
        sheet.line("sound", Ok(verdict.words));
        let calibration = Calibration { pair: pair.clone(), volume, measured };
        if let Err(e) = pair.save(&store, &calibration, &path) {
            sheet.line("sound", Err(format!("measured and not kept: {e}")));
        }
    }
    verdict.wrong.into_iter().for_each(|words| sheet.line("sound", Err(words)));
}

/// A certificate cannot be judged with a clock that is older than this program.
fn sane(unix: i64) -> Result<String, String> {
    if unix >= WRITTEN {
        return Ok(format!("{unix} seconds since 1970, which is possible"));
    }
    Err("the clock is wrong, so no certificate is valid yet: is network time reachable?".to_owned())
}

/// Opens a WebSocket with the real key and closes it again: free of charge, nothing is sent. What
/// TLS said, and what the service said to the key where it came that far.
pub(crate) async fn call(
    socket: &mut Socket,
    config: &Config,
    key: Option<Secret>,
) -> (Result<String, String>, Option<Result<String, String>>) {
    let query = vec![("model".to_owned(), config.policy.session.model.clone())];
    socket.dial(Dial { query, after: None }, key);
    let answer = tokio::time::timeout(ANSWER_MAX, async {
        loop {
            match socket.next().await {
                socket::Event::Link(Link::Up) => return Ok(()),
                socket::Event::Link(Link::Failed { status, words, .. }) => {
                    return Err((status.is_some(), words));
                }
                socket::Event::Link(Link::Lost { words, .. }) => return Err((true, words)),
                socket::Event::Link(Link::Congested | Link::Clear)
                | socket::Event::Message(_)
                | socket::Event::Pong(_) => {}
            }
        }
    });
    let answer = answer.await.unwrap_or_else(|_| Err((false, "no answer".to_owned())));
    let force = socket.options_in_force().and_then(|f| f.tls.clone());
    socket.close().await;
    let done = if config.socket.url.starts_with("ws://") {
        "not used: grok.url is ws://"
    } else {
        "the handshake is done"
    };
    let secure = || Ok(force.clone().unwrap_or_else(|| done.to_owned()));
    match answer {
        Ok(()) => (secure(), Some(Ok("it accepts the key".to_owned()))),
        Err((true, words)) => (secure(), Some(Err(words))),
        Err((false, words)) => (Err(words), None),
    }
}
