//! Moves messages between a link and a player.

use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::Duration;

use connector_core::runtime::{self, Timer};
use connector_core::{Link, LinkEnd, SendError};

use super::player::{Next, Player};

/// How long a link may take to close.
const CLOSE_LIMIT: Duration = Duration::from_secs(10);

/// How time passes in a replay.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timing {
    /// By how much faster than recorded messages are sent; `None` sends each as soon as it may be sent.
    pub(super) speed: Option<f64>,
    /// How much longer than recorded a message may take; `None` waits until the link ends.
    pub(super) timeout: Option<Duration>,
    /// The recorded time of the first message.
    pub(super) began: u64,
}

/// Plays until the link ends, or, if there is a timeout, until all steps are done. Returns how the link ended.
pub(super) async fn drive(link: &mut dyn Link, player: &mut Player, timing: Timing) -> Option<LinkEnd> {
    let mut driver = Driver { timing, began: runtime::now(), timer: None, is_flushed: true };
    let end = poll_fn(|cx| driver.poll(link, player, cx)).await;
    if end.is_none() {
        let closed = poll_fn(|cx| link.poll_disconnect(cx));
        runtime::timeout(CLOSE_LIMIT, std::pin::pin!(closed)).await;
    }
    end
}

struct Driver {
    timing: Timing,
    began: runtime::Instant,
    /// Until the next message is due, or is given up.
    timer: Option<Timer>,
    is_flushed: bool,
}

impl Driver {
    fn poll(&mut self, link: &mut dyn Link, player: &mut Player, cx: &mut Context<'_>) -> Poll<Option<LinkEnd>> {
        loop {
            let received = match link.poll_message(cx) {
                Poll::Ready(Ok(Ok(message))) => {
                    player.receive(&message);
                    self.timer = None;
                    true
                }
                // Such as stray output of a program.
                Poll::Ready(Ok(Err(_))) => true,
                Poll::Ready(Err(end)) => return Poll::Ready(Some(end)),
                Poll::Pending => false,
            };
            let sent = match player.next() {
                Next::Send { at } if self.is_due(at, cx) => match link.poll_ready(cx) {
                    Poll::Ready(Ok(())) => {
                        self.timer = None;
                        self.is_flushed = false;
                        match player.transmit().map(|message| link.send(message)) {
                            Some(Err(SendError::Ended(end))) => return Poll::Ready(Some(end)),
                            Some(Err(error)) => player.unsendable(error.to_string()),
                            Some(Ok(())) | None => {}
                        }
                        true
                    }
                    Poll::Ready(Err(end)) => return Poll::Ready(Some(end)),
                    Poll::Pending => false,
                },
                Next::Wait { recorded } if self.is_late(recorded, cx) => {
                    player.give_up();
                    self.timer = None;
                    true
                }
                Next::Done if self.timing.timeout.is_some() && self.is_flushed => return Poll::Ready(None),
                Next::Send { .. } | Next::Wait { .. } | Next::Done => false,
            };
            if !self.is_flushed {
                match link.poll_flush(cx) {
                    Poll::Ready(Ok(())) => {
                        self.is_flushed = true;
                        continue;
                    }
                    Poll::Ready(Err(end)) => return Poll::Ready(Some(end)),
                    Poll::Pending => {}
                }
            }
            if !received && !sent {
                return Poll::Pending;
            }
        }
    }

    fn is_due(&mut self, at: Option<u64>, cx: &mut Context<'_>) -> bool {
        let (Some(at), Some(speed)) = (at, self.timing.speed) else { return true };
        let recorded = Duration::from_micros(at.saturating_sub(self.timing.began));
        let after = Duration::try_from_secs_f64(recorded.as_secs_f64() / speed).unwrap_or(Duration::MAX);
        let left = after.saturating_sub(runtime::now().duration_since(self.began));
        left.is_zero() || self.has_passed(left, cx)
    }

    fn is_late(&mut self, recorded: u64, cx: &mut Context<'_>) -> bool {
        let Some(timeout) = self.timing.timeout else { return false };
        self.has_passed(timeout.saturating_add(Duration::from_micros(recorded)), cx)
    }

    fn has_passed(&mut self, time: Duration, cx: &mut Context<'_>) -> bool {
        self.timer.get_or_insert_with(|| runtime::sleep(time)).as_mut().poll(cx).is_ready()
    }
}
