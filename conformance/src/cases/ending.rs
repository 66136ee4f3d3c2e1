//! How a link ends: gracefully or not, after the messages sent before it, reported alike by every method, within a bound.

use crate::contract;
use crate::failure::{Failure, Hint, check, same, shown};
use crate::fixture::Fixture;
use crate::harness::{CheckedLink, both, filled, number_of, numbered, pair, pair_from, pause, text};
use connector_core::{LinkEnd, Message};

const BEFORE: &str = "messages sent before a close: poll_disconnect flushes them, and the other end returns them first";
const STORED_END: &str = "where the end of a link is stored once it is known";

fn are_numbered(messages: &[Message], count: i64) -> Result<(), Failure> {
    let ids: Vec<_> = messages.iter().filter_map(number_of).collect();
    same("all messages sent before the end", &ids, &(0..count).collect()).hint(BEFORE).rule(contract::BEFORE)
}

/// Sends 50 messages without a flush and closes. Checks that all arrive, and returns the other end's `LinkEnd`.
async fn send_and_close(leaving: &mut CheckedLink, other: &mut CheckedLink) -> Result<LinkEnd, Failure> {
    for number in 0..50 {
        leaving.queue(numbered(number)).await?;
    }
    let (_, (messages, end)) = both(leaving.disconnect(), other.rest()).await?;
    are_numbered(&messages, 50)?;
    Ok(end)
}

/// Messages that the engine sends before it closes arrive before the end.
pub async fn messages_before_the_engines_close_arrive(fixture: &dyn Fixture) -> Result<(), Failure> {
    let (mut engine, mut plugin, _harness) = pair(fixture).await?;
    send_and_close(&mut engine, &mut plugin).await.map(drop)
}

/// Messages that the plugin sends before it closes arrive before the end.
pub async fn messages_before_the_plugins_close_arrive(fixture: &dyn Fixture) -> Result<(), Failure> {
    let (mut engine, mut plugin, _harness) = pair(fixture).await?;
    send_and_close(&mut plugin, &mut engine).await.map(drop)
}

/// A large message sent before a close arrives whole, even if it is read late.
pub async fn a_large_message_before_a_close_arrives_whole(fixture: &dyn Fixture) -> Result<(), Failure> {
    for from_engine in [true, false] {
        let (mut sender, mut receiver, _harness) = pair_from(fixture, from_engine).await?;
        let message = filled(0, fixture.capabilities().max_message * 3 / 4);
        receiver.queue(message.clone()).await?;
        let (_, (messages, _)) = both(receiver.disconnect(), sender.rest()).await?;
        check(messages.len() == 1 && text(&messages[0]) == text(&message), || {
            Failure::new(
                "the whole message, then the end",
                shown(&messages.iter().map(|m| text(m).len()).collect::<Vec<_>>()),
            )
        })
        .hint(BEFORE)
        .rule(contract::BEFORE)?;
    }
    Ok(())
}

/// Once the end has been reported, every method reports the same one, and nothing more arrives.
pub async fn every_method_reports_the_same_end(fixture: &dyn Fixture) -> Result<(), Failure> {
    for from_engine in [true, false] {
        for drops in [true, false] {
            let (mut sender, mut receiver, _harness) = pair_from(fixture, from_engine).await?;
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
            sender.stays_ended().await.hint(STORED_END)?;
        }
    }
    Ok(())
}

/// An end that only sends is notified of the end too, but received messages are returned first.
pub async fn a_failed_write_keeps_received_messages(fixture: &dyn Fixture) -> Result<(), Failure> {
    for from_engine in [true, false] {
        let (mut sender, mut receiver, _harness) = pair_from(fixture, from_engine).await?;
        for number in 0..20 {
            receiver.queue(numbered(number)).await?;
        }
        let leave = async {
            receiver.disconnect().await?;
            drop(receiver);
            Ok(())
        };
        let send = async {
            // The end may be reported at any time; messages received meanwhile must not be lost.
            for _ in 0..30 {
                pause().await;
                if sender.try_queue(numbered(1)).await?.is_err() || sender.flushed().await?.is_err() {
                    break;
                }
            }
            let (messages, _) = sender.rest().await?;
            are_numbered(&messages, 20)
        };
        both(leave, send).await.hint("a failed write: received messages are returned before the end")?;
        sender.stays_ended().await?;
    }
    Ok(())
}

/// Closing completes within a bound even if the other end does nothing.
pub async fn disconnect_is_bounded(fixture: &dyn Fixture) -> Result<(), Failure> {
    let (mut engine, _plugin, _harness) = pair(fixture).await?;
    engine.send(numbered(1)).await?;
    engine.disconnect().await?;
    let (_engine, mut plugin, _harness) = pair(fixture).await?;
    plugin.disconnect().await
}

