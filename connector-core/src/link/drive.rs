//! The task that owns a link.

use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::Duration;

use super::{Endpoint, ResponseBatch, Role, StallDetector};
use crate::connector::{Link, LinkEnd, SendError};
use crate::excerpt::Excerpt;
use crate::runtime;
use crate::session::Retained;
use crate::wire::DecodeError;

/// Messages sent, and messages received, before switching to the other direction.
const BATCH: usize = 8;
// PERF: docs/performance.md, "each end waited while the other worked": ws pipelined 0.57 → 1.11 of the floor.
/// Messages sent before an early flush, so that the peer can start on the first while the last is still queued. Doubles
/// each time, so that a long queue needs few writes.
const BURST: usize = 8;
/// Backstop for a transport that does not bound its own graceful close.
const CLOSE_LIMIT: Duration = Duration::from_secs(10);
/// Rounds before other tasks of the runtime get a turn.
const ROUNDS: usize = 128;

/// Moves messages between a link and its endpoint until the link ends, and returns how it ended. Flushes when there is
/// nothing left to do, and after a burst. Cancel safe: dropping the future drops the link.
pub(crate) async fn drive(link: &mut dyn Link, endpoint: &mut Endpoint<impl Role>) -> LinkEnd {
    let limits = endpoint.role.outbox().limits().clone();
    endpoint.role.outbox().budget().fit(link.max_message());
    let (mut unflushed, mut graceful, mut responses) = (0, false, ResponseBatch::default());
    // Messages accepted by the link, plus completed flushes.
    let mut taken = 0u64;
    // During back-pressure: the number of bytes sent when it was last observed.
    let mut pushed_back: Option<u64> = None;
    let mut stall: Option<StallDetector> = None;
    let end = poll_fn(|cx| {
        let (mut burst, mut may_receive) = (BURST, true);
        for round in 0.. {
            let (mut sending_paused, mut worked) = (false, false);
            for _ in 0..BATCH {
                match link.poll_ready(cx) {
                    Poll::Ready(Ok(())) => endpoint.exchange.signs += u64::from(pushed_back.take().is_some()),
                    Poll::Ready(Err(end)) => return Poll::Ready(end),
                    Poll::Pending => {
                        let sent = link.traffic().sent;
                        endpoint.exchange.signs +=
                            u64::from(pushed_back.replace(sent).is_some_and(|before| before != sent));
                        endpoint.watch_backlog(cx);
                        sending_paused = true;
                        break;
                    }
                }
                let Poll::Ready(message) = endpoint.poll_transmit(cx) else {
                    sending_paused = true;
                    break;
                };
                unflushed += 1;
                taken += 1;
                let retained = Retained::of(&message);
                endpoint.role.observe_sent(&message, &*link);
                match link.send(message) {
                    Ok(()) => {}
                    Err(SendError::Payload(error)) => endpoint.unsendable(retained, error),
                    Err(SendError::Ended(end)) => return Poll::Ready(end),
                }
            }
            if unflushed >= burst {
                if let Err(end) = flush(link, &mut unflushed, &mut taken, cx) {
                    return Poll::Ready(end);
                }
                burst *= 2;
            }
            for _ in 0..BATCH {
                if !may_receive {
                    break;
                }
                match link.poll_message(cx) {
                    Poll::Ready(Ok(Ok(message))) => {
                        responses.count(&message);
                        may_receive = !responses.is_full();
                        endpoint.role.observe_received(&message, &*link);
                        endpoint.receive(message);
                    }
                    Poll::Ready(Ok(Err(error))) => {
                        endpoint.role.observe_bad_frame(&error);
                        if let Some(left_out) = endpoint.role.traces().pass() {
                            let (plugin, error) = (endpoint.plugin(), Excerpt::new(&error));
                            tracing::warn!(plugin = ?Excerpt::new(plugin), left_out, %error, "a frame is dropped");
                        }
                        if let DecodeError::Partial { head, why } = error {
                            endpoint.receive_head(*head, &why);
                        }
                    }
                    Poll::Ready(Err(end)) => return Poll::Ready(end),
                    Poll::Pending => {
                        may_receive = false;
                        break;
                    }
                }
                endpoint.exchange.signs += 1;
                worked = true;
            }
            worked |= endpoint.poll_work(cx);
            // PERF: docs/performance.md, "each poll … checked everything twice": worker-same rtt 0.31 → 0.34.
            // Received messages and completed work may have produced something to send.
            if sending_paused && !may_receive && !worked {
                break;
            }
            if round >= ROUNDS {
                cx.waker().wake_by_ref();
                break;
            }
        }
        if responses.is_full() {
            runtime::give_way(cx);
        }
        let unread = responses.end_turn();
        // After the messages: queued messages are sent and received ones are processed first, and may be the reason to
        // stop.
        if !unread && let Poll::Ready(end) = endpoint.poll_stop(cx, link) {
            // A silent peer would not complete a close either, and callers must not hang meanwhile.
            graceful = !matches!(end, LinkEnd::Silent(_));
            return Poll::Ready(end);
        }
        if unflushed > 0
            && let Err(end) = flush(link, &mut unflushed, &mut taken, cx)
        {
            return Poll::Ready(end);
        }
        let backlog = endpoint.backlog();
        let progress = || taken.wrapping_add(link.traffic().sent);
        if !backlog.is_full {
            stall = None;
        } else if stall.is_none() {
            stall = Some(StallDetector::new(limits.stall_timeout, progress()));
        }
        let stalled = stall.as_mut().is_some_and(|stall| stall.poll(cx, progress).is_ready());
        if backlog.exceeds_limit || stalled {
            return Poll::Ready(LinkEnd::TooSlow(limits.stall_timeout));
        }
        Poll::Pending
    })
    .await;
    if let Some(left_out) = endpoint.role.traces().take_left_out() {
        tracing::warn!(plugin = ?Excerpt::new(endpoint.plugin()), left_out, "traces over the limit were left out");
    }
    if graceful
        && !close(link).await
        && let Some(left_out) = endpoint.role.traces().pass()
    {
        let plugin = Excerpt::new(endpoint.plugin());
        tracing::warn!(?plugin, left_out, "the link did not close within {CLOSE_LIMIT:?} and was dropped");
    }
    end
}

/// Closes a link gracefully. Returns `false` if it did not close in time.
pub(crate) async fn close(link: &mut dyn Link) -> bool {
    runtime::timeout(CLOSE_LIMIT, poll_fn(|cx| link.poll_disconnect(cx))).await.is_some()
}

fn flush(link: &mut dyn Link, unflushed: &mut usize, taken: &mut u64, cx: &mut Context<'_>) -> Result<(), LinkEnd> {
    if let Poll::Ready(flushed) = link.poll_flush(cx) {
        flushed?;
        *unflushed = 0;
        *taken += 1;
    }
    Ok(())
}
