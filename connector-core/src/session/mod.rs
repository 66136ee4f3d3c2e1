//! The protocol as state machines without I/O, tasks or a clock. A driver passes in received messages and local
//! requests, sends the messages they queue, and acts on the events they return.

mod call_id;
mod engine;
mod plugin;
mod retained;

pub(crate) use call_id::{CallId, CallIds};
pub(crate) use engine::{EngineEvent, EngineSession, EngineSide};
pub(crate) use plugin::{Invocation, PluginEvent, PluginSession, PluginSide};
pub(crate) use retained::Retained;

use std::borrow::Cow;
use std::collections::VecDeque;
use std::fmt;

use foldhash::{HashMap, HashMapExt};
use thiserror::Error;

use crate::error::{CallError, Fault};
use crate::excerpt::cut;
use crate::wire::{Action, DecodeError, ErrorKind, Extensions, Id, Inherited, Message, Name, Payload, display_json};

pub(crate) const HANDSHAKE: &str = "handshake";

/// One end's session over one link. `R` is the driver's handle for completing a pending call.
pub(crate) struct Session<S, R> {
    side: S,
    /// The extensions that the peer announced in its handshake.
    peer: Extensions,
    /// The handles of calls without a response. Each is returned once: when its call ends or is withdrawn, or with the
    /// link's end.
    // PERF: docs/performance.md, "SipHash": foldhash and sorted method names, 8 % → 3 % of instructions on one thread.
    pending: HashMap<CallId, R>,
    out: VecDeque<Message>,
    /// What the responses in `out` echo of the peer's requests.
    echoed_bytes: usize,
}

/// What differs between the two ends of a link.
pub(crate) trait Side: Sized {
    /// What the driver must do on behalf of the peer.
    type Event: fmt::Debug;
    /// The error of a response.
    type Error;

    /// The names in an error response to a request without usable names.
    fn no_name() -> Option<Name>;

    /// The session's own error in a response.
    fn own_error(fault: Fault) -> Self::Error;

    /// The known size of the error, in bytes.
    fn error_weight(error: &Self::Error) -> usize;

    /// The error's kind and value, for a peer that knows kinds.
    fn error_to_wire(error: Self::Error) -> (Option<ErrorKind>, Payload);

    /// The error with which the peer, which has announced these extensions, ended a call by this end.
    fn error_from_wire(kind: Option<ErrorKind>, error: Payload, peer: Extensions) -> CallError;

    /// If an unreadable message belongs to the handshake, what it is.
    fn handshake_part(&mut self, head: &Message) -> Option<&'static str>;

    fn receive<R>(session: &mut Session<Self, R>, message: Message) -> Result<Option<Event<R, Self::Event>>, Dropped>;
}

/// Instructs the driver.
#[derive(Debug)]
pub(crate) enum Event<R, E> {
    /// A call by this end has ended.
    CallEnded { reply: R, outcome: Result<Payload, CallError> },
    /// A message of the handshake is unreadable; holds the reason.
    HandshakeUnreadable(String),
    /// The peer requests something.
    Peer(E),
}

impl<S: Side, R> Session<S, R> {
    fn of(side: S) -> Self {
        Session { side, peer: Extensions::default(), pending: HashMap::new(), out: VecDeque::new(), echoed_bytes: 0 }
    }

    /// The next message to send.
    pub(crate) fn transmit(&mut self) -> Option<Message> {
        let message = self.out.pop_front()?;
        if message.action == Action::Response {
            self.echoed_bytes -= message.echoed_bytes();
        }
        Some(message)
    }

    pub(crate) fn waiting_to_send(&self) -> usize {
        self.out.len()
    }

    /// The bytes that the responses among them echo of the peer's requests.
    pub(crate) fn echoed_bytes(&self) -> usize {
        self.echoed_bytes
    }

    /// What the peer has announced.
    pub(crate) fn peer(&self) -> Extensions {
        self.peer
    }

    /// The number of calls that the peer has not answered.
    pub(crate) fn calls_under_way(&self) -> usize {
        self.pending.len()
    }

    pub(crate) fn receive(&mut self, message: Message) -> Result<Option<Event<R, S::Event>>, Dropped> {
        S::receive(self, message)
    }

    /// Handles a frame of which only the head is readable: reports the error to the sender of a request, or to the
    /// caller waiting for a response.
    pub(crate) fn receive_head(&mut self, head: Message, why: &DecodeError) -> Option<Event<R, S::Event>> {
        if let Some(part) = self.side.handshake_part(&head) {
            return Some(Event::HandshakeUnreadable(format!("{part} cannot be read: {why}")));
        }
        let Message { action, id, name, key, .. } = head;
        let fault = Fault::new(format_args!("it cannot be read: {why}"));
        if action != Action::Response {
            self.respond(id, name, key, Err(S::own_error(fault)));
            return None;
        }
        let reply = self.take(id.as_ref())?;
        Some(Event::CallEnded { reply, outcome: Err(CallError::Plugin(fault)) })
    }

