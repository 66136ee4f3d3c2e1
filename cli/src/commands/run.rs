//! `connector run`.

use std::io::Write;
use std::path::PathBuf;
use std::pin::pin;

use clap::{Args, ValueHint};
use connector_inspect::{Capture, ServeOptions};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use serde_json::json;

use crate::failure::{Failure, lines};
use crate::host::Host;
use crate::interrupt::interrupted;
use crate::loans::Loans;
use crate::output::{line, print};
use crate::recording::{self, RecordTo};

/// Runs the plugins of a host file in an engine, until it is interrupted.
///
/// docs/host-file.md describes the file. The command prints a line for each plugin that it lends to another engine, one when all
/// plugins are active, and one for each whose link is lost for good; a plugin that cannot be activated ends it. Ctrl-C and SIGTERM
/// end it gracefully, and a second one at once.
#[derive(Args)]
pub(crate) struct Run {
    /// The host file.
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    file: PathBuf,
    /// Shows the engine in a page on this machine, at a free port or at PORT, and prints its URL. The URL contains a token, whose
    /// holder sees what the plugins exchange, and cannot call them.
    #[arg(long, value_name = "PORT", num_args = 0..=1, require_equals = true, default_missing_value = "0")]
    inspect: Option<u16>,
    #[command(flatten)]
    recording: RecordTo,
}

impl Run {
    pub(crate) async fn run(self, json: bool) -> Result<(), Failure> {
        let no_signals = |error| Failure::usage(format!("cannot wait for Ctrl-C: {error}"));
        let mut stop = pin!(interrupted().map_err(no_signals)?);
        let (host, loans) = Host::of_file(&self.file).await?;
        let capture = Capture::new().redact(self.recording.redacted());
        let recorder = self.recording.start(&host.engine)?;
        let inspector = match self.inspect {
            None => None,
            Some(port) => {
                let served = host.inspect(ServeOptions::default().port(port).capture(capture)).await?;
                show(served.url(), json)?;
                Some(served)
            }
        };
        let loans = Loans::serve(&host.engine, loans).await?;
        let outcome = tokio::select! {
            biased;
            () = &mut stop => Ok(()),
            outcome = serve(&host, &loans, json) => outcome,
        };
        let again = interrupted().map_err(no_signals)?;
        let close = async {
            loans.close().await;
            if let Some(inspector) = inspector {
                inspector.close().await;
            }
            host.close().await;
        };
        tokio::select! {
            () = again => {}
            () = close => {}
        }
        recording::finish(recorder)?;
        outcome
    }
}

/// Prints where the page is.
fn show(url: &str, json: bool) -> Result<(), Failure> {
    print(match json {
        true => line(&json!({ "event": "inspector", "url": url }).to_string()),
        false => line(&format!("the inspector is at {url}")),
    })
}

/// Ends with an error only.
async fn serve(host: &Host, loans: &Loans, json: bool) -> Result<(), Failure> {
    let mut failed = None;
    for (name, activated) in host.activate_each(&host.at_start).await {
        if let Err(failure) = activated {
            report(json, name, &failure)?;
            failed = Some(failure.silent());
        }
    }
    if let Some(failure) = failed {
        return Err(failure);
    }
    for (plugin, borrower, url) in &loans.served {
        match json {
            true => {
                print(line(&json!({ "event": "lent", "plugin": plugin, "to": borrower, "url": url }).to_string()))?;
            }
            false => print(line(&format!("{plugin} is lent to {borrower} at {url}")))?,
        }
    }
    match json {
        true => print(line(&json!({ "event": "ready", "plugins": host.at_start }).to_string()))?,
        false => print(line(&format!("ready: {}; press Ctrl-C to stop", host.at_start.join(", "))))?,
    }
    let mut lost: FuturesUnordered<_> =
        host.names.iter().map(|name| async move { (name, host.lost_for_good(name).await) }).collect();
    while let Some((name, failure)) = lost.next().await {
        report(json, name, &failure)?;
    }
    std::future::pending().await
}

pub(super) fn report(json: bool, plugin: &str, failure: &Failure) -> Result<(), Failure> {
    if json {
        return print(line(&json!({ "event": "failed", "plugin": plugin, "error": failure.text() }).to_string()));
    }
    // The other plugins run also if nothing reads the errors.
    let _ = writeln!(std::io::stderr(), "{}: {}", line(plugin), lines(&failure.text()));
    Ok(())
}
