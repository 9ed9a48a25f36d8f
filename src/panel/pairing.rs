//! DOOR to comparisons that take as long whatever they find. Who is paired, and its memory on disk; what
//! is decided is decided in `trust`.

use super::state_file::{put_aside, read, replace};
use super::token::{code, csrf, hash, hex, random};
use super::trust::{Code, Denied, Ledger, Opener, Role, SESSIONS, Session, TokenHash, Unable};
use crate::base::unit::Moment;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

/// Wall clock in seconds since 1970, as good as the board has it.
pub type Wall = Arc<dyn Fn() -> u64 + Send + Sync>;

/// File of the paired clients in the state directory.
const FILE: &str = "sessions.json";
/// A larger file was not written by us: 25 sessions are below 10 kB.
const FILE_MAX: u64 = 256 * 1024;

/// Who may use the panel. Shared by the panel thread (pairs, checks) and the control socket (opens
/// windows); a lock is held for microseconds only.
#[derive(Clone)]
pub struct Trust(Arc<Inner>);

struct Inner {
    ledger: Mutex<Ledger>,
    /// Who everybody is that is not paired, where they may watch.
    guest: OnceLock<Visitor>,
    /// Makes the cookie's name differ between two speakers on one host name.
    device: String,
    file: PathBuf,
    wall: Wall,
    set_aside: Option<String>,
    clients: AtomicUsize,
    inspected: AtomicBool,
    /// The name under which neighbours find this machine, where it is not its own.
    alias: Mutex<Option<String>>,
    next_client: AtomicU64,
    /// Changes of roles and revocations; live panels are looked at anew.
    changes: AtomicU64,
    panics: AtomicUsize,
    lost: AtomicUsize,
}

impl std::fmt::Debug for Trust {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Trust").field("file", &self.0.file).finish_non_exhaustive()
    }
}

/// The file as written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    device: String,
    sessions: Vec<Session>,
}

/// A session that has just been made.
#[derive(Debug)]
pub(super) struct Paired {
    /// For the cookie; nowhere else.
    pub(super) token: String,
    pub(super) role: Role,
    pub(super) csrf: String,
}

/// Whose request this is.
#[derive(Debug, Clone)]
pub(super) struct Visitor {
    pub(super) session: TokenHash,
    pub(super) role: Role,
    /// What the page must say again inside Socket.IO, where only our own page can have read it.
    pub(super) csrf: String,
}

impl Trust {
    /// With the clients paired in earlier runs. A file that cannot be understood is set aside
    /// ([`Trust::set_aside`] says so); a directory that cannot be written keeps pairings in memory.
    pub fn open(state_dir: &Path, wall: Wall) -> Self {
        let file = state_dir.join(FILE);
        let (stored, set_aside) = match load(&file) {
            Ok(stored) => (stored, None),
            Err(why) => (None, Some(put_aside(&file, &why, "panels must pair again"))),
        };
        let fresh = stored.is_none();
        let stored =
            stored.unwrap_or_else(|| Stored { device: hex(&random::<4>()), sessions: Vec::new() });
        let trust = Self(Arc::new(Inner {
            ledger: Mutex::new(Ledger::new(stored.sessions)),
            guest: OnceLock::new(),
            device: stored.device,
            file,
            wall,
            set_aside,
            clients: AtomicUsize::new(0),
            inspected: AtomicBool::new(false),
            alias: Mutex::default(),
            next_client: AtomicU64::new(1),
            changes: AtomicU64::new(0),
            panics: AtomicUsize::new(0),
            lost: AtomicUsize::new(0),
        }));
        if fresh {
            trust.store();
        }
        trust
    }

    /// For a person: which file was set aside at the start and why.
    pub fn set_aside(&self) -> Option<&str> {
        self.0.set_aside.as_deref()
    }

    /// Opens a pairing window for somebody at the device (by a command) and says the code.
    pub fn open_window(&self, role: Role, now: Moment) -> Code {
        let number = code();
        match self.ledger().open_window(Opener::Local, role, number, now) {
            Ok(code) => code,
            // Never for a local opener; a code that is not good for anything is a safe answer.
            Err(_) => Code { number, role, until: now },
        }
    }

