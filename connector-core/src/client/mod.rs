//! A plugin's own handle: to call others, to emit and to listen, wherever the plugin runs.

mod endpoint;
mod events;
mod remote;
mod serve;

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Weak};
use std::time::Duration;

use serde::de::DeserializeOwned;

pub use events::{Event, EventStream};
pub(crate) use remote::RemoteClient;
pub use serve::{ClientConfig, Serving, connect, serve};

use crate::engine::{Entry, Inner};
use crate::error::{CallError, Refusal, ServiceError, WrongResult};
use crate::plugin::{Callback, Instance, IntoArgs, Listener, Parameters, Service, callback};
use crate::runtime;
use crate::wire::{Action, Name, Payload};

/// A plugin's handle: calls, emits and listens in the plugin's name, by way of the engine. Cheap to clone.
///
/// A method gets it from its [`Context`](crate::Context::client), a hook as its argument;
/// [`Engine::register`](crate::Engine::register) and [`connect`] return it. It works the same in the engine's process
/// and behind a link. While the plugin is inactive, once the engine is gone or has removed the plugin, and once the
/// link has ended, its operations fail.
#[derive(Clone, Debug)]
pub struct PluginClient(Location);

#[derive(Clone, Debug)]
enum Location {
    /// Weak, since plugins may keep their own handle: it must not keep the engine alive.
    Local {
        name: Name,
        engine: Weak<Inner>,
        entry: Weak<Entry>,
    },
    Remote(Arc<RemoteClient>),
}

impl PluginClient {
    pub(crate) fn in_engine(name: Name, engine: Weak<Inner>, entry: Weak<Entry>) -> PluginClient {
        PluginClient(Location::Local { name, engine, entry })
    }

    pub(crate) fn behind(link: Arc<RemoteClient>) -> PluginClient {
        PluginClient(Location::Remote(link))
    }

    /// The plugin's name: the one it was registered with. Behind a link, the engine says that name in the handshake;
    /// before that, it is the plugin's own.
    pub fn name(&self) -> Name {
        match &self.0 {
            Location::Local { name, .. } => name.clone(),
            Location::Remote(link) => link.name(),
        }
    }

    /// Waits for the engine's handshake, before which a plugin behind a link cannot call or emit. In the engine's
    /// process it returns at once. Cancel safe.
    ///
    /// # Errors
    /// The link ended first.
    pub async fn onload(&self) -> Result<(), CallError> {
        match &self.0 {
            Location::Local { .. } => Ok(()),
            Location::Remote(link) => link.onload().await,
        }
    }

    /// Calls `method` of `target`, a plugin's name or a path `plugin.service`, and reads its result as a `T`: `()` for
    /// a method that returns nothing, [`serde::de::IgnoredAny`] for any result.
    ///
    /// If the target is inactive, the call activates it first. Then it waits its turn, since a plugin runs one call at
    /// a time by default, and may run for the target's [`queue_timeout`](crate::PluginOptions::queue_timeout) (10 s).
    /// The wait itself has no limit; [`call_within`](PluginClient::call_within) has one for all of it.
    ///
    /// A call that comes back to a plugin which is busy on its behalf does not wait for itself: the engine lets it
    /// through. It takes a call for that of the plugin whose method, hook or decision makes it, whichever handle is used.
    /// One thing it does not see: a method or hook that waits for a task which it has spawned and which calls by
    /// another plugin's handle.
    ///
    /// If this plugin is deactivated while the call waits, the call ends as [`Refusal::Deactivated`].
    ///
    /// Dropping the future cancels this one call, and the calls that it has caused in turn.
    ///
    /// ```no_run
    /// # async fn example(local: connector_core::PluginClient) -> Result<(), connector_core::CallError> {
    /// let sum: i64 = local.call("calculator.integers", "add", (1, 2)).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// How else the call ended: see [`CallError`]. If the plugin's link is down, the call fails at once.
    pub async fn call<T: CallResult>(
        &self,
        target: &str,
        method: &str,
        args: impl IntoArgs, // of values that own what they hold: `(text.to_owned(),)`, not `(&text,)`
    ) -> Result<T, CallError> {
        let result = self.call_unread(target, method, args.into_args()).await?;
        result.read().map_err(|error| {
            let (target, method) = (target.to_owned(), method.to_owned());
            CallError::Result(Box::new(WrongResult { target, method, error }))
        })
    }

