//! Timeouts in seconds.

use std::time::Duration;

/// The time limit of an operation in seconds: 30 by default and for 0 or less (docs/protocol.md, section 8.1), at most
/// a day.
///
/// ```
/// use connector_core::stp::StpTimeout;
///
/// assert_eq!(StpTimeout::default().seconds(), 30.0);
/// assert_eq!(StpTimeout::from_seconds(-1.0), StpTimeout::default());
/// assert_eq!(StpTimeout::from_seconds(1.5).duration().as_millis(), 1500);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StpTimeout(Duration);

const DEFAULT: Duration = Duration::from_secs(30);
/// A limit set by a peer is bounded too.
const MAX: Duration = Duration::from_secs(24 * 3600);
/// Prevents a frame from ending a request before it is sent.
const MIN: Duration = Duration::from_millis(1);

/// 30 s.
impl Default for StpTimeout {
    fn default() -> Self {
        StpTimeout(DEFAULT)
    }
}

impl StpTimeout {
    /// The given number of seconds, clamped to 1 ms and a day. 0, negative values and NaN are the default.
    pub fn from_seconds(seconds: f64) -> StpTimeout {
        match seconds > 0.0 {
            true => StpTimeout(Duration::from_secs_f64(seconds.min(MAX.as_secs_f64())).clamp(MIN, MAX)),
            false => StpTimeout::default(),
        }
    }

    /// In seconds, as written on the wire.
    pub fn seconds(self) -> f64 {
        self.0.as_secs_f64()
    }

    /// As a [`Duration`].
    pub fn duration(self) -> Duration {
        self.0
    }
}

/// Like [`from_seconds`](StpTimeout::from_seconds).
impl From<Duration> for StpTimeout {
    fn from(time: Duration) -> StpTimeout {
        StpTimeout::from_seconds(time.as_secs_f64())
    }
}

/// Like [`from_seconds`](StpTimeout::from_seconds); `None` is the default.
impl From<Option<f64>> for StpTimeout {
    fn from(seconds: Option<f64>) -> StpTimeout {
        seconds.map_or_else(StpTimeout::default, StpTimeout::from_seconds)
    }
}
