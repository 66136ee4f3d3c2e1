//! A websocket as a link of text frames, and the loop that drives it.

use std::future::poll_fn;
use std::task::{Context, Poll};

use connector_core::{Excerpt, Link, LinkEnd, TraceLimit};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::tungstenite as ws;
use ws::Utf8Bytes;

use crate::link::{Inbound, WsLink};

/// A link that also carries raw text frames.
pub(crate) trait TextLink: Link {
    /// Sends a text within [`WsConfig::max_sent_message`](crate::WsConfig), once the link is ready.
    fn send_text(&mut self, text: Utf8Bytes) -> Result<(), LinkEnd>;
    fn poll_text(&mut self, cx: &mut Context<'_>) -> Poll<Result<Inbound, LinkEnd>>;
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> TextLink for WsLink<S> {
    fn send_text(&mut self, text: Utf8Bytes) -> Result<(), LinkEnd> {
        self.send_frame(ws::Message::Text(text)).map_err(LinkEnd::from)
    }

    fn poll_text(&mut self, cx: &mut Context<'_>) -> Poll<Result<Inbound, LinkEnd>> {
        self.poll_frame(cx)
    }
}

/// One end's driver state.
pub(super) trait Endpoint {
    /// Limits the traces that the peer causes.
    fn traces(&self) -> &TraceLimit;

    /// Whether frames are received. While they are not, this end waits until its peer has taken some of the frames that it
    /// is sent.
    fn may_receive(&self) -> bool {
        true
    }

    /// A frame has arrived.
    fn receive(&mut self, text: Utf8Bytes);

    /// The next frame to send.
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Utf8Bytes>;

    /// Advances work beside the link. Returns true if there was progress.
    fn poll_work(&mut self, cx: &mut Context<'_>) -> bool;

    /// True once, after a frame that proves what the peer is: the link's limits for unproven peers no longer apply.
    fn take_admission(&mut self) -> bool {
        false
    }

    /// Ready when this end wants the link closed: gracefully for [`LinkEnd::Disconnected`], immediately for any other
    /// end. Called when there is nothing to send or the link is not ready. `progress` grows with everything the link
    /// accepts.
    fn poll_stop(&mut self, cx: &mut Context<'_>, progress: impl Fn() -> u64) -> Poll<LinkEnd>;
}

/// Maximum number of frames moved in one direction before the other gets its turn.
const BATCH: usize = 64;
/// Maximum number of rounds before yielding to the runtime.
const ROUNDS: usize = 16;

/// Moves frames between a link and its endpoint until the link ends, and returns how. Dropping the future drops the
/// state of this loop only, so it is as cancel safe as dropping the link.
pub(super) async fn drive(link: &mut dyn TextLink, endpoint: &mut impl Endpoint) -> LinkEnd {
    // `accepted` counts frames accepted by the link and completed flushes.
    let (mut unflushed, mut accepted) = (false, 0u64);
    let end = poll_fn(|cx| {
        for round in 0.. {
            let mut idle = true;
            for _ in 0..BATCH {
                match link.poll_ready(cx) {
                    Poll::Ready(Ok(())) => {}
                    Poll::Ready(Err(end)) => return Poll::Ready(end),
                    Poll::Pending => break,
                }
                let Poll::Ready(text) = endpoint.poll_frame(cx) else { break };
                (idle, unflushed) = (false, true);
                accepted += 1;
                if let Err(end) = link.send_text(text) {
                    return Poll::Ready(end);
                }
            }
            let batch = if endpoint.may_receive() { BATCH } else { 0 };
            for _ in 0..batch {
                match link.poll_text(cx) {
                    Poll::Ready(Ok(Ok(text))) => {
                        endpoint.receive(text);
                        if endpoint.take_admission() {
                            link.handshake_completed();
                        }
                    }
                    Poll::Ready(Ok(Err(what))) => {
                        if let Some(left_out) = endpoint.traces().pass() {
                            let what = Excerpt::new(what);
                            tracing::warn!(%what, left_out, "dropped a frame: STP uses text frames only");
                        }
                    }
                    Poll::Ready(Err(end)) => return Poll::Ready(end),
                    Poll::Pending => break,
                }
                idle = false;
            }
            idle &= !endpoint.poll_work(cx);
            if idle {
                break;
            }
            if round >= ROUNDS {
                cx.waker().wake_by_ref();
                break;
            }
        }
        if let Poll::Ready(end) = endpoint.poll_stop(cx, || accepted.wrapping_add(link.traffic().sent)) {
            return Poll::Ready(end);
        }
        if unflushed && let Poll::Ready(flushed) = link.poll_flush(cx) {
            match flushed {
                Ok(()) => {
                    unflushed = false;
                    accepted += 1;
                }
                Err(end) => return Poll::Ready(end),
            }
        }
        Poll::Pending
    })
    .await;
    if matches!(end, LinkEnd::Disconnected) {
        // Bounded by the link's own close timeout.
        poll_fn(|cx| link.poll_disconnect(cx)).await;
    }
    end
}
