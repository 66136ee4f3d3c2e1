//! The same links with each end in a task of its own, on threads of their own where the runtime has several.

use tokio::sync::oneshot;

use crate::contract::{BEFORE, ORDER, WAKERS};
use crate::failure::{Failure, Hint, same};
use crate::fixture::Fixture;
use crate::harness::{End, both, filled, number_of, numbered, pair, within};
use crate::runtime;

/// Plays an end in a task of its own.
async fn apart<T: Send + 'static>(
    fixture: &dyn Fixture,
    play: impl Future<Output = Result<T, Failure>> + Send + 'static,
) -> Result<T, Failure> {
    let (tell, told) = oneshot::channel();
    let _task = runtime::spawn(async move { drop(tell.send(play.await)) });
    let ended = within(fixture.capabilities().patience.saturating_mul(2), "a task to end", told).await?;
    ended.map_err(|_| Failure::new("a task to end", "one that panicked"))?
}

async fn send_and_receive(mut end: End) -> Result<End, Failure> {
    const MANY: i64 = 2000;
    let mut received = 0;
    for number in 0..MANY {
        end.put(filled(number, 100)).await?;
        if number % 10 == 0 {
            end.flush().await?;
            same("the next message", &end.next().await?.id, &Some(received.into())).rule(ORDER)?;
            received += 1;
        }
    }
    end.flush().await?;
    while received < MANY {
        same("the next message", &end.next().await?.id, &Some(received.into())).rule(ORDER)?;
        received += 1;
    }
    Ok(end)
}

/// Both ends send and receive at once.
pub async fn two_threads_send_and_receive_at_once(fixture: &dyn Fixture) -> Result<(), Failure> {
    let (engine, plugin, _lab) = pair(fixture).await?;
    both(apart(fixture, send_and_receive(engine)), apart(fixture, send_and_receive(plugin))).await.map(drop)
}

/// One message goes to and fro, so that each end sleeps until the other has written.
pub async fn two_threads_answer_each_other(fixture: &dyn Fixture) -> Result<(), Failure> {
    const MANY: i64 = 1000;
    let (mut engine, mut plugin, _lab) = pair(fixture).await?;
    let ask = async move {
        for number in 0..MANY {
            engine.send(numbered(number)).await?;
            same("the answer", &engine.next().await?.id, &Some((-number).into()))?;
        }
        Ok(engine)
    };
    let answer = async move {
        for number in 0..MANY {
            same("the question", &plugin.next().await?.id, &Some(number.into()))?;
            plugin.send(numbered(-number)).await?;
        }
        Ok(plugin)
    };
    let look = "a waker that is taken or replaced while the other thread writes";
    both(apart(fixture, ask), apart(fixture, answer)).await.look_at(look).rule(WAKERS).map(drop)
}

/// What one thread sends before it closes the link arrives in the other.
pub async fn last_words_arrive_in_another_thread(fixture: &dyn Fixture) -> Result<(), Failure> {
    const MANY: i64 = 50;
    for _ in 0..5 {
        let (mut engine, mut plugin, _lab) = pair(fixture).await?;
        let leave = async move {
            for number in 0..MANY {
                plugin.put(filled(number, 1000)).await?;
            }
            plugin.disconnect().await
        };
        let stay = async move { engine.rest().await };
        let (_, (messages, _)) = both(apart(fixture, leave), apart(fixture, stay)).await?;
        let ids: Vec<_> = messages.iter().filter_map(number_of).collect();
        same("all that was sent before the end", &ids, &(0..MANY).collect()).rule(BEFORE)?;
    }
    Ok(())
}
