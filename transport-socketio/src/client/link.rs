//! An engine's socket as a [`Link`].

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use connector_core::{DecodeError, Inbox, Link, LinkEnd, Message, PayloadError, SendError, Traffic};
use serde_json::value::RawValue;
use socketioxide::extract::SocketRef;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::{Instant, Sleep};
use tokio_util::sync::CancellationToken;
use transport_server::Ticket;

use super::capacity::{BUFFER, has_capacity};
use super::sessions::{Place, Sessions};
use crate::codec;
use crate::config::CLOSE_TIMEOUT;

/// Messages sent between two checks of the buffer's capacity. Each check requires one extra slot, because a ping that
/// finds the buffer full ends the connection.
const UNCHECKED: usize = 32;
/// Maximum number of bytes in the buffer, unless a single message is larger.
const MAX_BYTES: usize = 8 * 1024 * 1024;
/// An upper bound for the bytes of a packet beside its message and namespace.
const ENVELOPE: usize = 256;
/// The interval for checking a full buffer, because socketioxide does not report free capacity.
const CHECK_INTERVAL: Duration = Duration::from_millis(1);
/// The time for an engine to read the disconnect packet if its connection cannot be observed.
const GRACE: Duration = Duration::from_millis(100);
/// Immediate checks before waiting. The buffer is usually full only because its writer task has not run yet.
const IMMEDIATE_CHECKS: u32 = 64;

/// An engine's TCP connection on a standalone server. `hangup` is cancelled to close it, and when it is closed.
#[derive(Debug, Clone)]
pub(super) struct Connection {
    pub(super) hangup: CancellationToken,
    /// Bytes written so far.
    pub(super) sent: Arc<AtomicU64>,
    /// The connection's ticket among the server's TCP connections.
    pub(super) ticket: Arc<Ticket>,
    /// The session that the last request named.
    pub(super) sid: Arc<Mutex<Option<String>>>,
}

impl Connection {
    /// A request names a session. Once its engine has performed the plugin handshake, the connection belongs to it.
    pub(super) fn names_session(&self, sid: Option<&str>, sessions: &Sessions) {
        if sid.is_some_and(|sid| sessions.is_admitted(sid)) {
            self.admit();
        }
        *self.sid() = sid.map(str::to_owned);
    }

    /// Whether the engine of that session has performed the plugin handshake since.
    pub(super) fn is_of_engine(&self, sessions: &Sessions) -> bool {
        self.sid().as_deref().is_some_and(|sid| sessions.is_admitted(sid))
    }

    fn sid(&self) -> MutexGuard<'_, Option<String>> {
        self.sid.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection belongs to an engine. If the server has no place for one more, it stays limited.
    pub(super) fn admit(&self) {
        if self.ticket.take_place().is_ok() {
            self.ticket.admit();
        }
    }
}

pub(super) struct SocketLink {
    socket: SocketRef,
    inbox: Inbox,
    connection: Option<Connection>,
    /// Accepted from the sender, not yet in the buffer.
    deferred: Option<Box<RawValue>>,
    /// The number of messages that fit without another check.
    unchecked: usize,
    /// Bytes sent since the buffer was last seen empty.
    bytes: usize,
    /// The buffer must fit into one long-polling response: engineioxide holds the first packet that does not fit for the
    /// next response, and loses it if the connection becomes a websocket before that.
    max_bytes: usize,
    check_timer: Option<Pin<Box<Sleep>>>,
    checks: u32,
    closing: Option<Pin<Box<Sleep>>>,
    left: bool,
    /// Ready when the disconnect packet is sent, and the engine has had time to close.
    leaving: Option<JoinHandle<()>>,
    max_message: usize,
    runtime: Handle,
    /// Occupied while the link exists.
    place: Place,
}

impl SocketLink {
    /// Must be called within a tokio runtime.
    pub(super) fn new(
        socket: SocketRef,
        inbox: Inbox,
        max_message: usize,
        max_polling_body: usize,
        place: Place,
    ) -> SocketLink {
        SocketLink {
            connection: socket.req_parts().extensions.get().cloned(),
            socket,
            inbox,
            deferred: None,
            unchecked: 0,
            bytes: 0,
            // Reserves space for engine.io's pings and separators.
            max_bytes: max_polling_body.min(MAX_BYTES).saturating_sub(1024),
            check_timer: None,
            checks: 0,
            closing: None,
            left: false,
            leaving: None,
            max_message,
            runtime: Handle::current(),
            place,
        }
    }

