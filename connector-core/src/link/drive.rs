//! The one task that owns a link.

use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::Duration;

use super::{QueueLimits, StallDetector};
use crate::connector::{Link, LinkEnd, SendError};
use crate::runtime;
use crate::session::Retained;
use crate::wire::{Action, DecodeError, Message, Name, PayloadError};

/// One end's part of the work: its session, and what its events lead to.
pub(crate) trait Endpoint: Send {
    /// The plugin, for traces.
    fn plugin(&self) -> Name;

    /// A message has arrived.
    fn receive(&mut self, message: Message);

    /// A frame has arrived of which no more than its head could be read, and why.
    fn receive_head(&mut self, head: Message, why: &DecodeError);

    /// The next message to send.
    fn poll_transmit(&mut self, cx: &mut Context<'_>) -> Poll<Message>;

    /// Goes on with what runs beside the link; true if anything came of it.
    fn poll_work(&mut self, cx: &mut Context<'_>) -> bool;

    /// While the link takes nothing: wakes the task when more wait to be sent than may.
    fn watch_backlog(&self, cx: &mut Context<'_>);

    /// Messages that wait to be sent, and whether they are more than may wait.
    fn backlog(&self) -> (usize, bool);

    /// A message could not be serialized.
    fn unsendable(&mut self, retained: Retained, error: PayloadError);

    /// Ready when this end wants the link closed, with what to call that. `signs` counts what shows that the other end
    /// lives, beside the bytes that the link itself counts.
    fn poll_stop(&mut self, cx: &mut Context<'_>, link: &dyn Link, signs: u64) -> Poll<LinkEnd>;
}

/// Messages sent, and messages taken in, before it is the other's turn.
const BATCH: usize = 8;
/// Messages sent before the link is flushed although there is more to do, so that the other end need not wait for the
/// last to begin with the first; twice as many each time, so that a long queue goes out in few writes.
const BURST: usize = 8;
/// A transport has a limit of its own for closing in order; this is for one that has forgotten it.
const CLOSE_LIMIT: Duration = Duration::from_secs(10);
/// Rounds before other tasks of the runtime get their turn.
const ROUNDS: usize = 128;
/// ResponseQueue taken in before those who waited for them get theirs: what they do next keeps the other end at work, instead of
/// each end doing nothing while the other does all.
const ANSWERS: usize = 32;
/// Turns in a row that may end so before the link is looked at as if all had been heard.
const TURNS: usize = 32;

/// Moves messages between a link and its side until the link ends, and says how. The link is flushed when there is
/// nothing left to do, and after a burst. Cancel safe as far as dropping the link is.
pub(crate) async fn drive(link: &mut dyn Link, side: &mut impl Endpoint, limits: &QueueLimits) -> LinkEnd {
    let (mut unflushed, mut in_order, mut turns) = (0, false, 0);
    // Signs that the other end lives: frames that came, and a link that takes more after it had pushed back.
    let mut signs = 0u64;
    // Messages that the link has taken, and flushes that were completed.
    let mut taken = 0u64;
    // While the link pushes back: the bytes that it had sent when it last did.
    let mut pushed_back: Option<u64> = None;
    let mut stall: Option<StallDetector> = None;
    let end = poll_fn(|cx| {
        let (mut burst, mut may_hear, mut answers) = (BURST, true, 0);
        for round in 0.. {
            let (mut all_sent, mut worked) = (false, false);
            for _ in 0..BATCH {
                match link.poll_ready(cx) {
                    Poll::Ready(Ok(())) => signs += u64::from(pushed_back.take().is_some()),
                    Poll::Ready(Err(end)) => return Poll::Ready(end),
                    Poll::Pending => {
                        let sent = link.traffic().sent;
                        signs += u64::from(pushed_back.replace(sent).is_some_and(|before| before != sent));
                        side.watch_backlog(cx);
                        all_sent = true;
                        break;
                    }
                }
                let Poll::Ready(message) = side.poll_transmit(cx) else {
                    all_sent = true;
                    break;
                };
                unflushed += 1;
                taken += 1;
                let retained = Retained::of(&message);
                match link.send(message) {
                    Ok(()) => {}
                    Err(SendError::Payload(error)) => side.unsendable(retained, error),
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
                if !may_hear {
                    break;
                }
                match link.poll_message(cx) {
                    Poll::Ready(Ok(Ok(message))) => {
                        answers += usize::from(message.action == Action::Response);
                        may_hear = answers < ANSWERS;
                        side.receive(message);
                    }
                    Poll::Ready(Ok(Err(error))) => {
                        tracing::warn!(plugin = %side.plugin(), %error, "a frame is dropped");
                        if let DecodeError::Partial { head, why } = error {
                            side.receive_head(*head, &why);
                        }
                    }
                    Poll::Ready(Err(end)) => return Poll::Ready(end),
                    Poll::Pending => {
                        may_hear = false;
                        break;
                    }
                }
                signs += 1;
                worked = true;
            }
            worked |= side.poll_work(cx);
            // What has come and what was done may have led to something to send.
            if all_sent && !may_hear && !worked {
                break;
            }
            if round >= ROUNDS {
                cx.waker().wake_by_ref();
                break;
            }
        }
        let unheard = answers >= ANSWERS && turns < TURNS;
        turns = if unheard { turns + 1 } else { 0 };
        if answers >= ANSWERS {
            runtime::give_way(cx);
        }
        // After the messages: what was queued before goes out, what has come is heard, and may be the reason to stop.
        if !unheard && let Poll::Ready(end) = side.poll_stop(cx, link, signs) {
            // A silent end would answer no close either, and what it is asked for must not hang meanwhile.
            in_order = !matches!(end, LinkEnd::Silent(_));
            return Poll::Ready(end);
        }
        if unflushed > 0
            && let Err(end) = flush(link, &mut unflushed, &mut taken, cx)
        {
            return Poll::Ready(end);
        }
        let (waiting, too_many) = side.backlog();
        let progress = || taken.wrapping_add(link.traffic().sent);
        if waiting == 0 || waiting < limits.capacity {
            stall = None;
        } else if stall.is_none() {
            stall = Some(StallDetector::new(limits.stall_timeout, progress()));
        }
        let stalled = stall.as_mut().is_some_and(|stall| stall.poll(cx, progress).is_ready());
        if too_many || stalled {
            return Poll::Ready(LinkEnd::TooSlow(limits.stall_timeout));
        }
        Poll::Pending
    })
    .await;
    if in_order && !close(link).await {
        let plugin = side.plugin();
        tracing::warn!(%plugin, "the link did not close within {CLOSE_LIMIT:?} and was dropped");
    }
    end
}

/// Closes a link in order; false if it did not close in time.
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
