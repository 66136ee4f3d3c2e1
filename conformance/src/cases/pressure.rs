//! A link pushes back on its sender, loses nothing for it, and goes on receiving meanwhile.

use crate::contract::{BOTH_WAYS, FIFTY, FLUSH, ORDER};
use crate::failure::{Failure, Hint, check, same};
use crate::fixture::{Capabilities, Fixture};
use crate::harness::{End, both, filled, moment, numbered, pair, pair_from, text};

const BOUND: &str = "poll_ready: it is pending once the other end does not read and the buffers are full";
const BOTH: &str =
    "methods that wait for each other: receiving goes on while sending is not ready, and the other way round";

/// Sends until the link takes no more, for a while; how many it took.
async fn stuff(end: &mut End, has: &Capabilities, bytes: usize) -> Result<i64, Failure> {
    let most = has.most_unread.min(has.most_unread_bytes / text(&filled(0, bytes)).len()) as i64;
    let (mut sent, mut refusals) = (0, 0);
    // Buffers of the system's drain a little more now and then.
    while refusals < 5 {
        if !end.is_ready().await {
            refusals += 1;
            end.start_flush().await;
            moment().await;
            continue;
        }
        check(sent <= most, || {
            let came = format!("one that has taken {sent} messages of {bytes} bytes and is still ready");
            Failure::new("a link that pushes back while the other end does not read", came).look_at(BOUND)
        })?;
        end.take(filled(sent, bytes))?;
        sent += 1;
    }
    Ok(sent)
}

async fn unstuff(end: &mut End, many: i64, bytes: usize) -> Result<(), Failure> {
    for number in 0..many {
        let came = end.next().await.look_at("what a link does with messages that it cannot send at once")?;
        same("the next message", &text(&came), &text(&filled(number, bytes)))
            .look_at("what a link does with messages that it cannot send at once")
            .rule(ORDER)?;
    }
    Ok(())
}

/// Large messages that are not read make their sender wait, within a bound.
pub async fn large_messages_are_pushed_back(fixture: &dyn Fixture) -> Result<(), Failure> {
    for from_engine in [true, false] {
        let (mut sender, _receiver, _lab) = pair_from(fixture, from_engine).await?;
        stuff(&mut sender, &fixture.capabilities(), 60_000).await.map(drop)?;
    }
    Ok(())
}

/// Small messages that are not read make their sender wait, within a bound.
pub async fn small_messages_are_pushed_back(fixture: &dyn Fixture) -> Result<(), Failure> {
    for from_engine in [true, false] {
        let (_sender, mut receiver, _lab) = pair_from(fixture, from_engine).await?;
        stuff(&mut receiver, &fixture.capabilities(), 0).await.map(drop)?;
    }
    Ok(())
}

/// All that a link took while nobody read arrives once somebody does, and the link is ready again.
pub async fn what_was_taken_arrives_later(fixture: &dyn Fixture) -> Result<(), Failure> {
    for from_engine in [true, false] {
        let (mut sender, mut receiver, _lab) = pair_from(fixture, from_engine).await?;
        let sent = stuff(&mut sender, &fixture.capabilities(), 20_000).await?;
        both(
            async {
                sender.flush().await?;
                sender.send(numbered(-1)).await
            },
            async {
                unstuff(&mut receiver, sent, 20_000).await?;
                same("the message after", &receiver.next().await?.id, &Some((-1).into()))
            },
        )
        .await
        .map(drop)?;
    }
    Ok(())
}

/// Both ends are full and neither had read: once both read, everything arrives.
pub async fn two_full_ends_do_not_lock(fixture: &dyn Fixture) -> Result<(), Failure> {
    let (mut engine, mut plugin, _lab) = pair(fixture).await?;
    let has = fixture.capabilities();
    let (here, there) = both(stuff(&mut engine, &has, 20_000), stuff(&mut plugin, &has, 20_000)).await?;
    both(drain(&mut engine, there), drain(&mut plugin, here)).await.look_at(BOTH).rule(BOTH_WAYS).map(drop)
}

/// Flushes, receiving meanwhile, and sees that so many come.
async fn drain(end: &mut End, many: i64) -> Result<(), Failure> {
    end.flush().await?;
    unstuff(end, many, 20_000).await
}

/// A full link still receives.
pub async fn a_full_link_receives(fixture: &dyn Fixture) -> Result<(), Failure> {
    for from_engine in [true, false] {
        let (mut sender, mut receiver, _lab) = pair_from(fixture, from_engine).await?;
        stuff(&mut sender, &fixture.capabilities(), 60_000).await?;
        for number in 0..50 {
            receiver.send(numbered(number)).await.look_at(BOTH).rule(BOTH_WAYS)?;
            let came = sender.next().await.look_at(BOTH).rule(BOTH_WAYS)?;
            same("the next message", &came.id, &Some(number.into())).look_at(BOTH).rule(BOTH_WAYS)?;
        }
    }
    Ok(())
}

/// A link whose incoming messages nobody takes can still be asked whether it sends; neither end waits for the other.
pub async fn a_link_that_is_not_read_sends(fixture: &dyn Fixture) -> Result<(), Failure> {
    let (mut engine, mut plugin, _lab) = pair(fixture).await?;
    let sent = stuff(&mut plugin, &fixture.capabilities(), 60_000).await?;
    for number in 0..50 {
        engine.take_when_ready(numbered(number)).await.look_at(BOTH).rule(BOTH_WAYS)?;
        let came = plugin.next().await.look_at(BOTH).rule(BOTH_WAYS)?;
        same("the next message", &came.id, &Some(number.into())).look_at(BOTH).rule(BOTH_WAYS)?;
    }
    both(plugin.flush(), unstuff(&mut engine, sent, 60_000)).await.map(drop)
}

/// A flush that is ready has handed everything over: nothing more has to be asked of the sender.
pub async fn flushed_is_sent(fixture: &dyn Fixture) -> Result<(), Failure> {
    for from_engine in [true, false] {
        let (mut sender, mut receiver, _lab) = pair_from(fixture, from_engine).await?;
        for number in 0..20 {
            for extra in 0..number {
                sender.put(numbered(1000 + extra)).await?;
            }
            sender.send(numbered(number)).await?;
            for extra in 0..number {
                same("an earlier message", &receiver.next().await?.id, &Some((1000 + extra).into()))?;
            }
            let came = receiver.next().await.look_at("poll_flush: ready means that everything has left").rule(FLUSH)?;
            same("the flushed message", &came.id, &Some(number.into())).rule(FLUSH)?;
        }
    }
    Ok(())
}

/// A flush with nothing to send is ready at once.
pub async fn an_empty_flush_is_ready(fixture: &dyn Fixture) -> Result<(), Failure> {
    let (mut engine, mut plugin, _lab) = pair(fixture).await?;
    for end in [&mut engine, &mut plugin] {
        end.flush().await?;
        end.flush().await?;
    }
    engine.send(numbered(1)).await?;
    engine.flush().await?;
    same("the message", &plugin.next().await?.id, &Some(1.into()))
}

/// A link takes 50 small messages though nobody reads at the other end, so that a burst of calls need not wait.
pub async fn fifty_small_messages_need_no_reader(fixture: &dyn Fixture) -> Result<(), Failure> {
    for from_engine in [true, false] {
        let (mut sender, mut receiver, _lab) = pair_from(fixture, from_engine).await?;
        for number in 0..50 {
            let taken = sender.take_unread(numbered(number)).await;
            taken.look_at("poll_ready: how much may wait for the other end").rule(FIFTY)?;
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
