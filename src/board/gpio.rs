//! DOOR GPIO character device: the lines of the buttons, and their edges as the kernel stamps them.

use super::chip::{Chip, choose};
use super::hands::{Edge, Edges};
use super::profile::Buttons;
use crate::base::Clock;
use gpiocdev::Request;
use gpiocdev::line::{Bias, EdgeDetection, EdgeKind};
use nix::time::{ClockId, clock_gettime};
use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::Sleep;

/// Edges of one line that are read at one go. The kernel keeps 16 and drops the oldest, so that the
/// last one is always true.
const EDGES: usize = 16;
/// After reading, the lines are left alone for so long: a wire that hangs in the air makes edges
/// without end, and contacts must be steady for longer anyway.
const REST: Duration = Duration::from_millis(5);
/// What others see as the user of the lines.
const CONSUMER: &str = "grok-speaker";

/// The lines of the buttons.
pub struct Lines {
    lines: Vec<(u32, AsyncFd<Request>)>,
    clock: Clock,
    /// Read and not handed out yet: at most [`EDGES`] a line.
    edges: VecDeque<Edge>,
    rest: Option<Pin<Box<Sleep>>>,
}

impl std::fmt::Debug for Lines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let lines: Vec<u32> = self.lines.iter().map(|(line, _)| *line).collect();
        write!(f, "Lines({lines:?})")
    }
}

impl Lines {
    /// Takes the lines of these buttons that can be had, and says of each other one why not. Opens
    /// nothing where there are no buttons. Must be called inside a tokio runtime.
    pub fn open(buttons: &Buttons, clock: Clock) -> (Option<Self>, Vec<String>) {
        let wanted = buttons.lines();
        let (mut lines, mut complaints) = (Vec::new(), Vec::new());
        let chips = if wanted.is_empty() { Vec::new() } else { chips() };
        for (key, line) in wanted {
            match take(&chips, buttons, line) {
                Ok(request) => lines.push((line, request)),
                Err(why) => complaints.push(format!("{key} = {line}: {why}")),
            }
        }
        let open = !lines.is_empty();
        let opened = open.then(|| Self { lines, clock, edges: VecDeque::new(), rest: None });
        (opened, complaints)
    }

    /// Reads what the lines have; a line that cannot be read any more is given up.
    fn read(&mut self, cx: &mut Context<'_>) {
        let (now, kernel) = ((self.clock)(), kernel_ns());
        let edges = &mut self.edges;
        self.lines.retain(|(line, request)| {
            let read = read(request, cx, |stamp, down| {
                let age = Duration::from_nanos(kernel.saturating_sub(stamp));
                edges.push_back(Edge { line: *line, down, at: now.before(age) });
            });
            read.inspect_err(|e| log::warn!("GPIO line {line}: {e}; its button is dead")).is_ok()
        });
    }
}

impl Edges for Lines {
    fn poll_edge(&mut self, cx: &mut Context<'_>) -> Poll<Edge> {
        if let Some(edge) = self.edges.pop_front() {
            return Poll::Ready(edge);
        }
        if let Some(rest) = &mut self.rest {
            ready!(rest.as_mut().poll(cx));
            self.rest = None;
        }
        self.read(cx);
        match self.edges.pop_front() {
            Some(edge) => {
                self.rest = Some(Box::pin(tokio::time::sleep(REST)));
                Poll::Ready(edge)
            }
            None => Poll::Pending,
        }
    }
}

/// All chips that may be opened.
fn chips() -> Vec<Chip> {
    let paths = gpiocdev::chip::chips().unwrap_or_default();
    let infos = paths.iter().filter_map(|path| gpiocdev::Chip::from_path(path).ok()?.info().ok());
    infos.map(|i| Chip { name: i.name, label: i.label, lines: i.num_lines }).collect()
}

/// Takes one line.
fn take(chips: &[Chip], buttons: &Buttons, line: u32) -> Result<AsyncFd<Request>, String> {
    let chip = choose(chips, &buttons.chip, line).map_err(|e| e.to_string())?;
    let path = format!("/dev/{}", chip.name);
    let told = gpiocdev::Chip::from_path(&path).and_then(|chip| chip.line_info(line));
    if let Some(info) = told.ok().filter(|info| info.used) {
        return Err(format!("{} lends this line to {:?} already", chip.name, info.consumer));
    }
    let mut builder = Request::builder();
    builder.on_chip(path).with_consumer(CONSUMER).with_line(line).as_input();
    // A button leads to the level of a pressed one; the other level is for the board to hold.
    if buttons.active_low {
        builder.as_active_low().with_bias(Bias::PullUp);
    } else {
        builder.with_bias(Bias::PullDown);
    }
    let request = builder.with_edge_detection(EdgeDetection::BothEdges).request();
    let request = request.map_err(|e| format!("{}: {e}", chip.name))?;
    #[expect(
        deprecated,
        reason = "its successor is unsafe; what is wrong with it (a descriptor closed while \
                  watched) cannot happen here: the value owns its descriptor"
    )]
    let watched = AsyncFd::with_interest(request, Interest::READABLE);
    watched.map_err(|e| e.to_string())
}

