//! The task that keeps a plugin's link up while the plugin is active.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Arc, Mutex, Weak};
use std::task::Poll;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use tokio::sync::{oneshot, watch};
use tracing::Instrument;

use super::Inner;
use super::endpoint::EngineEndpoint;
use super::entry::Entry;
use super::options::PluginOptions;
use super::remote::{LinkState, RemotePlugin};
use crate::connector::{ConnectError, Link, LinkEnd};
use crate::error::ActivateError;
use crate::guard;
use crate::link::{Reply, drive};
use crate::runtime;
use crate::sync::lock;

/// State shared between the supervisor and an activation that waits for the first handshake.
#[derive(Default)]
struct Activation {
    /// Completed once: whether the handshake listed methods, or why it failed.
    sender: Option<oneshot::Sender<Result<bool, ActivateError>>>,
    /// How the last attempt ended.
    last: Option<LinkEnd>,
}

/// Starts a plugin's link and waits for its handshake. Returns whether the handshake listed the plugin's methods.
///
/// # Errors
/// The connection is rejected, or the handshake does not complete within the activation's time limit. In both cases the
/// supervisor has ended.
pub(super) async fn start(
    engine: Weak<Inner>,
    entry: &Arc<Entry>,
    remote: &Arc<RemotePlugin>,
) -> Result<bool, ActivateError> {
    stopped(remote).await;
    remote.forget();
    remote.outbox.unstop();
    remote.state.send_replace(LinkState::Connecting);
    let (sender, receiver) = oneshot::channel();
    let activation = Arc::new(Mutex::new(Activation { sender: Some(sender), last: None }));
    // PERF: docs/performance.md, "a span entered at each poll": at `debug`, a call on one thread 2.52 → 2.39 µs. Traces
    // above `debug` therefore name the plugin themselves.
    let span = tracing::debug_span!("link", plugin = &*entry.name, url = remote.redacted_url);
    let (entry, remote_clone) = (Arc::clone(entry), Arc::clone(remote));
    let limit = entry.options.activation_timeout;
    let activation_ = Arc::clone(&activation);
    let supervisor = Supervisor { engine, entry, remote: remote_clone, activation: activation_, gave_up: false };
    let (running, ended) = watch::channel(());
    let work = async move {
        let _running = running;
        supervisor.run().await;
    };
    *lock(&remote.supervisor) = Some((Some(runtime::spawn(work.instrument(span))), ended));
    // If this future is dropped, so is the activation, and the supervisor is aborted.
    let mut on_drop = AbortUnlessKept(Some(remote));
    let result = match runtime::timeout(limit, receiver).await {
        Some(result) => result.unwrap_or(Err(ActivateError::EngineGone)),
        None => Err(failure(remote, limit, lock(&activation).last.clone())),
    };
    if result.is_ok() {
        on_drop.0 = None;
    }
    result
}

fn failure(remote: &RemotePlugin, within: Duration, last: Option<LinkEnd>) -> ActivateError {
    let (name, url) = (remote.name.to_string(), remote.redacted_url.clone());
    match last {
        Some(LinkEnd::BadHandshake(error)) => ActivateError::Handshake { name, error },
        None | Some(LinkEnd::NoHandshake(_)) => ActivateError::NoHandshake { name, url, within },
        Some(LinkEnd::Unreachable(error)) => ActivateError::Connect { name, url, error },
        Some(end) => ActivateError::Link { name, url, end },
    }
}

/// What answered does not speak the transport's protocol, or not the plugin's.
fn breaks_protocol(end: &LinkEnd) -> bool {
    matches!(end, LinkEnd::BadFrame(_) | LinkEnd::Unreachable(ConnectError::Protocol(_)))
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
    engine: Weak<Inner>,
    entry: Arc<Entry>,
    remote: Arc<RemotePlugin>,
    activation: Arc<Mutex<Activation>>,
    /// The state explains the reason and must be kept.
    gave_up: bool,
}

/// Completes waiting activations and calls on every exit. An abort comes from another thread and may happen just before
/// the link is reported as up.
impl Drop for Supervisor {
    fn drop(&mut self) {
        if !self.gave_up {
            self.remote.state.send_replace(LinkState::Inactive);
            self.remote.set_down(&LinkEnd::Disconnected, Vec::new());
            if !self.remote.outbox.is_stopped()
                && let Some(engine) = self.engine.upgrade()
            {
                engine.link_task_ended(&self.entry);
            }
        }
        lock(&self.activation).sender = None;
    }
}

