//! Received frames that wait for a link to be polled.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

use super::LinkEnd;
use crate::sync::lock;
use crate::wire::DecodeError;

/// The received frames of a [`Link`](crate::Link) whose transport calls back for each frame instead of being read: frames
/// go in where the transport calls, and come out where the link is polled.
///
/// Such a transport has no back-pressure, so the inbox is bounded: it ends the link when more is unread. The clones of an
/// inbox are the same inbox.
#[derive(Clone, Default)]
pub struct Inbox(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    frames: VecDeque<Result<Bytes, DecodeError>>,
    bytes: usize,
    end: Option<LinkEnd>,
    reader: Option<Waker>,
    /// A sender that waits for the reader to reach the end.
    writer: Option<Waker>,
}

impl Inbox {
    /// Maximum number of unread frames.
    pub const MAX_FRAMES: usize = 16 * 1024;
    /// Maximum size of the unread frames, in bytes, before the last one.
    pub const MAX_BYTES: usize = 16 * 1024 * 1024;

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.0)
    }

    /// Adds a frame, or the error of something received that is none. Ignored after the end.
    ///
    /// # Errors
    /// The inbox is full, which ends the link: the transport closes its connection.
    pub fn push(&self, frame: Result<Bytes, DecodeError>) -> Result<(), LinkEnd> {
        let mut state = self.state();
        if state.end.is_some() {
            return Ok(());
        }
        if state.frames.len() >= Inbox::MAX_FRAMES || state.bytes >= Inbox::MAX_BYTES {
            let (frames, bytes) = (Inbox::MAX_FRAMES, Inbox::MAX_BYTES);
            let end = LinkEnd::lost(format!("more than {frames} messages or {bytes} bytes are unread"));
            state.end = Some(end.clone());
            wake(state);
            return Err(end);
        }
        state.bytes += frame.as_ref().map_or(0, Bytes::len);
        state.frames.push_back(frame);
        wake(state);
        Ok(())
    }

    /// Records the link's end, which is reported after the unread frames. The first one recorded stays.
    pub fn close(&self, end: LinkEnd) {
        let mut state = self.state();
        state.end.get_or_insert(end);
        wake(state);
    }

    /// Ends the link at this end, and discards what is unread.
    pub fn abandon(&self) {
        let mut state = self.state();
        state.end.get_or_insert(LinkEnd::Disconnected);
        state.frames.clear();
        state.bytes = 0;
        wake(state);
    }

    /// For [`Link::poll_message`](crate::Link::poll_message): the next frame, or the link's end after the last one.
    ///
    /// # Errors
    /// How the link ended.
    pub fn poll(&self, cx: &mut Context<'_>) -> Poll<Result<Result<Bytes, DecodeError>, LinkEnd>> {
        let mut state = self.state();
        match state.frames.pop_front() {
            Some(frame) => {
                state.bytes -= frame.as_ref().map_or(0, Bytes::len);
                if state.frames.is_empty() && state.end.is_some() {
                    wake(state);
                } else {
                    drop(state);
                }
                Poll::Ready(Ok(frame))
            }
            None if let Some(end) = &state.end => Poll::Ready(Err(end.clone())),
            None => {
                state.reader = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    /// For the sending methods: ready while the link is open. Afterwards ready with its end, once every frame has been
    /// read.
    ///
    /// # Errors
    /// How the link ended.
    pub fn poll_open(&self, cx: &mut Context<'_>) -> Poll<Result<(), LinkEnd>> {
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

    /// The link's end, even if frames are unread.
    pub fn end(&self) -> Option<LinkEnd> {
        self.state().end.clone()
    }
}

fn wake(mut state: MutexGuard<'_, State>) {
    let waiting = [state.reader.take(), state.writer.take()];
    drop(state);
    waiting.into_iter().flatten().for_each(Waker::wake);
}

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        let mut shown = f.debug_struct("Inbox");
        shown.field("frames", &state.frames.len()).field("bytes", &state.bytes).field("end", &state.end).finish()
    }
}
