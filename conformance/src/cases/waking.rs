//! Wake-ups: a waiting task is woken when it can make progress, and not otherwise.

use std::future::{Future, poll_fn};
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::contract::{SLEEP, TWO_WAKERS};
use crate::failure::{Failure, Hint, check, same};
use crate::fixture::Fixture;
use crate::harness::{WAKERS, both, fill, filled, numbered, pair, pair_from, pause, within};
use crate::runtime;
use crate::runtime::lock;

/// An incoming message wakes a waiting reader, at either end.
pub async fn a_waiting_reader_is_woken(fixture: &dyn Fixture) -> Result<(), Failure> {
    let (mut engine, mut plugin, _harness) = pair(fixture).await?;
    for number in 0..3 {
        let send = async {
            pause().await;
            engine.send(numbered(number)).await
        };
        same("the message", &both(send, plugin.next()).await.hint(WAKERS)?.1.id, &Some(number.into()))?;
        let send = async {
            pause().await;
            plugin.send(numbered(number)).await
        };
        same("the message", &both(send, engine.next()).await.hint(WAKERS)?.1.id, &Some(number.into()))?;
    }
    Ok(())
}

/// A reader that has sent in between is still woken: the two directions keep separate wakers.
pub async fn sending_keeps_the_readers_waker(fixture: &dyn Fixture) -> Result<(), Failure> {
    let (mut engine, mut plugin, _harness) = pair(fixture).await?;
    for number in 0..3 {
        let wait = async {
            plugin.is_quiet().await?;
            plugin.send(numbered(number)).await?;
            plugin.next().await
        };
        let send = async {
            same("the message", &engine.next().await?.id, &Some(number.into()))?;
            pause().await;
            engine.send(numbered(number)).await
        };
        same("the message", &both(wait, send).await.hint(WAKERS)?.0.id, &Some(number.into()))?;
    }
    Ok(())
}

/// A waiting sender is woken once the other end reads.
pub async fn a_waiting_sender_is_woken(fixture: &dyn Fixture) -> Result<(), Failure> {
    for from_engine in [true, false] {
        let (mut sender, mut receiver, _harness) = pair_from(fixture, from_engine).await?;
        const BYTES: usize = 50_000;
        let count = (fixture.capabilities().max_unread_bytes / BYTES + 200) as i64;
        let send = async {
            for number in 0..count {
                sender.queue(filled(number, BYTES)).await?;
            }
            sender.flush().await
        };
        let receive = async {
            pause().await;
            for number in 0..count {
                same("the next message", &receiver.next().await?.id, &Some(number.into()))?;
                if number % 500 == 0 {
                    pause().await;
                }
            }
            Ok(())
        };
        both(send, receive).await.hint(WAKERS).map(drop)?;
    }
    Ok(())
}

/// The end of the link wakes a waiting reader.
pub async fn the_end_wakes_a_reader(fixture: &dyn Fixture) -> Result<(), Failure> {
    for from_engine in [true, false] {
        for drops in [true, false] {
            let (mut sender, mut receiver, _harness) = pair_from(fixture, from_engine).await?;
            let close = async {
                pause().await;
                match drops {
                    true => drop(sender),
                    false => sender.disconnect().await?,
                }
                Ok(())
            };
            both(close, receiver.end()).await.hint(WAKERS)?;
        }
    }
    Ok(())
}

/// The end of the link wakes a sender that waits for a reader.
pub async fn the_end_wakes_a_sender(fixture: &dyn Fixture) -> Result<(), Failure> {
    for from_engine in [true, false] {
        let (mut sender, receiver, _harness) = pair_from(fixture, from_engine).await?;
        let max = fixture.capabilities().max_unread_bytes / 50_000 + 1000;
        let send = sender.send_until_end(50_000, max);
        let close = async {
            pause().await;
            pause().await;
            drop(receiver);
            Ok(())
        };
        both(send, close).await.hint(WAKERS).map(drop)?;
    }
    Ok(())
}

/// A link with nothing to do lets its task sleep.
pub async fn an_idle_link_sleeps(fixture: &dyn Fixture) -> Result<(), Failure> {
    let (mut engine, mut plugin, _harness) = pair(fixture).await?;
    engine.send(numbered(1)).await?;
    same("the message", &plugin.next().await?.id, &Some(1.into()))?;
    for end in [&mut engine, &mut plugin] {
        sleeps(|cx| end.poll_message(cx).is_ready()).await?;
    }
    Ok(())
}

