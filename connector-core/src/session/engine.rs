//! The engine's side of the protocol on one link.

use std::collections::VecDeque;

use super::pending_replies::PendingReplies;
use super::{Dropped, HANDSHAKE, Retained, display_key, display_name, number};
use crate::error::{CallError, Fault, Refusal};
use crate::wire::{Action, DecodeError, Extensions, Id, Message, Name, Payload, RequestInfo, is_falsy_in_javascript};

/// The engine's session with one plugin over one link. `R` is the driver's handle for completing a pending call.
pub(crate) struct EngineSession<R> {
    name: Name,
    engine: Option<String>,
    next_handshake: i64,
    handshakes: Vec<i64>,
    peer: Extensions,
    pending: PendingReplies<R>,
    out: VecDeque<Message>,
}

/// Instructs the driver.
#[derive(Debug)]
pub(crate) enum EngineEvent<R> {
    /// The plugin answered a handshake, with its methods if it lists them.
    Loaded { methods: Option<Vec<String>> },
    /// The plugin answered a handshake with an error or with something other than a list of methods.
    HandshakeFailed(String),
    /// One end could not read the other's handshake message; holds the reason.
    HandshakeUnreadable(String),
    /// The plugin calls another plugin; respond with [`EngineSession::response`].
    Call { id: Option<Id>, target: Name, method: Name, args: Payload },
    /// The plugin cancels all its calls to a plugin, or those of one method.
    CancelAll { target: Name, method: Option<Name> },
    /// The plugin withdraws its request with this id.
    CancelOne { id: Id },
    /// The plugin subscribes to an event, possibly for one occurrence.
    Listen { emitter: Name, event: Name, once: bool },
    /// The plugin unsubscribes from an event.
    Unlisten { emitter: Name, event: Name },
    /// The plugin emits an event.
    Emit { event: Name, args: Payload },
    /// A call to the plugin has ended.
    Ended { reply: R, outcome: Result<Payload, CallError> },
}

/// Limit for a plugin that requests handshakes without answering them.
const MAX_HANDSHAKES: usize = 16;
/// Limit for liveness probes: one lost probe must not prevent the next.
const MAX_PROBES: usize = 4;

impl<R> EngineSession<R> {
    /// A session for a new link. Performs the handshake on its own. Handshakes are numbered downwards from -2, separate
    /// from call ids.
    pub(crate) fn new(name: Name, engine: Option<String>) -> Self {
        let mut session = EngineSession {
            name,
            engine,
            next_handshake: -2,
            handshakes: Vec::new(),
            peer: Extensions::default(),
            pending: PendingReplies::new(),
            out: VecDeque::new(),
        };
        session.handshake();
        session
    }

    /// Performs another handshake, as a liveness probe.
    pub(crate) fn handshake(&mut self) {
        let id = self.next_handshake;
        self.next_handshake -= 1;
        self.handshakes.push(id);
        self.out.push_back(Message {
            id: Some(id.into()),
            name: Some(self.name.clone()),
            key: Some(Name::new_static(HANDSHAKE)),
            payload: Some(Payload::new((self.name.to_string(), self.engine.clone()))),
            extensions: Some(Extensions::NATIVE),
            ..Message::new(Action::Request)
        });
    }

    /// Whether too many handshakes are unanswered.
    pub(crate) fn has_unanswered_probes(&self) -> bool {
        self.handshakes.len() >= MAX_PROBES
    }

    /// The number of calls that the plugin has not answered.
    pub(crate) fn calls_under_way(&self) -> usize {
        self.pending.len()
    }

    /// The next message of the session itself.
    pub(crate) fn transmit(&mut self) -> Option<Message> {
        self.out.pop_front()
    }

    pub(crate) fn waiting_to_send(&self) -> usize {
        self.out.len()
    }

