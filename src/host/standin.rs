//! The `standin` command: the stand-in in the foreground.

use crate::base::secret::Secret;
use crate::standin::{self, Fault, Options};
use anyhow::Context;
use clap::Args;
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Of `standin`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Address and port; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8765")]
    listen: SocketAddr,
    /// Serve wss:// with a certificate made at start and kept in this folder
    #[arg(long, value_name = "DIR")]
    tls: Option<PathBuf>,
    /// Accept this API key only
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// What a spoken turn is taken to say (repeatable, one a turn)
    #[arg(long = "transcript", value_name = "TEXT")]
    transcripts: Vec<String>,
    /// Misbehave; see below (repeatable)
    #[arg(long = "fault", value_name = "NAME[=VALUE]")]
    faults: Vec<Fault>,
    /// Append every event, both directions, as a JSON line
    #[arg(long, value_name = "FILE")]
    wire_log: Option<PathBuf>,
}

/// The list below `standin --help`.
pub fn faults_help() -> String {
    let mut text = String::from("Faults:\n");
    for (name, help) in standin::faults() {
        text.push_str(&format!("  {name:<20} {help}\n"));
    }
    text.push_str("\nQuirks of the service, and the faults that act or end them:\n");
    for quirk in standin::QUIRKS {
        let on = match quirk.on {
            [] => "by default".to_owned(),
            faults => format!("with {}", faults.join(" and ")),
        };
        let off = match quirk.off {
            [] => String::new(),
            faults => format!(", not with {}", faults.join(" and ")),
        };
        text.push_str(&format!("  {}: {on}{off}\n", quirk.words));
    }
    text
}

/// Serves until a signal.
pub fn run(arguments: Arguments) -> anyhow::Result<()> {
    let telemetry = super::telemetry::install(log::LevelFilter::Info)?;
    let options = Options {
        listen: arguments.listen,
        tls: arguments.tls,
        key: arguments.key.as_deref().and_then(Secret::new),
        transcripts: arguments.transcripts,
        faults: arguments.faults,
        wire_log: arguments.wire_log,
        delays: true,
    };
    super::runtime()?.block_on(async {
        let mut signals = super::signals()?;
        let running = standin::start(options).await.context("the stand-in cannot start")?;
        let mut out = std::io::stdout();
        writeln!(out, "{}", running.url())?;
        if let Some(ca) = running.ca_file() {
            writeln!(out, "certificate: {}", ca.display())?;
        }
        out.flush()?;
        signals.next().await;
        running.stop().await;
        telemetry.flush();
        Ok(())
    })
}
