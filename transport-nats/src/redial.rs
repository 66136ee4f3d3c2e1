//! When to connect to the server again.

use std::time::Duration;

use connector_core::ReconnectDelays;
use tokio::time::Instant;

/// The bounds of the delays between attempts to reach the server.
const DELAYS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// The delays before attempts to connect. They grow until a connection has lasted as long as the longest of them: a server may
/// accept each connection and end it at once.
pub(crate) struct Redial {
    delays: ReconnectDelays,
    connected: Option<Instant>,
}

impl Redial {
    pub(crate) fn new() -> Redial {
        Redial { delays: ReconnectDelays::new(DELAYS.0, DELAYS.1), connected: None }
    }

    /// Records that a connection has been established.
    pub(crate) fn set_connected(&mut self) {
        self.connected = Some(Instant::now());
    }

    /// Returns the delay before the next attempt to connect, after one has failed or a connection has been lost.
    pub(crate) fn next_delay(&mut self) -> Duration {
        if self.connected.take().is_some_and(|at| at.elapsed() >= DELAYS.1) {
            *self = Redial::new();
        }
        self.delays.next_delay()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn delays_grow_until_a_connection_has_lasted() {
        let mut redial = Redial::new();
        // Each is random, from zero to its bound.
        let delays = (0..100).map(|_| {
            redial.set_connected();
            redial.next_delay()
        });
        assert!(delays.max() >= Some(Duration::from_secs(1)), "each connection ended at once");
        redial.set_connected();
        tokio::time::advance(Duration::from_secs(2)).await;
        assert!(redial.next_delay() < Duration::from_secs(1));
    }
}
