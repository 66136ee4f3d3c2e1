//! Runs foreign code, such as hooks, rules and factories, so that its panics do not affect the caller.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};

use futures_util::FutureExt;

use crate::excerpt::Excerpt;
use crate::trace_limit::TraceLimit;

/// Runs `code`. Returns `None` if it panics; the panic is traced with the plugin's name and `what` as the description
/// of `code`, within the limit of `traces`, because a peer may cause the panic again and again.
pub(crate) fn call<T>(traces: &TraceLimit, plugin: &str, what: &str, code: impl FnOnce() -> T) -> Option<T> {
    contained(code).map_err(|panic| trace(traces, plugin, what, &panic)).ok()
}

/// Runs `code`. Returns the text of its panic, which is not traced.
pub(crate) fn contained<T>(code: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(code)).map_err(|panic| panic_text(&*panic).to_owned())
}

/// Like [`call`], for a future.
pub(crate) async fn run<T>(traces: &TraceLimit, plugin: &str, what: &str, work: impl Future<Output = T>) -> Option<T> {
    catch(traces, plugin, what, work).await.ok()
}

/// Like [`run`], but returns the panic's text.
pub(crate) async fn catch<T>(
    traces: &TraceLimit,
    plugin: &str,
    what: &str,
    work: impl Future<Output = T>,
) -> Result<T, String> {
    AssertUnwindSafe(work).catch_unwind().await.map_err(|panic| {
        let text = panic_text(&*panic).to_owned();
        trace(traces, plugin, what, &text);
        text
    })
}

fn trace(traces: &TraceLimit, plugin: &str, what: &str, panic: &str) {
    if let Some(left_out) = traces.pass() {
        tracing::error!(plugin = ?Excerpt::new(plugin), left_out, panic = %Excerpt::new(panic), "{what} panicked");
    }
}

/// The text that a panic carries.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}
