//! The engine's endpoint of a link.

use std::future::Future;
use std::mem;
use std::sync::{Arc, Weak};
use std::task::{Context as Cx, Poll, ready};
use std::time::Duration;

use foldhash::{HashSet, HashSetExt};

use super::EngineState;
use super::bounds::check_methods;
use super::entry::Entry;
use super::health::{Health, LivenessEvent};
use super::observer::{Direction, Interests, Observation};
use super::remote::{EngineCommand, RemotePlugin};
use super::supervisor;
use crate::connector::{Link, LinkEnd};
use crate::error::{CallError, Fault, Refusal};
use crate::excerpt::{Excerpt, cut};
use crate::link::{Echo, Endpoint, Exchange, Outbox, Outcome, Role};
use crate::plugin::Scope;
use crate::runtime::{self, BoxFuture, Timer};
use crate::session::{EngineEvent, EngineSession, EngineSide};
use crate::trace_limit::TraceLimit;
use crate::wire::{DecodeError, Extensions, Inherited, JsonLimits, Message, Name};

pub(super) type EngineEndpoint = Endpoint<EngineRole>;

pub(super) struct EngineRole {
    engine: Weak<EngineState>,
    entry: Arc<Entry>,
    remote: Arc<RemotePlugin>,
    handshake: Handshake,
    /// The plugin is stopping: calls are not sent any more.
    is_draining: bool,
    /// Created at the first handshake, unless the transport detects silence itself.
    health: Option<Health>,
    /// The events of a lent plugin that its lender knows to be listened to.
    listened: HashSet<Name>,
}

enum Handshake {
    Waiting {
        limit: Duration,
        timer: Timer,
    },
    /// Just answered: liveness is monitored from here on.
    Answered,
    Done,
    Failed(LinkEnd),
}

impl EngineEndpoint {
    pub(super) fn open(engine: Weak<EngineState>, entry: Arc<Entry>, remote: Arc<RemotePlugin>) -> EngineEndpoint {
        let limit = entry.options.handshake_timeout;
        let handshake = Handshake::Waiting { limit, timer: runtime::sleep(limit) };
        let session = EngineSession::new(entry.name.clone(), entry.options.engine_name.clone());
        let role =
            EngineRole { engine, entry, remote, handshake, is_draining: false, health: None, listened: HashSet::new() };
        Endpoint::new(role, session)
    }
}

impl EngineRole {
    fn is_loaded(&self) -> bool {
        matches!(self.handshake, Handshake::Answered | Handshake::Done)
    }

    /// Probes a silent plugin. Ready when it remains silent.
    fn poll_silent(&mut self, exchange: &mut Exchange<EngineSide>, cx: &mut Cx<'_>, link: &dyn Link) -> Poll<LinkEnd> {
        let (session, signs) = (&mut exchange.session, exchange.signs);
        let alive = || signs.wrapping_add(link.traffic().received);
        if let Handshake::Answered = self.handshake {
            self.handshake = Handshake::Done;
            match &mut self.health {
                Some(health) => health.answered(alive()),
                None => self.health = Health::new(&self.entry.options, link.notices_silence(), alive()),
            }
        }
        let Some(health) = &mut self.health else { return Poll::Pending };
        loop {
            match ready!(health.poll(cx, alive, session.calls_under_way())) {
                LivenessEvent::Silent(time) => return Poll::Ready(LinkEnd::Silent(time)),
                // An unanswered probe is not repeated.
                LivenessEvent::Probe if session.has_unanswered_probes() => {}
                LivenessEvent::Probe => {
                    session.handshake();
                    cx.waker().wake_by_ref();
                }
            }
        }
    }

