//! How a link ends: in order or not, with what was sent before it, the same whoever says it, and within a bound.

use crate::contract;
use crate::failure::{Failure, Hint, check, same, shown};
use crate::fixture::Fixture;
use crate::harness::{End, both, filled, moment, number_of, numbered, pair, pair_from, text};
use connector_core::{LinkEnd, Message};

const BEFORE: &str = "what was sent before a close: poll_disconnect flushes it, and the other end hands it out first";
const SAID: &str = "what is kept of the end once it is known";

fn are_numbered(messages: &[Message], many: i64) -> Result<(), Failure> {
    let ids: Vec<_> = messages.iter().filter_map(number_of).collect();
    same("all that was sent before the end", &ids, &(0..many).collect()).look_at(BEFORE).rule(contract::BEFORE)
}

/// Sends 50 without a flush and closes; what the other end received.
async fn last_words(leaving: &mut End, other: &mut End) -> Result<LinkEnd, Failure> {
    for number in 0..50 {
        leaving.put(numbered(number)).await?;
    }
    let (_, (messages, end)) = both(leaving.disconnect(), other.rest()).await?;
    are_numbered(&messages, 50)?;
    Ok(end)
}

/// What the engine sent before it closes arrives before the end.
pub async fn the_engines_last_words_arrive(fixture: &dyn Fixture) -> Result<(), Failure> {
    let (mut engine, mut plugin, _lab) = pair(fixture).await?;
    last_words(&mut engine, &mut plugin).await.map(drop)
}

/// What the plugin sent before it closes arrives before the end.
pub async fn the_plugins_last_words_arrive(fixture: &dyn Fixture) -> Result<(), Failure> {
    let (mut engine, mut plugin, _lab) = pair(fixture).await?;
    last_words(&mut plugin, &mut engine).await.map(drop)
}

/// A large message that was sent before a close arrives whole, though its reader comes late.
pub async fn large_last_words_arrive_whole(fixture: &dyn Fixture) -> Result<(), Failure> {
    for from_engine in [true, false] {
        let (mut sender, mut receiver, _lab) = pair_from(fixture, from_engine).await?;
        let message = filled(0, fixture.capabilities().largest * 3 / 4);
        receiver.put(message.clone()).await?;
        let (_, (messages, _)) = both(receiver.disconnect(), sender.rest()).await?;
        check(messages.len() == 1 && text(&messages[0]) == text(&message), || {
            Failure::new(
                "the whole message, then the end",
                shown(&messages.iter().map(|m| text(m).len()).collect::<Vec<_>>()),
            )
        })
        .look_at(BEFORE)
        .rule(contract::BEFORE)?;
    }
    Ok(())
}

/// Once the end has been said, every method says the same one, and nothing more arrives.
pub async fn every_method_says_the_same_end(fixture: &dyn Fixture) -> Result<(), Failure> {
    for from_engine in [true, false] {
        for drops in [true, false] {
            let (mut sender, mut receiver, _lab) = pair_from(fixture, from_engine).await?;
            receiver.send(numbered(0)).await?;
            let close = async {
                match drops {
                    true => drop(receiver),
                    false => receiver.disconnect().await?,
                }
                Ok(())
            };
            let (_, (messages, _)) = both(close, sender.rest()).await?;
            are_numbered(&messages, 1)?;
            sender.stays_ended().await.look_at(SAID)?;
        }
    }
    Ok(())
}

/// One who only sends learns the end too, but not before what had arrived was handed out.
pub async fn a_sender_does_not_swallow_what_arrived(fixture: &dyn Fixture) -> Result<(), Failure> {
    for from_engine in [true, false] {
        let (mut sender, mut receiver, _lab) = pair_from(fixture, from_engine).await?;
        for number in 0..20 {
            receiver.put(numbered(number)).await?;
        }
        let leave = async {
            receiver.disconnect().await?;
            drop(receiver);
            Ok(())
        };
        let send = async {
            // It may be told by then, or not: messages meanwhile are received, not lost.
            for _ in 0..30 {
                moment().await;
                if sender.try_put(numbered(1)).await?.is_err() || sender.flushed().await?.is_err() {
                    break;
                }
            }
            let (messages, _) = sender.rest().await?;
            are_numbered(&messages, 20)
        };
        both(leave, send).await.look_at("a failed write: what had arrived is handed out before the end")?;
        sender.stays_ended().await?;
    }
    Ok(())
}

/// Closing ends within a bound though the other end does nothing.
pub async fn disconnect_is_bounded(fixture: &dyn Fixture) -> Result<(), Failure> {
    let (mut engine, _plugin, _lab) = pair(fixture).await?;
    engine.send(numbered(1)).await?;
    engine.disconnect().await?;
    let (_engine, mut plugin, _lab) = pair(fixture).await?;
    plugin.disconnect().await
}

/// Closing a link that is full ends within a bound though the other end does not read.
pub async fn disconnect_of_a_full_link_is_bounded(fixture: &dyn Fixture) -> Result<(), Failure> {
    for from_engine in [true, false] {
        let (mut sender, _receiver, _lab) = pair_from(fixture, from_engine).await?;
        for number in 0..fixture.capabilities().most_unread_bytes as i64 / 60_000 {
            if !sender.is_ready().await {
                break;
            }
            sender.take(filled(number, 60_000))?;
        }
        sender.disconnect().await?;
    }
    Ok(())
}

