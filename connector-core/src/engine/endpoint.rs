//! The engine's endpoint of a link.

use std::future::Future;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use super::Inner;
use super::entry::Entry;
use super::health::{Health, LivenessEvent};
use super::remote::{EngineCommand, RemotePlugin};
use crate::connector::{Link, LinkEnd};
use crate::error::{CallError, Refusal};
use crate::link::{Endpoint, Reply, ResponseQueue, TaskSet};
use crate::runtime::{self, Timer};
use crate::session::{Dropped, EngineEvent, EngineSession, Retained};
use crate::wire::{DecodeError, Id, Message, Name, Payload, PayloadError};

pub(super) struct EngineEndpoint<L> {
    engine: Weak<Inner>,
    entry: Arc<Entry>,
    remote: Arc<RemotePlugin>,
    session: EngineSession<Reply>,
    /// Calls by the plugin to others.
    tasks: TaskSet<(), CompletedCall>,
    responses: ResponseQueue<Response>,
    /// Callback for the completed handshake.
    on_loaded: Option<L>,
    handshake: Handshake,
    /// Created at the first handshake, unless the transport detects silence itself.
    health: Option<Health>,
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

/// A completed call by the plugin.
struct CompletedCall {
    target: Name,
    method: Name,
    result: Result<Payload, CallError>,
}

/// With the id of its request.
type Response = (Option<Id>, CompletedCall);

impl<L: FnOnce(Option<Vec<String>>) + Send> EngineEndpoint<L> {
    /// `on_loaded` receives the methods that the plugin lists in its first handshake response.
    pub(super) fn new(
        engine: Weak<Inner>,
        entry: Arc<Entry>,
        remote: Arc<RemotePlugin>,
        on_loaded: L,
    ) -> EngineEndpoint<L> {
        let limit = entry.options.handshake_timeout;
        EngineEndpoint {
            engine,
            session: EngineSession::new(entry.name.clone(), entry.options.engine_name.clone()),
            entry,
            remote,
            tasks: TaskSet::new(),
            responses: ResponseQueue::new(),
            on_loaded: Some(on_loaded),
            handshake: Handshake::Waiting { limit, timer: runtime::sleep(limit) },
            health: None,
        }
    }

    pub(super) fn is_loaded(&self) -> bool {
        matches!(self.handshake, Handshake::Answered | Handshake::Done)
    }

    /// The link has ended. Returns all pending calls.
    pub(super) fn end(mut self) -> Vec<Reply> {
        self.session.end()
    }

    fn act(&mut self, event: EngineEvent<Reply>) {
        let Some(engine) = self.engine.upgrade() else { return };
        match event {
            EngineEvent::Loaded { methods } => {
                match self.on_loaded.take() {
                    Some(on_loaded) => on_loaded(methods),
                    None => {
                        if methods.is_some_and(|methods| self.entry.set_methods(methods)) {
                            engine.profile_updated(&self.entry);
                        }
                    }
                }
                self.handshake = Handshake::Answered;
            }
            EngineEvent::HandshakeFailed(why) => self.handshake_failed(LinkEnd::BadHandshake(why)),
            EngineEvent::HandshakeUnreadable(why) => self.handshake_failed(LinkEnd::BadFrame(why)),
            EngineEvent::Call { id, target, method, args } => {
                if self.tasks.len() >= self.entry.options.max_calls {
                    let result = Err(self.busy(&target, &method).into());
                    return self.respond((id, CompletedCall { target, method, result }));
                }
                let caller = Arc::clone(&self.entry);
                let work = async move {
                    let result = engine.call(&caller, &target, &method, args).await;
                    CompletedCall { target, method, result }
                };
                if let Some(ended) = self.tasks.start(id, (), Box::pin(work)) {
                    self.respond((ended.id, ended.output));
                }
            }
            EngineEvent::CancelOne { id } => {
                self.tasks.cancel(&id);
            }
            EngineEvent::CancelAll { target, method } => {
                let refused = engine.cancel(&self.entry, &target, method.as_deref()).err();
                self.trace(refused);
            }
            EngineEvent::Listen { emitter, event, once } => {
                let link = Arc::clone(&self.remote);
                let refused = engine.listen_over_link(&self.entry, emitter, event, once, link).err();
                self.trace(refused);
            }
            EngineEvent::Unlisten { emitter, event } => {
                let refused = engine.unlisten(&self.entry, &emitter, &event).err();
                self.trace(refused);
            }
            EngineEvent::Emit { event, args } => {
                let refused = engine.emit(&self.entry, &event, args).err();
                self.trace(refused);
            }
            EngineEvent::Ended { reply, outcome } => {
                // An error means that the caller has dropped the call.
                let _ = reply.send(outcome);
            }
        }
    }

