//! Encodes and decodes socket.io packets. No I/O.
//!
//! A packet consists of a digit, the number of binary attachments and a dash if there are any, the namespace and a comma
//! unless it is `/`, an acknowledgement id if one is requested, and JSON (socket.io protocol, revision 5).

use bytes::Bytes;
#[cfg(feature = "plugin")]
use connector_core::Excerpt;
use connector_core::{DecodeError, Message, PayloadError};

/// The event that carries messages (docs/protocol.md, section 7.5).
pub(crate) const EVENT: &str = "message";

/// The argument of an event `["message",argument]`, as the received bytes.
///
/// # Errors
/// The event has another name or no argument, or it is not an array that begins with a name.
pub(crate) fn argument(event: &Bytes) -> Result<Bytes, DecodeError> {
    let wrong = || DecodeError::NotAMessage("an event must have a name and one argument".to_owned());
    let text = event.trim_ascii();
    let inside = text.strip_prefix(b"[").and_then(|text| text.strip_suffix(b"]")).ok_or_else(wrong)?.trim_ascii();
    let (name, rest) = inside.split_at(string_length(inside).ok_or_else(wrong)?);
    if !is_message_event(name) {
        return Err(DecodeError::NotAMessage("an event with an unknown name".to_owned()));
    }
    let argument = rest.trim_ascii_start().strip_prefix(b",").ok_or_else(wrong)?.trim_ascii();
    Ok(event.slice_ref(argument))
}

/// Decodes the message in an event. A second argument is an error.
pub(crate) fn decode(event: &Bytes) -> Result<Message, DecodeError> {
    Message::decode(argument(event)?)
}

fn is_message_event(name: &[u8]) -> bool {
    serde_json::from_slice::<std::borrow::Cow<'_, str>>(name).is_ok_and(|name| name == EVENT)
}

/// The length of the JSON string that `text` begins with, quotes included.
fn string_length(text: &[u8]) -> Option<usize> {
    if text.first() != Some(&b'"') {
        return None;
    }
    let mut escaped = false;
    text.iter()
        .skip(1)
        .position(|byte| {
            let ends = *byte == b'"' && !escaped;
            escaped = *byte == b'\\' && !escaped;
            ends
        })
        .map(|at| at + 2)
}

/// A packet as the engine's end reads it.
#[cfg(feature = "plugin")]
#[derive(Debug)]
pub(crate) enum Packet {
    /// The namespace accepted the connection.
    Connected,
    /// The namespace rejected the connection, with this text.
    Refused(String),
    /// The server closed the namespace.
    Disconnected,
    /// An event, as JSON.
    Event(Bytes),
    /// An event followed by this many binary attachments.
    Binary(usize),
    /// A packet of another namespace, or an acknowledgement.
    Other,
}

#[cfg(feature = "plugin")]
impl Packet {
    /// Parses a packet received for `namespace`.
    ///
    /// # Errors
    /// The text is not a packet.
    pub(crate) fn parse(text: &Bytes, namespace: &str) -> Result<Packet, DecodeError> {
        let (&kind, mut rest) = text.split_first().ok_or_else(|| DecodeError::NotAMessage("empty".to_owned()))?;
        if matches!(kind, b'5' | b'6') {
            let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            let attachments = std::str::from_utf8(&rest[..digits]).ok().and_then(|digits| digits.parse().ok());
            return Ok(Packet::Binary(attachments.unwrap_or_default()));
        }
        let mut to: &[u8] = b"/";
        if rest.first() == Some(&b'/') {
            let end = rest.iter().position(|byte| *byte == b',').unwrap_or(rest.len());
            to = &rest[..end];
            rest = rest.get(end + 1..).unwrap_or_default();
        }
        if to != namespace.as_bytes() {
            return Ok(Packet::Other);
        }
        match kind {
            b'0' => Ok(Packet::Connected),
            b'1' => Ok(Packet::Disconnected),
            b'2' => {
                let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
                Ok(Packet::Event(text.slice_ref(&rest[digits..])))
            }
            b'3' => Ok(Packet::Other),
            b'4' => Ok(Packet::Refused(rejection_text(rest))),
            _ => Err(DecodeError::NotAMessage(format!("an unknown packet type {:?}", char::from(kind)))),
        }
    }

    /// Requests to join the namespace.
    pub(crate) fn connect(namespace: &str, auth: Option<&str>) -> Bytes {
        Bytes::from(format!("0{}{}", Prefix(namespace), auth.unwrap_or_default()))
    }

    /// Leaves the namespace.
    pub(crate) fn disconnect(namespace: &str) -> Bytes {
        Bytes::from(format!("1{}", Prefix(namespace)))
    }

    /// The event that carries `message`.
    ///
    /// # Errors
    /// The payload cannot be serialized, or the message is larger than `limit` bytes.
    pub(crate) fn event(namespace: &str, message: &Message, limit: usize) -> Result<Bytes, PayloadError> {
        let mut text = format!("2{}[\"{EVENT}\",", Prefix(namespace)).into_bytes();
        let before = text.len();
        message.encode_into(&mut text)?;
        check_size(text.len() - before, limit)?;
        text.push(b']');
        Ok(text.into())
    }
}

