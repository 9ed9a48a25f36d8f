//! How busy the processor is.

use super::Root;
use super::text::ticks;
use crate::base::unit::Moment;
use serde::Serialize;
use std::time::Duration;

/// A look that is longer ago says nothing about now.
const RECENT: Duration = Duration::from_secs(10);

/// How busy the processor was since the last look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Processor {
    /// All its cores together, 0..=100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub percent: Option<f64>,
    /// This program, in percent of one core.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub own_percent: Option<f64>,
    /// Cores that run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cores: Option<usize>,
    /// Threads that run or want to, averaged over 1, 5 and 15 minutes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load: Option<[f64; 3]>,
}

/// Compares two looks.
#[derive(Debug, Default)]
pub(super) struct Meter(Option<Look>);

#[derive(Debug, Clone, Copy)]
struct Look {
    at: Moment,
    all: Option<Spent>,
    own_s: Option<f64>,
}

/// Clock ticks since the start of the machine.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Spent {
    busy: f64,
    whole: f64,
}

impl Meter {
    pub(super) fn look(&mut self, root: &Root, now: Moment) -> Processor {
        let stat = root.read("proc/stat").unwrap_or_default();
        let own = root.read("proc/self/stat").unwrap_or_default();
        let own_s = ticks(&own, 14).zip(ticks(&own, 15)).map(|(user, system)| user + system);
        let look = Look { at: now, all: spent(&stat), own_s };
        let before = self.0.replace(look).filter(|before| now.since(before.at) <= RECENT);
        let percent = before.and_then(|before| {
            let (from, to) = (before.all?, look.all?);
            share(to.busy - from.busy, to.whole - from.whole)
        });
        let own_percent = before.and_then(|before| {
            share(look.own_s? - before.own_s?, now.since(before.at).as_secs_f64())
        });
        Processor {
            percent: percent.map(|p| p.min(100.0)),
            own_percent,
            cores: cores(&stat),
            load: load(&root.read("proc/loadavg").unwrap_or_default()),
        }
    }
}

fn share(part: f64, whole: f64) -> Option<f64> {
    let percent = (1000.0 * part / whole).round() / 10.0;
    (whole > 0.0 && part >= 0.0).then_some(percent)
}

/// The first line of `/proc/stat`: user, nice, system, idle, iowait, irq, softirq, steal; guests are
/// in user already.
fn spent(stat: &str) -> Option<Spent> {
    let line = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let ticks: Option<Vec<f64>> =
        line.split_whitespace().take(8).map(|ticks| ticks.parse().ok()).collect();
    let ticks = ticks.filter(|ticks| ticks.len() >= 4)?;
    let whole = ticks.iter().sum::<f64>();
    let idle = ticks[3] + ticks.get(4).unwrap_or(&0.0);
    Some(Spent { busy: whole - idle, whole })
}

fn cores(stat: &str) -> Option<usize> {
    let is_core = |line: &&str| {
        line.strip_prefix("cpu").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    Some(stat.lines().filter(is_core).count()).filter(|&count| count > 0)
}

fn load(text: &str) -> Option<[f64; 3]> {
    let mut loads = text.split_whitespace().map(|load| load.parse().ok());
    Some([loads.next()??, loads.next()??, loads.next()??])
}

#[cfg(test)]
mod tests {
    use super::super::samples::Samples;
    use super::*;

    fn own(ticks: u32) -> String {
        format!("9 (grok) S {}{ticks} 10 0", "0 ".repeat(10))
    }

    #[test]
    fn two_looks_make_a_share() {
        let board = Samples::new(&[
            ("proc/stat", "cpu  100 0 50 800 50 0 0 0 9 9\ncpu0 1 1 1 1\ncpu1 1 1 1 1\nbtime 5"),
            ("proc/self/stat", &own(90)),
            ("proc/loadavg", "0.52 0.58 0.59 2/345 1234"),
        ]);
        let mut meter = Meter::default();
        let first = meter.look(&board.0, Moment::from_millis(1000));
        assert_eq!((first.percent, first.own_percent, first.cores), (None, None, Some(2)));
        assert_eq!(first.load, Some([0.52, 0.58, 0.59]));
        board.put("proc/stat", "cpu  160 0 90 1100 50 0 0 0 9 9\ncpu0 1");
        board.put("proc/self/stat", &own(110));
        let second = meter.look(&board.0, Moment::from_millis(3000));
        assert_eq!((second.percent, second.own_percent), (Some(25.0), Some(10.0)));
        let late = meter.look(&board.0, Moment::from_millis(30_000));
        assert_eq!((late.percent, late.own_percent), (None, None));
    }

    #[test]
    fn what_cannot_be_read_is_not_made_up() {
        for stat in ["", "cpu ", "cpu  1 2 3", "cpu  1 x 3 4", "intr 5"] {
            assert_eq!(spent(stat), None, "{stat}");
        }
        assert_eq!((load("0.1 0.2"), cores("cpu 1 2 3 4")), (None, None));
        // A counter that went back (a suspended guest) is no share.
        assert_eq!((share(-1.0, 5.0), share(1.0, 0.0)), (None, None));
    }
}
