//! Envelopes: parsing and writing of text frames (docs/protocol.md, section 8.1). Pure.

use std::borrow::Cow;
use std::fmt::Write;

use serde::Deserialize;
use serde_json::value::RawValue;
use thiserror::Error;

use super::timeout::StpTimeout;

const REQUEST: &str = "Request";
const RESPONSE: &str = "RequestResponse";

/// An object `{method, params}`, the form of every frame and of every API message. The params are not parsed.
#[derive(Debug, Deserialize)]
pub struct Envelope<'a> {
    /// The method, as listed in solvables.
    #[serde(borrow)]
    pub method: Cow<'a, str>,
    /// The params, unparsed; `None` if absent or `null`.
    #[serde(borrow, default)]
    pub params: Option<&'a RawValue>,
}

impl<'a> Envelope<'a> {
    /// Parses the envelope of a text.
    ///
    /// # Errors
    /// The text is not JSON, or not an object with a string `method`.
    pub fn parse(text: &'a str) -> Result<Envelope<'a>, FrameError> {
        serde_json::from_str(text).map_err(|error| match error.is_data() {
            true => FrameError::NoMethod,
            false => FrameError::NotJson(error.to_string()),
        })
    }
}

/// A parsed text frame. Borrows from the text.
#[derive(Debug)]
#[non_exhaustive]
pub enum Frame<'a> {
    /// A request by the peer.
    Request {
        /// Pairs the response with the request; valid on one connection only.
        cookie: i64,
        /// The API message.
        message: Cow<'a, str>,
        /// The API message as it appears in the frame: a JSON string with its escapes.
        raw: &'a RawValue,
        /// How long the requester waits.
        timeout: StpTimeout,
    },
    /// A response by the peer.
    Response(Response<'a>),
    /// Anything else is an inform: the frame itself is the API message.
    Inform(Envelope<'a>),
}

/// The params of a response.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct Response<'a> {
    /// The request's cookie.
    pub cookie: i64,
    /// Whether `result` is a result or a refusal. Default: false.
    #[serde(default)]
    pub success: bool,
    /// Any JSON value, unparsed; `None` if absent or `null`.
    #[serde(borrow, default)]
    pub result: Option<&'a RawValue>,
}

/// An invalid frame. It is dropped, or refused if it is a request; the connection is unaffected.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FrameError {
    /// It is not JSON.
    #[error("the frame is not JSON: {0}")]
    NotJson(String),
    /// The frame is JSON, but not an object with a string `method`.
    #[error("the frame is not an object with a \"method\"")]
    NoMethod,
    /// An unreadable request. It can be refused if it has a cookie.
    #[error("a Request's params are not {{\"jsonRequest\": string, \"cookie\": integer, \"timeout\": seconds}}: {why}")]
    BadRequest {
        /// The request's cookie, if it is readable.
        cookie: Option<i64>,
        /// The mismatch.
        why: String,
    },
    /// An unreadable response.
    #[error("a RequestResponse's params are not {{\"cookie\": integer, \"success\": boolean, \"result\": any}}: {0}")]
    BadResponse(String),
}

#[derive(Deserialize)]
struct RequestParams<'a> {
    #[serde(borrow, rename = "jsonRequest")]
    message: &'a RawValue,
    cookie: i64,
    #[serde(default)]
    timeout: Option<f64>,
}

#[derive(Deserialize)]
struct CookieAlone {
    cookie: i64,
}

impl<'a> Frame<'a> {
    /// Parses a frame up to its envelope.
    ///
    /// # Errors
    /// The frame is invalid; see [`FrameError`].
    pub fn parse(text: &'a str) -> Result<Frame<'a>, FrameError> {
        let envelope = Envelope::parse(text)?;
        let params = envelope.params.map_or("null", RawValue::get);
        match &*envelope.method {
            REQUEST => Frame::request(params),
            RESPONSE => read(params).map(Frame::Response).map_err(FrameError::BadResponse),
            _ => Ok(Frame::Inform(envelope)),
        }
    }

    fn request(params: &'a str) -> Result<Frame<'a>, FrameError> {
        let bad = |why| {
            let cookie = serde_json::from_str::<CookieAlone>(params).ok().map(|params| params.cookie);
            FrameError::BadRequest { cookie, why }
        };
        let RequestParams { message: raw, cookie, timeout } = read(params).map_err(bad)?;
        let Text(message) = read(raw.get()).map_err(bad)?;
        Ok(Frame::Request { cookie, message, raw, timeout: timeout.into() })
    }
}

/// Borrows if there are no escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

fn read<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}

/// The frame of a request with the API message `message`.
pub fn request(message: &str, cookie: i64, timeout: StpTimeout) -> String {
    request_of(&json_string(message), cookie, timeout)
}

/// The frame of a forwarded request: `raw` is the API message from the requester's frame, unchanged.
pub fn forward(raw: &RawValue, cookie: i64, timeout: StpTimeout) -> String {
    request_of(raw.get(), cookie, timeout)
}

fn request_of(message: &str, cookie: i64, timeout: StpTimeout) -> String {
    let mut frame = String::with_capacity(message.len() + 96);
    let seconds = timeout.seconds();
    // Writing to a string does not fail.
    let _ = write!(
        frame,
        r#"{{"method":"{REQUEST}","params":{{"jsonRequest":{message},"cookie":{cookie},"timeout":{seconds}}}}}"#
    );
    frame
}

/// The frame of a response.
pub fn response(response: &Response<'_>) -> String {
    response_of(response.cookie, response.success, response.result.map_or("null", RawValue::get))
}

/// The frame of a text response: a handler's result, or the reason of a refusal.
pub fn response_text(cookie: i64, outcome: Result<&str, &str>) -> String {
    let (Ok(text) | Err(text)) = outcome;
    response_of(cookie, outcome.is_ok(), &json_string(text))
}

fn response_of(cookie: i64, success: bool, result: &str) -> String {
    let mut frame = String::with_capacity(result.len() + 96);
    // Writing to a string does not fail.
    let _ = write!(
        frame,
        r#"{{"method":"{RESPONSE}","params":{{"cookie":{cookie},"success":{success},"result":{result}}}}}"#
    );
    frame
}

fn json_string(text: &str) -> String {
    // Serializing a `str` does not fail.
    serde_json::to_string(text).unwrap_or_default()
}

/// The API responses in a response's `result`. An array yields its items, strings unchanged and other values as JSON
/// text. Another value yields one item, and no value yields none (docs/protocol.md, section 8.1).
pub fn items(result: Option<&RawValue>) -> Vec<String> {
    let Some(result) = result else { return Vec::new() };
    match serde_json::from_str::<Vec<&RawValue>>(result.get()) {
        Ok(items) => items.into_iter().map(item).collect(),
        Err(_) => vec![item(result)],
    }
}

/// The reason in a refusal's `result`: a string unchanged, any other value as JSON text.
pub fn refusal(result: Option<&RawValue>) -> String {
    result.map_or_else(|| "no reason was given".to_owned(), item)
}

fn item(value: &RawValue) -> String {
    serde_json::from_str::<String>(value.get()).unwrap_or_else(|_| value.get().to_owned())
}
