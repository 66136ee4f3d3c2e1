//! What can go wrong, one type for each operation. `Display` gives the published engine's words where it has any.
//!
//! The text of an error includes its cause, so `source()` does not return it as well: a reporter that prints the chain
//! prints each text once.

mod fault;
mod lifecycle;
mod refusal;

use std::time::Duration;

use serde::de::DeserializeOwned;
use thiserror::Error;

pub use self::fault::Fault;
pub use self::lifecycle::{ActivateError, RegisterError, ServiceError, UpdateError};
pub use self::refusal::Refusal;
use crate::connector::LinkEnd;
use crate::wire::{ErrorKind, Name, Payload, PayloadError};

/// How a call ended, other than with its result. Every call ends once.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum CallError {
    /// The plugin's own error, which [`plugin_error`](CallError::plugin_error) reads; or what it says of
    /// [bad arguments](CallError::is_bad_arguments).
    #[error("{0}")]
    Plugin(Fault),
    /// The call did not reach the method, and why: the plugin is unknown or busy, a rule does not allow it, and so on.
    /// One exception: a call that is under way when its plugin is deactivated ends as
    /// [`Refusal::NotActivated`], as in the published engine, and its method may have run.
    #[error("{0}")]
    Refused(Box<Refusal>),
    /// The call took longer than the plugin's [`queue_timeout`](crate::PluginOptions::queue_timeout), or than the
    /// caller's own limit. The text says which.
    #[error("{0}")]
    TimedOut(String),
    /// The call was cancelled, with [`PluginClient::cancel`](crate::PluginClient::cancel).
    #[error("{0}")]
    Cancelled(String),
    /// The link to the plugin, or the caller's own, is down or ended while the call was under way. The method may have
    /// run.
    #[error("{0}")]
    LinkLost(Box<LinkLost>),
    /// The arguments could not be serialized; the call was not made.
    #[error("the arguments cannot be sent: {0}")]
    Arguments(PayloadError),
    /// The call succeeded, but its result is not of the type asked for.
    #[error("{0}")]
    Result(Box<WrongResult>),
}

/// A result of another type than its caller asked for.
#[derive(Debug, Clone, Error)]
#[error("{method} of {target} gave another result than asked for: {error}")]
pub struct WrongResult {
    /// The plugin called, with its path.
    pub target: String,
    /// The method called.
    pub method: String,
    /// What does not fit.
    pub error: PayloadError,
}

// Rare and large errors are boxed, since an outcome is moved often.
const _: () = assert!(size_of::<Result<Payload, CallError>>() <= 40);

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
    /// The error as the published engine writes it: a plugin's own error as it came, anything else as its words.
    pub fn to_payload(&self) -> Payload {
        match self {
            CallError::Plugin(fault) => fault.payload().clone(),
            other => Payload::new(other.to_string()),
        }
    }

    /// What the plugin said, if that is how the call ended.
    pub fn fault(&self) -> Option<&Fault> {
        match self {
            CallError::Plugin(fault) => Some(fault),
            _ => None,
        }
    }

    /// The plugin's own error as an `E`, if it is one: what its method returned as the error
    /// [`Json`](crate::Json)`(error)` or [`Fault::typed`]`(error)`, wherever the plugin is.
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

    /// Whether the plugin could not take the arguments, so that the method did not run: see
    /// [`Fault::is_bad_arguments`].
    pub fn is_bad_arguments(&self) -> bool {
        self.fault().is_some_and(Fault::is_bad_arguments)
    }

    pub(crate) fn kind(&self) -> ErrorKind {
        match self {
            CallError::Plugin(fault) if fault.is_bad_arguments() => ErrorKind::BadArguments,
            CallError::Plugin(_) | CallError::Arguments(_) | CallError::Result(_) => ErrorKind::Plugin,
            CallError::Refused(_) => ErrorKind::Refused,
            CallError::TimedOut(_) => ErrorKind::TimedOut,
            CallError::Cancelled(_) => ErrorKind::Cancelled,
            CallError::LinkLost(_) => ErrorKind::LinkLost,
        }
    }

    /// The error that a response from the engine tells. `kind` is named by native engines; the published engine's
    /// fixed words tell the rest.
    pub(crate) fn told(kind: Option<ErrorKind>, error: Payload) -> CallError {
        let fault = Fault::told(error);
        let kind = kind.unwrap_or_else(|| match fault.words().as_str() {
            w if w.starts_with("[TIMEOUT] ") => ErrorKind::TimedOut,
            w if w.starts_with("[CANCEL] ") => ErrorKind::Cancelled,
            w if w.starts_with("Cannot call ") || w.ends_with(" is not activated yet") => ErrorKind::Refused,
            _ => ErrorKind::Plugin,
        });
        match kind {
            ErrorKind::Plugin => CallError::Plugin(fault),
            ErrorKind::BadArguments => CallError::Plugin(fault.of_arguments()),
            ErrorKind::Refused => Refusal::Told(fault.to_string()).into(),
            ErrorKind::TimedOut => CallError::TimedOut(fault.to_string()),
            ErrorKind::Cancelled => CallError::Cancelled(fault.to_string()),
            ErrorKind::LinkLost => LinkLost::Told(fault.to_string()).into(),
        }
    }

    pub(crate) fn run_timeout(method: &str, from: &str) -> CallError {
        CallError::TimedOut(format!("[TIMEOUT] Timeout for call {method} from {from}"))
    }

    pub(crate) fn deadline(target: &str, method: &str, limit: Duration) -> CallError {
        CallError::TimedOut(format!("{method} of {target} did not answer within the {limit:?} its caller gave it"))
    }

    pub(crate) fn cancelled(method: &str, from: &str) -> CallError {
        CallError::Cancelled(format!("[CANCEL] Canceled call {method} from {from}"))
    }
}

/// A link ended under a call, or is down.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum LinkLost {
    /// The link ended at this end.
    #[error("the link to \"{plugin}\" was lost: {end}")]
    Seen {
        /// The plugin at the other end (for a plugin's own link: `engine`).
        plugin: Name,
        /// How it ended.
        end: LinkEnd,
    },
    /// Another plugin's link ended at the engine, which says so over this plugin's link.
    #[error("{0}")]
    Told(String),
}
