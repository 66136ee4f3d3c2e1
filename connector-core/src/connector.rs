//! What a transport implements: a [`Link`] that is up, and who makes links at either end.
//!
//! A connector turns frames into [`Message`]s and back and says how its link ended. It knows no handshake, no method
//! and no queue; all of that is the core's.

mod connect_error;

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use thiserror::Error;

pub use self::connect_error::ConnectError;
use crate::wire::{DecodeError, Message, PayloadError};

/// How a link ended.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum LinkEnd {
    /// The other end closed it in order.
    #[error("closed by the other end{}", ClosedBy(.code, .reason))]
    Closed {
        /// The transport's code, where it has one (a websocket's close code).
        code: Option<u16>,
        /// What the other end said.
        reason: String,
    },
    /// It broke: a reset, an end without a close, a failed read or write.
    #[error(transparent)]
    Lost(Arc<dyn std::error::Error + Send + Sync>),
    /// It ended earlier, and the last attempt to connect again failed.
    #[error("unreachable: {0}")]
    Unreachable(ConnectError),
    /// There was a link, but the handshake was not answered.
    #[error("no answer to the handshake within {0:?}")]
    NoHandshake(Duration),
    /// The handshake was answered with an error.
    #[error("the handshake was refused: {0}")]
    BadHandshake(String),
    /// Nothing came for at least this long, keepalives included: a transport that looks after that itself says so, and
    /// so does the engine for one that does not (see
    /// [`PluginOptions::health_interval`](crate::PluginOptions::health_interval)).
    #[error("silent for {0:?}")]
    Silent(Duration),
    /// What came breaks the transport's own protocol.
    #[error("a bad frame: {0}")]
    BadFrame(String),
    /// A frame was larger than the limit.
    #[error("a frame over the limit of {limit} bytes")]
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
    /// The other end did not keep up: its queue was full and it took nothing for this long, or more waited for it than
    /// may at the very most. See [`QueueLimits`](crate::QueueLimits).
    #[error("too slow: more waited for it than may, or it took nothing for {0:?}")]
    TooSlow(Duration),
    /// This end closed it: the plugin was deactivated, or a handle dropped.
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
    /// A link that broke with this error.
    pub fn lost(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> LinkEnd {
        LinkEnd::Lost(Arc::from(error.into()))
    }
}

/// The error of the [`LinkEnd::Lost`] with which a plugin's own end of a link ends when the plugin panics outside of a
/// method, for example in its activation hook. (A method's panic is that call's error.)
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
    /// This message cannot be serialized; the link is unharmed.
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

/// One link that is up, seen from either end.
///
/// # Contract
/// Each rule is checked by the conformance suite (crate `conformance`), and a case that fails quotes it.
///
/// - **Order**: messages arrive in the order they were sent, each once, whole or not at all.
/// - **Ready before send**: [`send`](Link::send) is called only after [`poll_ready`](Link::poll_ready) was ready; it may
///   keep the message back until [`poll_flush`](Link::poll_flush).
/// - **Back-pressure**: a link that is not ready pushes back on its sender; it does not buffer without bound. It takes
///   at least 50 small messages that the other end has not read.
/// - **Size**: a message that is too large to be sent is refused by `send` as [`SendError::Payload`], which names the
///   limit; no message is dropped silently.
/// - **Flush**: once `poll_flush` is ready, what was taken is on its way; nothing more has to be asked of the sender.
/// - **Both ways at once**: receiving goes on while sending is not ready, and the other way round. One task polls both.
/// - **Wakers**: a method that is pending wakes the task that polled it last. The sending methods (`poll_ready`,
///   `poll_flush`, `poll_disconnect`) may share one waker; [`poll_message`](Link::poll_message) keeps another, since the
///   two may be polled with different ones. A link that waits lets its task sleep: timers aside, it is woken only when
///   something has changed.
/// - **Memory**: a link keeps nothing of a message that has been sent and received.
/// - **End**: a link lives until one end closes it or it breaks. Then, once any method has said how the link ended, so do
///   all others, and nothing more arrives. What arrived before the end is handed out first. A failed write therefore
///   stays pending until reading has ended.
/// - **Kinds of end**: after a close in order the other end says [`LinkEnd::Closed`], whatever was unread or unsent at
///   either end. A broken link is [`LinkEnd::Lost`], a peer that stays silent is [`LinkEnd::Silent`], a frame over the
///   limit is [`LinkEnd::TooLarge`], other violations of the protocol are [`LinkEnd::BadFrame`]. A transport that
///   cannot tell a close from a loss may say `Closed` for both. The text of an end is never empty.
/// - **Disconnect**: [`poll_disconnect`](Link::poll_disconnect) flushes, closes in order and is ready within a bound of
///   the transport's own, whatever the other end does. As long as the other end goes on taking something at least
///   every 500 ms, all of it arrives, up to 2 s after the call; an end that takes nothing may be given up sooner. What
///   this end has not read does not matter: it is discarded, and destroys nothing on its way out. The core gives up
///   after 10 s.
/// - **Drop**: dropping the link closes it at once, without waiting. What was flushed arrives even then, unless
///   something was left unread at this end. The other end says `Closed` or `Lost`.
/// - **Bad frames** are handed out as errors, in their place; they do not end the link unless the transport's own
///   protocol says so.
/// - **Progress**: a link that takes nothing for [`stall_timeout`](crate::QueueLimits::stall_timeout) while its queue is
///   full is closed by the core. A message taken and a flush completed are progress; so is every byte in
///   [`traffic`](Link::traffic), which a transport over a slow line should count, or a large message on its way looks
///   like a standstill.
/// - **Silence**: a transport that ends its links by itself when the other end has gone silent says so in
///   [`notices_silence`](Link::notices_silence). For any other the engine asks the plugin for a sign of life.
/// - **No panics** on anything that comes in, and no unbounded allocation: a length is checked before it is believed.
///
/// The core asks one thing in return: it ends a link only if the other end has taken nothing for a while
/// ([`LinkEnd::TooSlow`]); an end that is slow but steady is left alone.
///
/// The seeds' names: `send` is theirs; `on` and `getMessage` are [`poll_message`](Link::poll_message); `disconnect` is
/// [`poll_disconnect`](Link::poll_disconnect). [`FramedLink`](crate::FramedLink) makes a link of any `Stream + Sink` of
/// messages.
pub trait Link: Send + 'static {
    /// Ready when the link takes one more message.
    ///
    /// # Errors
    /// How the link ended.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkEnd>>;

    /// Takes one message. Does not wait.
    ///
    /// # Errors
    /// The message cannot be serialized (the link lives on), or the link has ended.
    fn send(&mut self, message: Message) -> Result<(), SendError>;

    /// Ready when all that was taken has been handed to the transport.
    ///
    /// # Errors
    /// How the link ended.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkEnd>>;

    /// The next message, or a frame that is none.
    ///
    /// # Errors
    /// How the link ended.
    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Result<Result<Message, DecodeError>, LinkEnd>>;

    /// Ready when the link is closed, in order if the other end plays along.
    fn poll_disconnect(&mut self, cx: &mut Context<'_>) -> Poll<()>;

    /// The bytes that have crossed this link, as far as the transport counts them. Default: none, and then only whole
    /// messages show that the link is alive.
    ///
    /// A link around another passes this on. Asked seldom, and must not block.
    fn traffic(&self) -> Traffic {
        Traffic::default()
    }

    /// Whether this link ends by itself, as [`LinkEnd::Silent`], when the other end has gone silent: because the
    /// transport has a keepalive. Default: it does not, and the engine's end asks the plugin for a sign of life
    /// ([`health_interval`](crate::PluginOptions::health_interval)), by a repeated handshake.
    ///
    /// A link around another passes this on. The answer must not change while the link is up.
    fn notices_silence(&self) -> bool {
        false
    }
}

