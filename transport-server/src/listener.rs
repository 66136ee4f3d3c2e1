//! Binds an address and accepts connections.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream, ToSocketAddrs, lookup_host};
use tokio::time::Sleep;

use crate::{Admission, BindError, Ticket, is_loopback};

/// The pause after the listener fails, for example because no file descriptor is free.
const BACKOFF: Duration = Duration::from_millis(100);

/// A bound address of a plugin's server. Dropping it stops listening; accepted connections stay open.
#[derive(Debug)]
pub struct Listener {
    listener: TcpListener,
    local: SocketAddr,
    pause: Option<Pin<Box<Sleep>>>,
    /// Accepted, but as many connections are pending as may be.
    arrived: Option<(TcpStream, SocketAddr)>,
    /// Runs while that is so.
    full: Option<Pin<Box<Sleep>>>,
}

impl Listener {
    /// Binds the first address of `addr` that can be bound, for example `"127.0.0.1:0"` for a free port. Must be called
    /// within a tokio runtime that has its time enabled.
    ///
    /// Unless `allow_remote` is set, every address must be a loopback address. Traces a warning if other machines reach
    /// the server and it has no `token`.
    ///
    /// # Errors
    /// An address is not a loopback address and remote access is not allowed, the token is empty, or the address cannot
    /// be resolved or bound.
    pub async fn bind(
        addr: impl ToSocketAddrs + fmt::Debug,
        allow_remote: bool,
        token: Option<&str>,
    ) -> Result<Listener, BindError> {
        if token.is_some_and(str::is_empty) {
            return Err(BindError::EmptyToken);
        }
        let shown: String = format!("{addr:?}").chars().take(200).collect();
        let resolved = lookup_host(addr).await.map_err(|error| BindError::Resolve { addr: shown, error })?;
        let addrs: Vec<SocketAddr> = resolved.collect();
        if let (Some(&addr), false) = (addrs.iter().find(|addr| !is_loopback(**addr)), allow_remote) {
            return Err(BindError::Remote { addr });
        }
        let (listener, local) = bind_first(&addrs).await.map_err(|error| {
            let tried: Vec<_> = addrs.iter().map(ToString::to_string).collect();
            BindError::Io { at: tried.join(" or "), error }
        })?;
        if !is_loopback(local) && token.is_none() {
            tracing::warn!(%local, "the plugin is reachable from other machines and requires no token");
        }
        Ok(Listener { listener, local, pause: None, arrived: None, full: None })
    }

    /// The bound address, with the actual port.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// The server's URL without a path, for example `ws://127.0.0.1:8080` for the scheme `ws`. If the server is bound to
    /// the unspecified address, the URL names the loopback address.
    pub fn url(&self, scheme: &str) -> String {
        let ip = match self.local.ip() {
            IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        format!("{scheme}://{}", SocketAddr::new(ip, self.local.port()))
    }

    /// The next connection, which sends small writes without delay (`TCP_NODELAY`), and its peer.
    ///
    /// Never fails: connections that end before they are accepted are traced at level `debug`; any other error, for
    /// example that no file descriptor is free, is traced as a warning, and accepting continues 100 ms later.
    pub fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<(TcpStream, SocketAddr)> {
        loop {
            if let Some(pause) = &mut self.pause {
                ready!(pause.as_mut().poll(cx));
                self.pause = None;
            }
            match ready!(self.listener.poll_accept(cx)) {
                Ok((stream, peer)) => {
                    let _ = stream.set_nodelay(true);
                    return Poll::Ready((stream, peer));
                }
                Err(error) if is_peer_error(&error) => {
                    tracing::debug!(%error, "a connection ended before it was accepted")
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept connections; retrying in {BACKOFF:?}");
                    self.pause = Some(Box::pin(tokio::time::sleep(BACKOFF)));
                }
            }
        }
    }

    /// Like [`poll_accept`](Listener::poll_accept), once `admission` has capacity for another pending connection. Until
    /// then, connections wait in the kernel's backlog.
    pub fn poll_enter(&mut self, admission: &Admission, cx: &mut Context<'_>) -> Poll<(TcpStream, SocketAddr, Ticket)> {
        // In this order, so that no pending connection is displaced before another one has arrived.
        let (stream, peer) = match self.arrived.take() {
            Some(arrived) => arrived,
            None => ready!(self.poll_accept(cx)),
        };
        if admission.poll_ready(cx, &mut self.full).is_pending() {
            self.arrived = Some((stream, peer));
            return Poll::Pending;
        }
        Poll::Ready((stream, peer, admission.enter(Some(peer.ip()))))
    }

    /// Like [`poll_enter`](Listener::poll_enter). Cancel safe: no connection is lost.
    pub async fn enter(&mut self, admission: &Admission) -> (TcpStream, SocketAddr, Ticket) {
        poll_fn(|cx| self.poll_enter(admission, cx)).await
    }

    /// Like [`poll_accept`](Listener::poll_accept). Cancel safe: no connection is lost.
    pub async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        poll_fn(|cx| self.poll_accept(cx)).await
    }
}

async fn bind_first(addrs: &[SocketAddr]) -> io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(addrs).await?;
    let local = listener.local_addr()?;
    Ok((listener, local))
}

fn is_peer_error(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}
