//! Publishes frames.

use std::task::{Context, Poll, Waker, ready};

use async_nats::message::OutboundMessage;
use connector_core::{Excerpt, LinkEnd, StallDetector};
use futures_util::SinkExt;

use super::frame::{HEADER, Header, Kind};
use super::{NatsLink, REASON};

impl NatsLink {
    /// Says, if there is room, that nobody is here any more.
    pub(super) fn leave(&mut self, reason: &dyn std::fmt::Display) {
        let reason = Excerpt::up_to(REASON, reason).to_string();
        let frame = [&[0; HEADER][..], reason.as_bytes()].concat();
        let nobody = &mut Context::from_waker(Waker::noop());
        if let Poll::Ready(Ok(())) = self.client.poll_ready_unpin(nobody) {
            self.publish(Kind::Gone, frame);
        }
    }

    pub(super) fn report_if_due(&mut self) {
        if self.incoming.should_report() {
            self.due.get_or_insert(Kind::Status);
        }
    }

    /// Sends the frame without content that is due.
    pub(super) fn poll_due_frame(&mut self) {
        let Some(kind) = self.due else { return };
        if let Poll::Ready(ready) = self.client.poll_ready_unpin(&mut Context::from_waker(&self.waker)) {
            self.due = None;
            if ready.is_ok() {
                self.publish(kind, vec![0; HEADER]);
            }
        }
    }

    /// The client must be ready. `frame` has room for the header.
    pub(super) fn publish(&mut self, kind: Kind, mut frame: Vec<u8>) {
        let header = Header { kind, number: self.outgoing.number, read: self.incoming.report() };
        match kind {
            Kind::Data => {
                self.outgoing.data(frame.len() - HEADER);
                // The others are sent to an end that reads nothing as well.
                self.traffic.sent += frame.len() as u64;
            }
            Kind::Close => self.outgoing.numbered(),
            _ => {}
        }
        frame[..HEADER].copy_from_slice(&header.write());
        // If nobody listens, the server says so to this end. Data are followed by probes.
        let reply = (kind == Kind::Probe).then(|| self.from.clone());
        let message = OutboundMessage { subject: self.to.clone(), reply, payload: frame.into(), headers: None };
        if let Err(error) = self.client.start_send_unpin(message) {
            self.end(LinkEnd::lost(error));
        }
    }

    /// Ready when the other end has read nothing for long, although more waits for it. It may be alive and answer probes.
    pub(super) fn poll_stalled(&mut self) -> Poll<()> {
        if self.outbox.next_length().is_none_or(|length| self.outgoing.may_send(length)) {
            self.stall = None;
            return Poll::Pending;
        }
        let (limit, read) = (self.silence, self.outgoing.read());
        let stall = self.stall.get_or_insert_with(|| StallDetector::new(limit, read));
        stall.poll(&mut Context::from_waker(&self.waker), || read)
    }

    /// Ready when every message has been passed to the client, or cannot be.
    pub(super) fn poll_send(&mut self) -> Poll<()> {
        while let Some(length) = self.outbox.next_length() {
            if !self.outgoing.may_send(length) {
                self.pump();
                if !self.outgoing.may_send(length) {
                    return Poll::Pending;
                }
            }
            match ready!(self.client.poll_ready_unpin(&mut Context::from_waker(&self.waker))) {
                Ok(()) => {}
                Err(_) => {
                    self.pump();
                    return Poll::Pending;
                }
            }
            let Some(frame) = self.outbox.take() else { break };
            self.liveness.used();
            self.publish(Kind::Data, frame);
        }
        Poll::Ready(())
    }
}

/// The frame of an end that leaves before it has a link.
#[cfg(feature = "plugin")]
pub(crate) fn gone() -> bytes::Bytes {
    Header { kind: Kind::Gone, number: 0, read: 0 }.write().to_vec().into()
}
