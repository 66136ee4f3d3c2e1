//! How one end closes gracefully: its last messages arrive and the other end reports a close, whatever is unread or unsent
//! at either end.

use std::time::Duration;

use crate::contract::{CLOSED, DISCONNECT, FINAL_MESSAGES, FLUSHED_DROP, SLOW};
use crate::failure::{Failure, Hint, check, same, shown};
use crate::fixture::Fixture;
use crate::harness::{both, fill, filled, number_of, numbered, pair, pair_from, pause, text};
use crate::runtime;
use connector_core::{LinkEnd, Message};

const DISCARD: &str =
    "poll_disconnect: after the last write it reads and discards until the other end has closed too, within a bound";
/// The time that `disconnect` may take for a link whose other end does not read.
const MAX: Duration = Duration::from_secs(10);

fn lengths(messages: &[Message]) -> Vec<(Option<i64>, usize)> {
    messages.iter().map(|message| (number_of(message), text(message).len())).collect()
}

fn is_closed(end: &LinkEnd) -> Result<(), Failure> {
    let failure = || Failure::new("LinkEnd::Closed after a graceful close", shown(end));
    check(matches!(end, LinkEnd::Closed { .. }), failure).hint(DISCARD).rule(CLOSED)
}

/// One end sends these messages and closes without having read the other end's messages.
async fn close_with_unread_input(fixture: &dyn Fixture, last_messages: &[Message]) -> Result<(), Failure> {
    for engine_leaves in [true, false] {
        let (mut leaving, mut other, _harness) = pair_from(fixture, engine_leaves).await?;
        for number in 0..5 {
            other.queue(filled(number, 1000)).await?;
        }
        // As many as the buffers hold.
        other.start_flush().await;
        pause().await;
        let leave = async {
            for message in last_messages {
                leaving.send_when_ready(message.clone()).await?;
            }
            leaving.disconnect().await?;
            drop(leaving);
            Ok(())
        };
        let (_, (messages, end)) = both(leave, other.rest()).await?;
        same("all messages sent before the end, by number and length", &lengths(&messages), &lengths(last_messages))
            .hint(DISCARD)
            .rule(FINAL_MESSAGES)?;
        is_closed(&end)?;
    }
    Ok(())
}

/// The last messages of an end with unread input arrive, and the other end reports a close.
pub async fn messages_before_a_close_arrive_despite_unread_input(fixture: &dyn Fixture) -> Result<(), Failure> {
    let messages: Vec<_> = (0..60).map(|number| filled(number, 50_000)).collect();
    close_with_unread_input(fixture, &messages).await
}

/// The same with one large message.
pub async fn a_large_message_before_a_close_arrives_despite_unread_input(fixture: &dyn Fixture) -> Result<(), Failure> {
    close_with_unread_input(fixture, &[filled(0, (fixture.capabilities().max_message / 4 * 3).min(3 << 20))]).await
}

/// An end with a full send buffer reports the other end's close as any other.
pub async fn a_full_end_reports_the_peers_close_as_closed(fixture: &dyn Fixture) -> Result<(), Failure> {
    for engine_leaves in [true, false] {
        let (mut leaving, mut other, harness) = pair_from(fixture, engine_leaves).await?;
        fill(&mut other, harness.has.max_unread_bytes / 2).await?;
        let leave = async {
            for number in 0..3 {
                leaving.send_when_ready(numbered(number)).await?;
            }
            leaving.disconnect().await?;
            drop(leaving);
            Ok(())
        };
        let stay = async {
            // It keeps sending until its link ends.
            let flushed = other.flushed().await?;
            let (messages, end) = other.rest().await?;
            drop(flushed);
            Ok((messages, end))
        };
        let (_, (messages, end)) = both(leave, stay).await?;
        same(
            "all messages sent before the end",
            &messages.iter().map(number_of).collect(),
            &vec![Some(0), Some(1), Some(2)],
        )
        .hint("a failed write: received messages are returned before the end")?;
        is_closed(&end)?;
    }
    Ok(())
}

/// Two full ends that read nothing can close at once: both complete within a bound.
pub async fn two_full_ends_can_close_at_once(fixture: &dyn Fixture) -> Result<(), Failure> {
    let (mut engine, mut plugin, harness) = pair(fixture).await?;
    fill(&mut engine, harness.has.max_unread_bytes / 2).await?;
    fill(&mut plugin, harness.has.max_unread_bytes / 2).await?;
    engine.set_limit(MAX);
    plugin.set_limit(MAX);
    both(engine.disconnect(), plugin.disconnect()).await.hint(DISCARD).rule(DISCONNECT).map(drop)
}

/// An end that reads slowly but steadily receives everything sent before the close.
pub async fn a_slow_reader_receives_everything_before_a_close(fixture: &dyn Fixture) -> Result<(), Failure> {
    both(read_slowly(fixture, true), read_slowly(fixture, false)).await.map(drop)
}

async fn read_slowly(fixture: &dyn Fixture, engine_leaves: bool) -> Result<(), Failure> {
    const STEPS: i64 = 56;
    let (mut leaving, mut other, harness) = pair_from(fixture, engine_leaves).await?;
    for number in 0..5 {
        other.send(numbered(number)).await?;
    }
    let count = fill(&mut leaving, harness.has.max_unread_bytes / 2).await?;
    let leave = async {
        leaving.disconnect().await?;
        drop(leaving);
        Ok(())
    };
    let read = async {
        for number in 0..count {
            let received = other.next().await.hint("poll_disconnect: its bound applies to an end that reads nothing");
            same("the next message", &received.rule(SLOW)?.id, &Some(number.into())).rule(SLOW)?;
            // 1.4 s in steps of 25 ms, however many messages there are.
            if number * STEPS / count != (number + 1) * STEPS / count {
                runtime::sleep(Duration::from_millis(25)).await;
            }
        }
        other.end().await
    };
    let (_, end) = both(leave, read).await?;
    is_closed(&end)
}

/// Flushed messages arrive even if their sender is dropped at once, provided it had read all its input.
pub async fn flushed_messages_arrive_when_the_link_is_dropped(fixture: &dyn Fixture) -> Result<(), Failure> {
    for from_engine in [true, false] {
        let (mut sender, mut receiver, _harness) = pair_from(fixture, from_engine).await?;
        let send = async {
            for number in 0..20 {
                sender.queue(filled(number, 20_000)).await?;
            }
            sender.flush().await?;
            drop(sender);
            Ok(())
        };
        let receive = async {
            pause().await;
            receiver.rest().await
        };
        let (_, (messages, _)) = both(send, receive).await?;
        same("all flushed messages", &messages.iter().map(number_of).collect(), &(0..20).map(Some).collect::<Vec<_>>())
            .hint("what happens to flushed messages when a link is dropped")
            .rule(FLUSHED_DROP)?;
    }
    Ok(())
}
