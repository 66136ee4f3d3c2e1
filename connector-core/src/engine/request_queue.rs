//! A plugin's queue of calls: which run and which wait. No I/O, no tasks, no clock.

use std::collections::VecDeque;

use smallvec::SmallVec;

/// A call, as seen by the queue.
pub(super) trait Queueable: Clone {
    /// Whether both are the same call.
    fn is(&self, other: &Self) -> bool;
    /// What the caller has in common with those with which it shares its turns.
    fn caller(&self) -> u64;
    /// Whether a cancel by this caller, of this method or of all, applies to this call.
    fn matches(&self, caller: &str, method: Option<&str>) -> bool;
}

/// The lanes of one plugin: one for all methods, and one for each method with separate limits.
///
/// In each lane, callers take turns, and the calls of one caller start in order of arrival, up to `limit` at once. Up to
/// `capacity` more may wait, and beyond that a caller's own share of them.
#[derive(Debug)]
pub(super) struct RequestQueue<C> {
    common: Lane<C>,
    /// Few plugins have any.
    per_method: Box<[(String, Lane<C>)]>,
}

#[derive(Debug)]
struct Lane<C> {
    limit: usize,
    capacity: usize,
    /// Inline for the default limit of one.
    running: SmallVec<[C; 1]>,
    /// In the order in which they start: by round.
    waiting: VecDeque<Waiting<C>>,
    /// The round of the call that started last.
    round: u64,
}

/// A waiting call. In each round, every caller with waiting calls starts one.
#[derive(Debug)]
struct Waiting<C> {
    round: u64,
    caller: u64,
    call: C,
}

/// A caller's share of a lane is a quarter of its capacity, but at least this many calls if the capacity admits them.
const MIN_SHARE: usize = 16;

impl<C: Queueable> Lane<C> {
    fn new(limit: usize, capacity: usize) -> Self {
        Lane { limit: limit.max(1), capacity, running: SmallVec::new(), waiting: VecDeque::new(), round: 0 }
    }

    fn calls(&self) -> impl Iterator<Item = &C> {
        self.running.iter().chain(self.waiting.iter().map(|waiting| &waiting.call))
    }

    /// Returns `false` if the queue is full for its caller.
    fn wait(&mut self, call: C) -> bool {
        let caller = call.caller();
        if self.waiting.len() >= self.capacity {
            let share = (self.capacity / 4).max(self.capacity.min(MIN_SHARE));
            if self.waiting.iter().filter(|waiting| waiting.caller == caller).count() >= share {
                return false;
            }
        }
        let last = self.waiting.iter().rev().find(|waiting| waiting.caller == caller);
        let round = last.map_or(self.round, |last| last.round) + 1;
        let waiting = Waiting { round, caller, call };
        if self.waiting.back().is_none_or(|back| back.round <= round) {
            self.waiting.push_back(waiting);
        } else {
            self.waiting.insert(self.waiting.partition_point(|other| other.round <= round), waiting);
        }
        true
    }

    fn next(&mut self) -> Option<C> {
        let Waiting { round, call, .. } = self.waiting.pop_front()?;
        self.round = round;
        Some(call)
    }
}

/// The result of entering the queue.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Entered {
    /// The call runs.
    Runs,
    /// The call waits for its turn.
    Waits,
    /// The lane is full; holds the number of waiting calls.
    Busy(usize),
}

