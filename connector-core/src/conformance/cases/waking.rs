//! Whoever waits is woken, by what it waits for; and nobody is woken for nothing.

use std::future::{Future, poll_fn};
use std::task::Poll;
use std::time::Duration;

use crate::conformance::failure::{Failure, Hint, check, same};
use crate::conformance::fixture::Fixture;
use crate::conformance::lab::{WAKERS, both, filled, moment, numbered, pair, pair_from};
use crate::runtime;

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
        /// Timers of the transport's own wake it now and then; a task that never sleeps is woken more often.
        const MOST: usize = 2000;
        let mut wakes = 0;
        let mut over = runtime::sleep(Duration::from_millis(200));
        poll_fn(|cx| {
            wakes += 1;
            if wakes > MOST || over.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
            // What is there is looked at by others.
            let _ = end.poll_message(cx);
            Poll::Pending
        })
        .await;
        check(wakes <= MOST, || {
            Failure::new("a task that sleeps while nothing happens", "one that is woken all the time")
        })
        .look_at("wakers that are woken by the method that keeps them")?;
    }
    Ok(())
}
