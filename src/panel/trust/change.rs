//! Paired clients as their owner changes them, and the proof that the owner is at the device.

use super::{
    Code, Denied, Ledger, OVERLAP, Opener, PRESENCE, ROTATE_S, Role, Session, TokenHash, Window,
    plain,
};
use crate::base::unit::Moment;
use std::time::Duration;

/// Why a paired client cannot be changed so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unable {
    /// It is not there (any more).
    #[error("there is no such client any more")]
    Unknown,
    /// Nobody could change anything afterwards.
    #[error("this is the only admin: make another client an admin first")]
    LastAdmin,
}

impl Window {
    /// Whether its code says that somebody who may do everything is at the device: one that a
    /// panel asked for is known to whoever sits at a panel.
    fn proves_presence(&self) -> bool {
        self.opener == Opener::Local && self.code.role == Role::Admin
    }
}

impl Ledger {
    /// Adds whoever knows the code as a paired client. Who was at the device for it counts as
    /// present from the beginning.
    pub fn pair(
        &mut self,
        text: &str,
        token: TokenHash,
        name: &str,
        (now, wall): (Moment, u64),
    ) -> Result<Role, Denied> {
        let present = self.window.as_ref().is_some_and(Window::proves_presence);
        let role = self.claim(text, now)?;
        self.add(token, name, role, now, wall);
        if present {
            self.attest(&token, now);
        }
        Ok(role)
    }

    /// Takes a code that the device has just shown as proof that the owner of this client is there.
    /// It is used up like any other; one that a panel asked for proves nothing.
    pub fn step_up(
        &mut self,
        client: &TokenHash,
        text: &str,
        now: Moment,
    ) -> Result<Duration, Denied> {
        if !self.window.as_ref().is_some_and(Window::proves_presence) {
            return Err(Denied::Closed);
        }
        self.claim(text, now)?;
        self.attest(client, now);
        Ok(PRESENCE)
    }

    /// A button of the device was held: opens a window for an admin. Where one admin is paired, whose
    /// finger it was is known, and that admin counts as present at once; of several only the code
    /// can tell.
    pub fn held(&mut self, number: u32, now: Moment) -> Code {
        let admins = self.sessions.iter().filter(|s| s.role == Role::Admin);
        if let [only] = admins.map(|s| s.token).collect::<Vec<_>>()[..] {
            self.attest(&only, now);
        }
        self.begin(Opener::Local, Role::Admin, number, now)
    }

    /// The owner of this client is at the device.
    fn attest(&mut self, client: &TokenHash, now: Moment) {
        if let Some(session) = self.sessions.iter_mut().find(|s| s.token == *client) {
            session.present = Some(now + PRESENCE);
        }
    }

    /// How much longer the owner of this client counts as present.
    pub fn stepped(&self, client: &TokenHash, now: Moment) -> Option<Duration> {
        let session = self.sessions.iter().find(|s| s.token == *client)?;
        session.present.filter(|until| now < *until).map(|until| until.since(now))
    }

    /// Another name.
    pub fn rename(&mut self, id: &str, name: &str) -> Result<(), Unable> {
        let session = self.sessions.iter_mut().find(|s| s.id == id);
        session.ok_or(Unable::Unknown)?.name = plain(name);
        Ok(())
    }

    /// Another role, and another token with the next page.
    pub fn set_role(&mut self, id: &str, role: Role) -> Result<(), Unable> {
        let index = self.place(id, role != Role::Admin)?;
        let session = &mut self.sessions[index];
        session.renew |= session.role != role;
        session.role = role;
        Ok(())
    }

    /// It is not paired any more.
    pub fn revoke(&mut self, id: &str) -> Result<(), Unable> {
        let index = self.place(id, true)?;
        self.sessions.remove(index);
        Ok(())
    }

    /// Where a client stands; not the only admin when it is `lost` as one.
    fn place(&self, id: &str, lost: bool) -> Result<usize, Unable> {
        let is_admin = |s: &Session| s.role == Role::Admin;
        let found = self.sessions.iter().position(|s| s.id == id);
        let index = found.ok_or(Unable::Unknown)?;
        let admins = self.sessions.iter().filter(|s| is_admin(s)).count();
        if lost && is_admin(&self.sessions[index]) && admins == 1 {
            return Err(Unable::LastAdmin);
        }
        Ok(index)
    }

