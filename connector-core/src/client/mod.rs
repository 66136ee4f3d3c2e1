//! The plugin's handle for calls and events, in the engine's process and behind a link.

mod calls;
mod endpoint;
mod event_stream;
mod remote;
mod serve;

use std::future::Future;
use std::sync::{Arc, Weak};

pub use calls::CallResult;
pub use event_stream::{Event, EventStream};
pub(crate) use remote::RemoteClient;
pub use serve::{ClientConfig, Serving, connect, serve};

use crate::engine::{EngineState, Entry};
use crate::error::{CallError, Refusal, ServiceError};
use crate::plugin::{Callback, Instance, IntoArgs, Listener, Parameters, Service, callback};
use crate::wire::{Action, Name};

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
pub struct PluginClient(Location);

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
        PluginClient(Location::Local { name, engine, entry })
    }

    pub(crate) fn behind(remote: Arc<RemoteClient>) -> PluginClient {
        PluginClient(Location::Remote(remote))
    }

    /// The name under which the plugin is registered. A plugin behind a link learns it in the handshake; until then
    /// this is the plugin's own name.
    pub fn name(&self) -> Name {
        match &self.0 {
            Location::Local { name, .. } => name.clone(),
            Location::Remote(remote) => remote.name(),
        }
    }

    /// Calls `trace` with the plugin's name and the number of traces left out, unless too many were caused.
    pub(crate) fn warn(&self, trace: impl FnOnce(&str, u64)) {
        let left_out = match &self.0 {
            Location::Local { entry, .. } => entry.upgrade().map_or(Some(0), |entry| entry.traces.pass()),
            Location::Remote(remote) => remote.traces.pass(),
        };
        if let Some(left_out) = left_out {
            trace(&self.name(), left_out);
        }
    }

    /// Waits for the engine's handshake, before which a plugin behind a link cannot call or emit. Returns at once in
    /// the engine's process. Cancel safe.
    ///
    /// # Errors
    /// The link ended first.
    pub async fn onload(&self) -> Result<(), CallError> {
        match &self.0 {
            Location::Local { .. } => Ok(()),
            Location::Remote(remote) => remote.onload().await,
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
        match &self.0 {
            Location::Local { .. } => {
                let (engine, entry) = self.engine(if once { "once" } else { "on" })?;
                engine.listen(&entry, emitter, event, once, callback).map_err(CallError::from)
            }
            Location::Remote(remote) => remote.listen(emitter, event, once, callback).map(drop),
        }
    }

    /// A separate subscription, ended by [`end_subscription`](Self::end_subscription) with the returned id.
    fn listen_separately(&self, emitter: &str, event: &str, callback: Callback) -> Result<u64, CallError> {
        match &self.0 {
            Location::Local { .. } => {
                let (engine, entry) = self.engine("on")?;
                engine.listen_separately(&entry, emitter, event, callback).map_err(CallError::from)
            }
            Location::Remote(remote) => remote.listen(emitter, event, false, callback),
        }
    }

    fn end_subscription(&self, emitter: &str, event: &str, id: u64) {
        match &self.0 {
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
        match &self.0 {
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

    /// Emits an event to all its subscribers, without waiting for them. Behind a link this waits while the link's own
    /// queue is full.
    ///
    /// Cancel safe: if the future is dropped while it waits, the event is not emitted.
    ///
    /// # Errors
    /// The plugin is not active, or its link is down or has not completed its handshake.
    pub async fn emit(
        &self,
        event: &str,
        args: impl IntoArgs, // of values that own what they hold: `(text.to_owned(),)`, not `(&text,)`
    ) -> Result<(), CallError> {
        match &self.0 {
            Location::Local { .. } => {
                let (engine, entry) = self.engine("emit")?;
                engine.emit(&entry, event, args.into_args()).map_err(CallError::from)
            }
            Location::Remote(remote) => remote.emit(event, args.into_args()).await,
        }
    }

    /// Closes the plugin's link gracefully, dropping running methods; [`finish`](PluginClient::finish) waits for them.
    /// Does nothing in the engine's process: deactivate the plugin instead.
    pub fn disconnect(&self) {
        if let Location::Remote(remote) = &self.0 {
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
        if let Location::Remote(remote) = &self.0 {
            remote.finish().await;
        }
    }

    /// Adds a service to this plugin while it runs, and notifies the engine. From then on its methods can be called by
    /// path. `name` may be a path below another service.
    ///
    /// If the future is dropped, the service may have been added without the engine knowing it yet.
    ///
    /// # Errors
    /// A method has that name, or the engine rejects the new list of methods.
    pub async fn create_service(&self, name: &str, service: Service) -> Result<(), ServiceError> {
        let instance = self.instance()?;
        instance.add_service(name, &service)?;
        let update = serde_json::json!({ "name": &*self.name(), "methods": instance.exposed() });
        Ok(self.call("manager", "updateProfile", (update,)).await?)
    }

    /// Registers a factory for a service, which [`activate_service`](PluginClient::activate_service) runs later.
    ///
    /// # Errors
    /// The plugin is gone.
    pub fn prepare_service<Fut>(
        &self,
        name: &str,
        factory: impl Fn() -> Fut + Send + Sync + 'static,
    ) -> Result<(), ServiceError>
    where
        Fut: Future<Output = Service> + Send + 'static,
    {
        self.instance()?.prepare(name, factory);
        Ok(())
    }

    /// Runs the factory of a prepared service and adds the service. A factory runs at most once.
    ///
    /// # Errors
    /// Like [`create_service`](PluginClient::create_service), or nothing was prepared under that name.
    pub async fn activate_service(&self, name: &str) -> Result<(), ServiceError> {
        let service = self.instance()?.make_prepared(name).await?;
        self.create_service(name, service).await
    }

    /// Whether the plugin itself exposes a method of that name.
    pub(crate) fn exposes(&self, method: &str) -> bool {
        self.instance().is_ok_and(|instance| instance.exposes(method))
    }

    fn instance(&self) -> Result<Arc<Instance>, CallError> {
        match &self.0 {
            Location::Local { .. } => {
                let (_, entry) = self.engine("createService")?;
                entry.instance().ok_or_else(|| self.gone("createService"))
            }
            Location::Remote(remote) => Ok(remote.instance()),
        }
    }

    fn engine(&self, operation: &'static str) -> Result<(Arc<EngineState>, Arc<Entry>), CallError> {
        let Location::Local { engine, entry, .. } = &self.0 else { return Err(self.gone(operation)) };
        engine.upgrade().zip(entry.upgrade()).ok_or_else(|| self.gone(operation))
    }

    fn gone(&self, operation: &'static str) -> CallError {
        Refusal::EngineGone { name: self.name().to_string(), operation }.into()
    }
}

pub(crate) fn listen_action(once: bool) -> Action {
    if once { Action::Once } else { Action::On }
}
