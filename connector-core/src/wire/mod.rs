//! What crosses a link: messages, and what they are made of.

mod error;
mod id;
pub(crate) mod json;
mod message;
mod payload;

pub use self::error::{DecodeError, PayloadError};
pub use self::id::Id;
pub(crate) use self::id::display_json;
pub(crate) use self::message::is_falsy_in_javascript;
pub use self::message::{Action, ErrorKind, Extensions, Message, Name, RequestInfo};
pub use self::payload::Payload;
