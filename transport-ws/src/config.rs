//! Limits and times of a link.

use std::time::Duration;

#[cfg(any(feature = "client", feature = "plugin"))]
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// What control frames may add to a full write buffer: a few headers, pings, pongs and a close.
#[cfg(any(feature = "client", feature = "plugin"))]
const CONTROL_ROOM: usize = 4 * KIB;

/// Limits and times of one link; the same at either end.
///
/// ```
/// use std::time::Duration;
/// use transport_ws::WsConfig;
///
/// let config = WsConfig::default().max_message(1 << 20).ping_interval(Duration::from_secs(5));
/// assert_eq!(config.max_message, 1 << 20);
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct WsConfig {
    /// The largest message taken, in bytes, whether it comes in one frame or in fragments. Default: 16 MiB.
    ///
    /// A larger one is answered with close code 1009 and ends the link as
    /// [`LinkEnd::TooLarge`](connector_core::LinkEnd::TooLarge). Memory for a message is reserved when its header
    /// arrives, so this also bounds what a hostile peer can make this end reserve.
    pub max_message: usize,
    /// The largest message sent, in bytes. Default: 16 MiB, what most peers take. At most 1 GiB.
    ///
    /// A larger one is refused where it is sent and does not harm the link: its peer would have ended it.
    pub max_sent_message: usize,
    /// A ping is sent when nothing was received for this long. Default: 10 s. At least 1 ms;
    /// [`Duration::MAX`] sends none.
    pub ping_interval: Duration,
    /// The link ends as [`LinkEnd::Silent`](connector_core::LinkEnd::Silent) when nothing at all was received for this
    /// long after a ping, nor anything taken of what waits to be sent. Default: 10 s, so that a silent peer is found within 20 s.
    ///
    /// Every byte received counts as life, so that a large message over a slow line is not taken for silence. A plugin
    /// with one thread answers no ping while a method blocks it: where methods block for longer than this, raise it, and
    /// `queue_timeout` with it. [`Duration::MAX`], here or in `ping_interval`, leaves it to the engine to find a silent
    /// plugin.
    pub ping_timeout: Duration,
    /// The engine's end: the limit for resolving the name, TCP, TLS and the upgrade altogether. Default: 5 s.
    pub connect_timeout: Duration,
    /// The plugin's end: the limit for TLS and the upgrade, from the accepted connection on. Default: 5 s.
    pub accept_timeout: Duration,
    /// How long a link that is being closed may go without progress, whichever end closes it and why; in all it takes
    /// five times as long at most. Default: 1 s.
    pub close_timeout: Duration,
    /// Bytes read at once, allocated for each link. Default: 16 KiB (tungstenite's own default of 128 KiB is much for
    /// many links). Kept between 1 KiB and 16 MiB.
    pub read_buffer: usize,
    /// Bytes gathered before they are written without a flush. Default: 16 KiB, as for `read_buffer`. A link whose peer
    /// does not read holds this much and one message, then it is not ready. Kept between 1 KiB and 16 MiB.
    pub write_buffer: usize,
}

impl Default for WsConfig {
    fn default() -> WsConfig {
        WsConfig {
            max_message: 16 * MIB,
            max_sent_message: 16 * MIB,
            ping_interval: Duration::from_secs(10),
            ping_timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(5),
            accept_timeout: Duration::from_secs(5),
            close_timeout: Duration::from_secs(1),
            read_buffer: 16 * KIB,
            write_buffer: 16 * KIB,
        }
    }
}

impl WsConfig {
    /// Sets [`max_message`](WsConfig#structfield.max_message), in bytes.
    #[must_use]
    pub fn max_message(mut self, bytes: usize) -> WsConfig {
        self.max_message = bytes;
        self
    }

    /// Sets [`max_sent_message`](WsConfig#structfield.max_sent_message), in bytes.
    #[must_use]
    pub fn max_sent_message(mut self, bytes: usize) -> WsConfig {
        self.max_sent_message = bytes;
        self
    }

    /// Sets [`ping_interval`](WsConfig#structfield.ping_interval).
    #[must_use]
    pub fn ping_interval(mut self, interval: Duration) -> WsConfig {
        self.ping_interval = interval;
        self
    }

    /// Sets [`ping_timeout`](WsConfig#structfield.ping_timeout).
    #[must_use]
    pub fn ping_timeout(mut self, timeout: Duration) -> WsConfig {
        self.ping_timeout = timeout;
        self
    }

    /// Sets [`connect_timeout`](WsConfig#structfield.connect_timeout).
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> WsConfig {
        self.connect_timeout = timeout;
        self
    }

    /// Sets [`accept_timeout`](WsConfig#structfield.accept_timeout).
    #[must_use]
    pub fn accept_timeout(mut self, timeout: Duration) -> WsConfig {
        self.accept_timeout = timeout;
        self
    }

    /// Sets [`close_timeout`](WsConfig#structfield.close_timeout).
    #[must_use]
    pub fn close_timeout(mut self, timeout: Duration) -> WsConfig {
        self.close_timeout = timeout;
        self
    }

    /// Sets [`read_buffer`](WsConfig#structfield.read_buffer), in bytes.
    #[must_use]
    pub fn read_buffer(mut self, bytes: usize) -> WsConfig {
        self.read_buffer = bytes;
        self
    }

    /// Sets [`write_buffer`](WsConfig#structfield.write_buffer), in bytes.
    #[must_use]
    pub fn write_buffer(mut self, bytes: usize) -> WsConfig {
        self.write_buffer = bytes;
        self
    }
}

#[cfg(any(feature = "client", feature = "plugin"))]
impl WsConfig {
    pub(crate) fn send_limit(&self) -> usize {
        self.max_sent_message.min(1024 * MIB)
    }

    /// What tungstenite is given. Without a `max_write_buffer_size` the pongs for a peer that pings and never reads
    /// would pile up; it has to be the larger of the two or tungstenite panics, which the bounds above see to.
    pub(crate) fn tungstenite(&self) -> WebSocketConfig {
        let write = self.write_buffer.clamp(KIB, 16 * MIB);
        WebSocketConfig::default()
            .read_buffer_size(self.read_buffer.clamp(KIB, 16 * MIB))
            .write_buffer_size(write)
            .max_write_buffer_size(write + self.send_limit() + CONTROL_ROOM)
            .max_message_size(Some(self.max_message))
            .max_frame_size(Some(self.max_message))
    }
}

#[cfg(all(test, any(feature = "client", feature = "plugin")))]
mod tests {
    use super::*;

    #[test]
    fn no_setting_makes_tungstenite_panic() {
        for bytes in [0, 1, usize::MAX] {
            let config =
                WsConfig::default().max_message(bytes).max_sent_message(bytes).read_buffer(bytes).write_buffer(bytes);
            let config = config.tungstenite();
            assert!(config.max_write_buffer_size > config.write_buffer_size);
        }
    }
}
