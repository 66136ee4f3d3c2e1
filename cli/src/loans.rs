//! Plugins that are lent to other engines: each is served at its own place.

use std::io::Write;

use connector_core::{Engine, LinkEnd, Serving};
use tokio::sync::watch;
use tokio::task::JoinSet;
use transport_ws::WsServerConfig;

use crate::failure::{Failure, lines};
use crate::nats::Nats;
use crate::settings::in_words_of_the_command;

/// A plugin to lend.
pub(crate) struct Loan {
    pub(crate) plugin: String,
    /// The name of the engine that borrows it.
    pub(crate) borrower: String,
    pub(crate) place: LoanPlace,
    /// Its place in a host file.
    pub(crate) position: String,
    /// That of the borrower's name.
    pub(crate) borrower_position: String,
}

pub(crate) enum LoanPlace {
    WebSocket { address: String, token: String },
    Nats { nats: Box<Nats>, server: String, token: Option<String> },
}

/// Plugins that are served to their borrowers. Dropping it ends that at once.
pub(crate) struct Loans {
    /// The plugin, the borrower and the URL of each.
    pub(crate) served: Vec<(String, String, String)>,
    stop: watch::Sender<()>,
    serving: JoinSet<()>,
}

impl Loans {
    /// Serves the plugins.
    ///
    /// # Errors
    /// An engine cannot have the borrower's name, or the plugin cannot be served at the place.
    pub(crate) async fn serve(engine: &Engine, loans: Vec<Loan>) -> Result<Loans, Failure> {
        let (stop, mut serving, mut served) = (watch::Sender::new(()), JoinSet::new(), Vec::new());
        for Loan { plugin, borrower, place, position, borrower_position } in loans {
            let wrong = |text: String| Failure::usage(format!("{position}: {text}"));
            let lent = engine
                .lend(&plugin, &borrower)
                .map_err(|error| Failure::usage(format!("{borrower_position}: to: {error}")))?;
            let (url, until_it_ends) = match place {
                LoanPlace::WebSocket { address, token } => {
                    let config = WsServerConfig::default().token(token);
                    let served = transport_ws::serve_with(address, move || lent.clone(), config).await;
                    served.map_err(|error| wrong(error.to_string()))?
                }
                LoanPlace::Nats { nats, server, token } => {
                    let served = nats.serve(lent, server, token.as_deref()).await;
                    served.map_err(|error| Failure::unreachable(format!("{position}: {error}")))?
                }
            };
            let mut stopped = stop.subscribe();
            // An error when the sender is dropped.
            let until_it_ends = until_it_ends.until(async move { stopped.changed().await });
            serving.spawn(report_end(plugin.clone(), borrower.clone(), until_it_ends));
            served.push((plugin, borrower, url));
        }
        Ok(Loans { served, stop, serving })
    }

    /// Stops gracefully.
    pub(crate) async fn close(self) {
        let Loans { stop, mut serving, .. } = self;
        drop(stop);
        while serving.join_next().await.is_some() {}
    }
}

async fn report_end(plugin: String, borrower: String, serving: Serving) {
    let end = serving.await;
    if !matches!(end, LinkEnd::Disconnected) {
        let text = in_words_of_the_command(&format!("{plugin} is not lent to {borrower} any more: {end}"));
        let _ = writeln!(std::io::stderr(), "{}", lines(&text));
    }
}
