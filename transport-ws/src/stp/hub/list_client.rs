//! Queries a running hub for its registrations.

use std::collections::VecDeque;
use std::task::{Context, Poll};

use connector_core::stp::frame::{items, refusal, request};
use connector_core::stp::{Frame, Response, StpTimeout};
use connector_core::{ConnectError, LinkEnd, TraceLimit};
use thiserror::Error;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use super::incoming::LIST;
use super::listing::StpListing;
use crate::plugin::{WsConnector, WsConnectorConfig};
use crate::stp::link::{Endpoint, drive};

/// Why a hub could not be listed.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum StpListError {
    /// The hub is unreachable.
    #[error("cannot query the hub: {0}")]
    Connect(ConnectError),
    /// The connection ended before the answer.
    #[error("the connection to the hub ended before it answered: {0}")]
    Link(LinkEnd),
    /// The hub refuses to list itself, or is not a hub of this crate.
    #[error("the hub cannot be listed: {0}")]
    Refused(String),
    /// The hub did not answer within this many seconds.
    #[error("the hub did not answer within {0} s: check that the url leads to a hub of transport-ws")]
    TimedOut(f64),
}

/// Queries the hub at `url` for its sessions, services and solvables, without registering a service.
///
/// # Errors
/// The hub is unreachable, refuses, or does not answer within `timeout`.
pub async fn list(url: &str, config: WsConnectorConfig, timeout: StpTimeout) -> Result<StpListing, StpListError> {
    let exchange = async {
        let mut link = WsConnector::new(config).dial(url).await.map_err(StpListError::Connect)?;
        let message = serde_json::json!({ "method": LIST }).to_string();
        let outgoing = [request(&message, 0, timeout).into()].into();
        let mut endpoint = ListRequest { outgoing, answer: None, traces: TraceLimit::default() };
        let end = drive(&mut *link, &mut endpoint).await;
        endpoint.answer.ok_or(StpListError::Link(end))?.map_err(StpListError::Refused)
    };
    let limit = timeout.duration();
    let text = tokio::time::timeout(limit, exchange).await.map_err(|_| StpListError::TimedOut(timeout.seconds()))??;
    serde_json::from_str(&text).map_err(|error| StpListError::Refused(format!("its answer is not a listing: {error}")))
}

struct ListRequest {
    outgoing: VecDeque<Utf8Bytes>,
    answer: Option<Result<String, String>>,
    traces: TraceLimit,
}

impl Endpoint for ListRequest {
    fn traces(&self) -> &TraceLimit {
        &self.traces
    }

    fn receive(&mut self, text: Utf8Bytes) {
        if let Ok(Frame::Response(Response { cookie: 0, success, result })) = Frame::parse(&text) {
            let text = || items(result).into_iter().next().unwrap_or_default();
            self.answer = Some(if success { Ok(text()) } else { Err(refusal(result)) });
        }
    }

    fn poll_frame(&mut self, _: &mut Context<'_>) -> Poll<Utf8Bytes> {
        self.outgoing.pop_front().map_or(Poll::Pending, Poll::Ready)
    }

    fn poll_work(&mut self, _: &mut Context<'_>) -> bool {
        false
    }

    fn poll_stop(&mut self, _: &mut Context<'_>, _: impl Fn() -> u64) -> Poll<LinkEnd> {
        if self.answer.is_some() { Poll::Ready(LinkEnd::Disconnected) } else { Poll::Pending }
    }
}
