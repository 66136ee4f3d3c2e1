//! Errors returned by methods.

use std::any::Any;
use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::CallError;
use crate::wire::{ErrorKind, Payload, PayloadError, is_falsy_in_javascript};

/// An error returned by a method: a string or any JSON value, unchanged.
///
/// `Display` shows a string unchanged, an object's `message`, and any other value as JSON. In a plugin behind a link the
/// text has the prefix `Error from IDE : `, as in the published packages; the value itself does not.
#[derive(Clone)]
pub struct Fault(Box<Thrown>);

// PERF: docs/performance.md, "14 allocations per routed call": a result has 40 bytes, because errors are boxed.
#[derive(Clone)]
struct Thrown {
    error: Payload,
    /// Whether it was received from an engine over a link.
    from_engine: bool,
    kind: ErrorKind,
}

impl Fault {
    /// A fault with this message.
    pub fn new(message: impl fmt::Display) -> Fault {
        Fault::of_text(message.to_string())
    }

    fn of_text(message: String) -> Fault {
        Fault::of_payload(match message.is_empty() {
            // The published packages treat an empty error as no error, and send `{}` instead.
            true => Payload::from_valid_json("{}"),
            false => Payload::new(message),
        })
    }

    fn of_payload(error: Payload) -> Fault {
        Fault(Box::new(Thrown { error, from_engine: false, kind: ErrorKind::Plugin }))
    }

    /// A fault with a typed value, which the caller can [`read`](Fault::read) back. Returning
    /// [`Json`](crate::Json)`(error)` as a method's error is equivalent.
    ///
    /// Include a field `message` for published peers and logs, which only display errors. A value that is falsy in
    /// JavaScript (`null`, `false`, `0`, `""`) would not be an error there and becomes `{}`.
    pub fn typed<E: Serialize + Send + Sync + 'static>(error: E) -> Fault {
        Fault::from_payload(Payload::new(error))
    }

    /// Converts a method's error. JSON values are kept unchanged, and so are errors of other plugins unless they are only
    /// text.
    pub(crate) fn of<E: fmt::Display + 'static>(error: E) -> Fault {
        let any = &error as &dyn Any;
        if let Some(fault) = any.downcast_ref::<Fault>().or_else(|| any.downcast_ref::<CallError>()?.fault()) {
            return fault.passed_on();
        }
        if let Some(value) = any.downcast_ref::<serde_json::Value>() {
            return Fault::typed(value.clone());
        }
        // The alternate form of anyhow's and eyre's errors includes their causes.
        Fault::of_text(format!("{error:#}"))
    }

    /// This fault as the error of a method that received it from another plugin. A text keeps its prefix.
    fn passed_on(&self) -> Fault {
        match self.0.from_engine && self.read::<String>().is_ok() {
            true => Fault::new(self),
            false => Fault::of_payload(self.0.error.clone()),
        }
    }

    /// A fault that is a JSON value, such as `{"code": 5, "message": "…"}`.
    pub fn from_payload(error: Payload) -> Fault {
        match error.text().is_ok_and(is_falsy_in_javascript) {
            true => Fault::new(""),
            false => Fault::of_payload(error),
        }
    }

    /// An error received from an engine over a link.
    pub(crate) fn from_engine(error: Payload) -> Fault {
        let mut fault = Fault::from_payload(error);
        fault.0.from_engine = true;
        fault
    }

    pub(crate) fn bad_arguments(method: &str, error: &PayloadError) -> Fault {
        Fault::new(format_args!("{method}: {error}")).into_bad_arguments()
    }

    pub(crate) fn into_bad_arguments(mut self) -> Fault {
        self.0.kind = ErrorKind::BadArguments;
        self
    }

    /// How a call for another engine ended, whose caller learns the kind.
    pub(crate) fn of_borrowed_call(error: CallError) -> Fault {
        let kind = error.kind();
        let mut fault = match error {
            CallError::Plugin(fault) => fault,
            error => Fault::new(error),
        };
        fault.0.kind = kind;
        fault
    }

    /// The kind, for a peer that knows kinds.
    pub(crate) fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whether the plugin rejected the arguments: its method did not run, and the text names the argument, as in
    /// `add: missing argument 2: expected i64`. Transferred only over links between native peers; a published plugin
    /// reports bad arguments as an error of its own choice.
    pub fn is_bad_arguments(&self) -> bool {
        self.0.kind == ErrorKind::BadArguments
    }

    /// The error as JSON, as the plugin sent it.
    pub fn payload(&self) -> &Payload {
        &self.0.error
    }

    /// The error as an `E`; see also [`CallError::plugin_error`].
    ///
    /// # Errors
    /// The error is of another type.
    pub fn read<E: DeserializeOwned + 'static>(&self) -> Result<E, PayloadError> {
        self.payload().clone().read()
    }

    /// The message without the published client's prefix.
    pub(crate) fn message(&self) -> String {
        match self.read::<serde_json::Value>() {
            Ok(serde_json::Value::String(text)) => text,
            Ok(value) => match value.get("message").and_then(|message| message.as_str()) {
                Some(message) => message.to_owned(),
                None => value.to_string(),
            },
            Err(_) => format!("{:?}", self.payload()),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The published client's prefix.
        f.write_str(if self.0.from_engine { "Error from IDE : " } else { "" })?;
        f.write_str(&self.message())
    }
}

impl std::error::Error for Fault {}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.payload())
    }
}
