//! Limits and timeouts of a link.

use std::time::Duration;

#[cfg(any(feature = "client", feature = "plugin"))]
use connector_core::BadSetting;
#[cfg(any(feature = "client", feature = "plugin"))]
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// Space for control frames beyond a full write buffer: headers, pings, pongs and a close.
#[cfg(any(feature = "client", feature = "plugin"))]
const CONTROL_CAPACITY: usize = 4 * KIB;

/// Limits and timeouts of one link. Both ends use the same type. A value with which nothing can work (a limit of 0, a time
/// below 1 ms, a value outside of its documented range) is an error of `bind`, and of dialling.
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
    /// The largest message sent, in bytes. Default: 16 MiB, which most peers accept. At most
    /// 1 GiB.
    ///
    /// Sending a larger message fails locally and leaves the link open; the peer would end the link.
    pub max_sent_message: usize,
    /// Time without received data after which a ping is sent. Default: 10 s. [`Duration::MAX`] disables pings.
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
    /// From 1 KiB to 16 MiB.
    pub read_buffer: usize,
    /// Bytes buffered before a write without a flush. Default: 16 KiB. A link whose peer does not read buffers this
    /// much and one message before it applies back-pressure. From 1 KiB to 16 MiB.
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

    /// Sets [`ping_interval`](WsConfig#structfield.ping_interval). Default: 10 s.
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

    /// Sets [`read_buffer`](WsConfig#structfield.read_buffer), in bytes. Default: 16 KiB; from 1 KiB to 16 MiB.
    #[must_use]
    pub fn read_buffer(mut self, bytes: usize) -> WsConfig {
        self.read_buffer = bytes;
        self
    }

    /// Sets [`write_buffer`](WsConfig#structfield.write_buffer), in bytes. Default: 16 KiB; from 1 KiB to 16 MiB.
    #[must_use]
    pub fn write_buffer(mut self, bytes: usize) -> WsConfig {
        self.write_buffer = bytes;
        self
    }
}

#[cfg(any(feature = "client", feature = "plugin"))]
impl WsConfig {
    /// # Errors
    /// A setting with which no link can work.
    pub(crate) fn check(&self) -> Result<(), BadSetting> {
        BadSetting::not_zero("WsConfig::max_message", self.max_message)?;
        BadSetting::within("WsConfig::max_sent_message", self.max_sent_message, 1..=1024 * MIB)?;
        BadSetting::within("WsConfig::read_buffer", self.read_buffer, KIB..=16 * MIB)?;
        BadSetting::within("WsConfig::write_buffer", self.write_buffer, KIB..=16 * MIB)?;
        BadSetting::lasts("WsConfig::ping_interval", self.ping_interval)?;
        BadSetting::lasts("WsConfig::ping_timeout", self.ping_timeout)?;
        BadSetting::lasts("WsConfig::connect_timeout", self.connect_timeout)?;
        BadSetting::lasts("WsConfig::accept_timeout", self.accept_timeout)
    }

    /// `max_write_buffer_size` bounds the pongs queued for a peer that pings and never reads. tungstenite panics
    /// unless it exceeds `write_buffer_size`. The sum does not overflow for settings that have been checked.
    pub(crate) fn tungstenite(&self) -> WebSocketConfig {
        WebSocketConfig::default()
            .read_buffer_size(self.read_buffer)
            .write_buffer_size(self.write_buffer)
            .max_write_buffer_size(self.write_buffer + self.max_sent_message + CONTROL_CAPACITY)
            .max_message_size(Some(self.max_message))
            .max_frame_size(Some(self.max_message))
    }
}

#[cfg(all(test, any(feature = "client", feature = "plugin")))]
mod tests {
    use super::*;

    #[test]
    fn no_accepted_setting_makes_tungstenite_panic() {
        for (sent, buffer) in [(1, KIB), (1, 16 * MIB), (1024 * MIB, KIB), (1024 * MIB, 16 * MIB)] {
            let config = WsConfig::default().max_message(usize::MAX).max_sent_message(sent);
            let config = config.read_buffer(buffer).write_buffer(buffer);
            config.check().unwrap();
            let config = config.tungstenite();
            assert!(config.max_write_buffer_size > config.write_buffer_size);
        }
    }

    #[test]
    fn a_setting_that_cannot_work_is_an_error() {
        type Set<T> = fn(WsConfig, T) -> WsConfig;
        let bytes: [(&str, Set<usize>, &[usize]); 4] = [
            ("max_message", WsConfig::max_message, &[0]),
            ("max_sent_message", WsConfig::max_sent_message, &[0, (1 << 30) + 1, usize::MAX]),
            ("read_buffer", WsConfig::read_buffer, &[0, 1023, (16 << 20) + 1, usize::MAX]),
            ("write_buffer", WsConfig::write_buffer, &[0, 1023, (16 << 20) + 1, usize::MAX]),
        ];
        for (name, set, values) in bytes {
            for value in values {
                let error = set(WsConfig::default(), *value).check().unwrap_err().to_string();
                assert!(error.starts_with(&format!("WsConfig::{name} is {value}")), "{error}");
            }
        }
        let times: [(&str, Set<Duration>); 4] = [
            ("ping_interval", WsConfig::ping_interval),
            ("ping_timeout", WsConfig::ping_timeout),
            ("connect_timeout", WsConfig::connect_timeout),
            ("accept_timeout", WsConfig::accept_timeout),
        ];
        for (name, set) in times {
            let error = set(WsConfig::default(), Duration::ZERO).check().unwrap_err().to_string();
            assert!(error.starts_with(&format!("WsConfig::{name} is 0ns")), "{error}");
            set(WsConfig::default(), Duration::MAX).check().unwrap();
        }
        // Closes at once.
        WsConfig::default().close_timeout(Duration::ZERO).check().unwrap();
    }
}