/// Hands on what a line has, as the kernel's stamps and whether it is pressed.
fn read(
    request: &AsyncFd<Request>,
    cx: &mut Context<'_>,
    mut edge: impl FnMut(u64, bool),
) -> Result<(), gpiocdev::Error> {
    loop {
        let Poll::Ready(ready) = request.poll_read_ready(cx)? else { return Ok(()) };
        let (mut ready, line) = (ready, request.get_ref());
        if !line.has_edge_event()? {
            ready.clear_ready();
            // Asks to be woken by the next one.
            continue;
        }
        let size = line.edge_event_u64_size();
        let mut buffer = vec![0; size * EDGES];
        let filled = line.read_edge_events_into_slice(&mut buffer)?;
        for event in buffer[..filled].chunks_exact(size) {
            let event = line.edge_event_from_slice(event)?;
            edge(event.timestamp_ns, event.kind == EdgeKind::Rising);
        }
        // More may wait: they come after the rest.
        return Ok(());
    }
}

/// The clock of the kernel's stamps.
fn kernel_ns() -> u64 {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC);
    let span = now.map_or(Duration::ZERO, Duration::from);
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::unit::Moment;
    use std::path::{Path, PathBuf};
    use std::sync::Arc;

    /// Where chips of the kernel's simulator are made (module gpio-sim, configfs mounted).
    const SIMULATOR: &str = "/sys/kernel/config/gpio-sim";

    /// A simulated chip with eight lines.
    struct Sim {
        folder: PathBuf,
        lines: PathBuf,
    }

    impl Sim {
        /// `None` where the kernel has no simulator, which is nearly everywhere.
        fn new(name: &str) -> Option<Self> {
            if !Path::new(SIMULATOR).is_dir() {
                return None;
            }
            let folder = Path::new(SIMULATOR).join(name);
            let bank = folder.join("bank");
            std::fs::create_dir_all(&bank).unwrap();
            for (file, text) in [("bank/num_lines", "8"), ("bank/label", name), ("live", "1")] {
                std::fs::write(folder.join(file), text).unwrap();
            }
            let text = |file: &str| std::fs::read_to_string(folder.join(file)).unwrap();
            let (device, chip) = (text("dev_name"), text("bank/chip_name"));
            let lines = Path::new("/sys/devices/platform").join(device.trim()).join(chip.trim());
            Some(Self { folder, lines })
        }

        fn pull(&self, line: u32, up: bool) {
            let pull = if up { "pull-up" } else { "pull-down" };
            std::fs::write(self.lines.join(format!("sim_gpio{line}/pull")), pull).unwrap();
        }
    }

    impl Drop for Sim {
        fn drop(&mut self) {
            let _ = std::fs::write(self.folder.join("live"), "0");
            let _ = std::fs::remove_dir(self.folder.join("bank"));
            let _ = std::fs::remove_dir(&self.folder);
        }
    }

    fn buttons(chip: &str, talk: u32) -> Buttons {
        Buttons { talk: Some(talk), chip: chip.to_owned(), ..Buttons::default() }
    }

    /// Our time as the test needs it: the kernel's.
    fn clock() -> Clock {
        Arc::new(|| Moment::from_micros(kernel_ns() / 1000))
    }

    async fn next(lines: &mut Lines) -> Edge {
        let next = std::future::poll_fn(|cx| lines.poll_edge(cx));
        tokio::time::timeout(Duration::from_secs(2), next).await.expect("no edge")
    }

    fn on_a_chip(name: &str, test: impl AsyncFnOnce(&Sim)) {
        let Some(sim) = Sim::new(name) else { return not_tried() };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(test(&sim));
    }

    #[expect(clippy::print_stderr, reason = "a test that did not try says so")]
    fn not_tried() {
        eprintln!("NOT TRIED: this kernel has no simulator of GPIO chips (gpio-sim)");
    }

    #[test]
    fn edges_come_with_the_time_they_were_made_at() {
        on_a_chip("speaker-edges", async |sim| {
            let (lines, complaints) = Lines::open(&buttons("speaker-edges", 3), clock());
            assert_eq!(complaints, [] as [String; 0]);
            let mut lines = lines.unwrap();
            let begun = clock()();
            sim.pull(3, false);
            tokio::time::sleep(Duration::from_millis(50)).await;
            sim.pull(3, true);
            tokio::time::sleep(Duration::from_millis(200)).await;
            let (down, up) = (next(&mut lines).await, next(&mut lines).await);
            assert_eq!((down.line, down.down, up.line, up.down), (3, true, 3, false));
            assert!(down.at.since(begun) < Duration::from_millis(40), "{down:?} {begun:?}");
            let span = up.at.since(down.at);
            assert!((45..150).contains(&span.as_millis()), "{span:?}");
            // More than the kernel keeps: the last ones are there.
            for _ in 0..100 {
                sim.pull(3, false);
                sim.pull(3, true);
            }
            sim.pull(3, false);
            let mut last = next(&mut lines).await;
            let more = Duration::from_millis(100);
            while let Ok(edge) = tokio::time::timeout(more, next(&mut lines)).await {
                assert!(edge.at >= last.at);
                last = edge;
            }
            assert!(last.down);
        });
    }

    #[test]
    fn a_line_that_cannot_be_had_is_named() {
        on_a_chip("speaker-lines", async |_| {
            let open = |talk| Lines::open(&buttons("speaker-lines", talk), clock());
            let (first, complaints) = open(7);
            assert!(first.is_some() && complaints.is_empty(), "{complaints:?}");
            let (second, complaints) = open(7);
            assert!(second.is_none());
            assert!(complaints[0].starts_with("buttons.talk = 7: "), "{complaints:?}");
            assert!(complaints[0].contains("\"grok-speaker\" already"), "{complaints:?}");
            let (third, complaints) = open(8);
            assert!(third.is_none());
            assert!(complaints[0].contains("the lines 0 to 7 only"), "{complaints:?}");
            drop(first);
            assert!(open(7).0.is_some(), "a line that was given back");
        });
    }
}
