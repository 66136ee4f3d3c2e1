//! Who serves: a plugin for its engines, or an engine for its plugin.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

#[cfg(feature = "client")]
use connector_core::{ClientConfig, ClientConnector, Plugin, Serving, async_trait};
use connector_core::{DecodeError, Link, LinkEnd, Message, SendError, TraceLimit, Traffic};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Sleep;

use super::config::LocalConfig;
use super::error::BindError;
use super::name::LocalName;
use super::os;
use crate::codec::Stray;
use crate::link::{LineLink, line_link};

/// How long to leave the listener alone when it fails, for example because no file descriptor is free.
const BACKOFF: Duration = Duration::from_millis(100);

/// Listens at a local socket, and makes a link of each connection of the same user's.
///
/// The plugin's end, as a [`ClientConnector`](connector_core::ClientConnector) (feature `client`), or an engine's that
/// waits for its plugin to dial. Connections are taken while [`accept_link`](LocalServer::accept_link) is awaited; until
/// then the system keeps some of them waiting. Another user's, and those past
/// [`max_connections`](LocalConfig#structfield.max_connections), are closed and traced. Dropping the server stops
/// listening and removes the socket; links that were handed out live on.
#[derive(Debug)]
pub struct LocalServer {
    listener: os::Listener,
    name: LocalName,
    /// The name as it is understood in any environment.
    address: LocalName,
    config: LocalConfig,
    connections: Arc<Semaphore>,
    pause: Option<Pin<Box<Sleep>>>,
    refusals: TraceLimit,
}

impl LocalServer {
    /// Listens at `name`. Must be called within a tokio runtime.
    ///
    /// On Unix the socket's mode is 0600. The file `<socket>.lock` beside it is locked for as long as the server lives,
    /// and stays when it is gone; a socket that a crashed server left is removed first.
    ///
    /// # Errors
    /// [`BindError::InUse`] if a live server has the name, [`BindError::NotPrivate`] if others could get at the socket
    /// or something else is in its place, [`BindError::Name`] if the path is too long, [`BindError::Io`].
    pub fn bind(name: &LocalName, config: LocalConfig) -> Result<LocalServer, BindError> {
        let listener = os::Listener::bind(name)?;
        // A semaphore panics above its maximum.
        let connections = Arc::new(Semaphore::new(config.max_connections.min(Semaphore::MAX_PERMITS)));
        let address = listener.address().unwrap_or_else(|| name.clone());
        Ok(LocalServer {
            listener,
            name: name.clone(),
            address,
            config,
            connections,
            pause: None,
            refusals: TraceLimit::default(),
        })
    }

    /// The name it listens at.
    pub fn name(&self) -> &LocalName {
        &self.name
    }

    /// The `url` for the plugin's profile: `local:` and, on Unix, the socket's absolute path. So it is found by an engine
    /// in whose environment a bare name would mean another folder (`TMPDIR`, `XDG_RUNTIME_DIR`).
    pub fn url(&self) -> String {
        self.address.as_url()
    }

    /// What to dial from another environment.
    #[cfg_attr(not(feature = "plugin"), allow(dead_code))]
    pub(crate) fn address(&self) -> &LocalName {
        &self.address
    }

    /// The next connection's link. Failures are either one peer's or temporary, so they are traced. Cancel safe: no
    /// connection is lost.
    pub async fn accept_link(&mut self) -> Box<dyn Link> {
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
                Err(error) if is_of_one_peer(&error) => tracing::debug!(%error, "a connection ended before it began"),
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
                tracing::warn!(name = %self.name, error, left_out, "a connection was closed");
            }
            return None;
        }
        let Ok(permit) = self.connections.clone().try_acquire_owned() else {
            let limit = self.config.max_connections;
            if let Some(left_out) = self.refusals.pass() {
                tracing::warn!(name = %self.name, limit, left_out, "a connection was closed: LocalConfig::max_connections is reached");
            }
            return None;
        };
        tracing::debug!(name = %self.name, "a connection has been accepted");
        let link = line_link(stream, &self.config.ipc, Stray::Skip);
        Some(Box::new(Counted { link, _permit: permit }))
    }
}

/// Links come as they are dialled. Never an error: what fails is one engine's, or passes.
#[cfg(feature = "client")]
#[async_trait]
impl ClientConnector for LocalServer {
    async fn accept(&mut self) -> Result<Box<dyn Link>, LinkEnd> {
        Ok(self.accept_link().await)
    }
}

/// Serves a plugin at the local socket `name` (see [`LocalName::parse`]) with the defaults: gives the URL for engines,
/// and the future that serves, to be spawned. `plugin` is asked for a plugin for each engine that connects. Must be
/// called within a tokio runtime.
///
/// [`Serving::until`] stops it in order; dropping the future closes every link at once. Either way the socket is removed. For limits take [`LocalServer::bind`] and
/// [`connector_core::serve`].
///
/// # Errors
/// As [`LocalServer::bind`], and [`BindError::Name`] if `name` is none.
#[cfg(feature = "client")]
pub fn serve<P>(name: &str, plugin: P) -> Result<(String, Serving), BindError>
where
    P: Fn() -> Plugin + Send + 'static,
{
    let server = LocalServer::bind(&LocalName::parse(name)?, LocalConfig::default())?;
    Ok((server.url(), connector_core::serve(server, plugin, ClientConfig::default())))
}

fn is_of_one_peer(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

/// A link that counts among the server's for as long as it lives.
struct Counted {
    link: LineLink<os::Stream>,
    _permit: OwnedSemaphorePermit,
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
        self.link.poll_message(cx)
    }

    fn poll_disconnect(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.link.poll_disconnect(cx)
    }

    fn traffic(&self) -> Traffic {
        self.link.traffic()
    }
}
