//! Serving a local socket: from a plugin for its engines, or from an engine for its plugin.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

#[cfg(feature = "client")]
use connector_core::{ClientConfig, ClientConnector, Plugin, Serving, async_trait};
use connector_core::{DecodeError, Link, LinkEnd, Message, SendError, TraceLimit, Traffic};
use tokio::time::Sleep;
use transport_server::{Admission, MAX_PENDING_BYTES, Ticket};

use super::config::LocalConfig;
use super::error::BindError;
use super::name::LocalName;
use super::os;
use crate::codec::Stray;
use crate::link::{LineLink, limited_line_link};

/// The delay after the listener fails, for example because no file descriptor is free.
const BACKOFF: Duration = Duration::from_millis(100);

/// Listens at a local socket and makes a link from each connection of the same user.
///
/// It is the plugin's end, as a [`ClientConnector`](connector_core::ClientConnector) (feature `client`), or the end of an
/// engine that waits for its plugin to dial. Connections are accepted while [`accept_link`](LocalServer::accept_link) is
/// awaited; until then they wait in the system's backlog. Connections of other users, and those past
/// [`max_connections`](LocalConfig#structfield.max_connections), are closed and traced. Dropping the server stops
/// listening and removes the socket; its links stay up.
///
/// As a `ClientConnector`, it makes links that may receive 64 KiB until the engine has performed the plugin handshake.
#[derive(Debug)]
#[must_use = "dropping it stops listening"]
pub struct LocalServer {
    listener: os::Listener,
    name: LocalName,
    /// The name in a form that is valid in any environment.
    address: LocalName,
    config: LocalConfig,
    admission: Admission,
    pause: Option<Pin<Box<Sleep>>>,
    refusals: TraceLimit,
}

impl LocalServer {
    /// Listens at `name`. Must be called within a tokio runtime.
    ///
    /// On Unix the socket's mode is 0600. The file `<socket>.lock` beside it is locked for as long as the server lives,
    /// and stays afterwards; a crashed server's socket is removed first.
    ///
    /// # Errors
    /// [`BindError::InUse`] if a live server has the name, [`BindError::NotPrivate`] if others could access the socket or
    /// the path is not a socket, [`BindError::Name`] if the path is too long, [`BindError::Setting`] if a setting cannot
    /// work, [`BindError::Io`].
    pub fn bind(name: &LocalName, config: LocalConfig) -> Result<LocalServer, BindError> {
        config.check()?;
        let listener = os::Listener::bind(name)?;
        // Each connection takes a place at once or is closed, which bounds the pending ones, too.
        let admission = Admission::new(usize::MAX, config.max_connections, None);
        let address = listener.address().unwrap_or_else(|| name.clone());
        Ok(LocalServer {
            listener,
            name: name.clone(),
            address,
            config,
            admission,
            pause: None,
            refusals: TraceLimit::default(),
        })
    }

    /// The name it listens at.
    pub fn name(&self) -> &LocalName {
        &self.name
    }

    /// The `url` for the plugin's profile: `local:` and, on Unix, the socket's absolute path. This way it also works for an
    /// engine whose environment puts bare names in another directory (`TMPDIR`, `XDG_RUNTIME_DIR`).
    pub fn url(&self) -> String {
        self.address.to_url()
    }

    /// The name to dial from another environment.
    #[cfg_attr(not(feature = "plugin"), allow(dead_code))]
    pub(crate) fn address(&self) -> &LocalName {
        &self.address
    }

    /// The next connection's link, for an engine that waits for its plugin to dial: the limits before the plugin handshake
    /// do not apply. Failures concern one peer or are temporary, and are traced. Cancel safe: no connection is lost.
    pub async fn accept_link(&mut self) -> Box<dyn Link> {
        let link = self.accept_pending().await;
        link.handshake_completed();
        link
    }

    async fn accept_pending(&mut self) -> Box<dyn Link> {
        loop {
            if let Some(pause) = &mut self.pause {
                pause.as_mut().await;
                self.pause = None;
            }
            match self.listener.accept().await {
                Ok(stream) => {
                    if let Some(link) = self.admit(stream) {
                        return link;
                    }
                }
                Err(error) if is_peer_error(&error) => {
                    tracing::debug!(%error, "a connection failed before it was accepted")
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept connections; trying again in {BACKOFF:?}");
                    self.pause = Some(Box::pin(tokio::time::sleep(BACKOFF)));
                }
            }
        }
    }

