//! What a call knows of itself.

use std::time::Duration;

use tokio_util::sync::{CancellationToken, DropGuard};

use crate::client::PluginClient;
use crate::error::CallError;
use crate::runtime::{self, Instant};
use crate::wire::Name;

/// What a method knows of the call that it runs for: who calls, by which path, and how long is left. It also has the
/// plugin's own handle.
///
/// A method that takes a `Context` takes it first: `|ctx: Context, a: i64| async move { … }`. It belongs to that one
/// call, and can be cloned and moved into whatever works for the call.
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

    /// The plugin that calls; empty if the engine itself does.
    pub fn from(&self) -> &str {
        &self.from
    }

    /// The path called: this plugin's name, then the services', for example `remixd.cmd.git`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The method called, without its path.
    pub fn method(&self) -> &str {
        &self.method
    }

    /// The plugin's own handle: to call others, to emit, to listen.
    pub fn client(&self) -> &PluginClient {
        &self.client
    }

    /// The time left until the engine gives up this call, if the plugin is in the engine's process. Behind a link it is
    /// `None`: the engine knows the limit, and [`ended`](Context::ended) tells when it has passed.
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

    /// Asks the host ([`Policy::can_call`](crate::Policy::can_call)) whether this call's caller may call `method` of
    /// this plugin, with a message for the user. The answer is no for a method that this plugin does not have.
    ///
    /// # Errors
    /// As [`PluginClient::call`]: the host has not answered.
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

    /// What [`ended`](Context::ended) waits for, until it is dropped.
    pub(crate) fn running(&mut self) -> DropGuard {
        let ended = CancellationToken::new();
        self.ended = Some(ended.clone());
        ended.drop_guard()
    }
}
