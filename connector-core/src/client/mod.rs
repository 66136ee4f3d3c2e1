//! The plugin's handle for calls and events, in the engine's process and behind a link.

mod call_result;
mod emit;
mod endpoint;
mod event_buffer;
mod event_stream;
mod remote;
mod serve;
mod services;

use std::sync::{Arc, Weak};
use std::time::Duration;

pub use call_result::CallResult;
pub(crate) use event_buffer::EventBuffer;
pub use event_stream::{Event, EventStream};
pub(crate) use remote::RemoteClient;
pub use serve::{ClientConfig, Serving, connect, serve};

use crate::engine::{EngineState, Entry};
use crate::error::{CallError, Refusal, WrongResult};
use crate::plugin::{Callback, IntoArgs, Listener, Parameters, Scope, callback};
use crate::wire::{Name, Payload, PayloadError, TraceContext};

/// A plugin's handle. Makes calls, emits events and subscribes in the plugin's name, through the engine. Cheap to
/// clone.
///
/// A method gets it from its [`Context`](crate::Context::client), a hook as its argument;
/// [`Engine::register`](crate::Engine::register) and [`connect`] return it. It works the same in the engine's process
/// and behind a link. Its operations fail while the plugin is inactive, once the engine is gone or has removed the
/// plugin, and once the link has ended.
///
/// ```
/// use connector_core::{Engine, Plugin};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let engine = Engine::new();
/// engine.register(Plugin::new("clock").method("hour", || async { 12 }))?;
/// let app = engine.register(Plugin::new("app"))?;
/// engine.manager().activate("app").await?;
///
/// app.on("clock", "struck", |hour: u8| println!("{hour} o'clock"))?;
/// assert_eq!(app.call::<u8>("clock", "hour", ()).await?, 12);
/// app.emit("opened", ("a.txt",)).await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct PluginClient {
    location: Location,
    /// What its calls inherit, if it belongs to a call.
    scope: Option<Arc<Scope>>,
}

#[derive(Clone, Debug)]
enum Location {
    /// Weak, so that a plugin that stores its own handle does not keep the engine alive.
    Local {
        name: Name,
        engine: Weak<EngineState>,
        entry: Weak<Entry>,
    },
    Remote(Arc<RemoteClient>),
}

impl PluginClient {
    pub(crate) fn in_engine(name: Name, engine: Weak<EngineState>, entry: Weak<Entry>) -> PluginClient {
        PluginClient { location: Location::Local { name, engine, entry }, scope: None }
    }

    pub(crate) fn behind(remote: Arc<RemoteClient>) -> PluginClient {
        PluginClient { location: Location::Remote(remote), scope: None }
    }

    pub(crate) fn for_call(mut self, scope: Option<Arc<Scope>>) -> PluginClient {
        self.scope = scope;
        self
    }

    /// The name under which the plugin is registered. A plugin behind a link learns it in the handshake; until then
    /// this is the plugin's own name.
    pub fn name(&self) -> Name {
        match &self.location {
            Location::Local { name, .. } => name.clone(),
            Location::Remote(remote) => remote.name(),
        }
    }

    /// Calls `trace` with the plugin's name and the number of traces left out, unless too many were caused.
    pub(crate) fn warn(&self, trace: impl FnOnce(&str, u64)) {
        let left_out = match &self.location {
            Location::Local { entry, .. } => entry.upgrade().map_or(Some(0), |entry| entry.traces.pass()),
            Location::Remote(remote) => remote.traces.pass(),
        };
        if let Some(left_out) = left_out {
            trace(&self.name(), left_out);
        }
    }

    /// The trace that its calls belong to.
    pub(crate) fn trace(&self) -> Option<&TraceContext> {
        self.scope.as_ref()?.trace.as_ref()
    }

    /// The same handle, whose calls belong to this trace, in place of another that they would inherit.
    #[must_use]
    pub fn with_trace(&self, trace: TraceContext) -> PluginClient {
        let scope = Scope::with_trace(self.scope.as_ref(), trace);
        PluginClient { location: self.location.clone(), scope: Some(scope) }
    }

