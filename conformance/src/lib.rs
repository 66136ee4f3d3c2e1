//! The conformance suite that every transport is tested with, the plugins [`probe`] and [`local`], a runner for scripts
//! of calls between them, an in-memory transport, and test helpers: a [`TestHost`] for the tests of a plugin, a [`Proxy`]
//! that breaks connections, one that [delays](delayed_tcp) them, a recorder of [`traces`], and functions for tests that
//! drive [`links`] directly.
//!
//! # For the author of a transport
//! Write a [`Fixture`], which makes both ends of the transport for each case and declares in [`Capabilities`] what it
//! promises beyond the contract of [`Link`](connector_core::Link). One line then turns every case into a test. This is
//! the complete fixture of the in-memory transport. Yours belongs in `tests/conformance.rs`, with this crate as a
//! development dependency:
//!
//! ```
//! use connector_core::async_trait;
//! use conformance::{Capabilities, Endpoints, Fixture, FixtureError, memory};
//!
//! struct InMemory;
//!
//! #[async_trait]
//! impl Fixture for InMemory {
//!     fn capabilities(&self) -> Capabilities {
//!         Capabilities::default().cut().stall().inject().inject_raw().count_connections()
//!     }
//!
//!     async fn endpoints(&self) -> Result<Endpoints, FixtureError> {
//!         let (plugin, client, switch) = memory();
//!         Ok(Endpoints::new("memory://", client, move || plugin.clone()).control(switch))
//!     }
//! }
//!
//! conformance::suite!(InMemory, without: [IdleConnections, Silence]);
//! ```
//!
//! - A [`Control`] breaks the link: a [`Proxy`] for sockets, a signal for processes. It is optional.
//! - List what the fixture cannot do ([`Need`]) after `without`. The cases that need it are ignored, and `cargo test`
//!   shows them with the reason. The list is strict: another test fails if it differs from the capabilities.
//! - A failing case reports what was expected, what happened, where to look, and which sentence of the contract is broken.
//! - The cases of the theme `threads` run on a runtime with two threads, all others on one.
//! - List a case that is expected to fail, with the reason: `suite!(InMemory, a_full_link_receives =>
//!   "issue 12")`. The list is strict: a listed case that passes is a failed test, and an unknown name does not compile.
//! - [`run_all`] runs the cases in order and returns a [`Report`], which prints as a table. Each case is also a function
//!   in [`cases`]. No step of a case takes longer than [`Capabilities::timeout`].
//! - Over a long way, cases mostly wait: declare [`Capabilities::round_trip`], and let [`run_at_once`] run several at a
//!   time.
//! - [`Observed`] runs the cases with an observer attached to each engine.
//! - For two transports in one file, put each `suite!` in its own module.

// Cargo may document other crates before this one; rustdoc then finds no page to link to without this.
#![doc(html_root_url = "../")]

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}

mod capabilities;
pub mod cases;
mod checked_link;
mod contract;
#[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
mod delay;
mod failure;
mod fixture;
mod harness;
mod host;
#[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
pub mod links;
mod list;
mod memory;
mod probe;
#[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
mod proxy;
mod runtime;
mod script;
mod scripted_peer;
mod secrets;
mod suite;
mod test_host;
#[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
mod threaded;
mod traces;

pub use capabilities::{Capabilities, Need};
#[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
pub use delay::delayed_tcp;
pub use failure::Failure;
pub use fixture::{Control, Endpoints, Fixture, FixtureError, Memory, Observed};
pub use memory::{MemoryClient, MemoryPlugin, Switch, memory, memory_pair};
pub use probe::{engine_with, local, probe, probe_named};
#[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
pub use proxy::Proxy;
pub use script::{EXPECTED, SCRIPT, Script, ScriptError, run_script};
pub use secrets::no_secret;
#[doc(hidden)]
pub use suite::check_without;
pub use suite::{CASES, Case, Report, Verdict, run_all};
pub use test_host::{Fault, TestHost, TestLink};
#[doc(hidden)]
#[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
pub use threaded::run_as_test;
#[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
pub use threaded::run_at_once;
pub use traces::{Traces, traces};

/// Turns every case into a test: `suite!(FIXTURE)`, or `suite!(FIXTURE, without: [Cut, Stall, …])` with what the fixture
/// cannot do, then the cases that are expected to fail: `suite!(FIXTURE, without: […], case => "why it fails", …)`. See
/// [the module](self).
#[doc(inline)]
pub use crate::__suite as suite;
