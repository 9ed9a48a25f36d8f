//! What machine this is, how long it has been up, its clock and its disk.

use super::Root;
use nix::sys::statvfs::statvfs;
use serde::Serialize;
use std::path::Path;

/// The machine and its system.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Place {
    /// As its maker calls it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Name and version of the distribution.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// Version of the kernel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kernel: Option<String>,
    /// Seconds since it was switched on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub up_s: Option<f64>,
    /// Whether the network has set the clock; unknown where another program than systemd does it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock_set: Option<bool>,
}

/// Where the state is kept, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Disk {
    /// The whole.
    pub total: u64,
    /// What this program may still fill.
    pub free: u64,
}

pub(super) fn look(root: &Root) -> Place {
    let model = ["sys/firmware/devicetree/base/model", "sys/class/dmi/id/product_name"];
    let system = ["etc/os-release", "usr/lib/os-release"];
    Place {
        model: model.iter().find_map(|path| root.read(path)),
        system: system.iter().find_map(|path| pretty_name(&root.read(path)?)),
        kernel: root.read("proc/sys/kernel/osrelease"),
        up_s: root.read("proc/uptime").and_then(|t| t.split_whitespace().next()?.parse().ok()),
        clock_set: root
            .is_there("run/systemd/timesync")
            .then(|| root.is_there("run/systemd/timesync/synchronized")),
    }
}

fn pretty_name(text: &str) -> Option<String> {
    let name = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
    Some(name.trim_matches('"').to_owned()).filter(|name| !name.is_empty())
}

pub(super) fn disk(path: &Path) -> Option<Disk> {
    let found = statvfs(path).ok()?;
    #[expect(clippy::unnecessary_cast, reason = "its numbers have 32 bits on some systems")]
    let bytes = |blocks| (blocks as u64).saturating_mul(found.fragment_size() as u64);
    let (total, free) = (bytes(found.blocks()), bytes(found.blocks_available()));
    // File systems of the kernel itself have no size.
    (total > 0).then_some(Disk { total, free })
}

#[cfg(test)]
mod tests {
    use super::super::samples::Samples;
    use super::*;

    #[test]
    fn a_board_names_itself() {
        let board = Samples::new(&[
            ("sys/firmware/devicetree/base/model", "Some Board 4 Model B Rev 1.1\0"),
            ("etc/os-release", "NAME=\"x\"\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n"),
            ("proc/sys/kernel/osrelease", "6.6.31+rpt-rpi-v8\n"),
            ("proc/uptime", "350735.47 234388.90\n"),
        ]);
        let place = look(&board.0);
        assert_eq!(place.model.as_deref(), Some("Some Board 4 Model B Rev 1.1"));
        assert_eq!(place.system.as_deref(), Some("Debian GNU/Linux 12 (bookworm)"));
        assert_eq!(place.kernel.as_deref(), Some("6.6.31+rpt-rpi-v8"));
        assert_eq!((place.up_s, place.clock_set), (Some(350_735.47), None));
        board.put("run/systemd/timesync/clock", "");
        assert_eq!(look(&board.0).clock_set, Some(false));
        board.put("run/systemd/timesync/synchronized", "");
        assert_eq!(look(&board.0).clock_set, Some(true));
    }

    #[test]
    fn a_folder_that_is_not_there_has_no_disk() {
        assert_eq!(disk(Path::new("/no/such/folder")), None);
    }
}
