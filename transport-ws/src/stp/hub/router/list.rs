//! What a connection may list of the router's registrations.

use std::sync::Arc;

use super::super::outgoing::{Outgoing, PeerId};
use super::super::snapshot::Snapshot;
use super::{Router, Scope, Session};

impl<O: Clone> Router<O> {
    /// The answer to a connection that may not list; otherwise the sessions to list.
    pub(in super::super) fn list(
        &mut self,
        from: PeerId,
        cookie: i64,
    ) -> Result<Snapshot, Option<Outgoing<'static, O>>> {
        let Some(peer) = self.peers.get(&from) else { return Err(None) };
        let own = peer.service.as_ref().map(|service| &*service.session).or(peer.suffix.as_deref());
        match (peer.scope, own) {
            (Scope::All, _) => Ok(self.snapshot(None)),
            (Scope::Own, Some(session)) => Ok(self.snapshot(Some(session))),
            (Scope::Own, None) => Err(self.refuse(
                from,
                cookie,
                "this hub has no token, so a connection may list only its own session: name the session in the URL's path, \
                 or give the hub a token"
                    .to_owned(),
            )),
            (Scope::None, _) => {
                Err(self.refuse(from, cookie, "this hub lists itself only to clients on its own machine".to_owned()))
            }
        }
    }

    /// The sessions, or one of them. Copies references only, so that the lock is held briefly.
    pub(in super::super) fn snapshot(&self, only: Option<&str>) -> Snapshot {
        let service = |id: &PeerId| {
            let peer = self.peers.get(id)?;
            Some((Arc::clone(&peer.service.as_ref()?.service), peer.pending.waiting()))
        };
        let session = |(id, session): (&Arc<str>, &Session)| {
            (Arc::clone(id), session.services.values().filter_map(service).collect())
        };
        let sessions = match only {
            Some(only) => self.sessions.get_key_value(only).into_iter().map(session).collect(),
            None => self.sessions.iter().map(session).collect(),
        };
        Snapshot { sessions, counters: self.counters() }
    }
}
