//! DOOR systemd-journal-logger: where log lines go, and what never gets into one.
//!
//! Whoever logs only fills a queue; a thread of its own writes. So neither a full disk nor a dead
//! terminal nor a slow journal holds the main thread up. When the queue is full the newest line is
//! dropped and counted, and the count is said as soon as there is room. The last lines are kept in
//! memory, for panels.

use super::clock::{Teller, wall_micros};
use super::logbook::Logbook;
use super::redact::{redact, tame};
use super::thread::{Priority, Worker};
use crate::base::ring::Silent;
use log::kv::{Key, Value, VisitSource};
use log::{Level, LevelFilter, Log, Metadata, Record};
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;
use systemd_journal_logger::{JournalLog, connected_to_journal};

/// Lines that may wait to be written: several seconds of the chattiest level.
const QUEUE: usize = 1024;
/// Bytes of one message or field that are written; a longer one is cut.
const LONGEST: usize = 4096;
/// How long [`Telemetry::flush`] waits for a sink that may be dead.
const FLUSH_LIMIT: Duration = Duration::from_millis(300);
/// Why nothing can be logged.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another logger was there first.
    #[error("a logger is already installed")]
    Taken,
    /// No thread for it.
    #[error("no thread for the log: {0}")]
    Thread(#[from] std::io::Error),
}

/// The installed log; keep it to flush at the end.
#[derive(Debug)]
pub struct Telemetry {
    queue: SyncSender<Order>,
    book: Arc<Logbook>,
    /// Writes until the process ends.
    _writer: Worker,
}

/// Sends every log line from now on to the journal where standard error is connected to it, else
/// to standard error in a form for people. Libraries are heard from `warn` up, one level more at
/// `trace`.
///
/// # Errors
/// When a logger is installed already, or no thread can be started.
pub fn install(level: LevelFilter) -> Result<Telemetry, Error> {
    let journal = if connected_to_journal() { JournalLog::new().ok() } else { None };
    let sink: Box<dyn Sink> = match journal {
        Some(journal) => Box::new(journal.with_syslog_identifier("grok-speaker".to_owned())),
        None => Box::new(Terminal(std::io::stderr(), Teller::default())),
    };
    let (front, telemetry) = start(level, sink)?;
    log::set_boxed_logger(Box::new(front)).map_err(|_| Error::Taken)?;
    log::set_max_level(level);
    Ok(telemetry)
}

fn start(level: LevelFilter, sink: Box<dyn Sink>) -> Result<(Front, Telemetry), Error> {
    let (queue, orders) = sync_channel(QUEUE);
    let dropped = Arc::new(AtomicU64::new(0));
    let lost = Arc::clone(&dropped);
    let book = Arc::new(Logbook::default());
    let kept = Kept { book: Arc::clone(&book), sink };
    let writer = Worker::spawn("log", Priority::Normal, Arc::new(Silent), move || {
        write(&orders, &lost, kept);
    })?;
    let front = Front { level, queue: queue.clone(), dropped };
    Ok((front, Telemetry { queue, book, _writer: writer }))
}

impl Telemetry {
    /// The last lines.
    pub fn book(&self) -> Arc<Logbook> {
        Arc::clone(&self.book)
    }

    /// Waits until everything logged so far is written, 0.3 s at most.
    pub fn flush(&self) {
        let (done, wait) = sync_channel(1);
        if self.queue.try_send(Order::Flush(done)).is_ok() {
            // Whether it was in time makes no difference: there is nothing else to try.
            let _ = wait.recv_timeout(FLUSH_LIMIT);
        }
    }
}

/// One record, out of the logging thread's hands.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    /// Microseconds since 1970.
    at: i64,
    level: Level,
    target: String,
    message: String,
    fields: Vec<(String, String)>,
}

#[derive(Debug)]
enum Order {
    Line(Line),
    Flush(SyncSender<()>),
}

/// The logging side.
#[derive(Debug)]
struct Front {
    level: LevelFilter,
    queue: SyncSender<Order>,
    dropped: Arc<AtomicU64>,
}

impl Log for Front {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let limit = if metadata.target().starts_with("grok_speaker") {
            self.level
        } else if self.level == LevelFilter::Trace {
            LevelFilter::Info
        } else {
            self.level.min(LevelFilter::Warn)
        };
        metadata.level() <= limit
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let mut fields = Fields(Vec::new());
        // A field that cannot be shown costs itself only.
        let _ = record.key_values().visit(&mut fields);
        let line = Line {
            at: wall_micros(),
            level: record.level(),
            target: record.target().to_owned(),
            message: clean(record.args().to_string()),
            fields: fields.0,
        };
        if self.queue.try_send(Order::Line(line)).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn flush(&self) {}
}

struct Fields(Vec<(String, String)>);

impl<'kvs> VisitSource<'kvs> for Fields {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), log::kv::Error> {
        self.0.push((key.to_string(), clean(value.to_string())));
        Ok(())
    }
}

