//! How one end leaves in order: what it says last arrives, and the other end is told of a close, whatever is unread or
//! unsent at either end.

use std::time::Duration;

use crate::contract::{CLOSED, DISCONNECT, FLUSHED_DROP, LAST_WORDS, SLOW};
use crate::failure::{Failure, Hint, check, same, shown};
use crate::fixture::Fixture;
use crate::harness::{both, fill, filled, moment, number_of, numbered, pair, pair_from, text};
use crate::runtime;
use connector_core::{LinkEnd, Message};

const DISCARD: &str =
    "poll_disconnect: after the last write it reads and discards until the other end has closed too, within its bound";
/// The time that `Disconnect` allows for a link whose other end does not read.
const MOST: Duration = Duration::from_secs(10);

fn lengths(messages: &[Message]) -> Vec<(Option<i64>, usize)> {
    messages.iter().map(|message| (number_of(message), text(message).len())).collect()
}

fn is_closed(end: &LinkEnd) -> Result<(), Failure> {
    let failure = || Failure::new("LinkEnd::Closed after a close in order", shown(end));
    check(matches!(end, LinkEnd::Closed { .. }), failure).look_at(DISCARD).rule(CLOSED)
}

/// One end leaves with these words, and has not read what the other end sent before.
async fn leave_unread(fixture: &dyn Fixture, words: &[Message]) -> Result<(), Failure> {
    for engine_leaves in [true, false] {
        let (mut leaving, mut other, _lab) = pair_from(fixture, engine_leaves).await?;
        for number in 0..5 {
            other.put(filled(number, 1000)).await?;
        }
        // As far as there is room for it.
        other.start_flush().await;
        moment().await;
        let leave = async {
            for message in words {
                leaving.take_unread(message.clone()).await?;
            }
            leaving.disconnect().await?;
            drop(leaving);
            Ok(())
        };
        let (_, (messages, end)) = both(leave, other.rest()).await?;
        same("all that was said before the end, by number and length", &lengths(&messages), &lengths(words))
            .look_at(DISCARD)
            .rule(LAST_WORDS)?;
        is_closed(&end)?;
    }
    Ok(())
}

/// What an end says last arrives although it has not read what had come, and the other end is told of a close.
pub async fn last_words_arrive_though_much_is_unread(fixture: &dyn Fixture) -> Result<(), Failure> {
    let words: Vec<_> = (0..60).map(|number| filled(number, 50_000)).collect();
    leave_unread(fixture, &words).await
}

/// The same for one large message.
pub async fn large_last_words_arrive_though_much_is_unread(fixture: &dyn Fixture) -> Result<(), Failure> {
    leave_unread(fixture, &[filled(0, (fixture.capabilities().largest / 4 * 3).min(3 << 20))]).await
}

/// An end that has much to send, because the other end does not read, is told of the other end's close as of any other.
pub async fn a_close_is_told_as_closed_to_a_full_end(fixture: &dyn Fixture) -> Result<(), Failure> {
    for engine_leaves in [true, false] {
        let (mut leaving, mut other, lab) = pair_from(fixture, engine_leaves).await?;
        fill(&mut other, lab.has.most_unread_bytes / 2).await?;
        let leave = async {
            for number in 0..3 {
                leaving.take_unread(numbered(number)).await?;
            }
            leaving.disconnect().await?;
            drop(leaving);
            Ok(())
        };
        let stay = async {
            // It goes on sending meanwhile, as far as it can.
            let flushed = other.flushed().await?;
            let (messages, end) = other.rest().await?;
            drop(flushed);
            Ok((messages, end))
        };
        let (_, (messages, end)) = both(leave, stay).await?;
        same(
            "all that was said before the end",
            &messages.iter().map(number_of).collect(),
            &vec![Some(0), Some(1), Some(2)],
        )
        .look_at("a failed write: what had arrived is handed out before the end")?;
        is_closed(&end)?;
    }
    Ok(())
}

/// Two ends that are full, and read nothing, close at once: both are done within a bound.
pub async fn two_full_ends_may_close_at_once(fixture: &dyn Fixture) -> Result<(), Failure> {
    let (mut engine, mut plugin, lab) = pair(fixture).await?;
    fill(&mut engine, lab.has.most_unread_bytes / 2).await?;
    fill(&mut plugin, lab.has.most_unread_bytes / 2).await?;
    engine.bound(MOST);
    plugin.bound(MOST);
    both(engine.disconnect(), plugin.disconnect()).await.look_at(DISCARD).rule(DISCONNECT).map(drop)
}

/// An end that reads slowly, but steadily, gets everything that was sent before the close.
pub async fn a_slow_reader_gets_all_last_words(fixture: &dyn Fixture) -> Result<(), Failure> {
    both(slowly(fixture, true), slowly(fixture, false)).await.map(drop)
}

async fn slowly(fixture: &dyn Fixture, engine_leaves: bool) -> Result<(), Failure> {
    const STEPS: i64 = 56;
    let (mut leaving, mut other, lab) = pair_from(fixture, engine_leaves).await?;
    for number in 0..5 {
        other.send(numbered(number)).await?;
    }
    let many = fill(&mut leaving, lab.has.most_unread_bytes / 2).await?;
    let leave = async {
        leaving.disconnect().await?;
        drop(leaving);
        Ok(())
    };
    let read = async {
        for number in 0..many {
            let came = other.next().await.look_at("poll_disconnect: its bound is for an end that takes nothing");
            same("the next message", &came.rule(SLOW)?.id, &Some(number.into())).rule(SLOW)?;
            // 1.4 s, in steps of 25 ms, however many there are.
            if number * STEPS / many != (number + 1) * STEPS / many {
                runtime::sleep(Duration::from_millis(25)).await;
            }
        }
        other.end().await
    };
    let (_, end) = both(leave, read).await?;
    is_closed(&end)
}

/// What was flushed arrives although its sender is dropped at once, if it had read all there was.
pub async fn what_was_flushed_arrives_though_the_link_is_dropped(fixture: &dyn Fixture) -> Result<(), Failure> {
    for from_engine in [true, false] {
        let (mut sender, mut receiver, _lab) = pair_from(fixture, from_engine).await?;
        let send = async {
            for number in 0..20 {
                sender.put(filled(number, 20_000)).await?;
            }
            sender.flush().await?;
            drop(sender);
            Ok(())
        };
        let receive = async {
            moment().await;
            receiver.rest().await
        };
        let (_, (messages, _)) = both(send, receive).await?;
        same("all that was flushed", &messages.iter().map(number_of).collect(), &(0..20).map(Some).collect::<Vec<_>>())
            .look_at("what happens to what was flushed when a link is dropped")
            .rule(FLUSHED_DROP)?;
    }
    Ok(())
}
