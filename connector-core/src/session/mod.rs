//! The protocol as state machines: no I/O, no tasks, no clock. A driver feeds them what arrives and what its handles
//! ask for, sends what they queue, and acts on the events they return.

mod engine;
mod pending;
mod plugin;

pub(crate) use engine::{EngineEvent, EngineSession};
pub(crate) use plugin::{Invocation, PluginEvent, PluginSession};

use thiserror::Error;

/// A message that makes no sense now: dropped, with a trace; the link and everyone else are unharmed.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum Dropped {
    #[error("a response to a call that nobody waits for (id {0:?})")]
    UnknownResponse(Option<i64>),
    #[error("a {0} without its `{1}`")]
    Incomplete(&'static str, &'static str),
    #[error("a {0} before the handshake")]
    TooEarly(&'static str),
    #[error("a {0} is not for this end of a link")]
    WrongWay(&'static str),
    #[error("too many unanswered handshakes")]
    HandshakeFlood,
    #[error("an event without a payload")]
    EmptyEvent,
}

pub(crate) const HANDSHAKE: &str = "handshake";
