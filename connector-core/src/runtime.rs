//! The crate's only access to the async runtime: everything that needs a clock or a task goes through here.
//!
//! Today the runtime is tokio. A browser has neither tokio's clock nor its tasks, so a port to `wasm32-unknown-unknown`
//! replaces only these functions (`clippy.toml` forbids direct use of tokio elsewhere).
#![allow(clippy::disallowed_methods)]

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

pub(crate) use tokio::time::Instant;

/// A boxed future that can be stored with others.
pub(crate) type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

pub(crate) type Timer = Pin<Box<tokio::time::Sleep>>;

/// A task that is aborted when this handle is dropped.
#[derive(Debug)]
pub(crate) struct Task(tokio::task::JoinHandle<()>);

impl Task {
    /// Waits until the task ends on its own.
    pub(crate) async fn ended(&mut self) {
        // The only errors are a panic, which the runtime has reported, and an abort. Either way the task has ended.
        let _ = (&mut self.0).await;
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

pub(crate) fn now() -> Instant {
    Instant::now()
}

pub(crate) fn spawn(task: impl Future<Output = ()> + Send + 'static) -> Task {
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

pub(crate) fn sleep(length: Duration) -> Timer {
    Box::pin(tokio::time::sleep(length))
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

/// The future's output, or `None` once `limit` has passed. The timer is only created when the future does not complete
/// at once.
///
/// The caller pins `work`: passing the future by value would store it twice and move it.
// PERF: docs/performance.md, "14 allocations per routed call": no duplicate storage, 2,071 → 1,014 bytes with others.
pub(crate) async fn timeout<T>(limit: Duration, mut work: impl Future<Output = T> + Unpin) -> Option<T> {
    let mut timer = pin!(None);
    poll_fn(|cx| {
        if let Poll::Ready(done) = Pin::new(&mut work).poll(cx) {
            return Poll::Ready(Some(done));
        }
        if timer.is_none() {
            timer.set(Some(tokio::time::sleep(limit)));
        }
        match timer.as_mut().as_pin_mut() {
            Some(timer) => timer.poll(cx).map(|()| None),
            None => Poll::Pending,
        }
    })
    .await
}
