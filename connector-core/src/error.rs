//! What can go wrong, one type an operation. `Display` gives the published engine's words where it has any.

use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use thiserror::Error;

use crate::connector::LinkEnd;
pub use crate::fault::Fault;
use crate::message::{ErrorKind, Message, Name};
use crate::payload::Payload;

/// A payload that is not what it should be.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum PayloadError {
    /// The text is not one JSON value.
    #[error("not JSON: {0}")]
    NotJson(String),
    /// The value cannot be written as JSON.
    #[error("not serializable: {0}")]
    NotSerializable(String),
    /// The JSON is of another type than the one asked for.
    #[error("{0}")]
    Unexpected(String),
}

impl PayloadError {
    pub(crate) fn not_json(error: serde_json::Error) -> Self {
        PayloadError::NotJson(error.to_string())
    }

    pub(crate) fn not_serializable(error: serde_json::Error) -> Self {
        PayloadError::NotSerializable(error.to_string())
    }

    pub(crate) fn unexpected(error: serde_json::Error) -> Self {
        PayloadError::Unexpected(error.to_string())
    }
}

/// A frame that is not a message. Its sender broke the protocol; the link itself is unharmed.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The frame is not JSON.
    #[error("the frame is not JSON: {0}")]
    NotJson(String),
    /// The frame is JSON, but not a message (docs/protocol.md, section 2).
    #[error("the frame is no message: {0}")]
    NotAMessage(String),
    /// The frame is of a kind the transport does not carry messages in, for example binary.
    #[error("{0} carry no messages here")]
    WrongFrame(&'static str),
    /// The frame is not a message, but somebody may wait for it: its action and its id could be read. The core answers
    /// a request with the error, and ends the call that a response was for.
    #[error("{why}")]
    Partial {
        /// What could be read: a request or a response, its id, and its name and key if they could be. What asks for
        /// something unknown is a request.
        head: Box<Message>,
        /// Why it is not a message.
        why: Box<DecodeError>,
    },
}

impl DecodeError {
    pub(crate) fn not_utf8() -> Self {
        DecodeError::NotJson("not UTF-8".to_owned())
    }