    /// Like [`call`](PluginClient::call), with a time limit for everything: activation, the wait in queues, and the
    /// run. The target's own limit still holds.
    ///
    /// # Errors
    /// As [`call`](PluginClient::call), and [`CallError::TimedOut`] once `limit` has passed. The call is cancelled
    /// then.
    pub async fn call_within<T: CallResult>(
        &self,
        limit: Duration,
        target: &str,
        method: &str,
        args: impl IntoArgs, // of values that own what they hold: `(text.to_owned(),)`, not `(&text,)`
    ) -> Result<T, CallError> {
        let call = pin!(self.call(target, method, args));
        runtime::timeout(limit, call).await.unwrap_or_else(|| Err(CallError::deadline(target, method, limit)))
    }

    async fn call_unread(&self, target: &str, method: &str, args: Payload) -> Result<Payload, CallError> {
        match &self.0 {
            Location::Local { .. } => {
                let (engine, entry) = self.engine("call")?;
                engine.call(&entry, target, method, args).await
            }
            Location::Remote(link) => link.call(target, method, args).await,
        }
    }

    /// Cancels all of this plugin's calls to `target` that wait or run, or only those of one method, as in the
    /// published packages. Each ends as [`CallError::Cancelled`]. To cancel one call, drop its future.
    ///
    /// # Errors
    /// The target is unknown or inactive, or the method is not exposed. Behind a link it is the engine that finds this
    /// out, and only a link that is down, or has had no handshake yet, is an error here.
    pub async fn cancel(&self, target: &str, method: Option<&str>) -> Result<(), CallError> {
        match &self.0 {
            Location::Local { .. } => {
                let (engine, entry) = self.engine("cancel")?;
                engine.cancel(&entry, target, method).map_err(CallError::from)
            }
            Location::Remote(link) => link.cancel(target, method),
        }
    }

    /// Listens to an event of another plugin. The engine remembers the last occurrence of an event that anybody has
    /// listened to, and delivers it at once. The other plugin need not be active, or registered yet.
    ///
    /// The listener runs where the event arrives, so it must be quick and must not block. For work that takes time, use
    /// [`events`](PluginClient::events).
    ///
    /// As in the published packages, a second `on` for the same event adds a callback behind a link, and the remembered
    /// event is delivered again, to all callbacks and streams of that event: the wire does not say whom it is for. In
    /// the engine's process a second `on` changes nothing, except that the remembered event is delivered again, to the
    /// second callback.
    ///
    /// A subscription ends with [`off`](PluginClient::off), with the plugin's deactivation, and, in a plugin behind a
    /// link, with the link. When the engine has reconnected, that plugin begins with its activation hook, so subscribe
    /// there ([`Plugin::on_activation`](crate::Plugin::on_activation)) and not in a method.
    ///
    /// ```no_run
    /// # fn example(local: connector_core::PluginClient) -> Result<(), connector_core::CallError> {
    /// local.on("editor", "saved", |file: String, bytes: u64| tracing::info!(file, bytes, "saved"))?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// This plugin is not active, its link is down, an access rule does not allow it, or it has too many subscriptions
    /// ([`PluginOptions::max_subscriptions`](crate::PluginOptions::max_subscriptions)). Behind a link, what the engine does not allow
    /// is traced there and not an error here.
    pub fn on<M>(&self, emitter: &str, event: &str, listener: impl Listener<M>) -> Result<(), CallError> {
        self.listen(emitter, event, callback(listener), false)
    }

    /// Listens to one occurrence of an event: the remembered one if there is one, otherwise the next.
    ///
    /// # Errors
    /// As [`on`](PluginClient::on).
    pub fn once<M>(&self, emitter: &str, event: &str, listener: impl Listener<M>) -> Result<(), CallError> {
        self.listen(emitter, event, callback(listener), true)
    }

    fn listen(&self, emitter: &str, event: &str, callback: Callback, once: bool) -> Result<(), CallError> {
        match &self.0 {
            Location::Local { .. } => {
                let (engine, entry) = self.engine(if once { "once" } else { "on" })?;
                engine.listen(&entry, emitter, event, once, callback).map_err(CallError::from)
            }
            Location::Remote(link) => link.listen(emitter, event, once, callback).map(drop),
        }
    }

    /// A subscription that ends with [`end_subscription`](Self::end_subscription) of the id that this gives.
    fn listen_apart(&self, emitter: &str, event: &str, callback: Callback) -> Result<u64, CallError> {
        match &self.0 {
            Location::Local { .. } => {
                let (engine, entry) = self.engine("on")?;
                engine.listen_apart(&entry, emitter, event, callback).map_err(CallError::from)
            }
            Location::Remote(link) => link.listen(emitter, event, false, callback),
        }
    }

    fn end_subscription(&self, emitter: &str, event: &str, id: u64) {
        match &self.0 {
            Location::Local { .. } => {
                // Once the engine is gone there is nothing to end.
                if let Ok((engine, entry)) = self.engine("off") {
                    engine.end_subscription(&entry, emitter, event, id);
                }
            }
            Location::Remote(link) => link.off_one(emitter, event, id),
        }
    }

