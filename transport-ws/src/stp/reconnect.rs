//! The task that keeps a service connected.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use connector_core::stp::{StpConnectError, StpService, StpTimeout};
use connector_core::{LinkEnd, redacted_url};
use futures_util::FutureExt;
use futures_util::future::{Either, Shared as SharedFuture, select};
use tokio::sync::oneshot;
use tracing::Instrument;

use super::connector::Shared;
use super::link::drive;
use super::service::{ServiceSide, Tell};
use crate::plugin::WsConnector;

/// Ready once the connection is to end in order: its handle says so, or is gone.
pub(super) type Stop = SharedFuture<Pin<Box<dyn Future<Output = ()> + Send>>>;

pub(super) struct Reconnect {
    shared: Arc<Shared>,
    turn: u64,
    service: StpService,
    timeout: StpTimeout,
    stop: Stop,
    dialer: WsConnector,
    redacted_url: String,
}

impl Reconnect {
    /// `service` has its unique name already.
    pub(super) fn new(
        shared: Arc<Shared>,
        turn: u64,
        service: StpService,
        timeout: StpTimeout,
        stop: oneshot::Receiver<()>,
    ) -> Reconnect {
        let stop: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(stop.map(drop));
        let dialer = WsConnector::new(shared.config.connector.clone());
        let redacted_url = redacted_url(&shared.url);
        Reconnect { shared, turn, service, timeout, stop: stop.shared(), dialer, redacted_url }
    }

    /// Connects, tells how that went, and stays connected until it is stopped.
    pub(super) async fn run(mut self, tell: Tell) {
        let span = tracing::error_span!("stp", service = self.service.service_name, url = self.redacted_url);
        async move {
            let mut lost = match self.link(Some(tell)).await {
                Ended::WasUp(end) => end,
                Ended::NeverUp(_) | Ended::Stopped => return,
            };
            loop {
                tracing::warn!(%lost, "the connection is down and will be dialled again");
                self.shared
                    .handlers
                    .error(format!("the connection to STP was lost ({lost}) and is being dialled again"));
                match self.reconnect_delay().await {
                    Some(end) => lost = end,
                    None => return,
                }
            }
        }
        .instrument(span)
        .await;
    }

    /// Until a link was up and is lost again, or this is stopped.
    async fn reconnect_delay(&mut self) -> Option<LinkEnd> {
        let mut delays = delays(self.shared.config.reconnect_min_delay, self.shared.config.reconnect_max_delay);
        for tries in 1_u64.. {
            let delay = delays.next().unwrap_or(self.shared.config.reconnect_max_delay).mul_f64(fastrand::f64());
            if let Either::Left(_) = select(self.stop.clone(), pin!(tokio::time::sleep(delay))).await {
                return None;
            }
            match self.link(None).await {
                Ended::WasUp(end) => return Some(end),
                Ended::Stopped => return None,
                Ended::NeverUp(error) => {
                    tracing::debug!(%error, tries, "the connection is still down");
                    if tries == 1 {
                        self.shared.handlers.error(format!("{error}; dialling goes on"));
                    }
                }
            }
        }
        None
    }

    /// One link, from its dial to its end.
    async fn link(&mut self, tell: Option<Tell>) -> Ended {
        let dialled = match select(self.stop.clone(), pin!(self.dialer.dial(&self.shared.url))).await {
            Either::Left(_) => return Ended::Stopped,
            Either::Right((dialled, _)) => dialled,
        };
        let mut link = match dialled {
            Ok(link) => link,
            Err(end) => return never_up(self.cannot(end), tell),
        };
        let (shared, stop) = (Arc::clone(&self.shared), self.stop.clone());
        let mut side = ServiceSide::new(shared, self.turn, self.service.clone(), self.timeout, stop, tell);
        let end = drive(&mut *link, &mut side).await;
        drop(link);
        let stopped = side.is_stopped();
        let (session_id, refusal, tell) = side.end(&end);
        if let Some(id) = session_id.as_ref().filter(|id| !id.is_empty()) {
            // Back into the same session, also where STP has chosen it.
            self.service.session_id = Some(id.clone());
        }
        match (session_id, refusal) {
            _ if stopped => Ended::Stopped,
            (Some(_), _) => Ended::WasUp(end),
            (None, Some(refusal)) => never_up(refusal, tell),
            (None, None) => never_up(self.cannot(end), tell),
        }
    }

    fn cannot(&self, end: LinkEnd) -> StpConnectError {
        StpConnectError::Link { url: self.redacted_url.clone(), end: Arc::new(end) }
    }
}

enum Ended {
    WasUp(LinkEnd),
    NeverUp(StpConnectError),
    Stopped,
}

fn never_up(error: StpConnectError, tell: Option<Tell>) -> Ended {
    if let Some(tell) = tell {
        // If nobody waits any more, there is nobody to tell.
        let _ = tell.send(Err(error.clone()));
    }
    Ended::NeverUp(error)
}

/// Bounds of the delays, as the engine's supervisor has them: doubling, capped, without end.
fn delays(first: Duration, most: Duration) -> impl Iterator<Item = Duration> + Send {
    ExponentialBuilder::default()
        .with_min_delay(first)
        .with_max_delay(most.max(first))
        .with_factor(2.0)
        .without_max_times()
        .build()
}
