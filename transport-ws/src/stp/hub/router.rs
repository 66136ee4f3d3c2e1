//! Routing. Pure: no I/O, no tasks, no clock.
//!
//! Every function takes as long whatever the hub holds: where work grows with that, it is done in slices, and the lock is
//! released between them (`routing.rs`).

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::Arc;
use std::time::Instant;

use connector_core::stp::{Response, StpService, StpSession, StpTimeout};
use percent_encoding::percent_decode_str;
use serde_json::value::RawValue;

use super::listing::StpCounters;
use super::memory::{Account, Charge, SessionMemory};
use super::outbox::{Outbox, RECORD, Record};
use super::outgoing::{Body, Outgoing, PeerId};

/// The number of items that are handled while the lock is held once.
pub(super) const SLICE: usize = 64;

#[derive(Debug)]
pub(super) struct Router {
    pub(super) peers: HashMap<PeerId, Peer>,
    pub(super) sessions: BTreeMap<Arc<str>, Session>,
    /// `services` and `sessions` are not kept up to date here.
    pub(super) counters: StpCounters,
    /// Registered services.
    pub(super) services: u64,
    /// The last place in the order of registration. The first one is 1.
    pub(super) last_place: u64,
    max_pending: usize,
    pub(super) max_sessions: usize,
    pub(super) session_memory_limit: usize,
}

#[derive(Debug)]
pub(super) struct Session {
    /// In order of registration.
    pub(super) services: BTreeMap<u64, PeerId>,
    /// The services that solve a method, in the same order.
    pub(super) solvers: HashMap<String, BTreeMap<u64, PeerId>>,
    pub(super) memory: Arc<SessionMemory>,
}

/// The cookies of a connection's requests, by the service that must answer.
pub(super) type Asked = HashMap<PeerId, HashSet<i64>>;

#[derive(Debug)]
pub(super) struct Peer {
    pub(super) out: Arc<Outbox>,
    /// The session named by the URL's path.
    pub(super) suffix: Option<String>,
    pub(super) scope: Scope,
    /// Requests that await this service's answers.
    pub(super) pending: StpSession<Requester>,
    pub(super) asked: Asked,
    pub(super) service: Option<Registered>,
}

#[derive(Debug)]
pub(super) struct Registered {
    pub(super) session: Arc<str>,
    pub(super) place: u64,
    pub(super) service: Arc<StpService>,
    pub(super) account: Arc<Account>,
    pub(super) _charge: Charge,
}

/// The sessions that a connection may list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    None,
    /// The one in which it has registered, or that its URL names.
    Own,
    All,
}

/// The sender of a request that awaits a service's answer.
#[derive(Debug)]
pub(super) struct Requester {
    pub(super) peer: PeerId,
    /// The requester's own cookie.
    pub(super) cookie: i64,
    /// The cookie under which the request is pending at the service.
    asked: i64,
    timeout: StpTimeout,
    _record: Record,
}

/// A request to be routed.
#[derive(Debug)]
pub(super) struct Request<'m, 'a> {
    pub(super) from: PeerId,
    pub(super) cookie: i64,
    pub(super) method: &'m str,
    pub(super) raw: &'a RawValue,
    pub(super) timeout: StpTimeout,
    pub(super) now: Instant,
}

/// How far the search for a service has come.
#[derive(Debug, Default)]
pub(super) struct Search {
    /// The place of the last service that was considered.
    after: u64,
    /// How many requests await its answers, and how many of them are the requester's.
    busy: Option<(usize, usize)>,
}

pub(super) type Batch<'a> = Vec<Outgoing<'a>>;

impl Router {
    /// At most `max_pending` requests await one service's answers.
    pub(super) fn new(max_pending: usize, max_sessions: usize, session_memory_limit: usize) -> Router {
        Router {
            peers: HashMap::new(),
            sessions: BTreeMap::new(),
            counters: StpCounters::default(),
            services: 0,
            last_place: 0,
            max_pending,
            max_sessions,
            session_memory_limit,
        }
    }

