//! Registrations and routing. Pure: no I/O, no tasks, no clock.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use connector_core::stp::{BadService, StpService, StpSession, StpTimeout, unique_name};
use connector_core::{Excerpt, TraceLimit};
use percent_encoding::percent_decode_str;
use serde_json::value::RawValue;

use super::incoming::{Incoming, RESERVED};
use super::listing::{StpCounters, StpListedService, StpListedSession, StpListing};
use super::outgoing::{Body, Outgoing, PeerId};

/// `O` is the sending half of a connection.
#[derive(Debug)]
pub(super) struct Router<O> {
    peers: HashMap<PeerId, Peer<O>>,
    /// The services of each session, in order of registration.
    sessions: BTreeMap<String, Vec<PeerId>>,
    counters: StpCounters,
    max_pending: usize,
    /// Limits the traces that clients cause.
    traces: Arc<TraceLimit>,
}

#[derive(Debug)]
struct Peer<O> {
    out: O,
    /// The session named by the URL's path.
    suffix: Option<String>,
    may_list: bool,
    pending: StpSession<Requester>,
    service: Option<Registered>,
}

#[derive(Debug)]
struct Registered {
    session: String,
    service: StpService,
    solvables: HashSet<String>,
}

/// The sender of a request that awaits a service's answer.
#[derive(Debug)]
struct Requester {
    peer: PeerId,
    cookie: i64,
    timeout: StpTimeout,
}

type Batch<'a, O> = Vec<Outgoing<'a, O>>;

impl<O: Clone> Router<O> {
    /// At most `max_pending` requests await one service's answers.
    pub(super) fn new(max_pending: usize, traces: Arc<TraceLimit>) -> Router<O> {
        let (peers, sessions, counters) = (HashMap::new(), BTreeMap::new(), StpCounters::default());
        Router { peers, sessions, counters, max_pending, traces }
    }

    /// Adds a connection to a URL with this path. It is not a service until it registers.
    pub(super) fn join(&mut self, id: PeerId, out: O, path: &str, may_list: bool) {
        let suffix = path.trim_matches('/');
        // Percent-decoded, unless the result is not UTF-8.
        let suffix = percent_decode_str(suffix).decode_utf8().map_or_else(|_| suffix.to_owned(), Cow::into_owned);
        let suffix = Some(suffix).filter(|suffix| !suffix.is_empty());
        let pending = StpSession::new(self.max_pending);
        self.peers.insert(id, Peer { out, suffix, may_list, pending, service: None });
    }

