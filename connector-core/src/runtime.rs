//! The one seam to the runtime: everything in this crate that needs a clock or a task goes through here.
//!
//! Today it is tokio's runtime. A browser has neither its clock nor its tasks, so a port to
//! `wasm32-unknown-unknown` replaces these functions and nothing else (`clippy.toml` forbids the rest).
#![allow(clippy::disallowed_methods)]

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

pub(crate) use tokio::time::Instant;

/// A future of its own on the heap, to be kept among others.
pub(crate) type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

pub(crate) type Timer = Pin<Box<tokio::time::Sleep>>;

/// A task that ends when this handle is dropped.
#[derive(Debug)]
pub(crate) struct Task(tokio::task::JoinHandle<()>);

impl Task {
    /// Waits for the task's own end.
    pub(crate) async fn ended(&mut self) {
        // The only errors are a panic, which the runtime has reported, and an abort: either way it has ended.
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

/// Runs `task` until it ends or `until` is cancelled: as far as it gets at once, and the rest in a task of the runtime's.
/// Where there is no runtime, or none any more, it is dropped.
pub(crate) fn spawn_until(until: &CancellationToken, task: impl Future<Output = ()> + Send + 'static) {
    let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
    let mut task = Box::pin(until.clone().run_until_cancelled_owned(task));
    if task.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending() {
        // The task's own first poll finds what happened since.
        runtime.spawn(task);
    }
}

pub(crate) fn sleep(length: Duration) -> Timer {
    Box::pin(tokio::time::sleep(length))
}

/// Wakes the task again after others that are ready in its thread, also the future that the runtime itself was given.
pub(crate) fn give_way(cx: &mut Context<'_>) {
    // Its first poll sees to that. Waking the task itself would leave the runtime's own future waiting for long.
    let _ = pin!(tokio::task::yield_now()).poll(cx);
}

/// The future's output, or `None` once `limit` has passed. The timer is only set when the future does not end at once.
///
/// `work` is pinned by the caller: a future that is handed on is kept twice, and moved.
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
