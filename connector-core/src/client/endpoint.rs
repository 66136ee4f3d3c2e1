//! The plugin's endpoint of a link.

use std::future::Future;
use std::sync::Arc;
use std::task::{Context as Cx, Poll, ready};

use super::PluginClient;
use super::remote::{ClientCommand, RemoteClient};
use crate::connector::{Link, LinkEnd};
use crate::error::{CallError, Fault, LinkLost};
use crate::link::{Completed, Endpoint, Reply, ResponseQueue, TaskSet};
use crate::plugin::{Context, MethodResult};
use crate::runtime::{self, Timer};
use crate::session::{Dropped, Invocation, PluginEvent, PluginSession, Retained};
use crate::wire::{DecodeError, Id, Message, Name, Payload, PayloadError};

pub(super) struct PluginEndpoint {
    shared: Arc<RemoteClient>,
    session: PluginSession<Reply>,
    /// Running methods, and the activation hook, which belongs to no request.
    tasks: TaskSet<Option<RequestEcho>, MethodResult>,
    responses: ResponseQueue<Response>,
    /// The number of activation hooks among the tasks.
    hooks: usize,
    /// Set while stopping: no more calls are accepted, and the link is closed once running methods have completed or
    /// this timer fires.
    finishing: Option<Timer>,
    /// Why the link must be closed.
    broken: Option<LinkEnd>,
}

/// The envelope fields that the response echoes.
struct RequestEcho {
    name: Option<Name>,
    key: Name,
}

struct Response {
    id: Option<Id>,
    request: RequestEcho,
    result: MethodResult,
}

impl PluginEndpoint {
    pub(super) fn new(shared: Arc<RemoteClient>) -> PluginEndpoint {
        PluginEndpoint {
            shared,
            session: PluginSession::new(),
            tasks: TaskSet::new(),
            responses: ResponseQueue::new(),
            hooks: 0,
            finishing: None,
            broken: None,
        }
    }

    fn act(&mut self, event: PluginEvent<Reply>) {
        match event {
            PluginEvent::Handshake { id, name, echo, first } => {
                if first {
                    self.shared.loaded.send_replace(Some(name.clone()));
                    tracing::debug!(plugin = &*name, "an engine has performed the handshake");
                    let own = self.shared.instance.plugin.name();
                    if *name != *own {
                        let given = crate::wire::display_json(&name);
                        tracing::warn!(
                            plugin = own,
                            given = &*given,
                            "the engine has registered this plugin under another name; callers must use that name"
                        );
                    }
                    // The hook is polled first, so that services it creates are listed in the handshake response.
                    if let Some(hook) = &self.shared.instance.plugin.on_activation {
                        let client = PluginClient::behind(Arc::clone(&self.shared));
                        let hook = Arc::clone(hook);
                        // A panic in the hook ends the link: a half-activated plugin would be useless.
                        let hook = Box::pin(async move {
                            hook(client).await;
                            Ok(Payload::null())
                        });
                        self.hooks += usize::from(self.tasks.start(None, None, hook).is_none());
                    }
                }
                self.session.answer_handshake(id, echo, self.shared.instance.exposed());
            }
            // A response would be a final refusal. A frame may be garbled in transit, so the link ends and the engine
            // reconnects.
            PluginEvent::HandshakeUnreadable(why) => self.broken = Some(LinkEnd::BadFrame(why)),
            PluginEvent::Invoke(invocation) => {
                let Invocation { id, name, key, from, path, args } = invocation;
                if self.tasks.len() >= self.shared.config.max_running {
                    let busy = self.shared.busy(&self.shared.name(), &key, self.tasks.len());
                    return self.respond(Completed {
                        id,
                        tag: Some(RequestEcho { name, key }),
                        output: Err(Fault::new(busy)),
                    });
                }
                if self.finishing.is_some() {
                    let stopping = format!("Cannot call {key} of {}, because it is stopping", self.shared.name());
                    return self.respond(Completed {
                        id,
                        tag: Some(RequestEcho { name, key }),
                        output: Err(Fault::new(stopping)),
                    });
                }
                let client = PluginClient::behind(Arc::clone(&self.shared));
                let context = Context::new(from, path, key.clone(), client, None);
                let work = self.shared.instance.invoke(context, args, |method, plugin| {
                    format!("Method {method} doesn't exist on plugin {plugin}")
                });
                if let Some(ended) = self.tasks.start(id, Some(RequestEcho { name, key }), work) {
                    self.respond(ended);
                }
            }
            PluginEvent::Stop { id } => {
                self.tasks.cancel(&id);
            }
            PluginEvent::Notify { emitter, event, args } => self.shared.deliver(emitter, event, &args),
            PluginEvent::Ended { reply, outcome } => {
                // An error means that the caller has dropped the call.
                let _ = reply.send(outcome);
            }
        }
    }