/// The text of a CONNECT_ERROR: the beginning of its `message`, or of the raw data.
#[cfg(feature = "plugin")]
fn rejection_text(data: &[u8]) -> String {
    let value: serde_json::Value = serde_json::from_slice(data).unwrap_or_default();
    let text = match value.get("message").and_then(serde_json::Value::as_str) {
        Some(text) => text.into(),
        None => String::from_utf8_lossy(data),
    };
    Excerpt::up_to(MAX_REJECTION, text).to_string()
}

/// The number of characters of a rejection that an error quotes.
#[cfg(feature = "plugin")]
const MAX_REJECTION: usize = 1024;

/// A packet's namespace prefix, empty for `/`.
#[cfg(feature = "plugin")]
struct Prefix<'a>(&'a str);

#[cfg(feature = "plugin")]
impl std::fmt::Display for Prefix<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            "/" => Ok(()),
            namespace => write!(f, "{namespace},"),
        }
    }
}

/// # Errors
/// `bytes` exceeds `limit`.
pub(crate) fn check_size(bytes: usize, limit: usize) -> Result<(), PayloadError> {
    if bytes > limit {
        let setting = "max_message at both ends (SocketIoServerConfig, SocketIoConnectorConfig)";
        return Err(PayloadError::TooLarge { bytes, limit, setting });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arg(text: &str) -> Option<String> {
        let event = Bytes::copy_from_slice(text.as_bytes());
        argument(&event).ok().map(|arg| String::from_utf8(arg.to_vec()).unwrap())
    }

    #[test]
    fn an_event_has_one_argument() {
        assert_eq!(arg(r#"["message",{"a":1}]"#).unwrap(), r#"{"a":1}"#);
        assert_eq!(arg(" [ \"mess\\u0061ge\" , {\"a\\u0062\":[1]} ] ").unwrap(), "{\"a\\u0062\":[1]}");
        for none in [
            "[\"a\\\\\",1]",
            "[\"mess\\\"age\",1]",
            "",
            "[",
            "[]",
            "[\"message\"]",
            "[1,2]",
            "{}",
            "[\"message\" {}]",
            "[\"mess",
        ] {
            assert!(arg(none).is_none(), "{none}");
        }
    }

    #[test]
    fn a_second_argument_is_an_error() {
        let event = Bytes::from_static(br#"["message",{"action":"emit"},{}]"#);
        assert!(decode(&event).is_err());
    }

    #[cfg(feature = "plugin")]
    #[test]
    fn packets_are_parsed_by_kind_and_namespace() {
        let read = |text: &'static str, namespace| Packet::parse(&Bytes::from_static(text.as_bytes()), namespace);
        assert!(matches!(read(r#"0{"sid":"x"}"#, "/").unwrap(), Packet::Connected));
        assert!(matches!(read("0/a,{}", "/a").unwrap(), Packet::Connected));
        assert!(matches!(read("0/a", "/a").unwrap(), Packet::Connected));
        assert!(matches!(read("0/a,{}", "/").unwrap(), Packet::Other));
        assert!(matches!(read("1", "/").unwrap(), Packet::Disconnected));
        let Packet::Event(event) = read(r#"2/a,17["message",1]"#, "/a").unwrap() else { panic!() };
        assert_eq!(event, r#"["message",1]"#);
        let Packet::Refused(text) = read(r#"4{"message":"no"}"#, "/").unwrap() else { panic!() };
        assert_eq!(text, "no");
        let Packet::Refused(text) = read(r#"4"no""#, "/").unwrap() else { panic!() };
        assert_eq!(text, r#""no""#);
        assert!(matches!(read("512-[\"message\"]", "/").unwrap(), Packet::Binary(12)));
        assert!(read("", "/").is_err());
        assert!(read("9", "/").is_err());
        assert_eq!(Packet::connect("/", None), "0");
        assert_eq!(Packet::connect("/a", Some("{}")), "0/a,{}");
        assert_eq!(Packet::disconnect("/a"), "1/a,");
    }

    #[cfg(feature = "plugin")]
    #[test]
    fn an_event_survives_a_round_trip() {
        let mut message = Message::new(connector_core::Action::Emit);
        message.payload = Some(connector_core::Payload::new(("ü", 7)));
        let text = Packet::event("/a", &message, 1000).unwrap();
        let Packet::Event(event) = Packet::parse(&text, "/a").unwrap() else { panic!() };
        let back = decode(&event).unwrap().payload.unwrap().read::<(String, i64)>().unwrap();
        assert_eq!(back, ("ü".to_owned(), 7));
        assert!(Packet::event("/", &message, 10).unwrap_err().to_string().contains("exceeds the limit of 10"));
    }
}
