//! Queues frames for their connections, and answers for those that do not fit.

use std::collections::VecDeque;
use std::sync::Arc;

use connector_core::stp::Response;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use super::Inner;
use super::memory::Charge;
use super::outbox::{FRAME, Outbox};
use super::outgoing::{Body, Outgoing, PeerId};

/// The connection whose frame is handled, or that ends.
#[derive(Debug, Clone, Copy)]
pub(super) struct Origin<'a> {
    pub(super) id: PeerId,
    pub(super) outbox: &'a Outbox,
}

impl Inner {
    /// Queues frames on behalf of the connection `from`; `received` is the frame being handled.
    ///
    /// The hub does not wait for a service that reads slowly: a request that does not fit is refused, an answer that does not
    /// fit is replaced by a refusal, and an inform is dropped.
    pub(super) fn deliver(&self, from: Origin<'_>, outgoing: Vec<Outgoing<'_>>, received: &Utf8Bytes) {
        if outgoing.is_empty() {
            return;
        }
        let receivers = outgoing.iter().filter(|outgoing| matches!(outgoing.body, Body::Received)).count();
        // The services share the text.
        let inform = match receivers {
            0 => Err(String::new()),
            _ => from.outbox.account().charge(received.len() + receivers * FRAME).map(Arc::new),
        };
        let mut outgoing = VecDeque::from(outgoing);
        while let Some(Outgoing { to, body }) = outgoing.pop_front() {
            let Err(why) = self.enqueue(from, &to, &body, received, &inform) else { continue };
            match body {
                Body::Received => {
                    if let Some(left_out) = self.traces.pass() {
                        tracing::warn!(why, left_out, "dropped an inform");
                    }
                }
                Body::Request { peer, cookie, .. } => outgoing.extend(self.router().withdraw(peer, cookie, why)),
                Body::Response(Response { cookie, .. }) | Body::HubResponse { cookie, .. } => {
                    outgoing.push_back(Outgoing { to, body: Body::HubResponse { cookie, outcome: Err(why) } });
                }
            }
        }
    }

    /// # Errors
    /// Why the frame was not queued.
    fn enqueue(
        &self,
        from: Origin<'_>,
        to: &Outbox,
        body: &Body<'_>,
        received: &Utf8Bytes,
        inform: &Result<Arc<Charge>, String>,
    ) -> Result<(), String> {
        let (text, limit) = (body.frame(received), self.config.server.ws.max_sent_message);
        let bytes = text.len();
        // The text that replaces a refusal is short. If not even that is allowed, the link ends.
        if bytes > limit && (bytes > MAX_REASON || !body.is_refusal()) {
            return Err(format!("a frame of {bytes} bytes exceeds the limit of {limit}"));
        }
        match body {
            Body::Received => to.push(from.id, text, Arc::clone(inform.as_ref().map_err(String::clone)?)),
            Body::Request { deadline, .. } => {
                let charge = from.outbox.account().charge(bytes + FRAME)?;
                to.push(from.id, text, Arc::new(charge))?;
                to.set_deadline(*deadline);
                Ok(())
            }
            Body::HubResponse { outcome: Err(_), .. } => {
                to.push_refusal(from.id, text, to.account().charge(bytes + FRAME).ok());
                Ok(())
            }
            // Its receiver has asked for it.
            Body::Response(_) | Body::HubResponse { .. } => {
                let charge = to.account().charge(bytes + FRAME)?;
                to.push(from.id, text, Arc::new(charge)).map_err(|_| {
                    format!("too much is queued for this connection for an answer of {bytes} bytes: read sooner")
                })
            }
        }
    }
}

/// The size of a refusal's frame with one of this module's reasons, at most.
const MAX_REASON: usize = 1024;