    fn admit(&self, stream: os::Stream) -> Option<Box<dyn Link>> {
        if let Err(error) = os::check_peer(&stream) {
            if let Some(left_out) = self.refusals.pass() {
                tracing::warn!(name = %self.name, error, left_out, "closed a connection");
            }
            return None;
        }
        let ticket = self.admission.enter(None);
        if ticket.take_place().is_err() {
            let limit = self.config.max_connections;
            if let Some(left_out) = self.refusals.pass() {
                tracing::warn!(name = %self.name, limit, left_out, "closed a connection: LocalConfig::max_connections is reached");
            }
            return None;
        }
        tracing::debug!(name = %self.name, "accepted a connection");
        let limit = Arc::new(AtomicU64::new(MAX_PENDING_BYTES));
        let link = limited_line_link(stream, &self.config.ipc, Stray::Report, Arc::clone(&limit));
        Some(Box::new(Counted { link, ticket, pending: Cell::new(true), limit }))
    }
}

/// Returns links as engines dial. Never an error: failures either concern one engine or are temporary.
#[cfg(feature = "client")]
#[async_trait]
impl ClientConnector for LocalServer {
    async fn accept(&mut self) -> Result<Box<dyn Link>, LinkEnd> {
        Ok(self.accept_pending().await)
    }
}

/// Serves a plugin at the local socket `name` (see [`LocalName::parse`]) with the defaults. Returns the URL for engines
/// and the serving future, which must be spawned. `plugin` is called for each engine that connects. Must be called within
/// a tokio runtime.
///
/// [`Serving::until`] stops it gracefully; dropping the future closes every link at once. Either way the socket is
/// removed. For other limits use [`serve_with`].
///
/// # Errors
/// As [`LocalServer::bind`], and [`BindError::Name`] if `name` is invalid.
#[cfg(feature = "client")]
pub fn serve<P>(name: &str, plugin: P) -> Result<(String, Serving), BindError>
where
    P: Fn() -> Plugin + Send + 'static,
{
    serve_with(name, plugin, LocalConfig::default())
}

/// As [`serve`], with a configuration. For another [`ClientConfig`], use [`LocalServer::bind`] and
/// [`connector_core::serve`].
///
/// # Errors
/// As [`serve`].
#[cfg(feature = "client")]
pub fn serve_with<P>(name: &str, plugin: P, config: LocalConfig) -> Result<(String, Serving), BindError>
where
    P: Fn() -> Plugin + Send + 'static,
{
    let server = LocalServer::bind(&LocalName::parse(name)?, config)?;
    Ok((server.url(), connector_core::serve(server, plugin, ClientConfig::default())))
}

fn is_peer_error(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

/// A link that counts towards the server's limit until it is dropped.
struct Counted {
    link: LineLink<os::Stream>,
    ticket: Ticket,
    /// The engine has not performed the plugin handshake.
    pending: Cell<bool>,
    /// The number of bytes that may be received; 0 ends the link.
    limit: Arc<AtomicU64>,
}

impl Link for Counted {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkEnd>> {
        self.link.poll_ready(cx)
    }

    fn send(&mut self, message: Message) -> Result<(), SendError> {
        self.link.send(message)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkEnd>> {
        self.link.poll_flush(cx)
    }

    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Result<Result<Message, DecodeError>, LinkEnd>> {
        if self.pending.get() && self.ticket.poll_displaced(cx).is_ready() {
            self.limit.store(0, Ordering::Relaxed);
        }
        self.link.poll_message(cx)
    }

    fn poll_disconnect(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.link.poll_disconnect(cx)
    }

    fn traffic(&self) -> Traffic {
        self.link.traffic()
    }

    fn max_message(&self) -> Option<usize> {
        self.link.max_message()
    }

    fn handshake_completed(&self) {
        self.ticket.admit();
        self.pending.set(false);
        self.limit.store(u64::MAX, Ordering::Relaxed);
    }
}