/// A second disconnect, and one after the end, is ready too.
pub async fn disconnect_again_is_fine(fixture: &dyn Fixture) -> Result<(), Failure> {
    for from_engine in [true, false] {
        let (mut sender, mut receiver, _lab) = pair_from(fixture, from_engine).await?;
        both(sender.disconnect(), receiver.end()).await?;
        sender.disconnect().await?;
        receiver.disconnect().await?;
        receiver.disconnect().await?;
        receiver.stays_ended().await?;
    }
    Ok(())
}

/// Both ends may close at once.
pub async fn both_may_close_at_once(fixture: &dyn Fixture) -> Result<(), Failure> {
    let (mut engine, mut plugin, _lab) = pair(fixture).await?;
    engine.put(numbered(1)).await?;
    plugin.put(numbered(1)).await?;
    both(engine.disconnect(), plugin.disconnect()).await.map(drop)
}

/// Dropping the engine's end closes the link: the plugin's end learns it.
pub async fn dropping_the_engines_end_closes(fixture: &dyn Fixture) -> Result<(), Failure> {
    let (mut engine, mut plugin, _lab) = pair(fixture).await?;
    engine.send(numbered(0)).await?;
    same("the message", &plugin.next().await?.id, &Some(0.into()))?;
    drop(engine);
    plugin.end().await.look_at("what happens when a link is dropped").rule(contract::DROP)?;
    plugin.stays_ended().await
}

/// Dropping the plugin's end closes the link: the engine's end learns it.
pub async fn dropping_the_plugins_end_closes(fixture: &dyn Fixture) -> Result<(), Failure> {
    let (mut engine, mut plugin, _lab) = pair(fixture).await?;
    plugin.send(numbered(0)).await?;
    same("the message", &engine.next().await?.id, &Some(0.into()))?;
    drop(plugin);
    engine.end().await.look_at("what happens when a link is dropped").rule(contract::DROP)?;
    engine.stays_ended().await
}

/// A link that is dropped while it is full closes too.
pub async fn dropping_a_full_link_closes(fixture: &dyn Fixture) -> Result<(), Failure> {
    for from_engine in [true, false] {
        let (mut sender, mut receiver, _lab) = pair_from(fixture, from_engine).await?;
        for number in 0..fixture.capabilities().most_unread_bytes as i64 / 60_000 {
            if !sender.is_ready().await {
                break;
            }
            sender.take(filled(number, 60_000))?;
        }
        drop(sender);
        receiver
            .end()
            .await
            .look_at("what happens when a link is dropped that has something left to send")
            .rule(contract::DROP)?;
        receiver.stays_ended().await?;
    }
    Ok(())
}

/// A close in order is told as one, at either end.
pub async fn a_close_is_told_as_closed(fixture: &dyn Fixture) -> Result<(), Failure> {
    for engine_leaves in [true, false] {
        let (engine, plugin, _lab) = pair(fixture).await?;
        let (mut leaving, mut other) = if engine_leaves { (engine, plugin) } else { (plugin, engine) };
        let end = last_words(&mut leaving, &mut other).await?;
        check(matches!(end, LinkEnd::Closed { .. }), || {
            Failure::new("LinkEnd::Closed after a close in order", shown(&end))
        })
        .look_at("poll_disconnect, and how the other end reads what it writes")
        .rule(contract::CLOSED)?;
    }
    Ok(())
}

/// One end closes while the other sends: both end within a bound.
pub async fn a_close_ends_who_is_sending(fixture: &dyn Fixture) -> Result<(), Failure> {
    for from_engine in [true, false] {
        let (mut sender, mut receiver, _lab) = pair_from(fixture, from_engine).await?;
        let most = fixture.capabilities().most_unread_bytes / 3000 + 10_000;
        let send = sender.send_until_end(3000, most);
        let close = async {
            for number in 0..100 {
                same("the next message", &receiver.next().await?.id, &Some(number.into()))?;
            }
            receiver.disconnect().await?;
            drop(receiver);
            Ok(())
        };
        both(send, close).await.look_at("a close while the other end writes")?;
        sender.stays_ended().await?;
    }
    Ok(())
}

/// Once this end has closed the link it carries nothing more, and whatever is asked of it harms nothing.
pub async fn nothing_is_carried_after_a_disconnect(fixture: &dyn Fixture) -> Result<(), Failure> {
    for from_engine in [true, false] {
        let (mut sender, mut receiver, _lab) = pair_from(fixture, from_engine).await?;
        sender.send(numbered(0)).await?;
        let leave = async {
            sender.disconnect().await?;
            sender.poke(numbered(1)).await;
            sender.disconnect().await?;
            drop(sender);
            Ok(())
        };
        let (_, (messages, _)) = both(leave, receiver.rest()).await?;
        are_numbered(&messages, 1)?;
    }
    Ok(())
}