    /// Removes a connection. Requests that await its answers are refused, and its own requests are forgotten.
    pub(super) fn leave(&mut self, id: PeerId, slow: bool) -> Batch<'static, O> {
        self.counters.slow_closes += u64::from(slow);
        let Some(mut peer) = self.peers.remove(&id) else { return Vec::new() };
        let Some(service) = peer.service.take() else { return Vec::new() };
        self.leave_session(id, &service.session);
        let why = format!("{} left before it answered", service.service.service_name);
        peer.pending
            .end()
            .into_iter()
            .filter_map(|requester| self.refuse(requester.peer, requester.cookie, why.clone()))
            .collect()
    }

    fn leave_session(&mut self, id: PeerId, session: &str) {
        let Some(services) = self.sessions.get_mut(session) else { return };
        services.retain(|service| *service != id);
        for service in services.iter() {
            if let Some(peer) = self.peers.get_mut(service) {
                peer.pending.forget(|requester| requester.peer == id);
            }
        }
        if services.is_empty() {
            self.sessions.remove(session);
        }
    }

    pub(super) fn receive<'a>(&mut self, from: PeerId, incoming: Incoming<'a>, now: Instant) -> Batch<'a, O> {
        match incoming {
            Incoming::Register { service, cookie } => self.register(from, service, cookie),
            Incoming::List { cookie } => self.list(from, cookie).into_iter().collect(),
            Incoming::Inform { method } => self.inform(from, &method),
            Incoming::Request { cookie, method, raw, timeout } => {
                self.counters.requests += 1;
                let outgoing = self.request(from, &method, raw, Requester { peer: from, cookie, timeout }, now);
                outgoing.or_else(|why| self.refuse(from, cookie, why).ok_or(())).into_iter().collect()
            }
            Incoming::Response { cookie, success, result } => {
                let requester = self.peers.get_mut(&from).and_then(|peer| peer.pending.answered(cookie));
                let Some(requester) = requester else {
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
        let previous = peer.service.as_ref().map(|service| service.session.clone());
        // A service that registers again without naming a session stays in its session.
        let session = named.or_else(|| previous.clone()).unwrap_or_else(|| unique_name("session"));
        let mut outgoing = Vec::new();
        if let Some(previous) = previous.filter(|previous| *previous != session) {
            // The service moves to another session.
            let pending = self.peers.get_mut(&from).map(|peer| peer.pending.end()).unwrap_or_default();
            let why = format!("{} left the session before it answered", service.service_name);
            outgoing.extend(
                pending.into_iter().filter_map(|requester| self.refuse(requester.peer, requester.cookie, why.clone())),
            );
            self.leave_session(from, &previous);
        }
        let services = self.sessions.entry(session.clone()).or_default();
        if !services.contains(&from) {
            services.push(from);
        }
        if let Some(left_out) = self.traces.pass() {
            let (name, session) = (Excerpt::new(&service.service_name), Excerpt::new(&session));
            tracing::info!(?name, ?session, left_out, "a service registered");
        }
        let solvables = service.solvables.iter().filter(|name| !name.starts_with(RESERVED)).cloned().collect();
        if let Some(peer) = self.peers.get_mut(&from) {
            peer.service = Some(Registered { session: session.clone(), service, solvables });
        }
        outgoing.extend(cookie.and_then(|cookie| self.respond(from, cookie, Ok(session))));
        outgoing
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
        let outgoing =
            self.solvers(session, from, method).map(|(_, to)| Outgoing { to, body: Body::Received }).collect();
        self.counters.informs += 1;
        outgoing
    }

    fn session_of(&self, peer: PeerId) -> Option<&str> {
        Some(&*self.peers.get(&peer)?.service.as_ref()?.session)
    }

    /// The services of a session that solve a method, except `from`, in order of registration.
    fn solvers(&self, session: &str, from: PeerId, method: &str) -> impl Iterator<Item = (PeerId, O)> {
        let services = self.sessions.get(session).map(Vec::as_slice).unwrap_or_default();
        services.iter().filter(move |service| **service != from).filter_map(move |service| {
            let peer = self.peers.get(service)?;
            peer.service.as_ref()?.solvables.contains(method).then(|| (*service, peer.out.clone()))
        })
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
        let solvers: Vec<(PeerId, O)> = self.solvers(session, from, method).collect();
        if solvers.is_empty() {
            return Err(format!("no service in session {session} solves {method}"));
        }
        let timeout = requester.timeout;
        let deadline = now + timeout.duration();
        for (id, to) in solvers {
            let Some(peer) = self.peers.get_mut(&id) else { continue };
            let requester = Requester { ..requester };
            if let Ok(cookie) = peer.pending.request(requester, deadline) {
                return Ok(Outgoing { to, body: Body::Request { peer: id, cookie, raw, timeout, deadline } });
            }
        }
        Err(format!("every service that solves {method} is busy: {} requests are pending", self.max_pending))
    }

    /// Refuses a request that could not be forwarded.
    pub(super) fn withdraw(&mut self, solver: PeerId, cookie: i64, why: String) -> Option<Outgoing<'static, O>> {
        let requester = self.peers.get_mut(&solver)?.pending.answered(cookie)?;
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
            outgoing.extend(self.refuse(requester.peer, requester.cookie, why));
        }
    }

    fn list(&mut self, from: PeerId, cookie: i64) -> Option<Outgoing<'static, O>> {
        if !self.peers.get(&from)?.may_list {
            return self.refuse(from, cookie, "this hub lists itself only to clients on its own machine".to_owned());
        }
        // Strings, numbers and string keys always serialize.
        let listing = serde_json::to_string(&self.listing()).unwrap_or_default();
        self.respond(from, cookie, Ok(listing))
    }

    pub(super) fn listing(&self) -> StpListing {
        let service = |id: &PeerId| {
            let peer = self.peers.get(id)?;
            let StpService { service_name: name, language, solvables, machine_id, .. } =
                peer.service.as_ref()?.service.clone();
            Some(StpListedService { name, language, machine_id, solvables, waiting: peer.pending.waiting() })
        };
        let session = |(id, services): (&String, &Vec<PeerId>)| StpListedSession {
            id: id.clone(),
            services: services.iter().filter_map(service).collect(),
        };
        StpListing { sessions: self.sessions.iter().map(session).collect(), counters: self.counters() }
    }

    pub(super) fn counters(&self) -> StpCounters {
        let services = self.sessions.values().map(|services| services.len() as u64).sum();
        StpCounters { services, sessions: self.sessions.len() as u64, ..self.counters }
    }
}
