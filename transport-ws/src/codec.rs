//! Frames ⇄ messages; no I/O.

use bytes::Bytes;
use connector_core::{DecodeError, Message, PayloadError};
use tokio_tungstenite::tungstenite as ws;
use ws::protocol::frame::Frame;
use ws::protocol::frame::coding::{Data, OpCode};

/// The text frame of a message.
///
/// Made as a frame and not as a `ws::Message::Text`, which would check once more that JSON is UTF-8.
///
/// # Errors
/// The payload cannot be serialized, or the message is larger than `limit` bytes.
pub(crate) fn encode(message: &Message, limit: usize) -> Result<ws::Message, PayloadError> {
    let json = message.encode()?;
    if json.len() > limit {
        let text = format!("a message of {} bytes is over the limit of {limit} (WsConfig::max_send)", json.len());
        return Err(PayloadError::NotSerializable(text));
    }
    Ok(ws::Message::Frame(Frame::message(json, OpCode::Data(Data::Text), true)))
}

/// The message of a text frame.
///
/// `small` bytes and fewer are copied: a frame is a slice of the read buffer, so whoever kept a short payload (an event
/// that is remembered, say) would keep all of the buffer, which may have held a message of many megabytes.
pub(crate) fn decode(text: Bytes, small: usize) -> Result<Message, DecodeError> {
    Message::decode(if text.len() <= small { Bytes::copy_from_slice(&text) } else { text })
}

#[cfg(test)]
mod tests {
    use super::*;
    use connector_core::{Action, Payload};

    #[test]
    fn there_and_back() {
        let mut message = Message::new(Action::Emit);
        message.payload = Some(Payload::new(("grüße \u{1f980}", 7)));
        let ws::Message::Frame(frame) = encode(&message, 1024).unwrap() else { panic!("a frame") };
        let text = frame.into_text().unwrap();
        let back = decode(text.into(), 0).unwrap();
        assert_eq!(back.action, Action::Emit);
        assert_eq!(back.payload.unwrap().read::<(String, i64)>().unwrap(), ("grüße \u{1f980}".to_owned(), 7));
    }

    #[test]
    fn too_large_is_refused_before_it_is_sent() {
        let mut message = Message::new(Action::Emit);
        message.payload = Some(Payload::new("x".repeat(100)));
        let error = encode(&message, 100).unwrap_err();
        assert!(error.to_string().contains("over the limit of 100"), "{error}");
    }

    #[test]
    fn short_frames_do_not_hold_the_read_buffer() {
        let buffer = Bytes::from(br#"{"action":"emit","payload":[1]}        "#.to_vec());
        let whole = buffer.as_ptr_range();
        let payload = |small| decode(buffer.slice(..31), small).unwrap().payload.unwrap().to_json().unwrap();
        assert!(!whole.contains(&payload(31).as_ptr()), "copied");
        assert!(whole.contains(&payload(30).as_ptr()), "shared");
    }
}
