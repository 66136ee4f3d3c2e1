//! The traits that a transport implements: [`Link`], and the connectors that make links at either end.
//!
//! A connector converts between frames and [`Message`]s and reports how its link ended. Handshakes, methods and queues
//! are handled by the core.

mod connect_error;
mod failed_write;
mod inbox;

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use thiserror::Error;

pub use self::connect_error::ConnectError;
pub use self::failed_write::FailedWrite;
pub use self::inbox::Inbox;
use crate::wire::{DecodeError, Message, PayloadError};

/// How a link ended.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum LinkEnd {
    /// The peer closed the link gracefully.
    #[error("closed by the other end{}", ClosedBy(.code, .reason))]
    Closed {
        /// The transport's code, where it has one (a websocket's close code).
        code: Option<u16>,
        /// The reason given by the peer.
        reason: String,
    },
    /// The link broke: a reset, an end without a close, a failed read or write.
    #[error(transparent)]
    Lost(Arc<dyn std::error::Error + Send + Sync>),
    /// The link ended earlier, and the last attempt to reconnect failed.
    #[error("unreachable: {0}")]
    Unreachable(ConnectError),
    /// The plugin handshake was not completed in time: at the engine's end the plugin did not answer it, at the plugin's
    /// end the engine did not begin it ([`ClientConfig::handshake_timeout`](crate::ClientConfig::handshake_timeout)).
    #[error("no plugin handshake within {0:?}")]
    NoHandshake(Duration),
    /// The handshake was answered with an error.
    #[error("the handshake was refused: {0}")]
    BadHandshake(String),
    /// Nothing arrived for at least this long, including keepalives. Reported by transports with a keepalive, and by the
    /// engine for others (see [`PluginOptions::health_interval`](crate::PluginOptions::health_interval)).
    #[error("silent for {0:?}")]
    Silent(Duration),
    /// The peer violated the transport's own protocol.
    #[error("invalid frame: {0}")]
    BadFrame(String),
    /// A frame was larger than the limit.
    #[error("a frame exceeds the limit of {limit} bytes")]
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
    /// The peer did not keep up: its queue was full and made no progress for this long, or exceeded the hard limit. See
    /// [`QueueLimits`](crate::QueueLimits).
    #[error("too slow: its queue overflowed, or it accepted no data for {0:?}")]
    TooSlow(Duration),
    /// This end closed the link: the plugin was deactivated, or a handle dropped.
    #[error("closed by this end")]
    Disconnected,
}

struct ClosedBy<'a>(&'a Option<u16>, &'a String);

impl fmt::Display for ClosedBy<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(code) = self.0 {
            write!(f, " with code {code}")?;
        }
        match self.1.is_empty() {
            true => Ok(()),
            false => write!(f, " ({})", self.1),
        }
    }
}