/// The bytes that have crossed a [`Link`] since it was made, each way; see [`Link::traffic`].
///
/// The transport's own frames may be counted or left out. What matters is that a count grows while something crosses,
/// and stands still while nothing does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes read from the transport.
    pub received: u64,
    /// Bytes that the transport has taken.
    pub sent: u64,
}

/// The plugin's end of a transport: where engines reach the plugin. "Client" as in the published packages: the plugin
/// is the engine's client even where it runs the server.
#[async_trait]
pub trait ClientConnector: Send + 'static {
    /// The next engine's link, as often as it is asked for. A transport with one engine, such as a pipe, gives one link
    /// and then [`LinkEnd::Closed`]. It completes without a message from the engine. One engine never holds up another:
    /// a connection that stays silent is left waiting while others are accepted. Cancel safe: a link that was being made
    /// is not lost.
    ///
    /// # Errors
    /// There will be no more links, and why. A single engine that fails to connect is not an error here: the
    /// transport traces it and goes on.
    async fn accept(&mut self) -> Result<Box<dyn Link>, LinkEnd>;
}

/// The engine's end of a transport: how the engine reaches one plugin.
#[async_trait]
pub trait PluginConnector: Send + 'static {
    /// Makes a new link to the plugin at `url` (the profile's, after `transform_url`). Called at activation, and again
    /// after each loss for as long as the plugin is active; the link before has been dropped by then. Bounded by the
    /// transport's own time limit. Completes without a message from the plugin. Engines that dial at the same time get a
    /// link each, and both ends of a link are each other's. Cancel safe: dropping the future drops what it had made, and
    /// leaves nothing open.
    ///
    /// # Errors
    /// If the plugin cannot be reached, connecting fails within that limit. The variant says whether the engine tries
    /// again: [`ConnectError::Refused`] fails an activation, but a link that was lost is still retried;
    /// [`ConnectError::GivenUp`] ends that as well. An attempt that is not answered in time is
    /// [`ConnectError::TimedOut`], an answer that breaks the transport's protocol [`ConnectError::Protocol`], any other
    /// failure [`ConnectError::Failed`]. The text says what to put right, and is never empty.
    async fn connect(&mut self, url: &str) -> Result<Box<dyn Link>, ConnectError>;

    /// It has been registered as this plugin's, once, before anything else: for traces that name the plugin. Most
    /// connectors have nothing to do here.
    fn registered(&mut self, plugin: &str) {
        let _ = plugin;
    }

    /// The plugin is being activated: [`connect`](PluginConnector::connect) follows, and nothing that went wrong before
    /// counts any more. Most connectors have nothing to do here.
    fn activated(&mut self) {}
}
