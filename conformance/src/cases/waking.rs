//! Whoever waits is woken, by what it waits for; and nobody is woken for nothing.

use std::future::{Future, poll_fn};
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::contract::{SLEEP, TWO_WAKERS};
use crate::failure::{Failure, Hint, check, same};
use crate::fixture::Fixture;
use crate::harness::{WAKERS, both, fill, filled, moment, numbered, pair, pair_from, within};
use crate::runtime;
use crate::runtime::lock;

/// A reader that waits is woken by the message that comes, at either end.
pub async fn a_waiting_reader_is_woken(fixture: &dyn Fixture) -> Result<(), Failure> {
    let (mut engine, mut plugin, _lab) = pair(fixture).await?;
    for number in 0..3 {
        let send = async {
            moment().await;
            engine.send(numbered(number)).await
        };
        same("the message", &both(send, plugin.next()).await.look_at(WAKERS)?.1.id, &Some(number.into()))?;
        let send = async {
            moment().await;
            plugin.send(numbered(number)).await
        };
        same("the message", &both(send, engine.next()).await.look_at(WAKERS)?.1.id, &Some(number.into()))?;
    }
    Ok(())
}

/// A reader that has asked to send in between is woken all the same: the ways do not take each other's waker.
pub async fn sending_does_not_lose_the_readers_waker(fixture: &dyn Fixture) -> Result<(), Failure> {
    let (mut engine, mut plugin, _lab) = pair(fixture).await?;
    for number in 0..3 {
        let wait = async {
            plugin.is_quiet().await?;
            plugin.send(numbered(number)).await?;
            plugin.next().await
        };
        let send = async {
            same("the message", &engine.next().await?.id, &Some(number.into()))?;
            moment().await;
            engine.send(numbered(number)).await
        };
        same("the message", &both(wait, send).await.look_at(WAKERS)?.0.id, &Some(number.into()))?;
    }
    Ok(())
}

/// A sender that waits is woken once the other end reads.
pub async fn a_waiting_sender_is_woken(fixture: &dyn Fixture) -> Result<(), Failure> {
    for from_engine in [true, false] {
        let (mut sender, mut receiver, _lab) = pair_from(fixture, from_engine).await?;
        const BYTES: usize = 50_000;
        let many = (fixture.capabilities().most_unread_bytes / BYTES + 200) as i64;
        let send = async {
            for number in 0..many {
                sender.put(filled(number, BYTES)).await?;
            }
            sender.flush().await
        };
        let receive = async {
            moment().await;
            for number in 0..many {
                same("the next message", &receiver.next().await?.id, &Some(number.into()))?;
                if number % 500 == 0 {
                    moment().await;
                }
            }
            Ok(())
        };
        both(send, receive).await.look_at(WAKERS).map(drop)?;
    }
    Ok(())
}

/// A reader that waits is woken by the end of the link.
pub async fn the_end_wakes_a_reader(fixture: &dyn Fixture) -> Result<(), Failure> {
    for from_engine in [true, false] {
        for drops in [true, false] {
            let (mut sender, mut receiver, _lab) = pair_from(fixture, from_engine).await?;
            let close = async {
                moment().await;
                match drops {
                    true => drop(sender),
                    false => sender.disconnect().await?,
                }
                Ok(())
            };
            both(close, receiver.end()).await.look_at(WAKERS)?;
        }
    }
    Ok(())
}

/// A sender that waits for a reader is woken by the end of the link.
pub async fn the_end_wakes_a_sender(fixture: &dyn Fixture) -> Result<(), Failure> {
    for from_engine in [true, false] {
        let (mut sender, receiver, _lab) = pair_from(fixture, from_engine).await?;
        let most = fixture.capabilities().most_unread_bytes / 50_000 + 1000;
        let send = sender.send_until_end(50_000, most);
        let close = async {
            moment().await;
            moment().await;
            drop(receiver);
            Ok(())
        };
        both(send, close).await.look_at(WAKERS).map(drop)?;
    }
    Ok(())
}

/// A link with nothing to do lets its task sleep.
pub async fn an_idle_link_sleeps(fixture: &dyn Fixture) -> Result<(), Failure> {
    let (mut engine, mut plugin, _lab) = pair(fixture).await?;
    engine.send(numbered(1)).await?;
    same("the message", &plugin.next().await?.id, &Some(1.into()))?;
    for end in [&mut engine, &mut plugin] {
        sleeps(|cx| end.poll_message(cx).is_ready()).await?;
    }
    Ok(())
}

