//! The plugin's end, in a program that an engine starts.

mod channel;
mod channel_variables;
mod error;
#[cfg(unix)]
mod node;
#[cfg(unix)]
mod nonblocking;
mod stdio;

pub use channel::Channel;
pub use error::ChannelError;
#[cfg(unix)]
pub use node::NodeChannel;
