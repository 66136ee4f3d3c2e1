//! The queue in front of a link. Any thread may push; the task that owns the link pops. Also carries the request to
//! stop that task.

use std::collections::VecDeque;
use std::task::{Context, Poll, RawWakerVTable, Waker};

use tokio::sync::Notify;

use super::QueueLimits;
use crate::connector::LinkEnd;
use crate::sync::{AtomicBool, AtomicPtr, AtomicU64, Mutex, Ordering, lock};

/// An item that can wait for a link.
pub(crate) trait Queued {
    /// The known size in bytes.
    fn weight(&self) -> usize;
    /// Whether the item survives the loss of the link: notifications do, calls and responses do not.
    fn survives_loss(&self) -> bool;
}

#[derive(Debug)]
pub(crate) struct Outbox<C> {
    limits: QueueLimits,
    state: Mutex<State<C>>,
    // PERF: docs/performance.md, "Codecs and queues": reads without the lock, -2 % instructions of a call.
    /// Total number of items ever queued, and of items popped or dropped. Both are positions in the queue's history.
    /// These three are written under the lock and read without it.
    queued: AtomicU64,
    gone: AtomicU64,
    overflowed: AtomicBool,
    stop: AtomicBool,
    // PERF: docs/performance.md, "atomic operations" (with `was_full`) and "Codecs and queues": -2 % instructions.
    /// Identifies the waker in `state`, so that the owner need not register it again. Written under the lock.
    owner: (AtomicPtr<()>, AtomicPtr<RawWakerVTable>),
    capacity_freed: Notify,
}

#[derive(Debug)]
struct State<C> {
    queue: VecDeque<C>,
    bytes: usize,
    /// How the last link ended; set while there is no link.
    down: Option<LinkEnd>,
    /// Kept when woken, so that the owner need not register again each time the queue is empty.
    owner: Option<Waker>,
    /// A producer has found the queue full and may be waiting for capacity.
    was_full: bool,
}

fn count(counter: &AtomicU64, more: usize) {
    counter.store(counter.load(Ordering::Relaxed) + more as u64, Ordering::Release);
}

impl<C: Queued> Outbox<C> {
    pub(crate) fn new(limits: QueueLimits, down: Option<LinkEnd>) -> Self {
        let queue = VecDeque::new();
        let state = State { queue, bytes: 0, down, owner: None, was_full: false };
        Outbox {
            limits,
            state: Mutex::new(state),
            queued: AtomicU64::new(0),
            gone: AtomicU64::new(0),
            overflowed: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            owner: Default::default(),
            capacity_freed: Notify::new(),
        }
    }

    /// Queues without waiting. Beyond the hard limit the link is marked as too slow.
    ///
    /// While the link is down, items that survive a loss are kept up to the limit, the newest first. Returns the items
    /// dropped to make room.
    pub(crate) fn push(&self, item: C) -> Result<Vec<C>, LinkEnd> {
        let mut oldest = Vec::new();
        let mut state = lock(&self.state);
        if let Some(end) = &state.down {
            if !item.survives_loss() {
                return Err(end.clone());
            }
            while state.queue.len() >= self.limits.capacity
                || state.bytes.saturating_add(item.weight()) > self.limits.max_bytes
            {
                let Some(dropped) = state.queue.pop_front() else { break };
                state.bytes -= dropped.weight();
                count(&self.gone, 1);
                oldest.push(dropped);
            }
        }
        let bytes = state.bytes.saturating_add(item.weight());
        if !self.limits.admits(state.queue.len(), bytes) {
            // Rejected. The owner closes the link, which ends everything queued.
            self.overflowed.store(true, Ordering::Release);
            drop(state);
            self.wake_owner();
            return Err(LinkEnd::TooSlow(self.limits.stall_timeout));
        }
        state.bytes = bytes;
        state.queue.push_back(item);
        count(&self.queued, 1);
        let waiting = state.queue.len();
        // The owner continues until the queue is empty or the link is not ready; in the latter case it must know when
        // the queue becomes full.
        let wake = waiting == 1 || waiting == self.limits.capacity;
        let owner = if wake { state.owner.clone() } else { None };
        drop(state);
        owner.into_iter().for_each(Waker::wake);
        Ok(oldest)
    }

    /// Waits until the queue is not full. Cancel safe.
    pub(crate) async fn wait_for_capacity(&self) {
        loop {
            let capacity_freed = self.capacity_freed.notified();
            if !self.is_full() {
                return;
            }
            capacity_freed.await;
        }
    }

    fn is_full(&self) -> bool {
        let mut state = lock(&self.state);
        let full = self.limits.is_full(state.queue.len(), state.bytes);
        state.was_full |= full;
        full && state.down.is_none()
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
        let item = state.queue.pop_front()?;
        state.bytes -= item.weight();
        count(&self.gone, 1);
        // Wakes producers only when the queue is half empty, not for each freed place.
        let has_capacity = state.queue.is_empty() || state.queue.len() == self.limits.capacity / 2;
        if has_capacity && std::mem::take(&mut state.was_full) {
            drop(state);
            self.capacity_freed.notify_waiters();
        }
        Some(item)
    }

    /// The position behind everything queued now.
    pub(crate) fn mark(&self) -> u64 {
        self.queued.load(Ordering::Acquire)
    }

    /// Whether everything queued before that position is gone.
    pub(crate) fn has_passed(&self, mark: u64) -> bool {
        self.gone.load(Ordering::Acquire) >= mark
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
        // Every item gone was queued before: read in this order, the difference is never negative.
        let gone = self.gone.load(Ordering::Acquire);
        (self.queued.load(Ordering::Acquire) - gone) as usize
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
        let before = state.queue.len();
        let (kept, mut lost): (Vec<C>, Vec<C>) = state.queue.drain(..).partition(Queued::survives_loss);
        state.queue = kept.into();
        let surplus = state.queue.len().saturating_sub(self.limits.capacity);
        lost.extend(state.queue.drain(..surplus));
        count(&self.gone, before - state.queue.len());
        state.bytes = state.queue.iter().map(Queued::weight).sum();
        drop(state);
        self.capacity_freed.notify_waiters();
        lost
    }

    /// Starts afresh: withdraws a stop request, and drops everything queued.
    pub(crate) fn clear(&self) {
        self.stop.store(false, Ordering::Release);
        let mut state = lock(&self.state);
        let dropped = std::mem::take(&mut state.queue);
        state.bytes = 0;
        count(&self.gone, dropped.len());
        drop(state);
        drop(dropped);
    }

    /// How the last link ended, while there is no link.
    pub(crate) fn down(&self) -> Option<LinkEnd> {
        lock(&self.state).down.clone()
    }

    pub(crate) fn limits(&self) -> &QueueLimits {
        &self.limits
    }
}

#[cfg(all(test, not(loom_tests)))]
mod tests {
    use std::future::poll_fn;
    use std::pin::pin;
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;
    use std::task::Wake;
    use std::thread;
    use std::time::Duration;

    use super::*;
    use crate::runtime::timeout;

    struct Item(#[expect(dead_code)] usize);

    impl Queued for Item {
        fn weight(&self) -> usize {
            1
        }

        fn survives_loss(&self) -> bool {
            false
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
        Outbox::new(QueueLimits::default().capacity(messages), None)
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
