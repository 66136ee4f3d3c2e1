//! Back-pressure: a link pushes back on its sender, loses nothing, and keeps receiving meanwhile.

use crate::capabilities::Capabilities;
use crate::contract::{BOTH_WAYS, FIFTY, FLUSH, ORDER};
use crate::failure::{Failure, Hint, check, same};
use crate::fixture::Fixture;
use crate::harness::{CheckedLink, both, filled, numbered, pair, pair_from, pause, text};

const BOUND: &str = "poll_ready: it is pending while the other end does not read and the buffers are full";
const BOTH: &str = "methods that wait for each other: receiving continues while sending is not ready, and vice versa";

/// Sends until the link has not been ready for a while. Returns how many messages it accepted.
async fn fill_up(end: &mut CheckedLink, has: &Capabilities, bytes: usize) -> Result<i64, Failure> {
    let max = has.max_unread.min(has.max_unread_bytes / text(&filled(0, bytes)).len()) as i64;
    let (mut sent, mut not_ready) = (0, 0);
    // The system's buffers may still drain a little.
    while not_ready < 5 {
        if !end.is_ready().await {
            not_ready += 1;
            end.start_flush().await;
            pause().await;
            continue;
        }
        check(sent <= max, || {
            let received = format!("one that accepted {sent} messages of {bytes} bytes and is still ready");
            Failure::new("a link that pushes back while the other end does not read", received).hint(BOUND)
        })?;
        end.send_now(filled(sent, bytes))?;
        sent += 1;
    }
    Ok(sent)
}

async fn receive_all(end: &mut CheckedLink, count: i64, bytes: usize) -> Result<(), Failure> {
    for number in 0..count {
        let received = end.next().await.hint("how a link keeps messages that it cannot send at once")?;
        same("the next message", &text(&received), &text(&filled(number, bytes)))
            .hint("how a link keeps messages that it cannot send at once")
            .rule(ORDER)?;
    }
    Ok(())
}

/// Unread large messages make their sender wait, within a bound.
pub async fn large_messages_are_pushed_back(fixture: &dyn Fixture) -> Result<(), Failure> {
    for from_engine in [true, false] {
        let (mut sender, _receiver, _harness) = pair_from(fixture, from_engine).await?;
        fill_up(&mut sender, &fixture.capabilities(), 60_000).await.map(drop)?;
    }
    Ok(())
}

/// Unread small messages make their sender wait, within a bound.
pub async fn small_messages_are_pushed_back(fixture: &dyn Fixture) -> Result<(), Failure> {
    for from_engine in [true, false] {
        let (_sender, mut receiver, _harness) = pair_from(fixture, from_engine).await?;
        fill_up(&mut receiver, &fixture.capabilities(), 0).await.map(drop)?;
    }
    Ok(())
}

/// All messages that a link accepted without a reader arrive once the peer reads, and the link is ready again.
pub async fn accepted_messages_arrive_once_the_peer_reads(fixture: &dyn Fixture) -> Result<(), Failure> {
    for from_engine in [true, false] {
        let (mut sender, mut receiver, _harness) = pair_from(fixture, from_engine).await?;
        let sent = fill_up(&mut sender, &fixture.capabilities(), 20_000).await?;
        both(
            async {
                sender.flush().await?;
                sender.send(numbered(-1)).await
            },
            async {
                receive_all(&mut receiver, sent, 20_000).await?;
                same("the message after", &receiver.next().await?.id, &Some((-1).into()))
            },
        )
        .await
        .map(drop)?;
    }
    Ok(())
}

/// Both ends are full and have read nothing: once both read, everything arrives.
pub async fn two_full_ends_do_not_deadlock(fixture: &dyn Fixture) -> Result<(), Failure> {
    let (mut engine, mut plugin, _harness) = pair(fixture).await?;
    let has = fixture.capabilities();
    let (here, there) = both(fill_up(&mut engine, &has, 20_000), fill_up(&mut plugin, &has, 20_000)).await?;
    both(drain(&mut engine, there), drain(&mut plugin, here)).await.hint(BOTH).rule(BOTH_WAYS).map(drop)
}