    pub(crate) fn of(error: serde_json::Error) -> Self {
        match error.classify() {
            serde_json::error::Category::Data => DecodeError::NotAMessage(error.to_string()),
            _ => DecodeError::NotJson(error.to_string()),
        }
    }
}

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
    LinkLost(#[from] LinkLost),
    /// The arguments could not be serialized; the call was not made.
    #[error("the arguments cannot be sent: {0}")]
    Arguments(#[source] PayloadError),
    /// The call succeeded, but its result is not of the type asked for.
    #[error("{0}")]
    Result(#[source] Box<WrongResult>),
}

/// A result of another type than its caller asked for.
#[derive(Debug, Clone, Error)]
#[error("{method} of {target} gave another result than asked for: {source}")]
pub struct WrongResult {
    /// The plugin called, with its path.
    pub target: String,
    /// The method called.
    pub method: String,
    /// What does not fit.
    pub source: PayloadError,
}

/// What is rare and large is boxed: an outcome is moved from hand to hand.
impl From<Refusal> for CallError {
    fn from(refusal: Refusal) -> CallError {
        CallError::Refused(Box::new(refusal))
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
            ErrorKind::LinkLost => CallError::LinkLost(LinkLost::Told(fault.to_string())),
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

/// Why a call, a cancel, a listener or an emit was not let through, in the published engine's words where it has any.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// No plugin of that name.
    #[error("Cannot call {target} from {caller}, because {target} is not registered")]
    NotRegistered {
        /// The plugin called.
        target: String,
        /// Who called.
        caller: String,
    },
    /// The plugin is not active and may not be activated by this call.
    #[error("{caller} cannot call {method} of {target}, because {target} is not activated yet")]
    NotActivated {
        /// The plugin called.
        target: String,
        /// Who called.
        caller: String,
        /// The method called.
        method: String,
    },
    /// The plugin is not active, may be activated by this call, but could not be: see [`ActivateError`].
    #[error("{0}")]
    NotActivatable(String),
    /// The method is not in the plugin's profile.
    #[error(
        "Cannot call method \"{method}\" of \"{target}\" from \"{caller}\", because \"{method}\" is not exposed. Here is the list of exposed methods: {exposed}"
    )]
    NotExposed {
        /// The plugin called.
        target: String,
        /// Who called.
        caller: String,
        /// The method called.
        method: String,
        /// What may be called: `"a","b"`.
        exposed: String,
    },
    /// [`cancel`](crate::PluginClient::cancel) of a plugin that is not there.
    #[error("Cannot cancel {method} on {target} from {caller}, because {target} is not registered")]
    CancelNotRegistered {
        /// The plugin named.
        target: String,
        /// Who cancels.
        caller: String,
        /// The method named; `undefined` if none, as the published engine says.
        method: String,
    },
    /// [`cancel`](crate::PluginClient::cancel) of a plugin that is not active.
    #[error("{caller} cannot cancel {what}{target}, because {target} is not activated")]
    CancelNotActivated {
        /// The plugin named.
        target: String,
        /// Who cancels.
        caller: String,
        /// `method of `, or `calls on`.
        what: String,
    },
    /// [`cancel`](crate::PluginClient::cancel) of a method that is not in the profile.
    #[error(
        "Cannot cancel \"{method}\" of \"{target}\" from \"{caller}\", because \"{method}\" is not exposed. Here is the list of exposed methods: {exposed}"
    )]
    CancelNotExposed {
        /// The plugin named.
        target: String,
        /// Who cancels.
        caller: String,
        /// The method named.
        method: String,
        /// What may be called: `"a","b"`.
        exposed: String,
    },
    /// The caller itself is not active.
    #[error("Plugin \"{name}\" is currently deactivated. {what}. Activate \"{name}\" first.")]
    Deactivated {
        /// The caller.
        name: String,
        /// What it cannot do now.
        what: String,
    },
    /// A queue is full: the target's, or the number of calls a link may have under way.
    #[error(
        "Cannot call {method} of {target} from {caller}, because {target} is busy: {waiting} calls are waiting. Try again later."
    )]
    Busy {
        /// The plugin called.
        target: String,
        /// Who called.
        caller: String,
        /// The method called.
        method: String,
        /// How many calls wait or run.
        waiting: usize,
    },
    /// Plugins in the engine's process call each other so deep that their stack might not suffice.
    #[error(
        "Cannot call {method} of {target} from {caller}: it would be the call number {limit} within calls of plugins that wait for each other"
    )]
    TooDeep {
        /// The plugin called.
        target: String,
        /// Who called.
        caller: String,
        /// The method called.
        method: String,
        /// The bound.
        limit: u32,
    },
    /// A method named `handshake` of a plugin behind a link, or called by one: the other end would take the call for the
    /// link's own handshake.
    #[error(
        "Cannot call \"handshake\" of {target} from {caller} over a link: the name is reserved for the link's own handshake"
    )]
    Reserved {
        /// The plugin called.
        target: String,
        /// Who called.
        caller: String,
    },
    /// Too many listeners or too many events to remember.
    #[error(
        "{name} cannot listen to {event} of {emitter}: {limit} is the most there may be. Call off for events no longer wanted."
    )]
    TooManyListeners {
        /// Who wants to listen.
        name: String,
        /// The event.
        event: String,
        /// Whose event.
        emitter: String,
        /// The bound.
        limit: usize,
    },
    /// No engine has made its handshake with this plugin yet: see
    /// [`PluginClient::onload`](crate::PluginClient::onload).
    #[error("Not connected to the IDE. Wait for the handshake (`onload`) before you call or emit")]
    NotConnected,
    /// The engine this plugin was registered with is gone, or has removed it.
    #[error("Cannot use method \"{operation}\" from plugin \"{name}\". It is not registered in the engine.")]
    EngineGone {
        /// The plugin.
        name: String,
        /// What it cannot do any more.
        operation: &'static str,
    },
    /// The host has a rule against it: see [`EngineBuilder::access_rule`](crate::EngineBuilder::access_rule).
    #[error("\"{from}\" may not {what}: the host's rule \"{rule}\" does not allow it")]
    Denied {
        /// Who asked.
        from: String,
        /// For what, such as `call "add" of "calculator"`.
        what: String,
        /// The rule's name.
        rule: String,
    },
    /// Any refusal by an engine at the other end of a link, in its own words.
    #[error("{0}")]
    Told(String),
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
        #[source]
        end: Arc<LinkEnd>,
    },
    /// Another plugin's link ended at the engine, which says so over this plugin's link.
    #[error("{0}")]
    Told(String),
}

