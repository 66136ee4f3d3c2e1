//! The plugin's endpoint of a link.

mod lent;

use std::future::Future;
use std::sync::Arc;
use std::task::{Context as Cx, Poll, ready};

use self::lent::{HandshakeRequest, LentRole, Opening};
use super::PluginClient;
use super::remote::{ClientCommand, RemoteClient};
use crate::connector::{Link, LinkEnd};
use crate::error::{Fault, LinkLost};
use crate::excerpt::{Excerpt, cut};
use crate::link::{Echo, Endpoint, Exchange, Outbox, Role};
use crate::plugin::{Context, Scope};
use crate::runtime::{self, Timer};
use crate::session::{Invocation, PluginEvent, PluginSession, PluginSide};
use crate::trace_limit::TraceLimit;
use crate::wire::{Extensions, Name, Payload};

pub(super) type PluginEndpoint = Endpoint<PluginRole>;

pub(super) struct PluginRole {
    shared: Arc<RemoteClient>,
    /// Set while stopping: no more calls are accepted, except from an engine that has been told and has not confirmed it
    /// yet, and the link is closed once running methods have completed or this timer fires.
    finishing: Option<Timer>,
    /// Why the link must be closed.
    broken: Option<LinkEnd>,
    handshake: Handshake,
    lent: Option<LentRole>,
}

/// The engine's first handshake on this link.
enum Handshake {
    /// Expected before this timer fires, which is set when the link is first polled.
    Awaited(Option<Timer>),
    Completed,
}

impl PluginEndpoint {
    pub(super) fn open(shared: Arc<RemoteClient>) -> PluginEndpoint {
        let handshake = Handshake::Awaited(None);
        let lent = shared.instance.plugin.lent.as_ref();
        let lent = lent.map(|lent| LentRole { session: Arc::new(lent.session()), opening: Opening::Awaited });
        let extensions = if lent.is_some() { Extensions::LENT } else { Extensions::NATIVE };
        let role = PluginRole { shared, finishing: None, broken: None, handshake, lent };
        Endpoint::new(role, PluginSession::new(extensions))
    }

    /// The link has ended: ends all pending calls and drops running handlers.
    pub(super) fn end(mut self, end: LinkEnd) {
        let shared = self.role.shared;
        let queued = shared.outbox.set_down(end.clone()).into_iter().filter_map(|command| match command {
            ClientCommand::Call { reply, .. } => Some(reply),
            _ => None,
        });
        for reply in queued.chain(self.exchange.session.end()) {
            let lost = LinkLost::Observed { plugin: Name::new_static("engine"), end: end.clone() };
            let _ = reply.send(Err(lost.into()));
        }
        shared.forget_listeners();
        // Wakes tasks that wait for the handshake.
        shared.loaded.send_modify(|_| {});
    }
}

impl PluginRole {
    /// Ready with the link's end if the engine does not begin the handshake in time.
    fn poll_handshake(&mut self, cx: &mut Cx<'_>, link: &dyn Link) -> Poll<LinkEnd> {
        // It has begun, and is answered once the lent plugin is active.
        if self.lent.as_ref().is_some_and(|lent| matches!(lent.opening, Opening::InProgress(_))) {
            return Poll::Pending;
        }
        let Handshake::Awaited(timer) = &mut self.handshake else { return Poll::Pending };
        if self.shared.loaded.borrow().is_some() {
            self.handshake = Handshake::Completed;
            link.handshake_completed();
            return Poll::Pending;
        }
        let limit = self.shared.config.handshake_timeout;
        let timer = timer.get_or_insert_with(|| runtime::sleep(limit));
        timer.as_mut().poll(cx).map(|()| LinkEnd::NoHandshake(limit))
    }

    /// The engine's first handshake on this link.
    fn activate(&mut self, exchange: &mut Exchange<PluginSide>, name: &Name) {
        self.shared.loaded.send_replace(Some(name.clone()));
        tracing::debug!(plugin = ?Excerpt::new(name), "an engine has performed the handshake");
        let own = self.shared.instance.plugin.name();
        if **name != *own
            && let Some(left_out) = self.shared.traces.pass()
        {
            let given = Excerpt::new(crate::wire::display_json(name));
            tracing::warn!(
                plugin = own,
                ?given,
                left_out,
                "the engine has registered this plugin under another name; callers must use that name"
            );
        }
        // The hook is polled first, so that services it creates are listed in the handshake response.
        if let Some(hook) = &self.shared.instance.plugin.on_activation {
            let client = PluginClient::behind(Arc::clone(&self.shared));
            let hook = Arc::clone(hook);
            // A panic in the hook ends the link: a half-activated plugin would be useless.
            exchange.run_hook(Box::pin(async move {
                hook(client).await;
                Ok(Payload::null())
            }));
        }
    }
}

