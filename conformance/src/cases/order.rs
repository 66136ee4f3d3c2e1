//! Messages arrive in the order they were sent, each once, whole or not at all; both ways at once.

use crate::failure::{Failure, Hint, same};
use crate::fixture::Fixture;
use crate::harness::{End, both, filled, moment, numbered, pair, pair_from, text};

const ORDER: &str =
    "what is between send and poll_message: queues, buffers, tasks; nothing may overtake, double or lose";

/// Sends so many messages without a flush between them, then flushes.
async fn stream(end: &mut End, numbers: std::ops::Range<i64>, bytes: usize) -> Result<(), Failure> {
    for number in numbers {
        end.put(filled(number, bytes)).await?;
    }
    end.flush().await
}

/// Receives them, and sees that each is the next one and whole.
async fn receive(end: &mut End, numbers: std::ops::Range<i64>, bytes: usize) -> Result<(), Failure> {
    for number in numbers {
        same("the next message", &text(&end.next().await?), &text(&filled(number, bytes))).look_at(ORDER)?;
    }
    Ok(())
}

/// The plugin's messages arrive at the engine in order, each once and whole.
pub async fn the_engine_receives_in_order(fixture: &dyn Fixture) -> Result<(), Failure> {
    let (mut engine, mut plugin, _lab) = pair(fixture).await?;
    both(stream(&mut plugin, 0..2000, 20), receive(&mut engine, 0..2000, 20)).await?;
    moment().await;
    engine.is_quiet().await.look_at(ORDER)
}

/// The engine's messages arrive at the plugin in order, each once and whole.
pub async fn the_plugin_receives_in_order(fixture: &dyn Fixture) -> Result<(), Failure> {
    let (mut engine, mut plugin, _lab) = pair(fixture).await?;
    both(stream(&mut engine, 0..2000, 20), receive(&mut plugin, 0..2000, 20)).await?;
    moment().await;
    plugin.is_quiet().await.look_at(ORDER)
}

/// Messages of very different sizes keep their order: a small one does not overtake a large one.
pub async fn sizes_do_not_change_the_order(fixture: &dyn Fixture) -> Result<(), Failure> {
    for from_engine in [true, false] {
        let (mut sender, mut receiver, _lab) = pair_from(fixture, from_engine).await?;
        let largest = (fixture.capabilities().largest / 2).min(100_000);
        let message = |number: i64| filled(number, [0, largest, 1, 5000, 70_000.min(largest)][number as usize % 5]);
        let send = async {
            for number in 0..200 {
                sender.put(message(number)).await?;
            }
            sender.flush().await
        };
        let receive = async {
            for number in 0..200 {
                same("the next message", &text(&receiver.next().await?), &text(&message(number))).look_at(ORDER)?;
            }
            Ok(())
        };
        both(send, receive).await.map(drop)?;
    }
    Ok(())
}

/// Both ends send and receive at once, and neither direction disturbs the other.
pub async fn both_ways_at_once(fixture: &dyn Fixture) -> Result<(), Failure> {
    async fn ping(end: &mut End, mine: i64, theirs: i64) -> Result<(), Failure> {
        for step in 0..1000 {
            end.put(filled(mine + step, 100)).await?;
            if step % 3 == 0 {
                // What is not flushed may be kept back, and the other end waits for it.
                end.flush().await?;
                receive(end, theirs + step / 3..theirs + step / 3 + 1, 100).await?;
            }
        }
        end.flush().await?;
        receive(end, theirs + 334..theirs + 1000, 100).await
    }
    let (mut engine, mut plugin, _lab) = pair(fixture).await?;
    both(ping(&mut engine, 0, 10_000), ping(&mut plugin, 10_000, 0)).await.map(drop)
}

