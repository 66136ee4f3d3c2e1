//! Encodes messages as frames. No I/O.

use bytes::Bytes;
use connector_core::{Message, PayloadError};
use tokio_tungstenite::tungstenite as ws;
use ws::protocol::frame::Frame;
use ws::protocol::frame::coding::{Data, OpCode};

// PERF: docs/performance.md, "Codecs and queues": -17 % instructions for a small message.
/// Frames up to this size are copied out of the scratch buffer, so that it can be reused.
const SMALL: usize = 16 * 1024;

/// Encodes a message as a text frame, by way of `scratch`.
///
/// Builds a `Frame` because `ws::Message::Text` would validate the UTF-8 of the JSON again.
///
/// # Errors
/// The payload cannot be serialized, or the message is larger than `limit` bytes.
pub(crate) fn encode(message: &Message, limit: usize, scratch: &mut Vec<u8>) -> Result<ws::Message, PayloadError> {
    scratch.clear();
    let written = message.encode_into(scratch);
    let length = scratch.len();
    if written.is_err() || length > limit {
        *scratch = Vec::new();
        written?;
        let setting = "WsConfig::max_sent_message here and WsConfig::max_message at the other end";
        return Err(PayloadError::TooLarge { bytes: length, limit, setting });
    }
    let json = if length <= SMALL { Bytes::copy_from_slice(scratch) } else { std::mem::take(scratch).into() };
    // PERF: docs/performance.md, "Codecs and queues": a `Frame` is not validated, -13 to -18 % instructions.
    Ok(ws::Message::Frame(Frame::message(json, OpCode::Data(Data::Text), true)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use connector_core::{Action, Payload};

    #[test]
    fn a_message_survives_a_round_trip() {
        let mut message = Message::new(Action::Emit);
        message.payload = Some(Payload::new(("grüße \u{1f980}", 7)));
        let ws::Message::Frame(frame) = encode(&message, 1024, &mut vec![]).unwrap() else { panic!("a frame") };
        let text = frame.into_text().unwrap();
        let back = Message::decode(text.into()).unwrap();
        assert_eq!(back.action, Action::Emit);
        assert_eq!(back.payload.unwrap().read::<(String, i64)>().unwrap(), ("grüße \u{1f980}".to_owned(), 7));
    }

    #[test]
    fn a_message_over_the_limit_is_not_encoded() {
        let mut message = Message::new(Action::Emit);
        message.payload = Some(Payload::new("x".repeat(100)));
        let error = encode(&message, 100, &mut vec![]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "a message of 130 bytes exceeds the limit of 100: send less at once, or raise WsConfig::max_sent_message here \
             and WsConfig::max_message at the other end"
        );
    }
}
