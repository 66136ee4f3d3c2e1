//! Rate-limited traces.

use std::sync::Mutex;
use std::time::Duration;

use crate::runtime::{self, Instant};
use crate::sync::lock;

/// Lets one trace per second pass and counts the rest. For events that a peer can cause without limit, such as rejected
/// connections.
///
/// ```
/// let refusals = connector_core::TraceLimit::default();
/// for _ in 0..1000 {
///     if let Some(left_out) = refusals.pass() {
///         tracing::warn!(left_out, "a client was rejected");
///     }
/// }
/// ```
#[derive(Debug, Default)]
pub struct TraceLimit(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    last: Option<Instant>,
    left_out: u64,
}

impl TraceLimit {
    const INTERVAL: Duration = Duration::from_secs(1);

    /// Whether to trace now: `Some` with the number of traces skipped since the last one, or `None` if this one must be
    /// skipped too.
    pub fn pass(&self) -> Option<u64> {
        let (mut state, now) = (lock(&self.0), runtime::now());
        if state.last.is_some_and(|last| now.duration_since(last) < TraceLimit::INTERVAL) {
            state.left_out += 1;
            return None;
        }
        state.last = Some(now);
        Some(std::mem::take(&mut state.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_passes_in_a_second_and_the_others_are_counted() {
        let limit = TraceLimit::default();
        let passed: Vec<_> = (0..100).filter_map(|_| limit.pass()).collect();
        assert_eq!(passed, [0]);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!((limit.pass(), limit.pass()), (Some(99), None));
    }
}
