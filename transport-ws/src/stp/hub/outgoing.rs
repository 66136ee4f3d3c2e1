//! Frames that the hub sends. They are chosen under the router's lock and encoded outside it.

use std::sync::Arc;
use std::time::Instant;

use connector_core::stp::frame::{forward, response, response_text};
use connector_core::stp::{Response, StpTimeout};
use serde_json::value::RawValue;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use super::outbox::Outbox;

/// Identifies one connection to the hub.
pub(super) type PeerId = u64;

/// One frame to send through `to`.
#[derive(Debug)]
pub(super) struct Outgoing<'a> {
    pub(super) to: Arc<Outbox>,
    pub(super) body: Body<'a>,
}

#[derive(Debug)]
pub(super) enum Body<'a> {
    /// The frame being handled, unchanged.
    Received,
    /// A request, forwarded to a service that solves it.
    Request { peer: PeerId, cookie: i64, raw: &'a RawValue, timeout: StpTimeout, deadline: Instant },
    /// A service's response, forwarded to the requester.
    Response(Response<'a>),
    /// A response from the hub itself.
    HubResponse { cookie: i64, outcome: Result<String, String> },
}

impl Body<'_> {
    /// Encodes the frame; `received` is the frame being handled.
    pub(super) fn frame(&self, received: &Utf8Bytes) -> Utf8Bytes {
        match self {
            Body::Received => received.clone(),
            Body::Request { cookie, raw, timeout, .. } => forward(raw, *cookie, *timeout).into(),
            Body::Response(forwarded) => response(forwarded).into(),
            Body::HubResponse { cookie, outcome } => {
                response_text(*cookie, outcome.as_deref().map_err(String::as_str)).into()
            }
        }
    }

    /// Whether it is the hub's own refusal.
    pub(super) fn is_refusal(&self) -> bool {
        matches!(self, Body::HubResponse { outcome: Err(_), .. })
    }
}
