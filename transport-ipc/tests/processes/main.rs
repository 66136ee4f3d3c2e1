//! Programs as plugins: which file runs, where it finds its engine, what ends with it, and what is said of it.
#![cfg(all(unix, feature = "client", feature = "plugin"))]
#![allow(clippy::disallowed_methods, reason = "starting processes is what is tried")]

#[cfg(target_os = "linux")]
mod family;
mod graceful;
mod output;
mod refusals;
mod resolve;
#[cfg(target_os = "linux")]
mod runtimes;
mod sockets;
mod support;
