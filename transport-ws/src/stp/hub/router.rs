//! Who is registered where, and who gets what. Pure: no I/O, no tasks, no clock.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Instant;

use connector_core::stp::{BadService, StpService, StpSession, StpTimeout, unique_name};
use percent_encoding::percent_decode_str;
use serde_json::value::RawValue;

use super::incoming::{Incoming, OWN};
use super::listing::{StpCounters, StpListedService, StpListedSession, StpListing};
use super::outgoing::{Body, Outgoing, PeerId};

/// `O` is how a connection is reached.
#[derive(Debug)]
pub(super) struct Router<O> {
    peers: HashMap<PeerId, Peer<O>>,
    /// The services of each session, in the order in which they registered.
    worlds: BTreeMap<String, Vec<PeerId>>,
    counters: StpCounters,
    most_waiting: usize,
}

#[derive(Debug)]
struct Peer<O> {
    out: O,
    /// The session that the connection's URL names.
    suffix: Option<String>,
    may_list: bool,
    session: StpSession<Asker>,
    service: Option<Registered>,
}

#[derive(Debug)]
struct Registered {
    world: String,
    service: StpService,
    solvables: HashSet<String>,
}

/// Who waits for a service's answer.
#[derive(Debug)]
struct Asker {
    peer: PeerId,
    cookie: i64,
    timeout: StpTimeout,
}

type Says<'a, O> = Vec<Outgoing<'a, O>>;

impl<O: Clone> Router<O> {
    /// At most `most_waiting` requests wait for one service's answers.
    pub(super) fn new(most_waiting: usize) -> Router<O> {
        Router { peers: HashMap::new(), worlds: BTreeMap::new(), counters: StpCounters::default(), most_waiting }
    }

    /// A connection was made to a URL with that path. It is no service yet.
    pub(super) fn join(&mut self, id: PeerId, out: O, path: &str, may_list: bool) {
        let suffix = path.trim_matches('/');
        // As its service has written it in its URL; what is no text stays as it came.
        let suffix = percent_decode_str(suffix).decode_utf8().map_or_else(|_| suffix.to_owned(), Cow::into_owned);
        let suffix = Some(suffix).filter(|suffix| !suffix.is_empty());
        let session = StpSession::new(self.most_waiting);
        self.peers.insert(id, Peer { out, suffix, may_list, session, service: None });
    }

