//! The task that keeps a service connected: it dials, registers, and reconnects after a loss.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;

use connector_core::stp::{StpConnectError, StpService, StpTimeout};
use connector_core::{Excerpt, LinkEnd, ReconnectDelays, redacted_url};
use futures_util::FutureExt;
use futures_util::future::{Either, Shared as SharedFuture, select};
use tokio::sync::oneshot;
use tokio::time::Instant;
use tracing::Instrument;

use super::connector::Shared;
use super::link::drive;
use super::service::{ConnectReply, ServiceEndpoint};
use crate::plugin::WsConnector;

/// Ready when the connection must close gracefully: on request, or because its handle is dropped.
pub(super) type Stop = SharedFuture<Pin<Box<dyn Future<Output = ()> + Send>>>;

pub(super) struct Reconnect {
    shared: Arc<Shared>,
    epoch: u64,
    service: StpService,
    timeout: StpTimeout,
    stop: Stop,
    dialer: WsConnector,
    redacted_url: String,
}

impl Reconnect {
    /// `service` already carries its unique name.
    pub(super) fn new(
        shared: Arc<Shared>,
        epoch: u64,
        service: StpService,
        timeout: StpTimeout,
        stop: oneshot::Receiver<()>,
    ) -> Reconnect {
        let stop: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(stop.map(drop));
        let dialer = WsConnector::new(shared.config.connector.clone());
        let redacted_url = redacted_url(&shared.url);
        Reconnect { shared, epoch, service, timeout, stop: stop.shared(), dialer, redacted_url }
    }

    /// Connects, reports the result, and reconnects after each loss until it is stopped.
    pub(super) async fn run(mut self, reply: ConnectReply) {
        let span = tracing::error_span!("stp", service = self.service.service_name, url = self.redacted_url);
        async move {
            let mut lost = match self.link(Some(reply)).await {
                Outcome::WasUp(end) => end,
                Outcome::NeverUp(_) | Outcome::Stopped => return,
            };
            let mut delays = self.delays();
            loop {
                tracing::warn!(lost = %Excerpt::new(&lost), "the connection is lost; reconnecting");
                self.shared.handlers.error(format!("the connection to STP was lost ({lost}); reconnecting"));
                match self.reconnect(&mut delays).await {
                    Some(end) => lost = end,
                    None => return,
                }
            }
        }
        .instrument(span)
        .await;
    }

    fn delays(&self) -> ReconnectDelays {
        let config = &self.shared.config;
        ReconnectDelays::new(config.reconnect_min_delay, config.reconnect_max_delay)
    }

    /// Reconnects until a link was up and is lost again. `None` if it is stopped. The delays grow until a link has
    /// lasted.
    async fn reconnect(&mut self, delays: &mut ReconnectDelays) -> Option<LinkEnd> {
        for attempts in 1_u64.. {
            let delay = pin!(tokio::time::sleep(delays.next_delay()));
            if let Either::Left(_) = select(self.stop.clone(), delay).await {
                return None;
            }
            let began = Instant::now();
            match self.link(None).await {
                Outcome::WasUp(end) => {
                    if began.elapsed() >= self.shared.config.reconnect_max_delay {
                        *delays = self.delays();
                    }
                    return Some(end);
                }
                Outcome::Stopped => return None,
                Outcome::NeverUp(error) => {
                    tracing::debug!(error = %Excerpt::new(&error), attempts, "reconnecting failed");
                    if attempts == 1 {
                        self.shared.handlers.error(format!("{error}; still reconnecting"));
                    }
                }
            }
        }
        None
    }

    /// Runs one link from dialling to its end.
    async fn link(&mut self, reply: Option<ConnectReply>) -> Outcome {
        let dialled = match select(self.stop.clone(), pin!(self.dialer.dial(&self.shared.url))).await {
            Either::Left(_) => return Outcome::Stopped,
            Either::Right((dialled, _)) => dialled,
        };
        let mut link = match dialled {
            Ok(link) => link,
            Err(error) => {
                let url = self.redacted_url.clone();
                return never_up(StpConnectError::Connect { url, error }, reply);
            }
        };
        let (shared, stop) = (Arc::clone(&self.shared), self.stop.clone());
        let mut endpoint = ServiceEndpoint::new(shared, self.epoch, self.service.clone(), self.timeout, stop, reply);
        let end = drive(&mut *link, &mut endpoint).await;
        drop(link);
        let stopped = endpoint.is_stopped();
        let (session_id, refusal, reply) = endpoint.end(&end);
        if let Some(id) = session_id.as_ref().filter(|id| !id.is_empty()) {
            // Reconnect to the same session, even if STP has chosen it.
            self.service.session_id = Some(id.clone());
        }
        match (session_id, refusal) {
            _ if stopped => Outcome::Stopped,
            (Some(_), _) => Outcome::WasUp(end),
            (None, Some(refusal)) => never_up(refusal, reply),
            (None, None) => never_up(StpConnectError::Link { url: self.redacted_url.clone(), end }, reply),
        }
    }
}

enum Outcome {
    WasUp(LinkEnd),
    NeverUp(StpConnectError),
    Stopped,
}

fn never_up(error: StpConnectError, reply: Option<ConnectReply>) -> Outcome {
    if let Some(reply) = reply {
        // The caller may have stopped waiting.
        let _ = reply.send(Err(error.clone()));
    }
    Outcome::NeverUp(error)
}
