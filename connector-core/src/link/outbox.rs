//! The queue in front of a link. Any thread may push; the task that owns the link pops. Also carries the request to
//! stop that task.

use std::sync::Arc;
use std::task::{Context, Poll, RawWakerVTable, Waker};

use tokio::sync::Notify;

use super::QueueLimits;
use super::message_queue::{MessageQueue, Queued};
use crate::connector::LinkEnd;
use crate::memory_budget::Budget;
use crate::sync::{AtomicBool, AtomicPtr, AtomicU64, Mutex, Ordering, lock};

#[derive(Debug)]
pub(crate) struct Outbox<C> {
    limits: QueueLimits,
    budget: Arc<Budget>,
    state: Mutex<State<C>>,
    // PERF: docs/performance.md, "Codecs and queues": reads without the lock, -2 % instructions of a call.
    /// Total number of items ever queued, the position before which all are gone, and the number of those that wait.
    /// These four are written under the lock and read without it.
    queued: AtomicU64,
    passed: AtomicU64,
    waiting: AtomicU64,
    overflowed: AtomicBool,
    stop: AtomicBool,
    // PERF: docs/performance.md, "atomic operations" (with `was_full`) and "Codecs and queues": -2 % instructions.
    /// Identifies the waker in `state`, so that the owner need not register it again. Written under the lock.
    owner: (AtomicPtr<()>, AtomicPtr<RawWakerVTable>),
    capacity_freed: Notify,
}

#[derive(Debug)]
struct State<C> {
    queue: MessageQueue<C>,
    /// How the last link ended; set while there is no link.
    down: Option<LinkEnd>,
    /// Kept when woken, so that the owner need not register again each time the queue is empty.
    owner: Option<Waker>,
    /// A producer has found the queue full and may be waiting for capacity.
    was_full: bool,
    /// The number of items popped since.
    freed: usize,
}

impl<C: Queued> Outbox<C> {
    /// `budget` is that of the link's reader, which queued events are charged to.
    pub(crate) fn new(limits: QueueLimits, down: Option<LinkEnd>, budget: Arc<Budget>) -> Self {
        let queue = MessageQueue::new(budget.empty());
        let state = State { queue, down, owner: None, was_full: false, freed: 0 };
        Outbox {
            limits,
            budget,
            state: Mutex::new(state),
            queued: AtomicU64::new(0),
            passed: AtomicU64::new(0),
            waiting: AtomicU64::new(0),
            overflowed: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            owner: Default::default(),
            capacity_freed: Notify::new(),
        }
    }

    /// Queues without waiting. If the queue is full, drops the oldest events of the emitter that has the most, and
    /// returns them. If that is not enough, the link is marked as too slow.
    ///
    /// While the link is down, only events are kept, up to the capacity.
    pub(crate) fn push(&self, item: C) -> Result<Vec<C>, LinkEnd> {
        // Determined before locking, because a value's `Serialize` may do anything.
        let weight = item.weight(self.waiting() > 0);
        let mut state = lock(&self.state);
        let messages = match &state.down {
            Some(end) if item.emitter().is_none() => return Err(end.clone()),
            Some(_) => self.limits.capacity,
            None => self.limits.max_messages,
        };
        let dropped = match state.queue.push(item, weight, messages, self.limits.max_bytes) {
            Ok(dropped) => dropped,
            Err(rejected) => {
                // The owner closes the link, which ends everything queued.
                self.overflowed.store(true, Ordering::Release);
                drop(state);
                self.wake_owner();
                drop(rejected);
                return Err(LinkEnd::TooSlow(self.limits.stall_timeout));
            }
        };
        self.publish(&state);
        let waiting = state.queue.len();
        // The owner continues until the queue is empty or the link is not ready; in the latter case it must know when
        // the queue becomes full.
        let wake = waiting == 1 || waiting == self.limits.capacity;
        let owner = if wake { state.owner.clone() } else { None };
        drop(state);
        owner.into_iter().for_each(Waker::wake);
        Ok(dropped)
    }

    /// Updates what is read without the lock.
    fn publish(&self, state: &State<C>) {
        self.queued.store(state.queue.pushed(), Ordering::Release);
        self.passed.store(state.queue.passed(), Ordering::Release);
        self.waiting.store(state.queue.len() as u64, Ordering::Release);
    }

    /// Waits until the queue is not full. Cancel safe.
    pub(crate) async fn wait_for_capacity(&self) {
        wait_while(&self.capacity_freed, || self.is_full()).await;
    }

