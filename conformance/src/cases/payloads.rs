//! Messages arrive unchanged: their fields, and payloads to the byte if they are text.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::{Serialize, Serializer};

use crate::contract::{BAD_FRAMES, MEMORY, PANICS, SIZE};
use crate::failure::{Failure, Hint, check, same, shown};
use crate::fixture::Fixture;
use crate::harness::{Harness, both, filled, numbered, pair, pair_from, text};
use crate::runtime;
use connector_core::{Action, ErrorKind, Extensions, LinkEnd, Message, Name, Payload, RequestInfo};

const BYTES: &str =
    "how frames are written and read: payloads are forwarded unchanged (Message::encode and Message::decode)";

/// Sends each message in both directions and compares.
async fn there_and_back(fixture: &dyn Fixture, messages: Vec<Message>) -> Result<(), Failure> {
    let (mut engine, mut plugin, _harness) = pair(fixture).await?;
    for message in messages {
        let expected = text(&message);
        let there = both(engine.send(message.clone()), plugin.next()).await?.1;
        same("the message at the plugin", &text(&there), &expected).hint(BYTES)?;
        let back = both(plugin.send(message), engine.next()).await?.1;
        same("the message at the engine", &text(&back), &expected).hint(BYTES)?;
    }
    Ok(())
}

fn with_json(json: impl Into<Bytes>) -> Result<Message, Failure> {
    let payload = Payload::from_json(json).map_err(|error| Failure::new("JSON", error))?;
    Ok(Message { payload: Some(payload), ..numbered(1) })
}

async fn payloads(fixture: &dyn Fixture, json: &[&str]) -> Result<(), Failure> {
    let messages = json.iter().map(|json| with_json(json.as_bytes().to_vec()));
    there_and_back(fixture, messages.collect::<Result<_, _>>()?).await
}

/// Every field arrives, absent fields stay absent, and every action keeps its meaning.
pub async fn every_field_arrives(fixture: &dyn Fixture) -> Result<(), Failure> {
    let actions = [
        Action::Request,
        Action::Response,
        Action::On,
        Action::Once,
        Action::Off,
        Action::Emit,
        Action::Notification,
        Action::Cancel,
    ];
    let full = |action| Message {
        id: Some(12.into()),
        name: Some(Name::new_static("cmd.git")),
        key: Some(Name::new_static("log")),
        payload: Some(Payload::new(("a", 1))),
        ..Message::new(action)
    };
    let mut messages: Vec<_> = actions.into_iter().flat_map(|action| [Message::new(action), full(action)]).collect();
    let fields = Message::new(Action::Response);
    for kind in [ErrorKind::Plugin, ErrorKind::Refused, ErrorKind::TimedOut, ErrorKind::Cancelled, ErrorKind::LinkLost]
    {
        messages.push(Message {
            error: Some(Box::new(Payload::new("wrong"))),
            error_kind: Some(kind),
            ..fields.clone()
        });
    }
    messages.push(Message { error: Some(Box::new(Payload::new(serde_json::json!({"code": 5})))), ..fields.clone() });
    messages.push(Message { extensions: Some(Extensions::NATIVE), ..fields.clone() });
    messages.push(Message { extensions: Some(Extensions::default()), ..fields });
    there_and_back(fixture, messages).await
}

/// The caller's name and the path of the call arrive with the request.
pub async fn request_info_arrives(fixture: &dyn Fixture) -> Result<(), Failure> {
    let info = |path: Option<&str>, is_from_native| {
        let mut info = RequestInfo::new("localé");
        (info.path, info.is_from_native) = (path.map(Name::from), is_from_native);
        info
    };
    let all =
        [info(None, None), info(Some("probe.tools.git"), None), info(Some(""), Some(true)), info(None, Some(false))];
    let messages = all.into_iter().map(|info| Message { request_info: Some(Box::new(info)), ..numbered(3) });
    there_and_back(fixture, messages.collect()).await
}

/// Ids arrive unchanged: zero, negative ones, and the largest.
pub async fn every_id_arrives_unchanged(fixture: &dyn Fixture) -> Result<(), Failure> {
    let ids = [0, 1, -1, -2, 1 << 31, 1 << 53, (1 << 53) + 1, i64::MAX, i64::MIN];
    there_and_back(fixture, ids.into_iter().map(numbered).collect()).await
}

/// A null payload is distinct from a missing and from an empty one.
pub async fn null_is_not_missing(fixture: &dyn Fixture) -> Result<(), Failure> {
    let (mut engine, mut plugin, _harness) = pair(fixture).await?;
    let null = Message { payload: Some(Payload::null()), ..numbered(1) };
    engine.send(null).await?;
    let received = plugin.next().await?;
    let is_null =
        received.payload.as_ref().is_some_and(|payload| payload.to_json().is_ok_and(|json| &json[..] == b"null"));
    check(is_null, || Failure::new("the payload null", shown(&received.payload))).hint(BYTES)?;
    engine.send(numbered(2)).await?;
    let received = plugin.next().await?;
    check(received.payload.is_none(), || Failure::new("no payload", shown(&received.payload))).hint(BYTES)?;
    payloads(fixture, &["[]", "{}", "\"\"", "[null]", "[[]]", "false", "0", "\"null\""]).await
}

