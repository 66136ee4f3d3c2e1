//! The engine's end: starts a program as its plugin and supervises it.

mod connector;
mod descendants;
mod digest;
mod environment;
mod link;
mod output;
mod process;
mod program;
mod resolve;
mod restart;
mod spawn;
mod spawner;
#[cfg(target_os = "linux")]
mod watchdog;

pub use connector::{ChildConnector, child};
pub use environment::InheritedEnv;
pub use process::ChildEnd;
pub use program::{ChannelKind, Program};
pub use restart::Restart;