    fn respond(&mut self, Completed { id, tag, output: result }: Completed<Option<RequestEcho>, MethodResult>) {
        match tag {
            Some(request) => self.responses.push(&self.shared.outbox, Response { id, request, result }),
            None => self.hooks -= 1,
        }
    }

    /// Whether all requests of the engine have completed and their responses are sent.
    fn is_finished(&self) -> bool {
        self.finishing.is_some()
            && self.tasks.len() == self.hooks
            && self.responses.len() + self.session.waiting_to_send() + self.shared.outbox.backlog().0 == 0
    }

    fn command(&mut self, command: ClientCommand) -> Option<Message> {
        match command {
            ClientCommand::Call { id, target, method, args, reply } => {
                if self.session.calls_under_way() >= self.shared.config.max_calls {
                    let busy = self.shared.busy(&target, &method, self.session.calls_under_way());
                    let _ = reply.send(Err(busy));
                    None
                } else {
                    Some(self.session.call(id, target, method, args, reply))
                }
            }
            ClientCommand::Withdraw { id } => self.session.withdraw_call(id),
            ClientCommand::Cancel { target, method } => Some(self.session.cancel_all(target, method)),
            ClientCommand::Listen { action, emitter, event } => Some(self.session.subscribe(action, emitter, event)),
            ClientCommand::Finish => {
                let limit = self.shared.config.stop_timeout;
                self.finishing.get_or_insert_with(|| runtime::sleep(limit));
                None
            }
            ClientCommand::Emit { event, args } => Some(self.session.emit(event, args)),
        }
    }

    /// The link has ended: ends all pending calls and drops running handlers.
    pub(super) fn end(mut self, end: LinkEnd) {
        let lost = self.shared.outbox.set_down(end.clone());
        let lost = lost.into_iter().filter_map(|command| match command {
            ClientCommand::Call { reply, .. } => Some(reply),
            _ => None,
        });
        for reply in lost.chain(self.session.end()) {
            let lost = LinkLost::Observed { plugin: Name::new_static("engine"), end: end.clone() };
            let _ = reply.send(Err(lost.into()));
        }
        self.shared.forget_listeners();
        // Wakes tasks that wait for the handshake.
        self.shared.loaded.send_modify(|_| {});
    }
}

impl Endpoint for PluginEndpoint {
    fn plugin(&self) -> Name {
        self.shared.name()
    }

    fn receive(&mut self, message: Message) {
        match self.session.receive(message) {
            Ok(Some(event)) => self.act(event),
            Ok(None) => {}
            Err(dropped @ Dropped::UnknownResponse(_)) => {
                tracing::debug!(plugin = &*self.shared.name(), %dropped, "a message is dropped")
            }
            Err(dropped) => tracing::warn!(plugin = &*self.shared.name(), %dropped, "a message is dropped"),
        }
    }

    fn receive_head(&mut self, head: Message, why: &DecodeError) {
        if let Some(event) = self.session.receive_head(head, why) {
            self.act(event);
        }
    }

    fn poll_transmit(&mut self, cx: &mut Cx<'_>) -> Poll<Message> {
        if let Some(message) = self.session.transmit() {
            return Poll::Ready(message);
        }
        loop {
            // Checked in each round: a command that sends nothing may have unblocked a response.
            if let Some(Response { id, request: RequestEcho { name, key }, result }) =
                self.responses.pop(&self.shared.outbox)
            {
                return Poll::Ready(self.session.response(id, name, Some(key), result));
            }
            let command = ready!(self.shared.outbox.poll_pop(cx));
            if let Some(message) = self.command(command) {
                return Poll::Ready(message);
            }
        }
    }

    fn poll_work(&mut self, cx: &mut Cx<'_>) -> bool {
        let mut worked = false;
        while let Poll::Ready(ended) = self.tasks.poll_completed(cx) {
            worked = true;
            self.respond(ended);
        }
        worked
    }

    fn watch_backlog(&self, cx: &mut Cx<'_>) {
        self.shared.outbox.watch(cx);
    }

