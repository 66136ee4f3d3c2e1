//! Error types, one per operation. `Display` uses the published engine's text where there is one.

mod fault;
mod lifecycle;
mod refusal;

use std::time::Duration;

use serde::de::DeserializeOwned;
use thiserror::Error;

pub use self::fault::Fault;
pub use self::lifecycle::{ActivateError, LendError, RegisterError, ServiceError, UpdateError};
pub use self::refusal::Refusal;
use crate::connector::LinkEnd;
use crate::wire::{ErrorKind, Name, Payload, PayloadError};

/// Why a call failed. Every call ends once.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum CallError {
    /// An error returned by the method, readable with [`plugin_error`](CallError::plugin_error), or a report of
    /// [bad arguments](CallError::is_bad_arguments).
    #[error("{0}")]
    Plugin(Fault),
    /// The call did not reach the method: the plugin is unknown or busy, a rule denies the call, and so on. One
    /// exception: a running call whose plugin is deactivated ends as [`Refusal::NotActivated`], as in the published
    /// engine, and its method may have run.
    #[error("{0}")]
    Refused(Box<Refusal>),
    /// The call exceeded the plugin's [`queue_timeout`](crate::PluginOptions::queue_timeout) or the caller's limit. The
    /// text says which.
    #[error("{0}")]
    TimedOut(String),
    /// The call was cancelled with [`PluginClient::cancel`](crate::PluginClient::cancel).
    #[error("{0}")]
    Cancelled(String),
    /// The link to the plugin, or the caller's own, is down or ended during the call. The method may have run.
    #[error("{0}")]
    LinkLost(Box<LinkLost>),
    /// The arguments could not be serialized; the call was not made.
    #[error("the arguments cannot be sent: {0}")]
    Arguments(PayloadError),
    /// The call succeeded, but its result is not of the requested type.
    #[error("{0}")]
    Result(Box<WrongResult>),
}

/// A result of an unexpected type.
#[derive(Debug, Clone, Error)]
#[error("{method} of {target} returned a result of an unexpected type: {error}")]
pub struct WrongResult {
    /// The plugin called, with its path.
    pub target: String,
    /// The method called.
    pub method: String,
    /// The mismatch.
    pub error: PayloadError,
}

// PERF: boxed like the parts of `Fault`.
impl From<Refusal> for CallError {
    fn from(refusal: Refusal) -> CallError {
        CallError::Refused(Box::new(refusal))
    }
}

impl From<LinkLost> for CallError {
    fn from(lost: LinkLost) -> CallError {
        CallError::LinkLost(Box::new(lost))
    }
}

impl CallError {
    /// The error as the published engine sends it: a plugin's error unchanged, anything else as its text.
    pub fn to_payload(&self) -> Payload {
        match self {
            CallError::Plugin(fault) => fault.payload().clone(),
            other => Payload::new(other.to_string()),
        }
    }

    /// The plugin's error, if the call ended with one.
    pub fn fault(&self) -> Option<&Fault> {
        match self {
            CallError::Plugin(fault) => Some(fault),
            _ => None,
        }
    }

