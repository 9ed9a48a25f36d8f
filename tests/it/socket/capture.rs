//! Everything that is logged from the first test on that asks for it, at every level.

use std::sync::{Mutex, Once, PoisonError};

static LINES: Mutex<String> = Mutex::new(String::new());
static ONCE: Once = Once::new();

struct Capture;

impl log::Log for Capture {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        // Writes out whole frames, in hexadecimal: megabytes, and no key comes into them.
        !metadata.target().starts_with("tungstenite::protocol")
    }

    fn log(&self, record: &log::Record<'_>) {
        use std::fmt::Write;
        if !self.enabled(record.metadata()) {
            return;
        }
        let mut lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = writeln!(lines, "{} {} {}", record.level(), record.target(), record.args());
        let _ = record.key_values().visit(&mut Fields(&mut lines));
    }

    fn flush(&self) {}
}

struct Fields<'a>(&'a mut String);

impl<'kvs> log::kv::VisitSource<'kvs> for Fields<'_> {
    fn visit_pair(
        &mut self,
        key: log::kv::Key<'kvs>,
        value: log::kv::Value<'kvs>,
    ) -> Result<(), log::kv::Error> {
        use std::fmt::Write;
        writeln!(self.0, "{key}={value}").map_err(log::kv::Error::from)
    }
}

pub(crate) fn install() {
    ONCE.call_once(|| {
        // Where somebody else was first, the test that looks for our line fails.
        let _ = log::set_logger(&Capture);
        log::set_max_level(log::LevelFilter::Trace);
    });
}

pub(crate) fn text() -> String {
    LINES.lock().unwrap_or_else(PoisonError::into_inner).clone()
}