/// Polls for a while; the task must sleep meanwhile. Ends early if there is nothing to wait for.
async fn sleeps(mut is_ready: impl FnMut(&mut Context<'_>) -> bool) -> Result<(), Failure> {
    /// Timers of the transport's own wake it now and then; a task that never sleeps is woken more often.
    const MOST: usize = 2000;
    let mut polls = 0;
    let mut over = runtime::sleep(Duration::from_millis(200));
    poll_fn(|cx| {
        polls += 1;
        if polls > MOST || over.as_mut().poll(cx).is_ready() || is_ready(cx) {
            return Poll::Ready(());
        }
        Poll::Pending
    })
    .await;
    check(polls <= MOST, || Failure::new("a task that sleeps while nothing happens", "one that is woken all the time"))
        .look_at("wakers that are woken by the method that keeps them, and loops that poll instead of waiting")
        .rule(SLEEP)
}

/// A link that waits for the other end to read lets its task sleep.
pub async fn a_full_link_sleeps(fixture: &dyn Fixture) -> Result<(), Failure> {
    for from_engine in [true, false] {
        let (mut sender, _receiver, lab) = pair_from(fixture, from_engine).await?;
        fill(&mut sender, lab.has.most_unread_bytes / 2).await?;
        // As its owner does: it asks for room and for messages.
        sleeps(|cx| sender.poll_ready(cx).is_ready() || sender.poll_message(cx).is_ready()).await?;
    }
    Ok(())
}

/// A link that waits for the other end to close lets its task sleep.
pub async fn a_closing_link_sleeps(fixture: &dyn Fixture) -> Result<(), Failure> {
    for from_engine in [true, false] {
        let (mut sender, _receiver, lab) = pair_from(fixture, from_engine).await?;
        fill(&mut sender, lab.has.most_unread_bytes / 2).await?;
        sleeps(|cx| sender.poll_disconnect(cx).is_ready()).await?;
    }
    Ok(())
}

/// A reader and a sender that wait with wakers of their own are both woken, each by what it waits for.
pub async fn each_way_has_its_own_waker(fixture: &dyn Fixture) -> Result<(), Failure> {
    for (from_engine, reads_first) in [(true, true), (false, true), (true, false), (false, false)] {
        let (mut sender, mut other, lab) = pair_from(fixture, from_engine).await?;
        let many = fill(&mut sender, lab.has.most_unread_bytes / 2).await?;
        let sender = Mutex::new(sender);
        let limit = lab.has.patience;
        // The contract has one task own a link; its parts may have wakers of their own.
        let read = within(limit, "a reader to be woken", poll_fn(|cx| lock(&sender).poll_message(cx)));
        let write = within(limit, "a sender to be woken", poll_fn(|cx| lock(&sender).poll_ready(cx)));
        let read = async {
            let came = read.await?.map_err(|end| Failure::new("a message", end))?;
            same("the message", &came.ok().and_then(|message| message.id), &Some(7.into()))
        };
        let write = async { write.await?.map_err(|end| Failure::new("a link that is ready", end)) };
        let flush = within(limit, "a flush", poll_fn(|cx| lock(&sender).poll_flush(cx)));
        let write = async {
            write.await?;
            flush.await?.map_err(|end| Failure::new("a link that is flushed", end))
        };
        let other = async {
            moment().await;
            for number in 0..many {
                same("the next message", &other.next().await?.id, &Some(number.into()))?;
            }
            moment().await;
            other.send(numbered(7)).await?;
            Ok(other)
        };
        let waiting = async {
            match reads_first {
                true => both(read, write).await.map(drop),
                false => both(write, read).await.map(drop),
            }
        };
        both(waiting, other).await.look_at("wakers: reading and sending keep one each").rule(TWO_WAKERS)?;
    }
    Ok(())
}

/// What is woken is the task that polled last, not the one that polled first.
pub async fn the_latest_waker_is_woken(fixture: &dyn Fixture) -> Result<(), Failure> {
    const LATEST: &str = "a waker that is kept once and not replaced";
    for from_engine in [true, false] {
        let (mut sender, mut receiver, lab) = pair_from(fixture, from_engine).await?;
        let nobody = || Context::from_waker(Waker::noop());
        check(receiver.poll_message(&mut nobody()).is_pending(), || Failure::new("nothing", "a message"))?;
        let send = async {
            moment().await;
            sender.send(numbered(-1)).await
        };
        same("the message", &both(receiver.next(), send).await.look_at(LATEST)?.0.id, &Some((-1).into()))?;
        let many = fill(&mut sender, lab.has.most_unread_bytes / 2).await?;
        if sender.poll_ready(&mut nobody()).is_ready() {
            continue;
        }
        let receive = async {
            moment().await;
            for number in 0..many {
                same("the next message", &receiver.next().await?.id, &Some(number.into()))?;
            }
            Ok(())
        };
        both(sender.take_unread(numbered(1)), receive).await.look_at(LATEST)?;
    }
    Ok(())
}
