//! API messages as serde types: `{method, params}` built and read.

use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

use super::error::{StpInformError, StpRequestError};
use super::frame::Envelope;
use crate::wire::{PayloadError, json};

/// An API message of any serializable params.
///
/// A whole API as one type needs no help: serde writes an enum with `#[serde(tag = "method", content = "params")]` the
/// same way.
///
/// ```
/// use connector_core::stp::api_message;
///
/// let message = api_message("TaskAdded", &serde_json::json!({ "name": "patrol" }))?;
/// assert_eq!(message, r#"{"method":"TaskAdded","params":{"name":"patrol"}}"#);
/// # Ok::<(), connector_core::PayloadError>(())
/// ```
///
/// # Errors
/// The params cannot be written as JSON.
pub fn api_message(method: &str, params: &(impl Serialize + ?Sized)) -> Result<String, PayloadError> {
    #[derive(Serialize)]
    struct Message<'a, P: ?Sized> {
        method: &'a str,
        params: &'a P,
    }
    serde_json::to_string(&Message { method, params }).map_err(PayloadError::not_serializable)
}

impl Envelope<'_> {
    /// The params as a `P`; params that are absent are read as `null`.
    ///
    /// # Errors
    /// They do not fit.
    pub fn read<P: DeserializeOwned>(&self) -> Result<P, PayloadError> {
        let params = self.params.map_or("null", serde_json::value::RawValue::get);
        json::read(params).map_err(PayloadError::unexpected)
    }
}

/// An API response as an `R`: JSON is parsed, text that is no JSON of that type is read as a string.
///
/// # Errors
/// It is neither.
pub fn read_response<R: DeserializeOwned>(response: &str) -> Result<R, PayloadError> {
    json::read(response).or_else(|error| {
        let text = serde_json::Value::String(response.to_owned());
        serde_json::from_value(text).map_err(|_| PayloadError::unexpected(error))
    })
}

/// Why a typed message was not sent.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum StpSendError {
    /// The params cannot be written as JSON; nothing was sent.
    #[error("the params cannot be sent: {0}")]
    Params(PayloadError),
    /// See [`StpInformError`].
    #[error(transparent)]
    Inform(#[from] StpInformError),
}

/// How a typed request ended, other than with its answer.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum StpAskError {
    /// The params cannot be written as JSON; nothing was sent.
    #[error("the params cannot be sent: {0}")]
    Params(PayloadError),
    /// See [`StpRequestError`].
    #[error(transparent)]
    Request(#[from] StpRequestError),
    /// The request was answered, but not with the type asked for.
    #[error("{method} was answered with something else than asked for: {error}")]
    Response {
        /// The method asked for.
        method: String,
        /// What does not fit.
        error: PayloadError,
    },
}
