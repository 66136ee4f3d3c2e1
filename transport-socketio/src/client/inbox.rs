//! Events received from an engine, queued until the link is polled.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use connector_core::{DecodeError, LinkEnd, Message};
use socketioxide::adapter::LocalAdapter;
use socketioxide::handler::{MessageHandler, Value};
use socketioxide::socket::{DisconnectReason, Socket};

use crate::codec;

/// Maximum number of queued messages. socketioxide has no back-pressure, so more end the link.
const MAX_MESSAGES: usize = 16 * 1024;
/// Maximum size of the queued messages, in bytes, before the last one.
const MAX_BYTES: usize = 16 * 1024 * 1024;

#[derive(Default)]
struct State {
    frames: VecDeque<Result<Bytes, DecodeError>>,
    bytes: usize,
    end: Option<LinkEnd>,
    reader: Option<Waker>,
    /// A sender that waits for the reader to reach the end.
    writer: Option<Waker>,
}

/// A queue between socketioxide and the link.
#[derive(Clone, Default)]
pub(super) struct Inbox(Arc<Mutex<State>>);

impl Inbox {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next message, or the link's end after the last one.
    pub(super) fn poll(&self, cx: &mut Context<'_>) -> Poll<Result<Result<Message, DecodeError>, LinkEnd>> {
        let mut state = self.state();
        match state.frames.pop_front() {
            Some(frame) => {
                state.bytes -= frame.as_ref().map_or(0, Bytes::len);
                if state.frames.is_empty() && state.end.is_some() {
                    wake(state);
                } else {
                    drop(state);
                }
                Poll::Ready(Ok(frame.and_then(|event| codec::decode(&event))))
            }
            None if let Some(end) = &state.end => Poll::Ready(Err(end.clone())),
            None => {
                state.reader = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Ready while the link is open. Afterwards ready with its end, once every message has been read.
    pub(super) fn poll_open(&self, cx: &mut Context<'_>) -> Poll<Result<(), LinkEnd>> {
        let mut state = self.state();
        match &state.end {
            None => Poll::Ready(Ok(())),
            Some(end) if state.frames.is_empty() => Poll::Ready(Err(end.clone())),
            Some(_) => {
                state.writer = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    /// The link's end, even if messages are unread.
    pub(super) fn end(&self) -> Option<LinkEnd> {
        self.state().end.clone()
    }

    /// Records the link's end. The first one recorded stays.
    pub(super) fn close(&self, end: LinkEnd) {
        let mut state = self.state();
        state.end.get_or_insert(end);
        wake(state);
    }

    /// Discards unread messages after this end has closed the link.
    pub(super) fn abandon(&self) {
        let mut state = self.state();
        state.end.get_or_insert(LinkEnd::Disconnected);
        state.frames.clear();
        state.bytes = 0;
        wake(state);
    }

    /// False if the queue is full.
    fn push(&self, frame: Result<Bytes, DecodeError>) -> bool {
        let mut state = self.state();
        if state.end.is_some() {
            return true;
        }
        if state.frames.len() >= MAX_MESSAGES || state.bytes >= MAX_BYTES {
            return false;
        }
        state.bytes += frame.as_ref().map_or(0, Bytes::len);
        state.frames.push_back(frame);
        wake(state);
        true
    }
}

fn wake(mut state: MutexGuard<'_, State>) {
    let waiting = [state.reader.take(), state.writer.take()];
    drop(state);
    waiting.into_iter().flatten().for_each(Waker::wake);
}

/// Called by socketioxide's reader, which preserves the order of events. A closure would run in a spawned task.
impl MessageHandler<LocalAdapter, ()> for Inbox {
    fn call(&self, socket: Arc<Socket>, event: Value, _: Option<i64>) {
        let frame = match event {
            Value::Str(text, None) => Ok(text.into()),
            Value::Str(_, Some(_)) | Value::Bytes(_) => Err(DecodeError::WrongFrame("binary attachments")),
        };
        if !self.push(frame) {
            let text = format!("more than {MAX_MESSAGES} messages or {MAX_BYTES} bytes are unread");
            self.close(LinkEnd::lost(text));
            // Fails if the buffer is full or the socket is gone; the connection ends in both cases.
            let _ = socket.disconnect();
        }
    }
}

/// The link end for a disconnect reason. `silence` is the time after which an engine counts as silent.
pub(super) fn link_end(reason: DisconnectReason, silence: Duration) -> LinkEnd {
    let closed = |reason: &str| LinkEnd::Closed { code: None, reason: reason.to_owned() };
    match reason {
        DisconnectReason::ClientNSDisconnect => closed("the engine left the namespace"),
        DisconnectReason::TransportClose => closed("the engine closed the connection"),
        DisconnectReason::HeartbeatTimeout => LinkEnd::Silent(silence),
        DisconnectReason::PacketParsingError => LinkEnd::BadFrame("not a socket.io packet".to_owned()),
        DisconnectReason::MultipleHttpPollingError => {
            LinkEnd::BadFrame("two concurrent long-polling requests".to_owned())
        }
        DisconnectReason::ServerNSDisconnect | DisconnectReason::ClosingServer => LinkEnd::Disconnected,
        // A reset, an end without a close, or a frame over the limit: socketioxide does not distinguish them.
        DisconnectReason::TransportError => LinkEnd::lost("the connection failed, or a frame exceeded the limit"),
    }
}
