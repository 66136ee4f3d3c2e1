//! The option `--record`, of each command that runs an engine.

use std::path::{Path, PathBuf};

use clap::{Args, ValueHint};
use connector_core::Engine;
use connector_inspect::{Capture, Recorder, RecorderOptions};

use crate::failure::Failure;

/// Messages are recorded whole, so that they can be replayed.
const MAX_DATA: usize = 16 << 20;

#[derive(Args)]
pub(crate) struct RecordTo {
    /// Records what happens into this file, for `replay` and `export`.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    record: Option<PathBuf>,
    #[command(flatten)]
    redaction: Redaction,
}

#[derive(Args)]
pub(crate) struct Redaction {
    /// A JSON pointer whose value is neither recorded nor shown in the page of `open` and `run --inspect`, in arguments, results
    /// and errors: /*/password is the member `password` of each argument. May be given several times.
    #[arg(long, value_name = "POINTER", value_parser = pointer)]
    redact: Vec<String>,
}

/// The library would hide everything.
fn pointer(text: &str) -> Result<String, String> {
    match text.is_empty() || text.starts_with('/') {
        true => Ok(text.to_owned()),
        false => Err("a JSON pointer begins with `/`, as in /0/password".to_owned()),
    }
}

impl RecordTo {
    /// Begins to record if the option is given. Call it before plugins are activated.
    pub(crate) fn start(self, engine: &Engine) -> Result<Option<Recorder>, Failure> {
        self.record.map(|file| self.redaction.record(engine, &file)).transpose()
    }

    /// The JSON pointers of what is hidden.
    pub(crate) fn redacted(&self) -> &[String] {
        &self.redaction.redact
    }

    /// # Errors
    /// The option is given, for a command that looks at a running engine.
    pub(crate) fn check_unused(&self) -> Result<(), Failure> {
        match self.record {
            None => Ok(()),
            Some(_) => Err(Failure::usage(
                "--record cannot be used with --at: it records the engine that the command itself starts. The program of \
                 the running engine can record it with connector_inspect::Recorder",
            )),
        }
    }
}

impl Redaction {
    pub(crate) fn record(self, engine: &Engine, file: &Path) -> Result<Recorder, Failure> {
        let capture = Capture::new().max_data(MAX_DATA).redact(self.redact);
        let recorder = Recorder::start(engine, file, RecorderOptions::default().capture(capture));
        recorder.map_err(|error| Failure::usage(format!("cannot record to {}: {error}", file.display())))
    }
}

/// Ends a recording that may have been begun.
pub(crate) fn finish(recorder: Option<Recorder>) -> Result<(), Failure> {
    match recorder.map(Recorder::finish) {
        Some(Err(error)) => Err(Failure::usage(format!("the recording is incomplete: {error}"))),
        Some(Ok(_)) | None => Ok(()),
    }
}
