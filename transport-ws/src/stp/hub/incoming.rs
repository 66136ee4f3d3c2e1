//! What a service's frame asks of the hub, read before any lock is taken.

use connector_core::stp::{BadService, Envelope, Frame, FrameError, REGISTER, StpService, StpTimeout};
use serde_json::value::RawValue;

/// Asks a hub what is registered. No service can solve what begins with [`OWN`].
pub(super) const LIST: &str = "$hub.list";
/// What the hub keeps for itself.
pub(super) const OWN: &str = "$hub.";

#[derive(Debug)]
pub(super) enum Incoming<'a> {
    /// The older form, an inform, has no cookie and gets no answer.
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
    Response {
        cookie: i64,
        success: bool,
        result: Option<&'a RawValue>,
    },
    /// A request that cannot be read.
    Unreadable {
        cookie: i64,
        error: FrameError,
    },
    Nonsense(FrameError),
}

impl<'a> Incoming<'a> {
    pub(super) fn read(text: &'a str) -> Incoming<'a> {
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
                Err(error) => Incoming::Unreadable { cookie, error },
            },
            Ok(Frame::Response { cookie, success, result }) => Incoming::Response { cookie, success, result },
            Err(error @ FrameError::BadRequest { cookie: Some(cookie), .. }) => Incoming::Unreadable { cookie, error },
            Err(error) => Incoming::Nonsense(error),
            // The enum may grow; what is not known is nobody's.
            Ok(_) => Incoming::Nonsense(FrameError::NoMethod),
        }
    }
}