impl Role for PluginRole {
    type Side = PluginSide;
    type Command = ClientCommand;

    fn plugin(&self) -> Name {
        self.shared.name()
    }

    fn traces(&self) -> &TraceLimit {
        &self.shared.traces
    }

    fn outbox(&self) -> &Outbox<ClientCommand> {
        &self.shared.outbox
    }

    fn may_send(&self) -> bool {
        true
    }

    /// Commands in the outbox are subject to back-pressure on their callers; only responses count here.
    fn backlog(&self) -> (usize, bool) {
        (0, self.shared.outbox.backlog().1)
    }

    fn act(&mut self, exchange: &mut Exchange<PluginSide>, event: PluginEvent) {
        match event {
            PluginEvent::Handshake { id, given, echo, engine } => {
                if let Some(lent) = &mut self.lent {
                    return lent.handshake(&self.shared, exchange, HandshakeRequest { id, echo, given, engine });
                }
                if let Some(name) = given {
                    self.activate(exchange, &name);
                }
                exchange.session.answer_handshake(id, echo, self.shared.instance.exposed());
            }
            PluginEvent::Invoke(Invocation { id, name, key, from, path, args, inherited }) => {
                let echo = Echo { name, key: key.clone() };
                let charge = exchange.charge(&self.shared.outbox, id.as_ref(), &echo, &args, inherited.as_deref());
                let work = match charge {
                    _ if exchange.running() >= self.shared.config.max_running => {
                        Err(Fault::new(self.shared.busy(&self.shared.name(), &key, &from, exchange.running())))
                    }
                    _ if self.finishing.is_some() && !exchange.session.awaits_last_request() => {
                        let (plugin, key) = (self.shared.name(), cut(&*key));
                        Err(Fault::new(format_args!("Cannot call {key} of {plugin}, because it is stopping")))
                    }
                    Err(over) => {
                        let (plugin, key) = (self.shared.name(), cut(&*key));
                        Err(Fault::new(format_args!(
                            "Cannot call {key} of {plugin}, because {plugin} uses too much memory: {over}. Try again later."
                        )))
                    }
                    Ok(charge) => {
                        let scope = inherited.map(|inherited| Scope::received(*inherited));
                        match &self.lent {
                            None => {
                                let deadline = scope.as_ref().and_then(|scope| scope.deadline);
                                let client = PluginClient::behind(Arc::clone(&self.shared)).for_call(scope);
                                let context = Context::new(from, path, key, client, deadline);
                                let work = self.shared.instance.invoke(context, args, |method, plugin| {
                                    format!("Method {method} doesn't exist on plugin {plugin}")
                                });
                                Ok((charge, work))
                            }
                            Some(lent) => match lent.opened() {
                                Some(lent) => Ok((charge, lent.invoke(&from, &path, key, args, scope))),
                                None => Err(Fault::new("Handshake before communicating")),
                            },
                        }
                    }
                };
                exchange.run(&self.shared.outbox, id, echo, work);
            }
            PluginEvent::CancelOne { id } => exchange.cancel(&id),
            PluginEvent::Notify { emitter, event, args } => self.shared.deliver(emitter, event, &args),
            PluginEvent::Listened { event, by_anybody } => self.listened(event, by_anybody),
            PluginEvent::Awaited { runs } => {
                if let Some(lent) = self.lent.as_ref().and_then(LentRole::opened) {
                    lent.awaited(&runs);
                }
            }
        }
    }

    /// A response would be a final refusal. A frame may be garbled in transit, so the link ends and the engine
    /// reconnects.
    fn handshake_failed(&mut self, end: LinkEnd) {
        self.broken = Some(end);
    }

