//! Recordings as files of other tools.

mod chrome;
mod har;
mod pcapng;

use std::borrow::Cow;
use std::io::{self, Write};
use std::str::FromStr;

use thiserror::Error;

use crate::record::Record;
use crate::recording::{Recording, RecordingError};

/// The format of a file that [`export`] writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExportFormat {
    /// HAR 1.2 with a websocket for each plugin's link and its messages: for Chrome's DevTools, HTTP Toolkit and Proxyman.
    Har,
    /// Chrome's trace events as JSON, with calls as spans: for Perfetto and speedscope.
    Chrome,
    /// pcapng with each message as a packet of JSON: for Wireshark and tshark.
    Pcapng,
}

/// Parses `har`, `chrome` and `pcapng`.
impl FromStr for ExportFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<ExportFormat, String> {
        Ok(match text {
            "har" => ExportFormat::Har,
            "chrome" => ExportFormat::Chrome,
            "pcapng" => ExportFormat::Pcapng,
            _ => return Err(format!("{text:?} is not a format: use har, chrome or pcapng")),
        })
    }
}

/// Why a recording was not exported.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The recording cannot be read to its end.
    #[error(transparent)]
    Recording(#[from] RecordingError),
    /// The file cannot be written.
    #[error("cannot write: {0}")]
    Io(#[from] io::Error),
}

/// Exports a recording. `out` receives many small writes, so it should be buffered; it is flushed at the end.
///
/// HAR holds all messages in memory, the others only what is under way.
///
/// # Errors
/// The recording cannot be read to its end, or the output cannot be written. What has been written is incomplete then.
pub fn export(recording: &mut Recording, format: ExportFormat, mut out: impl Write) -> Result<(), ExportError> {
    match format {
        ExportFormat::Har => har::write(recording, &mut out)?,
        ExportFormat::Chrome => chrome::write(recording, &mut out)?,
        ExportFormat::Pcapng => pcapng::write(recording, &mut out)?,
    }
    Ok(out.flush()?)
}

/// What is kept of a record's data, as text: JSON, or the beginning of it.
fn text(record: &Record) -> Cow<'_, str> {
    let Some(data) = &record.data else { return Cow::Borrowed("") };
    let beginning = record.cut.and_then(|_| serde_json::from_str::<String>(data.get()).ok());
    beginning.map_or(Cow::Borrowed(data.get()), Cow::Owned)
}

#[cfg(test)]
mod tests;
