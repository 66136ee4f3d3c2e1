//! What is in a message arrives as it was: fields, and payloads to the byte where they are text.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::{Serialize, Serializer};

use crate::contract::{BAD_FRAMES, MEMORY, PANICS, SIZE};
use crate::failure::{Failure, Hint, check, same, shown};
use crate::fixture::Fixture;
use crate::harness::{Lab, both, filled, numbered, pair, pair_from, text};
use crate::runtime;
use connector_core::{Action, ErrorKind, Extensions, LinkEnd, Message, Name, Payload, RequestInfo};

const BYTES: &str =
    "how frames are written and read: a payload is passed on as it is (Message::encode and Message::decode)";

/// Sends each from the engine and back from the plugin, and compares.
async fn there_and_back(fixture: &dyn Fixture, messages: Vec<Message>) -> Result<(), Failure> {
    let (mut engine, mut plugin, _lab) = pair(fixture).await?;
    for message in messages {
        let expected = text(&message);
        let there = both(engine.send(message.clone()), plugin.next()).await?.1;
        same("the message at the plugin", &text(&there), &expected).look_at(BYTES)?;
        let back = both(plugin.send(message), engine.next()).await?.1;
        same("the message at the engine", &text(&back), &expected).look_at(BYTES)?;
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

/// Every field arrives, and what is absent stays absent; every action keeps its meaning.
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

/// Who calls, and by which path, arrives with the request.
pub async fn request_info_arrives(fixture: &dyn Fixture) -> Result<(), Failure> {
    let info = |path: Option<&str>, is_from_native| RequestInfo {
        from: "localé".into(),
        path: path.map(Name::from),
        is_from_native,
    };
    let all =
        [info(None, None), info(Some("probe.tools.git"), None), info(Some(""), Some(true)), info(None, Some(false))];
    let messages = all.into_iter().map(|info| Message { request_info: Some(Box::new(info)), ..numbered(3) });
    there_and_back(fixture, messages.collect()).await
}

/// Ids arrive as they are: zero, negative ones, and the largest.
pub async fn ids_arrive_whatever_they_are(fixture: &dyn Fixture) -> Result<(), Failure> {
    let ids = [0, 1, -1, -2, 1 << 31, 1 << 53, (1 << 53) + 1, i64::MAX, i64::MIN];
    there_and_back(fixture, ids.into_iter().map(numbered).collect()).await
}

/// A payload that is null is not a payload that is missing, nor an empty one.
pub async fn null_is_not_missing(fixture: &dyn Fixture) -> Result<(), Failure> {
    let (mut engine, mut plugin, _lab) = pair(fixture).await?;
    let null = Message { payload: Some(Payload::null()), ..numbered(1) };
    engine.send(null).await?;
    let came = plugin.next().await?;
    let is_null = came.payload.as_ref().is_some_and(|payload| payload.to_json().is_ok_and(|json| &json[..] == b"null"));
    check(is_null, || Failure::new("the payload null", shown(&came.payload))).look_at(BYTES)?;
    engine.send(numbered(2)).await?;
    let came = plugin.next().await?;
    check(came.payload.is_none(), || Failure::new("no payload", shown(&came.payload))).look_at(BYTES)?;
    payloads(fixture, &["[]", "{}", "\"\"", "[null]", "[[]]", "false", "0", "\"null\""]).await
}

/// Text of every script arrives, with the characters that some take for a line's end.
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

/// Escapes arrive as they were written: lone surrogates, NUL, quotes, and those that need not be.
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

/// Numbers arrive as they were written: too large, too exact, or written in another way than usual.
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

/// Objects arrive as they were written: the order of their keys, keys that are doubled, empty, escaped or special.
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

/// A payload that nests deeply passes unread.
pub async fn deep_payloads_arrive(fixture: &dyn Fixture) -> Result<(), Failure> {
    let arrays = format!("{}{}", "[".repeat(1000), "]".repeat(1000));
    let objects = format!("{}1{}", r#"{"a":"#.repeat(1000), "}".repeat(1000));
    payloads(fixture, &[&arrays, &objects]).await
}

/// A payload that was written over several lines arrives as the same value in one message.
pub async fn white_space_breaks_nothing(fixture: &dyn Fixture) -> Result<(), Failure> {
    let (mut engine, mut plugin, _lab) = pair(fixture).await?;
    for odd in ["[\n  1,\r\n\t\"a b\\n\"\n]", " [ ] ", "{\r\"a\"\n:\n1\r\n}", "\n\n[1]\n\n"] {
        engine.put(with_json(odd.as_bytes().to_vec())?).await?;
        engine.send(numbered(2)).await?;
        let came = plugin.next().await?;
        let read = |payload: Option<Payload>| payload.and_then(|payload| payload.read::<serde_json::Value>().ok());
        same("the payload's value", &read(came.payload), &read(with_json(odd.as_bytes().to_vec())?.payload))
            .look_at("frames that are split at white space, for example at a line's end")?;
        same("the next message", &plugin.next().await?.id, &Some(2.into()))
            .look_at("frames that are split at a line's end")?;
    }
    Ok(())
}

/// Messages of every size up to the largest that is promised arrive whole.
pub async fn messages_of_every_size_arrive(fixture: &dyn Fixture) -> Result<(), Failure> {
    let largest = fixture.capabilities().largest;
    let frame = text(&filled(1, 0)).len();
    let edges = (7..=20).map(|bits| 1 << bits).chain([126, 65_534]);
    let sizes = edges.flat_map(|edge| [edge - 1, edge, edge + 1]).filter(|size| *size > frame && *size < largest);
    let (mut engine, mut plugin, _lab) = pair(fixture).await?;
    for size in sizes.chain([largest]) {
        let message = filled(1, size - frame);
        let expected = text(&message);
        let there = both(engine.send(message.clone()), plugin.next()).await?.1;
        check(text(&there) == expected, || {
            Failure::new(format_args!("a message of {size} bytes at the plugin"), shown(&text(&there)))
        })
        .look_at("limits on frames, and buffers that are cut")?;
        let back = both(plugin.send(message), engine.next()).await?.1;
        check(text(&back) == expected, || {
            Failure::new(format_args!("a message of {size} bytes at the engine"), shown(&text(&back)))
        })
        .look_at("limits on frames, and buffers that are cut")?;
    }
    Ok(())
}

/// A message that is larger than any that is promised is refused to its sender, arrives whole, or ends the link; it does
/// not vanish.
pub async fn a_message_that_is_too_large_is_not_dropped_silently(fixture: &dyn Fixture) -> Result<(), Failure> {
    const HINT: &str = "send, and what is made of a message over the limit of either end";
    let largest = fixture.capabilities().largest;
    for from_engine in [true, false] {
        let (mut sender, mut receiver, _lab) = pair_from(fixture, from_engine).await?;
        let message = filled(1, largest + largest / 8);
        let send = async {
            let taken = sender.offer(message.clone()).await?;
            // The link may end for it.
            if sender.try_put(numbered(2)).await?.is_ok() {
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
                    LinkEnd::Closed { .. } => Err(Failure::new("an end that says what was wrong", shown(&end))),
                    _ => Ok((None, None)),
                },
            }
        };
        let (taken, came) = both(send, receive).await.look_at(HINT).rule(SIZE)?;
        match (taken, came) {
            (false, (None, Some(next))) => same("the message after", &next.id, &Some(2.into())).rule(SIZE)?,
            (true, (Some(whole), Some(next))) => {
                check(text(&whole) == text(&message) && next.id == Some(2.into()), || {
                    Failure::new("the whole message, and the next", shown(&text(&whole)))
                })
                .look_at(HINT)
                .rule(SIZE)?;
            }
            (true, (None, None)) => {}
            (taken, (came, next)) => {
                let came = (taken, came.map(|message| text(&message).len()), next.map(|message| message.id));
                let failure = Failure::new(
                    "a message over the limit to be refused, or to arrive",
                    format_args!("(taken, its length at the other end, the next message): {came:?}"),
                );
                return Err(failure.look_at(HINT).rule(SIZE));
            }
        }
    }
    Ok(())
}

/// Counts those of its kind that have not been dropped.
struct Counted(#[expect(dead_code, reason = "it is counted by being held")] Arc<()>);

impl Serialize for Counted {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("counted")
    }
}

/// A link keeps nothing of messages that have been sent and received.
pub async fn what_was_sent_is_let_go(fixture: &dyn Fixture) -> Result<(), Failure> {
    for from_engine in [true, false] {
        let (mut sender, mut receiver, _lab) = pair_from(fixture, from_engine).await?;
        let count = Arc::new(());
        for number in 0..200 {
            let message = Message { payload: Some(Payload::new(Counted(count.clone()))), ..numbered(number) };
            sender.send(message).await?;
            same("the message", &receiver.next().await?.id, &Some(number.into()))?;
        }
        // What was last may be kept until the next takes its place.
        for number in 0..20 {
            sender.send(numbered(number)).await?;
            receiver.next().await?;
        }
        same("how many of 200 messages are still held", &(Arc::strong_count(&count) - 1), &0)
            .look_at("queues and lists that only grow")
            .rule(MEMORY)?;
    }
    Ok(())
}

/// A message that cannot be serialized is refused to its sender, and harms neither the link nor what comes after it.
pub async fn what_cannot_be_sent_harms_nothing(fixture: &dyn Fixture) -> Result<(), Failure> {
    for from_engine in [true, false] {
        let (mut sender, mut receiver, _lab) = pair_from(fixture, from_engine).await?;
        sender.put(numbered(1)).await?;
        let bad = std::collections::HashMap::from([((1, 2), 3)]);
        let refused = sender.is_refused(Message { payload: Some(Payload::new(bad)), ..numbered(2) }).await?;
        check(refused, || Failure::new("SendError::Payload", "another outcome"))
            .look_at("send: it encodes before it takes")?;
        sender.send(numbered(3)).await?;
        for number in [1, 3] {
            same("the next message", &receiver.next().await?.id, &Some(number.into()))
                .look_at("send: nothing of a message that could not be encoded may be left")?;
        }
    }
    Ok(())
}

/// The old names of actions are read as the new ones.
pub async fn old_names_are_read(fixture: &dyn Fixture) -> Result<(), Failure> {
    let mut lab = Lab::open(fixture).await?;
    let (_engine, mut plugin) = lab.link().await?;
    for (old, action) in [
        ("call", Action::Request),
        ("listen", Action::On),
        ("emit", Action::Emit),
        ("notification", Action::Notification),
        ("on", Action::On),
        ("request", Action::Request),
    ] {
        lab.control.inject(&format!(r#"{{"name":"a","action":"{old}","later":[1],"id":4,"payload":[2]}}"#));
        let came = plugin.next().await?;
        same("the action", &came.action, &action).look_at("Message::decode, which reads all names")?;
        same("the id", &came.id, &Some(4.into())).look_at("Message::decode")?;
    }
    Ok(())
}

/// A frame that is no message is handed out as an error in its place, and the link lives on.
pub async fn bad_frames_come_in_their_place(fixture: &dyn Fixture) -> Result<(), Failure> {
    let mut lab = Lab::open(fixture).await?;
    let (mut engine, mut plugin) = lab.link().await?;
    for bad in ["hello", "5", "{}", r#"{"action":"jump"}"#, r#"{"action":5,"id":"x"}"#, r#"{"action":"#, "[[[["] {
        engine.send(numbered(1)).await?;
        same("the message before", &plugin.next().await?.id, &Some(1.into()))?;
        lab.control.inject(bad);
        match plugin.inbound().await? {
            Ok(Err(_)) => {}
            other => {
                return Err(Failure::new(format_args!("the frame {bad} as an error"), shown(&other))
                    .look_at("poll_message: a frame that is none is Ok(Err(_)), not the end and not dropped")
                    .rule(BAD_FRAMES));
            }
        }
        engine.send(numbered(2)).await?;
        same("the message after", &plugin.next().await?.id, &Some(2.into()))
            .look_at("bad frames do not end the link")?;
    }
    plugin.send(numbered(3)).await?;
    same("the other way", &engine.next().await?.id, &Some(3.into()))
}

/// Whatever comes in, the link does not panic, and the other end still learns how it went on.
pub async fn nothing_that_comes_in_panics(fixture: &dyn Fixture) -> Result<(), Failure> {
    let deep = "[".repeat(100_000);
    let odd = ["\u{0}", "\u{feff}{}", "null", "\"", "{\"action\":\"request\",\"payload\":", &deep, "{\"id\":1e999}"];
    for frame in odd {
        let mut lab = Lab::open(fixture).await?;
        let (_engine, mut plugin) = lab.link().await?;
        lab.control.inject(frame);
        // A panic fails the case by itself; an error and an end are both fine.
        drop(plugin.inbound().await.rule(PANICS)?);
    }
    Ok(())
}

/// No bytes make the link panic or hang, and it still ends when the engine goes.
pub async fn no_bytes_that_come_in_panic(fixture: &dyn Fixture) -> Result<(), Failure> {
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
        let mut lab = Lab::open(fixture).await?;
        let (mut engine, mut plugin) = lab.link().await?;
        engine.send(numbered(1)).await?;
        same("the message before", &plugin.next().await?.id, &Some(1.into()))?;
        lab.control.inject_raw(bytes);
        runtime::sleep(Duration::from_millis(5)).await;
        drop(engine);
        // A panic fails the case by itself. Errors are fine, as many as there are, and so is any end.
        plugin.rest().await.look_at("how bytes are read that are no frame").rule(PANICS)?;
    }
    Ok(())
}
