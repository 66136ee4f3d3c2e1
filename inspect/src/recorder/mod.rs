//! Records what an engine does into files.

mod files;
mod queue;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::SystemTime;

use connector_core::{Engine, Observation, Observing};

use self::files::Files;
use self::queue::Queue;
use crate::capture::Capture;
use crate::recording::Header;
use crate::text::micros;

/// What a [`Recorder`] keeps, and its limits.
#[derive(Debug)]
#[non_exhaustive]
pub struct RecorderOptions {
    /// What is kept of payloads, and what is redacted. Default: whole messages of up to 16 MiB, so that the recording can be
    /// replayed; nothing is redacted, and values between threads are recorded by their size.
    pub capture: Capture,
    /// The size in bytes at which another file is begun. A record is never split. At least 4 KiB. Default 64 MiB.
    pub max_file: u64,
    /// How many files are kept, including the one that is written. At least 1, and default 4.
    pub files: usize,
    /// The bytes of records that wait to be written; further ones are left out and counted. As many again may be held while
    /// they are written. Each record counts its texts and an overhead; one of any size fits if nothing else waits. Default
    /// 64 MiB.
    pub max_queue: usize,
}

impl Default for RecorderOptions {
    fn default() -> RecorderOptions {
        RecorderOptions {
            capture: Capture::new().max_data(16 << 20),
            max_file: 64 << 20,
            files: 4,
            max_queue: 64 << 20,
        }
    }
}

impl RecorderOptions {
    /// Sets [`capture`](RecorderOptions::capture). The time of the records counts from when it was made.
    #[must_use]
    pub fn capture(mut self, capture: Capture) -> RecorderOptions {
        self.capture = capture;
        self
    }

    /// Sets [`max_file`](RecorderOptions::max_file).
    #[must_use]
    pub fn max_file(mut self, bytes: u64) -> RecorderOptions {
        self.max_file = bytes;
        self
    }

    /// Sets [`files`](RecorderOptions::files).
    #[must_use]
    pub fn files(mut self, files: usize) -> RecorderOptions {
        self.files = files;
        self
    }

    /// Sets [`max_queue`](RecorderOptions::max_queue).
    #[must_use]
    pub fn max_queue(mut self, bytes: usize) -> RecorderOptions {
        self.max_queue = bytes;
        self
    }
}

/// Records what an engine does, until it is finished or dropped, which waits until everything is written.
///
/// The newest records are in the file at the path, older ones in `path.1`, `path.2` and so on. A recording that is already
/// there is kept as such an older file. On Unix, files are created for their owner only (mode 0600).
///
/// Records are written by a separate thread, which passes them to the operating system within 10 ms: if the process is
/// killed, the rest can be read, except a last line that was not written completely. The engine never waits for the disk. If
/// records come faster than they are written, some are left out, and a record says how many. If writing fails, because
/// the disk is full for example, this is traced once as an error, recording stops, and the engine is not affected.
///
/// ```no_run
/// use connector_core::Engine;
/// use connector_inspect::{Recorder, RecorderOptions};
///
/// # fn main() -> std::io::Result<()> {
/// let engine = Engine::new();
/// let recorder = Recorder::start(&engine, "session.ndjson", RecorderOptions::default())?;
/// // …
/// recorder.finish()?;
/// # Ok(()) }
/// ```
#[derive(Debug)]
#[must_use = "dropping it ends the recording"]
pub struct Recorder {
    /// `None` once it is finished.
    running: Option<Running>,
    queue: Arc<Queue>,
}

#[derive(Debug)]
struct Running {
    observing: Observing,
    thread: JoinHandle<io::Result<()>>,
}

/// What a [`Recorder`] has recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recorded {
    /// The number of records.
    pub records: u64,
    /// How many are missing, because they came faster than they were written.
    pub missed: u64,
}

impl Recorder {
    /// Begins to record. For a recording that can be replayed, begin before the plugins are activated.
    ///
    /// # Errors
    /// A limit is out of range, the file cannot be created, or there is another file that is not a recording at the path.
    pub fn start(engine: &Engine, path: impl AsRef<Path>, options: RecorderOptions) -> io::Result<Recorder> {
        let RecorderOptions { capture, max_file, files, max_queue } = options;
        if max_file < 4096 || files == 0 || max_queue == 0 {
            let text = "RecorderOptions: max_file must be at least 4096, files and max_queue at least 1";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let began = micros(now.saturating_sub(capture.began().elapsed()));
        let (max_data, values, redacted) = capture.settings();
        let header = Header::new(began, max_data, values, redacted);
        let files = Files::create(path.as_ref(), header, max_file, files)?;
        let queue = Arc::new(Queue::new(max_queue));
        let (written, path) = (Arc::clone(&queue), path.as_ref().to_owned());
        let thread = thread::Builder::new().name("recorder".to_owned()).spawn(move || write(&written, files, path))?;
        let observed = Arc::clone(&queue);
        let observing = engine.observe(move |observation: &Observation<'_>| {
            if observed.is_open()
                && let Some(record) = capture.record(observation)
            {
                observed.push(record);
            }
        });
        Ok(Recorder { running: Some(Running { observing, thread }), queue })
    }

    /// Ends the recording, and waits until everything is written. Blocks the thread for as long as that takes, but not for
    /// more than [`max_queue`](RecorderOptions::max_queue) bytes.
    ///
    /// # Errors
    /// A record could not be written; recording stopped there.
    pub fn finish(mut self) -> io::Result<Recorded> {
        self.end()?;
        let (records, missed) = self.queue.counts();
        Ok(Recorded { records, missed })
    }

    fn end(&mut self) -> io::Result<()> {
        let Some(Running { observing, thread }) = self.running.take() else { return Ok(()) };
        drop(observing);
        self.queue.close();
        thread.join().unwrap_or_else(|_| Err(io::Error::other("the recorder's thread panicked")))
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        // A failure has been traced.
        let _ = self.end();
    }
}

/// Writes what is queued until the queue is closed.
fn write(queue: &Queue, mut files: Files, path: PathBuf) -> io::Result<()> {
    let (mut batch, mut is_open) = (Vec::new(), true);
    let mut written = Ok(());
    while is_open && written.is_ok() {
        is_open = queue.take(&mut batch);
        written = batch.drain(..).try_for_each(|record| files.append(&record)).and_then(|()| files.flush());
    }
    if let Err(error) = &written {
        queue.close();
        tracing::error!(file = %path.display(), %error, "cannot write the recording, which ends here");
    }
    written
}

#[cfg(test)]
mod tests;