    /// The plugin's error as an `E`, if it is one: the value that the method returned as [`Json`](crate::Json)`(error)`
    /// or [`Fault::typed`]`(error)`, wherever the plugin runs.
    ///
    /// ```
    /// # use connector_core::{Engine, Json, Plugin};
    /// #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    /// enum MathError {
    ///     DividedByZero,
    ///     TooLarge { most: f64 },
    /// }
    ///
    /// async fn divide(a: f64, b: f64) -> Result<f64, Json<MathError>> {
    ///     if b == 0.0 {
    ///         Err(MathError::DividedByZero)?;
    ///     }
    ///     Ok(a / b)
    /// }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let engine = Engine::new();
    /// # let local = engine.register(Plugin::new("local"))?;
    /// # engine.register(Plugin::new("calculator").method("divide", divide))?;
    /// # engine.manager().activate("local").await?;
    ///
    /// let error = local.call::<f64>("calculator", "divide", (1, 0)).await.unwrap_err();
    /// assert_eq!(error.plugin_error(), Some(MathError::DividedByZero));
    /// # Ok(()) }
    /// ```
    pub fn plugin_error<E: DeserializeOwned + 'static>(&self) -> Option<E> {
        self.fault().filter(|fault| !fault.is_bad_arguments())?.read().ok()
    }

    /// Whether the plugin rejected the arguments, so that the method did not run: see
    /// [`Fault::is_bad_arguments`].
    pub fn is_bad_arguments(&self) -> bool {
        self.fault().is_some_and(Fault::is_bad_arguments)
    }

    /// The kind of failure, as native ends name it on the wire.
    pub fn kind(&self) -> ErrorKind {
        match self {
            CallError::Plugin(fault) if fault.is_bad_arguments() => ErrorKind::BadArguments,
            CallError::Plugin(_) | CallError::Arguments(_) | CallError::Result(_) => ErrorKind::Plugin,
            CallError::Refused(_) => ErrorKind::Refused,
            CallError::TimedOut(_) => ErrorKind::TimedOut,
            CallError::Cancelled(_) => ErrorKind::Cancelled,
            CallError::LinkLost(_) => ErrorKind::LinkLost,
        }
    }

    /// The error in a response from the engine. Native engines send its `kind`; for the published engine it is derived
    /// from the text.
    pub(crate) fn from_engine(kind: Option<ErrorKind>, error: Payload) -> CallError {
        let fault = Fault::from_engine(error);
        let kind = kind.unwrap_or_else(|| match fault.message().as_str() {
            w if w.starts_with("[TIMEOUT] ") => ErrorKind::TimedOut,
            w if w.starts_with("[CANCEL] ") => ErrorKind::Cancelled,
            w if w.starts_with("Cannot call ") || w.ends_with(" is not activated yet") => ErrorKind::Refused,
            _ => ErrorKind::Plugin,
        });
        CallError::of_kind(kind, fault)
    }

    /// The error in a response from a plugin. It may say that the arguments are bad, and everything else only if it
    /// `is_lent`: then it is an engine that says so.
    pub(crate) fn from_plugin(kind: Option<ErrorKind>, error: Payload, is_lent: bool) -> CallError {
        let kind = kind.filter(|kind| is_lent || *kind == ErrorKind::BadArguments);
        CallError::of_kind(kind.unwrap_or(ErrorKind::Plugin), Fault::from_payload(error))
    }

    fn of_kind(kind: ErrorKind, fault: Fault) -> CallError {
        match kind {
            ErrorKind::Plugin => CallError::Plugin(fault),
            ErrorKind::BadArguments => CallError::Plugin(fault.into_bad_arguments()),
            ErrorKind::Refused => Refusal::Reported(fault.to_string()).into(),
            ErrorKind::TimedOut => CallError::TimedOut(fault.to_string()),
            ErrorKind::Cancelled => CallError::Cancelled(fault.to_string()),
            ErrorKind::LinkLost => LinkLost::Reported(fault.to_string()).into(),
        }
    }

    pub(crate) fn run_timeout(method: &str, from: &str) -> CallError {
        CallError::TimedOut(format!("[TIMEOUT] Timeout for call {method} from {from}"))
    }

    /// `limit` is measured, so it is shown in whole milliseconds if it has any.
    pub(crate) fn deadline(target: &str, method: &str, limit: Duration) -> CallError {
        let millis = u64::try_from(limit.saturating_add(Duration::from_micros(500)).as_millis()).unwrap_or(u64::MAX);
        let limit = if millis > 0 { Duration::from_millis(millis) } else { limit };
        let hint = match limit.is_zero() {
            true => {
                ". A handle from a method's context has the time of that call; `detached` gives one without its limit"
            }
            false => "",
        };
        CallError::TimedOut(format!(
            "{method} of {target} did not complete within the caller's limit of {limit:?}{hint}"
        ))
    }

    pub(crate) fn cancelled(method: &str, from: &str) -> CallError {
        CallError::Cancelled(format!("[CANCEL] Canceled call {method} from {from}"))
    }
}

/// A link ended during a call, or is down.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum LinkLost {
    /// The link ended at this end.
    #[error("the link to \"{plugin}\" was lost: {end}")]
    Observed {
        /// The plugin at the other end, or `engine` for a plugin's own link.
        plugin: Name,
        /// How it ended.
        end: LinkEnd,
    },
    /// Another plugin's link ended at the engine, which reported it over this plugin's link.
    #[error("{0}")]
    Reported(String),
}
