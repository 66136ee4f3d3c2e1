//! Limits and times, the same on every channel.

use std::time::Duration;

/// The environment variable that names the local socket which an engine serves for the program it starts.
#[cfg(any(feature = "client", feature = "plugin"))]
pub(crate) const SOCKET: &str = "PLUGIN_SOCKET";

/// Limits and times of a link.
///
/// ```
/// use transport_ipc::IpcConfig;
///
/// let config = IpcConfig::default().max_message(1 << 20);
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct IpcConfig {
    /// The longest line, in bytes, that is taken or sent. A longer one that comes ends the link; a longer message to be
    /// sent is an error to its sender alone. Default 16 MiB.
    pub max_message: usize,
    /// How long making a link over a local socket may take. Default 5 s.
    pub connect_timeout: Duration,
    /// How long closing in order may go without progress: what is left is written, and what comes is discarded until
    /// the other end has closed too. In all it takes five times as long at most. Also how long reading goes on after a
    /// write has failed. Default 1 s.
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
}
