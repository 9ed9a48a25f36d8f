//! Who may do what: roles, the pairing window and the table of paired clients.
//!
//! Pure: time comes in as a [`Moment`] (never steps) and as wall-clock seconds (may be wrong on a
//! board without a battery clock), tokens come in as their hashes.

mod change;

use crate::base::unit::Moment;
pub use change::Unable;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// How long a pairing window stays open.
pub const WINDOW: Duration = Duration::from_secs(120);
/// Wrong codes per window, from all addresses together: a guess succeeds 5 times in 10^6.
pub const TRIES: u32 = 5;
/// Paired clients kept; the one unused for longest makes room.
pub const SESSIONS: usize = 25;
/// A client that was not seen for so long must pair again.
pub const IDLE: Duration = Duration::from_secs(30 * 24 * 3600);
/// A client's time of last use is stored this often, to spare the flash.
pub const TOUCH: Duration = Duration::from_secs(12 * 3600);
/// A fresh code counts so long as proof that its owner is at the device.
pub const PRESENCE: Duration = Duration::from_secs(5 * 60);
/// A token that was replaced is still good for requests that are under way.
pub const OVERLAP: Duration = Duration::from_secs(10);
/// A token this old, in seconds of the wall clock, is replaced with the next page: one that was copied
/// from a browser is of use for a day.
pub const ROTATE_S: u64 = 24 * 3600;
/// Characters kept of a client's name.
pub const NAME: usize = 64;
/// Pauses after windows lost to wrong codes in a row; whoever is at the device need not wait.
const PAUSES: [Duration; 4] = [
    Duration::ZERO,
    Duration::from_secs(60),
    Duration::from_secs(5 * 60),
    Duration::from_secs(15 * 60),
];

/// What a paired client may do; each includes the ones before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Sees state and meters.
    Viewer,
    /// Sees the conversation, talks, changes volume.
    Controller,
    /// Everything.
    Admin,
}

impl Role {
    /// The word of the contract.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Controller => "controller",
            Self::Admin => "admin",
        }
    }
}

impl std::str::FromStr for Role {
    type Err = String;
    fn from_str(word: &str) -> Result<Self, String> {
        [Self::Viewer, Self::Controller, Self::Admin]
            .into_iter()
            .find(|role| role.word() == word)
            .ok_or_else(|| format!("a role is viewer, controller or admin, not {word:?}"))
    }
}

/// What is stored of a session token: its SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenHash(pub [u8; 32]);

impl TokenHash {
    /// Its beginning: tells it from the others, opens nothing.
    fn id(&self) -> String {
        self.0[..8].iter().map(|b| format!("{b:02x}")).collect()
    }
}

impl fmt::Display for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl fmt::Debug for TokenHash {
    /// The first bytes tell two apart in a log; the rest stays in the file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenHash({:02x}{:02x}..)", self.0[0], self.0[1])
    }
}

impl Serialize for TokenHash {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TokenHash {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'_, str>>::deserialize(d)?;
        parse_hex(&text)
            .map(Self)
            .ok_or_else(|| serde::de::Error::custom("a token hash is 64 hexadecimal digits"))
    }
}

/// `N` bytes from `2 N` hexadecimal digits.
fn parse_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    let mut bytes = [0; N];
    if digits.len() != 2 * N || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

/// A paired client as it is stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// What it is called between a page and us; stays when the token is replaced.
    #[serde(default)]
    pub id: String,
    /// Hash of its cookie.
    pub token: TokenHash,
    /// What its owner called it; shown, never interpreted.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// When it was paired, seconds since 1970.
    pub created: u64,
    /// When it was last used, seconds since 1970, as of the last write.
    pub used: u64,
    /// When its token was made, seconds since 1970.
    #[serde(default)]
    pub issued: u64,
    /// Its role changed: it is given another token with its next page.
    #[serde(default, skip_serializing_if = "is_false")]
    pub renew: bool,
    /// When it was last seen in this run.
    #[serde(skip)]
    pub seen: Option<Moment>,
    /// Until when its owner counts as present at the device.
    #[serde(skip)]
    pub present: Option<Moment>,
    /// The token before this one, and how long it is good.
    #[serde(skip)]
    pub before: Option<(TokenHash, Moment)>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape serde asks for")]
