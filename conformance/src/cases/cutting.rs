//! How a link ends when it breaks or falls silent: both ends detect it, and no message is truncated.

use crate::contract::{DISCONNECT, KINDS};
use crate::failure::{Failure, Hint, check, same, shown};
use crate::fixture::Fixture;
use crate::harness::{CheckedLink, Harness, both, filled, numbered, pair, pair_from, pause, text};
use connector_core::LinkEnd;

const STORED_END: &str = "where the end of a link is stored once it is known";

/// A link over which a message has gone in each direction.
async fn used_pair(fixture: &dyn Fixture) -> Result<(CheckedLink, CheckedLink, Harness), Failure> {
    let (mut engine, mut plugin, harness) = pair(fixture).await?;
    engine.send(numbered(1)).await?;
    plugin.next().await?;
    plugin.send(numbered(1)).await?;
    engine.next().await?;
    Ok((engine, plugin, harness))
}

/// Closing a link that is stalled ends within a bound.
pub async fn disconnect_of_a_stalled_link_is_bounded(fixture: &dyn Fixture) -> Result<(), Failure> {
    let (mut engine, mut plugin, harness) = used_pair(fixture).await?;
    harness.control.stall();
    engine.disconnect().await.rule(DISCONNECT)?;
    plugin.disconnect().await.rule(DISCONNECT)
}

/// Neither end reports a cut as a graceful close.
pub async fn a_cut_is_not_reported_as_closed(fixture: &dyn Fixture) -> Result<(), Failure> {
    let (mut engine, mut plugin, harness) = used_pair(fixture).await?;
    harness.control.cut();
    for end in [engine.end().await?, plugin.end().await?] {
        let is_loss = !matches!(end, LinkEnd::Closed { .. } | LinkEnd::Disconnected);
        check(is_loss, || Failure::new("LinkEnd::Lost after a cut", shown(&end)))
            .hint("how an end without a close, and a reset, are reported")
            .rule(KINDS)?;
    }
    Ok(())
}

/// A cut ends the link at both ends, and every method reports the same end.
pub async fn a_cut_ends_the_link(fixture: &dyn Fixture) -> Result<(), Failure> {
    let (mut engine, mut plugin, harness) = used_pair(fixture).await?;
    harness.control.cut();
    engine.end().await.hint("how a broken link is detected")?;
    plugin.end().await.hint("how a broken link is detected")?;
    engine.stays_ended().await.hint(STORED_END)?;
    plugin.stays_ended().await.hint(STORED_END)
}

/// Some of the messages in transit at a cut arrive, in order and each whole, then the end.
pub async fn a_cut_tears_no_message(fixture: &dyn Fixture) -> Result<(), Failure> {
    for from_engine in [true, false] {
        let (mut sender, mut receiver, harness) = pair_from(fixture, from_engine).await?;
        let send = sender.send_until_end(3000, harness.has.max_unread_bytes / 3000 + 10_000);
        let receive = async {
            let mut number = 0;
            loop {
                match receiver.inbound().await? {
                    Ok(Ok(message)) => {
                        same("the next message, whole", &text(&message), &text(&filled(number, 3000)))
                            .hint("how a truncated message at the end is handled")?;
                        number += 1;
                        if number == 300 {
                            harness.control.cut();
                        }
                    }
                    Ok(Err(_)) => {}
                    Err(_) => return Ok(()),
                }
            }
        };
        both(send, receive).await?;
        sender.stays_ended().await?;
        receiver.stays_ended().await?;
    }
    Ok(())
}

/// A silent link ends on its own within the declared time.
pub async fn silence_is_detected(fixture: &dyn Fixture) -> Result<(), Failure> {
    let (mut engine, mut plugin, harness) = used_pair(fixture).await?;
    harness.control.stall();
    let within = fixture.capabilities().silence.unwrap_or(fixture.capabilities().timeout);
    engine.set_limit(within);
    plugin.set_limit(within);
    let ends = both(engine.end(), plugin.end()).await.hint("keepalives, and what happens when they go unanswered")?;
    for end in [ends.0, ends.1] {
        check(matches!(end, LinkEnd::Silent(_)), || Failure::new("LinkEnd::Silent", shown(&end)))
            .hint("how the end of a silent link is reported")
            .rule(KINDS)?;
    }
    engine.stays_ended().await
}

/// If an engine's end reports that it detects silence, its fixture declares the time, so that this is tested: the core
/// does not check such links itself.
pub async fn detecting_silence_is_declared(fixture: &dyn Fixture) -> Result<(), Failure> {
    let (engine, _plugin, harness) = pair(fixture).await?;
    let declared = harness.has.silence.is_some();
    check(declared || !engine.into_link().notices_silence(), || {
        Failure::new("Capabilities::silence, since the link reports that it detects silence", "no such declaration")
            .hint("notices_silence")
    })
}

/// A cut wakes a sender that waits for a reader.
pub async fn a_cut_wakes_a_full_sender(fixture: &dyn Fixture) -> Result<(), Failure> {
    for from_engine in [true, false] {
        let (mut sender, _receiver, harness) = pair_from(fixture, from_engine).await?;
        let max = harness.has.max_unread_bytes / 50_000 + 1000;
        let cut = async {
            pause().await;
            pause().await;
            harness.control.cut();
            Ok(())
        };
        both(sender.send_until_end(50_000, max), cut).await.hint("a write that waits while the link breaks")?;
        sender.stays_ended().await?;
    }
    Ok(())
}

/// Silence shorter than the declared time does not end the link.
pub async fn an_idle_link_stays_up(fixture: &dyn Fixture) -> Result<(), Failure> {
    let (mut engine, mut plugin, _harness) = pair(fixture).await?;
    let idle = fixture.capabilities().silence.unwrap_or_default().min(std::time::Duration::from_secs(2));
    let (_, message) = both(
        async {
            crate::runtime::sleep(idle + std::time::Duration::from_millis(300)).await;
            engine.send(numbered(1)).await
        },
        plugin.next(),
    )
    .await?;
    same("the message", &message.id, &Some(1.into()))
}
