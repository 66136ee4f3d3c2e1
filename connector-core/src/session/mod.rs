//! The protocol as state machines without I/O, tasks or a clock. A driver passes in received messages and local
//! requests, sends the messages they queue, and acts on the events they return.

mod engine;
mod pending_replies;
mod plugin;
mod retained;

pub(crate) use engine::{EngineEvent, EngineSession};
pub(crate) use plugin::{Invocation, PluginEvent, PluginSession};
pub(crate) use retained::Retained;

use std::borrow::Cow;

use thiserror::Error;

use crate::wire::{Id, Name, display_json};

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
