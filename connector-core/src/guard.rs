//! Foreign code, such as hooks, rules and factories, that must not harm the code that runs it.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};

use futures_util::FutureExt;

/// Runs `code`; `None` if it panics, which is traced with the plugin that is concerned and what `code` is.
pub(crate) fn call<T>(plugin: &str, what: &str, code: impl FnOnce() -> T) -> Option<T> {
    let outcome = catch_unwind(AssertUnwindSafe(code));
    outcome.map_err(|panic| tracing::error!(plugin, panic = panic_text(&*panic), "{what} panicked")).ok()
}

/// As [`call`], for a future.
pub(crate) async fn run<T>(plugin: &str, what: &str, work: impl Future<Output = T>) -> Option<T> {
    catch(plugin, what, work).await.ok()
}

/// As [`run`], with the panic's text.
pub(crate) async fn catch<T>(plugin: &str, what: &str, work: impl Future<Output = T>) -> Result<T, String> {
    AssertUnwindSafe(work).catch_unwind().await.map_err(|panic| {
        let text = panic_text(&*panic).to_owned();
        tracing::error!(plugin, panic = text, "{what} panicked");
        text
    })
}

/// The text that a panic carries.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}
