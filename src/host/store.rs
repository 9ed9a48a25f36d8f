//! What survives a restart: small files in the state directory.
//!
//! A file is replaced as a whole (written beside, synced, renamed) and the one before it is kept.
//! A file that makes no sense is set aside and said, and the one before it or the default is used.
//! A directory that is missing or read-only is survived: nothing is kept then, and that is said.

pub use super::keeper::Keeper;

use crate::base::event::Fault;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

/// Of the shape around the content; a file with another one is not ours.
const VERSION: u32 = 1;
/// Bytes of a file that are read: a longer one is not ours.
const LONGEST: u64 = 256 * 1024;

/// Why something could not be kept.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system says no.
    #[error("{path} cannot be written: {error}")]
    Io {
        /// Which file or directory.
        path: String,
        /// What it says.
        error: io::Error,
    },
    /// The content has no written form.
    #[error("{path}: {error}")]
    Shape {
        /// Which file.
        path: String,
        /// Why.
        error: serde_json::Error,
    },
}

/// What was read.
#[derive(Debug)]
pub struct Loaded<T> {
    /// The last good content, `None` when there is none.
    pub value: Option<T>,
    /// What had to be set aside.
    pub fault: Option<Fault>,
}

/// The state directory.
#[derive(Debug)]
pub struct Store {
    directory: PathBuf,
    permanent: AtomicBool,
}

#[derive(Serialize)]
struct Written<'a, T> {
    version: u32,
    content: &'a T,
}

#[derive(serde::Deserialize)]
struct Stored<T> {
    version: u32,
    content: T,
}

impl Store {
    /// Makes the directory where it is missing, readable by its owner only. What goes wrong is
    /// remembered in [`Store::is_permanent`] and said in the log.
    pub fn open(directory: &Path) -> Self {
        let store = Self { directory: directory.to_owned(), permanent: AtomicBool::new(true) };
        let probe = || -> io::Result<()> {
            DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
            let path = directory.join(".probe");
            private(&path)?;
            std::fs::remove_file(path)
        };
        if let Err(error) = probe() {
            store.permanent.store(false, Ordering::Relaxed);
            let path = directory.display();
            log::warn!(path:%, error:%; "state directory not writable: nothing survives a restart");
        }
        store
    }

    /// Whether what is saved will be there after a restart.
    pub fn is_permanent(&self) -> bool {
        self.permanent.load(Ordering::Relaxed)
    }

    /// Where the file of this name lies.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Reads the last good version of a file.
    pub fn load<T: DeserializeOwned>(&self, name: &str) -> Loaded<T> {
        self.load_as(name, from_json)
    }

    /// The same for a file of another form; the error of `form` says what is wrong with it.
    pub fn load_as<T>(&self, name: &str, form: fn(&[u8]) -> Result<T, String>) -> Loaded<T> {
        let current = self.path(name);
        let words = match read(&current, form) {
            Ok(Some(value)) => return Loaded { value: Some(value), fault: None },
            // Lost power between the two renames of `save`, or never written.
            Ok(None) => None,
            Err(why) => Some(set_aside(&current, &why)),
        };
        let previous = read(&beside(&current, "previous"), form);
        let value = previous.ok().flatten();
        let fault = words.map(|words| {
            let instead = if value.is_some() { "the one before it" } else { "the default" };
            Fault::StateSetAside { words: format!("{words}; {instead} is used") }
        });
        Loaded { value, fault }
    }

    /// Replaces a file as a whole; one with the same content already is left alone (cards wear
    /// out). Waits for the medium: not for the main thread, see [`Keeper`].
    ///
    /// # Errors
    /// When the file system says no, or the content has no written form.
    pub fn save<T: Serialize>(&self, name: &str, content: &T) -> Result<(), Error> {
        self.save_as(name, content, to_json)
    }

    /// The same for a file of another form.
    ///
    /// # Errors
    /// As [`Store::save`].
    pub fn save_as<T>(&self, name: &str, content: &T, form: Form<T>) -> Result<(), Error> {
        let path = self.path(name);
        let shown = || path.display().to_string();
        let bytes = form(content).map_err(|error| Error::Shape { path: shown(), error })?;
        let saved = self.replace(&path, &bytes);
        self.permanent.store(saved.is_ok(), Ordering::Relaxed);
        saved.map_err(|error| Error::Io { path: shown(), error })
    }

    fn replace(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        if std::fs::read(path).is_ok_and(|old| old == bytes) {
            return Ok(());
        }
        let fresh = beside(path, "new");
        let mut file = private(&fresh)?;
        // What root writes here is for the directory's owner to read.
        let owner = std::fs::metadata(&self.directory)?;
        if file.metadata()?.uid() != owner.uid() {
            std::os::unix::fs::fchown(&file, Some(owner.uid()), Some(owner.gid()))?;
        }
        file.write_all(bytes)?;
        file.sync_all()?;
        drop(file);
        match std::fs::rename(path, beside(path, "previous")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        std::fs::rename(&fresh, path)?;
        // The renames themselves must reach the medium.
        File::open(&self.directory)?.sync_all()
    }
}

/// How a value is written.
pub type Form<T> = fn(&T) -> serde_json::Result<Vec<u8>>;

pub(super) fn to_json<T: Serialize>(content: &T) -> serde_json::Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec_pretty(&Written { version: VERSION, content })?;
    bytes.push(b'\n');
    Ok(bytes)
}

