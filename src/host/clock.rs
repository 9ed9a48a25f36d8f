//! The one lawful reader of the clocks: our own monotonic time, and what the wall says.

use crate::base::Clock;
use crate::base::unit::Moment;
use crate::conversation::Wall;
use jiff::tz::TimeZone;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A wall clock that moved by more than this against our own time was set, not slewed: the kernel
/// slews by at most 0.5 ms a second, so a minute between two looks moves it by 30 ms.
const STEP: Duration = Duration::from_secs(1);

/// Where our time began: every clock of this process counts from here.
static BEGAN: OnceLock<Instant> = OnceLock::new();

/// Our time now.
pub fn now() -> Moment {
    #[expect(clippy::disallowed_methods, reason = "this is the reader of the clock")]
    let now = Instant::now();
    let span = now.saturating_duration_since(*BEGAN.get_or_init(|| now));
    Moment::from_micros(u64::try_from(span.as_micros()).unwrap_or(u64::MAX))
}

/// Our time as the workers get it: neither allocates nor locks once it is made.
pub fn clock() -> Clock {
    // The first look fixes the beginning, so that no real-time thread has to.
    now();
    Arc::new(now)
}

/// The tokio instant that lies `span` from now, for a deadline of the loop.
pub fn after(span: Duration) -> tokio::time::Instant {
    #[expect(clippy::disallowed_methods, reason = "this is the reader of the clock")]
    let now = tokio::time::Instant::now();
    now + span
}

/// Microseconds since 1970, by the wall clock; negative before.
pub fn wall_micros() -> i64 {
    #[expect(clippy::disallowed_methods, reason = "this is the reader of the clock")]
    let now = SystemTime::now();
    let micros = |span: Duration| i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
    now.duration_since(UNIX_EPOCH).map_or_else(|before| -micros(before.duration()), micros)
}

/// The zone of `TZ` or `/etc/localtime`; UTC where neither is of use. The file is read as it is:
/// looking for its name would list the whole database of zones, hundreds of files.
fn system_zone() -> TimeZone {
    let named = std::env::var_os("TZ").is_some_and(|name| !name.is_empty());
    let file = if named { None } else { std::fs::read("/etc/localtime").ok() };
    match file.and_then(|file| TimeZone::tzif("Local", &file).ok()) {
        Some(zone) => zone,
        None => TimeZone::system(),
    }
}

/// What time it is.
pub fn wall() -> Wall {
    let unix = wall_micros().div_euclid(1_000_000);
    Wall { unix, offset: offset(&system_zone(), unix) }
}

/// Local time less UTC in seconds; 0 for times that no calendar has.
fn offset(zone: &TimeZone, unix: i64) -> i32 {
    jiff::Timestamp::from_second(unix).map_or(0, |at| zone.to_offset(at).seconds())
}

/// Tells the time of log lines. Knows the zone from the first line on.
#[derive(Debug, Default)]
pub struct Teller(Option<TimeZone>);

impl Teller {
    /// Local time as a log line shows it, `20:14:03.120`, from microseconds since 1970.
    pub fn stamp(&mut self, micros: i64) -> String {
        let zone = self.0.get_or_insert_with(system_zone).clone();
        let at = jiff::Timestamp::from_microsecond(micros).unwrap_or_default();
        at.to_zoned_datetime(zone).strftime("%H:%M:%S%.3f").to_string()
    }
}

/// Notices when the wall clock is set, or when the machine slept (our own time stands still then).
#[derive(Debug, Default)]
pub struct Steps {
    /// Wall time less our time at the last look.
    last: Option<i64>,
}

impl Steps {
    /// Looks at both clocks; call it at least once a minute. By how many seconds the wall clock
    /// stepped (forward is positive) since the last look, where it did.
    pub fn look(&mut self) -> Option<i64> {
        self.observe(now(), wall_micros())
    }

    fn observe(&mut self, ours: Moment, wall: i64) -> Option<i64> {
        let apart = wall.saturating_sub(i64::try_from(ours.micros()).unwrap_or(i64::MAX));
        let moved = apart.saturating_sub(self.last.replace(apart)?);
        (Duration::from_micros(moved.unsigned_abs()) > STEP).then_some(moved / 1_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_time_goes_on_and_never_allocates() {
        let clock = clock();
        let first = clock();
        let mut last = first;
        assert_no_alloc::assert_no_alloc(|| {
            for _ in 0..1000 {
                let now = clock();
                assert!(now >= last);
                last = now;
            }
        });
        std::thread::park_timeout(Duration::from_millis(20));
        assert!(clock().since(first) >= Duration::from_millis(15));
    }

    #[test]
    fn a_step_is_told_from_slewing() {
        let mut steps = Steps::default();
        let at = |s: u64| Moment::from_millis(s * 1000);
        assert_eq!(steps.observe(at(0), 1_000_000_000), None);
        assert_eq!(steps.observe(at(60), 1_060_030_000), None);
        assert_eq!(steps.observe(at(61), 1_061_030_000 + 3_600_000_000), Some(3600));
        assert_eq!(steps.observe(at(62), 1_062_030_000 + 3_600_000_000), None);
        assert_eq!(steps.observe(at(63), 1_063_030_000), Some(-3600));
    }

    #[test]
    fn the_offset_follows_the_zone() {
        let berlin = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        assert_eq!(offset(&berlin, 1_782_000_000), 7200);
        assert_eq!(offset(&berlin, 1_795_500_000), 3600);
        assert_eq!(offset(&berlin, i64::MAX), 0);
        let mut teller = Teller(Some(berlin));
        assert_eq!(teller.stamp(1_782_000_000_120_999), "02:00:00.120");
        assert!(wall().unix > 1_700_000_000);
    }
}