    pub(crate) fn receive(&mut self, message: Message) -> Result<Option<EngineEvent<R>>, Dropped> {
        let Message { action, id, name, key, payload, error, error_kind, extensions, .. } = message;
        match action {
            Action::Request if key.as_deref() == Some(HANDSHAKE) => {
                if self.handshakes.len() >= MAX_HANDSHAKES {
                    return Err(Dropped::HandshakeFlood);
                }
                self.peer = extensions.unwrap_or(self.peer);
                self.handshake();
                Ok(None)
            }
            Action::Response => match self.take_handshake(id.as_ref()) {
                true => {
                    self.peer = extensions.unwrap_or_default();
                    Ok(Some(handshake_answer(key.as_deref(), payload, error)))
                }
                false => {
                    let Some(reply) = number(id.as_ref()).and_then(|id| self.pending.take(id)) else {
                        return Err(Dropped::UnknownResponse(id));
                    };
                    let outcome = match error {
                        None => Ok(payload.unwrap_or_else(Payload::null)),
                        Some(error) => Err(CallError::Plugin(Fault::from_plugin(error_kind, *error))),
                    };
                    Ok(Some(EngineEvent::Ended { reply, outcome }))
                }
            },
            Action::Request => match (name, key) {
                (Some(target), Some(method)) => {
                    let args = payload.unwrap_or_else(Payload::no_args);
                    Ok(Some(EngineEvent::Call { id, target, method, args }))
                }
                (name, key) => {
                    let missing = if name.is_none() { "name" } else { "key" };
                    self.refuse(id, name, key);
                    Err(Dropped::Incomplete("request", missing))
                }
            },
            Action::On | Action::Once => {
                let emitter = name.ok_or(Dropped::Incomplete(action.as_str(), "name"))?;
                let event = key.ok_or(Dropped::Incomplete(action.as_str(), "key"))?;
                Ok(Some(EngineEvent::Listen { emitter, event, once: action == Action::Once }))
            }
            Action::Off => {
                let emitter = name.ok_or(Dropped::Incomplete("off", "name"))?;
                let event = key.ok_or(Dropped::Incomplete("off", "key"))?;
                Ok(Some(EngineEvent::Unlisten { emitter, event }))
            }
            Action::Emit | Action::Notification => {
                let event = key.ok_or(Dropped::Incomplete("emit", "key"))?;
                let args = payload.filter(|args| !args.is_null()).ok_or(Dropped::EmptyEvent)?;
                match args.may_be_array() {
                    true => Ok(Some(EngineEvent::Emit { event, args })),
                    false => Err(Dropped::NoArray),
                }
            }
            Action::Cancel => {
                let raw_key = id.as_ref().and_then(Id::raw_members).and_then(|odd| odd.key.as_deref());
                let unreadable = raw_key.is_some_and(|key| !is_falsy_in_javascript(key));
                match (id, name) {
                    // A missing key means all calls to a plugin; an unreadable key must not.
                    (_, Some(_)) if unreadable => Err(Dropped::Incomplete("cancel", "key")),
                    // The published engine ignores the id.
                    (id, Some(target)) if id.is_none() || !self.peer.cancel_by_id => {
                        let method = key.filter(|key| !key.is_empty());
                        Ok(Some(EngineEvent::CancelAll { target, method }))
                    }
                    (Some(id), _) if id.is_given() => Ok(Some(EngineEvent::CancelOne { id })),
                    _ => Err(Dropped::Incomplete("cancel", "name")),
                }
            }
        }
    }

    /// Handles a frame of which only the head is readable: reports the error to the sender of a request, or to the
    /// caller waiting for a response.
    pub(crate) fn receive_head(&mut self, head: Message, why: &DecodeError) -> Option<EngineEvent<R>> {
        let Message { action, id, name, key, .. } = head;
        let fault = Fault::new(format_args!("it cannot be read: {why}"));
        match action {
            Action::Response if self.take_handshake(id.as_ref()) => {
                Some(EngineEvent::HandshakeUnreadable(format!("the answer to the handshake cannot be read: {why}")))
            }
            Action::Response => {
                let reply = number(id.as_ref()).and_then(|id| self.pending.take(id))?;
                Some(EngineEvent::Ended { reply, outcome: Err(CallError::Plugin(fault)) })
            }
            _ => {
                let answer = self.response_to(id, name, key, Err(CallError::Plugin(fault)));
                self.out.push_back(answer);
                None
            }
        }
    }

    /// Whether the id belongs to an unanswered handshake, which is then removed.
    fn take_handshake(&mut self, id: Option<&Id>) -> bool {
        let position = number(id).and_then(|id| self.handshakes.iter().position(|handshake| *handshake == id));
        position.map(|position| self.handshakes.swap_remove(position)).is_some()
    }