    /// Stops listening to an event: removes this plugin's callbacks for it and ends its streams. Does nothing if there
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
            Location::Remote(link) => link.off(emitter, event),
        }
    }

    /// Listens to an event as a stream, for work that takes time. Up to `room` events wait (at least 1); those that do
    /// not fit are dropped, counted, and reported as [`Event::Missed`]. Each stream is a subscription by itself, which
    /// ends when the stream is dropped, and otherwise as with [`on`](PluginClient::on): the stream then ends, too.
    ///
    /// `T` is a tuple with a type for each argument, or [`Rest`](crate::Rest) for any arguments, unread. An event whose
    /// arguments do not fit is an item too, [`Event::Unreadable`], and does not end the stream.
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
    /// As [`on`](PluginClient::on).
    pub fn events<T: Parameters>(&self, emitter: &str, event: &str, room: usize) -> Result<EventStream<T>, CallError> {
        EventStream::new(self.clone(), emitter, event, room)
    }

    /// Emits an event to all plugins that listen to it, without waiting for them. Behind a link this waits while the
    /// link's own queue is full.
    ///
    /// Cancel safe: if the future is dropped while it waits, the event is not emitted.
    ///
    /// # Errors
    /// The plugin is not active, or its link is down or has had no handshake yet.
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
            Location::Remote(link) => link.emit(event, args.into_args()).await,
        }
    }

    /// Closes the plugin's link gracefully, and drops the methods that run; [`finish`](PluginClient::finish) waits for
    /// those. In the engine's process it does nothing: deactivate the plugin instead.
    pub fn disconnect(&self) {
        if let Location::Remote(link) = &self.0 {
            link.disconnect();
        }
    }

    /// Closes the plugin's link gracefully once the methods that run have ended and their answers are sent, and waits
    /// for that. Calls that arrive in the meantime are refused. Methods that still run after
    /// [`ClientConfig::stop_timeout`](crate::ClientConfig#structfield.stop_timeout) are dropped, and their callers see
    /// that the link was closed. In the engine's process this does nothing: deactivate the plugin instead.
    ///
    /// In a method, hook or listener of this very link it does not wait, since the link cannot end before that code
    /// does: it returns at once, and the link closes later. So a method may `finish` and still return a result.
    ///
    /// Cancel safe: once polled, the link closes even if the future is dropped.
    pub async fn finish(&self) {
        if let Location::Remote(link) = &self.0 {
            link.finish().await;
        }
    }

    /// Adds a service to this plugin while it runs, and tells the engine. From then on its methods can be called by
    /// path. `name` may be a path below another service.
    ///
    /// If the future is dropped, the service may have been added without the engine knowing it yet.
    ///
    /// # Errors
    /// A method has that name, or the engine does not accept the new list of methods.
    pub async fn create_service(&self, name: &str, service: Service) -> Result<(), ServiceError> {
        let instance = self.instance()?;
        instance.add_service(name, &service)?;
        let update = serde_json::json!({ "name": &*self.name(), "methods": instance.exposed() });
        Ok(self.call("manager", "updateProfile", (update,)).await?)
    }

    /// Prepares a service, which [`activate_service`](PluginClient::activate_service) makes and adds later.
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

    /// Makes a prepared service and adds it. It is made once.
    ///
    /// # Errors
    /// As [`create_service`](PluginClient::create_service), or nothing was prepared under that name.
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
            Location::Remote(link) => Ok(link.instance()),
        }
    }

    fn engine(&self, operation: &'static str) -> Result<(Arc<Inner>, Arc<Entry>), CallError> {
        let Location::Local { engine, entry, .. } = &self.0 else { return Err(self.gone(operation)) };
        engine.upgrade().zip(entry.upgrade()).ok_or_else(|| self.gone(operation))
    }

    fn gone(&self, operation: &'static str) -> CallError {
        Refusal::EngineGone { name: self.name().to_string(), operation }.into()
    }
}

/// A type that a call's result can be read as: any owned type that can be deserialized.
#[diagnostic::on_unimplemented(
    message = "a call's result cannot be read as `{Self}`",
    label = "the result's type is `{Self}`, which is not `serde::de::DeserializeOwned`",
    note = "name the type that the method returns, as in `client.call::<i64>(…)`; it is `()` if the method returns nothing"
)]
pub trait CallResult: DeserializeOwned + 'static {}

// The compiler is to speak of results, not of what makes a type one.
#[diagnostic::do_not_recommend]
impl<T: DeserializeOwned + 'static> CallResult for T {}

pub(crate) fn listen_action(once: bool) -> Action {
    if once { Action::Once } else { Action::On }
}