    fn observe<'a>(&'a self, observation: impl FnOnce(&'a str, Option<&'a str>) -> Observation<'a>) {
        if self.remote.observers.want(Interests::MESSAGES) {
            self.remote.observers.tell(&observation(&self.remote.name, self.remote.replica()));
        }
    }

    fn observe_message(&self, direction: Direction, message: &Message, link: &dyn Link) {
        self.observe(|plugin, replica| {
            let moves_values = link.moves_values();
            Observation::Message { plugin, replica, direction, message, moves_values }
        });
    }

    /// # Errors
    /// The methods are too many, with those of the plugin's other replicas.
    fn check_methods(&self, methods: &[String]) -> Result<(), String> {
        check_methods(methods)?;
        match self.entry.membership() {
            Some(membership) => check_methods(&membership.methods_with(methods))
                .map_err(|why| format!("with the methods of the other replicas, {why}")),
            None => Ok(()),
        }
    }

    /// Tells the lender whether anybody listens to an event, unless it knows.
    fn listened(&mut self, exchange: &mut Exchange<EngineSide>, event: Name) {
        let by_anybody = self.entry.emitter.is_listened(&event);
        let is_news = match by_anybody {
            true => self.listened.insert(event.clone()),
            false => self.listened.remove(&event),
        };
        if is_news {
            exchange.session.listened(event.clone(), by_anybody);
        }
        // What happens from here on is not known, so the last known occurrence is not the last.
        if !by_anybody {
            self.entry.emitter.forget(&event);
        }
    }

    /// Traces a refusal for which the wire has no response.
    fn trace(&self, outcome: Result<(), Refusal>) {
        if let Err(refusal) = outcome {
            self.entry.warn(|plugin, left_out| {
                tracing::warn!(plugin, left_out, refusal = %Excerpt::new(refusal), "refused");
            });
        }
    }
}

/// Replaces a result, or a plugin's error, that exceeds the limits of its receiver.
fn check_outcome(outcome: Outcome<EngineSide>, limits: &JsonLimits) -> Outcome<EngineSide> {
    let (what, payload) = match &outcome {
        Ok(result) => ("result", result),
        Err(CallError::Plugin(fault)) => ("error", fault.payload()),
        Err(_) => return outcome,
    };
    match payload.check(limits) {
        Ok(()) => outcome,
        Err(why) => {
            Err(CallError::Plugin(Fault::new(format_args!("the {what} cannot be forwarded: it contains {why}"))))
        }
    }
}

impl Role for EngineRole {
    type Side = EngineSide;
    type Command = EngineCommand;

    fn plugin(&self) -> Name {
        self.entry.name.clone()
    }

    fn observe_sent(&self, message: &Message, link: &dyn Link) {
        self.observe_message(Direction::ToPlugin, message, link);
    }

    fn observe_received(&self, message: &Message, link: &dyn Link) {
        self.observe_message(Direction::FromPlugin, message, link);
    }

    fn observe_bad_frame(&self, error: &DecodeError) {
        self.observe(|plugin, replica| Observation::BadFrame { plugin, replica, error });
    }

    fn traces(&self) -> &TraceLimit {
        &self.entry.traces
    }

    fn outbox(&self) -> &Outbox<EngineCommand> {
        &self.remote.outbox
    }

    /// Events kept from before a loss are sent once the plugin is ready for them.
    fn may_send(&self) -> bool {
        self.is_loaded()
    }

    fn backlog(&self) -> (usize, bool) {
        if self.is_loaded() { self.remote.outbox.backlog() } else { (0, false) }
    }

    fn received(&mut self) {
        if let Some(health) = &mut self.health {
            health.received();
        }
    }