    fn is_full(&self) -> bool {
        let mut state = lock(&self.state);
        let full = self.limits.is_full(state.queue.len(), state.queue.bytes());
        state.was_full |= full;
        full && state.down.is_none()
    }

    /// Waits while the queue holds the capacity in events of that emitter, or a quarter of the budget in their bytes.
    /// Cancel safe.
    pub(crate) async fn wait_for_event_capacity(&self, emitter: &str) {
        wait_while(&self.capacity_freed, || self.is_full_of(emitter)).await;
    }

    fn is_full_of(&self, emitter: &str) -> bool {
        let max_bytes = (self.budget.limit() as usize / 4).min(self.limits.max_bytes / 2);
        let exceeds = |number, bytes| number >= self.limits.capacity || bytes > max_bytes;
        let mut state = lock(&self.state);
        if state.down.is_some() || !exceeds(state.queue.len(), state.queue.bytes()) {
            return false;
        }
        let (mut number, mut bytes) = (0, 0_usize);
        for item in state.queue.iter().filter(|item| item.emitter() == Some(emitter)) {
            (number, bytes) = (number + 1, bytes.saturating_add(item.weight(false)));
        }
        let full = exceeds(number, bytes);
        state.was_full |= full;
        full
    }

    /// For the owner: the next item.
    pub(crate) fn poll_pop(&self, cx: &mut Context<'_>) -> Poll<C> {
        if let Some(item) = self.pop() {
            return Poll::Ready(item);
        }
        match self.register(cx.waker()) {
            true => self.pop().map_or(Poll::Pending, Poll::Ready),
            // Later pushes wake the owner.
            false => Poll::Pending,
        }
    }

    /// For the owner: registers its waker. Returns `false` if it was already registered.
    fn register(&self, waker: &Waker) -> bool {
        let parts = |waker: &Waker| (waker.data().cast_mut(), std::ptr::from_ref(waker.vtable()).cast_mut());
        // As long as the stored waker lives, no other waker has its address.
        if parts(waker) == (self.owner.0.load(Ordering::Relaxed), self.owner.1.load(Ordering::Relaxed)) {
            return false;
        }
        // A clone may have other parts than its original.
        let kept = waker.clone();
        let (data, vtable) = parts(&kept);
        let mut state = lock(&self.state);
        let before = state.owner.replace(kept);
        self.owner.0.store(data, Ordering::Relaxed);
        self.owner.1.store(vtable, Ordering::Relaxed);
        drop(state);
        drop(before);
        true
    }

    fn wake_owner(&self) {
        let owner = lock(&self.state).owner.clone();
        owner.into_iter().for_each(Waker::wake);
    }

    fn pop(&self) -> Option<C> {
        if self.waiting() == 0 {
            return None;
        }
        let mut state = lock(&self.state);
        let item = state.queue.pop()?;
        self.publish(&state);
        if state.was_full && self.frees_capacity(&mut state) {
            (state.was_full, state.freed) = (false, 0);
            drop(state);
            self.capacity_freed.notify_waiters();
        }
        Some(item)
    }

    /// Wakes producers only when the queue is half empty, not for each freed place; but also when half of the capacity has
    /// been freed, because an emitter waits for its own events, while those of others may keep the queue full.
    fn frees_capacity(&self, state: &mut State<C>) -> bool {
        let half = self.limits.capacity / 2;
        state.freed += 1;
        state.queue.len() == 0 || state.queue.len() == half || state.freed > half
    }

    /// The position behind everything queued now.
    pub(crate) fn mark(&self) -> u64 {
        self.queued.load(Ordering::Acquire)
    }

    /// Whether everything queued before that position is gone.
    pub(crate) fn has_passed(&self, mark: u64) -> bool {
        self.passed.load(Ordering::Acquire) >= mark
    }

    /// Whether a matching item is queued.
    pub(crate) fn any(&self, is: impl Fn(&C) -> bool) -> bool {
        lock(&self.state).queue.iter().any(is)
    }

