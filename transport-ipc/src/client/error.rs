//! Why a program has no channel to its engine.

use thiserror::Error;

/// Why there is no channel.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ChannelError {
    /// The engine wants V8's own format.
    #[error(
        "the engine forks with `serialization: 'advanced'`, which is V8's own format: fork with 'json', the default"
    )]
    Advanced,
    /// `NODE_CHANNEL_FD` names no channel.
    #[error("NODE_CHANNEL_FD is \"{value}\", which is no channel: {why}")]
    NotAChannel {
        /// What it says.
        value: String,
        /// What is wrong with it.
        why: String,
    },
    /// `PLUGIN_SOCKET` names no socket.
    #[error("PLUGIN_SOCKET names no socket: {0}")]
    BadSocket(String),
    /// Threads run already, and taking the channel changes the environment.
    #[error(
        "Channel::find came too late, threads run already: call it first thing in a plain `fn main`, which starts the \
         runtime after it (in a `#[tokio::main]` the runtime runs from the beginning)"
    )]
    TooLate,
}
