//! `connector export`.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use clap::{Args, ValueHint};
use connector_inspect::{ExportFormat, Recording};

use crate::failure::Failure;

/// Writes a recording as a file of another tool.
#[derive(Args)]
pub(crate) struct Export {
    /// The recording.
    #[arg(value_hint = ValueHint::FilePath)]
    file: PathBuf,
    /// har (DevTools, HTTP Toolkit, Proxyman), chrome (Perfetto, speedscope) or pcapng (Wireshark).
    #[arg(long, value_name = "har|chrome|pcapng")]
    format: ExportFormat,
    /// The file to write; it is replaced if it exists.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    out: PathBuf,
}

impl Export {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let Export { file, format, out } = self;
        let mut recording = Recording::open(&file).map_err(|error| Failure::usage(error.to_string()))?;
        if Recording::open(&out).is_ok() {
            return Err(Failure::usage(format!("{} is a recording: choose another file to write", out.display())));
        }
        let mut options = File::options();
        options.write(true).create(true).truncate(true);
        // It contains what the recording contains.
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let written = options.open(&out).map_err(|error| Failure::usage(format!("{}: {error}", out.display())))?;
        connector_inspect::export(&mut recording, format, BufWriter::new(written))
            .map_err(|error| Failure::usage(error.to_string()))?;
        if let Some(line) = recording.torn() {
            let _ = writeln!(io::stderr(), "{line} was not written completely, and is left out");
        }
        let _ = writeln!(io::stderr(), "{}: {}", out.display(), use_of(format));
        Ok(())
    }
}

fn use_of(format: ExportFormat) -> &'static str {
    match format {
        ExportFormat::Har => "import it in Chrome's DevTools (Network), HTTP Toolkit or Proxyman",
        ExportFormat::Chrome => "open it in https://ui.perfetto.dev or https://www.speedscope.app",
        ExportFormat::Pcapng => "open it in Wireshark",
        _ => "written",
    }
}
