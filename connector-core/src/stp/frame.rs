//! Envelopes: text frames ⇄ what they mean (docs/protocol.md, section 8.1). Pure.

use std::borrow::Cow;
use std::fmt::Write;

use serde::Deserialize;
use serde_json::value::RawValue;
use thiserror::Error;

use super::timeout::StpTimeout;

const REQUEST: &str = "Request";
const RESPONSE: &str = "RequestResponse";

/// An object that says what it is about: `{method, params}`, the shape of every frame and of every API message. Parsed
/// no further than that.
#[derive(Debug, Deserialize)]
pub struct Envelope<'a> {
    /// What it is about: what solvables name.
    #[serde(borrow)]
    pub method: Cow<'a, str>,
    /// The rest, unread; `None` if absent or `null`.
    #[serde(borrow, default)]
    pub params: Option<&'a RawValue>,
}

impl<'a> Envelope<'a> {
    /// Reads the envelope of a text.
    ///
    /// # Errors
    /// The text is not JSON, or no object with a string `method`.
    pub fn parse(text: &'a str) -> Result<Envelope<'a>, FrameError> {
        serde_json::from_str(text).map_err(|error| match error.is_data() {
            true => FrameError::NoMethod,
            false => FrameError::NotJson(error.to_string()),
        })
    }
}

/// What a text frame means; borrows from it.
#[derive(Debug)]
#[non_exhaustive]
pub enum Frame<'a> {
    /// The other end asks.
    Request {
        /// Pairs the answer with the request; means something on one connection only.
        cookie: i64,
        /// The API message.
        message: Cow<'a, str>,
        /// The API message as it stands in the frame: a JSON string, escapes and all.
        raw: &'a RawValue,
        /// How long the asker waits.
        timeout: StpTimeout,
    },
    /// The other end answers.
    Response {
        /// The request's.
        cookie: i64,
        /// Whether `result` is an answer or a refusal.
        success: bool,
        /// Unread; `None` if absent or `null`.
        result: Option<&'a RawValue>,
    },
    /// Anything else is an inform: the frame itself is the API message.
    Inform(Envelope<'a>),
}

/// A frame that means nothing. It is dropped, or refused if it is a request; its connection and everybody else are
/// unharmed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FrameError {
    /// It is not JSON.
    #[error("the frame is not JSON: {0}")]
    NotJson(String),
    /// It is JSON, but no object with a string `method`.
    #[error("the frame is no object with a \"method\"")]
    NoMethod,
    /// A request that cannot be read; it can be refused if it has a cookie.
    #[error("a Request's params are not {{\"jsonRequest\": string, \"cookie\": integer, \"timeout\": seconds}}: {why}")]
    BadRequest {
        /// The request's cookie, if that much could be read.
        cookie: Option<i64>,
        /// What does not fit.
        why: String,
    },
    /// An answer that cannot be read.
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

#[derive(Deserialize)]
struct ResponseParams<'a> {
    cookie: i64,
    #[serde(default)]
    success: bool,
    #[serde(borrow, default)]
    result: Option<&'a RawValue>,
}

impl<'a> Frame<'a> {
    /// Reads a frame as far as its envelope.
    ///
    /// # Errors
    /// It means nothing; see [`FrameError`].
    pub fn parse(text: &'a str) -> Result<Frame<'a>, FrameError> {
        let envelope = Envelope::parse(text)?;
        let params = envelope.params.map_or("null", RawValue::get);
        match &*envelope.method {
            REQUEST => Frame::request(params),
            RESPONSE => {
                let params: ResponseParams<'a> = read(params).map_err(FrameError::BadResponse)?;
                Ok(Frame::Response { cookie: params.cookie, success: params.success, result: params.result })
            }
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

/// Borrows where there are no escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

fn read<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}

/// The frame of a request whose API message is `message`.
pub fn request(message: &str, cookie: i64, timeout: StpTimeout) -> String {
    request_of(&json_string(message), cookie, timeout)
}

/// The frame of a request that is passed on: `raw` is the API message as it stood in the asker's frame, untouched.
pub fn pass_on(raw: &RawValue, cookie: i64, timeout: StpTimeout) -> String {
    request_of(raw.get(), cookie, timeout)
}

fn request_of(message: &str, cookie: i64, timeout: StpTimeout) -> String {
    let mut frame = String::with_capacity(message.len() + 96);
    let seconds = timeout.seconds();
    // Writing into a string does not fail.
    let _ = write!(
        frame,
        r#"{{"method":"{REQUEST}","params":{{"jsonRequest":{message},"cookie":{cookie},"timeout":{seconds}}}}}"#
    );
    frame
}

/// The frame of an answer; `result` is any JSON value.
pub fn response(cookie: i64, success: bool, result: Option<&RawValue>) -> String {
    response_of(cookie, success, result.map_or("null", RawValue::get))
}

/// The frame of an answer that is a text: what a handler has returned, or why a request is refused.
pub fn response_text(cookie: i64, outcome: Result<&str, &str>) -> String {
    let (Ok(text) | Err(text)) = outcome;
    response_of(cookie, outcome.is_ok(), &json_string(text))
}

fn response_of(cookie: i64, success: bool, result: &str) -> String {
    let mut frame = String::with_capacity(result.len() + 96);
    // Writing into a string does not fail.
    let _ = write!(
        frame,
        r#"{{"method":"{RESPONSE}","params":{{"cookie":{cookie},"success":{success},"result":{result}}}}}"#
    );
    frame
}

fn json_string(text: &str) -> String {
    // A `str` always is a JSON string once it is escaped.
    serde_json::to_string(text).unwrap_or_default()
}

/// The API responses in an answer's `result`: an array gives its items, a string as it is and anything else as JSON
/// text; another value gives one item, none gives none (docs/protocol.md, section 8.1).
pub fn items(result: Option<&RawValue>) -> Vec<String> {
    let Some(result) = result else { return Vec::new() };
    match serde_json::from_str::<Vec<&RawValue>>(result.get()) {
        Ok(items) => items.into_iter().map(item).collect(),
        Err(_) => vec![item(result)],
    }
}

/// What a refusal's `result` says: a string as it is, anything else as JSON text.
pub fn refusal(result: Option<&RawValue>) -> String {
    result.map_or_else(|| "no reason was given".to_owned(), item)
}

fn item(value: &RawValue) -> String {
    serde_json::from_str::<String>(value.get()).unwrap_or_else(|_| value.get().to_owned())
}
