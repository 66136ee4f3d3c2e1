//! What the hub says to whom: decided under the router's lock, written as a frame outside of it.

use std::time::Instant;

use connector_core::stp::StpTimeout;
use connector_core::stp::frame::{pass_on, response, response_text};
use serde_json::value::RawValue;
use tokio_tungstenite::tungstenite::Utf8Bytes;

/// A connection of the hub's.
pub(super) type PeerId = u64;

/// One frame to be sent by way of `to`.
#[derive(Debug)]
pub(super) struct Outgoing<'a, O> {
    pub(super) to: O,
    pub(super) what: Body<'a>,
}

#[derive(Debug)]
pub(super) enum Body<'a> {
    /// The frame that is being handled, as it came.
    Same,
    /// A request, to the service that solves it.
    PassOn { peer: PeerId, cookie: i64, raw: &'a RawValue, timeout: StpTimeout, due: Instant },
    /// An answer, to the asker.
    Answer { cookie: i64, success: bool, result: Option<&'a RawValue> },
    /// The hub's own answer.
    Tell { cookie: i64, outcome: Result<String, String> },
}

impl Body<'_> {
    /// `same` is the frame that is being handled.
    pub(super) fn frame(&self, same: &Utf8Bytes) -> Utf8Bytes {
        match self {
            Body::Same => same.clone(),
            Body::PassOn { cookie, raw, timeout, .. } => pass_on(raw, *cookie, *timeout).into(),
            Body::Answer { cookie, success, result } => response(*cookie, *success, *result).into(),
            Body::Tell { cookie, outcome } => response_text(*cookie, outcome.as_deref().map_err(String::as_str)).into(),
        }
    }
}
