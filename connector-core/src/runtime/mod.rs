//! A clock and tasks that work wherever an engine or a plugin runs: tokio's, or those of a browser's page.
//!
//! A plugin that waits with these functions instead of tokio's can also run in a page, where tokio has neither a clock nor
//! tasks. Natively they must be called within a tokio runtime with its time enabled.
//!
//! ```
//! use std::time::Duration;
//!
//! use connector_core::Plugin;
//! use connector_core::runtime::sleep;
//!
//! let plugin = Plugin::new("clock").method("wait", |ms: u64| async move { sleep(Duration::from_millis(ms)).await });
//! ```
//!
//! # In a browser
//! A page or a worker has one thread. A task lets the page's own events have their turn after every 64 polls. A page in
//! the background runs its timers about once per second, and after five minutes once per minute.
//!
//! A panic ends the whole program there, because WebAssembly programs are built without unwinding: an engine sees the
//! frame's or worker's link end. A plugin that may panic belongs in its own worker.

// The crate's only access to the async runtime; `clippy.toml` forbids direct use of tokio elsewhere.
#![allow(clippy::disallowed_methods)]

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

#[cfg_attr(all(target_family = "wasm", target_os = "unknown"), path = "browser.rs")]
#[cfg_attr(not(all(target_family = "wasm", target_os = "unknown")), path = "native.rs")]
mod platform;

pub use self::platform::{Instant, Sleep, Task, spawn};
pub(crate) use self::platform::{give_way, has_budget, spawn_until};

/// A boxed future that can be stored with others.
pub(crate) type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A sleep that can be stored and reset.
pub type Timer = Pin<Box<Sleep>>;

/// The current time of a monotonic clock.
pub fn now() -> Instant {
    Instant::now()
}

/// Waits for this long. Cancel safe.
pub fn sleep(length: Duration) -> Timer {
    Box::pin(platform::sleep(length))
}

/// The future's output, or `None` once `limit` has passed. The timer is only created when the future does not complete
/// at once.
///
/// The caller pins `work`: passing the future by value would store it twice and move it. Cancel safe if `work` is.
// PERF: docs/performance.md, "14 allocations per routed call": no duplicate storage, 2,071 → 1,014 bytes with others.
pub async fn timeout<T>(limit: Duration, work: impl Future<Output = T> + Unpin) -> Option<T> {
    before(|| Some(platform::sleep(limit)), work).await
}

/// Like [`timeout`], with the moment when the time is over; without one it never is.
pub(crate) async fn timeout_at<T>(end: Option<Instant>, work: impl Future<Output = T> + Unpin) -> Option<T> {
    before(|| end.map(platform::sleep_until), work).await
}

async fn before<T>(make_timer: impl Fn() -> Option<Sleep>, mut work: impl Future<Output = T> + Unpin) -> Option<T> {
    let mut timer = pin!(None);
    poll_fn(|cx| {
        if let Poll::Ready(done) = Pin::new(&mut work).poll(cx) {
            return Poll::Ready(Some(done));
        }
        if timer.is_none() {
            timer.set(make_timer());
        }
        match timer.as_mut().as_pin_mut() {
            Some(timer) => timer.poll(cx).map(|()| None),
            None => Poll::Pending,
        }
    })
    .await
}
