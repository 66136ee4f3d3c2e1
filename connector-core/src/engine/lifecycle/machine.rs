//! The lifecycle state machine of a plugin: queued requests, the current transition, and the outcome of each request.
//! No I/O, no tasks, no clock.

use std::collections::VecDeque;

/// The state of a plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum State {
    Registered,
    Activating,
    Active,
    Deactivating,
    Removed,
}

/// A request to change a plugin's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum Change {
    Activate,
    Deactivate,
    /// Deactivates the plugin permanently.
    Remove,
}

/// Work for the driver, which reports its completion with [`Lifecycle::finished`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum Transition {
    Activate,
    Deactivate,
}

/// The outcome of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::engine) enum Ended<E> {
    Done,
    /// The activation failed.
    Failed(E),
    /// Activation of a plugin that has been removed.
    Gone,
}

/// The consequences of a request or of a completed transition.
#[derive(Debug)]
pub(in crate::engine) struct Effects<W, E> {
    pub(in crate::engine) begin: Option<Transition>,
    /// The current activation is superseded.
    pub(in crate::engine) interrupt: bool,
    pub(in crate::engine) ended: Vec<(W, Ended<E>)>,
}

/// Requests are carried out one after another, in order of arrival. A request for the transition in progress joins it,
/// and adjacent equal requests in the queue share one transition.
///
/// `W` identifies the waiter of a request.
#[derive(Debug)]
pub(in crate::engine) struct Lifecycle<W> {
    state: State,
    /// Waiters of the current transition.
    joined: Vec<W>,
    queue: VecDeque<(Change, Vec<W>)>,
}

impl<W> Lifecycle<W> {
    pub(in crate::engine) fn new() -> Self {
        Lifecycle { state: State::Registered, joined: Vec::new(), queue: VecDeque::new() }
    }

    pub(in crate::engine) fn active() -> Self {
        Lifecycle { state: State::Active, ..Lifecycle::new() }
    }

    pub(in crate::engine) fn state(&self) -> State {
        self.state
    }

    /// Whether a transition is in progress.
    pub(in crate::engine) fn in_transition(&self) -> bool {
        matches!(self.state, State::Activating | State::Deactivating)
    }

    pub(in crate::engine) fn request<E: Clone>(&mut self, change: Change, waiter: W) -> Effects<W, E> {
        match (self.queue.back_mut(), self.state, change) {
            (Some((last, waiters)), _, _) if *last == change => waiters.push(waiter),
            (None, State::Activating, Change::Activate) | (None, State::Deactivating, Change::Deactivate) => {
                self.joined.push(waiter);
            }
            _ => self.queue.push_back((change, vec![waiter])),
        }
        self.advance(Vec::new())
    }

    /// The current transition has completed. A deactivation cannot fail.
    pub(in crate::engine) fn finished<E: Clone>(&mut self, result: Result<(), E>) -> Effects<W, E> {
        let (state, ended) = match (self.state, result) {
            (State::Activating, Ok(())) => (State::Active, Ended::Done),
            (State::Activating, Err(error)) => (State::Registered, Ended::Failed(error)),
            (State::Deactivating, _) => (State::Registered, Ended::Done),
            (idle, _) => (idle, Ended::Done),
        };
        self.state = state;
        let ended = self.joined.drain(..).map(|waiter| (waiter, ended.clone())).collect();
        self.advance(ended)
    }

    /// Processes the queue up to the next transition.
    fn advance<E: Clone>(&mut self, mut ended: Vec<(W, Ended<E>)>) -> Effects<W, E> {
        let mut begin = None;
        while !self.in_transition() {
            let Some((change, waiters)) = self.queue.pop_front() else { break };
            let outcome = match (self.state, change) {
                (State::Registered, Change::Activate) => {
                    (self.state, self.joined, begin) = (State::Activating, waiters, Some(Transition::Activate));
                    continue;
                }
                (State::Active, Change::Deactivate) => {
                    (self.state, self.joined, begin) = (State::Deactivating, waiters, Some(Transition::Deactivate));
                    continue;
                }
                (State::Active, Change::Remove) => {
                    (self.state, begin) = (State::Deactivating, Some(Transition::Deactivate));
                    self.queue.push_front((change, waiters));
                    continue;
                }
                (State::Registered, Change::Remove) => {
                    self.state = State::Removed;
                    Ended::Done
                }
                (State::Removed, Change::Activate) => Ended::Gone,
                _ => Ended::Done,
            };
            ended.extend(waiters.into_iter().map(|waiter| (waiter, outcome.clone())));
        }
        Effects { begin, interrupt: self.is_interrupted(), ended }
    }

    /// Returns the waiters that need not wait until the current deactivation completes.
    pub(in crate::engine) fn release(&mut self, is: impl Fn(&W) -> bool) -> Vec<W> {
        let mut released: Vec<W> = self.joined.extract_if(.., |waiter| is(waiter)).collect();
        if let Some((Change::Remove, waiters)) = self.queue.front_mut() {
            released.extend(waiters.extract_if(.., |waiter| is(waiter)));
        }
        released
    }

    /// Withdraws a queued request that has joined no transition. `None` if it has, or has ended. Without waiters the
    /// request is removed.
    pub(in crate::engine) fn withdraw(&mut self, is: impl Fn(&W) -> bool) -> Option<W> {
        for (place, (_, waiters)) in self.queue.iter_mut().enumerate() {
            if let Some(at) = waiters.iter().position(&is) {
                let waiter = waiters.swap_remove(at);
                if waiters.is_empty() {
                    self.queue.remove(place);
                }
                return Some(waiter);
            }
        }
        None
    }

