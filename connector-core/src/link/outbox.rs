//! The queue in front of a link: pushed to from anywhere, popped by the task that owns the link; and how that task is
//! asked to stop.

use std::collections::VecDeque;
use std::task::{Context, Poll, RawWakerVTable, Waker};

use tokio::sync::Notify;

use super::QueueLimits;
use crate::connector::LinkEnd;
use crate::sync::{AtomicBool, AtomicPtr, AtomicU64, Mutex, Ordering, lock};

/// What waits for a link.
pub(crate) trait Queued {
    /// The bytes it holds, as far as they are known.
    fn weight(&self) -> usize;
    /// Whether it outlives a loss of the link: notifications do, calls and answers do not.
    fn survives_loss(&self) -> bool;
}

#[derive(Debug)]
pub(crate) struct Outbox<C> {
    limits: QueueLimits,
    state: Mutex<State<C>>,
    /// How many have ever been queued, and how many of them have been popped or dropped: places in the queue's history.
    /// These three are changed under the lock, and read without.
    queued: AtomicU64,
    gone: AtomicU64,
    overflowed: AtomicBool,
    stop: AtomicBool,
    /// Of the waker in `state`, for its owner to know it again. Changed under the lock.
    owner: (AtomicPtr<()>, AtomicPtr<RawWakerVTable>),
    room: Notify,
}