    /// Whether a code is good for something.
    pub fn is_open(&self, now: Moment) -> bool {
        self.ledger().is_open(now)
    }

    /// A button was held: opens a pairing window for an admin and says the code. Never has to wait.
    pub fn held(&self, now: Moment) -> Code {
        self.ledger().held(code(), now)
    }

    /// Opens a pairing window for an admin at a panel and says the code, or how long to wait.
    pub fn invite(&self, role: Role, now: Moment) -> Result<Code, Duration> {
        self.ledger().open_window(Opener::Panel, role, code(), now)
    }

    /// Takes a fresh code of the device as proof that this client's owner is there.
    pub fn step_up(&self, client: &TokenHash, code: &str, now: Moment) -> Result<Duration, Denied> {
        self.ledger().step_up(client, code, now)
    }

    /// How much longer the owner of this client counts as present.
    pub fn stepped(&self, client: &TokenHash, now: Moment) -> Option<Duration> {
        self.ledger().stepped(client, now)
    }

    /// Another name for a paired client.
    pub fn rename(&self, id: &str, name: &str) -> Result<(), Unable> {
        self.change(|ledger| ledger.rename(id, name))
    }

    /// Another role; its live panels connect anew.
    pub fn set_role(&self, id: &str, role: Role) -> Result<(), Unable> {
        self.change(|ledger| ledger.set_role(id, role))
    }

    /// It is not paired any more; its live panels go at once.
    pub fn revoke(&self, id: &str) -> Result<(), Unable> {
        self.change(|ledger| ledger.revoke(id))
    }

    /// It is not paired any more because it wants to be; its live panels go at once.
    pub(super) fn leave(&self, client: &TokenHash) -> Result<(), Unable> {
        self.change(|ledger| ledger.leave(client))
    }

    fn change(&self, how: impl FnOnce(&mut Ledger) -> Result<(), Unable>) -> Result<(), Unable> {
        how(&mut self.ledger())?;
        self.0.changes.fetch_add(1, Ordering::Relaxed);
        self.store();
        Ok(())
    }

    /// How often a paired client was changed.
    pub(super) fn changes(&self) -> u64 {
        self.0.changes.load(Ordering::Relaxed)
    }

    /// Live panels.
    pub fn clients(&self) -> usize {
        self.0.clients.load(Ordering::Relaxed)
    }

    /// Whether a panel wants to see the messages of the wire.
    pub fn is_inspected(&self) -> bool {
        self.0.inspected.load(Ordering::Relaxed)
    }