impl LinkEnd {
    /// A link that broke with `error`.
    pub fn lost(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> LinkEnd {
        LinkEnd::Lost(Arc::from(error.into()))
    }
}

/// The error inside [`LinkEnd::Lost`] when a plugin's end of a link ends because the plugin panicked outside of a method,
/// for example in its activation hook. (A panic in a method is an error of that call.)
#[derive(Debug, Clone, Error)]
#[error("the plugin panicked: {0}")]
pub struct PluginPanicked(pub String);

/// A [`LinkEnd::Unreachable`].
impl From<ConnectError> for LinkEnd {
    fn from(error: ConnectError) -> LinkEnd {
        LinkEnd::Unreachable(error)
    }
}

/// A failed read or write: the link broke.
impl From<std::io::Error> for LinkEnd {
    fn from(error: std::io::Error) -> LinkEnd {
        LinkEnd::lost(error)
    }
}

/// Why a message was not sent.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum SendError {
    /// The message cannot be serialized; the link remains usable.
    #[error(transparent)]
    Payload(#[from] PayloadError),
    /// The link has ended.
    #[error(transparent)]
    Ended(#[from] LinkEnd),
}

impl From<std::io::Error> for SendError {
    fn from(error: std::io::Error) -> SendError {
        SendError::Ended(error.into())
    }
}

/// Turns a failed send into the end of the link.
impl From<SendError> for LinkEnd {
    fn from(error: SendError) -> LinkEnd {
        match error {
            SendError::Ended(end) => end,
            SendError::Payload(error) => LinkEnd::lost(error),
        }
    }
}

/// An established link, seen from either end.
///
/// # Contract
/// The conformance suite (crate `conformance`) checks each rule, and a failing case quotes it.
///
/// - **Order**: messages arrive in the order they were sent, each once, whole or not at all.
/// - **Ready before send**: [`send`](Link::send) is called only after [`poll_ready`](Link::poll_ready) was ready. It may
///   buffer the message until [`poll_flush`](Link::poll_flush).
/// - **Back-pressure**: a link that is not ready blocks its sender and does not buffer without bound. It
///   accepts at least 50 small messages that the peer has not read.
/// - **Size**: `send` rejects a message that exceeds the size limit with [`SendError::Payload`], which names the limit. No
///   message is dropped silently.
/// - **Flush**: once `poll_flush` is ready, all accepted messages are on their way without further calls by the sender.
/// - **Both ways at once**: receiving continues while sending is not ready, and vice versa. One task polls both.
/// - **Wakers**: a pending method wakes the task that polled it last. The sending methods (`poll_ready`, `poll_flush`,
///   `poll_disconnect`) may share one waker; [`poll_message`](Link::poll_message) keeps a separate one, since the two may
///   be polled with different wakers. A waiting link lets its task sleep: apart from timers, it wakes the task only when
///   something has changed.
/// - **Memory**: a link retains nothing of a message that has been sent and received.
/// - **End**: a link lives until one end closes it or it breaks. Once any method has reported the end, all others report
///   the same end, and nothing more arrives. Messages that arrived before the end are delivered first. A failed write
///   therefore stays pending until reading has ended ([`FailedWrite`]).
/// - **Kinds of end**: after a graceful close the other end reports [`LinkEnd::Closed`], even with unread or unsent
///   messages at either end. A broken link is [`LinkEnd::Lost`], a silent peer is [`LinkEnd::Silent`], a frame over the
///   limit is [`LinkEnd::TooLarge`], other violations of the protocol are [`LinkEnd::BadFrame`]. A transport that
///   cannot tell a close from a loss may report `Closed` for both. The text of an end is never empty.
/// - **Disconnect**: [`poll_disconnect`](Link::poll_disconnect) flushes, closes gracefully and is ready within a time limit
///   of the transport, whatever the peer does. As long as the peer keeps reading at least every 500 ms, everything
///   arrives, up to 2 s after the call; a peer that reads nothing may be abandoned sooner. Unread messages at this end
///   are discarded and do not destroy outgoing ones. The core gives up after 10 s.
/// - **Drop**: dropping the link closes it at once, without waiting. Flushed messages still arrive, unless something was
///   left unread at this end. The other end reports `Closed` or `Lost`.
/// - **Bad frames** are delivered as errors, in order; they do not end the link unless the transport's own protocol
///   requires it.
/// - **Progress**: the core closes a link that makes no progress for
///   [`stall_timeout`](crate::QueueLimits::stall_timeout) while its queue is full. Accepted messages and completed
///   flushes are progress, and so is every byte in [`traffic`](Link::traffic). A transport over a slow line should count
///   bytes, or a large message in transit looks like a stall.
/// - **Silence**: a transport that ends the link of a silent peer itself reports this in
///   [`notices_silence`](Link::notices_silence). Over any other transport the engine probes the plugin.
/// - **No panics** on any input, and no unbounded allocation: a length is checked before it is trusted.
///
/// In return, the core ends a link only if the peer makes no progress for a while ([`LinkEnd::TooSlow`]); a slow but
/// steady peer keeps its link.
///
/// Names in the published packages: `send` is the same; `on` and `getMessage` are [`poll_message`](Link::poll_message);
/// `disconnect` is [`poll_disconnect`](Link::poll_disconnect). [`FramedLink`](crate::FramedLink) makes a link from any
/// `Stream + Sink` of messages.
pub trait Link: Send + 'static {
    /// Ready when the link accepts another message.
    ///
    /// # Errors
    /// How the link ended.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkEnd>>;

    /// Accepts a message. Does not wait.
    ///
    /// # Errors
    /// The message cannot be serialized (the link remains usable), or the link has ended.
    fn send(&mut self, message: Message) -> Result<(), SendError>;

    /// Ready when all accepted messages have been passed to the transport.
    ///
    /// # Errors
    /// How the link ended.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkEnd>>;

    /// The next message, or the error of a frame that is not a message.
    ///
    /// # Errors
    /// How the link ended.
    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Result<Result<Message, DecodeError>, LinkEnd>>;

    /// Ready when the link is closed, gracefully if the peer cooperates.
    fn poll_disconnect(&mut self, cx: &mut Context<'_>) -> Poll<()>;

    /// The bytes transferred over this link, as counted by the transport. Default: no counting, so that only complete
    /// messages count as progress.
    ///
    /// A link that wraps another forwards this. Called rarely; must not block.
    fn traffic(&self) -> Traffic {
        Traffic::default()
    }

    /// Whether this link ends on its own, as [`LinkEnd::Silent`], when the peer is silent, because the transport has a
    /// keepalive. Default: `false`, and the engine probes the plugin with a repeated handshake
    /// ([`health_interval`](crate::PluginOptions::health_interval)).
    ///
    /// A link that wraps another forwards this. The result must not change while the link is up.
    fn notices_silence(&self) -> bool {
        false
    }

    /// The largest message that this link carries in either direction, in bytes. Default: `None`, unknown or unlimited.
    ///
    /// The memory budget of the link's peer ([`PluginOptions::memory_limit`](crate::PluginOptions::memory_limit),
    /// [`ClientConfig::memory_limit`](crate::ClientConfig::memory_limit)) holds at least four of them, of which it sets
    /// aside two: for the frame that is being received and the one that is being written. A link should hold no more
    /// than that. A link that wraps another forwards this. Called once, when the link is up.
    fn max_message(&self) -> Option<usize> {
        None
    }

    /// Whether messages cross this link as they are, so that values in their payloads are not serialized. Default: `false`.
    ///
    /// A link that wraps another forwards this. An engine's observers learn it with each message.
    fn moves_values(&self) -> bool {
        false
    }

    /// Called once at the plugin's end, when the engine has performed the plugin handshake. Default: nothing happens.
    ///
    /// Until then a link made by [`ClientConnector::accept`] may limit what it receives (to no less than 64 KiB), and may
    /// be closed in favour of a newer one, so that a peer which proves nothing does not keep engines out. A link that
    /// wraps another forwards this.
    fn handshake_completed(&self) {}
}

/// The bytes transferred over a [`Link`] since it was made, in each direction; see [`Link::traffic`].
///
/// The overhead of the transport's own frames may be included or not. A count must grow while data is transferred, and
/// stay constant otherwise.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes read from the transport.
    pub received: u64,
    /// Bytes accepted by the transport.
    pub sent: u64,
}

/// The plugin's side of a transport, where engines reach the plugin. "Client" is the term of the published packages: the
/// plugin is the engine's client even where it runs the server.
#[async_trait]
pub trait ClientConnector: Send + 'static {
    /// Returns the next engine's link, without waiting for a message from the engine. A transport with a single engine,
    /// such as a pipe, returns one link and then [`LinkEnd::Closed`]. One engine never blocks another: a silent connection
    /// stays pending while others are accepted. Cancel safe: a link in progress is not lost.
    ///
    /// # Errors
    /// The reason why there will be no more links. A single engine that fails to connect is not an error here: the
    /// transport traces it and continues.
    async fn accept(&mut self) -> Result<Box<dyn Link>, LinkEnd>;

