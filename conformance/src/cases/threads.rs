//! Links with each end in its own task, and its own thread where the runtime has several.

use tokio::sync::oneshot;

use crate::contract::{BEFORE, ORDER, WAKERS};
use crate::failure::{Failure, Hint, same};
use crate::fixture::Fixture;
use crate::harness::{CheckedLink, both, filled, number_of, numbered, pair, within};
use crate::runtime;

const SHARED: &str = "state that both ends share: a queue or buffer that one thread writes while the other reads";

/// Drives an end in its own task.
async fn in_task<T: Send + 'static>(
    fixture: &dyn Fixture,
    work: impl Future<Output = Result<T, Failure>> + Send + 'static,
) -> Result<T, Failure> {
    let (done, outcome) = oneshot::channel();
    let _task = runtime::spawn(async move { drop(done.send(work.await)) });
    let ended = within(fixture.capabilities().timeout.saturating_mul(2), "a task to end", outcome).await?;
    ended.map_err(|_| Failure::new("a task to end", "one that panicked"))?
}

async fn send_and_receive(mut end: CheckedLink) -> Result<CheckedLink, Failure> {
    const COUNT: i64 = 2000;
    let mut received = 0;
    for number in 0..COUNT {
        end.queue(filled(number, 100)).await?;
        if number % 10 == 0 {
            end.flush().await?;
            same("the next message", &end.next().await?.id, &Some(received.into())).hint(SHARED).rule(ORDER)?;
            received += 1;
        }
    }
    end.flush().await?;
    while received < COUNT {
        same("the next message", &end.next().await?.id, &Some(received.into())).hint(SHARED).rule(ORDER)?;
        received += 1;
    }
    Ok(end)
}

/// Both ends send and receive at once.
pub async fn two_threads_send_and_receive_at_once(fixture: &dyn Fixture) -> Result<(), Failure> {
    let (engine, plugin, _harness) = pair(fixture).await?;
    both(in_task(fixture, send_and_receive(engine)), in_task(fixture, send_and_receive(plugin))).await.map(drop)
}

/// Two ends exchange single messages, so that each sleeps until the other has written.
pub async fn two_threads_answer_each_other(fixture: &dyn Fixture) -> Result<(), Failure> {
    let (mut engine, mut plugin, harness) = pair(fixture).await?;
    let count = harness.has.rounds(1000);
    let request = async move {
        for number in 0..count {
            engine.send(numbered(number)).await?;
            same("the response", &engine.next().await?.id, &Some((-number).into()))?;
        }
        Ok(engine)
    };
    let answer = async move {
        for number in 0..count {
            same("the request", &plugin.next().await?.id, &Some(number.into()))?;
            plugin.send(numbered(-number)).await?;
        }
        Ok(plugin)
    };
    let hint = "a waker that is taken or replaced while the other thread writes";
    both(in_task(fixture, request), in_task(fixture, answer)).await.hint(hint).rule(WAKERS).map(drop)
}

/// Messages that one thread sends before it closes the link arrive in the other.
pub async fn messages_before_a_close_arrive_in_another_thread(fixture: &dyn Fixture) -> Result<(), Failure> {
    const COUNT: i64 = 50;
    for _ in 0..5 {
        let (mut engine, mut plugin, _harness) = pair(fixture).await?;
        let leave = async move {
            for number in 0..COUNT {
                plugin.queue(filled(number, 1000)).await?;
            }
            plugin.disconnect().await
        };
        let stay = async move { engine.rest().await };
        let (_, (messages, _)) = both(in_task(fixture, leave), in_task(fixture, stay)).await?;
        let ids: Vec<_> = messages.iter().filter_map(number_of).collect();
        same("all messages sent before the end", &ids, &(0..COUNT).collect())
            .hint("poll_disconnect: it flushes before it closes, and the other thread reads before it reports the end")
            .rule(BEFORE)?;
    }
    Ok(())
}
