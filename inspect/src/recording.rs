//! Recordings: the format of their files, and their reader.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::record::{Kind, Record};

/// The value of [`Header::format`].
const FORMAT: &str = "connector-recording";
/// The version that this crate writes and reads.
const VERSION: u32 = 1;
/// The longest line that is read, in bytes: the largest message of any transport, with each byte escaped.
const MAX_LINE: u64 = 128 << 20;

/// The first line of each file of a recording.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Header {
    /// `connector-recording`.
    pub format: Box<str>,
    /// The version of the format: 1.
    pub version: u32,
    /// The version of the crates that made it.
    pub engine: Box<str>,
    /// When the recording began, in microseconds since 1970: the time 0 of its records. Identifies the recording.
    pub began: u64,
    /// Counts the files of the recording from 1.
    pub part: u64,
    /// The bytes kept of each payload or message.
    pub max_data: usize,
    /// Whether values between threads are serialized; otherwise records have their size.
    pub values: bool,
    /// The JSON pointers whose values are replaced by `"…"`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub redacted: Vec<String>,
}

impl Header {
    pub(crate) fn new(began: u64, max_data: usize, values: bool, redacted: &[String]) -> Header {
        Header {
            format: FORMAT.into(),
            version: VERSION,
            engine: env!("CARGO_PKG_VERSION").into(),
            began,
            part: 1,
            max_data,
            values,
            redacted: redacted.to_vec(),
        }
    }

    /// The wall-clock time of a record. Times that the platform cannot represent are 1970.
    pub fn time_of(&self, record: &Record) -> SystemTime {
        let since = Duration::from_micros(self.began.saturating_add(record.at));
        SystemTime::UNIX_EPOCH.checked_add(since).unwrap_or(SystemTime::UNIX_EPOCH)
    }
}

/// Why a recording cannot be read, or not to its end.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RecordingError {
    /// The file cannot be opened or read.
    #[error("{}: {error}", .file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The file has no header.
    #[error("{}: it is not a recording: its first line is not a header that names the format {FORMAT:?}", .0.display())]
    NotARecording(PathBuf),
    /// The file is of another version of the format.
    #[error(
        "{}: it is a recording of version {version} of the format, and this program reads version {VERSION}: use the \
         `connector` of the version that wrote it, {engine}", .file.display()
    )]
    OtherVersion {
        /// The file.
        file: PathBuf,
        /// Its version.
        version: u32,
        /// The version of the crates that made it.
        engine: String,
    },
    /// A line is not what was written.
    #[error("{line}: {reason}")]
    BadLine {
        /// Where.
        line: Line,
        /// What is wrong with it.
        reason: String,
    },
}

/// A line of a file. Displays as `FILE, line 3`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The file.
    pub file: Arc<Path>,
    /// Counted from 1.
    pub number: u64,
}

impl std::fmt::Display for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}, line {}", self.file.display(), self.number)
    }
}

/// A recording, to be read record by record, from the oldest file that is left to the newest.
///
/// Yields each record with its line, and after an error nothing more. A last line that was not written completely, because the
/// program was killed, is not an error: it is left out, and [`torn`](Recording::torn) names it.
///
/// ```no_run
/// use connector_inspect::Recording;
///
/// # fn main() -> Result<(), connector_inspect::RecordingError> {
/// let mut recording = Recording::open("session.ndjson")?;
/// for entry in &mut recording {
///     let (_, record) = entry?;
///     println!("{:?} at {} µs", record.kind, record.at);
/// }
/// if let Some(line) = recording.torn() {
///     println!("{line} was not written completely, and is left out");
/// }
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Recording {
    header: Header,
    /// Those that follow the current one.
    parts: VecDeque<Part>,
    current: Option<Part>,
    line: Line,
    /// The number that the next record has, if it is known.
    expected: Option<u64>,
    torn: Option<Line>,
}

#[derive(Debug)]
struct Part {
    file: Arc<Path>,
    reader: BufReader<File>,
    header: Header,
}

impl Recording {
    /// Opens the recording whose newest file is at `path`, with its older files `path.1`, `path.2`, and so on, as far as they
    /// belong to it.
    ///
    /// # Errors
    /// The file cannot be read, is not a recording, or is of another version of the format.
    pub fn open(path: impl AsRef<Path>) -> Result<Recording, RecordingError> {
        let newest = Part::open(path.as_ref())?;
        let mut parts = VecDeque::from([newest]);
        for number in 1.. {
            let (Ok(older), Some(newer)) = (Part::open(&older_file(path.as_ref(), number)), parts.front()) else {
                break;
            };
            if older.header.began != newer.header.began || newer.header.part.checked_sub(1) != Some(older.header.part) {
                break;
            }
            parts.push_front(older);
        }
        let current = parts.pop_front();
        let (file, header) = match &current {
            Some(part) => (Arc::clone(&part.file), part.header.clone()),
            None => return Err(RecordingError::NotARecording(path.as_ref().to_owned())),
        };
        // Older files may have been removed.
        let expected = (header.part == 1).then_some(1);
        Ok(Recording { header, parts, current, line: Line { file, number: 1 }, expected, torn: None })
    }

