//! Calls through a plugin's handle, and their results.

use std::pin::pin;
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::{Location, PluginClient};
use crate::error::{CallError, WrongResult};
use crate::plugin::IntoArgs;
use crate::runtime;
use crate::wire::Payload;

impl PluginClient {
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
        let result = self.call_unread(target, method, args.into_args()).await?;
        result.read().map_err(|error| {
            let (target, method) = (target.to_owned(), method.to_owned());
            CallError::Result(Box::new(WrongResult { target, method, error }))
        })
    }

    /// Like [`call`](PluginClient::call), with a limit for the total time: activation, queueing and execution. The
    /// target's own limit still applies.
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
        let call = pin!(self.call(target, method, args));
        runtime::timeout(limit, call).await.unwrap_or_else(|| Err(CallError::deadline(target, method, limit)))
    }

    async fn call_unread(&self, target: &str, method: &str, args: Payload) -> Result<Payload, CallError> {
        match &self.0 {
            Location::Local { .. } => {
                let (engine, entry) = self.engine("call")?;
                engine.call(&entry, target, method, args).await
            }
            Location::Remote(remote) => remote.call(target, method, args).await,
        }
    }

    /// Cancels all pending calls of this plugin to `target`, or only those of one method, as in the published packages.
    /// Each ends as [`CallError::Cancelled`]. To cancel a single call, drop its future.
    ///
    /// # Errors
    /// The target is unknown or inactive, or the method is not exposed. Behind a link only the engine detects this;
    /// errors here are limited to a link that is down or has not completed its handshake.
    pub async fn cancel(&self, target: &str, method: Option<&str>) -> Result<(), CallError> {
        match &self.0 {
            Location::Local { .. } => {
                let (engine, entry) = self.engine("cancel")?;
                engine.cancel(&entry, target, method).map_err(CallError::from)
            }
            Location::Remote(remote) => remote.cancel(target, method),
        }
    }
}

/// A type that a call's result can be read as: any owned, deserializable type.
#[diagnostic::on_unimplemented(
    message = "a call's result cannot be read as `{Self}`",
    label = "the result's type is `{Self}`, which is not `serde::de::DeserializeOwned`",
    note = "name the type that the method returns, as in `client.call::<i64>(…)`; it is `()` if the method returns nothing"
)]
pub trait CallResult: DeserializeOwned + 'static {}

// Makes compiler errors mention `CallResult` instead of its supertraits.
#[diagnostic::do_not_recommend]
impl<T: DeserializeOwned + 'static> CallResult for T {}