    fn command(&mut self, exchange: &mut Exchange<PluginSide>, command: ClientCommand) {
        let session = &mut exchange.session;
        match command {
            ClientCommand::Call { target, method, reply, .. }
                if session.calls_under_way() >= self.shared.config.max_calls =>
            {
                let _ =
                    reply.send(Err(self.shared.busy(&target, &method, &self.shared.name(), session.calls_under_way())));
            }
            ClientCommand::Call { id, target, method, args, scope, reply } => {
                session.call(id, target, method, args, scope.map(|scope| scope.to_wire()), reply);
            }
            ClientCommand::Withdraw { id } => session.withdraw_call(id),
            ClientCommand::Cancel { target, method } => session.cancel_all(target, method),
            ClientCommand::Listen { action, emitter, event } => session.subscribe(action, emitter, event),
            ClientCommand::Emit { event, args } | ClientCommand::Forward { event, args } => session.emit(event, args),
            ClientCommand::Opened(opened) => self.opened(exchange, opened),
            ClientCommand::Finish => {
                if self.finishing.is_none() {
                    self.finishing = Some(runtime::sleep(self.shared.config.stop_timeout));
                    session.drain();
                }
            }
        }
    }

    fn poll_stop(&mut self, exchange: &mut Exchange<PluginSide>, cx: &mut Cx<'_>, link: &dyn Link) -> Poll<LinkEnd> {
        if let Some(broken) = self.broken.take() {
            return Poll::Ready(broken);
        }
        if self.shared.outbox.is_stopped() {
            return Poll::Ready(LinkEnd::Disconnected);
        }
        if let Poll::Ready(end) = self.poll_handshake(cx, link) {
            return Poll::Ready(end);
        }
        let Some(limit) = &mut self.finishing else { return Poll::Pending };
        let is_idle = exchange.is_idle() && !exchange.session.awaits_last_request();
        if !is_idle || self.shared.outbox.backlog().0 > 0 {
            ready!(limit.as_mut().poll(cx));
            if let Some(left_out) = self.shared.traces.pass() {
                let (plugin, limit) = (Excerpt::new(self.shared.name()), self.shared.config.stop_timeout);
                tracing::warn!(?plugin, left_out, ?limit, "running methods are dropped");
            }
        }
        Poll::Ready(LinkEnd::Disconnected)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::ClientConfig;
    use crate::plugin::Plugin;
    use crate::session::CallIds;
    use crate::wire::{Action, Message};

    #[test]
    fn a_name_that_differs_from_the_plugins_own_is_warned_about_once() {
        for (given, warned) in [("probe", false), ("prope", true)] {
            let warnings = conformance::traces(tracing::Level::WARN);
            let shared = Arc::new(RemoteClient::new(Plugin::new("probe"), ClientConfig::default(), Arc::default()));
            let mut endpoint = PluginEndpoint::open(shared);
            for id in 0..2 {
                let text = format!(
                    r#"{{"action":"request","id":{id},"name":"{given}","key":"handshake","payload":["{given}"]}}"#
                );
                endpoint.receive(Message::decode(text.into()).unwrap());
            }
            let all = warnings.lines();
            let named = warnings.containing("plugin=\"probe\" given=\"prope\"");
            assert_eq!((all.len(), named.len()), if warned { (1, 1) } else { (0, 0) }, "{all:?}");
        }
    }

    #[test]
    fn a_command_that_sends_nothing_does_not_delay_a_response() {
        let shared = Arc::new(RemoteClient::new(
            Plugin::new("probe").method("echo", async |n: i64| n),
            ClientConfig::default(),
            Arc::default(),
        ));
        let mut endpoint = PluginEndpoint::open(Arc::clone(&shared));
        let mut cx = Cx::from_waker(std::task::Waker::noop());
        let receive =
            |endpoint: &mut PluginEndpoint, text: &'static str| endpoint.receive(Message::decode(text.into()).unwrap());
        receive(
            &mut endpoint,
            r#"{"action":"request","id":0,"name":"probe","key":"handshake","payload":["probe",null]}"#,
        );
        while endpoint.poll_transmit(&mut cx).is_ready() {}
        // Withdraws a call that has already ended.
        shared.outbox.push(ClientCommand::Withdraw { id: CallIds::starting_at(99).allocate() }).unwrap();
        receive(&mut endpoint, r#"{"action":"request","id":1,"name":"probe","key":"echo","payload":[7]}"#);
        let Poll::Ready(answer) = endpoint.poll_transmit(&mut cx) else { panic!("nothing to send") };
        assert_eq!((answer.action, answer.id), (Action::Response, Some(1.into())));
    }
}