impl Supervisor {
    async fn run(mut self) {
        let mut delays = delays(&self.entry.options);
        let mut tries = 0;
        let mut connector = self.remote.connector.lock().await;
        guard::call(&self.entry.name, "the connector's `activated`", || connector.activated());
        drop(connector);
        loop {
            let (end, was_up, waiting) = match self.unless_stopped(self.dial()).await {
                None => break,
                Some(Err(error)) => (error.into(), false, Vec::new()),
                Some(Ok(mut link)) => {
                    let mut endpoint = self.endpoint();
                    // This also runs the host's code: its rules, and the `Serialize` of its values.
                    let work = drive(&mut *link, &mut endpoint, &self.entry.options.queue);
                    let end = guard::run(&self.entry.name, "the link's task", work).await;
                    let end = end.unwrap_or_else(|| LinkEnd::lost("its task panicked"));
                    (end, endpoint.is_loaded(), endpoint.end())
                }
            };
            if matches!(end, LinkEnd::Disconnected) {
                tracing::debug!("the link is closed");
                self.remote.set_down(&end, waiting);
                break;
            }
            match was_up {
                true => (delays, tries) = (self::delays(&self.entry.options), 0),
                false => tries += 1,
            }
            let given_up = matches!(end, LinkEnd::Unreachable(ConnectError::GivenUp(_)));
            if self.failed(end, tries, was_up, waiting).is_err() {
                break;
            }
            if given_up {
                self.gave_up = true;
                return;
            }
            let delay = delays.next().unwrap_or(self.entry.options.reconnect_max_delay).mul_f64(fastrand::f64());
            if self.unless_stopped(runtime::sleep(delay)).await.is_none() {
                break;
            }
        }
    }

    /// Handles a failed or ended link; `waiting` are the calls that it ends.
    ///
    /// # Errors
    /// The plugin is being activated and a retry is pointless.
    fn failed(&self, end: LinkEnd, tries: u32, was_up: bool, waiting: Vec<Reply>) -> Result<(), ()> {
        let mut activation = lock(&self.activation);
        let last = activation.last.replace(end.clone());
        if activation.sender.is_some() {
            self.remote.set_down(&end, waiting);
            tracing::debug!(plugin = &*self.entry.name, %end, tries, "not connected yet");
            let is_final = match &end {
                LinkEnd::BadHandshake(_) => true,
                LinkEnd::Unreachable(error) if !error.is_retryable() => true,
                // One frame may have been corrupted in transit, but hardly two in a row.
                end => breaks_protocol(end) && last.as_ref().is_some_and(breaks_protocol),
            };
            if is_final {
                let error = failure(&self.remote, self.entry.options.activation_timeout, Some(end));
                // An error means that the activation was abandoned.
                let _ = activation.sender.take().map(|sender| sender.send(Err(error)));
                return Err(());
            }
            return Ok(());
        }
        drop(activation);
        // Updated first: a caller whose call fails may wait for the link to be up again.
        self.remote.state.send_replace(LinkState::Down { why: end.clone(), tries });
        // From here on, calls end with the newest reason.
        self.remote.set_down(&end, waiting);
        let (plugin, url) = (&*self.entry.name, &self.remote.redacted_url);
        if !was_up {
            match &end {
                LinkEnd::Unreachable(ConnectError::GivenUp(_)) => {
                    tracing::warn!(plugin, url, %end, tries, "the link stays down until the plugin is deactivated and activated again")
                }
                _ => tracing::debug!(plugin, url, %end, tries, "the link is still down"),
            }
            return Ok(());
        }
        tracing::warn!(plugin, url, %end, "the link is down");
        if let Some(engine) = self.engine.upgrade() {
            engine.announce_link_down(&self.entry, end.to_string());
        }
        Ok(())
    }

    async fn dial(&self) -> Result<Box<dyn Link>, ConnectError> {
        let mut connector = self.remote.connector.lock().await;
        tracing::debug!("connecting");
        // Backstop for a transport that does not bound its own connection attempts.
        let limit = self.entry.options.activation_timeout;
        let dial = pin!(guard::run(&self.entry.name, "the connector", connector.connect(&self.remote.url)));
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

    fn endpoint(&self) -> EngineEndpoint<impl FnOnce(Option<Vec<String>>) + Send + use<>> {
        let (engine, entry, remote) = (self.engine.clone(), Arc::clone(&self.entry), Arc::clone(&self.remote));
        let activation = Arc::clone(&self.activation);
        let on_loaded = {
            let (engine, entry, remote) = (engine.clone(), Arc::clone(&entry), Arc::clone(&remote));
            move |methods: Option<Vec<String>>| {
                tracing::debug!(methods = methods.as_ref().map(Vec::len), "the link is up");
                let listed = methods.is_some();
                // Set before the link is reported as up, because calls may arrive from then on.
                if let Some(methods) = methods {
                    entry.set_methods(methods);
                }
                remote.outbox.set_up();
                remote.state.send_replace(LinkState::Up);
                let sender = lock(&activation).sender.take();
                match sender {
                    // Completes the activation.
                    Some(sender) => drop(sender.send(Ok(listed))),
                    None => link_recovered(&engine, &entry, listed),
                }
            }
        };
        EngineEndpoint::new(engine, entry, remote, on_loaded)
    }
}

/// A lost link is up again; `listed` if its handshake listed the plugin's methods.
fn link_recovered(engine: &Weak<Inner>, entry: &Arc<Entry>, listed: bool) {
    let Some(engine) = engine.upgrade() else { return };
    tracing::info!(plugin = &*entry.name, "the link is up again");
    if listed {
        engine.profile_updated(entry);
    }
    engine.announce_link_up(entry);
}

/// Upper bounds of the delays: doubling, capped, unlimited attempts. The caller applies full jitter, because backon's
/// jitter only adds to the delay.
fn delays(options: &PluginOptions) -> impl Iterator<Item = Duration> + Send + use<> {
    ExponentialBuilder::default()
        .with_min_delay(options.reconnect_min_delay)
        .with_max_delay(options.reconnect_max_delay.max(options.reconnect_min_delay))
        .with_factor(2.0)
        .without_max_times()
        .build()
}
