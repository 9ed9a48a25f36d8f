//! DOOR `/proc`, `/sys`, file systems: how the board under the speaker does. Read when somebody asks
//! and at no other time; a file of the kernel each, none of which waits for a device.
//!
//! What a machine does not have is left out: never zero, never invented.

mod memory;
mod network;
mod place;
mod power;
mod processor;
mod text;

pub use memory::Memory;
pub use network::{Network, Radio};
pub use place::{Disk, Place};
pub use power::{Power, When};
pub use processor::Processor;
pub use text::{field, ticks};

use crate::base::unit::Moment;
use serde::Serialize;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Longest file that is read: `/proc/stat` of a large server has 20 kB.
const FILE_MAX: u64 = 64 * 1024;
/// Entries of a folder that are looked at; a board has a few sensors and network interfaces.
const ENTRIES_MAX: usize = 32;

/// All that is known.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Facts {
    /// How busy it is.
    pub processor: Processor,
    /// What is free.
    pub memory: Memory,
    /// The hottest part of the processor, in degrees Celsius.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature_c: Option<f32>,
    /// Supply and throttling, on boards that tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub power: Option<Power>,
    /// Interfaces of hardware.
    pub network: Vec<Network>,
    /// Where the state is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk: Option<Disk>,
    /// What it is.
    pub place: Place,
}

/// Reads them.
#[derive(Debug)]
pub struct Device {
    root: Root,
    state: PathBuf,
    busy: processor::Meter,
}

impl Device {
    /// This machine; `state` is the folder whose disk counts.
    pub fn new(state: &Path) -> Self {
        Self::below(PathBuf::from("/"), state)
    }

    fn below(root: PathBuf, state: &Path) -> Self {
        Self { root: Root(root), state: state.to_owned(), busy: processor::Meter::default() }
    }

    /// How it does now. How busy it was is told since the last look, when that is not long ago.
    pub fn look(&mut self, now: Moment) -> Facts {
        let root = &self.root;
        Facts {
            processor: self.busy.look(root, now),
            memory: memory::look(root),
            temperature_c: power::temperature(root),
            power: power::look(root),
            network: network::look(root),
            disk: place::disk(&self.state),
            place: place::look(root),
        }
    }
}

/// Where `/proc`, `/sys` and `/run` begin: `/`, or a folder of samples in a test.
#[derive(Debug)]
struct Root(PathBuf);

impl Root {
    /// A small file whole, without white space around it; `None` when it is not there, is empty, or
    /// the kernel refuses to say.
    fn read(&self, path: &str) -> Option<String> {
        let mut text = Vec::new();
        std::fs::File::open(self.0.join(path)).ok()?.take(FILE_MAX).read_to_end(&mut text).ok()?;
        // Firmware ends its strings with a zero.
        let text = String::from_utf8_lossy(&text);
        let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\0');
        (!text.is_empty()).then(|| text.to_owned())
    }

    fn number(&self, path: &str) -> Option<f64> {
        self.read(path)?.parse().ok()
    }

    fn is_there(&self, path: &str) -> bool {
        self.0.join(path).exists()
    }

    /// Names in a folder, in order.
    fn list(&self, path: &str) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.0.join(path)) else { return Vec::new() };
        let name =
            |entry: std::io::Result<std::fs::DirEntry>| entry.ok()?.file_name().into_string().ok();
        let mut names: Vec<String> = entries.take(ENTRIES_MAX).filter_map(name).collect();
        names.sort();
        names
    }
}

#[cfg(test)]
mod samples {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    static NEXT: AtomicU32 = AtomicU32::new(0);

    /// A folder with these files, gone when it is dropped.
    pub(super) struct Samples(pub(super) Root);

    impl Samples {
        pub(super) fn new(files: &[(&str, &str)]) -> Self {
            let name =
                format!("device-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
            let samples = Self(Root(std::env::temp_dir().join(name)));
            for (path, text) in files {
                samples.put(path, text);
            }
            samples
        }

        pub(super) fn put(&self, path: &str, text: &str) {
            let path = self.0.0.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
    }

    impl Drop for Samples {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use samples::Samples;

    #[test]
    fn what_a_machine_does_not_have_is_left_out() {
        let empty = Samples::new(&[]);
        let mut device = Device::below(empty.0.0.clone(), &empty.0.0);
        let facts = serde_json::to_value(device.look(Moment::ZERO)).unwrap();
        let expected = serde_json::json!({
            "processor": {}, "memory": {}, "network": [], "place": {},
        });
        assert_eq!(facts, expected);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_machine_tells_what_every_machine_has() {
        let mut device = Device::new(&std::env::temp_dir());
        device.look(Moment::ZERO);
        let facts = device.look(Moment::from_millis(2000));
        let memory = facts.memory;
        assert!(memory.own > Some(1 << 20) && memory.own < memory.total, "{memory:?}");
        assert!(facts.disk.is_some_and(|disk| 0 < disk.total && disk.free <= disk.total));
        assert!(facts.processor.cores >= Some(1) && facts.place.kernel.is_some());
        assert!(facts.processor.percent.is_none_or(|p| (0.0..=100.0).contains(&p)));
    }
}
