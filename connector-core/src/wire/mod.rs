//! What crosses a link: messages, and what they are made of.

mod action;
mod call_chain;
mod echo;
mod error;
mod extension_names;
mod id;
mod inherited;
mod javascript;
pub(crate) mod json;
mod message;
mod message_json;
mod payload;
mod request_info;
mod trace_context;

pub use self::action::{Action, ErrorKind};
pub use self::call_chain::CallChain;
pub use self::error::{DecodeError, PayloadError};
pub use self::extension_names::Extensions;
pub use self::id::Id;
pub(crate) use self::id::display_json;
pub use self::inherited::Inherited;
pub(crate) use self::javascript::is_falsy_in_javascript;
pub(crate) use self::json::{Exceeds, JsonLimits};
pub use self::message::{Message, Name};
pub use self::payload::Payload;
pub use self::request_info::RequestInfo;
pub use self::trace_context::TraceContext;
