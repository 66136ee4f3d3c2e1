//! Frames of every size and kind: too large, not messages, in an old form.

use std::sync::Arc;
use std::time::Duration;

use connector_core::{Action, LinkEnd, Message, Payload};
use serde::{Serialize, Serializer};

use crate::contract::{BAD_FRAMES, MEMORY, PANICS, SIZE};
use crate::failure::{Failure, Hint, check, same, shown};
use crate::fixture::Fixture;
use crate::harness::{Harness, both, filled, numbered, pair, pair_from, text};
use crate::runtime;

/// Messages of every size up to the promised maximum arrive whole.
pub async fn messages_of_every_size_arrive(fixture: &dyn Fixture) -> Result<(), Failure> {
    let largest = fixture.capabilities().max_message;
    let frame = text(&filled(1, 0)).len();
    let edges = (7..=20).map(|bits| 1 << bits).chain([126, 65_534]);
    let sizes = edges.flat_map(|edge| [edge - 1, edge, edge + 1]).filter(|size| *size > frame && *size < largest);
    let (mut engine, mut plugin, _harness) = pair(fixture).await?;
    for size in sizes.chain([largest]) {
        let message = filled(1, size - frame);
        let expected = text(&message);
        let there = both(engine.send(message.clone()), plugin.next()).await?.1;
        check(text(&there) == expected, || {
            Failure::new(format_args!("a message of {size} bytes at the plugin"), shown(&text(&there)))
        })
        .hint("limits on frames, and truncated buffers")?;
        let back = both(plugin.send(message), engine.next()).await?.1;
        check(text(&back) == expected, || {
            Failure::new(format_args!("a message of {size} bytes at the engine"), shown(&text(&back)))
        })
        .hint("limits on frames, and truncated buffers")?;
    }
    Ok(())
}

/// A message larger than the promised maximum is rejected by `send`, arrives whole, or ends the link; it does not vanish.
pub async fn a_message_that_is_too_large_is_not_dropped_silently(fixture: &dyn Fixture) -> Result<(), Failure> {
    const HINT: &str = "send, and how each end handles a message over its limit";
    let largest = fixture.capabilities().max_message;
    for from_engine in [true, false] {
        let (mut sender, mut receiver, _harness) = pair_from(fixture, from_engine).await?;
        let message = filled(1, largest + largest / 8);
        let send = async {
            let taken = sender.offer(message.clone()).await?;
            // The link may end because of it.
            if sender.try_queue(numbered(2)).await?.is_ok() {
                drop(sender.flushed().await?);
            }
            Ok(taken)
        };
        let receive = async {
            let first = receiver.inbound().await?;
            match first {
                Ok(Ok(message)) if message.id == Some(1.into()) => Ok((Some(message), Some(receiver.next().await?))),
                Ok(Ok(message)) => Ok((None, Some(message))),
                Ok(Err(_)) => Ok((None, None)),
                Err(end) => match end {
                    LinkEnd::Closed { .. } => Err(Failure::new("an end that gives the reason", shown(&end))),
                    _ => Ok((None, None)),
                },
            }
        };
        let (taken, received) = both(send, receive).await.hint(HINT).rule(SIZE)?;
        match (taken, received) {
            (false, (None, Some(next))) => same("the message after", &next.id, &Some(2.into())).rule(SIZE)?,
            (true, (Some(whole), Some(next))) => {
                check(text(&whole) == text(&message) && next.id == Some(2.into()), || {
                    Failure::new("the whole message and the next", shown(&text(&whole)))
                })
                .hint(HINT)
                .rule(SIZE)?;
            }
            (true, (None, None)) => {}
            (taken, (received, next)) => {
                let received = (taken, received.map(|message| text(&message).len()), next.map(|message| message.id));
                let failure = Failure::new(
                    "a message over the limit to be rejected or to arrive",
                    format_args!("(taken, its length at the other end, the next message): {received:?}"),
                );
                return Err(failure.hint(HINT).rule(SIZE));
            }
        }
    }
    Ok(())
}

/// Counts its live instances.
struct Counted(#[expect(dead_code, reason = "its reference count is the counter")] Arc<()>);

impl Serialize for Counted {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("counted")
    }
}

/// A link releases messages that have been sent and received.
pub async fn delivered_messages_are_released(fixture: &dyn Fixture) -> Result<(), Failure> {
    for from_engine in [true, false] {
        let (mut sender, mut receiver, _harness) = pair_from(fixture, from_engine).await?;
        let count = Arc::new(());
        for number in 0..200 {
            let message = Message { payload: Some(Payload::new(Counted(count.clone()))), ..numbered(number) };
            sender.send(message).await?;
            same("the message", &receiver.next().await?.id, &Some(number.into()))?;
        }
        // The last message may be kept until the next one replaces it.
        for number in 0..20 {
            sender.send(numbered(number)).await?;
            receiver.next().await?;
        }
        same("the number of messages of 200 that are still held", &(Arc::strong_count(&count) - 1), &0)
            .hint("queues and lists that only grow")
            .rule(MEMORY)?;
    }
    Ok(())
}

