//! Frames that the hub receives. They are parsed before any lock is taken.

use connector_core::stp::{BadService, Envelope, Frame, FrameError, REGISTER, Response, StpService, StpTimeout};
use serde_json::value::RawValue;

/// The method that lists a hub's registrations. Services cannot solve methods that begin with [`RESERVED`].
pub(super) const LIST: &str = "$hub.list";
/// The prefix of methods reserved for the hub.
pub(super) const RESERVED: &str = "$hub.";

#[derive(Debug)]
pub(super) enum Incoming<'a> {
    /// The older form is an inform. It has no cookie and gets no response.
    Register {
        service: Result<StpService, BadService>,
        cookie: Option<i64>,
    },
    List {
        cookie: i64,
    },
    Inform {
        method: String,
    },
    Request {
        cookie: i64,
        method: String,
        raw: &'a RawValue,
        timeout: StpTimeout,
    },
    Response(Response<'a>),
    /// A request that cannot be parsed.
    BadRequest {
        cookie: i64,
        error: FrameError,
    },
    Invalid(FrameError),
}

impl<'a> Incoming<'a> {
    pub(super) fn parse(text: &'a str) -> Incoming<'a> {
        match Frame::parse(text) {
            Ok(Frame::Inform(Envelope { method, params })) => match &*method {
                REGISTER => Incoming::Register { service: StpService::from_params(params), cookie: None },
                _ => Incoming::Inform { method: method.into_owned() },
            },
            Ok(Frame::Request { cookie, message, raw, timeout }) => match Envelope::parse(&message) {
                Ok(Envelope { method, params }) => match &*method {
                    REGISTER => Incoming::Register { service: StpService::from_params(params), cookie: Some(cookie) },
                    LIST => Incoming::List { cookie },
                    _ => Incoming::Request { cookie, method: method.into_owned(), raw, timeout },
                },
                Err(error) => Incoming::BadRequest { cookie, error },
            },
            Ok(Frame::Response(response)) => Incoming::Response(response),
            Err(error @ FrameError::BadRequest { cookie: Some(cookie), .. }) => Incoming::BadRequest { cookie, error },
            Err(error) => Incoming::Invalid(error),
            // The enum is non-exhaustive; unknown frames are dropped.
            Ok(_) => Incoming::Invalid(FrameError::NoMethod),
        }
    }
}