    /// Called once when a graceful stop begins ([`Serving::until`](crate::Serving::until)). From now on the links that
    /// [`accept`](ClientConnector::accept) returns are closed at once, so a transport that lets engines choose among several
    /// ends of a plugin, such as a broker, takes this one out of the choice. Must not block. Default: nothing happens.
    fn stopping(&mut self) {}
}

/// The engine's side of a transport, which reaches one plugin.
#[async_trait]
pub trait PluginConnector: Send + 'static {
    /// Makes a new link to the plugin at `url` (the profile's, after `transform_url`). Called at activation, and again
    /// after each loss while the plugin is active; the previous link is dropped first. Bounded by the transport's own
    /// time limit, and completes without a message from the plugin. Engines that connect concurrently get separate links,
    /// each with a matching pair of ends. Cancel safe: dropping the future releases everything it has opened.
    ///
    /// # Errors
    /// If no peer is reachable, connecting fails within that limit. The variant says whether the engine tries again:
    /// [`ConnectError::Refused`] fails an activation, but reconnects of a lost link continue. [`ConnectError::GivenUp`]
    /// also stops those. A connection attempt without an answer in time is [`ConnectError::TimedOut`], an answer that
    /// breaks the transport's protocol [`ConnectError::Protocol`], any other failure [`ConnectError::Failed`]. The text
    /// says how to fix the problem, and is never empty.
    async fn connect(&mut self, url: &str) -> Result<Box<dyn Link>, ConnectError>;

    /// Called once, before anything else, when the connector is registered for `plugin`, so that its traces can name
    /// the plugin. Most connectors do nothing here.
    fn registered(&mut self, plugin: &str) {
        let _ = plugin;
    }

    /// Called when the plugin is being activated. [`connect`](PluginConnector::connect) follows, and earlier failures no
    /// longer count. Most connectors do nothing here.
    fn activated(&mut self) {}
}
