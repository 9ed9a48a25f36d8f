//! DOOR madvise: gives back the memory of those parts of the program that only its start needed.
//!
//! The kernel maps what it has at hand around each page of code that is touched, and on a board without
//! swap it lets go of mapped pages last. Given back, a page is where it was, in the kernel's cache of
//! files, and is mapped again when it is needed: some hundred short faults, spread over all threads.

use crate::base::unit::Moment;
use std::ops::Range;
use std::time::Duration;

/// After so long the cards are open, the service has answered and the panel has served its first page.
const STARTED: Duration = Duration::from_secs(5);
/// As often again: what is used now and then, a page or a new connection, would add up.
const AGAIN: Duration = Duration::from_secs(60);

/// What was linked into this process and is only read.
#[derive(Debug)]
pub struct Pages {
    ranges: Vec<Range<usize>>,
    /// Whether those that are not as in their files are known: to find them takes the kernel longer
    /// than the start has to spare.
    sifted: bool,
    due: Moment,
}

impl Pages {
    /// To be called before anything is loaded while the program runs, as the plug-ins of a sound card
    /// are: what is mapped now stays for good.
    pub fn linked(now: Moment) -> Self {
        let text = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
        let ranges = text.lines().filter_map(mapping).flatten().collect();
        Self { ranges, sifted: false, due: now + STARTED }
    }

    /// Gives back what is due, unless something is being said.
    pub fn look(&mut self, now: Moment, is_replying: bool) {
        if now >= self.due && !is_replying {
            self.due = now + AGAIN;
            if !std::mem::replace(&mut self.sifted, true) {
                let text = std::fs::read_to_string("/proc/self/smaps").unwrap_or_default();
                let same = unchanged(&text);
                self.ranges.retain(|range| same.contains(range));
            }
            self.ranges.iter().cloned().for_each(give_back);
        }
    }
}

/// Mappings of files that cannot be written and of which no page is a copy of our own.
fn unchanged(smaps: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut last = None;
    for line in smaps.lines() {
        if let Some(range) = mapping(line) {
            last = range;
        } else if line.split_whitespace().eq(["Anonymous:", "0", "kB"]) {
            found.extend(last.take());
        }
    }
    found
}

/// What the first line of a mapping speaks of: inside, the addresses where it is a file's, read only.
fn mapping(line: &str) -> Option<Option<Range<usize>>> {
    let mut words = line.split_whitespace();
    let (from, to) = words.next()?.split_once('-')?;
    let address = |digits| usize::from_str_radix(digits, 16).ok();
    let range = address(from)?..address(to)?;
    let access = words.next()?;
    let inode = words.nth(2)?;
    Some((access.starts_with("r-") && inode != "0").then_some(range))
}

#[expect(unsafe_code, reason = "no library offers it; why it is sound stands at the call")]
fn give_back(range: Range<usize>) {
    use nix::sys::mman::{MmapAdvise, madvise};
    let Some(start) = std::ptr::NonNull::new(std::ptr::with_exposed_provenance_mut(range.start))
    else {
        return;
    };
    // SAFETY: the range is of an object that was linked at the start, so it stays mapped as long as the
    // process lives; nobody may write there and no page of it differed from its file once the
    // linker was done. Whoever reads there reads the same bytes again.
    //
    // Where the kernel refuses, the memory stays where it is.
    let _ = unsafe { madvise(start, range.len(), MmapAdvise::MADV_DONTNEED) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_as_in_its_file_is_given_back() {
        let text = "\
560000000000-560000200000 r--p 00000000 fe:00 77                         /usr/bin/grok-speaker
Rss:                1188 kB
Anonymous:             0 kB
560000200000-560000800000 r-xp 00200000 fe:00 77                         /usr/bin/grok-speaker
Anonymous:             0 kB
560000800000-560000880000 r--p 00800000 fe:00 77                         /usr/bin/grok-speaker
Anonymous:           500 kB
560000880000-560000881000 rw-p 00880000 fe:00 77                         /usr/bin/grok-speaker
Anonymous:             0 kB
7fff00000000-7fff00001000 r-xp 00000000 00:00 0                          [vdso]
Anonymous:             0 kB
";
        let (start, code) = (0x5600_0000_0000, 0x5600_0020_0000);
        assert_eq!(unchanged(text), [start..code, code..0x5600_0080_0000]);
    }

    #[test]
    fn what_is_linked_is_found_and_only_what_was_not_written_stays() {
        let mut pages = Pages::linked(Moment::ZERO);
        let linked = pages.ranges.clone();
        assert!(!linked.is_empty());
        pages.look(Moment::ZERO + STARTED, false);
        assert!(!pages.ranges.is_empty() && pages.ranges.len() < linked.len(), "{linked:x?}");
        assert!(pages.ranges.iter().all(|range| linked.contains(range)));
    }

    #[test]
    fn it_is_done_after_the_start_and_now_and_then_but_not_into_a_reply() {
        let mut pages = Pages { ranges: Vec::new(), sifted: false, due: Moment::ZERO + STARTED };
        let mut given = |ms, is_replying| {
            let before = pages.due;
            pages.look(Moment::from_millis(ms), is_replying);
            pages.due != before
        };
        assert!(!given(4_900, false));
        assert!(!given(5_100, true));
        assert!(given(6_100, false));
        assert!(!given(66_000, false));
        assert!(given(66_100, false));
    }
}