    /// The header of the oldest file.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The last line, if it was not written completely. Known once all records have been read.
    pub fn torn(&self) -> Option<&Line> {
        self.torn.as_ref()
    }

    fn read(&mut self) -> Result<Option<(Line, Record)>, RecordingError> {
        let mut text = Vec::new();
        loop {
            let Some(part) = &mut self.current else { return Ok(None) };
            let read = (&mut part.reader).take(MAX_LINE).read_until(b'\n', &mut text);
            let read = read.map_err(|error| RecordingError::Io { file: part.file.to_path_buf(), error })?;
            if read > 0 {
                break;
            }
            self.current = self.parts.pop_front();
            if let Some(part) = &self.current {
                self.line = Line { file: Arc::clone(&part.file), number: 1 };
            }
        }
        self.line.number += 1;
        let line = self.line.clone();
        let bad = |reason: String| Err(RecordingError::BadLine { line: line.clone(), reason });
        if text.pop_if(|byte| *byte == b'\n').is_none() {
            if text.len() as u64 + 1 >= MAX_LINE {
                return bad(format!("it is longer than {MAX_LINE} bytes"));
            }
            if !self.parts.is_empty() {
                return bad("it ends in the middle: the file was truncated".to_owned());
            }
            (self.torn, self.current) = (Some(line), None);
            return Ok(None);
        }
        let record = match std::str::from_utf8(&text).map(serde_json::from_str::<Record>) {
            Ok(Ok(record)) => record,
            Ok(Err(error)) => {
                return bad(format!("it is not a record: {error}. The file was edited or damaged"));
            }
            Err(_) => return bad("it is not UTF-8. The file was edited or damaged".to_owned()),
        };
        let missed = record.missed.filter(|_| record.kind == Kind::Missed).unwrap_or_default();
        if let Some(expected) = self.expected.filter(|expected| record.seq != *expected) {
            let found = record.seq;
            return bad(format!(
                "it has the number {found} instead of {expected}: lines were removed, added or exchanged"
            ));
        }
        self.expected = record.seq.checked_add(missed).and_then(|number| number.checked_add(1));
        Ok(Some((line, record)))
    }
}

impl Iterator for Recording {
    type Item = Result<(Line, Record), RecordingError>;

    fn next(&mut self) -> Option<Self::Item> {
        let read = self.read();
        if read.is_err() {
            self.current = None;
        }
        read.transpose()
    }
}

impl Part {
    fn open(path: &Path) -> Result<Part, RecordingError> {
        let io_error = |error| RecordingError::Io { file: path.to_owned(), error };
        // Opening a named pipe would wait for a writer.
        if !fs::metadata(path).map_err(io_error)?.is_file() {
            return Err(io_error(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file")));
        }
        let mut reader = BufReader::with_capacity(1 << 16, File::open(path).map_err(io_error)?);
        let mut first = Vec::new();
        (&mut reader).take(1 << 20).read_until(b'\n', &mut first).map_err(io_error)?;
        /// What the headers of all versions have.
        #[derive(Deserialize)]
        struct AnyHeader {
            format: String,
            version: u32,
            #[serde(default)]
            engine: String,
        }
        let any = serde_json::from_slice::<AnyHeader>(&first).ok().filter(|header| header.format == FORMAT);
        let Some(AnyHeader { version, engine, .. }) = any else {
            return Err(RecordingError::NotARecording(path.to_owned()));
        };
        if version != VERSION {
            return Err(RecordingError::OtherVersion { file: path.to_owned(), version, engine });
        }
        let file: Arc<Path> = path.into();
        let header = serde_json::from_slice(&first).map_err(|error| RecordingError::BadLine {
            line: Line { file: Arc::clone(&file), number: 1 },
            reason: format!("it is not a header: {error}. The file was edited or damaged"),
        })?;
        Ok(Part { file, reader, header })
    }
}

/// The name of an older file of the recording at `path`: `path.1` is the one before it.
pub(crate) fn older_file(path: &Path, number: usize) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(format!(".{number}"));
    name.into()
}

#[cfg(test)]
mod tests;
