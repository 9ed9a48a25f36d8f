//! What survives a restart: small files in the state directory.
//!
//! A file is replaced as a whole (written beside, synced, renamed) and the one before it is kept.
//! A file that makes no sense is set aside and said, and the one before it or the default is used.
//! A directory that is missing or read-only is survived: nothing is kept then, and that is said.

use super::thread::{Priority, Worker};
use crate::base::event::Fault;
use crate::base::ring::Silent;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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
        let current = self.path(name);
        let words = match read(&current) {
            Ok(Some(value)) => return Loaded { value: Some(value), fault: None },
            // Lost power between the two renames of `save`, or never written.
            Ok(None) => None,
            Err(why) => Some(set_aside(&current, &why)),
        };
        let previous = read(&beside(&current, "previous"));
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
        let path = self.path(name);
        let shown = || path.display().to_string();
        let mut bytes = serde_json::to_vec_pretty(&Written { version: VERSION, content })
            .map_err(|error| Error::Shape { path: shown(), error })?;
        bytes.push(b'\n');
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
fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, String> {
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
    let read: Stored<T> = serde_json::from_slice(&bytes).map_err(|error| error.to_string())?;
    if read.version != VERSION {
        return Err(format!("version {} and not {VERSION}", read.version));
    }
    Ok(Some(read.content))
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

/// Keeps one value in its file from a thread of its own: a card may take seconds for a write, and
/// nobody waits for it. The newest value wins; one that was overtaken is never written. The thread
/// is there only while something is to be written.
#[derive(Debug)]
pub struct Keeper<T: Serialize + Send + 'static> {
    store: Arc<Store>,
    name: &'static str,
    slot: Arc<Mutex<Slot<T>>>,
    worker: Option<Worker>,
}

#[derive(Debug)]
struct Slot<T> {
    /// Handed over and not yet written.
    newest: Option<T>,
    /// A thread writes, and looks here again before it ends.
    writing: bool,
}

impl<T: Serialize + Send + 'static> Keeper<T> {
    /// Keeps values in the file of this name.
    pub fn new(store: Arc<Store>, name: &'static str) -> Self {
        let slot = Arc::new(Mutex::new(Slot { newest: None, writing: false }));
        Self { store, name, slot, worker: None }
    }

    /// Hands over a value; never waits for the medium.
    pub fn keep(&mut self, value: T) {
        let over = self.worker.as_ref().is_none_or(Worker::is_over);
        let mut slot = lock(&self.slot);
        slot.newest = Some(value);
        // A writer that is over without having said so has panicked.
        if slot.writing && !over {
            return;
        }
        slot.writing = true;
        drop(slot);
        self.join();
        let (store, name, slot) = (Arc::clone(&self.store), self.name, Arc::clone(&self.slot));
        let body = move || write(&store, name, &slot);
        match Worker::spawn("store", Priority::Normal, Arc::new(Silent), body) {
            Ok(worker) => self.worker = Some(worker),
            Err(error) => {
                lock(&self.slot).writing = false;
                log::warn!(error:%; "no thread to keep the settings; they are kept later");
            }
        }
    }

    fn join(&mut self) {
        if let Some(Err(panicked)) = self.worker.take().map(Worker::join) {
            log::error!(error:% = panicked; "the settings were not kept");
        }
    }
}

fn lock<T>(slot: &Mutex<Slot<T>>) -> MutexGuard<'_, Slot<T>> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Writes until nothing is left.
fn write<T: Serialize>(store: &Store, name: &str, slot: &Mutex<Slot<T>>) {
    loop {
        let value = {
            let mut slot = lock(slot);
            slot.writing = slot.newest.is_some();
            slot.newest.take()
        };
        let Some(value) = value else { return };
        if let Err(error) = store.save(name, &value) {
            log::warn!(error:%; "settings are lost at the next start");
        }
    }
}

impl<T: Serialize + Send + 'static> Drop for Keeper<T> {
    /// Waits until the newest value is written.
    fn drop(&mut self) {
        self.join();
        // What no thread could be had for.
        write(&self.store, self.name, &self.slot);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use std::time::Duration;

    type Content = Vec<String>;

    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
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

    fn content(text: &str) -> Content {
        vec![text.to_owned()]
    }

    fn load(store: &Store) -> (Option<Content>, Option<String>) {
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

    #[test]
    fn a_keeper_writes_the_newest_before_it_ends() {
        let scratch = Scratch::new("keeper");
        let store = Arc::new(Store::open(&scratch.0));
        let mut keeper = Keeper::new(Arc::clone(&store), "settings.json");
        for index in 0..50 {
            keeper.keep(content(&index.to_string()));
        }
        drop(keeper);
        assert_eq!(load(&store), (Some(content("49")), None));
    }

    #[test]
    fn a_keeper_has_a_thread_only_while_it_writes() {
        let scratch = Scratch::new("rest");
        let store = Arc::new(Store::open(&scratch.0));
        let mut keeper = Keeper::new(Arc::clone(&store), "settings.json");
        assert!(keeper.worker.is_none());
        for text in ["first", "second"] {
            keeper.keep(content(text));
            let begun = super::super::clock::now();
            while !keeper.worker.as_ref().unwrap().is_over() {
                let waited = super::super::clock::now().since(begun);
                assert!(waited < Duration::from_secs(20), "the thread stays");
                std::thread::park_timeout(Duration::from_millis(1));
            }
            assert_eq!(load(&store), (Some(content(text)), None));
        }
    }

    /// Its written form waits for a gate, as a slow card would, and may be a bug.
    struct Slow(u32, Arc<Mutex<()>>);

    impl Serialize for Slow {
        fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
            drop(self.1.lock());
            assert_ne!(self.0, 13, "a bug");
            vec![self.0.to_string()].serialize(to)
        }
    }

    #[test]
    fn a_value_that_was_overtaken_is_never_written() {
        let scratch = Scratch::new("overtaken");
        let store = Arc::new(Store::open(&scratch.0));
        let gate = Arc::new(Mutex::new(()));
        let mut keeper = Keeper::new(Arc::clone(&store), "settings.json");
        let shut = gate.lock().unwrap();
        keeper.keep(Slow(1, Arc::clone(&gate)));
        while lock(&keeper.slot).newest.is_some() {
            std::thread::park_timeout(Duration::from_millis(1));
        }
        (2..9).for_each(|index| keeper.keep(Slow(index, Arc::clone(&gate))));
        drop(shut);
        drop(keeper);
        assert_eq!(load(&store), (Some(content("8")), None));
        let before = std::fs::read_to_string(store.path("settings.json.previous")).unwrap();
        assert!(before.contains("\"1\""), "{before}");
    }

    #[test]
    fn a_keeper_survives_a_bug_in_its_thread() {
        let scratch = Scratch::new("bug");
        let store = Arc::new(Store::open(&scratch.0));
        let gate = Arc::new(Mutex::new(()));
        let mut keeper = Keeper::new(Arc::clone(&store), "settings.json");
        keeper.keep(Slow(13, Arc::clone(&gate)));
        while !keeper.worker.as_ref().unwrap().is_over() {
            std::thread::park_timeout(Duration::from_millis(1));
        }
        keeper.keep(Slow(14, gate));
        drop(keeper);
        assert_eq!(load(&store), (Some(content("14")), None));
    }
}
