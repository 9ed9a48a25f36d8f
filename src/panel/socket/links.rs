//! For the guard: whose Engine.IO session is whose.

use super::{Gone, Hub, Link};
use crate::panel::stream::Peer;
use crate::panel::trust::TokenHash;
use std::sync::Arc;

impl Hub {
    /// Whether this paired client may open one more.
    pub(in crate::panel) fn has_room(&self, session: &TokenHash) -> bool {
        let state = self.lock();
        let mine = |link: &&Link| link.session == *session && link.end.is_none();
        let links = state.links.values().filter(mine).count();
        links < 2 * self.max_per_session
    }

    /// A session over polling is over: what came in it makes no sense.
    pub(in crate::panel) fn ends(&self, sid: &str) {
        let mut state = self.lock();
        let Some(link) = state.links.get_mut(sid) else { return };
        link.end = Some((self.clock)());
        if let Some(id) = link.client {
            self.expel(&mut state, id, Gone("a message that is too long"));
        }
    }

    /// A polling handshake was answered.
    pub(in crate::panel) fn opened(&self, sid: String, session: TokenHash) {
        let now = (self.clock)();
        let link = Link { session, opened: now, heard: now, peer: None, client: None, end: None };
        self.lock().links.insert(sid, link);
    }

    /// A request for an open session. False when it is not that client's own; `upgrade` is the
    /// connection a WebSocket handshake came on.
    pub(in crate::panel) fn continues(
        &self,
        sid: &str,
        session: &TokenHash,
        polls: bool,
        upgrade: Option<&Arc<Peer>>,
    ) -> bool {
        let mut state = self.lock();
        let state = &mut *state;
        let Some(link) = state.links.get_mut(sid).filter(|link| link.session == *session) else {
            return false;
        };
        link.heard = (self.clock)();
        let mut client = link.client.and_then(|id| state.clients.get_mut(&id));
        if let Some(peer) = upgrade {
            link.peer = Some(peer.clone());
            if let Some(client) = &mut client {
                client.peer = Some(peer.clone());
            }
        }
        // A poll takes all that is in flight with it.
        if let Some(client) = client.filter(|client| polls && client.is_polling()) {
            client.refill();
            let (id, result) = (client.id, client.pump(&state.feed));
            if let Err(gone) = result {
                self.expel(state, id, gone);
            }
        }
        true
    }
}