    /// Replaces the token of a client that is due for another: its role changed, or it is a day old.
    /// The old one lives on for [`OVERLAP`].
    pub fn renew(&mut self, old: &TokenHash, fresh: TokenHash, (now, wall): (Moment, u64)) -> bool {
        let due = |s: &Session| s.renew || wall.saturating_sub(s.issued) >= ROTATE_S;
        let session = self.sessions.iter_mut().find(|s| s.token == *old && due(s));
        let Some(session) = session else { return false };
        session.before = Some((session.token, now + OVERLAP));
        session.token = fresh;
        session.issued = wall;
        session.renew = false;
        true
    }

    /// It leaves of its own accord, the only admin too: whoever is at the device can pair another.
    pub fn leave(&mut self, client: &TokenHash) -> Result<(), Unable> {
        let found = self.sessions.iter().position(|s| s.token == *client);
        self.sessions.remove(found.ok_or(Unable::Unknown)?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: u64) -> Moment {
        Moment::from_millis(s * 1000)
    }

    fn hash(n: u8) -> TokenHash {
        TokenHash([n; 32])
    }

    #[test]
    fn a_fresh_code_of_the_device_proves_presence_once_and_not_for_ever() {
        let mut ledger = Ledger::default();
        ledger.add(hash(1), "x", Role::Admin, at(0), 0);
        assert_eq!(ledger.step_up(&hash(1), "000007", at(0)), Err(Denied::Closed));
        // What a panel asked for is known to whoever sits at a panel; a viewer's code is no key.
        ledger.open_window(Opener::Panel, Role::Admin, 7, at(0)).unwrap();
        assert_eq!(ledger.step_up(&hash(1), "000007", at(0)), Err(Denied::Closed));
        ledger.open_window(Opener::Local, Role::Viewer, 7, at(0)).unwrap();
        assert_eq!(ledger.step_up(&hash(1), "000007", at(0)), Err(Denied::Closed));
        ledger.open_window(Opener::Local, Role::Admin, 7, at(0)).unwrap();
        assert_eq!(ledger.step_up(&hash(1), "000008", at(0)), Err(Denied::Wrong { left: 4 }));
        assert_eq!(ledger.step_up(&hash(1), "000007", at(1)), Ok(PRESENCE));
        // A37: the same code again is nothing, for this or for pairing.
        assert_eq!(ledger.step_up(&hash(1), "000007", at(2)), Err(Denied::Closed));
        assert_eq!(ledger.claim("000007", at(2)), Err(Denied::Closed));
        assert_eq!(ledger.stepped(&hash(1), at(300)), Some(Duration::from_secs(1)));
        assert_eq!(ledger.stepped(&hash(1), at(301)), None);
        assert_eq!(ledger.stepped(&hash(2), at(2)), None, "nobody else");
    }

    #[test]
    fn a_held_button_speaks_for_the_only_admin() {
        let mut ledger = Ledger::default();
        ledger.add(hash(1), "owner", Role::Admin, at(0), 0);
        ledger.add(hash(2), "guest", Role::Controller, at(0), 0);
        let code = ledger.held(7, at(10));
        assert_eq!((code.role, code.until), (Role::Admin, at(130)));
        assert_eq!(ledger.stepped(&hash(1), at(10)), Some(PRESENCE));
        assert_eq!(ledger.stepped(&hash(2), at(10)), None);
        assert_eq!(ledger.stepped(&hash(1), at(310)), None, "not for ever");
        // Of two, the button cannot tell; the code can.
        ledger.set_role(&hash(2).id(), Role::Admin).unwrap();
        ledger.held(8, at(400));
        assert_eq!(ledger.stepped(&hash(1), at(400)), None);
        assert_eq!(ledger.step_up(&hash(2), "000008", at(401)), Ok(PRESENCE));
    }

    #[test]
    fn a_held_button_ignores_the_pause_after_wrong_codes() {
        let mut ledger = Ledger::default();
        for _ in 0..3 {
            ledger.held(7, at(0));
            (0..crate::panel::trust::TRIES)
                .for_each(|_| assert!(ledger.claim("000001", at(0)).is_err()));
        }
        assert!(ledger.open_window(Opener::Panel, Role::Viewer, 7, at(0)).is_err(), "it is on");
        ledger.held(7, at(0));
        assert_eq!(ledger.claim("000007", at(0)), Ok(Role::Admin));
    }

    #[test]
    fn whoever_pairs_with_a_code_of_the_device_was_there() {
        let mut ledger = Ledger::default();
        let times = (at(0), 0);
        for (n, opener, role, present) in [
            (1, Opener::Local, Role::Admin, Some(PRESENCE)),
            (2, Opener::Local, Role::Viewer, None),
            (3, Opener::Panel, Role::Admin, None),
        ] {
            ledger.open_window(opener, role, 7, at(0)).unwrap();
            assert!(ledger.pair("000008", hash(n), "x", times).is_err());
            assert_eq!(ledger.pair("000007", hash(n), "x", times), Ok(role));
            assert_eq!(ledger.stepped(&hash(n), at(0)), present, "{opener:?} {role:?}");
        }
    }

    #[test]
    fn the_only_admin_stays_one() {
        let mut ledger = Ledger::default();
        ledger.add(hash(1), "owner", Role::Admin, at(0), 0);
        ledger.add(hash(2), "guest", Role::Viewer, at(0), 0);
        let (owner, guest) = (hash(1).id(), hash(2).id());
        assert_eq!(ledger.revoke(&owner), Err(Unable::LastAdmin));
        assert_eq!(ledger.set_role(&owner, Role::Controller), Err(Unable::LastAdmin));
        assert_eq!(ledger.rename(&guest, "Tab\tlet"), Ok(()));
        assert_eq!(ledger.sessions()[1].name, "Tablet");
        assert_eq!(ledger.set_role(&guest, Role::Admin), Ok(()));
        assert_eq!(ledger.set_role(&owner, Role::Viewer), Ok(()));
        assert_eq!(ledger.revoke(&owner), Ok(()));
        assert_eq!(ledger.revoke(&owner), Err(Unable::Unknown));
        assert_eq!(ledger.revoke(&guest), Err(Unable::LastAdmin));
    }

    #[test]
    fn another_role_is_another_token() {
        let mut ledger = Ledger::default();
        ledger.add(hash(1), "x", Role::Admin, at(0), 0);
        ledger.add(hash(2), "y", Role::Viewer, at(0), 0);
        assert!(!ledger.renew(&hash(2), hash(3), (at(0), 0)), "nothing changed");
        ledger.set_role(&hash(2).id(), Role::Controller).unwrap();
        assert!(ledger.renew(&hash(2), hash(3), (at(5), 5)));
        assert!(!ledger.renew(&hash(3), hash(4), (at(5), 5)), "once");
        let session = &ledger.sessions()[1];
        assert_eq!((session.token, &session.id), (hash(3), &hash(2).id()), "the name stays");
        assert_eq!(session.before, Some((hash(2), at(15))));
    }

    #[test]
    fn a_token_lasts_a_day() {
        let mut ledger = Ledger::default();
        ledger.add(hash(1), "x", Role::Viewer, at(0), 1_000);
        assert!(!ledger.renew(&hash(1), hash(2), (at(0), 0)), "a clock that was put back");
        assert!(!ledger.renew(&hash(1), hash(2), (at(0), 999 + ROTATE_S)));
        assert!(ledger.renew(&hash(1), hash(2), (at(0), 1_000 + ROTATE_S)));
        assert!(!ledger.renew(&hash(2), hash(3), (at(0), 1_001 + ROTATE_S)));
    }

    #[test]
    fn the_only_admin_may_leave() {
        let mut ledger = Ledger::default();
        ledger.add(hash(1), "owner", Role::Admin, at(0), 0);
        assert_eq!(ledger.leave(&hash(2)), Err(Unable::Unknown));
        assert_eq!(ledger.leave(&hash(1)), Ok(()));
        assert!(ledger.sessions().is_empty());
    }
}
