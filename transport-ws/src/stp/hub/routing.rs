//! Handles frames by way of the router, whose lock is held for a slice of the work at a time.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use connector_core::Excerpt;
use connector_core::stp::{BadService, StpService};
use tokio_tungstenite::tungstenite::Utf8Bytes;

use super::Inner;
use super::delivery::Origin;
use super::incoming::{Incoming, RESERVED};
use super::outgoing::PeerId;
use super::registered_services::Entry;
use super::router::{Batch, Registered, Request, Requester, SLICE, Search};
use super::snapshot::Snapshot;

/// What a registration takes in addition to its texts, and for each solvable, whose text is stored twice.
const REGISTRATION: usize = 512;
const SOLVABLE: usize = 160;

impl Inner {
    pub(super) fn receive<'a>(&self, from: Origin<'_>, incoming: Incoming<'a>, now: Instant) -> Batch<'a> {
        match incoming {
            Incoming::Register { service, cookie } => self.register(from, service, cookie),
            // Answered by the endpoint.
            Incoming::List { .. } => Vec::new(),
            Incoming::Inform { method } => self.inform(from.id, &method),
            Incoming::Request { cookie, method, raw, timeout } => {
                let request = Request { from: from.id, cookie, method: &method, raw, timeout, now };
                let mut search = Search::default();
                loop {
                    let routed = self.router().request(&request, &mut search);
                    if let Some(outgoing) = routed {
                        return outgoing;
                    }
                }
            }
            Incoming::Response(response) => self.router().response(from.id, response).into_iter().collect(),
            Incoming::BadRequest { cookie, error } => {
                let why = error.to_string();
                let mut router = self.router();
                router.counters.requests += 1;
                router.refuse(from.id, cookie, why).into_iter().collect()
            }
            Incoming::Invalid(error) => {
                self.router().counters.dropped += 1;
                if let Some(left_out) = self.traces.pass() {
                    tracing::warn!(left_out, error = %Excerpt::new(error), "dropped a frame");
                }
                Vec::new()
            }
        }
    }