fn is_false(flag: &bool) -> bool {
    !*flag
}

/// A code to be typed into a panel, and how long it is good for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Code {
    /// 0..=999 999.
    pub number: u32,
    /// What the client will be.
    pub role: Role,
    /// When it ends.
    pub until: Moment,
}

impl fmt::Display for Code {
    /// Six digits, as a person types them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:06}", self.number)
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Code(******, {})", self.role.word())
    }
}

/// Who opens a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opener {
    /// A person at the device: a command or a button. Never waits.
    Local,
    /// An admin at a panel.
    Panel,
}

/// Why a code did not pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// None was opened, or it has ended.
    #[error("no pairing window is open: run \"grok-speaker pair\" on the speaker")]
    Closed,
    /// A wrong code.
    #[error("wrong code, {left} tries left")]
    Wrong {
        /// Until the window closes.
        left: u32,
    },
    /// The last wrong code closed the window.
    #[error("wrong code; the pairing window is closed now: run \"grok-speaker pair\" again")]
    Lost,
}

impl Denied {
    /// For programs, and for pages in another language.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Wrong { .. } => "wrong",
            Self::Lost => "lost",
        }
    }

    /// Wrong codes the window will still stand.
    pub const fn left(self) -> u32 {
        match self {
            Self::Wrong { left } => left,
            Self::Closed | Self::Lost => 0,
        }
    }
}

#[derive(Debug)]
struct Window {
    code: Code,
    opener: Opener,
    tries: u32,
}

/// The pairing window and the paired clients.
#[derive(Debug, Default)]
pub struct Ledger {
    sessions: Vec<Session>,
    window: Option<Window>,
    /// Windows lost to wrong codes since one was won.
    lost: usize,
    /// When a panel may open the next one.
    pause: Moment,
}

impl Ledger {
    /// With the clients of an earlier run.
    pub fn new(mut sessions: Vec<Session>) -> Self {
        sessions.truncate(SESSIONS);
        for session in sessions.iter_mut().filter(|s| s.id.is_empty()) {
            session.id = session.token.id();
        }
        Self { sessions, ..Self::default() }
    }

    /// The paired clients.
    pub fn sessions(&self) -> &[Session] {
        &self.sessions
    }

    /// Opens a window for one client; an older window ends. A panel must wait after windows that
    /// were lost to wrong codes and is told how long.
    pub fn open_window(
        &mut self,
        opener: Opener,
        role: Role,
        number: u32,
        now: Moment,
    ) -> Result<Code, Duration> {
        if opener == Opener::Panel && now < self.pause {
            return Err(self.pause.since(now));
        }
        Ok(self.begin(opener, role, number, now))
    }

    /// Whether a code is good for something.
    pub fn is_open(&self, now: Moment) -> bool {
        self.window.as_ref().is_some_and(|window| now < window.code.until)
    }

    fn begin(&mut self, opener: Opener, role: Role, number: u32, now: Moment) -> Code {
        let code = Code { number, role, until: now + WINDOW };
        self.window = Some(Window { code, opener, tries: 0 });
        code
    }

    /// Uses up a try, and the window when the code is right.
    pub fn claim(&mut self, text: &str, now: Moment) -> Result<Role, Denied> {
        let Some(window) = self.window.as_mut().filter(|w| now < w.code.until) else {
            self.window = None;
            return Err(Denied::Closed);
        };
        // One number against another: takes the same time whatever was typed.
        let typed = (text.len() == 6 && text.bytes().all(|b| b.is_ascii_digit()))
            .then(|| text.parse::<u32>().ok())
            .flatten();
        if typed == Some(window.code.number) {
            let role = window.code.role;
            self.window = None;
            self.lost = 0;
            self.pause = now;
            return Ok(role);
        }
        window.tries += 1;
        if window.tries < TRIES {
            return Err(Denied::Wrong { left: TRIES - window.tries });
        }
        self.window = None;
        self.pause = now + PAUSES[self.lost.min(PAUSES.len() - 1)];
        self.lost += 1;
        Err(Denied::Lost)
    }

