//! Limits and timeouts, the same on every channel.

use std::time::Duration;

#[cfg(any(feature = "client", feature = "plugin"))]
use connector_core::{BadSetting, ConnectError};

/// The environment variable that names the local socket that an engine serves for a program it starts.
#[cfg(any(feature = "client", feature = "plugin"))]
pub(crate) const SOCKET: &str = "PLUGIN_SOCKET";

/// Limits and timeouts of a link. A value with which nothing can work, such as a limit of 0, is an error of `bind`, and of
/// connecting.
///
/// ```
/// use transport_ipc::IpcConfig;
///
/// let config = IpcConfig::default().max_message(1 << 20);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct IpcConfig {
    /// The longest line, in bytes, that is received or sent. A longer incoming line ends the link; a longer outgoing
    /// message is an error for its sender only. Default 16 MiB.
    pub max_message: usize,
    /// How long connecting to a local socket may take. Default 5 s.
    pub connect_timeout: Duration,
    /// How long a graceful close may go without progress while it writes the remaining output and discards input until
    /// the other end has closed too. In all it takes at most five times as long. Also how long reading continues after a
    /// failed write. Default 1 s.
    pub close_timeout: Duration,
}

impl Default for IpcConfig {
    fn default() -> Self {
        IpcConfig {
            max_message: 16 << 20,
            connect_timeout: Duration::from_secs(5),
            close_timeout: Duration::from_secs(1),
        }
    }
}

impl IpcConfig {
    /// Sets [`max_message`](IpcConfig::max_message).
    #[must_use]
    pub fn max_message(mut self, bytes: usize) -> Self {
        self.max_message = bytes;
        self
    }

    /// Sets [`connect_timeout`](IpcConfig::connect_timeout).
    #[must_use]
    pub fn connect_timeout(mut self, limit: Duration) -> Self {
        self.connect_timeout = limit;
        self
    }

    /// Sets [`close_timeout`](IpcConfig::close_timeout).
    #[must_use]
    pub fn close_timeout(mut self, limit: Duration) -> Self {
        self.close_timeout = limit;
        self
    }

    /// # Errors
    /// A setting with which no link can work.
    #[cfg(any(feature = "client", feature = "plugin"))]
    pub(crate) fn check(&self) -> Result<(), BadSetting> {
        BadSetting::not_zero("IpcConfig::max_message", self.max_message)?;
        BadSetting::lasts("IpcConfig::connect_timeout", self.connect_timeout)
    }

    /// As [`check`](Self::check), for a connector.
    #[cfg(any(feature = "client", feature = "plugin"))]
    pub(crate) fn check_to_connect(&self) -> Result<(), ConnectError> {
        self.check().map_err(|bad| ConnectError::Refused(bad.to_string()))
    }
}
