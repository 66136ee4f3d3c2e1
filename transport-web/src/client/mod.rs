//! The plugin's end: in a frame, in a worker, or behind a message port.

mod config;
mod frame;
mod panic;
mod serve;
mod worker;

pub use self::config::ClientConfig;
pub use self::serve::{NoEngine, WebClient, serve, serve_port, serve_with};
