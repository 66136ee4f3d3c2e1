//! Registrations and routing. Pure: no I/O, no tasks, no clock.

mod list;

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use connector_core::stp::{BadService, StpService, StpSession, StpTimeout, unique_name};
use connector_core::{Excerpt, TraceLimit};
use percent_encoding::percent_decode_str;
use serde_json::value::RawValue;

use super::incoming::{Incoming, RESERVED};
use super::listing::StpCounters;
use super::outgoing::{Body, Outgoing, PeerId};

/// `O` is the sending half of a connection.
#[derive(Debug)]
pub(super) struct Router<O> {
    peers: HashMap<PeerId, Peer<O>>,
    sessions: BTreeMap<Arc<str>, Session>,
    /// `services` and `sessions` are not kept up to date here.
    counters: StpCounters,
    /// Registered services.
    services: u64,
    /// The place of the next service in the order of registration.
    next_place: u64,
    max_pending: usize,
    /// Limits the traces that clients cause.
    traces: Arc<TraceLimit>,
}

#[derive(Debug, Default)]
struct Session {
    /// In order of registration.
    services: BTreeMap<u64, PeerId>,
    /// The services that solve a method, in the same order.
    solvers: HashMap<String, BTreeMap<u64, PeerId>>,
}

#[derive(Debug)]
struct Peer<O> {
    out: O,
    /// The session named by the URL's path.
    suffix: Option<String>,
    scope: Scope,
    /// Requests that await this service's answers.
    pending: StpSession<Requester>,
    /// The cookies of its own requests, by the service that must answer.
    asked: HashMap<PeerId, HashSet<i64>>,
    service: Option<Registered>,
}

#[derive(Debug)]
struct Registered {
    session: Arc<str>,
    place: u64,
    service: Arc<StpService>,
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
struct Requester {
    peer: PeerId,
    /// The requester's own cookie.
    cookie: i64,
    /// The cookie under which the request is pending at the service.
    asked: i64,
    timeout: StpTimeout,
}

type Batch<'a, O> = Vec<Outgoing<'a, O>>;

impl<O: Clone> Router<O> {
    /// At most `max_pending` requests await one service's answers.
    pub(super) fn new(max_pending: usize, traces: Arc<TraceLimit>) -> Router<O> {
        Router {
            peers: HashMap::new(),
            sessions: BTreeMap::new(),
            counters: StpCounters::default(),
            services: 0,
            next_place: 0,
            max_pending,
            traces,
        }
    }

    /// Adds a connection to a URL with this path. It is not a service until it registers.
    pub(super) fn join(&mut self, id: PeerId, out: O, path: &str, scope: Scope) {
        let suffix = path.trim_matches('/');
        // Percent-decoded, unless the result is not UTF-8.
        let suffix = percent_decode_str(suffix).decode_utf8().map_or_else(|_| suffix.to_owned(), Cow::into_owned);
        let suffix = Some(suffix).filter(|suffix| !suffix.is_empty());
        let pending = StpSession::new(self.max_pending);
        self.peers.insert(id, Peer { out, suffix, scope, pending, asked: HashMap::new(), service: None });
    }

    /// Removes a connection. Requests that await its answers are refused, and its own requests are forgotten.
    pub(super) fn leave(&mut self, id: PeerId, slow: bool) -> Batch<'static, O> {
        self.counters.slow_closes += u64::from(slow);
        self.forget_requests(id);
        let left = self.peers.get_mut(&id).and_then(|peer| peer.service.take());
        let outgoing = left.map(|service| self.leave_session(id, &service, "left")).unwrap_or_default();
        self.peers.remove(&id);
        outgoing
    }

    /// Forgets the requests of a connection. Takes as long as it has requests.
    fn forget_requests(&mut self, id: PeerId) {
        let asked = self.peers.get_mut(&id).map(|peer| std::mem::take(&mut peer.asked)).unwrap_or_default();
        for (solver, cookies) in asked {
            if let Some(solver) = self.peers.get_mut(&solver) {
                for cookie in cookies {
                    let _ = solver.pending.answered(cookie);
                }
            }
        }
    }

    /// Removes a service from its session. Takes as long as it has solvables.
    fn deregister(&mut self, left: &Registered) {
        self.services -= 1;
        if let Some(session) = self.sessions.get_mut(&left.session) {
            session.services.remove(&left.place);
            for method in &left.service.solvables {
                if let Some(solvers) = session.solvers.get_mut(method) {
                    solvers.remove(&left.place);
                    if solvers.is_empty() {
                        session.solvers.remove(method);
                    }
                }
            }
            if session.services.is_empty() {
                self.sessions.remove(&left.session);
            }
        }
    }

