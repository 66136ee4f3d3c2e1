//! How fast sessions are opened.

use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until};

/// Sessions that are opened per second in the long run.
const PER_SECOND: u32 = 400;
/// Sessions that may be opened at once after a pause.
const BURST: u32 = 256;
const INTERVAL: Duration = Duration::from_secs(1).checked_div(PER_SECOND).unwrap();

/// Bounds the sessions in memory that have ended: socketioxide keeps one that is never connected to the namespace, some 17
/// KiB, for the whole of its `connect_timeout`, 5 s, whether it is closed or not. That makes 256 + 5 × 400 of them.
#[derive(Debug, Default)]
pub(super) struct Pace(Mutex<Option<Instant>>);

impl Pace {
    /// Waits for the turn to open a session, in the order of arrival. Cancel safe.
    pub(super) async fn turn(&self) {
        let mut next = self.0.lock().await;
        let now = Instant::now();
        let earliest = now.checked_sub(INTERVAL * BURST).unwrap_or(now);
        let due = next.map_or(earliest, |next| next.max(earliest));
        sleep_until(due).await;
        *next = Some(due + INTERVAL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn sessions_are_paced_after_a_burst() {
        let pace = Pace::default();
        let turns = async |count: u32| {
            let began = Instant::now();
            for _ in 0..count {
                pace.turn().await;
            }
            began.elapsed()
        };
        tokio::time::advance(Duration::from_secs(10)).await;
        let (burst, paced) = (turns(BURST).await, turns(PER_SECOND).await);
        assert!(burst < Duration::from_millis(10) && paced >= Duration::from_millis(990), "{burst:?} {paced:?}");
    }
}