    /// The same handle, whose calls inherit nothing: for work that continues after the method's call has ended, and is
    /// not limited by the time that its caller had.
    #[must_use]
    pub fn detached(&self) -> PluginClient {
        PluginClient { location: self.location.clone(), scope: None }
    }

    /// Waits for the engine's handshake, before which a plugin behind a link cannot call or emit. Returns at once in
    /// the engine's process. Cancel safe.
    ///
    /// # Errors
    /// The link ended first.
    pub async fn onload(&self) -> Result<(), CallError> {
        match &self.location {
            Location::Local { .. } => Ok(()),
            Location::Remote(remote) => remote.onload().await,
        }
    }

    /// Calls `method` of `target`, a plugin's name or a path `plugin.service`, and reads its result as a `T`. Use `()`
    /// for a method that returns nothing, and [`serde::de::IgnoredAny`] to ignore the result.
    ///
    /// An inactive target is activated first. The call then waits in the target's queue, since a plugin runs one call
    /// at a time by default, and may run for the target's [`queue_timeout`](crate::PluginOptions::queue_timeout) (10
    /// s). The time in the queue is unlimited; [`call_within`](PluginClient::call_within) limits the total.
    ///
    /// Reentrant calls do not deadlock: a call to a plugin that is busy on behalf of the caller bypasses the queue. The
    /// engine attributes a call to the plugin whose method, hook or decision makes it, whichever handle is used. It
    /// cannot see one case: a method or hook that waits for a spawned task which calls through another plugin's handle.
    ///
    /// If this plugin is deactivated while the call waits, the call ends as [`Refusal::Deactivated`].
    ///
    /// Dropping the future cancels this call, and the calls that it has caused in turn.
    ///
    /// ```no_run
    /// # async fn example(local: connector_core::PluginClient) -> Result<(), connector_core::CallError> {
    /// let sum: i64 = local.call("calculator.integers", "add", (1, 2)).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// See [`CallError`] for all outcomes. If the plugin's link is down, the call fails at once.
    pub async fn call<T: CallResult>(
        &self,
        target: &str,
        method: &str,
        args: impl IntoArgs, // of values that own what they hold: `(text.to_owned(),)`, not `(&text,)`
    ) -> Result<T, CallError> {
        let result = self.call_unread(target, method, args.into_args(), self.scope.clone()).await?;
        result.read().map_err(|error| wrong_result(target, method, error))
    }

    /// Like [`call`](PluginClient::call), with a limit for the total time: activation, queueing and execution. The
    /// target's own limit still applies, and that of a call for which this one is made.
    ///
    /// The target learns the limit ([`Context::time_left`](crate::Context::time_left)), and so do the plugins that it
    /// calls through [`Context::client`](crate::Context::client), also behind links between native ends: when the time is
    /// over, all these calls end.
    ///
    /// # Errors
    /// Like [`call`](PluginClient::call), and [`CallError::TimedOut`] once `limit` has passed, which also cancels the
    /// call.
    pub async fn call_within<T: CallResult>(
        &self,
        limit: Duration,
        target: &str,
        method: &str,
        args: impl IntoArgs, // of values that own what they hold: `(text.to_owned(),)`, not `(&text,)`
    ) -> Result<T, CallError> {
        let scope = Scope::within(self.scope.as_ref(), limit);
        let result = self.call_unread(target, method, args.into_args(), Some(scope)).await?;
        result.read().map_err(|error| wrong_result(target, method, error))
    }

    async fn call_unread(
        &self,
        target: &str,
        method: &str,
        args: Payload,
        scope: Option<Arc<Scope>>,
    ) -> Result<Payload, CallError> {
        match &self.location {
            Location::Local { .. } => {
                let (engine, entry) = self.engine("call")?;
                let mut attended = engine.attend(&entry, target, method, scope, &args);
                let outcome = engine.call(&entry, target, method, args, attended.as_deref_mut()).await;
                match attended {
                    None => outcome,
                    Some(attended) => attended.end(outcome),
                }
            }
            Location::Remote(remote) => remote.call(target, method, args, scope).await,
        }
    }

