//! Messages arrive unchanged: their fields, and payloads to the byte if they are text.

use bytes::Bytes;

use crate::failure::{Failure, Hint, check, same, shown};
use crate::fixture::Fixture;
use crate::harness::{both, numbered, pair, text};
use connector_core::{Action, ErrorKind, Extensions, Message, Name, Payload, RequestInfo};

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
