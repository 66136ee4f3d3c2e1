//! Work that the link's task runs besides moving messages: method handlers on the plugin's side, calls on the engine's.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use foldhash::{HashMap, HashMapExt};
use futures_util::task::AtomicWaker;

use crate::runtime::BoxFuture;
use crate::sync::{AtomicBool, Mutex, Ordering, lock};
use crate::wire::Id;

/// A set of futures, each with a tag. A future can be cancelled by its request id. Dropping the set drops all of them.
///
/// A future is polled when it is started, since most complete at once; only pending ones are stored. Each stored future
/// occupies a slot, whose waker is reused, so that a pending future allocates nothing beyond its box.
// PERF: docs/performance.md, "14 allocations per routed call": reused slots are among what reduced them to 8.
pub(crate) struct TaskSet<K, T> {
    slots: Vec<Slot<K, T>>,
    free: Vec<usize>,
    /// Slots by numeric id. If several share an id, the one started last.
    by_id: HashMap<i64, usize>,
    /// The other slots with the same id. No known peer has two pending requests with one id.
    shadowed: Vec<(i64, usize)>,
    woken: Arc<Woken>,
    /// Taken from `woken` but not polled yet.
    due: VecDeque<usize>,
}

struct Slot<K, T> {
    state: Arc<SlotWaker>,
    /// `state` as a waker.
    waker: Waker,
    task: Option<Task<K, T>>,
}

struct Task<K, T> {
    id: Option<Id>,
    tag: K,
    work: BoxFuture<T>,
}

/// A future that has completed.
#[derive(Debug, PartialEq)]
pub(crate) struct Completed<K, T> {
    pub(crate) id: Option<Id>,
    pub(crate) tag: K,
    pub(crate) output: T,
}

/// The slots whose futures were woken.
#[derive(Default)]
struct Woken {
    slots: Mutex<VecDeque<usize>>,
    owner: AtomicWaker,
}

struct SlotWaker {
    slot: usize,
    /// Whether the slot is already queued in `woken`. If a previous future of this slot was woken, the current one gets
    /// one superfluous poll.
    woken: AtomicBool,
    all: Arc<Woken>,
}

impl Wake for SlotWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.woken.swap(true, Ordering::AcqRel) {
            lock(&self.all.slots).push_back(self.slot);
            self.all.owner.wake();
        }
    }
}

impl<K, T> Task<K, T> {
    fn has_id(&self, id: &Id) -> bool {
        self.id.as_ref().is_some_and(|task_id| task_id.is_same(id))
    }
}

impl<K, T> TaskSet<K, T> {
    pub(crate) fn new() -> Self {
        let woken = Arc::default();
        TaskSet {
            slots: Vec::new(),
            free: Vec::new(),
            by_id: HashMap::new(),
            shadowed: Vec::new(),
            woken,
            due: VecDeque::new(),
        }
    }

    /// Starts a future. Returns its output if it completes at once.
    pub(crate) fn start(&mut self, id: Option<Id>, tag: K, mut work: BoxFuture<T>) -> Option<Completed<K, T>> {
        let at = self.free.pop().unwrap_or_else(|| self.add_slot());
        let slot = &mut self.slots[at];
        if let Poll::Ready(output) = work.as_mut().poll(&mut Context::from_waker(&slot.waker)) {
            self.free.push(at);
            return Some(Completed { id, tag, output });
        }
        if let Some(number) = id.as_ref().and_then(Id::number) {
            self.shadowed.extend(self.by_id.insert(number, at).map(|earlier| (number, earlier)));
        }
        slot.task = Some(Task { id, tag, work });
        None
    }

    fn add_slot(&mut self) -> usize {
        let slot = self.slots.len();
        let state = Arc::new(SlotWaker { slot, woken: AtomicBool::new(false), all: Arc::clone(&self.woken) });
        self.slots.push(Slot { waker: Arc::clone(&state).into(), state, task: None });
        slot
    }

    /// Drops all pending futures with this id. Returns `false` if there are none.
    pub(crate) fn cancel(&mut self, id: &Id) -> bool {
        let mut cancelled = false;
        while self.find(id).is_some_and(|at| self.remove(at).is_some()) {
            cancelled = true;
        }
        cancelled
    }

    fn find(&self, id: &Id) -> Option<usize> {
        match id.number() {
            Some(number) => self.by_id.get(&number).copied(),
            // Rare: no known peer cancels by a non-numeric id.
            None => self.slots.iter().position(|slot| slot.task.as_ref().is_some_and(|task| task.has_id(id))),
        }
    }

