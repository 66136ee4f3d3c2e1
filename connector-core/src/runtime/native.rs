//! tokio as the runtime.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};

use tokio_util::sync::CancellationToken;

pub use tokio::time::{Instant, Sleep};
pub(crate) use tokio::time::{sleep, sleep_until};

/// A task that is aborted when this handle is dropped.
#[derive(Debug)]
pub struct Task(tokio::task::JoinHandle<()>);

impl Task {
    /// Waits until the task ends on its own. Cancel safe.
    pub async fn ended(&mut self) {
        // The only errors are a panic, which the runtime has reported, and an abort. Either way the task has ended.
        let _ = (&mut self.0).await;
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Starts a task, which is aborted when the handle is dropped.
pub fn spawn(task: impl Future<Output = ()> + Send + 'static) -> Task {
    Task(tokio::spawn(task))
}

/// Runs `task` until it ends or `until` is cancelled. The first poll happens here; if the task is still pending, it
/// moves to a spawned task. Without a running runtime the task is dropped.
pub(crate) fn spawn_until(until: &CancellationToken, task: impl Future<Output = ()> + Send + 'static) {
    let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
    let mut task = Box::pin(until.clone().run_until_cancelled_owned(task));
    if task.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending() {
        // The first poll in the spawned task picks up any wake-up since.
        runtime.spawn(task);
    }
}

/// Reschedules the current task behind the others that are ready on its thread, including the future that `block_on`
/// runs.
pub(crate) fn give_way(cx: &mut Context<'_>) {
    // The first poll of `yield_now` does this. Waking the task directly would starve the `block_on` future.
    let _ = pin!(tokio::task::yield_now()).poll(cx);
}

/// Whether tokio's resources may still be ready in this poll of the task.
pub(crate) fn has_budget() -> bool {
    tokio::task::coop::has_budget_remaining()
}
