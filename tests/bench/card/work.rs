//! What a process and its children cost, read from the kernel.

use crate::{now, pause};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{read_dir, read_to_string};
use std::time::Duration;

/// What a stretch of work took.
#[derive(Default)]
pub(crate) struct Work {
    /// User and system, percent of one processor.
    pub(crate) cpu: f64,
    /// Of the process without its children.
    pub(crate) own_cpu: f64,
    /// Times a thread went to sleep, a second: as often as it was woken.
    pub(crate) wakes: f64,
    /// Megabytes.
    pub(crate) pss: f64,
    pub(crate) own_pss: f64,
    pub(crate) threads: usize,
    /// CPU and wake-ups by the names of the process's own threads.
    pub(crate) by_thread: BTreeMap<String, (f64, f64)>,
}

/// A thread's name, its nanoseconds on a processor and its voluntary switches so far.
type Count = (String, f64, f64);

/// Counts work for a while.
pub(crate) fn work(process: u32, span: Duration) -> Work {
    let (before, start) = (counts(process), now());
    pause(span);
    let (after, seconds) = (counts(process), start.elapsed().as_secs_f64());
    let mut work = Work { threads: after.len(), ..Work::default() };
    for ((owner, thread), (name, ns, wakes)) in after {
        let (old_ns, old_wakes) =
            before.get(&(owner, thread)).map_or((0.0, 0.0), |old| (old.1, old.2));
        let (cpu, wakes) = ((ns - old_ns) / 1e7 / seconds, (wakes - old_wakes) / seconds);
        work.cpu += cpu;
        work.wakes += wakes;
        if owner == process {
            work.own_cpu += cpu;
            let entry = work.by_thread.entry(name).or_default();
            *entry = (entry.0 + cpu, entry.1 + wakes);
        }
    }
    work.own_pss = pss(process);
    work.pss = tree(process).into_iter().map(pss).sum();
    work
}

/// A process and all below it.
pub(crate) fn tree(process: u32) -> BTreeSet<u32> {
    let parents: Vec<(u32, u32)> = read_dir("/proc")
        .unwrap()
        .filter_map(Result::ok)
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(|id: u32| Some((id, number(&format!("/proc/{id}/status"), "PPid:")? as u32)))
        .collect();
    let mut found = BTreeSet::from([process]);
    loop {
        let more = parents.iter().filter(|(_, parent)| found.contains(parent)).map(|p| p.0);
        let all: BTreeSet<u32> = found.iter().copied().chain(more).collect();
        if all.len() == found.len() {
            return found;
        }
        found = all;
    }
}

fn counts(process: u32) -> BTreeMap<(u32, u32), Count> {
    let mut found = BTreeMap::new();
    for owner in tree(process) {
        let Ok(tasks) = read_dir(format!("/proc/{owner}/task")) else { continue };
        for task in tasks.filter_map(Result::ok) {
            let folder = task.path().display().to_string();
            let text = |name: &str| read_to_string(format!("{folder}/{name}")).unwrap_or_default();
            let Some(id) = task.file_name().to_str().and_then(|n| n.parse().ok()) else { continue };
            let ns = text("schedstat").split_whitespace().next().and_then(|w| w.parse().ok());
            let wakes = number(&format!("{folder}/status"), "voluntary_ctxt_switches:");
            let count = (text("comm").trim().to_owned(), ns.unwrap_or(0.0), wakes.unwrap_or(0.0));
            found.insert((owner, id), count);
        }
    }
    found
}

fn pss(process: u32) -> f64 {
    number(&format!("/proc/{process}/smaps_rollup"), "Pss:").map_or(0.0, |kb| kb / 1000.0)
}

/// The first number of the line that begins so.
fn number(path: &str, name: &str) -> Option<f64> {
    let text = read_to_string(path).ok()?;
    text.lines().find_map(|l| l.strip_prefix(name)?.split_whitespace().next()?.parse().ok())
}