impl<C: Queueable> RequestQueue<C> {
    pub(super) fn new<'a>(
        limit: usize,
        capacity: usize,
        own: impl IntoIterator<Item = (&'a String, &'a usize)>,
    ) -> Self {
        let own = own.into_iter().map(|(method, limit)| (method.clone(), Lane::new(*limit, capacity))).collect();
        RequestQueue { common: Lane::new(limit, capacity), per_method: own }
    }

    fn lane(&mut self, method: &str) -> &mut Lane<C> {
        let lane = self.per_method.iter_mut().find(|(name, _)| name == method);
        lane.map_or(&mut self.common, |(_, lane)| lane)
    }

    fn lanes(&mut self) -> impl Iterator<Item = &mut Lane<C>> {
        std::iter::once(&mut self.common).chain(self.per_method.iter_mut().map(|(_, lane)| lane))
    }

    pub(super) fn enter(&mut self, method: &str, call: C) -> Entered {
        let lane = self.lane(method);
        if lane.running.len() < lane.limit && lane.waiting.is_empty() {
            lane.running.push(call);
            Entered::Runs
        } else if lane.wait(call) {
            Entered::Waits
        } else {
            Entered::Busy(lane.waiting.len())
        }
    }

    /// Starts a waiting call beyond the limit. Returns `false` if it no longer waits.
    pub(super) fn start_waiting(&mut self, method: &str, call: &C) -> bool {
        let lane = self.lane(method);
        let Some(position) = lane.waiting.iter().position(|waiting| waiting.call.is(call)) else {
            return false;
        };
        lane.running.extend(lane.waiting.remove(position).map(|waiting| waiting.call));
        true
    }

    /// Starts a new call beyond the limit, for a call that found the lane full.
    pub(super) fn start_new(&mut self, method: &str, call: C) {
        self.lane(method).running.push(call);
    }

    /// Removes a call that has ended or is dropped. Returns the calls that start to run.
    pub(super) fn leave(&mut self, method: &str, call: &C) -> SmallVec<[C; 1]> {
        let lane = self.lane(method);
        match lane.running.iter().position(|running| running.is(call)) {
            Some(position) => drop(lane.running.swap_remove(position)),
            None => lane.waiting.retain(|waiting| !waiting.call.is(call)),
        }
        let mut started = SmallVec::new();
        while lane.running.len() < lane.limit {
            let Some(next) = lane.next() else { break };
            lane.running.push(next.clone());
            started.push(next);
        }
        started
    }

    /// The calls that a cancel applies to. They stay in the queue until they [`leave`](RequestQueue::leave).
    pub(super) fn matching(&mut self, caller: &str, method: Option<&str>) -> Vec<C> {
        let lanes = self.lanes();
        let all = lanes.flat_map(|lane| lane.calls());
        all.filter(|call| call.matches(caller, method)).cloned().collect()
    }

    /// All calls, running and waiting.
    pub(super) fn all(&mut self) -> Vec<C> {
        self.lanes().flat_map(|lane| lane.calls()).cloned().collect()
    }

    /// The running calls of all lanes.
    pub(super) fn running(&mut self) -> Vec<C> {
        self.lanes().flat_map(|lane| lane.running.iter()).cloned().collect()
    }

    /// Whether such a call runs.
    pub(super) fn runs(&mut self, is: impl Fn(&C) -> bool) -> bool {
        self.lanes().any(|lane| lane.running.iter().any(&is))
    }

    /// Visits each call, with whether it runs.
    pub(super) fn visit(&mut self, mut see: impl FnMut(&C, bool)) {
        for lane in self.lanes() {
            lane.running.iter().for_each(|call| see(call, true));
            lane.waiting.iter().for_each(|waiting| see(&waiting.call, false));
        }
    }

    /// The running calls of a method's lane.
    pub(super) fn running_beside(&mut self, method: &str) -> Vec<C> {
        self.lane(method).running.to_vec()
    }

    /// The running call, if exactly one runs in all lanes.
    pub(super) fn only_running(&mut self) -> Option<&C> {
        let mut running = self.lanes().flat_map(|lane| lane.running.iter());
        running.next().filter(|_| running.next().is_none())
    }

    pub(super) fn is_idle(&mut self) -> bool {
        self.lanes().all(|lane| lane.running.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone, PartialEq)]
    struct Call(u32, &'static str, &'static str);

    impl Queueable for Call {
        fn is(&self, other: &Self) -> bool {
            self.0 == other.0
        }
        fn caller(&self) -> u64 {
            u64::from(self.1 == "a")
        }
        fn matches(&self, caller: &str, method: Option<&str>) -> bool {
            self.1 == caller && method.is_none_or(|method| method == self.2)
        }
    }

    #[derive(Debug, Clone)]
    enum Step {
        Enter(&'static str, &'static str),
        /// The n-th of those running, or of those waiting.
        LeaveRunning(usize),
        LeaveWaiting(usize),
        LetThrough(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        let (callers, methods) = (prop::sample::select(vec!["a", "b"]), prop::sample::select(vec!["x", "y", "own"]));
        prop_oneof![
            4 => (callers, methods).prop_map(|(caller, method)| Step::Enter(caller, method)),
            3 => any::<usize>().prop_map(Step::LeaveRunning),
            1 => any::<usize>().prop_map(Step::LeaveWaiting),
            1 => any::<usize>().prop_map(Step::LetThrough),
        ]
    }

    /// The first letters of the callers of those that start when one after another ends.
    fn turns(queue: &mut RequestQueue<Call>, mut running: Call) -> String {
        let mut order = String::from(running.1);
        while let Some(next) = queue.leave("x", &running).pop() {
            order.push_str(next.1);
            running = next;
        }
        order
    }

    #[test]
    fn callers_take_turns() {
        let mut queue = RequestQueue::new(1, 100, &std::collections::HashMap::new());
        for n in 0..5 {
            queue.enter("x", Call(n, "a", "x"));
        }
        for n in 5..8 {
            queue.enter("x", Call(n, "b", "x"));
        }
        assert_eq!(turns(&mut queue, Call(0, "a", "x")), "aabababa");
    }

    #[test]
    fn a_caller_that_calls_again_and_again_waits_for_its_turn() {
        let mut queue = RequestQueue::new(1, 100, &std::collections::HashMap::new());
        for n in 0..3 {
            queue.enter("x", Call(n, "a", "x"));
        }
        queue.enter("x", Call(3, "b", "x"));
        assert_eq!(queue.leave("x", &Call(0, "a", "x"))[..], [Call(1, "a", "x")]);
        assert_eq!(queue.leave("x", &Call(1, "a", "x"))[..], [Call(3, "b", "x")]);
        queue.enter("x", Call(4, "b", "x"));
        assert_eq!(queue.leave("x", &Call(3, "b", "x"))[..], [Call(2, "a", "x")]);
    }

    #[test]
    fn a_full_queue_admits_the_share_of_another_caller() {
        let mut queue = RequestQueue::new(1, 100, &std::collections::HashMap::new());
        let admitted = |queue: &mut RequestQueue<Call>, caller| {
            (0..200).filter(|n| !matches!(queue.enter("x", Call(*n, caller, "x")), Entered::Busy(_))).count()
        };
        assert_eq!(admitted(&mut queue, "a"), 101);
        assert_eq!(admitted(&mut queue, "b"), 25);
    }

    fn lane(method: &str) -> usize {
        usize::from(method == "own")
    }

    proptest! {
        /// Compares with a simple model: two lists per lane, in order of arrival.
        #[test]
        fn the_calls_of_a_caller_start_in_order_within_the_limits(
            limits in (1..4usize, 1..4usize), capacity in 0..5usize, steps in prop::collection::vec(step(), 0..120),
        ) {
            let own = std::collections::HashMap::from([("own".to_owned(), limits.1)]);
            let mut queue = RequestQueue::new(limits.0, capacity, &own);
            let (mut running, mut waiting) = ([vec![], vec![]], [vec![], vec![]]);
            let (mut start_waiting, mut next) = ([0, 0], 0);
            for step in steps {
                let (limit, mut started) = ([limits.0, limits.1], vec![]);
                match step {
                    Step::Enter(caller, method) => {
                        let (call, lane) = (Call(next, caller, method), lane(method));
                        next += 1;
                        let entered = queue.enter(method, call.clone());
                        if running[lane].len() < limit[lane] && waiting[lane].is_empty() {
                            prop_assert_eq!(entered, Entered::Runs);
                            running[lane].push(call);
                        } else if waiting[lane].len() < capacity
                            || waiting[lane].iter().filter(|other: &&Call| other.1 == caller).count() < capacity
                        {
                            prop_assert_eq!(entered, Entered::Waits);
                            waiting[lane].push(call);
                        } else {
                            prop_assert_eq!(entered, Entered::Busy(waiting[lane].len()));
                        }
                    }
                    Step::LeaveRunning(n) | Step::LeaveWaiting(n) => {
                        let among = if matches!(step, Step::LeaveRunning(_)) { &running } else { &waiting };
                        let all: Vec<Call> = among.iter().flatten().cloned().collect();
                        if let Some(call) = all.get(n % all.len().max(1)) {
                            let lane = lane(call.2);
                            started = queue.leave(call.2, call).into_vec();
                            running[lane].retain(|other| other != call);
                            waiting[lane].retain(|other| other != call);
                            while running[lane].len() < limit[lane] && !waiting[lane].is_empty() {
                                let call = started.remove(0);
                                let first = waiting[lane].iter().position(|other| other.1 == call.1);
                                prop_assert_eq!(&waiting[lane].remove(first.unwrap()), &call, "in order of arrival");
                                running[lane].push(call);
                            }
                        }
                    }
                    Step::LetThrough(n) => {
                        let all: Vec<Call> = waiting.iter().flatten().cloned().collect();
                        if let Some(call) = all.get(n % all.len().max(1)) {
                            let lane = lane(call.2);
                            prop_assert!(queue.start_waiting(call.2, call));
                            prop_assert!(!queue.start_waiting(call.2, call));
                            waiting[lane].retain(|other| other != call);
                            running[lane].push(call.clone());
                            start_waiting[lane] += 1;
                        }
                    }
                }
                prop_assert!(started.is_empty());
                for lane in 0..2 {
                    prop_assert!(running[lane].len() <= limit[lane] + start_waiting[lane]);
                    prop_assert!(waiting[lane].len() <= 2 * capacity);
                }
                let ids = |calls: Vec<Call>| { let mut ids: Vec<_> = calls.iter().map(|call| call.0).collect(); ids.sort(); ids };
                prop_assert_eq!(ids(queue.running()), ids(running.concat()));
                prop_assert_eq!(ids(queue.all()), ids([running.concat(), waiting.concat()].concat()));
                let mine = |call: &&Call| call.matches("a", Some("x"));
                let expected = running.iter().chain(&waiting).flatten().filter(mine).cloned().collect();
                prop_assert_eq!(ids(queue.matching("a", Some("x"))), ids(expected));
            }
        }
    }
}
