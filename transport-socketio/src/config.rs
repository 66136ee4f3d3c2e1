//! Constants shared by both ends.

use std::time::Duration;

/// The default limit of one message: 16 MiB, which published peers accept in one websocket frame.
pub(crate) const DEFAULT_MAX_MESSAGE: usize = 16 * 1024 * 1024;

/// The default path of socket.io's requests.
pub(crate) const DEFAULT_PATH: &str = "/socket.io";

/// The time that the peer may take to close gracefully.
pub(crate) const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