/// Closing a full link completes within a bound even if the other end does not read.
pub async fn disconnect_of_a_full_link_is_bounded(fixture: &dyn Fixture) -> Result<(), Failure> {
    for from_engine in [true, false] {
        let (mut sender, _receiver, _harness) = pair_from(fixture, from_engine).await?;
        for number in 0..fixture.capabilities().max_unread_bytes as i64 / 60_000 {
            if !sender.is_ready().await {
                break;
            }
            sender.send_now(filled(number, 60_000))?;
        }
        sender.disconnect().await?;
    }
    Ok(())
}

/// A second disconnect, and one after the end, is ready as well.
pub async fn disconnect_is_idempotent(fixture: &dyn Fixture) -> Result<(), Failure> {
    for from_engine in [true, false] {
        let (mut sender, mut receiver, _harness) = pair_from(fixture, from_engine).await?;
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
    let (mut engine, mut plugin, _harness) = pair(fixture).await?;
    engine.queue(numbered(1)).await?;
    plugin.queue(numbered(1)).await?;
    both(engine.disconnect(), plugin.disconnect()).await.map(drop)
}

async fn dropping_closes(fixture: &dyn Fixture, from_engine: bool) -> Result<(), Failure> {
    let (mut dropped, mut other, _harness) = pair_from(fixture, from_engine).await?;
    dropped.send(numbered(0)).await?;
    same("the message", &other.next().await?.id, &Some(0.into()))?;
    drop(dropped);
    is_drop(&other.end().await.hint("what happens when a link is dropped").rule(contract::DROP)?)?;
    other.stays_ended().await
}

fn is_drop(end: &LinkEnd) -> Result<(), Failure> {
    check(matches!(end, LinkEnd::Closed { .. } | LinkEnd::Lost(_)), || {
        Failure::new("LinkEnd::Closed or LinkEnd::Lost after the other end was dropped", shown(end))
            .hint("which LinkEnd a link reports when the transport's connection ends")
            .rule(contract::DROPPED)
    })
}

/// Dropping the engine's end closes the link at the plugin's end.
pub async fn dropping_the_engines_end_closes(fixture: &dyn Fixture) -> Result<(), Failure> {
    dropping_closes(fixture, true).await
}

/// Dropping the plugin's end closes the link at the engine's end.
pub async fn dropping_the_plugins_end_closes(fixture: &dyn Fixture) -> Result<(), Failure> {
    dropping_closes(fixture, false).await
}

/// Dropping a full link closes it too.
pub async fn dropping_a_full_link_closes(fixture: &dyn Fixture) -> Result<(), Failure> {
    for from_engine in [true, false] {
        let (mut sender, mut receiver, _harness) = pair_from(fixture, from_engine).await?;
        for number in 0..fixture.capabilities().max_unread_bytes as i64 / 60_000 {
            if !sender.is_ready().await {
                break;
            }
            sender.send_now(filled(number, 60_000))?;
        }
        drop(sender);
        let end = receiver.end().await.hint("what happens when a link with unsent messages is dropped");
        is_drop(&end.rule(contract::DROP)?)?;
        receiver.stays_ended().await?;
    }
    Ok(())
}

/// Either end reports a graceful close as such.
pub async fn a_close_is_reported_as_closed(fixture: &dyn Fixture) -> Result<(), Failure> {
    for engine_leaves in [true, false] {
        let (engine, plugin, _harness) = pair(fixture).await?;
        let (mut leaving, mut other) = if engine_leaves { (engine, plugin) } else { (plugin, engine) };
        let end = send_and_close(&mut leaving, &mut other).await?;
        check(matches!(end, LinkEnd::Closed { .. }), || {
            Failure::new("LinkEnd::Closed after a graceful close", shown(&end))
        })
        .hint("poll_disconnect, and how the other end interprets it")
        .rule(contract::CLOSED)?;
    }
    Ok(())
}

/// One end closes while the other sends: both end within a bound.
pub async fn a_close_ends_a_sending_peer(fixture: &dyn Fixture) -> Result<(), Failure> {
    for from_engine in [true, false] {
        let (mut sender, mut receiver, harness) = pair_from(fixture, from_engine).await?;
        let send = sender.send_until_end(3000, harness.has.max_unread_bytes / 3000 + 10_000);
        let close = async {
            for number in 0..100 {
                same("the next message", &receiver.next().await?.id, &Some(number.into()))?;
            }
            receiver.disconnect().await?;
            drop(receiver);
            Ok(())
        };
        both(send, close).await.hint("a close while the other end writes")?;
        sender.stays_ended().await?;
    }
    Ok(())
}

/// Once an end has closed the link it sends nothing more, and calling its methods is harmless.
pub async fn nothing_is_sent_after_a_disconnect(fixture: &dyn Fixture) -> Result<(), Failure> {
    for from_engine in [true, false] {
        let (mut sender, mut receiver, _harness) = pair_from(fixture, from_engine).await?;
        sender.send(numbered(0)).await?;
        let leave = async {
            sender.disconnect().await?;
            sender.poll_everything(numbered(1)).await;
            sender.disconnect().await?;
            drop(sender);
            Ok(())
        };
        let (_, (messages, _)) = both(leave, receiver.rest()).await?;
        are_numbered(&messages, 1)?;
    }
    Ok(())
}