    /// Removes a service from its session. Requests that await its answers are refused.
    fn leave_session(&mut self, id: PeerId, left: &Registered, how: &str) -> Batch<'static, O> {
        self.deregister(left);
        let pending = self.peers.get_mut(&id).map(|peer| peer.pending.end()).unwrap_or_default();
        let why = format!("{} {how} before it answered", left.service.service_name);
        let mut outgoing = Vec::new();
        for requester in pending {
            if let Some(peer) = self.peers.get_mut(&requester.peer) {
                peer.asked.remove(&id);
            }
            outgoing.extend(self.refuse(requester.peer, requester.cookie, why.clone()));
        }
        outgoing
    }

    /// The requester that awaits a service's answer with this cookie, which is no longer pending.
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

    pub(super) fn receive<'a>(&mut self, from: PeerId, incoming: Incoming<'a>, now: Instant) -> Batch<'a, O> {
        match incoming {
            Incoming::Register { service, cookie } => self.register(from, service, cookie),
            // Answered outside the router's lock.
            Incoming::List { .. } => Vec::new(),
            Incoming::Inform { method } => self.inform(from, &method),
            Incoming::Request { cookie, method, raw, timeout } => {
                self.counters.requests += 1;
                let outgoing =
                    self.request(from, &method, raw, Requester { peer: from, cookie, asked: 0, timeout }, now);
                outgoing.or_else(|why| self.refuse(from, cookie, why).ok_or(())).into_iter().collect()
            }
            Incoming::Response { cookie, success, result } => {
                let Some(requester) = self.take_requester(from, cookie) else {
                    tracing::debug!(cookie, "dropped an answer to an unknown request");
                    return Vec::new();
                };
                let Some(to) = self.out(requester.peer) else { return Vec::new() };
                vec![Outgoing { to, body: Body::Response { cookie: requester.cookie, success, result } }]
            }
            Incoming::BadRequest { cookie, error } => {
                self.counters.requests += 1;
                self.refuse(from, cookie, error.to_string()).into_iter().collect()
            }
            Incoming::Invalid(error) => {
                self.counters.dropped += 1;
                if let Some(left_out) = self.traces.pass() {
                    tracing::warn!(left_out, error = %Excerpt::new(error), "dropped a frame");
                }
                Vec::new()
            }
        }
    }

    fn out(&self, peer: PeerId) -> Option<O> {
        self.peers.get(&peer).map(|peer| peer.out.clone())
    }

    fn respond(&self, peer: PeerId, cookie: i64, outcome: Result<String, String>) -> Option<Outgoing<'static, O>> {
        Some(Outgoing { to: self.out(peer)?, body: Body::HubResponse { cookie, outcome } })
    }

    fn refuse(&mut self, peer: PeerId, cookie: i64, why: String) -> Option<Outgoing<'static, O>> {
        self.counters.refusals += 1;
        self.respond(peer, cookie, Err(why))
    }

    fn register(
        &mut self,
        from: PeerId,
        service: Result<StpService, BadService>,
        cookie: Option<i64>,
    ) -> Batch<'static, O> {
        let service = match service {
            Ok(service) => service,
            Err(error) => {
                if let Some(left_out) = self.traces.pass() {
                    tracing::warn!(left_out, error = %Excerpt::new(&error), "refused a Register");
                }
                return match cookie {
                    Some(cookie) => self.refuse(from, cookie, error.to_string()).into_iter().collect(),
                    None => {
                        self.counters.dropped += 1;
                        Vec::new()
                    }
                };
            }
        };
        let Some(peer) = self.peers.get_mut(&from) else { return Vec::new() };
        let named = service.session_id.clone().or_else(|| peer.suffix.clone()).or_else(|| service.machine_id.clone());
        let previous = peer.service.take();
        // A service that registers again without naming a session stays in its session.
        let stays = named.as_deref().zip(previous.as_ref()).is_none_or(|(named, previous)| *named == *previous.session);
        let (session, place) = match &previous {
            Some(previous) if stays => (Arc::clone(&previous.session), previous.place),
            _ => {
                self.next_place += 1;
                (named.unwrap_or_else(|| unique_name("session")).into(), self.next_place)
            }
        };
        let mut outgoing = Vec::new();
        if let Some(previous) = previous {
            if stays {
                self.deregister(&previous);
            } else {
                self.forget_requests(from);
                outgoing = self.leave_session(from, &previous, "left the session");
            }
        }
        self.services += 1;
        let entry = self.sessions.entry(Arc::clone(&session)).or_default();
        entry.services.insert(place, from);
        for method in service.solvables.iter().filter(|name| !name.starts_with(RESERVED)) {
            entry.solvers.entry(method.clone()).or_default().insert(place, from);
        }
        if let Some(left_out) = self.traces.pass() {
            let (name, session) = (Excerpt::new(&service.service_name), Excerpt::new(&session));
            tracing::info!(?name, ?session, left_out, "a service registered");
        }
        if let Some(peer) = self.peers.get_mut(&from) {
            peer.service = Some(Registered { session: Arc::clone(&session), place, service: Arc::new(service) });
        }
        outgoing.extend(cookie.and_then(|cookie| self.respond(from, cookie, Ok(session.to_string()))));
        outgoing
    }

    pub(super) fn is_registered(&self, peer: PeerId) -> bool {
        self.peers.get(&peer).is_some_and(|peer| peer.service.is_some())
    }

    fn inform(&mut self, from: PeerId, method: &str) -> Batch<'static, O> {
        let Some(session) = self.session_of(from) else {
            self.counters.dropped += 1;
            if let Some(left_out) = self.traces.pass() {
                let method = Excerpt::new(method);
                tracing::warn!(?method, left_out, "dropped an inform from a connection that has not registered");
            }
            return Vec::new();
        };
        let outs = self.solvers(session, from, method).filter_map(|solver| self.out(solver));
        let outgoing = outs.map(|to| Outgoing { to, body: Body::Received }).collect();
        self.counters.informs += 1;
        outgoing
    }

    fn session_of(&self, peer: PeerId) -> Option<&str> {
        Some(&*self.peers.get(&peer)?.service.as_ref()?.session)
    }

    /// The services of a session that solve a method, except `from`, in order of registration.
    fn solvers(&self, session: &str, from: PeerId, method: &str) -> impl Iterator<Item = PeerId> {
        let solvers = self.sessions.get(session).and_then(|session| session.solvers.get(method));
        solvers.into_iter().flat_map(BTreeMap::values).copied().filter(move |solver| *solver != from)
    }

    fn request<'a>(
        &mut self,
        from: PeerId,
        method: &str,
        raw: &'a RawValue,
        requester: Requester,
        now: Instant,
    ) -> Result<Outgoing<'a, O>, String> {
        let session = self.session_of(from).ok_or("register before sending requests")?;
        let own =
            |solver: PeerId| self.peers.get(&from).and_then(|peer| peer.asked.get(&solver)).map_or(0, HashSet::len);
        let waiting = |solver: PeerId| self.peers.get(&solver).map_or(0, |peer| peer.pending.waiting());
        // A connection occupies at most half of what the others leave free.
        let has_capacity = |solver: &PeerId| {
            let free = self.max_pending.saturating_sub(waiting(*solver));
            free > 0 && own(*solver) <= free
        };
        let Some(solver) = self.solvers(session, from, method).find(has_capacity) else {
            let Some(last) = self.solvers(session, from, method).last() else {
                return Err(format!("no service in session {session} solves {method}"));
            };
            let (waiting, own) = (waiting(last), own(last));
            return Err(format!(
                "every service that solves {method} is busy: {waiting} requests are pending, {own} of them of this \
                 connection"
            ));
        };
        let (timeout, busy) = (requester.timeout, || format!("the service that solves {method} is busy"));
        let deadline = now + timeout.duration();
        let peer = self.peers.get_mut(&solver).ok_or_else(busy)?;
        let asked = peer.pending.next_cookie();
        let cookie = peer.pending.request(Requester { asked, ..requester }, deadline).map_err(|_| busy())?;
        let to = peer.out.clone();
        if let Some(peer) = self.peers.get_mut(&from) {
            peer.asked.entry(solver).or_default().insert(cookie);
        }
        Ok(Outgoing { to, body: Body::Request { peer: solver, cookie, raw, timeout, deadline } })
    }

    /// Refuses a request that could not be forwarded.
    pub(super) fn withdraw(&mut self, solver: PeerId, cookie: i64, why: String) -> Option<Outgoing<'static, O>> {
        let requester = self.take_requester(solver, cookie)?;
        self.refuse(requester.peer, requester.cookie, why)
    }

    /// Refuses requests that a service has not answered in time. Returns the next deadline.
    pub(super) fn expire(&mut self, solver: PeerId, now: Instant) -> (Batch<'static, O>, Option<Instant>) {
        let mut outgoing = Vec::new();
        loop {
            let Some(peer) = self.peers.get_mut(&solver) else { return (outgoing, None) };
            let Some(requester) = peer.pending.expire(now) else { return (outgoing, peer.pending.next_deadline()) };
            let name = peer.service.as_ref().map_or("the service", |service| &service.service.service_name);
            let why = format!("{name} did not answer within {} s", requester.timeout.seconds());
            self.no_longer_asked(&requester, solver);
            outgoing.extend(self.refuse(requester.peer, requester.cookie, why));
        }
    }

    pub(super) fn counters(&self) -> StpCounters {
        StpCounters { services: self.services, sessions: self.sessions.len() as u64, ..self.counters }
    }
}