    /// A connection has ended: what waited for its answers is refused, what it waited for is forgotten.
    pub(super) fn leave(&mut self, id: PeerId, slow: bool) -> Says<'static, O> {
        self.counters.slow_closes += u64::from(slow);
        let Some(mut peer) = self.peers.remove(&id) else { return Vec::new() };
        let Some(service) = peer.service.take() else { return Vec::new() };
        self.leave_world(id, &service.world);
        let why = format!("{} left before it answered", service.service.service_name);
        peer.session.end().into_iter().filter_map(|asker| self.refuse(asker.peer, asker.cookie, why.clone())).collect()
    }

    fn leave_world(&mut self, id: PeerId, world: &str) {
        let Some(services) = self.worlds.get_mut(world) else { return };
        services.retain(|service| *service != id);
        for service in services.iter() {
            if let Some(peer) = self.peers.get_mut(service) {
                peer.session.forget(|asker| asker.peer == id);
            }
        }
        if services.is_empty() {
            self.worlds.remove(world);
        }
    }

    pub(super) fn receive<'a>(&mut self, from: PeerId, incoming: Incoming<'a>, now: Instant) -> Says<'a, O> {
        match incoming {
            Incoming::Register { service, cookie } => self.register(from, service, cookie),
            Incoming::List { cookie } => self.list(from, cookie).into_iter().collect(),
            Incoming::Inform { method } => self.inform(from, &method),
            Incoming::Request { cookie, method, raw, timeout } => {
                self.counters.requests += 1;
                let said = self.request(from, &method, raw, Asker { peer: from, cookie, timeout }, now);
                said.or_else(|why| self.refuse(from, cookie, why).ok_or(())).into_iter().collect()
            }
            Incoming::Response { cookie, success, result } => {
                let asker = self.peers.get_mut(&from).and_then(|peer| peer.session.answered(cookie));
                let Some(asker) = asker else {
                    tracing::debug!(cookie, "an answer that nobody waits for is dropped");
                    return Vec::new();
                };
                let Some(to) = self.out(asker.peer) else { return Vec::new() };
                vec![Outgoing { to, what: Body::Answer { cookie: asker.cookie, success, result } }]
            }
            Incoming::Unreadable { cookie, error } => {
                self.counters.requests += 1;
                self.refuse(from, cookie, error.to_string()).into_iter().collect()
            }
            Incoming::Nonsense(error) => {
                self.counters.dropped += 1;
                tracing::warn!(%error, "a frame is dropped");
                Vec::new()
            }
        }
    }

    fn out(&self, peer: PeerId) -> Option<O> {
        self.peers.get(&peer).map(|peer| peer.out.clone())
    }

    fn tell(&self, peer: PeerId, cookie: i64, outcome: Result<String, String>) -> Option<Outgoing<'static, O>> {
        Some(Outgoing { to: self.out(peer)?, what: Body::Tell { cookie, outcome } })
    }

    fn refuse(&mut self, peer: PeerId, cookie: i64, why: String) -> Option<Outgoing<'static, O>> {
        self.counters.refusals += 1;
        self.tell(peer, cookie, Err(why))
    }

    fn register(
        &mut self,
        from: PeerId,
        service: Result<StpService, BadService>,
        cookie: Option<i64>,
    ) -> Says<'static, O> {
        let service = match service {
            Ok(service) => service,
            Err(error) => {
                tracing::warn!(%error, "a Register is refused");
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
        let before = peer.service.as_ref().map(|service| service.world.clone());
        // One that registers again without a word of its session stays where it is.
        let world = named.or_else(|| before.clone()).unwrap_or_else(|| unique_name("session"));
        let mut says = Vec::new();
        if let Some(before) = before.filter(|before| *before != world) {
            // It leaves one world for another.
            let open = self.peers.get_mut(&from).map(|peer| peer.session.end()).unwrap_or_default();
            let why = format!("{} left the session before it answered", service.service_name);
            says.extend(open.into_iter().filter_map(|asker| self.refuse(asker.peer, asker.cookie, why.clone())));
            self.leave_world(from, &before);
        }
        let services = self.worlds.entry(world.clone()).or_default();
        if !services.contains(&from) {
            services.push(from);
        }
        tracing::info!(name = service.service_name, session = world, "a service has registered");
        let solvables = service.solvables.iter().filter(|name| !name.starts_with(OWN)).cloned().collect();
        if let Some(peer) = self.peers.get_mut(&from) {
            peer.service = Some(Registered { world: world.clone(), service, solvables });
        }
        says.extend(cookie.and_then(|cookie| self.tell(from, cookie, Ok(world))));
        says
    }

    fn inform(&mut self, from: PeerId, method: &str) -> Says<'static, O> {
        let Some(world) = self.world_of(from) else {
            self.counters.dropped += 1;
            tracing::warn!(method, "an inform of a connection that has not registered is dropped");
            return Vec::new();
        };
        let said = self.solvers(world, from, method).map(|(_, to)| Outgoing { to, what: Body::Same }).collect();
        self.counters.informs += 1;
        said
    }

    fn world_of(&self, peer: PeerId) -> Option<&str> {
        Some(&*self.peers.get(&peer)?.service.as_ref()?.world)
    }

    /// Those of a world that solve a method, but for `from`, in the order in which they registered.
    fn solvers(&self, world: &str, from: PeerId, method: &str) -> impl Iterator<Item = (PeerId, O)> {
        let services = self.worlds.get(world).map(Vec::as_slice).unwrap_or_default();
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
        asker: Asker,
        now: Instant,
    ) -> Result<Outgoing<'a, O>, String> {
        let world = self.world_of(from).ok_or("register before you ask")?;
        let solvers: Vec<(PeerId, O)> = self.solvers(world, from, method).collect();
        if solvers.is_empty() {
            return Err(format!("no service in session {world} solves {method}"));
        }
        let timeout = asker.timeout;
        let due = now + timeout.duration();
        for (id, to) in solvers {
            let Some(peer) = self.peers.get_mut(&id) else { continue };
            let asker = Asker { ..asker };
            if let Ok(cookie) = peer.session.request(asker, due) {
                return Ok(Outgoing { to, what: Body::PassOn { peer: id, cookie, raw, timeout, due } });
            }
        }
        Err(format!("every service that solves {method} is busy: {} requests wait for it", self.most_waiting))
    }

    /// A request cannot be passed on after all.
    pub(super) fn take_back(&mut self, answerer: PeerId, cookie: i64, why: String) -> Option<Outgoing<'static, O>> {
        let asker = self.peers.get_mut(&answerer)?.session.answered(cookie)?;
        self.refuse(asker.peer, asker.cookie, why)
    }

    /// Refuses what a service has not answered in time; says when to look again.
    pub(super) fn expire(&mut self, answerer: PeerId, now: Instant) -> (Says<'static, O>, Option<Instant>) {
        let mut says = Vec::new();
        loop {
            let Some(peer) = self.peers.get_mut(&answerer) else { return (says, None) };
            let Some(asker) = peer.session.expire(now) else { return (says, peer.session.next_deadline()) };
            let name = peer.service.as_ref().map_or("the service", |service| &service.service.service_name);
            let why = format!("{name} did not answer within {} s", asker.timeout.seconds());
            says.extend(self.refuse(asker.peer, asker.cookie, why));
        }
    }

    fn list(&mut self, from: PeerId, cookie: i64) -> Option<Outgoing<'static, O>> {
        if !self.peers.get(&from)?.may_list {
            return self.refuse(from, cookie, "this hub lists itself to its own machine only".to_owned());
        }
        // Strings and numbers under keys that are strings: that is always JSON.
        let listing = serde_json::to_string(&self.listing()).unwrap_or_default();
        self.tell(from, cookie, Ok(listing))
    }

    pub(super) fn listing(&self) -> StpListing {
        let service = |id: &PeerId| {
            let peer = self.peers.get(id)?;
            let StpService { service_name: name, language, solvables, machine_id, .. } =
                peer.service.as_ref()?.service.clone();
            Some(StpListedService { name, language, machine_id, solvables, waiting: peer.session.waiting() })
        };
        let session = |(id, services): (&String, &Vec<PeerId>)| StpListedSession {
            id: id.clone(),
            services: services.iter().filter_map(service).collect(),
        };
        StpListing { sessions: self.worlds.iter().map(session).collect(), counters: self.counters() }
    }

    pub(super) fn counters(&self) -> StpCounters {
        let services = self.worlds.values().map(|services| services.len() as u64).sum();
        StpCounters { services, sessions: self.worlds.len() as u64, ..self.counters }
    }
}
