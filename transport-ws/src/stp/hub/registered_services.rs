//! The router's services and sessions: the steps of registering, leaving and listing, each within one slice.

use std::collections::HashMap;
use std::ops::Bound::{Excluded, Included, Unbounded};
use std::sync::Arc;

use connector_core::stp::{StpService, StpSession, unique_name};

use super::memory::{Account, SessionMemory};
use super::outgoing::{Outgoing, PeerId};
use super::router::{Asked, Peer, Registered, Requester, Router, SLICE, Scope, Session};
use super::snapshot::{ServiceState, Snapshot};

/// A registration under way. Only the connection's own task registers it.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) session: Arc<str>,
    pub(super) place: u64,
    pub(super) account: Arc<Account>,
    /// The connection's present registration, and whether it is in the same session.
    pub(super) previous: Option<Arc<StpService>>,
    pub(super) stays: bool,
}

/// The longest id of a session, in bytes: a Register's own names are as long at most.
const MAX_ID: usize = 1024;

/// A listing under way: the session and the place of the last service that it contains.
pub(super) type Cursor = Option<(Arc<str>, u64)>;

impl Router {
    /// Gives a connection a place in the session that its registration names, or its present place.
    ///
    /// # Errors
    /// It has left, the session that its URL names has too long an id, or there are too many sessions.
    pub(super) fn enter(&mut self, id: PeerId, service: &StpService) -> Result<Entry, String> {
        let peer = self.peers.get(&id).ok_or("the connection has ended")?;
        if let Some(long) = peer.suffix.as_ref().filter(|suffix| suffix.len() > MAX_ID) {
            return Err(format!("the URL names a session by {} bytes: at most {MAX_ID} are allowed", long.len()));
        }
        let named = service.session_id.as_ref().or(peer.suffix.as_ref()).or(service.machine_id.as_ref());
        let previous = peer.service.as_ref().map(|registered| Arc::clone(&registered.service));
        // A service that registers again without naming a session stays in its session.
        let present = peer.service.as_ref().filter(|present| named.is_none_or(|named| **named == *present.session));
        if let Some(present) = present {
            let (session, account) = (Arc::clone(&present.session), Arc::clone(&present.account));
            return Ok(Entry { session, place: present.place, account, previous, stays: true });
        }
        let name: Arc<str> = named.map_or_else(|| unique_name("session").into(), |named| (**named).into());
        if self.sessions.len() >= self.max_sessions && !self.sessions.contains_key(&name) {
            return Err(format!(
                "the hub has {} sessions, and StpHubConfig::max_sessions allows no more: register in one of them, or try \
                 again later",
                self.sessions.len()
            ));
        }
        self.last_place += 1;
        let (place, limit) = (self.last_place, self.session_memory_limit);
        let session = self.sessions.entry(Arc::clone(&name)).or_insert_with(|| Session {
            services: Default::default(),
            solvers: HashMap::new(),
            memory: SessionMemory::new(limit),
        });
        session.services.insert(place, id);
        let account = Account::new(Arc::clone(&session.memory));
        Ok(Entry { session: name, place, account, previous, stays: false })
    }

    /// Routes these methods to a service: a slice of them.
    pub(super) fn index(&mut self, session: &str, place: u64, id: PeerId, methods: &[String]) {
        let Some(session) = self.sessions.get_mut(session) else { return };
        for method in methods {
            session.solvers.entry(method.clone()).or_default().insert(place, id);
        }
    }

    /// No longer routes these methods to a service: a slice of them.
    pub(super) fn unindex(&mut self, session: &str, place: u64, methods: &[String]) {
        let Some(session) = self.sessions.get_mut(session) else { return };
        for method in methods {
            if let Some(solvers) = session.solvers.get_mut(method) {
                solvers.remove(&place);
                if solvers.is_empty() {
                    session.solvers.remove(method);
                }
            }
        }
    }

    /// Gives up a place, from which nothing is routed to the service any more. Returns a session without services.
    pub(super) fn vacate(&mut self, session: &str, place: u64) -> Option<Session> {
        let entry = self.sessions.get_mut(session)?;
        entry.services.remove(&place);
        match entry.services.is_empty() {
            true => self.sessions.remove(session),
            false => None,
        }
    }

    /// Completes a registration. Returns the one that it replaces.
    pub(super) fn registered(&mut self, id: PeerId, registered: Registered) -> Option<Registered> {
        let peer = self.peers.get_mut(&id)?;
        peer.out.set_account(Arc::clone(&registered.account));
        let previous = peer.service.replace(registered);
        self.services += u64::from(previous.is_none());
        previous
    }

    /// Begins to unregister the connection's service, and returns it. The following steps remove it from its session.
    pub(super) fn take_service(&mut self, id: PeerId) -> Option<Registered> {
        let service = self.peers.get_mut(&id)?.service.take()?;
        self.services -= 1;
        Some(service)
    }

    /// The requests that await the service's answers, and by service the cookies of its own. Nothing routes to it any more.
    pub(super) fn take_requests(&mut self, id: PeerId) -> Option<(StpSession<Requester>, Asked)> {
        let peer = self.peers.get_mut(&id)?;
        Some((peer.pending.split_off(), std::mem::take(&mut peer.asked)))
    }

    /// Forgets requests that await the answers of `solver`, because their sender leaves: a slice of them.
    pub(super) fn forget_requests(&mut self, solver: PeerId, cookies: &[i64]) -> Vec<Requester> {
        let Some(solver) = self.peers.get_mut(&solver) else { return Vec::new() };
        cookies.iter().filter_map(|cookie| solver.pending.answered(*cookie)).collect()
    }

    /// The last step of leaving.
    pub(super) fn remove(&mut self, id: PeerId) -> Option<Peer> {
        self.peers.remove(&id)
    }

    /// The session that a connection may list, or `None` for all.
    ///
    /// # Errors
    /// The answer to a connection that may not list.
    pub(super) fn may_list(
        &mut self,
        from: PeerId,
        cookie: i64,
    ) -> Result<Option<Arc<str>>, Option<Outgoing<'static>>> {
        let Some(peer) = self.peers.get(&from) else { return Err(None) };
        let own = peer.service.as_ref().map(|service| &*service.session).or(peer.suffix.as_deref());
        match (peer.scope, own) {
            (Scope::All, _) => Ok(None),
            (Scope::Own, Some(session)) => Ok(Some(session.into())),
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

    /// Adds the services behind the cursor, of all sessions or of one: at most a slice. Returns whether there may be more.
    /// Copies references only.
    pub(super) fn snapshot(&self, only: Option<&str>, cursor: &mut Cursor, snapshot: &mut Snapshot) -> bool {
        snapshot.counters = self.counters();
        let last = cursor.clone();
        let start = last.as_ref().map(|(id, _)| &**id).or(only).map_or(Unbounded, Included);
        let mut left = SLICE;
        for (id, session) in self.sessions.range::<str, _>((start, Unbounded)) {
            if only.is_some_and(|only| *only != **id) {
                break;
            }
            let after = last.as_ref().filter(|(last, _)| last == id).map_or(0, |(_, place)| *place);
            for (place, peer) in session.services.range((Excluded(after), Unbounded)) {
                if left == 0 {
                    return true;
                }
                left -= 1;
                *cursor = Some((Arc::clone(id), *place));
                if let Some(state) = self.state_of(*peer) {
                    snapshot.add(id, state);
                }
            }
        }
        false
    }

    fn state_of(&self, id: PeerId) -> Option<ServiceState> {
        let peer = self.peers.get(&id)?;
        Some((Arc::clone(&peer.service.as_ref()?.service), peer.pending.waiting()))
    }
}
