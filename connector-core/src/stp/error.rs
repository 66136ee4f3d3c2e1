//! What can go wrong, one type an operation.

use std::time::Duration;

use thiserror::Error;

use super::service::BadService;
use super::session::StpBusy;
use crate::connector::{ConnectError, LinkEnd};

/// Why a service was not connected.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum StpConnectError {
    /// No STP would take such a service; nothing was dialled.
    #[error(transparent)]
    BadService(#[from] BadService),
    /// No connection could be made.
    #[error("cannot connect to STP at {url}: {error}")]
    Connect {
        /// Where STP should be, as [`redacted_url`](crate::redacted_url()) shows it.
        url: String,
        /// Why not.
        error: ConnectError,
    },
    /// A connection was made, but ended before STP had answered.
    #[error("the connection to STP at {url} ended before the service was registered: {end}")]
    Link {
        /// Where STP is, as [`redacted_url`](crate::redacted_url()) shows it.
        url: String,
        /// How the connection ended.
        end: LinkEnd,
    },
    /// STP does not take the service.
    #[error("STP refused to register the service: {0}")]
    Refused(String),
    /// It took too long.
    #[error("STP did not register the service within {0:?}: is there an STP at that URL?")]
    TimedOut(Duration),
    /// Somebody else called `connect` or `disconnect` meanwhile.
    #[error("another connect or disconnect took this one's place")]
    Superseded,
}

/// Why a connection did not end in order. It has ended all the same.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum StpDisconnectError {
    /// What was queued could not be sent, or the close was not answered, in time: the connection was dropped.
    #[error("STP did not take what was queued within {0:?}: the connection was dropped")]
    TimedOut(Duration),
}

/// Why a message was not sent.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum StpInformError {
    /// There is no connection now: not yet, not any more, or it was lost and is being dialled again.
    #[error("not connected to STP: connect first, or wait until the lost connection is back")]
    NotConnected,
    /// The connection was lost before the message was sent.
    #[error("the connection to STP was lost: {0}")]
    Lost(LinkEnd),
    /// STP did not take it in time: it does not read.
    #[error("STP did not take the message within {0:?}")]
    TimedOut(Duration),
    /// The message is larger than a frame may be; the connection is unharmed.
    #[error("a message of {bytes} bytes is over the limit of {limit}")]
    TooLarge {
        /// The frame's size.
        bytes: usize,
        /// The most that is sent.
        limit: usize,
    },
}

/// How a request ended, other than with its answer. Every request ends once.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum StpRequestError {
    /// There is no connection now: not yet, not any more, or it was lost and is being dialled again.
    #[error("not connected to STP: connect first, or wait until the lost connection is back")]
    NotConnected,
    /// STP, or the service that was asked, refused.
    #[error("{0}")]
    Refused(String),
    /// No answer came in time.
    #[error("no answer came within {0:?}")]
    TimedOut(Duration),
    /// The connection was lost while the request was under way.
    #[error("the connection to STP was lost: {0}")]
    Lost(LinkEnd),
    /// Too many requests wait for their answer.
    #[error(transparent)]
    Busy(#[from] StpBusy),
    /// The message is larger than a frame may be; the connection is unharmed.
    #[error("a message of {bytes} bytes is over the limit of {limit}")]
    TooLarge {
        /// The frame's size.
        bytes: usize,
        /// The most that is sent.
        limit: usize,
    },
}
