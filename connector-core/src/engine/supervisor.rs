//! The task that keeps a plugin's link up while the plugin is active.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Arc, Weak};
use std::task::Poll;
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tracing::Instrument;

use super::EngineState;
use super::endpoint::EngineEndpoint;
use super::entry::{Entry, Status};
use super::link_state::{Activated, ConnectionEvent, Next};
use super::options::PluginOptions;
use super::remote::RemotePlugin;
use crate::connector::{ConnectError, Link, LinkEnd};
use crate::error::ActivateError;
use crate::excerpt::Excerpt;
use crate::guard;
use crate::link::drive;
use crate::reconnect_delays::ReconnectDelays;
use crate::runtime;
use crate::sync::lock;

/// Starts a plugin's link and waits for its handshake. Returns whether the handshake listed the plugin's methods.
///
/// # Errors
/// The connection is rejected, or the handshake does not complete within the activation's time limit. In both cases the
/// supervisor has ended.
pub(super) async fn start(
    engine: Weak<EngineState>,
    entry: &Arc<Entry>,
    remote: &Arc<RemotePlugin>,
) -> Result<bool, ActivateError> {
    stopped(remote).await;
    let (waiter, mut activated) = oneshot::channel();
    remote.transition(ConnectionEvent::Activate(waiter), Vec::new());
    run(engine, entry, remote);
    // If this future is dropped, so is the activation, and the supervisor is aborted.
    let mut on_drop = AbortUnlessKept(Some(remote));
    let limit = entry.options.activation_timeout;
    let outcome = match runtime::timeout(limit, &mut activated).await {
        Some(outcome) => outcome,
        None => {
            remote.transition(ConnectionEvent::TimedOut, Vec::new());
            activated.await
        }
    };
    match outcome.unwrap_or(Activated::Gone) {
        Activated::Connected { listed } => {
            on_drop.0 = None;
            Ok(listed)
        }
        Activated::Failed(last) => Err(failure(&remote.name, remote.redacted_url.clone(), limit, last)),
        Activated::Gone => Err(ActivateError::EngineGone),
    }
}

/// Starts a replica's link, whose previous supervisor has ended, without waiting for it.
pub(super) fn join(engine: Weak<EngineState>, replica: &Arc<Entry>) {
    if let Some(remote) = replica.remote() {
        replica.set_status(Status::Active);
        remote.transition(ConnectionEvent::Join, Vec::new());
        run(engine, replica, remote);
    }
}

fn run(engine: Weak<EngineState>, entry: &Arc<Entry>, remote: &Arc<RemotePlugin>) {
    // PERF: docs/performance.md, "a span entered at each poll": at `debug`, a call on one thread 2.52 → 2.39 µs. Traces
    // above `debug` therefore name the plugin themselves.
    let span =
        tracing::debug_span!("link", plugin = &*entry.name, replica = remote.replica(), url = remote.redacted_url);
    let supervisor = Supervisor { engine, entry: Arc::clone(entry), remote: Arc::clone(remote) };
    let (running, ended) = watch::channel(());
    let work = async move {
        let _running = running;
        supervisor.run().await;
    };
    *lock(&remote.supervisor) = Some((Some(runtime::spawn(work.instrument(span))), ended));
}

/// Why an activation has failed, by how the `last` attempt to make a link ended.
pub(super) fn failure(name: &str, url: String, within: Duration, last: Option<LinkEnd>) -> ActivateError {
    let name = name.to_owned();
    match last {
        Some(LinkEnd::BadHandshake(error)) => ActivateError::Handshake { name, error },
        None | Some(LinkEnd::NoHandshake(_)) => ActivateError::NoHandshake { name, url, within },
        Some(LinkEnd::Unreachable(error)) => ActivateError::Connect { name, url, error },
        Some(end) => ActivateError::Link { name, url, end },
    }
}

struct AbortUnlessKept<'a>(Option<&'a Arc<RemotePlugin>>);

impl Drop for AbortUnlessKept<'_> {
    fn drop(&mut self) {
        if let Some(remote) = self.0 {
            remote.abort();
        }
    }
}

/// Waits until a stopped supervisor has closed its link, which the transport bounds.
pub(super) async fn stopped(remote: &RemotePlugin) {
    // The task stays in place: others may wait as well, and if this wait is dropped the task still closes its link.
    let ended = lock(&remote.supervisor).as_ref().map(|(_, ended)| ended.clone());
    if let Some(mut ended) = ended {
        // Always an error: the sender is dropped with the task.
        let _ = ended.changed().await;
    }
}

struct Supervisor {
    engine: Weak<EngineState>,
    entry: Arc<Entry>,
    remote: Arc<RemotePlugin>,
}

/// Ends the waiting activation and calls on every exit, which includes an abort.
impl Drop for Supervisor {
    fn drop(&mut self) {
        if self.remote.transition(ConnectionEvent::Ended, Vec::new()) == Next::Deactivate
            && self.remote.membership.is_none()
            && let Some(engine) = self.engine.upgrade()
        {
            engine.link_task_ended(&self.entry);
        }
    }
}