    /// Adds a paired client. When the table is full the one unused for longest goes, but never the
    /// only admin for somebody who is none.
    pub fn add(&mut self, token: TokenHash, name: &str, role: Role, now: Moment, wall: u64) {
        if self.sessions.len() >= SESSIONS {
            self.evict(role);
        }
        self.sessions.push(Session {
            id: token.id(),
            token,
            name: plain(name),
            role,
            created: wall,
            used: wall,
            issued: wall,
            renew: false,
            seen: Some(now),
            present: None,
            before: None,
        });
    }

    fn evict(&mut self, newcomer: Role) {
        let admins = self.sessions.iter().filter(|s| s.role == Role::Admin).count();
        let spared = |s: &Session| s.role == Role::Admin && admins == 1 && newcomer != Role::Admin;
        let oldest = (0..self.sessions.len())
            .filter(|&i| !spared(&self.sessions[i]))
            .min_by_key(|&i| (self.sessions[i].seen, self.sessions[i].used, i));
        if let Some(oldest) = oldest {
            self.sessions.remove(oldest);
        }
    }

    /// The client in place `index` was used. Says its role unless it has been idle for too long,
    /// and whether the table should be stored again.
    ///
    /// Idle means both clocks say so: seen in this run counts whatever the wall clock does, and a
    /// wall clock that is behind makes nobody idle. An idle client stays in the table, so that a
    /// clock that was wrong at boot locks out nobody for good.
    pub fn touch(&mut self, index: usize, now: Moment, wall: u64) -> Option<(Role, bool)> {
        let session = self.sessions.get_mut(index)?;
        let fresh = session.seen.is_some_and(|seen| now.since(seen) < IDLE)
            || wall.saturating_sub(session.used) < IDLE.as_secs();
        if !fresh {
            return None;
        }
        session.seen = Some(now);
        let stale = session.used.abs_diff(wall) > TOUCH.as_secs();
        if stale {
            session.used = wall;
        }
        Some((session.role, stale))
    }
}

