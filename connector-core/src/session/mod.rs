//! The protocol as state machines without I/O, tasks or a clock. A driver passes in received messages and local
//! requests, sends the messages they queue, and acts on the events they return.

mod engine;
mod pending_replies;
mod plugin;

pub(crate) use engine::{EngineEvent, EngineSession};
pub(crate) use plugin::{Invocation, PluginEvent, PluginSession};

use std::borrow::Cow;

use thiserror::Error;

use crate::wire::{Action, Id, Message, Name, display_json};

/// Fields retained so that a failed send can be reported.
pub(crate) struct Head {
    pub(crate) action: Action,
    pub(crate) id: Option<Id>,
    /// For a response: the name and key of its request, and whether it is already an error.
    pub(crate) answers: Option<(Name, Name)>,
    pub(crate) failed: bool,
}

impl Head {
    pub(crate) fn of(message: &Message) -> Head {
        let answers = match message.action {
            Action::Response => message.name.clone().zip(message.key.clone()),
            _ => None,
        };
        Head { action: message.action, id: message.id.clone(), answers, failed: message.error.is_some() }
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

/// The number of the call that a response belongs to.
fn number(id: Option<&Id>) -> Option<i64> {
    id.and_then(Id::number)
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
    name.map_or_else(|| odd.map_or("undefined".into(), display_json), |name| name.as_str().into())
}

pub(crate) const HANDSHAKE: &str = "handshake";