/// One message goes to and fro a thousand times, so that nothing waits for more before it sends or hands out.
pub async fn one_message_to_and_fro(fixture: &dyn Fixture) -> Result<(), Failure> {
    let (mut engine, mut plugin, _lab) = pair(fixture).await?;
    for number in 0..1000 {
        engine.send(numbered(number)).await?;
        same("the message", &plugin.next().await?.id, &Some(number.into())).look_at(ORDER)?;
        plugin.send(numbered(-number)).await?;
        same("the message", &engine.next().await?.id, &Some((-number).into())).look_at(ORDER)?;
    }
    Ok(())
}

/// Two messages that are sent before a flush arrive as two, not as one and not glued together.
pub async fn messages_sent_together_arrive_apart(fixture: &dyn Fixture) -> Result<(), Failure> {
    for from_engine in [true, false] {
        let (mut sender, mut receiver, _lab) = pair_from(fixture, from_engine).await?;
        for batch in 2..40 {
            for number in 0..batch {
                sender.put(numbered(number)).await?;
            }
            let receive = async {
                for number in 0..batch {
                    same("each message by itself", &text(&receiver.next().await?), &text(&numbered(number)))
                        .look_at(ORDER)?;
                }
                Ok(())
            };
            both(sender.flush(), receive).await?;
        }
        moment().await;
        receiver.is_quiet().await.look_at(ORDER)?;
    }
    Ok(())
}

/// Equal messages are not taken for repetitions: each arrives.
pub async fn equal_messages_all_arrive(fixture: &dyn Fixture) -> Result<(), Failure> {
    for from_engine in [true, false] {
        let (mut sender, mut receiver, _lab) = pair_from(fixture, from_engine).await?;
        let send = async {
            for _ in 0..100 {
                sender.put(numbered(7)).await?;
            }
            sender.send(numbered(8)).await
        };
        let receive = async {
            for _ in 0..100 {
                same("the next message", &receiver.next().await?.id, &Some(7.into())).look_at(ORDER)?;
            }
            same("the last message", &receiver.next().await?.id, &Some(8.into())).look_at(ORDER)
        };
        both(send, receive).await.map(drop)?;
    }
    Ok(())
}

/// Messages of middling size and small ones keep their order though flushes between them are not waited for.
pub async fn a_pending_flush_does_not_change_the_order(fixture: &dyn Fixture) -> Result<(), Failure> {
    for from_engine in [true, false] {
        let (mut sender, mut receiver, _lab) = pair_from(fixture, from_engine).await?;
        let message = |number: i64| filled(number, [30_000, 0, 20_000, 1, 40_000, 100][number as usize % 6]);
        let send = async {
            for number in 0..180 {
                sender.put(message(number)).await?;
                sender.start_flush().await;
            }
            sender.flush().await
        };
        let receive = async {
            moment().await;
            for number in 0..180 {
                same("the next message", &text(&receiver.next().await?), &text(&message(number))).look_at(ORDER)?;
            }
            Ok(())
        };
        both(send, receive).await.map(drop)?;
    }
    Ok(())
}

/// More messages than 16 bits count arrive over one link, both ways.
pub async fn every_message_of_a_long_link_arrives(fixture: &dyn Fixture) -> Result<(), Failure> {
    const MANY: i64 = (1 << 16) + 10;
    async fn play(end: &mut End) -> Result<(), Failure> {
        let mut received = 0;
        for number in 0..MANY {
            end.put(numbered(number)).await?;
            // Each end is at most so far ahead of the other, so that nothing is taken for a reader that is too slow.
            if number % 256 == 255 {
                end.flush().await?;
                receive_numbers(end, &mut received, number - 255).await?;
            }
        }
        end.flush().await?;
        receive_numbers(end, &mut received, MANY).await
    }
    let (mut engine, mut plugin, _lab) = pair(fixture).await?;
    both(play(&mut engine), play(&mut plugin)).await.map(drop)
}

async fn receive_numbers(end: &mut End, next: &mut i64, until: i64) -> Result<(), Failure> {
    while *next < until {
        same("the next message", &end.next().await?.id, &Some((*next).into()))
            .look_at("numbers that wrap, and what they number")?;
        *next += 1;
    }
    Ok(())
}
