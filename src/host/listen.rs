//! The `listen` command: the speech front end on files, as fast as it can.

use crate::audio::wav;
use crate::base::pcm::BLOCK_RATE;
use crate::config::{self, Sources};
use crate::speech::offline;
use anyhow::Context;
use clap::Args;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Of `listen`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// What the microphone heard
    #[arg(long, value_name = "MIC.wav")]
    mic: PathBuf,
    /// What the speaker played meanwhile
    #[arg(long, value_name = "FAR.wav")]
    far: Option<PathBuf>,
    /// Playback and capture delay together, as a driver's delay query would say; blind without it
    #[arg(long, value_name = "MS")]
    delay_hint: Option<f64>,
    /// Write the processed near end here (16 kHz mono)
    #[arg(long, value_name = "OUT.wav")]
    out: Option<PathBuf>,
    /// Set one configuration value (repeatable)
    #[arg(long = "set", value_name = "KEY=VALUE")]
    sets: Vec<String>,
}

/// Reads, processes, prints.
pub fn run(arguments: Arguments) -> anyhow::Result<()> {
    let config = config::load(&Sources::of_process(None, arguments.sets))?;
    if let Some(out) = &arguments.out {
        let heard = [Some(&arguments.mic), arguments.far.as_ref()];
        heard.into_iter().flatten().try_for_each(|path| wav::check_apart(path, out))?;
    }
    let mic = read(&arguments.mic)?;
    let far = arguments.far.as_deref().map(read).transpose()?;
    let hint = arguments.delay_hint.map(hint).transpose()?;
    let mut out = std::io::stdout().lock();
    // Printed afterwards, so that printing is not counted as work of the front end.
    let (mut lines, mut near) = (Vec::new(), Vec::new());
    let began = cpu();
    let end = offline::run(
        &config.speech,
        view(&mic),
        far.as_ref().map(view),
        hint,
        &mut |line| lines.push(line),
        &mut |block| near.extend_from_slice(&block.0),
    );
    lines.push(end.line(cpu().saturating_sub(began)));
    for line in lines {
        writeln!(out, "{}", serde_json::to_string(&line)?).context("standard output")?;
    }
    if let Some(path) = &arguments.out {
        wav::write(path, BLOCK_RATE, &near)?;
    }
    Ok(())
}

fn view(sound: &wav::Sound) -> offline::Sound<'_> {
    offline::Sound { samples: &sound.samples, rate: sound.rate, channels: sound.channels }
}

/// Processor time of this process.
fn cpu() -> Duration {
    let usage = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_SELF);
    let micros = usage.map_or(0, |u| {
        let (user, system) = (u.user_time(), u.system_time());
        (user.tv_sec() + system.tv_sec()) * 1_000_000 + user.tv_usec() + system.tv_usec()
    });
    Duration::from_micros(u64::try_from(micros).unwrap_or(0))
}

fn read(path: &Path) -> anyhow::Result<wav::Sound> {
    Ok(wav::read(path)?)
}

fn hint(ms: f64) -> anyhow::Result<Duration> {
    Duration::try_from_secs_f64(ms / 1000.0)
        .ok()
        .filter(|d| *d <= Duration::from_secs(2))
        .with_context(|| format!("--delay-hint: 0..2000 ms, not {ms}"))
}