/// A name as it is kept.
fn plain(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(NAME).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 24 * 3600;

    fn at(s: u64) -> Moment {
        Moment::from_millis(s * 1000)
    }

    fn hash(n: u8) -> TokenHash {
        TokenHash([n; 32])
    }

    #[test]
    fn a_code_works_once() {
        let mut ledger = Ledger::default();
        assert_eq!(ledger.claim("000000", at(0)), Err(Denied::Closed));
        let code = ledger.open_window(Opener::Local, Role::Controller, 42, at(0)).unwrap();
        assert_eq!(code.to_string(), "000042");
        assert_eq!(ledger.claim("000042", at(1)), Ok(Role::Controller));
        assert_eq!(ledger.claim("000042", at(2)), Err(Denied::Closed));
    }

    #[test]
    fn a_code_ends_after_two_minutes() {
        let mut ledger = Ledger::default();
        ledger.open_window(Opener::Local, Role::Admin, 7, at(10)).unwrap();
        assert_eq!(ledger.claim("000007", at(130)), Err(Denied::Closed));
        ledger.open_window(Opener::Local, Role::Admin, 7, at(200)).unwrap();
        assert_eq!(ledger.claim("000007", at(319)), Ok(Role::Admin));
    }

    #[test]
    fn five_wrong_codes_close_the_window() {
        let mut ledger = Ledger::default();
        ledger.open_window(Opener::Local, Role::Admin, 123_456, at(0)).unwrap();
        for left in (1..TRIES).rev() {
            assert_eq!(ledger.claim("1234567", at(1)), Err(Denied::Wrong { left }));
        }
        assert_eq!(ledger.claim("+23456", at(1)), Err(Denied::Lost));
        assert_eq!(ledger.claim("123456", at(1)), Err(Denied::Closed));
    }

    #[test]
    fn lost_windows_make_panels_wait_but_nobody_at_the_device() {
        let mut ledger = Ledger::default();
        for wait in [0, 60, 300, 900, 900] {
            ledger.open_window(Opener::Local, Role::Admin, 1, at(0)).unwrap();
            for _ in 0..TRIES {
                assert!(ledger.claim("000002", at(0)).is_err());
            }
            let asked = ledger.open_window(Opener::Panel, Role::Viewer, 1, at(0));
            assert_eq!(asked.err().map_or(0, |d| d.as_secs()), wait);
        }
        ledger.open_window(Opener::Local, Role::Admin, 1, at(0)).unwrap();
        assert_eq!(ledger.claim("000001", at(0)), Ok(Role::Admin));
        assert!(ledger.open_window(Opener::Panel, Role::Viewer, 1, at(0)).is_ok());
    }

    #[test]
    fn the_table_keeps_the_newest_and_an_admin() {
        let mut ledger = Ledger::default();
        ledger.add(hash(0), "owner", Role::Admin, at(0), 0);
        for n in 1..100 {
            ledger.add(hash(n), "x", Role::Viewer, at(n.into()), n.into());
        }
        assert_eq!(ledger.sessions().len(), SESSIONS);
        let kept: Vec<_> = ledger.sessions().iter().map(|s| s.token.0[0]).collect();
        assert_eq!(kept[0], 0, "the only admin was evicted");
        assert!(kept[1..].iter().eq((76..100).collect::<Vec<_>>().iter()));
        ledger.add(hash(200), "new owner", Role::Admin, at(200), 200);
        assert!(ledger.sessions().iter().all(|s| s.token != hash(0)));
    }

    #[test]
    fn names_are_plain_and_short() {
        let mut ledger = Ledger::default();
        ledger.add(
            hash(1),
            &format!("a\r\n\u{1b}[31mb{}", "x".repeat(100)),
            Role::Viewer,
            at(0),
            0,
        );
        assert_eq!(ledger.sessions()[0].name.chars().count(), NAME);
        assert!(ledger.sessions()[0].name.starts_with("a[31mb"));
    }

    #[test]
    fn thirty_idle_days_end_a_session_by_either_clock_only_if_both_agree() {
        let mut ledger = Ledger::default();
        ledger.add(hash(1), "x", Role::Viewer, at(0), 100 * DAY);
        // The wall clock jumps 50 years while it is in use, then back before its beginning.
        assert_eq!(ledger.touch(0, at(60), 18_000 * DAY), Some((Role::Viewer, true)));
        assert_eq!(ledger.touch(0, at(120), 0), Some((Role::Viewer, true)));
        assert_eq!(ledger.touch(0, at(180), 0), Some((Role::Viewer, false)));
        // A later run: nobody was seen yet, only the wall clock counts.
        let mut stored = ledger.sessions().to_vec();
        stored[0].seen = None;
        stored[0].used = 100 * DAY;
        let mut later = Ledger::new(stored);
        assert_eq!(later.touch(0, at(0), 131 * DAY), None);
        assert_eq!(later.touch(0, at(0), 129 * DAY), Some((Role::Viewer, true)));
        assert_eq!(later.touch(0, at(31 * DAY), 200 * DAY), None);
        assert_eq!(later.touch(1, at(0), 0), None);
    }

    #[test]
    fn hashes_survive_the_file_and_codes_stay_out_of_logs() {
        let text = serde_json::to_string(&hash(0xab)).unwrap();
        assert_eq!(serde_json::from_str::<TokenHash>(&text).unwrap(), hash(0xab));
        assert!(serde_json::from_str::<TokenHash>("\"zz\"").is_err());
        let code = Code { number: 123_456, role: Role::Admin, until: at(0) };
        assert!(!format!("{code:?}").contains("123456"));
        assert_eq!("admin".parse(), Ok(Role::Admin));
        assert!("root".parse::<Role>().is_err());
    }
}
