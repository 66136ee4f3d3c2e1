//! How a link ends that breaks or falls silent: both ends notice, and nothing is torn.

use crate::contract::{DISCONNECT, KINDS};
use crate::failure::{Failure, Hint, check, same, shown};
use crate::fixture::Fixture;
use crate::harness::{Lab, both, filled, moment, numbered, pair, pair_from, text};
use connector_core::LinkEnd;

const SAID: &str = "what is kept of the end once it is known";

/// Closing a link that is stalled ends within a bound.
pub async fn disconnect_of_a_stalled_link_is_bounded(fixture: &dyn Fixture) -> Result<(), Failure> {
    let mut lab = Lab::open(fixture).await?;
    let (mut engine, mut plugin) = lab.link().await?;
    engine.send(numbered(1)).await?;
    plugin.next().await?;
    lab.control.stall();
    engine.disconnect().await.rule(DISCONNECT)?;
    plugin.disconnect().await.rule(DISCONNECT)
}

/// A cut is told as anything but a close in order, at both ends.
pub async fn a_cut_is_not_told_as_closed(fixture: &dyn Fixture) -> Result<(), Failure> {
    let mut lab = Lab::open(fixture).await?;
    let (mut engine, mut plugin) = lab.link().await?;
    engine.send(numbered(1)).await?;
    plugin.next().await?;
    lab.control.cut();
    for end in [engine.end().await?, plugin.end().await?] {
        let told = !matches!(end, LinkEnd::Closed { .. } | LinkEnd::Disconnected);
        check(told, || Failure::new("LinkEnd::Lost after a cut", shown(&end)))
            .look_at("how an end without a close, and a reset, are told")
            .rule(KINDS)?;
    }
    Ok(())
}

/// A cut ends the link at both ends, the same whoever says it.
pub async fn a_cut_ends_the_link(fixture: &dyn Fixture) -> Result<(), Failure> {
    let mut lab = Lab::open(fixture).await?;
    let (mut engine, mut plugin) = lab.link().await?;
    plugin.send(numbered(1)).await?;
    engine.next().await?;
    lab.control.cut();
    engine.end().await.look_at("how a link that breaks is noticed")?;
    plugin.end().await.look_at("how a link that breaks is noticed")?;
    engine.stays_ended().await.look_at(SAID)?;
    plugin.stays_ended().await.look_at(SAID)
}

/// Of what is on its way at a cut a part arrives, in order and each message whole, then the end.
pub async fn a_cut_tears_no_message(fixture: &dyn Fixture) -> Result<(), Failure> {
    for from_engine in [true, false] {
        let (mut sender, mut receiver, lab) = pair_from(fixture, from_engine).await?;
        let most = fixture.capabilities().most_unread_bytes / 3000 + 10_000;
        let send = sender.send_until_end(3000, most);
        let receive = async {
            let mut number = 0;
            loop {
                match receiver.inbound().await? {
                    Ok(Ok(message)) => {
                        same("the next message, whole", &text(&message), &text(&filled(number, 3000)))
                            .look_at("what is made of half a message at the end")?;
                        number += 1;
                        if number == 300 {
                            lab.control.cut();
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

/// A link that has gone silent ends by itself within the time that is declared.
pub async fn silence_is_noticed(fixture: &dyn Fixture) -> Result<(), Failure> {
    let mut lab = Lab::open(fixture).await?;
    let (mut engine, mut plugin) = lab.link().await?;
    engine.send(numbered(1)).await?;
    plugin.next().await?;
    lab.control.stall();
    let within = fixture.capabilities().silence.unwrap_or(fixture.capabilities().patience);
    engine.bound(within);
    plugin.bound(within);
    let ends = both(engine.end(), plugin.end()).await.look_at("keepalives, and what happens when none is answered")?;
    for end in [ends.0, ends.1] {
        check(matches!(end, LinkEnd::Silent(_)), || Failure::new("LinkEnd::Silent", shown(&end)))
            .look_at("how the end of a link is told that has gone silent")
            .rule(KINDS)?;
    }
    engine.stays_ended().await
}

/// An engine's end that says that it notices silence has a fixture that declares within which time, so that it is tried:
/// nobody else looks after it.
pub async fn who_notices_silence_declares_it(fixture: &dyn Fixture) -> Result<(), Failure> {
    let (engine, _plugin, lab) = pair(fixture).await?;
    let declared = lab.has.silence.is_some();
    check(declared || !engine.into_link().notices_silence(), || {
        Failure::new("Capabilities::silence, since the link says that it notices silence", "no such declaration")
            .look_at("notices_silence")
    })
}

/// A sender that waits for a reader learns a cut.
pub async fn a_cut_wakes_a_full_sender(fixture: &dyn Fixture) -> Result<(), Failure> {
    for from_engine in [true, false] {
        let (mut sender, _receiver, lab) = pair_from(fixture, from_engine).await?;
        let most = lab.has.most_unread_bytes / 50_000 + 1000;
        let cut = async {
            moment().await;
            moment().await;
            lab.control.cut();
            Ok(())
        };
        both(sender.send_until_end(50_000, most), cut).await.look_at("a write that waits while the link breaks")?;
        sender.stays_ended().await?;
    }
    Ok(())
}

/// Silence that is shorter than that ends nothing.
pub async fn an_idle_link_lives(fixture: &dyn Fixture) -> Result<(), Failure> {
    let (mut engine, mut plugin, _lab) = pair(fixture).await?;
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