    fn act(&mut self, exchange: &mut Exchange<EngineSide>, event: EngineEvent) {
        let Some(engine) = self.engine.upgrade() else { return };
        match event {
            EngineEvent::Loaded { methods } => {
                if let Some(Err(why)) = methods.as_deref().map(|methods| self.check_methods(methods)) {
                    return self.handshake_failed(LinkEnd::BadHandshake(why));
                }
                let peer = exchange.session.peer();
                self.remote.set_lent(peer.is_lent());
                if !self.is_loaded() {
                    supervisor::link_up(&engine, &self.entry, &self.remote, methods);
                    if self.remote.is_lent() {
                        self.entry.emitter.listened().into_iter().for_each(|event| self.listened(exchange, event));
                    }
                } else if methods.is_some_and(|methods| self.entry.set_methods(methods)) {
                    engine.profile_updated(&self.entry);
                }
                self.handshake = Handshake::Answered;
            }
            EngineEvent::HandshakeFailed(why) => self.handshake_failed(LinkEnd::BadHandshake(why)),
            EngineEvent::Draining => {
                let begins = !mem::replace(&mut self.is_draining, true);
                if let Some(membership) = self.entry.membership().filter(|_| begins) {
                    membership.drains(&self.entry);
                }
            }
            EngineEvent::Call { id, target, method, args, inherited } => {
                let echo = Echo { name: Some(target.clone()), key: method.clone() };
                let charge = exchange.charge(&self.remote.outbox, id.as_ref(), &echo, &args, inherited.as_deref());
                let work = match charge {
                    Ok(charge) if exchange.running() < self.entry.options.max_calls => {
                        let caller = Arc::clone(&self.entry);
                        let scope = match inherited {
                            // Only a lender receives chains: a plugin knows none.
                            Some(inherited) => Some(Scope::received(Inherited { chain: None, ..*inherited })),
                            None if exchange.session.peer().contain(Extensions::TRACE_CONTEXT) => None,
                            None => caller.trace_of_its_only_call(),
                        };
                        let work = async move {
                            let mut attended = engine.attend(&caller, &target, &method, scope, &args);
                            let call = engine.call(&caller, &target, &method, args, attended.as_deref_mut());
                            let outcome = call.await;
                            let outcome = match attended {
                                None => outcome,
                                Some(attended) => attended.end(outcome),
                            };
                            check_outcome(outcome, &caller.options.json_limits())
                        };
                        Ok((charge, Box::pin(work) as BoxFuture<_>))
                    }
                    charge => {
                        let (target, method) = (cut(&*target).into_owned(), cut(&*method).into_owned());
                        let (caller, waiting) = (self.entry.name.to_string(), exchange.running());
                        Err(match charge {
                            Ok(_) => Refusal::Busy { target, caller, method, waiting }.into(),
                            Err(over) => Refusal::OverBudget { target, caller, method, why: over.to_string() }.into(),
                        })
                    }
                };
                exchange.run(&self.remote.outbox, id, echo, work);
            }
            EngineEvent::CancelOne { id } => exchange.cancel(&id),
            EngineEvent::CancelAll { target, method } => {
                self.trace(engine.cancel(&self.entry, &target, method.as_deref()));
            }
            EngineEvent::Listen { emitter, event, once } => {
                let remote = Arc::clone(&self.remote);
                self.trace(engine.listen_over_link(&self.entry, emitter, event, once, remote));
            }
            EngineEvent::Unlisten { emitter, event } => self.trace(engine.unlisten(&self.entry, &emitter, &event)),
            // Nobody listens any longer, and it would be stored for those who do later.
            EngineEvent::Emit { event, .. } if self.remote.is_lent() && !self.listened.contains(&event) => {}
            EngineEvent::Emit { event, args } => self.trace(engine.emit(&self.entry, &event, args)),
        }
    }

    fn handshake_failed(&mut self, end: LinkEnd) {
        match self.is_loaded() {
            true => self.entry.warn(|plugin, left_out| {
                tracing::warn!(plugin, left_out, end = %Excerpt::new(end), "a repeated handshake failed");
            }),
            false => self.handshake = Handshake::Failed(end),
        }
    }

    fn command(&mut self, exchange: &mut Exchange<EngineSide>, command: EngineCommand) {
        let session = &mut exchange.session;
        match command {
            EngineCommand::Call { reply, .. } if self.is_draining => {
                // An error means that the caller has dropped the call.
                let _ = reply.send(Err(self.remote.stopping()));
            }
            EngineCommand::Call { id, method, args, info, scope, reply } => {
                session.call(id, method, args, info, scope.map(|scope| scope.to_wire()), reply);
            }
            EngineCommand::Withdraw { id } => {
                // The plugin may work on that call for as long as it would have been allowed to.
                if session.calls_under_way() > 0
                    && let Some(health) = &mut self.health
                {
                    health.busy();
                }
                session.withdraw_call(id);
            }
            EngineCommand::Notify { emitter, event, args } => session.notify(emitter, event, args),
            EngineCommand::Listened { event } => self.listened(exchange, event),
            EngineCommand::Await { runs } => session.awaited(runs),
        }
    }

    fn poll_stop(&mut self, exchange: &mut Exchange<EngineSide>, cx: &mut Cx<'_>, link: &dyn Link) -> Poll<LinkEnd> {
        if self.remote.outbox.is_stopped() {
            return Poll::Ready(LinkEnd::Disconnected);
        }
        match &mut self.handshake {
            Handshake::Waiting { limit, timer } => timer.as_mut().poll(cx).map(|()| LinkEnd::NoHandshake(*limit)),
            Handshake::Failed(end) => Poll::Ready(end.clone()),
            Handshake::Answered | Handshake::Done => self.poll_silent(exchange, cx, link),
        }
    }
}