/// Text in every script arrives, including characters that some parsers treat as line breaks.
pub async fn unicode_arrives(fixture: &dyn Fixture) -> Result<(), Failure> {
    let odd = [
        "héllo wörld",
        "\u{2028}\u{2029}\u{85}\u{b}\u{c}",
        "\u{feff}bom",
        "😀👩‍👩‍👧‍👦🏳️‍🌈",
        "שלום العربية",
        "e\u{301}é",
        "\u{10ffff}\u{fffd}\u{e000}",
        "日本語",
        "\u{7f}\u{80}\u{a0}",
        "line\nfeed\rreturn\ttab\"quote\\back/slash\0nul",
    ];
    let in_payload = odd.map(|text| Message { payload: Some(Payload::new(vec![text])), ..numbered(1) });
    let in_names = odd.map(|text| Message { name: Some(text.into()), key: Some(text.into()), ..numbered(1) });
    there_and_back(fixture, in_payload.into_iter().chain(in_names).collect()).await?;
    let long = Message { payload: Some(Payload::new("é😀\u{2028}".repeat(30_000))), ..numbered(1) };
    there_and_back(fixture, vec![long]).await
}

/// Escapes arrive as written: lone surrogates, NUL, quotes, and unnecessary escapes.
pub async fn escapes_arrive_as_written(fixture: &dyn Fixture) -> Result<(), Failure> {
    let odd = [
        r#"["\ud800"]"#,
        r#"["\udc00\ud800"]"#,
        r#"["\u0000"]"#,
        r#"["\u2028\u2029"]"#,
        r#"["\u0041\/\b\f\n\r\t\"\\"]"#,
        r#"["\uD83D\uDE00","\ud83d\ude00"]"#,
        r#"["\\u0041","\\n"]"#,
    ];
    payloads(fixture, &odd).await
}

/// Numbers arrive as written: too large, too precise, or in an unusual notation.
pub async fn numbers_arrive_as_written(fixture: &dyn Fixture) -> Result<(), Failure> {
    let odd = [
        "[1e400]",
        "[-1e-400]",
        "[123456789012345678901234567890123456789012345678901234567890]",
        "[9007199254740993,18446744073709551615,-9223372036854775808]",
        "[1.0,1e2,1E2,1.50,-0,-0.0,0.1e1]",
        "[0.1000000000000000055511151231257827021181583404541015625]",
        "[5e-324,1.7976931348623157e308]",
    ];
    payloads(fixture, &odd).await
}

/// Objects arrive as written: the order of keys, and keys that are duplicate, empty, escaped or special.
pub async fn keys_arrive_as_written(fixture: &dyn Fixture) -> Result<(), Failure> {
    let odd = [
        r#"[{"z":1,"a":2,"m":{"y":1,"b":2}}]"#,
        r#"[{"10":1,"9":2,"1":3}]"#,
        r#"[{"a":1,"a":2}]"#,
        r#"[{"":1}]"#,
        r#"{"\u0061\"b":1,"c":2}"#,
        r#"[{"__proto__":{"a":1},"constructor":2,"toString":3}]"#,
        r#"[{"$serde_json::private::Number":"1"},{"$serde_json::private::RawValue":"1"}]"#,
        r#"{"action":"request","id":5,"key":"handshake","payload":[]}"#,
        r#"[{"cmd":"x"},"NODE_HANDLE","{\"cmd\":\"NODE_HANDLE\"}"]"#,
        r#"[{"é":1,"e\u0301":2}]"#,
    ];
    payloads(fixture, &odd).await
}

/// A deeply nested payload is forwarded unparsed.
pub async fn deep_payloads_arrive(fixture: &dyn Fixture) -> Result<(), Failure> {
    let arrays = format!("{}{}", "[".repeat(1000), "]".repeat(1000));
    let objects = format!("{}1{}", r#"{"a":"#.repeat(1000), "}".repeat(1000));
    payloads(fixture, &[&arrays, &objects]).await
}

/// A payload formatted over several lines arrives as the same value in one message.
pub async fn whitespace_does_not_split_a_message(fixture: &dyn Fixture) -> Result<(), Failure> {
    let (mut engine, mut plugin, _harness) = pair(fixture).await?;
    for odd in ["[\n  1,\r\n\t\"a b\\n\"\n]", " [ ] ", "{\r\"a\"\n:\n1\r\n}", "\n\n[1]\n\n"] {
        engine.queue(with_json(odd.as_bytes().to_vec())?).await?;
        engine.send(numbered(2)).await?;
        let received = plugin.next().await?;
        let read = |payload: Option<Payload>| payload.and_then(|payload| payload.read::<serde_json::Value>().ok());
        same("the payload's value", &read(received.payload), &read(with_json(odd.as_bytes().to_vec())?.payload))
            .hint("frames that are split at whitespace, for example at line breaks")?;
        same("the next message", &plugin.next().await?.id, &Some(2.into()))
            .hint("frames that are split at line breaks")?;
    }
    Ok(())
}

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