    fn handshake_failed(&mut self, end: LinkEnd) {
        match self.is_loaded() {
            true => tracing::warn!(plugin = &*self.entry.name, %end, "a repeated handshake failed"),
            false => self.handshake = Handshake::Failed(end),
        }
    }

    /// Probes a silent plugin. Ready when it remains silent.
    fn poll_silent(&mut self, cx: &mut Context<'_>, link: &dyn Link, signs: u64) -> Poll<LinkEnd> {
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
            match ready!(health.poll(cx, alive, self.session.calls_under_way())) {
                LivenessEvent::Silent(time) => return Poll::Ready(LinkEnd::Silent(time)),
                // An unanswered probe is not repeated.
                LivenessEvent::Probe if self.session.has_unanswered_probes() => {}
                LivenessEvent::Probe => {
                    self.session.handshake();
                    cx.waker().wake_by_ref();
                }
            }
        }
    }

    /// Traces a refusal for which the wire has no response.
    fn trace(&self, refused: Option<Refusal>) {
        if let Some(refusal) = refused {
            tracing::warn!(plugin = &*self.entry.name, %refusal, "refused");
        }
    }

    fn respond(&mut self, response: Response) {
        self.responses.push(&self.remote.outbox, response);
    }

    fn busy(&self, target: &str, method: &str) -> Refusal {
        Refusal::Busy {
            target: target.to_owned(),
            caller: self.entry.name.to_string(),
            method: method.to_owned(),
            waiting: self.tasks.len(),
        }
    }

    fn command(&mut self, command: EngineCommand) -> Option<Message> {
        match command {
            EngineCommand::Call { id, method, args, info, reply } => {
                Some(self.session.call(id, method, args, info, reply))
            }
            EngineCommand::Withdraw { id } => {
                // The plugin may work on that call for as long as it would have been allowed to.
                if self.session.calls_under_way() > 0
                    && let Some(health) = &mut self.health
                {
                    health.busy();
                }
                self.session.withdraw_call(id)
            }
            EngineCommand::Notify { emitter, event, args } => Some(self.session.notify(emitter, event, args)),
        }
    }
}

impl<L: FnOnce(Option<Vec<String>>) + Send> Endpoint for EngineEndpoint<L> {
    fn plugin(&self) -> Name {
        self.entry.name.clone()
    }

    fn receive(&mut self, message: Message) {
        if let Some(health) = &mut self.health {
            health.received();
        }
        match self.session.receive(message) {
            Ok(Some(event)) => self.act(event),
            Ok(None) => {}
            // Common after a timeout or a cancel, when the response arrives late.
            Err(dropped @ Dropped::UnknownResponse(_)) => {
                tracing::debug!(plugin = &*self.entry.name, %dropped, "a message is dropped");
            }
            Err(dropped) => tracing::warn!(plugin = &*self.entry.name, %dropped, "a message is dropped"),
        }
    }

    fn receive_head(&mut self, head: Message, why: &DecodeError) {
        if let Some(event) = self.session.receive_head(head, why) {
            self.act(event);
        }
    }

