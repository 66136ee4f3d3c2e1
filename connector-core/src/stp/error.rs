//! Error types, one per operation.

use std::time::Duration;

use thiserror::Error;

use super::service_limits::BadService;
use super::session::StpBusy;
use crate::connector::{ConnectError, LinkEnd};

/// Why a service was not connected.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum StpConnectError {
    /// Not a valid service; nothing was dialled.
    #[error(transparent)]
    BadService(#[from] BadService),
    /// No connection could be made.
    #[error("cannot connect to STP at {url}: {error}")]
    Connect {
        /// The URL of STP, without secrets.
        url: String,
        /// Why not.
        error: ConnectError,
    },
    /// A connection was made, but ended before STP responded.
    #[error("the connection to STP at {url} ended before the service was registered: {end}")]
    Link {
        /// The URL of STP, without secrets.
        url: String,
        /// How the connection ended.
        end: LinkEnd,
    },
    /// STP rejected the service.
    #[error("STP refused to register the service: {0}")]
    Refused(String),
    /// The time limit passed.
    #[error("STP did not register the service within {0:?}: check that the url leads to STP")]
    TimedOut(Duration),
    /// Another `connect` or `disconnect` was called meanwhile.
    #[error("superseded by another connect or disconnect")]
    Superseded,
}

/// Why a connection did not end gracefully. It has ended anyway.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum StpDisconnectError {
    /// Queued messages could not be sent, or the close was not answered, in time. The connection was dropped.
    #[error("STP did not accept the queued messages within {0:?}: the connection was dropped")]
    TimedOut(Duration),
}

/// Why a message was not sent.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum StpInformError {
    /// There is no connection: not yet, no longer, or it was lost and is being reconnected.
    #[error("not connected to STP: connect first, or wait until the connection is restored")]
    NotConnected,
    /// The connection was lost before the message was sent.
    #[error("the connection to STP was lost: {0}")]
    Lost(LinkEnd),
    /// STP did not accept the message in time because it does not read.
    #[error("STP did not accept the message within {0:?}")]
    TimedOut(Duration),
    /// The message exceeds the frame size limit; the connection is unaffected.
    #[error("a message of {bytes} bytes exceeds the limit of {limit}")]
    TooLarge {
        /// The frame's size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
}

/// Why a request failed. Every request ends once.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum StpRequestError {
    /// There is no connection: not yet, no longer, or it was lost and is being reconnected.
    #[error("not connected to STP: connect first, or wait until the connection is restored")]
    NotConnected,
    /// STP or the requested service refused.
    #[error("{0}")]
    Refused(String),
    /// No response arrived in time.
    #[error("no response within {0:?}")]
    TimedOut(Duration),
    /// The connection was lost while the request was pending.
    #[error("the connection to STP was lost: {0}")]
    Lost(LinkEnd),
    /// Too many requests are pending.
    #[error(transparent)]
    Busy(#[from] StpBusy),
    /// The message exceeds the frame size limit; the connection is unaffected.
    #[error("a message of {bytes} bytes exceeds the limit of {limit}")]
    TooLarge {
        /// The frame's size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
}