    /// Removes a waiter without changing its request.
    pub(in crate::engine) fn take(&mut self, is: impl Fn(&W) -> bool) -> Option<W> {
        let queued = self.queue.iter_mut().map(|(_, waiters)| waiters);
        std::iter::once(&mut self.joined).chain(queued).find_map(|waiters| {
            let at = waiters.iter().position(&is)?;
            Some(waiters.swap_remove(at))
        })
    }

    /// Whether the current activation is superseded.
    pub(in crate::engine) fn is_interrupted(&self) -> bool {
        self.state == State::Activating && !self.queue.is_empty()
    }

    /// An active plugin became inactive without a request. Returns whether it was active.
    pub(in crate::engine) fn lost(&mut self) -> bool {
        let was_active = self.state == State::Active;
        if was_active {
            self.state = State::Registered;
        }
        was_active
    }

    /// The driver was dropped during a transition. Returns all waiters; no queued request is carried out.
    pub(in crate::engine) fn abandon(&mut self) -> Vec<W> {
        let removed = self.state == State::Removed || self.queue.iter().any(|(change, _)| *change == Change::Remove);
        self.state = if removed { State::Removed } else { State::Registered };
        let queued = self.queue.drain(..).flat_map(|(_, waiters)| waiters);
        self.joined.drain(..).chain(queued).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn change() -> impl Strategy<Value = Change> {
        prop_oneof![4 => Just(Change::Activate), 4 => Just(Change::Deactivate), 1 => Just(Change::Remove)]
    }

    #[derive(Debug, Clone)]
    enum Step {
        Request(Change),
        Finish(bool),
        Lose,
        Abandon,
        Withdraw(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            6 => change().prop_map(Step::Request),
            4 => any::<bool>().prop_map(Step::Finish),
            1 => Just(Step::Lose),
            1 => any::<usize>().prop_map(Step::Withdraw),
            1 => Just(Step::Abandon),
        ]
    }

    #[test]
    fn a_deactivation_behind_an_activation_reverses_it() {
        let mut plugin = Lifecycle::new();
        assert_eq!(plugin.request::<()>(Change::Activate, 1).begin, Some(Transition::Activate));
        let queued = plugin.request::<()>(Change::Deactivate, 2);
        assert!(queued.interrupt && queued.begin.is_none() && queued.ended.is_empty());
        let activated = plugin.finished::<()>(Ok(()));
        assert_eq!((activated.begin, activated.ended), (Some(Transition::Deactivate), vec![(1, Ended::Done)]));
        assert_eq!(plugin.finished::<()>(Ok(())).ended, [(2, Ended::Done)]);
        assert_eq!(plugin.state(), State::Registered);
    }

    proptest! {
        /// Every request ends exactly once, in the order of the transitions, and transitions alternate.
        #[test]
        fn each_request_ends_once_and_matches_the_state(steps in prop::collection::vec(step(), 0..80)) {
            let mut plugin = Lifecycle::new();
            let (mut next, mut open, mut running) = (0u32, Vec::new(), None);
            let mut last_kind = std::collections::HashMap::new();
            for step in steps {
                let before = plugin.state();
                let effects = match step {
                    Step::Request(change) => {
                        next += 1;
                        open.push(next);
                        last_kind.insert(next, change);
                        plugin.request(change, next)
                    }
                    Step::Finish(ok) if running.is_some() => {
                        running = None;
                        plugin.finished(if ok { Ok(()) } else { Err("failed") })
                    }
                    Step::Finish(_) => continue,
                    Step::Lose => {
                        prop_assert_eq!(plugin.lost(), before == State::Active);
                        continue;
                    }
                    Step::Withdraw(n) => {
                        let Some(&id) = open.get(n % open.len().max(1)) else { continue };
                        if plugin.withdraw(|waiter| *waiter == id).is_some() {
                            open.retain(|other| *other != id);
                        }
                        continue;
                    }
                    Step::Abandon => {
                        let mut all = plugin.abandon();
                        all.sort();
                        prop_assert_eq!(&all, &open);
                        open.clear();
                        running = None;
                        continue;
                    }
                };
                for (id, ended) in effects.ended {
                    prop_assert!(open.contains(&id), "{} ended twice", id);
                    open.retain(|other| *other != id);
                    match ended {
                        Ended::Done => {}
                        Ended::Failed(_) => prop_assert_eq!(last_kind[&id], Change::Activate),
                        Ended::Gone => {
                            prop_assert_eq!(last_kind[&id], Change::Activate);
                            prop_assert_eq!(plugin.state(), State::Removed);
                        }
                    }
                }
                if let Some(begin) = effects.begin {
                    prop_assert!(running.is_none(), "two transitions at once");
                    running = Some(begin);
                }
                let expected = match running {
                    Some(Transition::Activate) => Some(State::Activating),
                    Some(Transition::Deactivate) => Some(State::Deactivating),
                    None => None,
                };
                match expected {
                    Some(state) => prop_assert_eq!(plugin.state(), state),
                    None => prop_assert!(!plugin.in_transition()),
                }
                // Requests wait only during a transition.
                prop_assert!(running.is_some() || open.is_empty());
            }
            while running.take().is_some() {
                let effects = plugin.finished::<()>(Ok(()));
                for (id, _) in effects.ended {
                    open.retain(|other| *other != id);
                }
                running = effects.begin;
            }
            prop_assert!(open.is_empty());
        }
    }
}
