//! What an engine has sent, until the link is asked for it.

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

/// socketioxide cannot be made to wait, so what a link has not read is kept up to here.
const MOST_MESSAGES: usize = 16 * 1024;
/// Beside this, any message that came when there was room.
const MOST_BYTES: usize = 16 * 1024 * 1024;

#[derive(Default)]
struct State {
    frames: VecDeque<Result<Bytes, DecodeError>>,
    bytes: usize,
    end: Option<LinkEnd>,
    reader: Option<Waker>,
    /// Waits for the reader to come to the end.
    writer: Option<Waker>,
}

/// Filled by socketioxide, in order, and emptied by the link.
#[derive(Clone, Default)]
pub(super) struct Inbox(Arc<Mutex<State>>);

impl Inbox {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next message; once all are read, how the link ended.
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

    /// Ready while the link is open, and with its end once everything before that has been read.
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

    /// How the link ended, whatever was read of it.
    pub(super) fn end(&self) -> Option<LinkEnd> {
        self.state().end.clone()
    }

    /// The link has ended; the first to say so is right.
    pub(super) fn close(&self, end: LinkEnd) {
        let mut state = self.state();
        state.end.get_or_insert(end);
        wake(state);
    }

    /// This end has closed: what was not read is not wanted any more.
    pub(super) fn abandon(&self) {
        let mut state = self.state();
        state.end.get_or_insert(LinkEnd::Disconnected);
        state.frames.clear();
        state.bytes = 0;
        wake(state);
    }

    /// False if there is no room.
    fn push(&self, frame: Result<Bytes, DecodeError>) -> bool {
        let mut state = self.state();
        if state.end.is_some() {
            return true;
        }
        if state.frames.len() >= MOST_MESSAGES || state.bytes >= MOST_BYTES {
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

/// Runs within socketioxide's reader, so events are pushed in the order they came. A closure would be spawned.
impl MessageHandler<LocalAdapter, ()> for Inbox {
    fn call(&self, socket: Arc<Socket>, event: Value, _: Option<i64>) {
        let frame = match event {
            Value::Str(text, None) => Ok(text.into()),
            Value::Str(_, Some(_)) | Value::Bytes(_) => Err(DecodeError::WrongFrame("binary attachments")),
        };
        if !self.push(frame) {
            let text = format!("more than {MOST_MESSAGES} messages or {MOST_BYTES} bytes came and were not read");
            self.close(LinkEnd::lost(text));
            // Full or gone already: then the end is on its way as well.
            let _ = socket.disconnect();
        }
    }
}

/// What socketioxide's reasons mean; `silence` is when an engine counts as silent.
pub(super) fn ended(reason: DisconnectReason, silence: Duration) -> LinkEnd {
    let closed = |reason: &str| LinkEnd::Closed { code: None, reason: reason.to_owned() };
    match reason {
        DisconnectReason::ClientNSDisconnect => closed("the engine left the namespace"),
        DisconnectReason::TransportClose => closed("the engine closed the connection"),
        DisconnectReason::HeartbeatTimeout => LinkEnd::Silent(silence),
        DisconnectReason::PacketParsingError => LinkEnd::BadFrame("no packet of socket.io".to_owned()),
        DisconnectReason::MultipleHttpPollingError => {
            LinkEnd::BadFrame("two requests of long polling at once".to_owned())
        }
        DisconnectReason::ServerNSDisconnect | DisconnectReason::ClosingServer => LinkEnd::Disconnected,
        // A reset, an end without a close, or a frame over the limit: socketioxide does not tell them apart.
        DisconnectReason::TransportError => LinkEnd::lost("the connection broke, or a frame was over the limit"),
    }
}