/// Polls for a while and checks that the task sleeps meanwhile. Ends early if the link becomes ready.
async fn sleeps(mut is_ready: impl FnMut(&mut Context<'_>) -> bool) -> Result<(), Failure> {
    /// The transport's timers cause some wake-ups; a task that never sleeps is woken more often.
    const MAX: usize = 2000;
    let mut polls = 0;
    let mut over = runtime::sleep(Duration::from_millis(200));
    poll_fn(|cx| {
        polls += 1;
        if polls > MAX || over.as_mut().poll(cx).is_ready() || is_ready(cx) {
            return Poll::Ready(());
        }
        Poll::Pending
    })
    .await;
    check(polls <= MAX, || Failure::new("a task that sleeps while nothing happens", "one that is woken constantly"))
        .hint("methods that wake the waker they have just stored, and loops that poll instead of waiting")
        .rule(SLEEP)
}

/// A link that waits for the other end to read lets its task sleep.
pub async fn a_full_link_sleeps(fixture: &dyn Fixture) -> Result<(), Failure> {
    for from_engine in [true, false] {
        let (mut sender, _receiver, harness) = pair_from(fixture, from_engine).await?;
        fill(&mut sender, harness.has.max_unread_bytes / 2).await?;
        // Polls both directions, as a link's owner does.
        sleeps(|cx| sender.poll_ready(cx).is_ready() || sender.poll_message(cx).is_ready()).await?;
    }
    Ok(())
}

/// A link that waits for the other end to close lets its task sleep.
pub async fn a_closing_link_sleeps(fixture: &dyn Fixture) -> Result<(), Failure> {
    for from_engine in [true, false] {
        let (mut sender, _receiver, harness) = pair_from(fixture, from_engine).await?;
        fill(&mut sender, harness.has.max_unread_bytes / 2).await?;
        sleeps(|cx| sender.poll_disconnect(cx).is_ready()).await?;
    }
    Ok(())
}

/// A reader and a sender that wait with separate wakers are both woken, each by its own direction.
pub async fn each_way_has_its_own_waker(fixture: &dyn Fixture) -> Result<(), Failure> {
    for (from_engine, reads_first) in [(true, true), (false, true), (true, false), (false, false)] {
        let (mut sender, mut other, harness) = pair_from(fixture, from_engine).await?;
        let count = fill(&mut sender, harness.has.max_unread_bytes / 2).await?;
        let sender = Mutex::new(sender);
        let limit = harness.has.timeout;
        // One task owns a link, but its parts may use separate wakers.
        let read = within(limit, "a reader to be woken", poll_fn(|cx| lock(&sender).poll_message(cx)));
        let write = within(limit, "a sender to be woken", poll_fn(|cx| lock(&sender).poll_ready(cx)));
        let read = async {
            let received = read.await?.map_err(|end| Failure::new("a message", end))?;
            same("the message", &received.ok().and_then(|message| message.id), &Some(7.into()))
        };
        let write = async { write.await?.map_err(|end| Failure::new("a link that is ready", end)) };
        let flush = within(limit, "a flush", poll_fn(|cx| lock(&sender).poll_flush(cx)));
        let write = async {
            write.await?;
            flush.await?.map_err(|end| Failure::new("a link that is flushed", end))
        };
        let other = async {
            pause().await;
            for number in 0..count {
                same("the next message", &other.next().await?.id, &Some(number.into()))?;
            }
            pause().await;
            other.send(numbered(7)).await?;
            Ok(other)
        };
        let waiting = async {
            match reads_first {
                true => both(read, write).await.map(drop),
                false => both(write, read).await.map(drop),
            }
        };
        both(waiting, other).await.hint("wakers: reading and sending keep one each").rule(TWO_WAKERS)?;
    }
    Ok(())
}

/// The task that polled last is woken, not the one that polled first.
pub async fn the_latest_waker_is_woken(fixture: &dyn Fixture) -> Result<(), Failure> {
    const LATEST: &str = "a waker that is stored once and not replaced";
    for from_engine in [true, false] {
        let (mut sender, mut receiver, harness) = pair_from(fixture, from_engine).await?;
        let no_task = || Context::from_waker(Waker::noop());
        check(receiver.poll_message(&mut no_task()).is_pending(), || Failure::new("nothing", "a message"))?;
        let send = async {
            pause().await;
            sender.send(numbered(-1)).await
        };
        same("the message", &both(receiver.next(), send).await.hint(LATEST)?.0.id, &Some((-1).into()))?;
        let count = fill(&mut sender, harness.has.max_unread_bytes / 2).await?;
        if sender.poll_ready(&mut no_task()).is_ready() {
            continue;
        }
        let receive = async {
            pause().await;
            for number in 0..count {
                same("the next message", &receiver.next().await?.id, &Some(number.into()))?;
            }
            Ok(())
        };
        both(sender.send_when_ready(numbered(1)), receive).await.hint(LATEST)?;
    }
    Ok(())
}