/// Why a plugin could not be registered.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegisterError {
    /// The name is taken.
    #[error("Plugin {0} is already register.")]
    AlreadyRegistered(String),
    /// A profile lists a method that its library lacks.
    #[error("Method {method} is exposed by LibraryPlugin {plugin}. But library doesn't expose this method")]
    NotInLibrary {
        /// The method listed.
        method: String,
        /// The plugin.
        plugin: String,
    },
    /// Names are parts of paths such as `plugin.service`.
    #[error("a plugin cannot be named \"{0}\": a name is not empty and holds no dot")]
    BadName(String),
}

/// Why a plugin was not activated or deactivated.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum ActivateError {
    /// No plugin of that name.
    #[error("Cannot active plugin {0} because it's not registered yet")]
    NotRegistered(String),
    /// The policy or the plugin itself does not allow it: see [`Policy`](crate::Policy) and
    /// [`Plugin::can_deactivate`](crate::Plugin::can_deactivate).
    #[error("Plugin {caller} has no right to {what} plugin {name}")]
    NoRight {
        /// Who asked.
        caller: String,
        /// `activate` or `deactivate`.
        what: &'static str,
        /// The plugin named.
        name: String,
    },
    /// The host has a rule against it: a [`Refusal::Denied`].
    #[error("{0}")]
    Denied(Box<Refusal>),
    /// No link could be made.
    #[error("cannot connect to plugin \"{name}\" at {url}: {end}")]
    Connect {
        /// The plugin.
        name: String,
        /// Where it should be, after `transform_url`, as [`shown_url`](crate::shown_url()) shows it.
        url: String,
        /// What went wrong the last time it was tried.
        #[source]
        end: Arc<LinkEnd>,
    },
    /// There is a link, but the plugin did not answer the handshake.
    #[error("plugin \"{name}\" at {url} did not answer its handshake within {within:?}: is it a plugin?")]
    NoHandshake {
        /// The plugin.
        name: String,
        /// Where it is, as [`shown_url`](crate::shown_url()) shows it.
        url: String,
        /// The limit ([`PluginOptions::activation_timeout`](crate::PluginOptions)).
        within: Duration,
    },
    /// The plugin answered its handshake with an error.
    #[error("plugin \"{name}\" refused the handshake: {error}")]
    Handshake {
        /// The plugin.
        name: String,
        /// What it said.
        error: String,
    },
    /// Its activation hook did not end in time.
    #[error("plugin \"{name}\" did not finish its activation hook within {within:?}")]
    Hook {
        /// The plugin.
        name: String,
        /// The limit ([`PluginOptions::activation_timeout`](crate::PluginOptions)).
        within: Duration,
    },
    /// Its activation hook panicked.
    #[error("the activation hook of plugin \"{0}\" panicked")]
    HookPanicked(String),
    /// It was deactivated or removed before its activation had finished.
    #[error("plugin \"{0}\" was deactivated before its activation had finished")]
    Interrupted(String),
    /// It is being deactivated, and its deactivation waits for the plugin that asks for this activation.
    #[error("plugin \"{0}\" cannot be activated now: its deactivation, which is under way, waits for this activation")]
    Circular(String),
    /// The engine is gone.
    #[error("the engine has been dropped")]
    EngineGone,
    /// The tokio runtime that worked on it has shut down, or the call was made outside of one.
    #[error(
        "there is no tokio runtime to change the plugin's state: call this within one, and keep it until this returns"
    )]
    NoRuntime,
}

/// Why a profile was not updated.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum UpdateError {
    /// No plugin of that name.
    #[error("Plugin {0} is not register, you cannot update it's profile.")]
    NotRegistered(String),
    /// Only a plugin itself updates its profile.
    #[error("A plugin cannot change its name.")]
    NotItsOwn,
    /// Where a plugin lives is the host's to say.
    #[error("Url from Profile cannot be updated.")]
    Url,
    /// The result would not be a profile.
    #[error("the update is no profile: {0}")]
    NotAProfile(String),
    /// The host's policy does not allow it, and why.
    #[error("{0}")]
    Denied(String),
}

/// Why a service was not created.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum ServiceError {
    /// The name is a method's.
    #[error("A service cannot have the same name as an exposed method")]
    NameTaken,
    /// No service was prepared under that name.
    #[error("no service \"{0}\" has been prepared")]
    NotPrepared(String),
    /// The engine did not accept the new list of methods.
    #[error("the engine did not take the service: {0}")]
    Engine(#[from] CallError),
}
