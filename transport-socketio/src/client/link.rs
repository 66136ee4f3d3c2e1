//! One engine's socket as a [`Link`].

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use connector_core::{DecodeError, Link, LinkEnd, Message, PayloadError, SendError, Traffic};
use serde_json::value::RawValue;
use socketioxide::extract::SocketRef;
use tokio::runtime::Handle;
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinHandle;
use tokio::time::{Instant, Sleep};
use tokio_util::sync::CancellationToken;

use super::capacity::{BUFFER, has_capacity};
use super::inbox::Inbox;
use crate::codec;
use crate::config::CLOSE;

/// Messages sent between two looks at the buffer. One place more is asked for: a ping that finds the buffer full ends
/// the connection.
const UNSEEN: usize = 32;
/// Bytes in the buffer at most, beside one message that is larger.
const MOST_BYTES: usize = 8 * 1024 * 1024;
/// What a packet has beside its message, generously.
const ENVELOPE: usize = 256;
/// How often a full buffer is looked at; nobody tells when it has room.
const LOOK: Duration = Duration::from_millis(1);
/// What an engine gets to read that it is left, if it cannot be seen whether it has.
const MOMENT: Duration = Duration::from_millis(100);
/// Looks at once, since the buffer is most often full because its writer has not had its turn.
const TURNS: u32 = 64;

/// The TCP connection an engine came on, if it is ours to end: cancelled when it is over, and to end it.
#[derive(Debug, Clone)]
pub(super) struct Connection {
    pub(super) hangup: CancellationToken,
    /// Bytes that it has taken.
    pub(super) sent: Arc<AtomicU64>,
}

pub(super) struct SocketLink {
    socket: SocketRef,
    inbox: Inbox,
    connection: Option<Connection>,
    /// Taken from the sender, not yet in the buffer.
    waiting: Option<Box<RawValue>>,
    /// Messages that surely have room.
    unseen: usize,
    /// Sent since the buffer was last seen empty.
    bytes: usize,
    /// All that is buffered has to fit into one answer of long polling: the first packet that does not is kept back by
    /// engineioxide for the next one, and lost if the connection becomes a websocket before that.
    max_bytes: usize,
    look: Option<Pin<Box<Sleep>>>,
    turns: u32,
    closing: Option<Pin<Box<Sleep>>>,
    left: bool,
    /// Ready when the engine has been told, and has had its time to close.
    leaving: Option<JoinHandle<()>>,
    max_message: usize,
    runtime: Handle,
    /// Counted among the connections for as long as this link lives.
    _permit: Arc<OwnedSemaphorePermit>,
}

impl SocketLink {
    /// Must be called within a tokio runtime.
    pub(super) fn new(
        socket: SocketRef,
        inbox: Inbox,
        max_message: usize,
        max_polling_body: usize,
        permit: Arc<OwnedSemaphorePermit>,
    ) -> SocketLink {
        SocketLink {
            connection: socket.req_parts().extensions.get().cloned(),
            socket,
            inbox,
            waiting: None,
            unseen: 0,
            bytes: 0,
            // Less what engine.io says for itself: pings, separators.
            max_bytes: max_polling_body.min(MOST_BYTES).saturating_sub(1024),
            look: None,
            turns: 0,
            closing: None,
            left: false,
            leaving: None,
            max_message,
            runtime: Handle::current(),
            _permit: permit,
        }
    }

    fn poll_capacity(&mut self, cx: &mut Context<'_>, places: usize) -> Poll<()> {
        loop {
            if has_capacity(&self.socket, places) {
                (self.look, self.turns) = (None, 0);
                return Poll::Ready(());
            }
            if self.turns < TURNS {
                self.turns += 1;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let look = self.look.get_or_insert_with(|| Box::pin(tokio::time::sleep(LOOK)));
            ready!(look.as_mut().poll(cx));
            look.as_mut().reset(Instant::now() + LOOK);
        }
    }

    /// Ready when what was taken is in the buffer, or the link is over.
    fn poll_buffered(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(message) = &self.waiting else { return Poll::Ready(()) };
        let bytes = message.get().len() + ENVELOPE + self.socket.ns().len();
        if self.bytes + bytes > self.max_bytes {
            ready!(self.poll_capacity(cx, BUFFER));
            (self.bytes, self.unseen) = (0, UNSEEN);
        } else if self.unseen == 0 {
            ready!(self.poll_capacity(cx, UNSEEN + 1));
            self.unseen = UNSEEN;
        }
        if let Some(message) = self.waiting.take() {
            self.unseen = self.unseen.saturating_sub(1);
            self.bytes += bytes;
            // It fails only if the socket is gone, which the inbox tells.
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
        codec::within(json.len(), self.max_message)?;
        let not_json = |error: &dyn std::fmt::Display| PayloadError::NotSerializable(error.to_string());
        let text = String::from_utf8(json).map_err(|error| not_json(&error))?;
        self.waiting = Some(RawValue::from_string(text).map_err(|error| not_json(&error))?);
        Ok(())
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkEnd>> {
        ready!(self.inbox.poll_open(cx))?;
        self.poll_buffered(cx).map(Ok)
    }

    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Result<Result<Message, DecodeError>, LinkEnd>> {
        self.inbox.poll(cx)
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
        let limit = self.closing.get_or_insert_with(|| Box::pin(tokio::time::sleep(CLOSE)));
        if limit.as_mut().poll(cx).is_pending() {
            ready!(self.poll_buffered(cx));
            // All of it has been taken by the connection's writer.
            ready!(self.poll_capacity(cx, BUFFER));
        }
        self.leaving = Some(self.leave());
        self.poll_disconnect(cx)
    }

    /// What is received is socketioxide's to count.
    fn traffic(&self) -> Traffic {
        let sent = self.connection.as_ref().map_or(0, |connection| connection.sent.load(Ordering::Relaxed));
        Traffic { sent, ..Traffic::default() }
    }

    /// By engine.io's pings.
    fn notices_silence(&self) -> bool {
        true
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
    /// Leaves the namespace, which a well-meaning engine answers by closing the connection. Where the connection is
    /// ours, it is ended if that has not happened soon; elsewhere it cannot be seen, so that it is given a moment.
    fn leave(&mut self) -> JoinHandle<()> {
        self.left = true;
        self.inbox.abandon();
        let (socket, connection) = (self.socket.clone(), self.connection.clone());
        self.runtime.spawn(async move {
            let end = Instant::now() + CLOSE;
            while let Err(socketioxide::SocketError::InternalChannelFull) = socket.clone().disconnect()
                && Instant::now() < end
            {
                tokio::time::sleep(LOOK * 10).await;
            }
            match connection {
                Some(Connection { hangup, .. }) => {
                    let _ = tokio::time::timeout_at(end, hangup.cancelled()).await;
                    hangup.cancel();
                }
                None => tokio::time::sleep(MOMENT).await,
            }
        })
    }
}
