//! See what an engine of plugins does.
//!
//! - [`Record`] is one thing that happened, as JSON. [`Capture`] makes records of observations, and decides what of a payload
//!   is kept.

mod capture;
mod recent;
mod record;
mod statistics;
mod text;

pub use capture::Capture;
pub use recent::{Filter, Page, Recent};
pub use record::{Direction, Kind, Outcome, Record};
pub use statistics::{
    CallerStatistics, Calls, EdgeStatistics, EventStatistics, LastError, Latency, LinkEntry, LinkStatus,
    MethodStatistics, PluginDetails, PluginStatistics, Snapshot, Statistics,
};
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
