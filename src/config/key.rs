//! DOOR files: where the API key comes from. It is never a configuration value and never printed.

use crate::base::secret::Secret;
use std::fmt;
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Name of the systemd credential.
const CREDENTIAL: &str = "xai_api_key";
/// Name of the panel's file in the state directory.
const STORED: &str = "api_key";
/// The environment variable, for use outside systemd.
const VARIABLE: &str = "XAI_API_KEY";
/// Longest key: ten times what keys are, and a wrong file is told from a key.
const KEY_BYTES_MAX: u64 = 4096;

/// Where to look.
#[derive(Clone, Default)]
pub struct KeySources {
    /// `$CREDENTIALS_DIRECTORY`.
    pub credentials: Option<PathBuf>,
    /// `grok.key_file`.
    pub key_file: Option<PathBuf>,
    /// `state.directory`.
    pub state: PathBuf,
    /// `$XAI_API_KEY`.
    pub variable: Option<String>,
}

impl fmt::Debug for KeySources {
    /// Without the variable: it is the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeySources")
            .field("credentials", &self.credentials)
            .field("key_file", &self.key_file)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

impl KeySources {
    /// This process's, with what the configuration says.
    pub fn of_process(key_file: Option<PathBuf>, state: PathBuf) -> Self {
        Self {
            credentials: std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from),
            key_file,
            state,
            variable: std::env::var(VARIABLE).ok(),
        }
    }
}

/// Where a key was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A systemd credential.
    Credential(PathBuf),
    /// `grok.key_file`.
    KeyFile(PathBuf),
    /// Stored by the panel.
    Stored(PathBuf),
    /// The environment.
    Variable,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Credential(path) => write!(f, "credential {}", path.display()),
            Self::KeyFile(path) => write!(f, "grok.key_file {}", path.display()),
            Self::Stored(path) => write!(f, "stored by the panel in {}", path.display()),
            Self::Variable => write!(f, "environment {VARIABLE}"),
        }
    }
}

/// A key and where it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The key.
    pub key: Secret,
    /// Where.
    pub place: Place,
}

/// A place that has a key which cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// It cannot be read.
    #[error("API key: {place}: {words}")]
    Unreadable {
        /// Where.
        place: Place,
        /// Why.
        words: String,
    },
    /// Others may read it.
    #[error(
        "API key: {place} has mode {mode:04o}, so that others can read it; \
         allowed are 0600 and 0400: chmod 600 {}", .path.display()
    )]
    Open {
        /// Where.
        place: Place,
        /// The same as a path.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// What is there is no key.
    #[error("API key: {place} holds no key: a key is one line of visible ASCII characters")]
    NotAKey {
        /// Where.
        place: Place,
    },
}

/// Looks in the order of the contract; the first place that has a key wins, and `None` means that
/// no place has one.
///
/// # Errors
/// A place that has something unusable: a later one must not hide it.
pub fn find(sources: &KeySources) -> Result<Option<Found>, KeyError> {
    if let Some(folder) = &sources.credentials {
        let path = folder.join(CREDENTIAL);
        // systemd guards the directory; the file's own mode differs between its versions.
        if let Some(found) = file(&path, Place::Credential(path.clone()), false, false)? {
            return Ok(Some(found));
        }
    }
    if let Some(path) = &sources.key_file {
        let place = Place::KeyFile(path.clone());
        return match file(path, place.clone(), true, true)? {
            Some(found) => Ok(Some(found)),
            None => Err(KeyError::NotAKey { place }),
        };
    }
    let path = sources.state.join(STORED);
    if let Some(found) = file(&path, Place::Stored(path.clone()), false, true)? {
        return Ok(Some(found));
    }
    match sources.variable.as_deref() {
        Some(text) => key(text, Place::Variable),
        None => Ok(None),
    }
}

/// Stores a key where [`find`] looks for the panel's: whole or not at all, readable by us only.
///
/// # Errors
/// What the file system says.
pub fn store(state: &Path, key: &Secret) -> std::io::Result<()> {
    let path = state.join(STORED);
    let fresh = path.with_extension("new");
    match std::fs::remove_file(&fresh) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(&fresh)?;
    writeln!(file, "{}", key.expose())?;
    file.sync_all()?;
    std::fs::rename(&fresh, &path)?;
    File::open(state)?.sync_all()
}

/// The key of a file; `None` when it is empty, or absent and not `required`.
fn file(
    path: &Path,
    place: Place,
    required: bool,
    private: bool,
) -> Result<Option<Found>, KeyError> {
    let words = match read(path, private) {
        Ok(Contents::Text(text)) => return key(&text, place),
        Ok(Contents::Open(mode)) => {
            return Err(KeyError::Open { place, path: path.to_owned(), mode });
        }
        Err(error) if error.kind() == ErrorKind::NotFound && !required => return Ok(None),
        Err(error) => error.to_string(),
    };
    Err(KeyError::Unreadable { place, words })
}

enum Contents {
    Text(String),
    Open(u32),
}

fn read(path: &Path, private: bool) -> std::io::Result<Contents> {
    // Before opening: a pipe would block for ever.
    if !std::fs::metadata(path)?.is_file() {
        return Err(std::io::Error::other("not a file"));
    }
    let file = File::open(path)?;
    let mode = file.metadata()?.permissions().mode() & 0o7777;
    if private && !matches!(mode, 0o600 | 0o400) {
        return Ok(Contents::Open(mode));
    }
    let mut bytes = Vec::new();
    file.take(KEY_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > KEY_BYTES_MAX {
        return Err(std::io::Error::other("longer than any key"));
    }
    String::from_utf8(bytes).map(Contents::Text).map_err(|_| std::io::Error::other("not text"))
}

fn key(text: &str, place: Place) -> Result<Option<Found>, KeyError> {
    let Some(key) = Secret::new(text) else { return Ok(None) };
    if key.expose().bytes().all(|b| b.is_ascii_graphic()) {
        Ok(Some(Found { key, place }))
    } else {
        Err(KeyError::NotAKey { place })
    }
}