#[derive(Debug)]
struct State<C> {
    queue: VecDeque<C>,
    bytes: usize,
    /// Set while there is no link: how the last one ended.
    down: Option<LinkEnd>,
    /// Stays when it is woken: it need not come again each time it finds the queue empty.
    owner: Option<Waker>,
    /// Somebody has found the queue full, and may wait for room.
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
            room: Notify::new(),
        }
    }

    /// Queues without waiting. Past the very most that may wait, the link is marked as too slow to live.
    ///
    /// While the link is down, what survives a loss is kept up to the limit, the newest first: gives those that made room.
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
        let too_much =
            state.queue.len() >= self.limits.max_messages || (bytes > self.limits.max_bytes && !state.queue.is_empty());
        if too_much {
            // Kept out; the owner closes the link, which ends all that waited.
            self.overflowed.store(true, Ordering::Release);
            drop(state);
            self.wake_owner();
            return Err(LinkEnd::TooSlow(self.limits.stall_timeout));
        }
        state.bytes = bytes;
        state.queue.push_back(item);
        count(&self.queued, 1);
        let waiting = state.queue.len();
        // The owner goes on until the queue is empty, or the link is not ready: then it has to know when it is full.
        let tell = waiting == 1 || waiting == self.limits.capacity;
        let owner = if tell { state.owner.clone() } else { None };
        drop(state);
        owner.into_iter().for_each(Waker::wake);
        Ok(oldest)
    }

    /// Waits until the queue is not full. Cancel safe.
    pub(crate) async fn room(&self) {
        loop {
            let room = self.room.notified();
            if !self.is_full() {
                return;
            }
            room.await;
        }
    }

    fn is_full(&self) -> bool {
        let mut state = lock(&self.state);
        let full = state.queue.len() >= self.limits.capacity || state.bytes >= self.limits.max_bytes;
        state.was_full |= full;
        full && state.down.is_none()
    }

    /// The owner's: the next item.
    pub(crate) fn poll_pop(&self, cx: &mut Context<'_>) -> Poll<C> {
        if let Some(item) = self.pop() {
            return Poll::Ready(item);
        }
        match self.register(cx.waker()) {
            true => self.pop().map_or(Poll::Pending, Poll::Ready),
            // What is pushed from here on wakes it.
            false => Poll::Pending,
        }
    }

    /// The owner's: it is woken from now on. False if it was before.
    fn register(&self, waker: &Waker) -> bool {
        let parts = |waker: &Waker| (waker.data().cast_mut(), std::ptr::from_ref(waker.vtable()).cast_mut());
        // As long as the one that is kept lives, no other has its address.
        if parts(waker) == (self.owner.0.load(Ordering::Relaxed), self.owner.1.load(Ordering::Relaxed)) {
            return false;
        }
        // A clone need not have the parts of what it was cloned from.
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
        // Half empty, so that who waits is not woken for every single place.
        let roomy = state.queue.is_empty() || state.queue.len() == self.limits.capacity / 2;
        if roomy && std::mem::take(&mut state.was_full) {
            drop(state);
            self.room.notify_waiters();
        }
        Some(item)
    }

    /// The place behind all that is queued now.
    pub(crate) fn mark(&self) -> u64 {
        self.queued.load(Ordering::Acquire)
    }

    /// Whether all that was queued before that place is gone.
    pub(crate) fn has_passed(&self, mark: u64) -> bool {
        self.gone.load(Ordering::Acquire) >= mark
    }

    /// Whether such an item waits.
    pub(crate) fn any(&self, is: impl Fn(&C) -> bool) -> bool {
        lock(&self.state).queue.iter().any(is)
    }

    /// Asks the owner to close its link in order.
    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Release);
        self.wake_owner();
    }

    /// Takes that back, before a new start.
    pub(crate) fn unstop(&self) {
        self.stop.store(false, Ordering::Release);
    }

    /// Whether the owner was asked to stop. It is woken for that once it has found the queue empty, or watches.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// The owner's, while it takes nothing from the queue: it is woken when the backlog changes for the worse.
    pub(crate) fn watch(&self, cx: &mut Context<'_>) {
        self.register(cx.waker());
    }

    /// How many wait, and whether they are more than may.
    pub(crate) fn backlog(&self) -> (usize, bool) {
        (self.waiting(), self.overflowed.load(Ordering::Acquire))
    }

    fn waiting(&self) -> usize {
        // What is gone was queued before: read in this order, the difference is never negative.
        let gone = self.gone.load(Ordering::Acquire);
        (self.queued.load(Ordering::Acquire) - gone) as usize
    }

    /// The link is up: what is queued from now on will be sent.
    pub(crate) fn set_up(&self) {
        let mut state = lock(&self.state);
        state.down = None;
        self.overflowed.store(false, Ordering::Release);
    }

    /// The link is down: what does not survive is given back, with what is more than is kept, and refused from now on.
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
        self.room.notify_waiters();
        lost
    }

    /// Drops all that waits.
    pub(crate) fn clear(&self) {
        let mut state = lock(&self.state);
        let dropped = std::mem::take(&mut state.queue);
        state.bytes = 0;
        count(&self.gone, dropped.len());
        drop(state);
        drop(dropped);
    }

    /// How the link ended, while there is none.
    pub(crate) fn down(&self) -> Option<LinkEnd> {
        lock(&self.state).down.clone()
    }

    pub(crate) fn limits(&self) -> &QueueLimits {
        &self.limits
    }
}

#[cfg(all(test, not(loom)))]
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
    fn an_owner_is_woken_each_time_the_queue_is_no_longer_empty_and_the_newest_is() {
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

    /// Every thread waits for room before it pushes, and the owner for what they push.
    #[test]
    fn nobody_sleeps_through_what_it_waits_for() {
        const THREADS: usize = 3;
        const EACH: usize = 20_000;
        let on_one_thread = || tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let outbox = &outbox(4);
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(move || {
                    on_one_thread().block_on(async {
                        for n in 0..EACH {
                            let room = timeout(Duration::from_secs(10), pin!(outbox.room())).await;
                            assert!(room.is_some(), "no room after {n}");
                            assert!(outbox.push(Item(n)).is_ok());
                        }
                    });
                });
            }
            on_one_thread().block_on(async {
                for had in 0..THREADS * EACH {
                    let next = timeout(Duration::from_secs(20), poll_fn(|cx| outbox.poll_pop(cx)));
                    assert!(next.await.is_some(), "nothing came after {had}");
                }
            });
        });
    }
}
