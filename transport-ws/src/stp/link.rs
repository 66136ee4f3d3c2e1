//! A websocket as a link of text frames, and the loop that moves them.

use std::future::poll_fn;
use std::task::{Context, Poll};

use connector_core::LinkEnd;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::tungstenite as ws;
use ws::Utf8Bytes;

use crate::link::{AnyLink, Inbound, WsLink};

/// As [`Link`](connector_core::Link), for text as it is.
pub(crate) trait TextLink {
    fn poll_ready_for_text(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkEnd>>;
    /// Takes a text that is not over [`WsConfig::max_sent_message`](crate::WsConfig), once the link was ready.
    fn send_text(&mut self, text: Utf8Bytes) -> Result<(), LinkEnd>;
    fn poll_text_sent(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkEnd>>;
    fn poll_text(&mut self, cx: &mut Context<'_>) -> Poll<Result<Inbound, LinkEnd>>;
    fn poll_text_closed(&mut self, cx: &mut Context<'_>) -> Poll<()>;
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> TextLink for WsLink<S> {
    fn poll_ready_for_text(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkEnd>> {
        self.poll_ready_for_frame(cx)
    }

    fn send_text(&mut self, text: Utf8Bytes) -> Result<(), LinkEnd> {
        self.send_frame(ws::Message::Text(text)).map_err(|error| match error {
            connector_core::SendError::Ended(end) => end,
            other => LinkEnd::lost(other),
        })
    }

    fn poll_text_sent(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkEnd>> {
        self.poll_flushed(cx)
    }

    fn poll_text(&mut self, cx: &mut Context<'_>) -> Poll<Result<Inbound, LinkEnd>> {
        self.poll_frame(cx)
    }

    fn poll_text_closed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.poll_closed(cx)
    }
}

/// One end's part of the work.
pub(super) trait Side {
    /// A frame has arrived.
    fn receive(&mut self, text: Utf8Bytes);

    /// The next frame to send.
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Utf8Bytes>;

    /// Goes on with what runs beside the link; true if anything came of it.
    fn poll_work(&mut self, cx: &mut Context<'_>) -> bool;

    /// Ready when this end wants the link closed: in order as [`LinkEnd::Disconnected`], at once as anything else.
    /// Asked when there is nothing to send, or the link does not take it. `progress` grows with all that the link takes.
    fn poll_stop(&mut self, cx: &mut Context<'_>, progress: impl Fn() -> u64) -> Poll<LinkEnd>;
}

/// Frames moved one way before the other way gets its turn.
const BATCH: usize = 64;
/// Rounds before other tasks of the runtime get their turn.
const ROUNDS: usize = 16;

/// Moves frames between a link and its side until the link ends, and says how. Cancel safe as far as dropping the link
/// is.
pub(super) async fn drive(link: &mut dyn AnyLink, side: &mut impl Side) -> LinkEnd {
    // Frames that the link has taken, and flushes that were completed.
    let (mut unflushed, mut taken) = (false, 0u64);
    let end = poll_fn(|cx| {
        for round in 0.. {
            let mut idle = true;
            for _ in 0..BATCH {
                match link.poll_ready_for_text(cx) {
                    Poll::Ready(Ok(())) => {}
                    Poll::Ready(Err(end)) => return Poll::Ready(end),
                    Poll::Pending => break,
                }
                let Poll::Ready(text) = side.poll_frame(cx) else { break };
                (idle, unflushed) = (false, true);
                taken += 1;
                if let Err(end) = link.send_text(text) {
                    return Poll::Ready(end);
                }
            }
            for _ in 0..BATCH {
                match link.poll_text(cx) {
                    Poll::Ready(Ok(Ok(text))) => side.receive(text),
                    Poll::Ready(Ok(Err(what))) => tracing::warn!(what, "a frame is dropped: text is what STP speaks"),
                    Poll::Ready(Err(end)) => return Poll::Ready(end),
                    Poll::Pending => break,
                }
                idle = false;
            }
            idle &= !side.poll_work(cx);
            if idle {
                break;
            }
            if round >= ROUNDS {
                cx.waker().wake_by_ref();
                break;
            }
        }
        if let Poll::Ready(end) = side.poll_stop(cx, || taken.wrapping_add(link.traffic().sent)) {
            return Poll::Ready(end);
        }
        if unflushed && let Poll::Ready(flushed) = link.poll_text_sent(cx) {
            match flushed {
                Ok(()) => {
                    unflushed = false;
                    taken += 1;
                }
                Err(end) => return Poll::Ready(end),
            }
        }
        Poll::Pending
    })
    .await;
    if matches!(end, LinkEnd::Disconnected) {
        // Bounded by the link's own close timeout.
        poll_fn(|cx| link.poll_text_closed(cx)).await;
    }
    end
}
