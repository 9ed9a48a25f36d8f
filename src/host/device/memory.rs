//! Memory in bytes.

use super::Root;
use super::text::field;
use serde::Serialize;

/// Of the machine, and of this program.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Memory {
    /// What the machine has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    /// What programs could still get.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub available: Option<u64>,
    /// What this program takes: its own, and its part of what it shares (PSS), where the kernel
    /// tells; else all it has in memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub own: Option<u64>,
}

pub(super) fn look(root: &Root) -> Memory {
    let all = root.read("proc/meminfo").unwrap_or_default();
    let shared = root.read("proc/self/smaps_rollup").unwrap_or_default();
    let status = || root.read("proc/self/status").unwrap_or_default();
    Memory {
        total: bytes(&all, "MemTotal"),
        available: bytes(&all, "MemAvailable"),
        own: bytes(&shared, "Pss").or_else(|| bytes(&status(), "VmRSS")),
    }
}

fn bytes(text: &str, name: &str) -> Option<u64> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole kilobytes")]
    let kilobytes = field(text, name).filter(|k| (0.0..1e12).contains(k))? as u64;
    Some(kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::super::samples::Samples;
    use super::*;

    #[test]
    fn the_share_of_this_program_comes_from_the_best_file_there_is() {
        let board = Samples::new(&[
            ("proc/meminfo", "MemTotal:  8000 kB\nMemFree: 1 kB\nMemAvailable:  6000 kB\n"),
            ("proc/self/status", "VmRSS:\t 30 kB\n"),
        ]);
        let expected =
            Memory { total: Some(8_192_000), available: Some(6_144_000), own: Some(30_720) };
        assert_eq!(look(&board.0), expected);
        board.put("proc/self/smaps_rollup", "1-2 ---p 0 [rollup]\nRss: 30 kB\nPss:  20 kB\n");
        assert_eq!(look(&board.0).own, Some(20_480));
    }
}
