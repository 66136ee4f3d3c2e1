//! Errors of [`Channel::find`](super::Channel::find).

use thiserror::Error;

/// Why a program has no usable channel to its engine.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ChannelError {
    /// The engine uses V8's serialization format.
    #[error("the engine forks with `serialization: 'advanced'`, which is V8's format: fork with 'json', the default")]
    Advanced,
    /// `NODE_CHANNEL_FD` does not name a channel.
    #[error("NODE_CHANNEL_FD is \"{value}\", which is not a channel: {why}")]
    NotAChannel {
        /// The variable's value.
        value: String,
        /// The reason.
        why: String,
    },
    /// `PLUGIN_SOCKET` does not name a socket.
    #[error("PLUGIN_SOCKET does not name a socket: {0}")]
    BadSocket(String),
    /// Other threads already run, and taking the channel changes the environment.
    #[error(
        "Channel::find was called after other threads had started: call it first in a plain `fn main` and start the \
        runtime afterwards (`#[tokio::main]` starts it first)"
    )]
    TooLate,
}
