//! STP without a socket.

mod frames;
mod handlers;
mod session;
