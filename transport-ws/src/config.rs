//! Limits and timeouts of a link.

use std::time::Duration;

#[cfg(any(feature = "client", feature = "plugin"))]
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// Space for control frames beyond a full write buffer: headers, pings, pongs and a close.
#[cfg(any(feature = "client", feature = "plugin"))]
const CONTROL_CAPACITY: usize = 4 * KIB;

/// Limits and timeouts of one link. Both ends use the same type.
///
/// ```
/// use std::time::Duration;
/// use transport_ws::WsConfig;
///
/// let config = WsConfig::default().max_message(1 << 20).ping_interval(Duration::from_secs(5));
/// assert_eq!(config.max_message, 1 << 20);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct WsConfig {
    /// The largest message accepted, in bytes, whether in one frame or in fragments. Default: 16 MiB.
    ///
    /// A larger message is answered with close code 1009 and ends the link as
    /// [`LinkEnd::TooLarge`](connector_core::LinkEnd::TooLarge). Memory is reserved when a frame's header arrives, so
    /// this also bounds the memory that a hostile peer can cause to be reserved.
    pub max_message: usize,
    /// The largest message sent, in bytes. Default: 16 MiB, which most peers accept. At most 1 GiB.
    ///
    /// Sending a larger message fails locally and leaves the link open; the peer would end the link.
    pub max_sent_message: usize,
    /// Time without received data after which a ping is sent. Default: 10 s. At least 1 ms;
    /// [`Duration::MAX`] disables pings.
    pub ping_interval: Duration,
    /// Time after a ping within which the peer must send data or accept queued data. Otherwise the link ends as
    /// [`LinkEnd::Silent`](connector_core::LinkEnd::Silent). Default: 10 s, so a silent peer is detected within 20 s.
    ///
    /// Every received byte counts as activity, so a large message over a slow line is not mistaken for silence. A
    /// single-threaded plugin does not answer pings while a method blocks its thread: if methods block for longer than
    /// this, raise it together with `queue_timeout`. [`Duration::MAX`], here or in `ping_interval`, disables detection
    /// in the transport and leaves it to the engine.
    pub ping_timeout: Duration,
    /// The engine's end: total time for name resolution, TCP, TLS and the upgrade. Default: 5 s.
    pub connect_timeout: Duration,
    /// The plugin's end: total time for TLS and the upgrade, from the accepted TCP connection. Default: 5 s.
    pub accept_timeout: Duration,
    /// Time without progress after which closing a link is abandoned, whichever end closes it. Closing takes at most
    /// five times this in total. Default: 1 s.
    pub close_timeout: Duration,
    /// The read buffer of each link, in bytes. Default: 16 KiB, because tungstenite's 128 KiB adds up over many links.
    /// Clamped to 1 KiB to 16 MiB.
    pub read_buffer: usize,
    /// Bytes buffered before a write without a flush. Default: 16 KiB. A link whose peer does not read buffers this
    /// much and one message before it applies back-pressure. Clamped to 1 KiB to 16 MiB.
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
    /// Sets [`max_message`](WsConfig#structfield.max_message), in bytes. Default: 16 MiB.
    #[must_use]
    pub fn max_message(mut self, bytes: usize) -> WsConfig {
        self.max_message = bytes;
        self
    }

    /// Sets [`max_sent_message`](WsConfig#structfield.max_sent_message), in bytes. Default: 16 MiB; at most 1 GiB.
    #[must_use]
    pub fn max_sent_message(mut self, bytes: usize) -> WsConfig {
        self.max_sent_message = bytes;
        self
    }

    /// Sets [`ping_interval`](WsConfig#structfield.ping_interval). Default: 10 s; at least 1 ms.
    #[must_use]
    pub fn ping_interval(mut self, interval: Duration) -> WsConfig {
        self.ping_interval = interval;
        self
    }

    /// Sets [`ping_timeout`](WsConfig#structfield.ping_timeout). Default: 10 s.
    #[must_use]
    pub fn ping_timeout(mut self, timeout: Duration) -> WsConfig {
        self.ping_timeout = timeout;
        self
    }

    /// Sets [`connect_timeout`](WsConfig#structfield.connect_timeout). Default: 5 s.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> WsConfig {
        self.connect_timeout = timeout;
        self
    }

    /// Sets [`accept_timeout`](WsConfig#structfield.accept_timeout). Default: 5 s.
    #[must_use]
    pub fn accept_timeout(mut self, timeout: Duration) -> WsConfig {
        self.accept_timeout = timeout;
        self
    }

    /// Sets [`close_timeout`](WsConfig#structfield.close_timeout). Default: 1 s.
    #[must_use]
    pub fn close_timeout(mut self, timeout: Duration) -> WsConfig {
        self.close_timeout = timeout;
        self
    }

    /// Sets [`read_buffer`](WsConfig#structfield.read_buffer), in bytes. Default: 16 KiB; clamped to 1 KiB to 16 MiB.
    #[must_use]
    pub fn read_buffer(mut self, bytes: usize) -> WsConfig {
        self.read_buffer = bytes;
        self
    }

    /// Sets [`write_buffer`](WsConfig#structfield.write_buffer), in bytes. Default: 16 KiB; clamped to 1 KiB to 16 MiB.
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

    /// `max_write_buffer_size` bounds the pongs queued for a peer that pings and never reads. tungstenite panics
    /// unless it exceeds `write_buffer_size`, which the clamps guarantee.
    pub(crate) fn tungstenite(&self) -> WebSocketConfig {
        let write = self.write_buffer.clamp(KIB, 16 * MIB);
        WebSocketConfig::default()
            .read_buffer_size(self.read_buffer.clamp(KIB, 16 * MIB))
            .write_buffer_size(write)
            .max_write_buffer_size(write + self.send_limit() + CONTROL_CAPACITY)
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
