//! Programs as plugins: which file runs, how it finds its engine, what ends with it, and how it is reported.
#![cfg(all(unix, feature = "client", feature = "plugin"))]
#![allow(clippy::disallowed_methods, reason = "these tests start processes")]

#[cfg(target_os = "linux")]
mod descendants;
mod graceful;
mod output;
mod refusals;
mod resolve;
#[cfg(target_os = "linux")]
mod runtimes;
mod secrets;
#[cfg(target_os = "linux")]
mod slow_start;
mod sockets;
mod support;