    fn remove(&mut self, at: usize) -> Option<(Option<Id>, K)> {
        let Task { id, tag, .. } = self.slots[at].task.take()?;
        if let Some(number) = id.as_ref().and_then(Id::number) {
            if self.by_id.get(&number) != Some(&at) {
                self.shadowed.retain(|(_, other)| *other != at);
            } else if let Some(earlier) = self.shadowed.iter().rposition(|(other, _)| *other == number) {
                self.by_id.insert(number, self.shadowed.swap_remove(earlier).1);
            } else {
                self.by_id.remove(&number);
            }
        }
        self.free.push(at);
        Some((id, tag))
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// The next future that completes.
    pub(crate) fn poll_completed(&mut self, cx: &mut Context<'_>) -> Poll<Completed<K, T>> {
        if self.due.is_empty() {
            if self.len() == 0 {
                return Poll::Pending;
            }
            self.woken.owner.register(cx.waker());
            std::mem::swap(&mut *lock(&self.woken.slots), &mut self.due);
        }
        while let Some(at) = self.due.pop_front() {
            let slot = &mut self.slots[at];
            // Cleared before the poll, so that a wake-up during the poll is not missed. The swap orders this with a
            // concurrent wake-up: the later one sees the effects of the earlier.
            slot.state.woken.swap(false, Ordering::AcqRel);
            let Some(task) = &mut slot.task else { continue };
            if let Poll::Ready(output) = task.work.as_mut().poll(&mut Context::from_waker(&slot.waker))
                && let Some((id, tag)) = self.remove(at)
            {
                return Poll::Ready(Completed { id, tag, output });
            }
        }
        Poll::Pending
    }
}

#[cfg(all(test, not(loom_tests)))]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn an_immediate_result_is_returned_and_a_pending_future_kept() {
        let mut tasks = TaskSet::new();
        assert_eq!(
            tasks.start(Some(1.into()), "a", Box::pin(async { 1 })),
            Some(Completed { id: Some(1.into()), tag: "a", output: 1 })
        );
        let (send, wait) = oneshot::channel();
        assert_eq!(tasks.start(Some(2.into()), "b", Box::pin(async { wait.await.unwrap() })), None);
        send.send(2).unwrap();
        assert_eq!(
            std::future::poll_fn(|cx| tasks.poll_completed(cx)).await,
            Completed { id: Some(2.into()), tag: "b", output: 2 }
        );
        assert!(!tasks.cancel(&2.into()), "ended already");
    }

    #[tokio::test]
    #[allow(clippy::disallowed_methods, reason = "wakes from another thread")]
    async fn slots_are_reused_and_no_wake_up_is_missed() {
        let mut tasks = TaskSet::new();
        for round in 0..3 {
            let (sends, waits): (Vec<_>, Vec<_>) = (0..10).map(|_| oneshot::channel::<i64>()).unzip();
            for (n, wait) in waits.into_iter().enumerate() {
                assert!(
                    tasks.start(Some((n as i64).into()), n as i64, Box::pin(async { wait.await.unwrap() })).is_none()
                );
            }
            assert!(tasks.cancel(&3.into()) && !tasks.cancel(&3.into()));
            let woken = std::thread::spawn(move || {
                for (n, send) in sends.into_iter().enumerate().rev() {
                    let _ = send.send(n as i64 * 10);
                }
            });
            let mut ended = Vec::new();
            while tasks.len() > 0 {
                let Completed { tag, output, .. } = std::future::poll_fn(|cx| tasks.poll_completed(cx)).await;
                ended.push((tag, output));
            }
            woken.join().unwrap();
            ended.sort_unstable();
            let expected: Vec<_> = (0..10).filter(|n| *n != 3).map(|n| (n, n * 10)).collect();
            assert_eq!(ended, expected, "round {round}");
            assert_eq!(tasks.slots.len(), 10);
        }
    }

    #[tokio::test]
    async fn a_self_waking_future_does_not_starve_others() {
        let mut tasks = TaskSet::new();
        assert!(
            tasks
                .start(
                    None,
                    "busy",
                    Box::pin(async {
                        loop {
                            tokio::task::yield_now().await
                        }
                    })
                )
                .is_none()
        );
        assert!(tasks.start(None, "short", Box::pin(tokio::task::yield_now())).is_none());
        assert_eq!(std::future::poll_fn(|cx| tasks.poll_completed(cx)).await.tag, "short");
    }

    #[tokio::test]
    async fn a_cancelled_future_is_dropped() {
        for (started, cancelled) in [("7", "7"), ("7", r#""7""#), (r#""7""#, "7.0"), (r#""b3c1""#, r#""b3c1""#)] {
            cancel_one(&Id::from_json(started).unwrap(), &Id::from_json(cancelled).unwrap());
        }
    }

    fn cancel_one(started: &Id, cancelled: &Id) {
        let mut tasks = TaskSet::new();
        let (send, wait) = oneshot::channel::<()>();
        tasks.start(Some(started.clone()), (), Box::pin(async { drop(wait.await) }));
        assert!(!tasks.cancel(&Id::from_json("null").unwrap()));
        assert!(tasks.cancel(cancelled));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(tasks.poll_completed(&mut cx).is_pending());
        assert!(send.is_closed() && tasks.len() == 0);
    }
}
