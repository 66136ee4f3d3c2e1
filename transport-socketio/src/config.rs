use std::time::Duration;

/// The most bytes of one message by default: 16 MiB, what a published peer takes in one websocket frame.
pub(crate) const MESSAGE: usize = 16 * 1024 * 1024;

/// Where socket.io lives on a server unless it is told otherwise.
pub(crate) const PATH: &str = "/socket.io";

/// How long the other end may take to close in order.
pub(crate) const CLOSE: Duration = Duration::from_secs(1);
