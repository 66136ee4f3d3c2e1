//! `connector open`.

use std::io::{IsTerminal, Write};
use std::pin::pin;

use clap::Args;
use connector_inspect::{Capture, Inspector, ServeOptions};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use serde_json::json;
use tempfile::NamedTempFile;

use super::run::report;
use crate::failure::Failure;
use crate::host::{Host, Plugins};
use crate::interrupt::interrupted;
use crate::output::{line, print};
use crate::recording::{self, RecordTo};

/// Shows plugins in a browser: what they expose, calls by hand, events as they come, and every message.
///
/// It starts an engine with the plugins, serves a page on this machine, prints its URL, and opens a browser if it runs in a
/// terminal. A plugin that cannot be activated is shown with its error, and can be retried in the page. The URL contains a token
/// that lets its holder call the plugins. Ctrl-C or SIGTERM stops it gracefully; a second one stops it at once.
#[derive(Args)]
pub(crate) struct Open {
    /// The URL of a plugin, which gets the name `plugin`.
    url: Option<String>,
    /// The port of the page; by default a free one.
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    port: u16,
    /// Does not open a browser.
    #[arg(long)]
    no_browser: bool,
    #[command(flatten)]
    recording: RecordTo,
    #[command(flatten)]
    plugins: Plugins,
}

impl Open {
    pub(crate) async fn run(self, json: bool) -> Result<(), Failure> {
        let Open { url, port, no_browser, recording, mut plugins } = self;
        if let Some(url) = url {
            plugins.add_url(&url)?;
        }
        let no_signals = |error| Failure::usage(format!("cannot wait for Ctrl-C: {error}"));
        let mut stop = pin!(interrupted().map_err(no_signals)?);
        let host = Host::new(plugins).await?;
        let capture = Capture::new().redact(recording.redacted());
        let recorder = recording.start(&host.engine)?;
        let options = ServeOptions::default().port(port).allow_calls(true).capture(capture);
        let inspector = host.inspect(options).await?;
        let outcome = tokio::select! {
            biased;
            () = &mut stop => Ok(()),
            outcome = show(&host, &inspector, json, no_browser) => outcome,
        };
        let again = interrupted().map_err(no_signals)?;
        let close = async {
            inspector.close().await;
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

/// Ends with an error only.
async fn show(host: &Host, inspector: &Inspector, json: bool, no_browser: bool) -> Result<(), Failure> {
    let url = inspector.url();
    match json {
        true => print(line(&json!({ "event": "ready", "url": url, "plugins": host.names }).to_string()))?,
        false => print(line(url))?,
    }
    if std::io::stderr().is_terminal() {
        let _ = writeln!(std::io::stderr(), "press Ctrl-C to stop");
    }
    // Kept for the browser.
    let _page = if no_browser || json { None } else { open_browser(url) };
    let mut activations: FuturesUnordered<_> =
        host.at_start.iter().map(|name| async move { (name, inspector.activate(name).await) }).collect();
    while let Some((name, activated)) = activations.next().await {
        if let Err(error) = activated {
            report(json, name, &error.into())?;
        }
    }
    std::future::pending().await
}

/// Opens a browser if there is a user in front of it. Returns a file that leads it to the page: other users of this machine can see
/// the arguments of a browser, and the URL contains the token.
fn open_browser(url: &str) -> Option<NamedTempFile> {
    let has_display = cfg!(not(all(unix, not(target_os = "macos"))))
        || ["DISPLAY", "WAYLAND_DISPLAY"]
            .iter()
            .any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()));
    if !std::io::stdout().is_terminal() || !has_display {
        return None;
    }
    let opened = tempfile::Builder::new().prefix("inspector-").suffix(".html").tempfile().and_then(|mut file| {
        write!(file, "<!doctype html><meta charset=utf-8><meta http-equiv=refresh content=\"0;url={url}\"><a href=\"{url}\">Inspector</a>")?;
        open::that_detached(file.path())?;
        Ok(file)
    });
    opened
        .inspect_err(|error| {
            let _ = writeln!(std::io::stderr(), "no browser can be opened ({error}): open the URL in one");
        })
        .ok()
}