    /// Cancels all pending calls of this plugin to `target`, or only those of one method, as in the published packages.
    /// Each ends as [`CallError::Cancelled`]. To cancel a single call, drop its future.
    ///
    /// # Errors
    /// The target is unknown or inactive, or the method is not exposed. Behind a link only the engine detects this;
    /// errors here are limited to a link that is down or has not completed its handshake.
    pub async fn cancel(&self, target: &str, method: Option<&str>) -> Result<(), CallError> {
        match &self.location {
            Location::Local { .. } => {
                let (engine, entry) = self.engine("cancel")?;
                engine.cancel(&entry, target, method).map_err(CallError::from)
            }
            Location::Remote(remote) => remote.cancel(target, method),
        }
    }

    /// Subscribes to an event of another plugin. The engine stores the last occurrence of each event that has had a
    /// subscriber, and delivers it at once. The other plugin need not be active or registered yet.
    ///
    /// The listener runs where the event arrives, so it must be quick and must not block. For longer work, use
    /// [`events`](PluginClient::events).
    ///
    /// As in the published packages, a second `on` for the same event adds a callback behind a link, and the stored
    /// event is delivered again to all callbacks and streams of that event, because the wire does not say which one it
    /// is for. In the engine's process, a second `on` only delivers the stored event again, to the second callback.
    ///
    /// A subscription ends with [`off`](PluginClient::off), with the plugin's deactivation, and, behind a link, with
    /// the link. After a reconnect the plugin starts again with its activation hook, so subscribe there
    /// ([`Plugin::on_activation`](crate::Plugin::on_activation)) and not in a method.
    ///
    /// ```no_run
    /// # fn example(local: connector_core::PluginClient) -> Result<(), connector_core::CallError> {
    /// local.on("editor", "saved", |file: String, bytes: u64| tracing::info!(file, bytes, "saved"))?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// This plugin is not active, its link is down, an access rule denies it, or it has too many subscriptions
    /// ([`PluginOptions::max_subscriptions`](crate::PluginOptions::max_subscriptions)). Behind a link, a refusal by the
    /// engine is traced there and is not an error here.
    pub fn on<M>(&self, emitter: &str, event: &str, listener: impl Listener<M>) -> Result<(), CallError> {
        self.listen(emitter, event, callback(listener), false)
    }

    /// Subscribes to one occurrence of an event: the stored one if there is one, otherwise the next.
    ///
    /// # Errors
    /// Like [`on`](PluginClient::on).
    pub fn once<M>(&self, emitter: &str, event: &str, listener: impl Listener<M>) -> Result<(), CallError> {
        self.listen(emitter, event, callback(listener), true)
    }

    fn listen(&self, emitter: &str, event: &str, callback: Callback, once: bool) -> Result<(), CallError> {
        match &self.location {
            Location::Local { .. } => {
                let (engine, entry) = self.engine(if once { "once" } else { "on" })?;
                engine.listen(&entry, emitter, event, once, callback).map_err(CallError::from)
            }
            Location::Remote(remote) => remote.listen(emitter, event, once, callback).map(drop),
        }
    }

    /// A separate subscription whose callback fills `buffer`, ended by [`end_subscription`](Self::end_subscription) with
    /// the returned id.
    fn listen_separately(
        &self,
        emitter: &str,
        event: &str,
        callback: Callback,
        buffer: &Arc<EventBuffer>,
    ) -> Result<u64, CallError> {
        match &self.location {
            Location::Local { .. } => {
                let (engine, entry) = self.engine("on")?;
                engine.listen_separately(&entry, emitter, event, callback, Arc::clone(buffer)).map_err(CallError::from)
            }
            Location::Remote(remote) => remote.listen(emitter, event, false, callback),
        }
    }

