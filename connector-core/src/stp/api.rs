//! Serde support for API messages of the form `{method, params}`.

use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

use super::error::{StpInformError, StpRequestError};
use super::frame::Envelope;
use crate::wire::{PayloadError, json};

/// An API message with any serializable params.
///
/// To represent a whole API as one type, use an enum with `#[serde(tag = "method", content = "params")]`, which serde
/// writes in the same form.
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
/// The params cannot be serialized.
pub fn api_message(method: &str, params: &(impl Serialize + ?Sized)) -> Result<String, PayloadError> {
    #[derive(Serialize)]
    struct Message<'a, P: ?Sized> {
        method: &'a str,
        params: &'a P,
    }
    serde_json::to_string(&Message { method, params }).map_err(PayloadError::not_serializable)
}

impl Envelope<'_> {
    /// The params as a `P`; absent params are read as `null`.
    ///
    /// # Errors
    /// The params do not fit.
    pub fn read<P: DeserializeOwned>(&self) -> Result<P, PayloadError> {
        let params = self.params.map_or("null", serde_json::value::RawValue::get);
        json::read(params).map_err(PayloadError::unexpected)
    }
}

/// An API response as an `R`: parsed as JSON or, if it is not JSON of that type, read as a string.
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
    /// The params cannot be serialized; nothing was sent.
    #[error("the params cannot be sent: {0}")]
    Params(PayloadError),
    /// See [`StpInformError`].
    #[error(transparent)]
    Inform(#[from] StpInformError),
}

/// Why a typed request failed.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum StpAskError {
    /// The params cannot be serialized; nothing was sent.
    #[error("the params cannot be sent: {0}")]
    Params(PayloadError),
    /// See [`StpRequestError`].
    #[error(transparent)]
    Request(#[from] StpRequestError),
    /// The response is not of the requested type.
    #[error("{method} returned a response of an unexpected type: {error}")]
    Response {
        /// The requested method.
        method: String,
        /// The mismatch.
        error: PayloadError,
    },
}