    /// Adds a connection to a URL with this path. It is not a service until it registers.
    pub(super) fn join(&mut self, id: PeerId, out: Arc<Outbox>, path: &str, scope: Scope) {
        let suffix = path.trim_matches('/');
        // Percent-decoded, unless the result is not UTF-8.
        let suffix = percent_decode_str(suffix).decode_utf8().map_or_else(|_| suffix.to_owned(), Cow::into_owned);
        let suffix = Some(suffix).filter(|suffix| !suffix.is_empty());
        let pending = StpSession::new(self.max_pending);
        self.peers.insert(id, Peer { out, suffix, scope, pending, asked: HashMap::new(), service: None });
    }

    pub(super) fn out(&self, peer: PeerId) -> Option<Arc<Outbox>> {
        self.peers.get(&peer).map(|peer| Arc::clone(&peer.out))
    }

    pub(super) fn respond(
        &self,
        peer: PeerId,
        cookie: i64,
        outcome: Result<String, String>,
    ) -> Option<Outgoing<'static>> {
        Some(Outgoing { to: self.out(peer)?, body: Body::HubResponse { cookie, outcome } })
    }

    pub(super) fn refuse(&mut self, peer: PeerId, cookie: i64, why: String) -> Option<Outgoing<'static>> {
        self.counters.refusals += 1;
        self.respond(peer, cookie, Err(why))
    }

    pub(super) fn is_registered(&self, peer: PeerId) -> bool {
        self.peers.get(&peer).is_some_and(|peer| peer.service.is_some())
    }

    fn session_of(&self, peer: PeerId) -> Option<&str> {
        Some(&*self.peers.get(&peer)?.service.as_ref()?.session)
    }

    /// The services of a session that solve a method, except `from`, in order of registration, with their places. Only those
    /// after a place, and at most a slice.
    fn solvers(&self, session: &str, from: PeerId, method: &str, after: u64) -> Vec<(u64, PeerId)> {
        let solvers = self.sessions.get(session).and_then(|session| session.solvers.get(method));
        let solvers = solvers.into_iter().flat_map(|solvers| solvers.range((Excluded(after), Unbounded)));
        solvers.map(|(place, solver)| (*place, *solver)).filter(|(_, solver)| *solver != from).take(SLICE).collect()
    }

    /// Adds the receivers of an inform that are behind the place `after`: at most a slice, and then returns the place of the
    /// last one.
    ///
    /// # Errors
    /// The sender has not registered.
    pub(super) fn inform(
        &mut self,
        from: PeerId,
        method: &str,
        after: u64,
        outgoing: &mut Batch<'_>,
    ) -> Result<Option<u64>, NotRegistered> {
        let Some(session) = self.session_of(from) else {
            self.counters.dropped += 1;
            return Err(NotRegistered);
        };
        let solvers = self.solvers(session, from, method, after);
        let outs = solvers.iter().filter_map(|(_, solver)| self.out(*solver));
        outgoing.extend(outs.map(|to| Outgoing { to, body: Body::Received }));
        self.counters.informs += u64::from(after == 0);
        Ok(solvers.last().filter(|_| solvers.len() == SLICE).map(|(place, _)| *place))
    }

    /// Routes a request to the first service with capacity that solves it, or refuses it. `None` if there are services that
    /// have not been considered yet.
    pub(super) fn request<'a>(&mut self, request: &Request<'_, 'a>, search: &mut Search) -> Option<Batch<'a>> {
        self.counters.requests += u64::from(search.after == 0);
        match self.route(request, search) {
            Ok(routed) => routed.map(|outgoing| vec![outgoing]),
            Err(why) => Some(self.refuse(request.from, request.cookie, why).into_iter().collect()),
        }
    }

    /// # Errors
    /// Why the request is refused.
    fn route<'a>(&mut self, request: &Request<'_, 'a>, search: &mut Search) -> Result<Option<Outgoing<'a>>, String> {
        let Request { from, method, .. } = *request;
        let session = self.session_of(from).ok_or("register before sending requests")?;
        let solvers = self.solvers(session, from, method, search.after);
        for (place, solver) in &solvers {
            let waiting = self.peers.get(solver).map_or(0, |peer| peer.pending.waiting());
            let asked = self.peers.get(&from).and_then(|peer| peer.asked.get(solver));
            let own = asked.map_or(0, HashSet::len);
            let free = self.max_pending.saturating_sub(waiting);
            // A connection occupies at most half of what the others leave free.
            if free > 0 && own <= free {
                return self.forward(request, *solver).map(Some);
            }
            (search.after, search.busy) = (*place, Some((waiting, own)));
        }
        match search.busy {
            _ if solvers.len() == SLICE => Ok(None),
            Some((waiting, own)) => Err(format!(
                "every service that solves {method} is busy: {waiting} requests are pending, {own} of them of this \
                 connection"
            )),
            None => Err(format!("no service in session {session} solves {method}")),
        }
    }

    fn forward<'a>(&mut self, request: &Request<'_, 'a>, solver: PeerId) -> Result<Outgoing<'a>, String> {
        let Request { from, cookie, raw, timeout, now, .. } = *request;
        let busy = || format!("the service that solves {} is busy", request.method);
        let charge = self.out(from).ok_or_else(busy)?.account().charge(RECORD)?;
        let deadline = now + timeout.duration();
        let peer = self.peers.get_mut(&solver).ok_or_else(busy)?;
        let (asked, _record) = (peer.pending.next_cookie(), peer.out.record(charge));
        let requester = Requester { peer: from, cookie, asked, timeout, _record };
        let cookie = peer.pending.request(requester, deadline).map_err(|_| busy())?;
        let to = Arc::clone(&peer.out);
        if let Some(peer) = self.peers.get_mut(&from) {
            peer.asked.entry(solver).or_default().insert(cookie);
        }
        Ok(Outgoing { to, body: Body::Request { peer: solver, cookie, raw, timeout, deadline } })
    }

    /// Removes the pending request that a service answers with this cookie, and returns its requester.
    fn take_requester(&mut self, solver: PeerId, cookie: i64) -> Option<Requester> {
        let requester = self.peers.get_mut(&solver)?.pending.answered(cookie)?;
        self.no_longer_asked(&requester, solver);
        Some(requester)
    }

    fn no_longer_asked(&mut self, requester: &Requester, solver: PeerId) {
        let Some(peer) = self.peers.get_mut(&requester.peer) else { return };
        let Some(cookies) = peer.asked.get_mut(&solver) else { return };
        cookies.remove(&requester.asked);
        if cookies.is_empty() {
            peer.asked.remove(&solver);
        }
    }

    /// Forwards a service's response to its requester.
    pub(super) fn response<'a>(&mut self, from: PeerId, response: Response<'a>) -> Option<Outgoing<'a>> {
        let requester = self.take_requester(from, response.cookie)?;
        let to = self.out(requester.peer)?;
        Some(Outgoing { to, body: Body::Response(Response { cookie: requester.cookie, ..response }) })
    }

    /// Refuses a request that could not be forwarded.
    pub(super) fn withdraw(&mut self, solver: PeerId, cookie: i64, why: String) -> Option<Outgoing<'static>> {
        let requester = self.take_requester(solver, cookie)?;
        self.refuse(requester.peer, requester.cookie, why)
    }

    /// Refuses a request that has been pending at a service which leaves.
    pub(super) fn refuse_pending(
        &mut self,
        solver: PeerId,
        requester: &Requester,
        why: &str,
    ) -> Option<Outgoing<'static>> {
        self.no_longer_asked(requester, solver);
        self.refuse(requester.peer, requester.cookie, why.to_owned())
    }

    /// Refuses requests that a service has not answered in time: at most a slice. Returns the next deadline, which may have
    /// passed as well.
    pub(super) fn expire(&mut self, solver: PeerId, now: Instant) -> (Batch<'static>, Option<Instant>) {
        let mut outgoing = Vec::new();
        for _ in 0..SLICE {
            let Some(peer) = self.peers.get_mut(&solver) else { return (outgoing, None) };
            let Some(requester) = peer.pending.expire(now) else { break };
            let name = peer.service.as_ref().map_or("the service", |service| &service.service.service_name);
            let why = format!("{name} did not answer within {} s", requester.timeout.seconds());
            outgoing.extend(self.refuse_pending(solver, &requester, &why));
        }
        (outgoing, self.peers.get(&solver).and_then(|peer| peer.pending.next_deadline()))
    }

    pub(super) fn counters(&self) -> StpCounters {
        StpCounters { services: self.services, sessions: self.sessions.len() as u64, ..self.counters }
    }
}

/// A connection has not registered.
#[derive(Debug, Clone, Copy)]
pub(super) struct NotRegistered;
