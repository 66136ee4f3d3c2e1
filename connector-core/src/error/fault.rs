//! A plugin's own error.

use std::any::Any;
use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::CallError;
use crate::wire::{ErrorKind, Payload, PayloadError, is_falsy_in_javascript};

/// What a method threw: a string, or any JSON value, as the plugin gave it.
///
/// `Display` gives a string as it is, an object's `message`, anything else as JSON. At a plugin behind a link it begins,
/// as in the published packages, with `Error from IDE : `; the value itself never does.
#[derive(Clone)]
pub struct Fault(Box<Thrown>);

/// Boxed, as what is rare: an outcome is moved from hand to hand.
#[derive(Clone)]
struct Thrown {
    error: Payload,
    /// Whether an engine at the other end of a link told it.
    told: bool,
    bad_arguments: bool,
}

impl Fault {
    /// A fault with this message.
    pub fn new(message: impl fmt::Display) -> Fault {
        Fault::of_text(message.to_string())
    }

    fn of_text(message: String) -> Fault {
        Fault::of_payload(match message.is_empty() {
            // The published ends take an empty error for none, and themselves write `{}` for one.
            true => Payload::from_valid_json("{}"),
            false => Payload::new(message),
        })
    }

    fn of_payload(error: Payload) -> Fault {
        Fault(Box::new(Thrown { error, told: false, bad_arguments: false }))
    }

    /// A fault that is a value of a type of your own, for the caller to [`read`](Fault::read) back. As a method's error
    /// [`Json`](crate::Json)`(error)` does the same.
    ///
    /// Give it a field `message` for those who only show it: published peers, logs. A value that JavaScript takes for
    /// false (`null`, `false`, `0`, `""`) would be no error there and becomes `{}`.
    pub fn typed<E: Serialize + Send + Sync + 'static>(error: E) -> Fault {
        Fault::from_payload(Payload::new(error))
    }

    /// What a method's error type says. What is JSON already stays what it is, and so does what another plugin threw,
    /// unless that was only text.
    pub(crate) fn of<E: fmt::Display + 'static>(error: E) -> Fault {
        let any = &error as &dyn Any;
        if let Some(fault) = any.downcast_ref::<Fault>().or_else(|| any.downcast_ref::<CallError>()?.fault()) {
            return fault.passed_on();
        }
        if let Some(value) = any.downcast_ref::<serde_json::Value>() {
            return Fault::typed(value.clone());
        }
        // In this form anyhow's and eyre's errors tell their causes, too.
        Fault::of_text(format!("{error:#}"))
    }

    /// As the error of the method that got it from another. A text says by which ways it came.
    fn passed_on(&self) -> Fault {
        match self.0.told && self.read::<String>().is_ok() {
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

    /// What an engine at the other end of a link told.
    pub(crate) fn told(error: Payload) -> Fault {
        let mut fault = Fault::from_payload(error);
        fault.0.told = true;
        fault
    }

    pub(crate) fn bad_arguments(method: &str, error: &PayloadError) -> Fault {
        Fault::new(format_args!("{method}: {error}")).of_arguments()
    }

    pub(crate) fn of_arguments(mut self) -> Fault {
        self.0.bad_arguments = true;
        self
    }

    /// What a plugin at the other end of a link told. Of all kinds of errors only this is for it to judge.
    pub(crate) fn told_by_plugin(kind: Option<ErrorKind>, error: Payload) -> Fault {
        let fault = Fault::from_payload(error);
        if kind == Some(ErrorKind::BadArguments) { fault.of_arguments() } else { fault }
    }

    /// Whether the plugin could not take the arguments: its method did not run, and the text names the argument, as in
    /// `add: missing argument 2: expected i64`. Told over links between native ends alone; what a published
    /// plugin makes of bad arguments is its own error.
    pub fn is_bad_arguments(&self) -> bool {
        self.0.bad_arguments
    }

    /// The error as JSON: what the plugin sent.
    pub fn payload(&self) -> &Payload {
        &self.0.error
    }

    /// The error as an `E`; see also [`CallError::plugin_error`].
    ///
    /// # Errors
    /// The plugin sent something else.
    pub fn read<E: DeserializeOwned + 'static>(&self) -> Result<E, PayloadError> {
        self.payload().clone().read()
    }

    /// Without the words of the published client.
    pub(crate) fn words(&self) -> String {
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
        // The published client's words.
        f.write_str(if self.0.told { "Error from IDE : " } else { "" })?;
        f.write_str(&self.words())
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.payload())
    }
}