/// Flushes while receiving, and checks that `count` messages arrive.
async fn drain(end: &mut CheckedLink, count: i64) -> Result<(), Failure> {
    end.flush().await?;
    receive_all(end, count, 20_000).await
}

/// A full link still receives.
pub async fn a_full_link_receives(fixture: &dyn Fixture) -> Result<(), Failure> {
    for from_engine in [true, false] {
        let (mut sender, mut receiver, _harness) = pair_from(fixture, from_engine).await?;
        fill_up(&mut sender, &fixture.capabilities(), 60_000).await?;
        for number in 0..50 {
            receiver.send(numbered(number)).await.hint(BOTH).rule(BOTH_WAYS)?;
            let received = sender.next().await.hint(BOTH).rule(BOTH_WAYS)?;
            same("the next message", &received.id, &Some(number.into())).hint(BOTH).rule(BOTH_WAYS)?;
        }
    }
    Ok(())
}

/// A link with unread incoming messages can still send; neither end waits for the other.
pub async fn a_link_with_unread_messages_sends(fixture: &dyn Fixture) -> Result<(), Failure> {
    let (mut engine, mut plugin, _harness) = pair(fixture).await?;
    let sent = fill_up(&mut plugin, &fixture.capabilities(), 60_000).await?;
    for number in 0..50 {
        engine.send_and_flush_when_ready(numbered(number)).await.hint(BOTH).rule(BOTH_WAYS)?;
        let received = plugin.next().await.hint(BOTH).rule(BOTH_WAYS)?;
        same("the next message", &received.id, &Some(number.into())).hint(BOTH).rule(BOTH_WAYS)?;
    }
    both(plugin.flush(), receive_all(&mut engine, sent, 60_000)).await.map(drop)
}

/// A completed flush has handed everything over: the sender needs no further polling.
pub async fn flushed_messages_are_on_their_way(fixture: &dyn Fixture) -> Result<(), Failure> {
    for from_engine in [true, false] {
        let (mut sender, mut receiver, _harness) = pair_from(fixture, from_engine).await?;
        for number in 0..20 {
            for extra in 0..number {
                sender.queue(numbered(1000 + extra)).await?;
            }
            sender.send(numbered(number)).await?;
            for extra in 0..number {
                same("an earlier message", &receiver.next().await?.id, &Some((1000 + extra).into()))?;
            }
            let received =
                receiver.next().await.hint("poll_flush: ready means that everything was sent").rule(FLUSH)?;
            same("the flushed message", &received.id, &Some(number.into())).rule(FLUSH)?;
        }
    }
    Ok(())
}

/// A flush with nothing to send is ready at once.
pub async fn an_empty_flush_is_ready(fixture: &dyn Fixture) -> Result<(), Failure> {
    let (mut engine, mut plugin, _harness) = pair(fixture).await?;
    for end in [&mut engine, &mut plugin] {
        end.flush().await?;
        end.flush().await?;
    }
    engine.send(numbered(1)).await?;
    engine.flush().await?;
    same("the message", &plugin.next().await?.id, &Some(1.into()))
}

/// A link accepts 50 small messages without a reader at the other end, so that a burst of calls need not wait.
pub async fn fifty_small_messages_are_accepted_without_a_reader(fixture: &dyn Fixture) -> Result<(), Failure> {
    for from_engine in [true, false] {
        let (mut sender, mut receiver, _harness) = pair_from(fixture, from_engine).await?;
        for number in 0..50 {
            let sent = sender.send_when_ready(numbered(number)).await;
            sent.hint("poll_ready: how much may be queued for the other end").rule(FIFTY)?;
            sender.start_flush().await;
        }
        let receive = async {
            for number in 0..50 {
                same("the next message", &receiver.next().await?.id, &Some(number.into())).rule(ORDER)?;
            }
            Ok(())
        };
        both(sender.flush(), receive).await.map(drop)?;
    }
    Ok(())
}
