//! The context of a call.

use std::time::Duration;

use tokio_util::sync::{CancellationToken, DropGuard};

use crate::client::PluginClient;
use crate::error::CallError;
use crate::runtime::{self, Instant};
use crate::wire::{Name, TraceContext};

/// The context of a method call: the caller, the path, and the time left. Also gives access to the plugin's own handle.
///
/// A method that takes a `Context` takes it first: `|ctx: Context, a: i64| async move { … }`. The context belongs to
/// that one call, and can be cloned and moved into tasks that work for the call.
///
/// ```
/// use connector_core::{CallError, Context, Plugin};
///
/// async fn greet(ctx: Context, name: String) -> Result<String, CallError> {
///     let hour: u8 = ctx.client().call("clock", "hour", ()).await?;
///     Ok(format!("{} greets {name} at {hour} o'clock", ctx.from()))
/// }
///
/// let plugin = Plugin::new("greeter").method("greet", greet);
/// ```
#[derive(Debug, Clone)]
pub struct Context {
    from: Name,
    path: Name,
    method: Name,
    client: PluginClient,
    deadline: Option<Instant>,
    ended: Option<CancellationToken>,
}

impl Context {
    pub(crate) fn new(
        from: Name,
        path: Name,
        method: Name,
        client: PluginClient,
        deadline: Option<Instant>,
    ) -> Context {
        Context { from, path, method, client, deadline, ended: None }
    }

    /// The calling plugin; empty if the engine itself calls.
    pub fn from(&self) -> &str {
        &self.from
    }

    /// The path called: this plugin's name followed by the services' names, for example `remixd.cmd.git`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The method called, without its path.
    pub fn method(&self) -> &str {
        &self.method
    }

    /// The plugin's own handle. Calls through it are made for this call: they inherit its [trace](Context::trace) and
    /// the time that its caller has left. For work that continues after this call has ended, use
    /// [`detached`](PluginClient::detached).
    pub fn client(&self) -> &PluginClient {
        &self.client
    }

    /// The trace that this call belongs to, if its caller or the engine has named one.
    pub fn trace(&self) -> Option<&TraceContext> {
        self.client.trace()
    }

    /// The time left until the engine ends this call: the smaller of its own limit and what the caller, and each caller
    /// before it, has left ([`call_within`](PluginClient::call_within)). Behind a link, `None` if no caller has set a
    /// limit: the engine's own is known only there, and [`ended`](Context::ended) completes when it has passed.
    pub fn time_left(&self) -> Option<Duration> {
        self.deadline.map(|deadline| deadline.saturating_duration_since(runtime::now()))
    }

    /// Waits until the call has ended: answered, cancelled, timed out, or its link lost. The method itself is dropped
    /// at that moment, so this is for tasks that it has spawned. Cancel safe.
    pub async fn ended(&self) {
        match &self.ended {
            Some(ended) => ended.cancelled().await,
            None => std::future::pending().await,
        }
    }

    /// Asks the host ([`Policy::can_call`](crate::Policy::can_call)) whether the caller may call `method` of this
    /// plugin, with a message for the user. Returns `false` for a method that this plugin does not have.
    ///
    /// # Errors
    /// The host did not answer: see [`PluginClient::call`].
    pub async fn ask_user_permission(&self, method: &str, message: Option<&str>) -> Result<bool, CallError> {
        if !self.client.exposes(method) {
            return Ok(false);
        }
        let args =
            (self.from.to_string(), self.client.name().to_string(), method.to_owned(), message.map(str::to_owned));
        self.client.call("manager", "canCall", args).await
    }

    pub(crate) fn method_name(&self) -> Name {
        self.method.clone()
    }

    pub(crate) fn into_client_and_method(self) -> (PluginClient, Name) {
        (self.client, self.method)
    }

    /// Creates the guard that completes [`ended`](Context::ended) when dropped.
    pub(crate) fn running(&mut self) -> DropGuard {
        let ended = CancellationToken::new();
        self.ended = Some(ended.clone());
        ended.drop_guard()
    }
}
