//! Errors of payloads and frames.

use thiserror::Error;

use super::Message;
use crate::excerpt::cut;

/// An invalid or unexpected payload.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum PayloadError {
    /// The text is not one JSON value.
    #[error("not JSON: {0}")]
    NotJson(String),
    /// The value cannot be written as JSON.
    #[error("not serializable: {0}")]
    NotSerializable(String),
    /// The message exceeds the limit of the transport that would send it. The link is unaffected.
    #[error("a message of {bytes} bytes exceeds the limit of {limit}: send less at once, or raise {setting}")]
    TooLarge {
        /// The message's size.
        bytes: usize,
        /// The limit.
        limit: usize,
        /// The transport's setting, and the one that the other end needs as well.
        setting: &'static str,
    },
    /// The JSON does not match the requested type.
    #[error("{0}")]
    Unexpected(String),
}

impl PayloadError {
    pub(crate) fn not_json(error: serde_json::Error) -> Self {
        PayloadError::NotJson(cut(error.to_string()).into_owned())
    }

    pub(crate) fn not_serializable(error: serde_json::Error) -> Self {
        PayloadError::NotSerializable(error.to_string())
    }

    pub(crate) fn unexpected(error: serde_json::Error) -> Self {
        PayloadError::Unexpected(cut(error.to_string()).into_owned())
    }
}

/// A frame that is not a message. Its sender broke the protocol; the link itself is unharmed.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The frame is not JSON.
    #[error("the frame is not JSON: {0}")]
    NotJson(String),
    /// The frame is JSON, but not a message (docs/protocol.md, section 2).
    #[error("the frame is not a message: {0}")]
    NotAMessage(String),
    /// The frame is of a kind the transport does not carry messages in, for example binary.
    #[error("{0} carry no messages here")]
    WrongFrame(&'static str),
    /// The frame is not a message, but a peer or a caller may be waiting for it: its action and id are readable. The
    /// core answers a request with the error, and ends the call that a response belongs to.
    #[error("{why}")]
    Partial {
        /// The readable part: a request or a response, its id, and its name and key if they are readable. An unknown
        /// action is reported as a request.
        head: Box<Message>,
        /// Why it is not a message.
        why: Box<DecodeError>,
    },
}

impl DecodeError {
    pub(crate) fn not_utf8() -> Self {
        DecodeError::NotJson("not UTF-8".to_owned())
    }

    pub(crate) fn of(error: serde_json::Error) -> Self {
        let text = cut(error.to_string()).into_owned();
        match error.classify() {
            serde_json::error::Category::Data => DecodeError::NotAMessage(text),
            _ => DecodeError::NotJson(text),
        }
    }
}
