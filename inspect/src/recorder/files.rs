//! The files of a recording, of which the oldest are removed.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};

use crate::record::Record;
use crate::recording::{Header, Recording, RecordingError, older_file};

#[derive(Debug)]
pub(super) struct Files {
    path: PathBuf,
    header: Header,
    file: BufWriter<File>,
    written: u64,
    max_file: u64,
    max_files: usize,
    /// Kept for its capacity.
    line: Vec<u8>,
}

impl Files {
    /// # Errors
    /// The file cannot be created, or one that would be renamed or removed is not a recording, or is being written.
    pub(super) fn create(path: &Path, header: Header, max_file: u64, max_files: usize) -> io::Result<Files> {
        (0..max_files).try_for_each(|number| check_replaceable(&file_name(path, number)))?;
        shift(path, max_files)?;
        let file = BufWriter::with_capacity(1 << 16, create_private(path)?);
        let mut files =
            Files { path: path.to_owned(), header, file, written: 0, max_file, max_files, line: Vec::new() };
        // The next start would take an empty file for another program's.
        files.write_header().inspect_err(|_| drop(fs::remove_file(path)))?;
        Ok(files)
    }

    pub(super) fn append(&mut self, record: &Record) -> io::Result<()> {
        self.line.clear();
        serde_json::to_writer(&mut self.line, record)?;
        self.line.push(b'\n');
        if self.written + self.line.len() as u64 > self.max_file {
            self.flush()?;
            shift(&self.path, self.max_files)?;
            self.file = BufWriter::with_capacity(1 << 16, create_private(&self.path)?);
            self.header.part += 1;
            self.write_header()?;
        }
        self.written += self.line.len() as u64;
        self.file.write_all(&self.line)
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }

    /// At once, so that no file is without one.
    fn write_header(&mut self) -> io::Result<()> {
        let mut line = serde_json::to_vec(&self.header)?;
        line.push(b'\n');
        self.written = line.len() as u64;
        self.file.write_all(&line)?;
        self.file.flush()
    }
}

fn file_name(path: &Path, number: usize) -> PathBuf {
    if number == 0 { path.to_owned() } else { older_file(path, number) }
}

/// # Errors
/// There is something at the path that is not a recording, or that another recorder is writing.
fn check_replaceable(path: &Path) -> io::Result<()> {
    let refused = |kind, reason: &str| {
        let text = format!("{}: {reason}. It is not replaced: choose another name, or remove it", path.display());
        Err(io::Error::new(kind, text))
    };
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_file() => {}
        Ok(_) => return refused(ErrorKind::AlreadyExists, "it is not a regular file"),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return refused(error.kind(), &error.to_string()),
    }
    match Recording::open(path) {
        Ok(_) | Err(RecordingError::OtherVersion { .. }) => {}
        Err(RecordingError::NotARecording(_)) => return refused(ErrorKind::AlreadyExists, "it is not a recording"),
        Err(error) => return refused(ErrorKind::AlreadyExists, &format!("it cannot be read: {error}")),
    }
    match File::open(path)?.try_lock() {
        Err(TryLockError::WouldBlock) => refused(ErrorKind::ResourceBusy, "another recorder is writing it"),
        // Not every file system has locks.
        Ok(()) | Err(TryLockError::Error(_)) => Ok(()),
    }
}

/// Renames the existing files so that there is none at `path`, and removes the oldest of `max_files`.
fn shift(path: &Path, max_files: usize) -> io::Result<()> {
    let file = |number| file_name(path, number);
    if_found(fs::remove_file(file(max_files - 1)))?;
    (1..max_files).rev().try_for_each(|number| if_found(fs::rename(file(number - 1), file(number))))
}

fn if_found(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

/// A new file that, on Unix, only its owner can read.
fn create_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path)?;
    // So that another recorder does not rename it away. Not every file system has locks.
    let _ = file.try_lock();
    Ok(file)
}