    /// Asks the owner to close its link gracefully.
    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Release);
        self.wake_owner();
    }

    /// Whether the owner was asked to stop. The owner is woken for that if it has found the queue empty or watches the
    /// backlog.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// For the owner, while it pops nothing: registers to be woken when the backlog exceeds a limit.
    pub(crate) fn watch(&self, cx: &mut Context<'_>) {
        self.register(cx.waker());
    }

    /// The number of queued items, and whether the hard limit was exceeded.
    pub(crate) fn backlog(&self) -> (usize, bool) {
        (self.waiting(), self.overflowed.load(Ordering::Acquire))
    }

    fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Acquire) as usize
    }

    /// The link is up; items queued from now on will be sent.
    pub(crate) fn set_up(&self) {
        let mut state = lock(&self.state);
        state.down = None;
        self.overflowed.store(false, Ordering::Release);
    }

    /// The link is down. Returns the items that do not survive the loss or exceed the capacity; such items are rejected
    /// from now on.
    pub(crate) fn set_down(&self, end: LinkEnd) -> Vec<C> {
        let mut state = lock(&self.state);
        state.down = Some(end);
        let lost = state.queue.keep_events(self.limits.capacity);
        self.publish(&state);
        drop(state);
        self.capacity_freed.notify_waiters();
        lost
    }

    /// Starts afresh: withdraws a stop request, and drops everything queued.
    pub(crate) fn clear(&self) {
        self.stop.store(false, Ordering::Release);
        let mut state = lock(&self.state);
        let dropped = state.queue.clear();
        self.publish(&state);
        drop(state);
        drop(dropped);
    }

    /// How the last link ended, while there is no link.
    pub(crate) fn down(&self) -> Option<LinkEnd> {
        lock(&self.state).down.clone()
    }

    /// What the peer at the other end of the link makes this end hold.
    pub(crate) fn budget(&self) -> &Arc<Budget> {
        &self.budget
    }

    pub(crate) fn limits(&self) -> &QueueLimits {
        &self.limits
    }
}

/// Waits for `freed` while `is_full` returns `true`. Cancel safe.
pub(crate) async fn wait_while(freed: &Notify, is_full: impl Fn() -> bool) {
    loop {
        let freed = freed.notified();
        if !is_full() {
            return;
        }
        freed.await;
    }
}

#[cfg(all(test, not(loom_tests)))]
mod tests {
    use std::future::poll_fn;
    use std::pin::pin;
    use std::sync::atomic::AtomicUsize;
    use std::task::Wake;
    use std::thread;
    use std::time::Duration;

    use super::*;
    use crate::runtime::timeout;

    struct Item(#[expect(dead_code)] usize);

    impl Queued for Item {
        fn weight(&self, _: bool) -> usize {
            1
        }

        fn emitter(&self) -> Option<&str> {
            None
        }
    }

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn outbox(messages: usize) -> Outbox<Item> {
        Outbox::new(QueueLimits::default().capacity(messages), None, Budget::new(1 << 20, None))
    }

    #[test]
    fn the_latest_owner_is_woken_each_time_the_queue_becomes_non_empty() {
        let (outbox, first, second) = (outbox(100), Arc::new(Woken::default()), Arc::new(Woken::default()));
        for (owner, waker) in [(&first, Arc::clone(&first).into()), (&second, Arc::clone(&second).into())] {
            for times in 1..4 {
                let mut cx = Context::from_waker(&waker);
                assert!(outbox.poll_pop(&mut cx).is_pending());
                assert!(outbox.push(Item(0)).is_ok());
                assert!(outbox.push(Item(1)).is_ok());
                assert_eq!(owner.0.load(Ordering::Relaxed), times);
                assert!(outbox.poll_pop(&mut cx).is_ready());
                assert!(outbox.poll_pop(&mut cx).is_ready());
            }
        }
        assert_eq!(first.0.load(Ordering::Relaxed), 3);
    }

    /// Every thread waits for capacity before it pushes; the owner waits for items.
    #[test]
    fn no_wake_up_is_lost() {
        const THREADS: usize = 3;
        const EACH: usize = 20_000;
        let on_one_thread = || tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let outbox = &outbox(4);
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(move || {
                    on_one_thread().block_on(async {
                        for n in 0..EACH {
                            let capacity = timeout(Duration::from_secs(10), pin!(outbox.wait_for_capacity())).await;
                            assert!(capacity.is_some(), "no capacity after {n}");
                            assert!(outbox.push(Item(n)).is_ok());
                        }
                    });
                });
            }
            on_one_thread().block_on(async {
                for had in 0..THREADS * EACH {
                    let next = timeout(Duration::from_secs(20), poll_fn(|cx| outbox.poll_pop(cx)));
                    assert!(next.await.is_some(), "nothing arrived after {had}");
                }
            });
        });
    }
}
