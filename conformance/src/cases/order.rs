//! Messages arrive in the order they were sent, each once, whole or not at all, in both directions at once.

use crate::failure::{Failure, Hint, same};
use crate::fixture::Fixture;
use crate::harness::{CheckedLink, both, filled, numbered, pair, pair_from, pause, text};
use connector_core::Message;

const ORDER: &str =
    "the path from send to poll_message: queues, buffers, tasks; nothing may be reordered, duplicated or lost";

/// Sends these messages without a flush between them, then flushes.
async fn stream(end: &mut CheckedLink, messages: impl Iterator<Item = Message> + Send) -> Result<(), Failure> {
    for message in messages {
        end.queue(message).await?;
    }
    end.flush().await
}

/// Receives these messages in this order, each whole.
async fn receive(end: &mut CheckedLink, messages: impl Iterator<Item = Message> + Send) -> Result<(), Failure> {
    for message in messages {
        same("the next message", &text(&end.next().await?), &text(&message)).hint(ORDER)?;
    }
    Ok(())
}

fn short(number: i64) -> Message {
    filled(number, 20)
}

/// The plugin's messages arrive at the engine in order, each once and whole.
pub async fn the_engine_receives_in_order(fixture: &dyn Fixture) -> Result<(), Failure> {
    let (mut engine, mut plugin, _harness) = pair(fixture).await?;
    both(stream(&mut plugin, (0..2000).map(short)), receive(&mut engine, (0..2000).map(short))).await?;
    pause().await;
    engine.is_quiet().await.hint(ORDER)
}

/// The engine's messages arrive at the plugin in order, each once and whole.
pub async fn the_plugin_receives_in_order(fixture: &dyn Fixture) -> Result<(), Failure> {
    let (mut engine, mut plugin, _harness) = pair(fixture).await?;
    both(stream(&mut engine, (0..2000).map(short)), receive(&mut plugin, (0..2000).map(short))).await?;
    pause().await;
    plugin.is_quiet().await.hint(ORDER)
}

/// Messages of very different sizes keep their order: a small one does not overtake a large one.
pub async fn sizes_do_not_change_the_order(fixture: &dyn Fixture) -> Result<(), Failure> {
    for from_engine in [true, false] {
        let (mut sender, mut receiver, _harness) = pair_from(fixture, from_engine).await?;
        let largest = (fixture.capabilities().max_message / 2).min(100_000);
        let message = |number: i64| filled(number, [0, largest, 1, 5000, 70_000.min(largest)][number as usize % 5]);
        both(stream(&mut sender, (0..200).map(message)), receive(&mut receiver, (0..200).map(message))).await?;
    }
    Ok(())
}

/// Both ends send and receive at once, and neither direction disturbs the other.
pub async fn both_ways_at_once(fixture: &dyn Fixture) -> Result<(), Failure> {
    async fn exchange(end: &mut CheckedLink, local: i64, remote: i64) -> Result<(), Failure> {
        let message = |number| filled(number, 100);
        for step in 0..1000 {
            end.queue(message(local + step)).await?;
            if step % 3 == 0 {
                // An unflushed message may be held back, and the other end waits for it.
                end.flush().await?;
                receive(end, (remote + step / 3..remote + step / 3 + 1).map(message)).await?;
            }
        }
        end.flush().await?;
        receive(end, (remote + 334..remote + 1000).map(message)).await
    }
    let (mut engine, mut plugin, _harness) = pair(fixture).await?;
    both(exchange(&mut engine, 0, 10_000), exchange(&mut plugin, 10_000, 0)).await.map(drop)
}

/// Two ends exchange up to a thousand single messages, so that nothing may wait for more before it sends or delivers.
pub async fn one_message_at_a_time_in_alternation(fixture: &dyn Fixture) -> Result<(), Failure> {
    let (mut engine, mut plugin, harness) = pair(fixture).await?;
    for number in 0..harness.has.rounds(1000) {
        engine.send(numbered(number)).await?;
        same("the message", &plugin.next().await?.id, &Some(number.into())).hint(ORDER)?;
        plugin.send(numbered(-number)).await?;
        same("the message", &engine.next().await?.id, &Some((-number).into())).hint(ORDER)?;
    }
    Ok(())
}

/// Messages sent before one flush arrive separately, not merged.
pub async fn messages_sent_together_arrive_separately(fixture: &dyn Fixture) -> Result<(), Failure> {
    for from_engine in [true, false] {
        let (mut sender, mut receiver, _harness) = pair_from(fixture, from_engine).await?;
        for batch in 2..40 {
            for number in 0..batch {
                sender.queue(numbered(number)).await?;
            }
            both(sender.flush(), receive(&mut receiver, (0..batch).map(numbered))).await?;
        }
        pause().await;
        receiver.is_quiet().await.hint(ORDER)?;
    }
    Ok(())
}

/// Equal messages are not deduplicated: each arrives.
pub async fn equal_messages_all_arrive(fixture: &dyn Fixture) -> Result<(), Failure> {
    for from_engine in [true, false] {
        let (mut sender, mut receiver, _harness) = pair_from(fixture, from_engine).await?;
        let send = async {
            for _ in 0..100 {
                sender.queue(numbered(7)).await?;
            }
            sender.send(numbered(8)).await
        };
        let receive = async {
            for _ in 0..100 {
                same("the next message", &receiver.next().await?.id, &Some(7.into())).hint(ORDER)?;
            }
            same("the last message", &receiver.next().await?.id, &Some(8.into())).hint(ORDER)
        };
        both(send, receive).await.map(drop)?;
    }
    Ok(())
}

/// Medium and small messages keep their order even if flushes between them are not awaited.
pub async fn a_pending_flush_does_not_change_the_order(fixture: &dyn Fixture) -> Result<(), Failure> {
    for from_engine in [true, false] {
        let (mut sender, mut receiver, _harness) = pair_from(fixture, from_engine).await?;
        let message = |number: i64| filled(number, [30_000, 0, 20_000, 1, 40_000, 100][number as usize % 6]);
        let send = async {
            for number in 0..180 {
                sender.queue(message(number)).await?;
                sender.start_flush().await;
            }
            sender.flush().await
        };
        let receive = async {
            pause().await;
            receive(&mut receiver, (0..180).map(message)).await
        };
        both(send, receive).await.map(drop)?;
    }
    Ok(())
}

/// More messages than 16 bits can count arrive over one link, both ways.
pub async fn every_message_of_a_long_link_arrives(fixture: &dyn Fixture) -> Result<(), Failure> {
    const COUNT: i64 = (1 << 16) + 10;
    async fn play(end: &mut CheckedLink) -> Result<(), Failure> {
        let mut received = 0;
        for number in 0..COUNT {
            end.queue(numbered(number)).await?;
            // Limits how far each end is ahead, so that no end looks like a reader that is too slow.
            if number % 256 == 255 {
                end.flush().await?;
                receive_numbers(end, &mut received, number - 255).await?;
            }
        }
        end.flush().await?;
        receive_numbers(end, &mut received, COUNT).await
    }
    let (mut engine, mut plugin, _harness) = pair(fixture).await?;
    both(play(&mut engine), play(&mut plugin)).await.map(drop)
}

async fn receive_numbers(end: &mut CheckedLink, next: &mut i64, until: i64) -> Result<(), Failure> {
    while *next < until {
        same("the next message", &end.next().await?.id, &Some((*next).into())).hint("sequence numbers that wrap")?;
        *next += 1;
    }
    Ok(())
}
