//! The delays between attempts to reach a peer.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

/// The delays between attempts to reach a peer again. Their number is unlimited.
///
/// Each delay is random, between zero and a bound that doubles from `min` to `max`, so that clients that lost the same
/// peer do not return all at once. Once a connection has lasted for a while, start again with a new value: a peer may end each
/// one at once.
///
/// ```
/// use connector_core::ReconnectDelays;
/// use std::time::Duration;
///
/// let mut delays = ReconnectDelays::new(Duration::from_millis(100), Duration::from_secs(1));
/// assert!(delays.next_delay() <= Duration::from_millis(100));
/// assert!(delays.next_delay() <= Duration::from_millis(200));
/// ```
#[derive(Debug)]
pub struct ReconnectDelays {
    /// Without backon's jitter, which only adds to a delay.
    bounds: ExponentialBackoff,
    max: Duration,
}

impl ReconnectDelays {
    /// The bound of the first delay, and of all delays. A `max` below `min` counts as `min`.
    pub fn new(min: Duration, max: Duration) -> ReconnectDelays {
        let max = max.max(min);
        let bounds = ExponentialBuilder::default().with_min_delay(min).with_max_delay(max).with_factor(2.0);
        ReconnectDelays { bounds: bounds.without_max_times().build(), max }
    }

    /// The delay before the next attempt.
    pub fn next_delay(&mut self) -> Duration {
        self.bounds.next().unwrap_or(self.max).mul_f64(fastrand::f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bounds_double_up_to_the_maximum() {
        let delays = || ReconnectDelays::new(Duration::from_secs(1), Duration::from_secs(5));
        let (mut bounds, mut delays) = (delays().bounds, delays());
        for bound in [1, 2, 4, 5, 5].map(Duration::from_secs) {
            assert_eq!(bounds.next(), Some(bound));
            assert!(delays.next_delay() <= bound);
        }
    }

    #[test]
    fn a_maximum_below_the_minimum_counts_as_the_minimum() {
        let mut delays = ReconnectDelays::new(Duration::from_secs(2), Duration::from_secs(1));
        assert_eq!([(); 2].map(|()| delays.bounds.next()), [Some(Duration::from_secs(2)); 2]);
    }

    #[test]
    fn extreme_bounds_do_not_panic() {
        let mut endless = ReconnectDelays::new(Duration::MAX, Duration::MAX);
        let mut none = ReconnectDelays::new(Duration::ZERO, Duration::ZERO);
        for _ in 0..100 {
            endless.next_delay();
            assert_eq!(none.next_delay(), Duration::ZERO);
        }
    }
}
