//! Takes frames from the subscription.

use std::task::{Context, Poll};

use async_nats::StatusCode;
use connector_core::{Excerpt, LinkEnd};
use futures_util::StreamExt;
use tokio::sync::broadcast::error::TryRecvError;

use super::frame::{HEADER, Header, Kind};
use super::{MAX_PENDING_BYTES, NatsLink, REASON, State};
use crate::forbidden::Forbidden;

impl NatsLink {
    /// Takes what has arrived. Returns whether there was something.
    pub(super) fn pump(&mut self) -> bool {
        let mut any = false;
        while matches!(self.state, State::Open | State::Closing(_)) {
            match self.frames.poll_next_unpin(&mut Context::from_waker(&self.waker)) {
                Poll::Ready(Some(message)) => {
                    any = true;
                    if let Err(end) = self.receive(message) {
                        self.end(end);
                    }
                }
                Poll::Pending if !self.connection.is_lost() => match self.refusal() {
                    Some(refusal) => {
                        any = true;
                        self.end(LinkEnd::lost(refusal.to_string()));
                    }
                    None => break,
                },
                Poll::Ready(None) | Poll::Pending => {
                    any = true;
                    self.end(LinkEnd::lost("the connection to the NATS server was lost"));
                    break;
                }
            }
        }
        self.poll_due_frame();
        any
    }

    /// What the server has refused to this session.
    fn refusal(&mut self) -> Option<Forbidden> {
        loop {
            match self.forbidden.try_recv() {
                Ok(refusal) if [&self.to, &self.from].into_iter().any(|own| refusal.is_about(own)) => {
                    return Some(refusal);
                }
                Ok(_) | Err(TryRecvError::Lagged(_)) => {}
                Err(TryRecvError::Empty | TryRecvError::Closed) => return None,
            }
        }
    }

    pub(super) fn receive(&mut self, message: async_nats::Message) -> Result<(), LinkEnd> {
        if message.status == Some(StatusCode::NO_RESPONDERS) {
            return Err(LinkEnd::lost("the other end is gone: nothing subscribes to its subject of the session"));
        }
        let mut frame = message.payload;
        self.traffic.received += frame.len() as u64;
        if self.pending.get() && self.traffic.received > MAX_PENDING_BYTES {
            return Err(LinkEnd::TooLarge { limit: MAX_PENDING_BYTES as usize });
        }
        let Some(header) = Header::read(&frame) else {
            return Err(LinkEnd::BadFrame("something that is not a frame was published to the session".to_owned()));
        };
        let content = frame.split_off(HEADER);
        self.liveness.received();
        if self.outgoing.acknowledged(header.read)? {
            self.wakers.writer.wake();
        }
        if header.kind == Kind::Gone {
            let reason = String::from_utf8_lossy(&content);
            return Err(LinkEnd::lost(format!("the other end has left: {}", Excerpt::up_to(REASON, reason))));
        }
        self.incoming.check(&header)?;
        match header.kind {
            Kind::Data => {
                self.incoming.data(content.len())?;
                if let State::Closing(_) = self.state {
                    self.incoming.consume(content.len());
                    self.report_if_due();
                } else {
                    self.inbox.push(content);
                    self.wakers.reader.wake();
                }
            }
            Kind::Probe => self.due = Some(Kind::Status),
            Kind::Close => {
                self.incoming.numbered();
                match &mut self.state {
                    // It discards what this end sends, too.
                    State::Closing(closing) => {
                        closing.finished = true;
                        self.due = Some(Kind::Closed);
                    }
                    _ => return Err(LinkEnd::Closed { code: None, reason: String::new() }),
                }
            }
            Kind::Closed => match &mut self.state {
                State::Closing(closing) => closing.finished = true,
                _ => return Err(LinkEnd::BadFrame("the answer to a close that this end has not sent".to_owned())),
            },
            Kind::Status | Kind::Gone => {}
        }
        Ok(())
    }

    /// Nothing more arrives.
    pub(super) fn end(&mut self, end: LinkEnd) {
        match &mut self.state {
            State::Closing(closing) => closing.finished = true,
            _ => {
                // It may be alive, and be noticed to be gone only when it is silent for long.
                if !matches!(end, LinkEnd::Closed { .. }) && !self.connection.is_lost() {
                    self.leave(&end);
                }
                self.state = State::Ending(end);
            }
        }
        self.wakers.wake_both();
    }
}