    /// The name under which neighbours find this machine, where another device has its own.
    pub fn alias(&self) -> Option<String> {
        self.0.alias.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Paired clients, live or not.
    pub fn paired(&self) -> usize {
        self.ledger().sessions().len()
    }

    /// The paired clients as they are now.
    pub fn sessions(&self) -> Vec<Session> {
        self.ledger().sessions().to_vec()
    }

    /// Panics in the panel since the start; each cost one connection.
    pub fn panics(&self) -> usize {
        self.0.panics.load(Ordering::Relaxed)
    }

    /// Pairing windows lost to wrong codes since the start.
    pub fn lost(&self) -> usize {
        self.0.lost.load(Ordering::Relaxed)
    }

    pub(super) fn count_clients(&self, live: usize) {
        self.0.clients.store(live, Ordering::Relaxed);
    }

    /// Another device has this machine's name, and neighbours find it under this one; or no more.
    pub fn go_by(&self, alias: Option<&str>) {
        *self.0.alias.lock().unwrap_or_else(PoisonError::into_inner) = alias.map(str::to_owned);
    }

    pub(super) fn inspect(&self, on: bool) {
        self.0.inspected.store(on, Ordering::Relaxed);
    }

    /// A number for a panel, never used twice in one run, even when the panel is started anew.
    pub(super) fn next_client(&self) -> u64 {
        self.0.next_client.fetch_add(1, Ordering::Relaxed)
    }

    /// A panic that was contained.
    pub fn count_panic(&self) {
        self.0.panics.fetch_add(1, Ordering::Relaxed);
    }

    /// Eight digits that no other speaker has.
    pub(super) fn device(&self) -> &str {
        &self.0.device
    }

    /// Name of the session cookie; over TLS one that browsers keep from everything else, plain HTTP
    /// included.
    pub(super) fn cookie(&self, secure: bool) -> String {
        format!("{}spk_{}", if secure { "__Host-" } else { "" }, self.0.device)
    }

    /// Makes a session for whoever knows the code.
    pub(super) fn pair(&self, code: &str, name: &str, now: Moment) -> Result<Paired, Denied> {
        let token = hex(&random::<32>());
        let role = {
            let times = (now, (self.0.wall)());
            let paired = self.ledger().pair(code, hash(&token), name, times);
            paired.inspect_err(|denied| {
                if *denied == Denied::Lost {
                    self.0.lost.fetch_add(1, Ordering::Relaxed);
                }
            })?
        };
        self.store();
        let csrf = csrf(&token);
        Ok(Paired { token, role, csrf })
    }

    /// As [`Trust::pair`], for the tests of whoever serves the panel.
    #[cfg(test)]
    pub(crate) fn enter(&self, code: &str, name: &str, now: Moment) -> Result<TokenHash, Denied> {
        self.pair(code, name, now).map(|paired| hash(&paired.token))
    }

    /// From now on whoever is not paired may watch. All of them are one client: together they have
    /// the places of one browser, and none of a paired one.
    pub(super) fn let_watch(&self) {
        self.0.guest.get_or_init(|| {
            let token = hex(&random::<32>());
            Visitor { session: hash(&token), role: Role::Viewer, csrf: csrf(&token) }
        });
    }

    /// Who is not paired, where that is allowed.
    pub(super) fn guest(&self) -> Option<&Visitor> {
        self.0.guest.get()
    }

    /// Whose cookie this is. Compares with every stored hash, each in the same time.
    pub(super) fn visitor(&self, token: &str, now: Moment) -> Option<Visitor> {
        let session = hash(token);
        let (session, role, stale) = {
            let mut ledger = self.ledger();
            let mut found = u32::MAX;
            for (index, known) in (0..).zip(ledger.sessions()) {
                let before = known.before.filter(|(_, until)| now < *until);
                let before = before.map_or(known.token, |(token, _)| token);
                let same: Choice = known.token.0.ct_eq(&session.0) | before.0.ct_eq(&session.0);
                found.conditional_assign(&index, same);
            }
            let index = usize::try_from(found).ok()?;
            let (role, stale) = ledger.touch(index, now, (self.0.wall)())?;
            // The one before is good for a moment longer, for the same client.
            (ledger.sessions()[index].token, role, stale)
        };
        if stale {
            self.store();
        }
        Some(Visitor { session, role, csrf: csrf(token) })
    }

    /// Another token for a client that is due for one.
    pub(super) fn renew(&self, token: &str, now: Moment) -> Option<Paired> {
        let fresh = hex(&random::<32>());
        let role = {
            let mut ledger = self.ledger();
            let times = (now, (self.0.wall)());
            ledger.renew(&hash(token), hash(&fresh), times).then_some(())?;
            ledger.sessions().iter().find(|s| s.token == hash(&fresh))?.role
        };
        self.store();
        let csrf = csrf(&fresh);
        Some(Paired { token: fresh, role, csrf })
    }

    /// Whether no later token was given to its client.
    pub(super) fn is_newest(&self, token: &str) -> bool {
        let session = hash(token);
        self.ledger().sessions().iter().any(|known| known.token == session)
    }

    /// What this client may do while it is paired; a live panel counts as use.
    pub(super) fn alive(&self, session: &TokenHash, now: Moment) -> Option<Role> {
        if let Some(guest) = self.guest().filter(|guest| guest.session == *session) {
            return Some(guest.role);
        }
        let touched = {
            let mut ledger = self.ledger();
            let index = ledger.sessions().iter().position(|known| known.token == *session);
            index.and_then(|index| ledger.touch(index, now, (self.0.wall)()))
        };
        if touched.is_some_and(|(_, stale)| stale) {
            self.store();
        }
        touched.map(|(role, _)| role)
    }

    fn ledger(&self) -> std::sync::MutexGuard<'_, Ledger> {
        // A panic elsewhere leaves a whole table behind: every change is one push or remove.
        self.0.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes the table; only the panel thread does after the start. The lock is not held
    /// meanwhile: a memory card may take its time.
    fn store(&self) {
        let stored =
            Stored { device: self.0.device.clone(), sessions: self.ledger().sessions().to_vec() };
        let text = serde_json::to_vec_pretty(&stored).unwrap_or_default();
        if let Err(error) = replace(&self.0.file, &text) {
            log::warn!(
                file:% = self.0.file.display(), error:%;
                "paired clients could not be stored; they must pair again after a restart"
            );
        }
    }
}

/// `None` when there is no file yet.
fn load(file: &Path) -> Result<Option<Stored>, String> {
    let Some(bytes) = read(file, FILE_MAX)? else { return Ok(None) };
    let stored: Stored = serde_json::from_slice(&bytes).map_err(|e| e.to_string())?;
    let id = stored.device.as_bytes();
    if id.len() != 8 || !id.iter().all(u8::is_ascii_hexdigit) || stored.sessions.len() > SESSIONS {
        return Err("a value is out of range".to_owned());
    }
    Ok(Some(stored))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::panel::token::same;
    use std::os::unix::fs::PermissionsExt;

    /// A directory of its own for one test, removed afterwards.
    struct Dir(PathBuf);

    impl Dir {
        fn new() -> Self {
            Self(std::env::temp_dir().join(format!("panel-{}", hex(&random::<8>()))))
        }
    }

    impl Drop for Dir {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn open(dir: &Dir) -> Trust {
        Trust::open(&dir.0, Arc::new(|| 1_800_000_000))
    }

    #[test]
    fn only_hashes_are_stored_readable_by_us_and_outlive_a_restart() {
        let dir = Dir::new();
        let trust = open(&dir);
        let code = trust.open_window(Role::Controller, Moment::ZERO).to_string();
        let paired = trust.pair(&code, "phone", Moment::ZERO).unwrap();
        let file = dir.0.join(FILE);
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(!text.contains(&paired.token) && !text.contains(&paired.csrf));
        assert!(text.contains(&hash(&paired.token).to_string()));
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);

        let later = open(&dir);
        assert_eq!(later.set_aside(), None);
        assert_eq!(later.cookie(true), trust.cookie(true));
        let visitor = later.visitor(&paired.token, Moment::ZERO).unwrap();
        assert_eq!((visitor.role, visitor.csrf), (Role::Controller, paired.csrf));
        assert!(later.visitor("", Moment::ZERO).is_none());
        assert!(later.visitor(&hash(&paired.token).to_string(), Moment::ZERO).is_none());
    }

    #[test]
    fn a_bad_file_is_set_aside_and_said() {
        let whole = r#"{"device":"0123abcd","sessions":[]}"#;
        for bad in [
            "",
            "\0\0\0\0",
            &whole[..20],
            r#"{"device":"../../etc","sessions":[]}"#,
            r#"{"device":"0123abcd","sessions":[{"token":"ab"}]}"#,
            r#"{"device":"0123abcd","sessions":7}"#,
            &" ".repeat(300_000),
        ] {
            let dir = Dir::new();
            std::fs::create_dir_all(&dir.0).unwrap();
            std::fs::write(dir.0.join(FILE), bad).unwrap();
            let trust = open(&dir);
            let words = trust.set_aside().unwrap();
            assert!(words.contains("sessions.json.bad"), "{words}");
            assert_eq!(std::fs::read_to_string(dir.0.join("sessions.json.bad")).unwrap(), bad);
            assert_eq!(trust.paired(), 0);
            assert_eq!(open(&dir).set_aside(), None);
        }
    }

    #[test]
    fn without_a_place_to_write_pairing_works_until_the_restart() {
        let trust = Trust::open(Path::new("/proc/nowhere"), Arc::new(|| 0));
        let code = trust.open_window(Role::Admin, Moment::ZERO).to_string();
        let paired = trust.pair(&code, "x", Moment::ZERO).unwrap();
        assert!(trust.visitor(&paired.token, Moment::ZERO).is_some());
    }

    #[test]
    fn codes_and_tokens_differ() {
        let codes: std::collections::BTreeSet<_> = (0..100).map(|_| code()).collect();
        assert!(codes.len() > 90 && codes.iter().all(|c| *c < 1_000_000));
        assert!(same("abc", "abc") && !same("abc", "abd") && !same("abc", "ab"));
    }
}