    fn inform(&self, from: PeerId, method: &str) -> Batch<'static> {
        let (mut outgoing, mut after) = (Vec::new(), 0);
        loop {
            outgoing.reserve(SLICE);
            let next = self.router().inform(from, method, after, &mut outgoing);
            match next {
                Ok(Some(place)) => after = place,
                Ok(None) => return outgoing,
                Err(_) => {
                    if let Some(left_out) = self.traces.pass() {
                        let method = Excerpt::new(method);
                        tracing::warn!(
                            ?method,
                            left_out,
                            "dropped an inform from a connection that has not registered"
                        );
                    }
                    return Vec::new();
                }
            }
        }
    }

    fn register(
        &self,
        from: Origin<'_>,
        service: Result<StpService, BadService>,
        cookie: Option<i64>,
    ) -> Batch<'static> {
        let registered = service.map_err(|error| error.to_string()).and_then(|service| self.enter(from, service));
        let error = match registered {
            Ok(session) => {
                return cookie
                    .and_then(|cookie| self.router().respond(from.id, cookie, Ok(session.to_string())))
                    .into_iter()
                    .collect();
            }
            Err(error) => error,
        };
        if let Some(left_out) = self.traces.pass() {
            tracing::warn!(left_out, error = %Excerpt::new(&error), "refused a Register");
        }
        let mut router = self.router();
        match cookie {
            Some(cookie) => router.refuse(from.id, cookie, error).into_iter().collect(),
            None => {
                router.counters.dropped += 1;
                Vec::new()
            }
        }
    }

    /// Registers a service, and returns its session.
    ///
    /// # Errors
    /// The session's memory is used up, its id is too long, or there are too many sessions. A previous registration is
    /// unaffected.
    fn enter(&self, from: Origin<'_>, service: StpService) -> Result<Arc<str>, String> {
        let ids = [&service.machine_id, &service.session_id].into_iter().flatten();
        let texts: usize = ids.chain([&service.service_name, &service.language]).map(String::len).sum();
        let solvables: usize = service.solvables.iter().map(|method| 2 * method.len() + SOLVABLE).sum();
        let entered = self.router().enter(from.id, &service);
        let Entry { session, place, account, previous, stays } = entered?;
        let charge = match account.charge(REGISTRATION + texts + solvables) {
            Ok(charge) => charge,
            Err(why) => {
                if !stays {
                    let empty = self.router().vacate(&session, place);
                    drop(empty);
                }
                return Err(why);
            }
        };
        if previous.is_some() && !stays {
            for own in self.leave_session(from, "left the session").chunks(SLICE) {
                let refused = {
                    let mut router = self.router();
                    let left = || "the requester has registered in another session before the answer".to_owned();
                    own.iter().filter_map(|request| router.refuse(from.id, request.cookie, left())).collect()
                };
                self.deliver(from, refused, &Utf8Bytes::default());
            }
        }
        let methods: Vec<_> = service.solvables.iter().filter(|name| !name.starts_with(RESERVED)).cloned().collect();
        for methods in methods.chunks(SLICE) {
            self.router().index(&session, place, from.id, methods);
        }
        if let Some(previous) = previous.filter(|_| stays) {
            let kept: HashSet<&String> = methods.iter().collect();
            let gone: Vec<_> = previous.solvables.iter().filter(|name| !kept.contains(name)).cloned().collect();
            for methods in gone.chunks(SLICE) {
                self.router().unindex(&session, place, methods);
            }
        }
        if let Some(left_out) = self.traces.pass() {
            let (name, session) = (Excerpt::new(&service.service_name), Excerpt::new(&session));
            tracing::info!(?name, ?session, left_out, "a service registered");
        }
        let (service, id) = (Arc::new(service), Arc::clone(&session));
        let registered = Registered { session: id, place, service, account, _charge: charge };
        let replaced = self.router().registered(from.id, registered);
        drop(replaced);
        Ok(session)
    }

    /// Removes a connection. Requests that await its answers are refused, and its own requests are forgotten.
    pub(super) fn leave(&self, from: Origin<'_>, slow: bool) {
        self.router().counters.slow_closes += u64::from(slow);
        let forgotten = self.leave_session(from, "left");
        drop(forgotten);
        let peer = self.router().remove(from.id);
        drop(peer);
    }

    /// Refuses the requests that await the service's answers. Returns its own, which no service can answer any more.
    fn leave_session(&self, from: Origin<'_>, how: &str) -> Vec<Requester> {
        let left = self.router().take_service(from.id);
        if let Some(Registered { session, place, service, .. }) = &left {
            for methods in service.solvables.chunks(SLICE) {
                self.router().unindex(session, *place, methods);
            }
            let empty = self.router().vacate(session, *place);
            drop(empty);
        }
        let requests = self.router().take_requests(from.id);
        let Some((mut pending, asked)) = requests else { return Vec::new() };
        let name = left.as_ref().map_or("the service", |left| &left.service.service_name);
        let why = format!("{name} {how} before it answered");
        for requesters in pending.end().chunks(SLICE) {
            let refused = {
                let mut router = self.router();
                requesters.iter().filter_map(|requester| router.refuse_pending(from.id, requester, &why)).collect()
            };
            self.deliver(from, refused, &Utf8Bytes::default());
        }
        let mut own = Vec::new();
        for (solver, cookies) in asked {
            let cookies: Vec<_> = cookies.into_iter().collect();
            for cookies in cookies.chunks(SLICE) {
                own.extend(self.router().forget_requests(solver, cookies));
            }
        }
        own
    }

    /// The sessions, or one of them. Services that register or leave meanwhile may be missing.
    pub(super) fn snapshot(&self, only: Option<&str>) -> Snapshot {
        let (mut snapshot, mut cursor) = (Snapshot::default(), None);
        loop {
            let more = self.router().snapshot(only, &mut cursor, &mut snapshot);
            if !more {
                return snapshot;
            }
        }
    }
}
