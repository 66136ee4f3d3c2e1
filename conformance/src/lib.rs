//! What every transport is tried with: the conformance suite, the plugins [`probe`] and [`local`], a runner of scripts
//! that calls one from the other, and a transport in memory to compare with.
//!
//! # For the author of a transport
//! Write a [`Fixture`], which makes both ends of the transport anew for each case, and says in [`Capabilities`] what it
//! promises beyond the contract of [`Link`](connector_core::Link). One line then makes a test of every case. This is the fixture
//! of the transport in memory, in full; elsewhere it stands in `tests/conformance.rs`, and this crate is a development
//! dependency:
//!
//! ```
//! use connector_core::async_trait;
//! use conformance::{Capabilities, Fixture, Place, PlaceError, memory};
//!
//! struct InMemory;
//!
//! #[async_trait]
//! impl Fixture for InMemory {
//!     fn capabilities(&self) -> Capabilities {
//!         Capabilities::default().cut().stall().inject().inject_raw().counts()
//!     }
//!
//!     async fn place(&self) -> Result<Place, PlaceError> {
//!         let (plugin, client, switch) = memory();
//!         Ok(Place::new("memory://", client, move || plugin.clone()).control(switch))
//!     }
//! }
//!
//! conformance::suite!(InMemory, without: [Strangers, Silence]);
//! ```
//!
//! - What breaks the link stands behind a [`Control`]: for sockets a small proxy, for processes a signal. A fixture
//!   without one is fine.
//! - What a fixture cannot do ([`Need`]) stands behind `without`. The cases that need it are ignored, and `cargo test`
//!   shows them with the reason. The list is strict: one more test fails if it says anything else than the capabilities.
//! - A case that fails says what was expected, what came, where to look, and which sentence of the contract is broken.
//! - The cases of the theme `threads` run on a runtime with two threads, all others on one.
//! - A promise that is not kept yet goes on a list, with the reason: `suite!(InMemory, a_full_link_receives =>
//!   "issue 12")`. The list is strict: a case on it that passes is a failed test, and a name that is no case does not
//!   compile.
//! - [`run_all`] runs the cases in order and gives a [`Report`], which prints as a table. Each case is also a function
//!   of its own in [`cases`], and each waits for [`Capabilities::patience`] at the most.
//! - Two transports in one file: each `suite!` in a module of its own.

// From other crates' pages: Cargo may document them before this one, and rustdoc then finds no page to link to.
#![doc(html_root_url = "../")]

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}

pub mod cases;
mod checked_link;
mod contract;
mod failure;
mod fixture;
mod harness;
mod host;
mod list;
mod memory;
mod probe;
mod runtime;
mod script;
mod scripted_peer;
mod suite;

pub use failure::Failure;
pub use fixture::{Capabilities, Control, Fixture, Memory, Need, Place, PlaceError};
pub use memory::{MemoryClient, MemoryPlugin, Switch, memory, memory_pair};
pub use probe::{local, probe};
pub use script::{EXPECTED, SCRIPT, Script, ScriptError, run_script};
pub use suite::{CASES, Case, Report, Verdict, run_all};
#[doc(hidden)]
pub use suite::{check_without, run_as_test};

/// Makes a test of every case: `suite!(FIXTURE)`, or `suite!(FIXTURE, without: [Cut, Stall, …])` with what the fixture
/// cannot do, then the cases that are expected to fail: `suite!(FIXTURE, without: […], case => "why it fails", …)`. See
/// [the module](self).
#[doc(inline)]
pub use crate::__suite as suite;