    /// Commands in the outbox are subject to back-pressure on their callers; only responses count here.
    fn backlog(&self) -> (usize, bool) {
        let (_, too_many) = self.shared.outbox.backlog();
        let responses = self.responses.len() + self.session.waiting_to_send();
        (responses, too_many || responses >= self.shared.outbox.limits().max_messages)
    }

    fn unsendable(&mut self, head: Retained, error: PayloadError) {
        tracing::warn!(plugin = &*self.shared.name(), %error, "a message cannot be serialized");
        if let Some(reply) = self.session.unsendable(head, &error.to_string()) {
            let _ = reply.send(Err(CallError::Arguments(error)));
        }
    }

    fn poll_stop(&mut self, cx: &mut Cx<'_>, _: &dyn Link, _: u64) -> Poll<LinkEnd> {
        if let Some(broken) = self.broken.take() {
            return Poll::Ready(broken);
        }
        if self.shared.outbox.is_stopped() || self.is_finished() {
            return Poll::Ready(LinkEnd::Disconnected);
        }
        let Some(limit) = &mut self.finishing else { return Poll::Pending };
        ready!(limit.as_mut().poll(cx));
        let plugin = self.shared.name();
        tracing::warn!(%plugin, limit = ?self.shared.config.stop_timeout, "running methods are dropped");
        Poll::Ready(LinkEnd::Disconnected)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::ClientConfig;
    use crate::plugin::Plugin;
    use crate::wire::Action;

    /// Records warnings.
    #[derive(Clone, Default)]
    struct Warnings(Arc<std::sync::Mutex<Vec<String>>>);

    impl tracing::field::Visit for Warnings {
        fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
            self.0.lock().unwrap().push(format!("{field}={value:?}"));
        }
    }

    impl tracing::Subscriber for Warnings {
        fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
            *metadata.level() <= tracing::Level::WARN
        }

        fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
            tracing::span::Id::from_u64(1)
        }

        fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

        fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

        fn event(&self, event: &tracing::Event<'_>) {
            event.record(&mut self.clone());
        }

        fn enter(&self, _: &tracing::span::Id) {}

        fn exit(&self, _: &tracing::span::Id) {}
    }

    #[test]
    fn a_name_that_differs_from_the_plugins_own_is_warned_about_once() {
        for (given, warned) in [("probe", false), ("prope", true)] {
            let warnings = Warnings::default();
            let _guard = tracing::subscriber::set_default(warnings.clone());
            let shared = Arc::new(RemoteClient::new(Plugin::new("probe"), ClientConfig::default()));
            let mut endpoint = PluginEndpoint::new(shared);
            for id in 0..2 {
                let text = format!(
                    r#"{{"action":"request","id":{id},"name":"{given}","key":"handshake","payload":["{given}"]}}"#
                );
                endpoint.receive(Message::decode(text.into()).unwrap());
            }
            let all = warnings.0.lock().unwrap().clone();
            let names = all.iter().filter(|field| *field == "plugin=\"probe\"" || *field == "given=\"prope\"");
            assert_eq!((names.count(), all.len() == 3), if warned { (2, true) } else { (0, false) }, "{all:?}");
        }
    }

    #[test]
    fn a_command_that_sends_nothing_does_not_delay_a_response() {
        let shared =
            Arc::new(RemoteClient::new(Plugin::new("probe").method("echo", async |n: i64| n), ClientConfig::default()));
        let mut endpoint = PluginEndpoint::new(Arc::clone(&shared));
        let mut cx = Cx::from_waker(std::task::Waker::noop());
        let receive =
            |endpoint: &mut PluginEndpoint, text: &'static str| endpoint.receive(Message::decode(text.into()).unwrap());
        receive(
            &mut endpoint,
            r#"{"action":"request","id":0,"name":"probe","key":"handshake","payload":["probe",null]}"#,
        );
        while endpoint.poll_transmit(&mut cx).is_ready() {}
        // Withdraws a call that has already ended.
        shared.outbox.push(ClientCommand::Withdraw { id: 99 }).unwrap();
        receive(&mut endpoint, r#"{"action":"request","id":1,"name":"probe","key":"echo","payload":[7]}"#);
        let Poll::Ready(answer) = endpoint.poll_transmit(&mut cx) else { panic!("nothing to send") };
        assert_eq!((answer.action, answer.id), (Action::Response, Some(1.into())));
    }
}
