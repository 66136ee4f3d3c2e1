//! A request to a service: a call in the engine, and its answer.

use std::sync::Arc;
use std::time::Duration;

use async_nats::service::Request;
use async_nats::service::error::Error;
use bytes::Bytes;
use connector_core::{CallError, Excerpt, Payload, PayloadError, PluginClient, Refusal};

/// Longest text of an error, in characters. It is sent in a header.
pub(super) const MAX_TEXT: usize = 500;

/// Who is called, by whom, and within which limits.
pub(super) struct Calls {
    pub(super) caller: PluginClient,
    pub(super) plugin: String,
    pub(super) max_message: usize,
    pub(super) limit: Duration,
}

pub(super) fn error(code: usize, text: impl std::fmt::Display) -> Error {
    // A line break would be the header's end.
    Error { status: Excerpt::up_to(MAX_TEXT, text).to_string(), code }
}

/// Answers the request. Cancel safe: the call is cancelled.
pub(super) async fn answer(calls: Arc<Calls>, method: Arc<str>, request: Request, max_payload: usize) {
    let answer = calls.answer_to(&method, &request.message.payload, max_payload).await;
    // Nobody waits for the answer, or the connection is lost.
    let _ = request.respond(answer).await;
}

impl Calls {
    async fn answer_to(&self, method: &str, payload: &Bytes, max_payload: usize) -> Result<Bytes, Error> {
        let arguments = self.arguments(payload)?;
        let called = self.caller.call_within::<Payload>(self.limit, &self.plugin, method, arguments).await;
        let result = called.and_then(|result| result.to_json().map_err(CallError::Arguments));
        let result = result.map_err(|failed| error(code(&failed), failed))?;
        match (result.len(), self.max_message.min(max_payload)) {
            (length, max) if length > max => {
                Err(error(500, format_args!("the result has {length} bytes, and may have {max}")))
            }
            _ => Ok(result),
        }
    }

    fn arguments(&self, payload: &Bytes) -> Result<Payload, Error> {
        let (length, max) = (payload.len(), self.max_message);
        if length > max {
            return Err(error(413, format_args!("the request has {length} bytes, and may have {max}")));
        }
        let text = payload.trim_ascii();
        if text.is_empty() {
            return Ok(Payload::no_args());
        }
        let array = || match text.first() {
            Some(b'[') => Payload::from_json(payload.clone()),
            _ => Err(PayloadError::NotJson("not an array".to_owned())),
        };
        array().map_err(|bad| error(400, format_args!("a request is a JSON array of the arguments, or empty: {bad}")))
    }
}

/// As of HTTP.
fn code(failed: &CallError) -> usize {
    match failed {
        _ if failed.is_bad_arguments() => 400,
        CallError::Refused(refusal) => match **refusal {
            Refusal::TooComplex { .. } => 400,
            Refusal::Denied { .. } => 403,
            Refusal::NotRegistered { .. } | Refusal::NotExposed { .. } => 404,
            _ => 503,
        },
        CallError::LinkLost(_) => 502,
        CallError::TimedOut(_) => 504,
        _ => 500,
    }
}
