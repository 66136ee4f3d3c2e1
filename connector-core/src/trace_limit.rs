//! Rate-limited traces.

use std::sync::Mutex;
use std::time::Duration;

use crate::runtime::{self, Instant};
use crate::sync::lock;

/// Lets a number of traces per second pass, one by default, and counts the rest. For events that a peer can cause
/// without limit, such as rejected connections. Texts of the peer are shown as an [`Excerpt`](crate::Excerpt).
///
/// ```
/// let refusals = connector_core::TraceLimit::default();
/// for _ in 0..1000 {
///     if let Some(left_out) = refusals.pass() {
///         tracing::warn!(left_out, "a client was rejected");
///     }
/// }
/// ```
#[derive(Debug)]
pub struct TraceLimit {
    per_second: u32,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The current second: its beginning, and the number of traces that have passed since.
    second: Option<Instant>,
    passed: u32,
    left_out: u64,
    /// When [`TraceLimit::take_left_out`] last returned a number.
    taken: Option<Instant>,
}

/// One trace per second.
impl Default for TraceLimit {
    fn default() -> TraceLimit {
        TraceLimit::per_second(1)
    }
}

impl TraceLimit {
    const INTERVAL: Duration = Duration::from_secs(1);

    /// At most `traces` per second; at least 1.
    pub const fn per_second(traces: u32) -> TraceLimit {
        let state = State { second: None, passed: 0, left_out: 0, taken: None };
        TraceLimit { per_second: if traces == 0 { 1 } else { traces }, state: Mutex::new(state) }
    }

    /// The limit for the traces about one peer's messages: 10 per second.
    pub(crate) const fn per_peer() -> TraceLimit {
        TraceLimit::per_second(10)
    }

    /// Whether to trace now: `Some` with the number of traces skipped since the last one, or `None` if this one must be
    /// skipped too.
    pub fn pass(&self) -> Option<u64> {
        let (mut state, now) = (lock(&self.state), runtime::now());
        if state.second.is_none_or(|second| now.duration_since(second) >= TraceLimit::INTERVAL) {
            (state.second, state.passed) = (Some(now), 0);
        }
        if state.passed >= self.per_second {
            state.left_out += 1;
            return None;
        }
        state.passed += 1;
        Some(std::mem::take(&mut state.left_out))
    }

    /// The number of traces skipped since the last one, for a final trace when there are no more to come. `None` if
    /// there are none, or if it has returned a number within the last second: a limit may be shared, and a peer may cause
    /// the end of one of its users again and again.
    pub fn take_left_out(&self) -> Option<u64> {
        let (mut state, now) = (lock(&self.state), runtime::now());
        let is_recent = state.taken.is_some_and(|taken| now.duration_since(taken) < TraceLimit::INTERVAL);
        if state.left_out == 0 || is_recent {
            return None;
        }
        state.taken = Some(now);
        Some(std::mem::take(&mut state.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_first_of_each_second_pass_and_the_others_are_counted() {
        for max in [1, 3] {
            let limit = TraceLimit::per_second(max);
            let passed: Vec<_> = (0..100).filter_map(|_| limit.pass()).collect();
            assert_eq!(passed, vec![0; max as usize]);
            tokio::time::advance(Duration::from_secs(1)).await;
            assert_eq!(limit.pass(), Some(100 - u64::from(max)));
            assert_eq!(limit.take_left_out(), None);
            let more = (0..10).filter_map(|_| limit.pass()).count();
            assert_eq!((more, limit.take_left_out()), (max as usize - 1, Some(11 - u64::from(max))));
            assert_eq!(limit.take_left_out(), None);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn final_traces_are_limited_as_well() {
        let limit = TraceLimit::default();
        let mut taken = Vec::new();
        for _ in 0..100 {
            let _ = (limit.pass(), limit.pass());
            taken.extend(limit.take_left_out());
        }
        assert_eq!(taken, [1]);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(limit.take_left_out(), Some(198));
    }
}