fn from_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    let read: Stored<T> = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    if read.version != VERSION {
        return Err(format!("version {} and not {VERSION}", read.version));
    }
    Ok(read.content)
}

/// `settings.json` -> `settings.json.previous`.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    PathBuf::from(name)
}

/// An empty file that only its owner may read.
fn private(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
}

/// `None` when there is no such file; the error says what is wrong with it.
fn read<T>(path: &Path, form: fn(&[u8]) -> Result<T, String>) -> Result<Option<T>, String> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    let mut bytes = Vec::new();
    file.take(LONGEST + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > LONGEST {
        return Err(format!("longer than {LONGEST} bytes"));
    }
    form(&bytes).map(Some)
}

/// Renames a bad file, so that somebody can look at it; says what happened.
fn set_aside(path: &Path, why: &str) -> String {
    let aside = beside(path, "bad");
    match std::fs::rename(path, &aside) {
        Ok(()) => {
            format!("{} is bad ({why}) and was renamed to {}", path.display(), aside.display())
        }
        Err(error) => {
            format!("{} is bad ({why}) and cannot be set aside ({error})", path.display())
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    pub(crate) type Content = Vec<String>;

    pub(crate) struct Scratch(pub(crate) PathBuf);

    impl Scratch {
        pub(crate) fn new(name: &str) -> Self {
            let pid = std::process::id();
            let path = std::env::temp_dir().join(format!("grok-speaker-store-{pid}-{name}"));
            let _ = std::fs::remove_dir_all(&path);
            Self(path)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    pub(crate) fn content(text: &str) -> Content {
        vec![text.to_owned()]
    }

    pub(crate) fn load(store: &Store) -> (Option<Content>, Option<String>) {
        let loaded = store.load("settings.json");
        let words = loaded.fault.map(|fault| {
            let Fault::StateSetAside { words } = fault else { panic!("{fault:?}") };
            words
        });
        (loaded.value, words)
    }

    #[test]
    fn what_is_saved_is_there_and_private() {
        let scratch = Scratch::new("saved");
        let store = Store::open(&scratch.0.join("deeper"));
        assert!(store.is_permanent());
        assert_eq!(load(&store), (None, None));
        store.save("settings.json", &content("a")).unwrap();
        store.save("settings.json", &content("b")).unwrap();
        assert_eq!(load(&store), (Some(content("b")), None));
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&store.path("settings.json")), 0o600);
        assert_eq!(mode(&scratch.0.join("deeper")), 0o700);
        let names: Vec<_> = std::fs::read_dir(scratch.0.join("deeper")).unwrap().collect();
        assert_eq!(names.len(), 2, "the file and the one before it: {names:?}");
    }

    #[test]
    fn the_same_content_is_not_written_again() {
        let scratch = Scratch::new("same");
        let store = Store::open(&scratch.0);
        store.save("settings.json", &content("a")).unwrap();
        store.save("settings.json", &content("a")).unwrap();
        assert!(!store.path("settings.json.previous").exists());
    }

    #[test]
    fn a_bad_file_is_set_aside_and_the_one_before_it_is_used() {
        let scratch = Scratch::new("bad");
        let store = Store::open(&scratch.0);
        store.save("settings.json", &content("old")).unwrap();
        store.save("settings.json", &content("new")).unwrap();
        let long = " ".repeat(usize::try_from(LONGEST).unwrap() + 1);
        for bad in ["", "{", "{\"version\":2,\"content\":[\"x\"]}", "{\"version\":1}", &long] {
            std::fs::write(store.path("settings.json"), bad).unwrap();
            let (value, words) = load(&store);
            assert_eq!(value, Some(content("old")));
            let words = words.expect("said");
            assert!(words.contains("settings.json.bad; the one before it is used"), "{words}");
            assert!(!store.path("settings.json").exists());
            assert!(store.path("settings.json.bad").exists());
        }
        std::fs::write(store.path("settings.json.previous"), "bad too").unwrap();
        assert_eq!(load(&store), (None, None), "said once, and never a crash");
        std::fs::write(store.path("settings.json"), "bad").unwrap();
        let (value, words) = load(&store);
        assert_eq!(value, None);
        assert!(words.unwrap().ends_with("the default is used"));
    }

    #[test]
    fn a_lost_rename_costs_one_version() {
        let scratch = Scratch::new("lost");
        let store = Store::open(&scratch.0);
        store.save("settings.json", &content("a")).unwrap();
        std::fs::rename(store.path("settings.json"), store.path("settings.json.previous")).unwrap();
        assert_eq!(load(&store), (Some(content("a")), None));
    }

    #[test]
    fn a_directory_that_cannot_be_is_survived() {
        let store = Store::open(Path::new("/dev/null/state"));
        assert!(!store.is_permanent());
        assert_eq!(load(&store).0, None);
        let words = store.save("settings.json", &content("a")).unwrap_err().to_string();
        assert!(words.starts_with("/dev/null/state/settings.json cannot be written: "), "{words}");
    }
}