/// Without secrets, excess and what is not part of one line.
fn clean(text: String) -> String {
    let mut text = redact(text);
    if text.len() > LONGEST {
        let end = (0..=LONGEST).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    tame(text)
}

/// Takes lines until the last sender is gone.
fn write(orders: &Receiver<Order>, dropped: &AtomicU64, mut sink: Kept) {
    while let Ok(order) = orders.recv() {
        match order {
            Order::Line(line) => sink.line(&line),
            Order::Flush(done) => {
                // Whoever asked may have stopped waiting.
                let _ = done.send(());
            }
        }
        let lost = dropped.swap(0, Ordering::Relaxed);
        if lost > 0 {
            sink.line(&Line {
                at: wall_micros(),
                level: Level::Warn,
                target: "grok_speaker::host::telemetry".to_owned(),
                message: "log lines were dropped: they came faster than they could be written"
                    .to_owned(),
                fields: vec![("lines".to_owned(), lost.to_string())],
            });
        }
    }
}

/// Keeps each line in memory before it is written, which may take for ever.
struct Kept {
    book: Arc<Logbook>,
    sink: Box<dyn Sink>,
}

impl Kept {
    fn line(&mut self, line: &Line) {
        self.book.write(line.at, line.level, line.room(), line.words());
        self.sink.line(line);
    }
}

/// Where lines end.
trait Sink: Send {
    /// Writes one; what fails is forgotten, for there is nobody to tell.
    fn line(&mut self, line: &Line);
}

impl Sink for JournalLog {
    fn line(&mut self, line: &Line) {
        let _ = self.journal_send(
            &Record::builder()
                .level(line.level)
                .target(&line.target)
                .args(format_args!("{}", line.message))
                .key_values(&line.fields)
                .build(),
        );
    }
}

/// `20:14:03.120 WARN  grok::socket: link lost  code=1011 words="session timeout"`
struct Terminal<W>(W, Teller);

impl<W: Write + Send> Sink for Terminal<W> {
    fn line(&mut self, line: &Line) {
        let text = terminal(&self.1.stamp(line.at), line);
        let _ = self.0.write_all(text.as_bytes());
    }
}

fn terminal(at: &str, line: &Line) -> String {
    format!("{at} {:<5} {}: {}\n", line.level, line.room(), line.words())
}

impl Line {
    /// Where it comes from, without our own name.
    fn room(&self) -> &str {
        self.target.strip_prefix("grok_speaker::").unwrap_or(&self.target)
    }

    /// The message and its fields.
    fn words(&self) -> String {
        use std::fmt::Write;
        let mut out = self.message.clone();
        for (index, (key, value)) in self.fields.iter().enumerate() {
            let gap = if index == 0 { "  " } else { " " };
            // Writing to a string does not fail.
            let _ = if value.is_empty() || value.contains([' ', '"', '=']) {
                write!(out, "{gap}{key}={value:?}")
            } else {
                write!(out, "{gap}{key}={value}")
            };
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::secret::Secret;
    use crate::host::redact::hide;
    use std::sync::Mutex;

    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl Paper {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    fn record(front: &Front, level: Level, target: &str, message: &str, fields: &[(&str, &str)]) {
        front.log(
            &Record::builder()
                .level(level)
                .target(target)
                .args(format_args!("{message}"))
                .key_values(&fields)
                .build(),
        );
    }

    #[test]
    fn lines_are_readable_and_hold_no_secret() {
        hide(&Secret::new("xai-hidden").unwrap());
        let paper = Paper::default();
        let (front, telemetry) =
            start(LevelFilter::Info, Box::new(Terminal(paper.clone(), Teller::default()))).unwrap();
        let fields = [("turn_id", "7"), ("words", "a b"), ("key", "xai-hidden"), ("none", "")];
        record(&front, Level::Info, "grok_speaker::host", "turn\nis over xai-hidden", &fields);
        record(&front, Level::Debug, "grok_speaker::host", "too much", &[]);
        record(&front, Level::Info, "rustls::client", "somebody else", &[]);
        record(&front, Level::Warn, "rustls::client", "beware", &[]);
        telemetry.flush();
        let text = paper.text();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 2, "{text}");
        assert_eq!(
            &lines[0][12..],
            " INFO  host: turn\\nis over ***  turn_id=7 words=\"a b\" key=*** none=\"\""
        );
        let kept = telemetry.book().whole();
        assert_eq!((kept[0].room.as_str(), kept[0].level), ("host", "info"));
        assert_eq!(format!(" INFO  host: {}", kept[0].text), &lines[0][12..]);
        assert_eq!(kept[1].room, "rustls::client");
        assert!(lines[1].ends_with("WARN  rustls::client: beware"), "{text}");
    }

    #[test]
    fn long_lines_are_cut_between_characters() {
        let cut = clean("ü".repeat(LONGEST));
        assert!(cut.len() <= LONGEST + '…'.len_utf8() && cut.ends_with("ü…"));
    }

    #[test]
    fn a_dead_sink_blocks_nobody_and_losses_are_said() {
        let gate = Arc::new(Mutex::new(()));
        struct Stuck(Arc<Mutex<()>>, Paper);
        impl Sink for Stuck {
            fn line(&mut self, line: &Line) {
                drop(self.0.lock().unwrap());
                Terminal(self.1.clone(), Teller::default()).line(line);
            }
        }
        let paper = Paper::default();
        let closed = gate.lock().unwrap();
        let sink = Stuck(Arc::clone(&gate), paper.clone());
        let (front, telemetry) = start(LevelFilter::Info, Box::new(sink)).unwrap();
        for _ in 0..QUEUE + 100 {
            record(&front, Level::Info, "grok_speaker", "line", &[]);
        }
        telemetry.flush();
        drop(closed);
        let (done, wait) = sync_channel(1);
        telemetry.queue.send(Order::Flush(done)).unwrap();
        wait.recv().unwrap();
        let text = paper.text();
        let lost: usize =
            text.split("lines=").nth(1).unwrap().lines().next().unwrap().parse().unwrap();
        assert!((99..=100).contains(&lost), "{lost}");
    }
}