impl Supervisor {
    async fn run(self) {
        let mut delays = delays(&self.entry.options);
        let mut connector = self.remote.connector.lock().await;
        guard::call(&self.entry.traces, &self.entry.name, "the connector's `activated`", || connector.activated());
        drop(connector);
        loop {
            let began = runtime::now();
            let (end, calls) = match self.unless_stopped(self.dial()).await {
                None => break,
                Some(Err(error)) => (error.into(), Vec::new()),
                Some(Ok(mut link)) => {
                    let (engine, entry, remote) = (self.engine.clone(), &self.entry, &self.remote);
                    let mut endpoint = EngineEndpoint::open(engine, Arc::clone(entry), Arc::clone(remote));
                    // This also runs the host's code: its rules, and the `Serialize` of its values.
                    let end =
                        guard::run(&entry.traces, &entry.name, "the link's task", drive(&mut *link, &mut endpoint))
                            .await;
                    (end.unwrap_or_else(|| LinkEnd::lost("its task panicked")), endpoint.exchange.session.end())
                }
            };
            let next = self.remote.transition(ConnectionEvent::Failed(end.clone()), calls);
            self.report(next, &end);
            match next {
                // A peer that ends each link right after its handshake must not be dialled without a pause.
                Next::AnnounceDown { retry: true } if began.elapsed() >= self.entry.options.reconnect_max_delay => {
                    delays = self::delays(&self.entry.options);
                }
                Next::AnnounceDown { retry: true } | Next::TraceFailure { retry: true, .. } => {}
                _ => break,
            }
            if self.unless_stopped(runtime::sleep(delays.next_delay())).await.is_none() {
                break;
            }
        }
    }

    /// Reports a failed attempt or an ended link.
    fn report(&self, next: Next, end: &LinkEnd) {
        let (plugin, replica, url) = (&*self.entry.name, self.remote.replica(), &self.remote.redacted_url);
        if let (Next::TraceFailure { activating: true, .. }, Some(membership)) = (next, &self.remote.membership) {
            membership.attempt_failed(url, end);
        }
        if let Next::AnnounceDown { .. } | Next::AnnounceLeft = next
            && let Some(engine) = self.engine.upgrade()
        {
            engine.announce_link_down(&self.entry, end.to_string());
        }
        // At most once per reconnect delay.
        let end = Excerpt::new(end);
        match next {
            Next::AnnounceDown { .. } => {
                if let Some(left_out) = self.remote.link_traces.pass() {
                    tracing::warn!(plugin, replica, url, %end, left_out, "the link is down");
                }
            }
            Next::TraceFailure { tries, activating: true, .. } => {
                tracing::debug!(plugin, replica, %end, tries, "not connected yet");
            }
            Next::TraceFailure { tries, retry: true, .. } => {
                tracing::debug!(plugin, replica, url, %end, tries, "the link is still down");
            }
            Next::TraceFailure { tries, .. } => {
                tracing::warn!(plugin, replica, url, %end, tries, "the link stays down until the plugin is deactivated and activated again");
            }
            _ => tracing::debug!("the link is closed"),
        }
    }

    async fn dial(&self) -> Result<Box<dyn Link>, ConnectError> {
        let mut connector = self.remote.connector.lock().await;
        tracing::debug!("connecting");
        // Backstop for a transport that does not bound its own connection attempts.
        let limit = self.entry.options.activation_timeout;
        let (traces, plugin) = (&self.entry.traces, &self.entry.name);
        let dial = pin!(guard::run(traces, plugin, "the connector", connector.connect(&self.remote.url)));
        match runtime::timeout(limit, dial).await {
            Some(Some(dialled)) => dialled,
            Some(None) => Err(ConnectError::failed("the connector panicked")),
            None => Err(ConnectError::TimedOut(limit)),
        }
    }

    /// The future's output, or `None` once a stop is requested.
    async fn unless_stopped<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut work = pin!(work);
        poll_fn(|cx| {
            self.remote.outbox.watch(cx);
            if self.remote.outbox.is_stopped() {
                return Poll::Ready(None);
            }
            work.as_mut().poll(cx).map(Some)
        })
        .await
    }
}

/// The first handshake over a link is complete. `methods` are those that the plugin lists.
pub(super) fn link_up(engine: &EngineState, entry: &Arc<Entry>, remote: &RemotePlugin, methods: Option<Vec<String>>) {
    tracing::debug!(methods = methods.as_ref().map(Vec::len), "the link is up");
    let listed = methods.is_some();
    // Set before the link is reported as up, because calls may arrive from then on.
    let changed = methods.is_some_and(|methods| entry.set_methods(methods));
    // The link of a replica with which its plugin becomes active is not announced separately.
    let activates = entry.membership().is_some() && entry.plugin().status() == Status::Activating;
    if activates && listed {
        engine.profile_updated(entry);
    }
    if remote.transition(ConnectionEvent::Loaded { listed }, Vec::new()) != Next::AnnounceUp || activates {
        return;
    }
    // Each of many replicas lists the same.
    if changed || listed && entry.membership().is_none() {
        engine.profile_updated(entry);
    }
    if let Some(left_out) = remote.link_traces.pass() {
        tracing::info!(plugin = &*entry.name, replica = remote.replica(), left_out, "the link is up again");
    }
    engine.announce_link_up(entry);
}

fn delays(options: &PluginOptions) -> ReconnectDelays {
    ReconnectDelays::new(options.reconnect_min_delay, options.reconnect_max_delay)
}
