//! The plugin's side of the protocol on one link (docs/protocol.md, section 3).

use std::collections::VecDeque;

use super::pending_replies::PendingReplies;
use super::{Dropped, HANDSHAKE, Retained, display_key, display_name, number};
use crate::error::{CallError, Fault};
use crate::wire::{Action, DecodeError, ErrorKind, Extensions, Id, Message, Name, Payload, display_json};

/// A plugin's session with one engine. `R` is the driver's handle for completing a pending call.
pub(crate) struct PluginSession<R> {
    loaded: bool,
    peer: Extensions,
    pending: PendingReplies<R>,
    out: VecDeque<Message>,
}

/// Instructs the driver.
#[derive(Debug)]
pub(crate) enum PluginEvent<R> {
    /// The engine performs a handshake. Respond to each with [`PluginSession::answer_handshake`]. Only the name in the
    /// first one counts; `echo` is the name in the request's own envelope.
    Handshake { id: Option<Id>, name: Name, echo: Option<Name>, first: bool },
    /// The first handshake is unreadable; holds the reason.
    HandshakeUnreadable(String),
    /// Run a method and respond with [`PluginSession::response`].
    Invoke(Invocation),
    /// The engine withdraws its request with this id.
    Stop { id: Id },
    /// An event arrived.
    Notify { emitter: Name, event: Name, args: Payload },
    /// A call by this plugin has ended.
    Ended { reply: R, outcome: Result<Payload, CallError> },
}

/// A request to this plugin.
#[derive(Debug)]
pub(crate) struct Invocation {
    pub(crate) id: Option<Id>,
    pub(crate) name: Option<Name>,
    pub(crate) key: Name,
    pub(crate) from: Name,
    pub(crate) path: Name,
    pub(crate) args: Payload,
}

impl<R> PluginSession<R> {
    /// A session for a new link. Requests the handshake immediately.
    pub(crate) fn new() -> Self {
        let hello = Message {
            id: Some((-1).into()),
            key: Some(Name::new_static(HANDSHAKE)),
            extensions: Some(Extensions::NATIVE),
            ..Message::new(Action::Request)
        };
        PluginSession {
            loaded: false,
            peer: Extensions::default(),
            pending: PendingReplies::new(),
            out: VecDeque::from([hello]),
        }
    }

    /// The next message of the session itself.
    pub(crate) fn transmit(&mut self) -> Option<Message> {
        self.out.pop_front()
    }

    pub(crate) fn waiting_to_send(&self) -> usize {
        self.out.len()
    }

    pub(crate) fn receive(&mut self, message: Message) -> Result<Option<PluginEvent<R>>, Dropped> {
        let Message { action, id, name, key, payload, request_info, error, error_kind, extensions } = message;
        match action {
            Action::Request if key.as_deref() == Some(HANDSHAKE) => {
                self.peer = extensions.unwrap_or_default();
                let names: Vec<Payload> = payload.and_then(|names| names.read().ok()).unwrap_or_default();
                let given = names.into_iter().next().and_then(|name| name.read_name());
                // A repeated handshake does not change the name.
                let again = self.loaded.then(Name::default);
                let Some(given) = given.or_else(|| name.clone()).or(again) else {
                    self.fail(id, name, key, Fault::new("the handshake gives the plugin no name"));
                    return Err(Dropped::Incomplete(HANDSHAKE, "name"));
                };
                let first = !std::mem::replace(&mut self.loaded, true);
                Ok(Some(PluginEvent::Handshake { id, name: given, echo: name, first }))
            }
            Action::Request if !self.loaded => {
                self.fail(id, name, key, Fault::new("Handshake before communicating"));
                Err(Dropped::TooEarly("request"))
            }
            Action::Request => {
                let raw_path = id.as_ref().and_then(Id::raw_members).and_then(|odd| odd.path.as_deref());
                if key.is_none() || raw_path.is_some() {
                    let path = raw_path.map_or("".into(), display_json);
                    // The first part of a path is the plugin.
                    let service = path.split_once('.').map_or(&*path, |(_, service)| service);
                    let dot = if service.is_empty() { "" } else { "." };
                    let method = display_key(key.as_ref(), id.as_ref());
                    let plugin = display_name(name.as_ref(), id.as_ref());
                    let fault =
                        Fault::new(format_args!("Method {service}{dot}{method} doesn't exist on plugin {plugin}"));
                    let missing = if key.is_none() { "key" } else { "path" };
                    self.fail(id, name, key, fault);
                    return Err(Dropped::Incomplete("request", missing));
                }
                let key = key.unwrap_or_default();
                let (from, path) = request_info.map_or((Name::default(), None), |info| (info.from, info.path));
                let path = path.or_else(|| name.clone()).unwrap_or_default();
                let args = payload.unwrap_or_else(Payload::no_args);
                Ok(Some(PluginEvent::Invoke(Invocation { id, name, key, from, path, args })))
            }
            Action::Response => {
                let Some(reply) = number(id.as_ref()).and_then(|id| self.pending.take(id)) else {
                    return Err(Dropped::UnknownResponse(id));
                };
                let outcome = match error {
                    None => Ok(payload.unwrap_or_else(Payload::null)),
                    Some(error) => Err(CallError::from_engine(error_kind, *error)),
                };
                Ok(Some(PluginEvent::Ended { reply, outcome }))
            }
            Action::Emit | Action::Notification => {
                let emitter = name.ok_or(Dropped::Incomplete("notification", "name"))?;
                let event = key.ok_or(Dropped::Incomplete("notification", "key"))?;
                let args = payload.ok_or(Dropped::EmptyEvent)?;
                match self.loaded {
                    true => Ok(Some(PluginEvent::Notify { emitter, event, args })),
                    false => Err(Dropped::TooEarly("notification")),
                }
            }
            Action::Cancel => match id {
                Some(id) if id.is_given() => Ok(Some(PluginEvent::Stop { id })),
                _ => Err(Dropped::Incomplete("cancel", "id")),
            },
            Action::On | Action::Once | Action::Off => Err(Dropped::WrongWay(action.as_str())),
        }
    }