/// `send` rejects a message that cannot be serialized; the link and later messages are unaffected.
pub async fn an_unserializable_message_leaves_the_link_intact(fixture: &dyn Fixture) -> Result<(), Failure> {
    for from_engine in [true, false] {
        let (mut sender, mut receiver, _harness) = pair_from(fixture, from_engine).await?;
        sender.queue(numbered(1)).await?;
        let bad = std::collections::HashMap::from([((1, 2), 3)]);
        let refused = sender.is_rejected(Message { payload: Some(Payload::new(bad)), ..numbered(2) }).await?;
        check(refused, || Failure::new("SendError::Payload", "another outcome"))
            .hint("send: it encodes a message before it accepts it")?;
        sender.send(numbered(3)).await?;
        for number in [1, 3] {
            same("the next message", &receiver.next().await?.id, &Some(number.into()))
                .hint("send: a message that could not be encoded must leave nothing behind")?;
        }
    }
    Ok(())
}

/// Legacy names of actions are decoded as the current ones.
pub async fn legacy_action_names_are_decoded(fixture: &dyn Fixture) -> Result<(), Failure> {
    let mut harness = Harness::open(fixture).await?;
    let (_engine, mut plugin) = harness.link().await?;
    for (old, action) in [
        ("call", Action::Request),
        ("listen", Action::On),
        ("emit", Action::Emit),
        ("notification", Action::Notification),
        ("on", Action::On),
        ("request", Action::Request),
    ] {
        harness.control.inject(&format!(r#"{{"name":"a","action":"{old}","later":[1],"id":4,"payload":[2]}}"#));
        let received = plugin.next().await?;
        same("the action", &received.action, &action).hint("Message::decode, which accepts all names")?;
        same("the id", &received.id, &Some(4.into())).hint("Message::decode")?;
    }
    Ok(())
}

/// A frame that is not a message is returned as an error in its position, and the link stays up.
pub async fn bad_frames_are_errors_in_order(fixture: &dyn Fixture) -> Result<(), Failure> {
    let mut harness = Harness::open(fixture).await?;
    let (mut engine, mut plugin) = harness.link().await?;
    for bad in ["hello", "5", "{}", r#"{"action":"jump"}"#, r#"{"action":5,"id":"x"}"#, r#"{"action":"#, "[[[["] {
        engine.send(numbered(1)).await?;
        same("the message before", &plugin.next().await?.id, &Some(1.into()))?;
        harness.control.inject(bad);
        match plugin.inbound().await? {
            Ok(Err(_)) => {}
            other => {
                return Err(Failure::new(format_args!("the frame {bad} as an error"), shown(&other))
                    .hint("poll_message: a bad frame is Ok(Err(_)); it neither ends the link nor is dropped")
                    .rule(BAD_FRAMES));
            }
        }
        engine.send(numbered(2)).await?;
        same("the message after", &plugin.next().await?.id, &Some(2.into()))
            .hint("bad frames must not end the link")?;
    }
    plugin.send(numbered(3)).await?;
    same("the other direction", &engine.next().await?.id, &Some(3.into()))
}

/// No incoming frame makes the link panic or hang.
pub async fn no_frame_causes_a_panic(fixture: &dyn Fixture) -> Result<(), Failure> {
    let deep = "[".repeat(100_000);
    let odd = ["\u{0}", "\u{feff}{}", "null", "\"", "{\"action\":\"request\",\"payload\":", &deep, "{\"id\":1e999}"];
    for frame in odd {
        let mut harness = Harness::open(fixture).await?;
        let (_engine, mut plugin) = harness.link().await?;
        harness.control.inject(frame);
        // A panic fails the case anyway; an error and an end are both fine.
        drop(plugin.inbound().await.rule(PANICS)?);
    }
    Ok(())
}

/// No incoming bytes make the link panic or hang, and it still ends when the engine's end is dropped.
pub async fn no_byte_sequence_causes_a_panic(fixture: &dyn Fixture) -> Result<(), Failure> {
    let every: Vec<u8> = (0..=255).collect();
    let odd: [&[u8]; 9] = [
        b"\0\0\0\0",
        b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x7f\xff\xff\xff{}",
        b"\x80\0\0\0\0\0\0\0",
        b"\xff\xff\xff\x7f\xff\xff\xff\x7f",
        b"\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        b"{\"action\":\"emit\"",
        b"\r\n\r\n\n\0\n\xc3\x28\n",
        &every,
    ];
    for bytes in odd {
        let mut harness = Harness::open(fixture).await?;
        let (mut engine, mut plugin) = harness.link().await?;
        engine.send(numbered(1)).await?;
        same("the message before", &plugin.next().await?.id, &Some(1.into()))?;
        harness.control.inject_raw(bytes);
        runtime::sleep(Duration::from_millis(5)).await;
        drop(engine);
        // A panic fails the case anyway. Any number of errors and any end are fine.
        plugin.rest().await.hint("how bytes that are not a frame are handled").rule(PANICS)?;
    }
    Ok(())
}
