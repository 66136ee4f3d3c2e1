//! Engine, plugin client and connector traits.
mod connector;
mod error;
mod message;
mod payload;
mod profile;
mod runtime;

pub use connector::*;
pub use error::*;
pub use message::*;
pub use payload::*;
pub use profile::*;
pub use async_trait::async_trait;
pub struct PluginClient;
pub struct PluginOptions {}
