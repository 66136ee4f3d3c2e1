//! See what an engine of plugins does.
//!
//! - [`Record`] is one thing that happened, as JSON. [`Capture`] makes records of observations, and decides what of a payload
//!   is kept.

mod capture;
mod export;
mod record;
mod recorder;
mod recording;
mod redact;
mod replay;

pub use capture::Capture;
pub use export::{ExportError, ExportFormat, export};
pub use record::{Direction, Kind, Outcome, Record};
pub use recorder::{Recorded, Recorder, RecorderOptions};
pub use recording::{Header, Line, Recording, RecordingError};
pub use replay::{Difference, Replay, ReplayError, Report, as_plugin};
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
