//! The commands, each a few lines that call the host.
//!
//! Runs on the main thread. Exit status: 0 good, 1 a check or run failed, 2 wrong usage,
//! 70 internal error, 78 configuration.

use crate::config::Sources;
use crate::host;
use clap::{Args, Parser, Subcommand};
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

/// A smart speaker that talks to the Grok realtime voice API.
#[derive(Debug, Parser)]
#[command(name = "grok-speaker", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// Where the configuration comes from.
#[derive(Debug, Clone, Default, Args)]
struct Configured {
    /// Configuration file instead of /etc/grok-speaker/config.toml
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    sets: Sets,
}

/// The last layer of the configuration.
#[derive(Debug, Clone, Default, Args)]
struct Sets {
    /// Set one configuration value, for example --set turn.mode=open (repeatable)
    #[arg(long = "set", value_name = "KEY=VALUE")]
    sets: Vec<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The daemon; stays in the foreground
    Run {
        #[command(flatten)]
        configured: Configured,
        /// Record every input of the conversation (without its sound) for `replay`
        #[arg(long, value_name = "FILE")]
        journal: Option<PathBuf>,
    },
    /// The same daemon talking over real TLS to a stand-in of the service on this machine
    Demo {
        /// Hear this WAV file instead of a microphone
        #[arg(long, value_name = "FILE.wav")]
        mic: Option<PathBuf>,
        /// Write what is said to this WAV file instead of playing it
        #[arg(long, value_name = "FILE.wav")]
        speaker: Option<PathBuf>,
        /// End after so many answered turns
        #[arg(long, value_name = "N")]
        turns: Option<u32>,
        /// Address and port of the panel
        #[arg(long, value_name = "ADDR")]
        listen: Option<SocketAddr>,
        #[command(flatten)]
        sets: Sets,
    },
    /// A local stand-in of the realtime service
    #[command(after_long_help = host::standin::faults_help())]
    Standin(host::standin::Arguments),
    /// Try configuration, card, key, clock, name lookup and TLS: one line each
    Check {
        /// Play a soft sweep and measure the cards with it: delay, echo, clipping, dead microphones
        #[arg(long)]
        sound: bool,
        #[command(flatten)]
        configured: Configured,
    },
    /// Sound cards with their stable names
    Devices {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// The speech front end on files; JSON lines on standard output
    Listen(host::listen::Arguments),
    /// Transcript of a recorded run
    Replay {
        /// A journal written by `run --journal` or by the flight recorder
        journal: PathBuf,
    },
    /// State of the running daemon
    Status {
        /// As JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        configured: Configured,
    },
    /// Open a pairing window on the running daemon and print its code
    Pair {
        /// What the paired panel may do: viewer, controller or admin
        #[arg(long, default_value = "admin", value_parser = ["viewer", "controller", "admin"])]
        role: String,
        #[command(flatten)]
        configured: Configured,
    },
}

impl Configured {
    fn sources(self) -> Sources {
        Sources::of_process(self.config, self.sets.sets)
    }
}

/// Parses the command line, runs the command, turns its result into an exit status.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(e) => {
            // A closed standard output is not worth a second message.
            let _ = e.print();
            return ExitCode::from(if e.use_stderr() { 2 } else { 0 });
        }
    };
    // A panic has said what it is; all that is left is its exit status.
    match std::panic::catch_unwind(|| run(cli.command)) {
        Ok(Ok(code)) => code,
        Ok(Err(e)) => {
            let _ = writeln!(std::io::stderr(), "grok-speaker: {e:#}");
            ExitCode::from(host::exit_code(&e))
        }
        Err(_) => ExitCode::from(host::BUG),
    }
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Run { configured, journal } => host::run(&configured.sources(), journal)?,
        Command::Demo { mic, speaker, turns, listen, sets } => {
            host::demo::run(host::demo::Demo { mic, speaker, turns, listen, sets: sets.sets })?;
        }
        Command::Standin(arguments) => host::standin::run(arguments)?,
        Command::Check { sound, configured } => {
            return host::probe::run(&configured.sources(), sound);
        }
        Command::Devices { json } => host::probe::devices(json)?,
        Command::Listen(arguments) => host::listen::run(arguments)?,
        Command::Replay { journal } => host::replay::run(&journal)?,
        Command::Status { json, configured } => host::control::status(&configured.sources(), json)?,
        Command::Pair { role, configured } => host::control::pair(&configured.sources(), &role)?,
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