    /// Handles a frame of which only the head is readable: reports the error to the sender of a request, or to the
    /// caller waiting for a response.
    pub(crate) fn receive_head(&mut self, head: Message, why: &DecodeError) -> Option<PluginEvent<R>> {
        let Message { action, id, name, key, .. } = head;
        let fault = Fault::new(format_args!("it cannot be read: {why}"));
        match action {
            Action::Request if !self.loaded => {
                Some(PluginEvent::HandshakeUnreadable(format!("the handshake cannot be read: {why}")))
            }
            Action::Response => {
                let reply = number(id.as_ref()).and_then(|id| self.pending.take(id))?;
                Some(PluginEvent::Ended { reply, outcome: Err(CallError::Plugin(fault)) })
            }
            _ => {
                self.fail(id, name, key, fault);
                None
            }
        }
    }

    /// `name` is echoed.
    pub(crate) fn answer_handshake(&mut self, id: Option<Id>, name: Option<Name>, methods: Vec<String>) {
        self.out.push_back(Message {
            id,
            name,
            key: Some(Name::new_static(HANDSHAKE)),
            payload: Some(Payload::new(methods)),
            extensions: Some(Extensions::NATIVE),
            ..Message::new(Action::Response)
        });
    }

    fn fail(&mut self, id: Option<Id>, name: Option<Name>, key: Option<Name>, fault: Fault) {
        let answer = self.response(id, name, key, Err(fault));
        self.out.push_back(answer);
    }

    /// The response to a request, echoing its name and key.
    pub(crate) fn response(
        &self,
        id: Option<Id>,
        name: Option<Name>,
        key: Option<Name>,
        outcome: Result<Payload, Fault>,
    ) -> Message {
        let mut response = Message { id, name, key, ..Message::new(Action::Response) };
        match outcome {
            Ok(result) => response.payload = Some(result),
            Err(fault) => {
                let send_kind = self.peer.error_kind && fault.is_bad_arguments();
                response.error_kind = send_kind.then_some(ErrorKind::BadArguments);
                response.error = Some(Box::new(fault.payload().clone()));
            }
        }
        response
    }

    /// The request of a call. `id` must be unused in this session.
    pub(crate) fn call(&mut self, id: i64, target: Name, method: Name, args: Payload, reply: R) -> Message {
        self.pending.insert(id, reply);
        let (name, key, payload) = (Some(target), Some(method), Some(args));
        Message { id: Some(id.into()), name, key, payload, ..Message::new(Action::Request) }
    }

    /// Cancels all calls of one method, or of all methods, of a plugin.
    pub(crate) fn cancel_all(&self, target: Name, method: Option<Name>) -> Message {
        Message { name: Some(target), key: method, ..Message::new(Action::Cancel) }
    }

    /// Begins or ends a subscription: `action` is `On`, `Once` or `Off`.
    pub(crate) fn subscribe(&self, action: Action, emitter: Name, event: Name) -> Message {
        Message { name: Some(emitter), key: Some(event), ..Message::new(action) }
    }

    pub(crate) fn emit(&self, event: Name, args: Payload) -> Message {
        Message { key: Some(event), payload: Some(args), ..Message::new(Action::Emit) }
    }

    /// Forgets a call if it is still pending. Notifies a native engine, but not a published one, whose `cancel` would
    /// end every call of that method (docs/protocol.md, section 3.9).
    pub(crate) fn withdraw_call(&mut self, id: i64) -> Option<Message> {
        self.pending.take(id)?;
        self.peer.cancel_by_id.then(|| Message { id: Some(id.into()), ..Message::new(Action::Cancel) })
    }

    /// A message could not be serialized. Returns the pending call of a request, or queues an error response.
    pub(crate) fn unsendable(&mut self, retained: Retained, why: &str) -> Option<R> {
        let Retained { action, id, answers, failed } = retained;
        match action {
            Action::Request => number(id.as_ref()).and_then(|id| self.pending.take(id)),
            Action::Response => {
                // The names are the caller's and may be what exceeds the limit.
                let id = match failed && answers.is_none() {
                    true => Some(id?.without_names()?),
                    false => id,
                };
                let (name, key) = answers.filter(|_| !failed).unzip();
                self.fail(id, name, key, Fault::new(format_args!("the result cannot be sent: {why}")));
                None
            }
            _ => None,
        }
    }

    pub(crate) fn calls_under_way(&self) -> usize {
        self.pending.len()
    }

    /// The link has ended; returns all pending calls.
    pub(crate) fn end(&mut self) -> Vec<R> {
        self.pending.drain()
    }
}

#[cfg(test)]
mod tests;