    /// Responds to a request that names no possible plugin or method.
    fn refuse(&mut self, id: Option<Id>, name: Option<Name>, key: Option<Name>) {
        let (target, method) = (display_name(name.as_ref(), id.as_ref()), display_key(key.as_ref(), id.as_ref()));
        let caller = self.name.to_string();
        let refusal = match name {
            None => Refusal::NotRegistered { target: target.into_owned(), caller },
            // In the published engine's words, except for the list of methods, which only the router has.
            Some(_) => Refusal::Reported(format!(
                "Cannot call method \"{method}\" of \"{target}\" from \"{caller}\", because \"{method}\" is not exposed."
            )),
        };
        let answer = self.response_to(id, name, key, Err(refusal.into()));
        self.out.push_back(answer);
    }

    /// The request of a call to the plugin. `id` must be unused in this session and not negative.
    pub(crate) fn call(&mut self, id: i64, method: Name, args: Payload, info: Box<RequestInfo>, reply: R) -> Message {
        self.pending.insert(id, reply);
        Message {
            id: Some(id.into()),
            name: Some(self.name.clone()),
            key: Some(method),
            payload: Some(args),
            request_info: Some(info),
            ..Message::new(Action::Request)
        }
    }

    /// An event that the plugin listens to.
    pub(crate) fn notify(&self, emitter: Name, event: Name, args: Payload) -> Message {
        Message { name: Some(emitter), key: Some(event), payload: Some(args), ..Message::new(Action::Notification) }
    }

    /// Forgets a call if it is still pending. Notifies a native plugin; a published one does not support it.
    pub(crate) fn withdraw_call(&mut self, id: i64) -> Option<Message> {
        self.pending.take(id)?;
        self.peer.cancel_by_id.then(|| Message { id: Some(id.into()), ..Message::new(Action::Cancel) })
    }

    /// The response to a call by the plugin, echoing the target and method.
    pub(crate) fn response(
        &self,
        id: Option<Id>,
        target: Name,
        method: Name,
        outcome: Result<Payload, CallError>,
    ) -> Message {
        self.response_to(id, Some(target), Some(method), outcome)
    }

    fn response_to(
        &self,
        id: Option<Id>,
        name: Option<Name>,
        key: Option<Name>,
        outcome: Result<Payload, CallError>,
    ) -> Message {
        let mut response = Message { id, name, key, ..Message::new(Action::Response) };
        match outcome {
            Ok(result) => response.payload = Some(result),
            Err(error) => {
                response.error_kind = self.peer.error_kind.then(|| error.kind());
                response.error = Some(Box::new(error.to_payload()));
            }
        }
        response
    }

    /// A message could not be serialized. Returns the pending call of a request, or queues an error response.
    pub(crate) fn unsendable(&mut self, retained: Retained, why: &str) -> Option<R> {
        let Retained { action, id, answers, failed } = retained;
        let named = answers.filter(|(target, method)| !(target.is_empty() && method.is_empty()));
        match action {
            Action::Request => number(id.as_ref()).and_then(|id| self.pending.take(id)),
            Action::Response => {
                // The names are the caller's and may be what exceeds the limit.
                let id = match failed && named.is_none() {
                    true => Some(id?.without_names()?),
                    false => id,
                };
                let fault = Fault::new(format_args!("the result cannot be sent: {why}"));
                let (target, method) = named.filter(|_| !failed).unwrap_or_default();
                let answer = self.response(id, target, method, Err(CallError::Plugin(fault)));
                self.out.push_back(answer);
                None
            }
            _ => None,
        }
    }

    /// The link has ended; returns all pending calls.
    pub(crate) fn end(&mut self) -> Vec<R> {
        self.pending.drain()
    }
}

fn handshake_answer<R>(key: Option<&str>, payload: Option<Payload>, error: Option<Box<Payload>>) -> EngineEvent<R> {
    if let Some(error) = error {
        let error = Fault::from_payload(*error);
        return match key {
            None | Some(HANDSHAKE) => EngineEvent::HandshakeFailed(error.to_string()),
            // The key is an echo: the handshake did not arrive as it was sent.
            Some(key) => {
                let key = key.escape_debug();
                EngineEvent::HandshakeUnreadable(format!("the handshake was answered as a call of \"{key}\": {error}"))
            }
        };
    }
    match payload.filter(|methods| !methods.is_false()).map(Payload::read_names) {
        None => EngineEvent::Loaded { methods: None },
        Some(Ok(methods)) => EngineEvent::Loaded { methods: Some(methods) },
        Some(Err(error)) => EngineEvent::HandshakeFailed(format!("its response is not a list of methods: {error}")),
    }
}

#[cfg(test)]
mod tests;
