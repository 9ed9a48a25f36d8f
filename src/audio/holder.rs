//! Who holds a sound device: the answer is in `/proc/*/fd`.

use crate::base::event::Side;
use std::path::Path;

/// Processes looked at; more than that means that something else is wrong.
const PROCESSES: usize = 4096;

/// The process that has a PCM of this card and side open, as `name (pid 123)`. `card` absent means
/// any card. Without the right to look into other users' processes it finds only our own.
pub(super) fn holder(card: Option<i32>, side: Side) -> Option<String> {
    holder_under(Path::new("/proc"), card, side)
}

fn holder_under(proc: &Path, card: Option<i32>, side: Side) -> Option<String> {
    let own = std::process::id();
    let mut found = None;
    for entry in std::fs::read_dir(proc).ok()?.flatten().take(PROCESSES) {
        let name = entry.file_name();
        let Some(pid) = name.to_str().and_then(|n| n.parse::<u32>().ok()) else { continue };
        let Ok(files) = std::fs::read_dir(entry.path().join("fd")) else { continue };
        let holds = files.flatten().any(|f| {
            std::fs::read_link(f.path()).is_ok_and(|to| is_pcm(&to.to_string_lossy(), card, side))
        });
        if holds {
            let who = std::fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
            let words = format!("{} (pid {pid})", who.trim());
            // Somebody else is news; ourselves only if nobody else is found.
            if pid != own {
                return Some(words);
            }
            found = Some(words);
        }
    }
    found
}

/// Whether a path is `/dev/snd/pcmC<card>D<device><c|p>` of the card and side.
fn is_pcm(path: &str, card: Option<i32>, side: Side) -> bool {
    let letter = match side {
        Side::Capture => 'c',
        Side::Playout => 'p',
    };
    let Some(rest) = path.strip_prefix("/dev/snd/pcmC") else { return false };
    let Some((number, device)) = rest.split_once('D') else { return false };
    device.ends_with(letter) && card.is_none_or(|c| number == c.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn finds_the_process_by_its_open_files() {
        let root = std::env::temp_dir().join(format!("holder-{}", std::process::id()));
        let fd = root.join("4711/fd");
        std::fs::create_dir_all(&fd).unwrap();
        std::fs::create_dir_all(root.join("self")).unwrap();
        std::fs::write(root.join("4711/comm"), "aplay\n").unwrap();
        symlink("/dev/null", fd.join("0")).unwrap();
        symlink("/dev/snd/pcmC2D0p", fd.join("5")).unwrap();
        let look = |card, side| holder_under(&root, card, side);
        assert_eq!(look(Some(2), Side::Playout).as_deref(), Some("aplay (pid 4711)"));
        assert_eq!(look(None, Side::Playout).as_deref(), Some("aplay (pid 4711)"));
        assert_eq!(look(Some(2), Side::Capture), None);
        assert_eq!(look(Some(1), Side::Playout), None);
        std::fs::remove_dir_all(root).unwrap();
    }
}