    fn poll_capacity(&mut self, cx: &mut Context<'_>, slots: usize) -> Poll<()> {
        loop {
            if has_capacity(&self.socket, slots) {
                (self.check_timer, self.checks) = (None, 0);
                return Poll::Ready(());
            }
            if self.checks < IMMEDIATE_CHECKS {
                self.checks += 1;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let check_timer = self.check_timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(CHECK_INTERVAL)));
            ready!(check_timer.as_mut().poll(cx));
            check_timer.as_mut().reset(Instant::now() + CHECK_INTERVAL);
        }
    }

    /// Ready when the accepted message is in the buffer, or the link has ended.
    fn poll_buffered(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(message) = &self.deferred else { return Poll::Ready(()) };
        let bytes = message.get().len() + ENVELOPE + self.socket.ns().len();
        if self.bytes + bytes > self.max_bytes {
            ready!(self.poll_capacity(cx, BUFFER));
            (self.bytes, self.unchecked) = (0, UNCHECKED);
        } else if self.unchecked == 0 {
            ready!(self.poll_capacity(cx, UNCHECKED + 1));
            self.unchecked = UNCHECKED;
        }
        if let Some(message) = self.deferred.take() {
            self.unchecked = self.unchecked.saturating_sub(1);
            self.bytes += bytes;
            // This fails only if the socket is closed, which the inbox reports.
            let _ = self.socket.emit(codec::EVENT, &message);
        }
        Poll::Ready(())
    }
}

impl Link for SocketLink {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkEnd>> {
        ready!(self.inbox.poll_open(cx))?;
        self.poll_buffered(cx).map(Ok)
    }

    fn send(&mut self, message: Message) -> Result<(), SendError> {
        if let Some(end) = self.inbox.end() {
            return Err(end.into());
        }
        let json = message.encode()?;
        codec::check_size(json.len(), self.max_message)?;
        let not_json = |error: &dyn std::fmt::Display| PayloadError::NotSerializable(error.to_string());
        let text = String::from_utf8(json).map_err(|error| not_json(&error))?;
        self.deferred = Some(RawValue::from_string(text).map_err(|error| not_json(&error))?);
        Ok(())
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkEnd>> {
        ready!(self.inbox.poll_open(cx))?;
        self.poll_buffered(cx).map(Ok)
    }

    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Result<Result<Message, DecodeError>, LinkEnd>> {
        let event = ready!(self.inbox.poll(cx))?;
        Poll::Ready(Ok(event.and_then(|event| codec::decode(&event))))
    }

    fn poll_disconnect(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(leaving) = &mut self.leaving {
            let _ = ready!(Pin::new(leaving).poll(cx));
            self.leaving = None;
            return Poll::Ready(());
        }
        if self.left || self.inbox.end().is_some() {
            return Poll::Ready(());
        }
        let limit = self.closing.get_or_insert_with(|| Box::pin(tokio::time::sleep(CLOSE_TIMEOUT)));
        if limit.as_mut().poll(cx).is_pending() {
            ready!(self.poll_buffered(cx));
            // An empty buffer means that the connection's writer has taken every message.
            ready!(self.poll_capacity(cx, BUFFER));
        }
        self.leaving = Some(self.leave());
        self.poll_disconnect(cx)
    }

    /// Counts sent bytes only; socketioxide monitors what is received.
    fn traffic(&self) -> Traffic {
        let sent = self.connection.as_ref().map_or(0, |connection| connection.sent.load(Ordering::Relaxed));
        Traffic { sent, ..Traffic::default() }
    }

    /// Detected by engine.io's pings.
    fn notices_silence(&self) -> bool {
        true
    }

    fn max_message(&self) -> Option<usize> {
        Some(self.max_message)
    }

    fn handshake_completed(&self) {
        self.place.admit();
        if let Some(connection) = &self.connection {
            connection.admit();
        }
    }
}

impl Drop for SocketLink {
    fn drop(&mut self) {
        if !self.left {
            drop(self.leave());
        }
    }
}

impl SocketLink {
    /// Leaves the namespace, which a cooperative engine answers by closing the connection. A standalone server closes the
    /// connection itself after a timeout. On a mounted service the connection cannot be observed, so this waits briefly.
    fn leave(&mut self) -> JoinHandle<()> {
        self.left = true;
        self.inbox.abandon();
        let (socket, connection) = (self.socket.clone(), self.connection.clone());
        self.runtime.spawn(async move {
            let end = Instant::now() + CLOSE_TIMEOUT;
            while let Err(socketioxide::SocketError::InternalChannelFull) = socket.clone().disconnect()
                && Instant::now() < end
            {
                tokio::time::sleep(CHECK_INTERVAL * 10).await;
            }
            match connection {
                Some(Connection { hangup, .. }) => {
                    let _ = tokio::time::timeout_at(end, hangup.cancelled()).await;
                    hangup.cancel();
                }
                None => tokio::time::sleep(GRACE).await,
            }
        })
    }
}
