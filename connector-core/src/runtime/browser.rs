//! A page, frame or worker of a browser as the runtime: one thread, `setTimeout` as the clock's alarm, and tasks that run
//! between the page's own events.

#[path = "browser/sleep.rs"]
mod sleep;

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use futures_util::future::{AbortHandle, Abortable};
use tokio_util::sync::{CancellationToken, DropGuard};
use wasm_bindgen::closure::Closure;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::MessageChannel;

pub use web_time::Instant;

pub use self::sleep::Sleep;
pub(crate) use self::sleep::{sleep, sleep_until};

#[cfg(target_feature = "atomics")]
compile_error!("with the target feature `atomics`, JavaScript's objects cannot move between threads, as links do");

/// How often a task is polled before the page's events get a turn. Wake-ups are microtasks, which run before any event.
const POLLS: u32 = 64;

/// A task that is aborted when this handle is dropped.
#[derive(Debug)]
pub struct Task {
    abort: AbortHandle,
    ended: CancellationToken,
}

impl Task {
    /// Waits until the task ends on its own. Cancel safe.
    pub async fn ended(&mut self) {
        self.ended.cancelled().await;
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.abort.abort();
    }
}

/// Starts a task, which is aborted when the handle is dropped.
pub fn spawn(task: impl Future<Output = ()> + Send + 'static) -> Task {
    let (abort, registration) = AbortHandle::new_pair();
    let ended = CancellationToken::new();
    let guard = ended.clone().drop_guard();
    run(Abortable::new(task, registration), guard);
    Task { abort, ended }
}

fn run(task: impl Future + 'static, ended: DropGuard) {
    wasm_bindgen_futures::spawn_local(async move {
        paced(task).await;
        drop(ended);
    });
}

/// Runs `task` until it ends or `until` is cancelled.
pub(crate) fn spawn_until(until: &CancellationToken, task: impl Future<Output = ()> + Send + 'static) {
    let mut task = Box::pin(until.clone().run_until_cancelled_owned(task));
    if task.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending() {
        // The first poll in the spawned task picks up any wake-up since.
        wasm_bindgen_futures::spawn_local(async move {
            paced(task).await;
        });
    }
}

/// Lets the page's events have a turn after every [`POLLS`] polls.
async fn paced<F: Future>(task: F) -> F::Output {
    let mut task = pin!(task);
    let mut polls = 0;
    poll_fn(|cx| {
        if polls == POLLS {
            polls = 0;
            give_way(cx);
            return Poll::Pending;
        }
        polls += 1;
        task.as_mut().poll(cx)
    })
    .await
}

/// Wakes the current task after the page's events that are already waiting.
pub(crate) fn give_way(cx: &mut Context<'_>) {
    YIELDED.with(|yielded| yielded.push(cx.waker().clone()));
}

/// Tasks have no budget here.
pub(crate) fn has_budget() -> bool {
    true
}

thread_local! {
    static YIELDED: Yielded = Yielded::new();
}

/// Tasks that wait for the page's events to have had their turn.
struct Yielded {
    wakers: RefCell<Vec<Waker>>,
    /// A message is on its way.
    posted: Cell<bool>,
    /// Its messages are events like the page's own, and arrive without the delay of nested `setTimeout`s.
    channel: MessageChannel,
}

impl Yielded {
    fn new() -> Yielded {
        let wake = Closure::<dyn Fn()>::new(|| {
            let wakers = YIELDED.with(|yielded| {
                yielded.posted.set(false);
                yielded.wakers.take()
            });
            wakers.into_iter().for_each(Waker::wake);
        });
        let channel = MessageChannel::new().expect("every page and worker has message channels");
        channel.port1().set_onmessage(Some(wake.into_js_value().unchecked_ref()));
        Yielded { wakers: RefCell::default(), posted: Cell::new(false), channel }
    }

    fn push(&self, waker: Waker) {
        self.wakers.borrow_mut().push(waker);
        if !self.posted.replace(true) {
            // Fails only for a value that cannot be copied.
            let _ = self.channel.port2().post_message(&JsValue::UNDEFINED);
        }
    }
}
