//! See what an engine of plugins does.
//!
//! - [`Record`] is one thing that happened, as JSON. [`Capture`] makes records of observations, and decides what of a payload
//!   is kept.

mod capture;
mod record;

pub use capture::Capture;
pub use record::{Direction, Kind, Outcome, Record};
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