    fn end_subscription(&self, emitter: &str, event: &str, id: u64) {
        match &self.location {
            Location::Local { .. } => {
                // A dropped engine has already ended the subscription.
                if let Ok((engine, entry)) = self.engine("off") {
                    engine.end_subscription(&entry, emitter, event, id);
                }
            }
            Location::Remote(remote) => remote.off_one(emitter, event, id),
        }
    }

    /// Unsubscribes from an event: removes this plugin's callbacks for it and ends its streams. Does nothing if there
    /// are none.
    ///
    /// # Errors
    /// The plugin is not active, or its link is down.
    pub fn off(&self, emitter: &str, event: &str) -> Result<(), CallError> {
        match &self.location {
            Location::Local { .. } => {
                let (engine, entry) = self.engine("off")?;
                engine.unlisten(&entry, emitter, event).map_err(CallError::from)
            }
            Location::Remote(remote) => remote.off(emitter, event),
        }
    }

    /// Subscribes to an event as a stream, for work that takes time. The stream buffers up to `capacity` events (at
    /// least 1). Further events are dropped, counted, and reported as [`Event::Missed`]. Each stream is a separate
    /// subscription, which ends when the stream is dropped. If the subscription ends in another way
    /// ([`on`](PluginClient::on)), so does the stream.
    ///
    /// `T` is a tuple with a type for each argument, or [`Rest`](crate::Rest) for any arguments, unparsed. An event
    /// whose arguments do not fit is delivered as [`Event::Unreadable`] and does not end the stream.
    ///
    /// ```no_run
    /// # async fn example(local: connector_core::PluginClient) -> Result<(), connector_core::CallError> {
    /// use connector_core::Event;
    ///
    /// let mut saved = local.events::<(String, u64)>("editor", "saved", 64)?;
    /// while let Some(event) = saved.recv().await {
    ///     match event {
    ///         Event::Args((file, bytes)) => tracing::info!(file, bytes, "saved"),
    ///         Event::Unreadable(error) => tracing::warn!(%error, "the editor has changed its event"),
    ///         Event::Missed(events) => tracing::warn!(events, "too slow"),
    ///     }
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Like [`on`](PluginClient::on).
    pub fn events<T: Parameters>(
        &self,
        emitter: &str,
        event: &str,
        capacity: usize,
    ) -> Result<EventStream<T>, CallError> {
        EventStream::new(self.clone(), emitter, event, capacity)
    }

    /// Closes the plugin's link gracefully, dropping running methods; [`finish`](PluginClient::finish) waits for them.
    /// Does nothing in the engine's process: deactivate the plugin instead.
    pub fn disconnect(&self) {
        if let Location::Remote(remote) = &self.location {
            remote.disconnect();
        }
    }

    /// Closes the plugin's link gracefully once running methods have completed and their responses are sent, and waits
    /// for the link to close. Calls that arrive in the meantime are refused. Methods that still run after
    /// [`ClientConfig::stop_timeout`](crate::ClientConfig#structfield.stop_timeout) are dropped, and their callers see
    /// that the link was closed. Does nothing in the engine's process: deactivate the plugin instead.
    ///
    /// Called from a method, hook or listener of the same link, it returns at once, because the link cannot end before
    /// that code does; the link closes later. So a method may `finish` and still return a result.
    ///
    /// Cancel safe: once polled, the link closes even if the future is dropped.
    pub async fn finish(&self) {
        if let Location::Remote(remote) = &self.location {
            remote.finish().await;
        }
    }

    fn engine(&self, operation: &'static str) -> Result<(Arc<EngineState>, Arc<Entry>), CallError> {
        let Location::Local { engine, entry, .. } = &self.location else { return Err(self.gone(operation)) };
        engine.upgrade().zip(entry.upgrade()).ok_or_else(|| self.gone(operation))
    }

    fn gone(&self, operation: &'static str) -> CallError {
        Refusal::EngineGone { name: self.name().to_string(), operation }.into()
    }
}

fn wrong_result(target: &str, method: &str, error: PayloadError) -> CallError {
    let (target, method) = (target.to_owned(), method.to_owned());
    CallError::Result(Box::new(WrongResult { target, method, error }))
}