    fn poll_transmit(&mut self, cx: &mut Context<'_>) -> Poll<Message> {
        if let Some(message) = self.session.transmit() {
            return Poll::Ready(message);
        }
        let loaded = self.is_loaded();
        loop {
            // Checked in each round: a command that sends nothing may have unblocked a response.
            let response = if loaded { self.responses.pop(&self.remote.outbox) } else { self.responses.pop_any() };
            if let Some((id, CompletedCall { target, method, result })) = response {
                return Poll::Ready(self.session.response(id, target, method, result));
            }
            if !loaded {
                // Events kept from before a loss are sent once the plugin is ready for them.
                self.remote.outbox.watch(cx);
                return Poll::Pending;
            }
            let command = ready!(self.remote.outbox.poll_pop(cx));
            if let Some(message) = self.command(command) {
                return Poll::Ready(message);
            }
        }
    }

    fn poll_work(&mut self, cx: &mut Context<'_>) -> bool {
        let mut worked = false;
        while let Poll::Ready(ended) = self.tasks.poll_completed(cx) {
            self.respond((ended.id, ended.output));
            worked = true;
        }
        worked
    }

    fn watch_backlog(&self, cx: &mut Context<'_>) {
        self.remote.outbox.watch(cx);
    }

    fn backlog(&self) -> (usize, bool) {
        let responses = self.responses.len() + self.session.waiting_to_send();
        let (queued, too_many) = match self.is_loaded() {
            true => self.remote.outbox.backlog(),
            false => (0, false),
        };
        (responses + queued, too_many || responses >= self.entry.options.queue.max_messages)
    }

    fn unsendable(&mut self, retained: Retained, error: PayloadError) {
        tracing::warn!(plugin = &*self.entry.name, %error, "a message cannot be serialized");
        if let Some(reply) = self.session.unsendable(retained, &error.to_string()) {
            let _ = reply.send(Err(CallError::Arguments(error)));
        }
    }

    fn poll_stop(&mut self, cx: &mut Context<'_>, link: &dyn Link, signs: u64) -> Poll<LinkEnd> {
        if self.remote.outbox.is_stopped() {
            return Poll::Ready(LinkEnd::Disconnected);
        }
        match &mut self.handshake {
            Handshake::Waiting { limit, timer } => timer.as_mut().poll(cx).map(|()| LinkEnd::NoHandshake(*limit)),
            Handshake::Failed(end) => Poll::Ready(end.clone()),
            Handshake::Answered | Handshake::Done => self.poll_silent(cx, link, signs),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connector::{ConnectError, Link, PluginConnector};
    use crate::engine::{Engine, Registration};
    use crate::profile::ExternalProfile;
    use crate::wire::Action;

    struct Nowhere;

    #[async_trait::async_trait]
    impl PluginConnector for Nowhere {
        async fn connect(&mut self, _: &str) -> Result<Box<dyn Link>, ConnectError> {
            Err(ConnectError::failed("there is none"))
        }
    }

    #[tokio::test]
    async fn a_command_that_sends_nothing_does_not_delay_a_response() {
        let engine = Engine::new();
        engine.register(Registration::behind(ExternalProfile::new("probe", "nowhere"), Nowhere)).unwrap();
        let entry = engine.0.0.find("probe").unwrap();
        let remote = Arc::clone(entry.remote().unwrap());
        remote.outbox.set_up();
        let mut endpoint = EngineEndpoint::new(Arc::downgrade(&engine.0.0), entry, Arc::clone(&remote), |_| {});
        let mut cx = Context::from_waker(std::task::Waker::noop());
        while endpoint.poll_transmit(&mut cx).is_ready() {}
        let receive = |endpoint: &mut EngineEndpoint<_>, text: &'static str| {
            endpoint.receive(Message::decode(text.into()).unwrap())
        };
        receive(&mut endpoint, r#"{"action":"response","id":-2,"key":"handshake"}"#);
        assert!(endpoint.is_loaded());
        // Withdraws a call that has already ended.
        assert!(remote.outbox.push(EngineCommand::Withdraw { id: 99 }).is_ok());
        receive(&mut endpoint, r#"{"action":"request","id":1,"name":"missing","key":"echo","payload":[7]}"#);
        let Poll::Ready(answer) = endpoint.poll_transmit(&mut cx) else { panic!("nothing to send") };
        assert_eq!((answer.action, answer.id), (Action::Response, Some(1.into())));
    }
}
