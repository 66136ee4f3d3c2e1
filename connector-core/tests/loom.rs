//! The outbox and the task set under the interleavings of their threads. Run by `.ci/run loom`.
#![cfg(loom_tests)]
#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    unused_imports,
    reason = "compiled with loom's types in place of std's"
)]

mod connector {
    pub(crate) use connector_core::LinkEnd;
}

#[path = "../src/memory_budget.rs"]
mod memory_budget;
#[path = "../src/link/message_queue.rs"]
mod message_queue;
#[path = "../src/link/outbox.rs"]
mod outbox;
#[path = "../src/link/task_set.rs"]
mod task_set;

mod runtime {
    pub(crate) type BoxFuture<T> = std::pin::Pin<Box<dyn Future<Output = T> + Send>>;
}

mod sync {
    pub(crate) use std::sync::PoisonError;

    pub(crate) use loom::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};
    pub(crate) use loom::sync::{Mutex, MutexGuard};

    pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
        mutex.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

mod wire {
    /// Replaces the crate's id, whose parts are private.
    #[derive(Clone, Debug, PartialEq)]
    pub(crate) struct Id(i64);

    impl Id {
        pub(crate) fn number(&self) -> Option<i64> {
            Some(self.0)
        }

        pub(crate) fn is_same(&self, other: &Id) -> bool {
            self == other
        }
    }
}

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use connector_core::QueueLimits;
use loom::future::block_on;
use loom::thread;

use self::memory_budget::Budget;
use self::message_queue::Queued;
use self::outbox::Outbox;
use self::task_set::TaskSet;

/// All interleavings with at most three preemptions: more of them take minutes.
fn model(test: impl Fn() + Send + Sync + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(test);
}

#[derive(Debug)]
struct Item(u32);

impl Queued for Item {
    fn weight(&self, _: bool) -> usize {
        1
    }

    fn emitter(&self) -> Option<&str> {
        None
    }
}

#[test]
fn an_outbox_wakes_its_owner_for_each_item_and_for_a_stop() {
    model(|| {
        let outbox = Arc::new(Outbox::new(QueueLimits::default(), None, Budget::new(1 << 20, None)));
        let pushing = Arc::clone(&outbox);
        let pusher = thread::spawn(move || {
            pushing.push(Item(1)).unwrap();
            pushing.push(Item(2)).unwrap();
            pushing.stop();
        });
        let mut popped = Vec::new();
        // Like a link's task: the queue first, then the stop.
        let stopped = poll_fn(|cx| {
            loop {
                match outbox.poll_pop(cx) {
                    Poll::Ready(Item(number)) => popped.push(number),
                    // The stop takes effect once the queue was found empty: from then on the owner is woken for it.
                    Poll::Pending if outbox.is_stopped() && outbox.backlog().0 == 0 => return Poll::Ready(()),
                    Poll::Pending if outbox.is_stopped() => {}
                    Poll::Pending => return Poll::Pending,
                }
            }
        });
        block_on(stopped);
        pusher.join().unwrap();
        assert_eq!(popped, [1, 2]);
    });
}

#[test]
fn a_task_that_another_thread_wakes_ends() {
    model(|| {
        let mut tasks = TaskSet::new();
        let done = Arc::new((loom::sync::atomic::AtomicBool::new(false), loom::future::AtomicWaker::new()));
        let waits = Arc::clone(&done);
        let work = poll_fn(move |cx| {
            waits.1.register_by_ref(cx.waker());
            match waits.0.load(loom::sync::atomic::Ordering::Acquire) {
                true => Poll::Ready(7),
                false => Poll::Pending,
            }
        });
        let waker = thread::spawn(move || {
            done.0.store(true, loom::sync::atomic::Ordering::Release);
            done.1.wake();
        });
        let completed = match tasks.start(None, (), Box::pin(work)) {
            Some(completed) => completed,
            None => block_on(poll_fn(|cx| tasks.poll_completed(cx))),
        };
        assert_eq!(completed.output, 7);
        waker.join().unwrap();
    });
}
