//! STP without a socket, on virtual time.

#![allow(clippy::disallowed_methods, reason = "tests run on tokio, not behind the crate's seam")]

mod bridge;
mod fake;
mod frames;
mod handlers;
mod session;
mod typed;