    /// A response has arrived.
    fn response_arrived(
        &mut self,
        id: Option<Id>,
        payload: Option<Payload>,
        error: Option<Box<Payload>>,
        kind: Option<ErrorKind>,
    ) -> Result<Option<Event<R, S::Event>>, Dropped> {
        let Some(reply) = self.take(id.as_ref()) else { return Err(Dropped::UnknownResponse(id)) };
        let outcome = match error {
            None => Ok(payload.unwrap_or_else(Payload::null)),
            Some(error) => Err(S::error_from_wire(kind, *error, self.peer)),
        };
        Ok(Some(Event::CallEnded { reply, outcome }))
    }

    /// The handle of the call that a response belongs to.
    fn take(&mut self, id: Option<&Id>) -> Option<R> {
        self.pending.remove(&CallId::of(id)?)
    }

    /// Sends a request that lacks its id, and what it inherits as far as the peer knows it.
    fn request(&mut self, id: CallId, request: Message, inherited: Option<Box<Inherited>>, reply: R) {
        let before = self.pending.insert(id, reply);
        debug_assert!(before.is_none(), "ids are unique");
        let inherited = inherited.and_then(|inherited| inherited.restricted_to(self.peer));
        self.out.push_back(Message { id: Some(id.into()), inherited, ..request });
    }

    /// Forgets a call if it is still pending, and notifies a native peer. A published plugin does not support it, and
    /// a published engine would end every call of that method (docs/protocol.md, section 3.9).
    pub(crate) fn withdraw_call(&mut self, id: CallId) {
        if self.pending.remove(&id).is_some() && self.peer.contain(Extensions::CANCEL_BY_ID) {
            self.out.push_back(Message { id: Some(id.into()), ..Message::new(Action::Cancel) });
        }
    }

    /// Responds to a request of the peer, echoing its name and key.
    pub(crate) fn respond(
        &mut self,
        id: Option<Id>,
        name: Option<Name>,
        key: Option<Name>,
        outcome: Result<Payload, S::Error>,
    ) {
        let mut response = Message { id, name, key, ..Message::new(Action::Response) };
        match outcome {
            Ok(result) => response.payload = Some(result),
            Err(error) => {
                let (kind, error) = S::error_to_wire(error);
                response.error_kind = kind.filter(|_| self.peer.contain(Extensions::ERROR_KIND));
                response.error = Some(Box::new(error));
            }
        }
        self.send_response(response);
    }

    fn send_response(&mut self, response: Message) {
        self.echoed_bytes += response.echoed_bytes();
        self.out.push_back(response);
    }

    /// A message could not be serialized. Returns the pending call of a request, or queues an error response.
    pub(crate) fn unsendable(&mut self, retained: Retained, why: impl fmt::Display) -> Option<R> {
        let Retained { action, id, answers, failed } = retained;
        match action {
            Action::Request => self.take(id.as_ref()),
            Action::Response => {
                let (names, no_names) = (answers.unzip(), (S::no_name(), S::no_name()));
                let nameless = names == no_names || names == (None, None);
                // The names are the caller's and may be what exceeds the limit.
                let id = if failed && nameless { Some(id?.without_names()?) } else { id };
                let (name, key) = if failed || nameless { no_names } else { names };
                let fault = Fault::new(format_args!("the result cannot be sent: {why}"));
                self.respond(id, name, key, Err(S::own_error(fault)));
                None
            }
            _ => None,
        }
    }

    /// The link has ended; returns all pending calls.
    pub(crate) fn end(&mut self) -> Vec<R> {
        self.pending.drain().map(|(_, reply)| reply).collect()
    }
}

/// A message that is invalid in the current state. It is dropped and traced; the link and other peers are unaffected.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum Dropped {
    #[error("a response to an unknown call (id {0:?})")]
    UnknownResponse(Option<Id>),
    #[error("a {0} without its `{1}`, or with one that is not a Unicode string")]
    Incomplete(&'static str, &'static str),
    #[error("a {0} before the handshake")]
    TooEarly(&'static str),
    #[error("a {0} is not for this end of a link")]
    WrongWay(&'static str),
    #[error("too many unanswered handshakes")]
    HandshakeFlood,
    #[error("an event without a payload")]
    EmptyEvent,
    #[error("an event whose payload is not an array")]
    NoArray,
}

/// Parts of the envelope for error messages.
fn display_name<'a>(name: Option<&'a Name>, id: Option<&'a Id>) -> Cow<'a, str> {
    display_or_undefined(name, id.and_then(Id::raw_members).and_then(|odd| odd.name.as_deref()))
}

fn display_key<'a>(key: Option<&'a Name>, id: Option<&'a Id>) -> Cow<'a, str> {
    display_or_undefined(key, id.and_then(Id::raw_members).and_then(|odd| odd.key.as_deref()))
}

/// Absent values read `undefined`, as in JavaScript.
fn display_or_undefined<'a>(name: Option<&'a Name>, odd: Option<&'a str>) -> Cow<'a, str> {
    cut(name.map_or_else(|| odd.map_or("undefined".into(), display_json), |name| name.as_str().into()))
}
