//! DOOR to files of the state directory that nobody else may read.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// A file of the state directory of at most `max` bytes; `None` when there is none yet.
pub(super) fn read(file: &Path, max: u64) -> Result<Option<Vec<u8>>, String> {
    match std::fs::metadata(file) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e.to_string()),
        Ok(facts) if facts.len() > max => Err(format!("{} bytes", facts.len())),
        Ok(_) => std::fs::read(file).map(Some).map_err(|e| e.to_string()),
    }
}

/// Says so for a person, and what follows from it.
pub(super) fn put_aside(file: &Path, why: &str, so: &str) -> String {
    let aside = file.with_extension("json.bad");
    let moved = std::fs::rename(file, &aside);
    let fate = moved.map_or_else(
        |e| format!("could not be set aside ({e})"),
        |()| format!("was set aside as {}", aside.display()),
    );
    format!("{} is unreadable ({why}) and {fate}; {so}", file.display())
}

/// The old file or the new one, whatever happens in between; readable by us only.
pub(super) fn replace(file: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let dir = file.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(dir)?;
    let fresh = file.with_extension("json.new");
    let _ = std::fs::remove_file(&fresh);
    let mut out =
        std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
    out.write_all(bytes)?;
    out.sync_all()?;
    std::fs::rename(&fresh, file)?;
    std::fs::File::open(dir)?.sync_all()
}
