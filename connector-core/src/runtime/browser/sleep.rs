//! Sleeps on the timers of a page or a worker.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use wasm_bindgen::closure::Closure;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::js_sys::Function;

use super::Instant;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_name = setTimeout)]
    fn set_timeout(callback: &Function, milliseconds: i32, id: f64) -> JsValue;
    #[wasm_bindgen(js_name = clearTimeout)]
    fn clear_timeout(timeout: &JsValue);
}

thread_local! {
    static TIMERS: Timers = Timers::new();
}

/// The tasks that wait for a timeout. All timeouts share one callback: a closure for each, once its timeout is cleared,
/// would be kept until JavaScript collects it.
struct Timers {
    next: Cell<u64>,
    waiting: RefCell<HashMap<u64, Waker>>,
    callback: Function,
}

impl Timers {
    fn new() -> Timers {
        let fire = Closure::<dyn Fn(f64)>::new(|id: f64| {
            let waker = TIMERS.with(|timers| timers.waiting.borrow_mut().remove(&(id as u64)));
            if let Some(waker) = waker {
                waker.wake();
            }
        });
        Timers { next: Cell::new(0), waiting: RefCell::default(), callback: fire.into_js_value().unchecked_into() }
    }
}

/// A timeout that will wake a task. Cleared when this is dropped.
struct Timeout {
    id: u64,
    handle: JsValue,
}

impl Timeout {
    fn new(length: Duration, waker: Waker) -> Timeout {
        // Rounded up: a timeout that fires early would be set again. Longer ones are set again when they fire.
        let milliseconds = length.as_micros().div_ceil(1000).try_into().unwrap_or(i32::MAX);
        TIMERS.with(|timers| {
            let id = timers.next.replace(timers.next.get() + 1);
            timers.waiting.borrow_mut().insert(id, waker);
            Timeout { id, handle: set_timeout(&timers.callback, milliseconds, id as f64) }
        })
    }

    /// Wakes this task instead. False if the timeout has fired.
    fn wakes(&self, waker: &Waker) -> bool {
        TIMERS.with(|timers| match timers.waiting.borrow_mut().get_mut(&self.id) {
            Some(waiting) => {
                waiting.clone_from(waker);
                true
            }
            None => false,
        })
    }
}

impl Drop for Timeout {
    fn drop(&mut self) {
        clear_timeout(&self.handle);
        let waker = TIMERS.with(|timers| timers.waiting.borrow_mut().remove(&self.id));
        drop(waker);
    }
}

/// A wait until an instant.
pub struct Sleep {
    /// None if it is too far away to be expressed.
    deadline: Option<Instant>,
    timeout: Option<Timeout>,
}

pub(crate) fn sleep(length: Duration) -> Sleep {
    Sleep { deadline: Instant::now().checked_add(length), timeout: None }
}

pub(crate) fn sleep_until(deadline: Instant) -> Sleep {
    Sleep { deadline: Some(deadline), timeout: None }
}

impl Sleep {
    /// Whether the deadline has passed.
    pub fn is_elapsed(&self) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= Instant::now())
    }

    /// Waits until another instant instead.
    pub fn reset(mut self: Pin<&mut Self>, deadline: Instant) {
        *self = sleep_until(deadline);
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let left = match self.deadline {
            Some(deadline) => deadline.saturating_duration_since(Instant::now()),
            None => Duration::MAX,
        };
        if left.is_zero() {
            self.timeout = None;
            return Poll::Ready(());
        }
        if !self.timeout.as_ref().is_some_and(|timeout| timeout.wakes(cx.waker())) {
            self.timeout = Some(Timeout::new(left, cx.waker().clone()));
        }
        Poll::Pending
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleep").field("deadline", &self.deadline).finish_non_exhaustive()
    }
}
