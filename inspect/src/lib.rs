//! See what an engine of plugins does.
//!
//! - [`Record`] is one thing that happened, as JSON. [`Capture`] makes records of observations, and decides what of a payload
//!   is kept.
//! - [`Statistics`] counts calls, events and links' states. [`Recent`] keeps the last records.
//! - [`Recorder`] writes records into files, and [`Recording`] reads them. [`Replay`] plays the engine or the plugin of a recorded
//!   link, [`as_plugin`] makes a mock of it, and [`export`](export()) writes files for other tools.
//! - [`serve`] shows all of this in a browser (feature `server`, enabled by default).
#![cfg_attr(docsrs, feature(doc_cfg))]

mod capture;
mod export;
mod recent;
mod record;
mod recorder;
mod recording;
mod redact;
mod replay;
#[cfg(feature = "server")]
mod server;
mod statistics;
mod text;

pub use capture::Capture;
pub use export::{ExportError, ExportFormat, export};
pub use recent::{Filter, Page, Recent};
pub use record::{Direction, Kind, Outcome, Record};
pub use recorder::{Recorded, Recorder, RecorderOptions};
pub use recording::{Header, Line, Recording, RecordingError};
pub use replay::{Difference, Replay, ReplayError, Report, as_plugin};
#[cfg(feature = "server")]
pub use server::{Inspector, ServeError, ServeOptions, serve};
pub use statistics::{
    CallerStatistics, Calls, EdgeStatistics, EventStatistics, LastError, Latency, LinkEntry, LinkStatus,
    MethodStatistics, PluginDetails, PluginStatistics, Snapshot, Statistics,
};
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
