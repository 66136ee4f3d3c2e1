//! The plugin's end: a socket.io server that engines dial.

mod config;
mod inbox;
mod link;
mod listen;
mod mount;
mod ours;
mod room;

pub use self::config::SocketIoServerConfig;
pub use self::listen::{BindError, SocketIoServer, serve};
pub use self::mount::{SocketIoEngines, SocketIoLayer, SocketIoService, mount};
