//! Why a link could not be made.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

/// Why [`PluginConnector::connect`](crate::PluginConnector::connect) made no link.
///
/// For the end of a link that was up, see [`LinkEnd`](crate::LinkEnd).
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The peer is unreachable or rejected the connection, and retrying makes no sense until something is put right; the
    /// text says what. Fails an activation. A link that was lost is still retried.
    #[error("{0}")]
    Refused(String),
    /// The peer did not answer within this time. Retried.
    #[error("no connection within {0:?}")]
    TimedOut(Duration),
    /// Something answered, but not in the transport's protocol. Retried, but two in a row fail an activation.
    #[error("protocol error: {0}")]
    Protocol(String),
    /// Any other failure. Retried.
    #[error(transparent)]
    Failed(Arc<dyn Error + Send + Sync>),
    /// The connector makes no more links until the plugin is deactivated and activated again; the error's text says why,
    /// with its cause. Fails an activation, and ends the attempts to restore a link that was lost.
    #[error("gave up: {0}")]
    GivenUp(Arc<dyn Error + Send + Sync>),
}

impl ConnectError {
    /// A [`ConnectError::Failed`] with this cause.
    pub fn failed(error: impl Into<Box<dyn Error + Send + Sync>>) -> ConnectError {
        ConnectError::Failed(Arc::from(error.into()))
    }

    /// A [`ConnectError::GivenUp`] with this reason, for example a text.
    pub fn given_up(why: impl Into<Box<dyn Error + Send + Sync>>) -> ConnectError {
        ConnectError::GivenUp(Arc::from(why.into()))
    }

    /// Whether another attempt may succeed without anything being put right: true for
    /// [`TimedOut`](ConnectError::TimedOut), [`Protocol`](ConnectError::Protocol) and [`Failed`](ConnectError::Failed).
    /// An activation fails at once on any other.
    pub fn is_retryable(&self) -> bool {
        match self {
            ConnectError::TimedOut(_) | ConnectError::Protocol(_) | ConnectError::Failed(_) => true,
            ConnectError::Refused(_) | ConnectError::GivenUp(_) => false,
        }
    }
}

/// A [`ConnectError::Failed`].
impl From<std::io::Error> for ConnectError {
    fn from(error: std::io::Error) -> ConnectError {
        ConnectError::failed(error)
    }
}
