//! Errors of registration, activation and updates.

use std::time::Duration;

use thiserror::Error;

use super::{CallError, Refusal};
use crate::bad_setting::BadSetting;
use crate::connector::{ConnectError, LinkEnd};

/// Why a plugin could not be registered.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegisterError {
    /// The name is taken.
    #[error("Plugin {0} is already register.")]
    AlreadyRegistered(String),
    /// The profile lists a method that the library does not have.
    #[error("Method {method} is exposed by LibraryPlugin {plugin}. But library doesn't expose this method")]
    NotInLibrary {
        /// The method listed.
        method: String,
        /// The plugin.
        plugin: String,
    },
    /// The name is invalid, because names are parts of paths such as `plugin.service`.
    #[error("invalid plugin name \"{0}\": a name must not be empty or contain a dot")]
    BadName(String),
    /// The name is too long.
    #[error("invalid plugin name: it has {length} bytes, and may have at most {limit}")]
    NameTooLong {
        /// The length of the name, in bytes.
        length: usize,
        /// The bound.
        limit: usize,
    },
    /// A replica cannot be one: see [`Replicas`](crate::Replicas).
    #[error("cannot register plugin \"{plugin}\" with its replica \"{replica}\": {why}")]
    BadReplica {
        /// The plugin.
        plugin: String,
        /// The name of the replica.
        replica: String,
        /// What is wrong with it.
        why: String,
    },
    /// The plugin is made by [`Engine::lend`](crate::Engine::lend).
    #[error(
        "plugin \"{0}\" is lent by its engine: serve it, and register the transport's plugin with the other engine"
    )]
    Lent(String),
    /// An option with which nothing can work, such as a limit of 0.
    #[error("cannot register plugin \"{plugin}\": {setting}")]
    Setting {
        /// The plugin.
        plugin: String,
        /// The option.
        setting: BadSetting,
    },
}

/// Why a plugin cannot be lent.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum LendError {
    /// The manager decides for this engine alone.
    #[error("the manager cannot be lent: lend the plugins that the other engine needs")]
    Manager,
    /// The borrower's name is invalid, because it is part of its plugins' names.
    #[error("invalid engine name \"{0}\": a name must not be empty, contain a slash, or have more than 1024 bytes")]
    BadName(String),
}

/// Why a plugin was not activated or deactivated.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum ActivateError {
    /// No plugin of that name.
    #[error("Cannot active plugin {0} because it's not registered yet")]
    NotRegistered(String),
    /// The policy or the plugin itself denies it: see [`Policy`](crate::Policy) and
    /// [`Plugin::can_deactivate`](crate::Plugin::can_deactivate).
    #[error("Plugin {caller} has no right to {what} plugin {name}")]
    NoRight {
        /// The requesting plugin.
        caller: String,
        /// `activate` or `deactivate`.
        what: &'static str,
        /// The plugin named.
        name: String,
    },
    /// An access rule denies it: a [`Refusal::Denied`].
    #[error("{0}")]
    Denied(Box<Refusal>),
    /// No link could be made.
    #[error("cannot connect to plugin \"{name}\" at {url}: {error}")]
    Connect {
        /// The plugin.
        name: String,
        /// The URL after `transform_url`, as [`redacted_url`](crate::redacted_url()) shows it. If no replica has been found,
        /// [where they are looked for](crate::Places::searched).
        url: String,
        /// Why the last attempt failed.
        error: ConnectError,
    },
    /// A link was made, but ended before the plugin answered the handshake.
    #[error(
        "the link to plugin \"{name}\" at {url} ended before its handshake ({end}): check that a plugin runs there"
    )]
    Link {
        /// The plugin.
        name: String,
        /// The URL, as [`redacted_url`](crate::redacted_url()) shows it.
        url: String,
        /// How the last link ended.
        end: LinkEnd,
    },
    /// There is a link, but the plugin did not answer the handshake.
    #[error(
        "plugin \"{name}\" at {url} did not answer the handshake within {within:?}: check that a plugin runs there"
    )]
    NoHandshake {
        /// The plugin.
        name: String,
        /// The URL, as [`redacted_url`](crate::redacted_url()) shows it.
        url: String,
        /// The limit ([`PluginOptions::activation_timeout`](crate::PluginOptions)).
        within: Duration,
    },
    /// The plugin answered its handshake with an error.
    #[error("plugin \"{name}\" refused the handshake: {error}")]
    Handshake {
        /// The plugin.
        name: String,
        /// The plugin's error.
        error: String,
    },
    /// The activation hook did not complete in time.
    #[error("plugin \"{name}\" did not finish its activation hook within {within:?}")]
    Hook {
        /// The plugin.
        name: String,
        /// The limit ([`PluginOptions::activation_timeout`](crate::PluginOptions)).
        within: Duration,
    },
    /// The activation hook panicked.
    #[error("the activation hook of plugin \"{0}\" panicked")]
    HookPanicked(String),
    /// The plugin was deactivated or removed before its activation had finished.
    #[error("plugin \"{0}\" was deactivated before its activation had finished")]
    Interrupted(String),
    /// The plugin is being deactivated, and its deactivation waits for the plugin that requests this activation.
    #[error("plugin \"{0}\" cannot be activated: its deactivation is in progress and waits for this activation")]
    Circular(String),
    /// One request names too many plugins.
    #[error("{plugins} plugins are too many for one request: split it into requests of at most {limit}")]
    TooMany {
        /// The number of plugins named.
        plugins: usize,
        /// The bound.
        limit: usize,
    },
    /// The engine is gone.
    #[error("the engine has been dropped")]
    EngineGone,
    /// The tokio runtime has shut down, or the call was made outside of one.
    #[error(
        "no tokio runtime is available to change the plugin's state: call this within a runtime that outlives the call"
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
    /// A plugin may only update its own profile.
    #[error("A plugin cannot change its name.")]
    NotItsOwn,
    /// Only the host determines a plugin's URL.
    #[error("Url from Profile cannot be updated.")]
    Url,
    /// The result would not be a profile.
    #[error("the update is not a valid profile: {0}")]
    NotAProfile(String),
    /// The profile would be too large.
    #[error("the profile would have {bytes} bytes, and may have at most {limit}")]
    TooLarge {
        /// Its size as JSON, or that of the update, in bytes.
        bytes: usize,
        /// The bound.
        limit: usize,
    },
    /// The host's policy denies it; holds the reason.
    #[error("{0}")]
    Denied(String),
}

/// Why a service was not created.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum ServiceError {
    /// A method has this name.
    #[error("A service cannot have the same name as an exposed method")]
    NameTaken,
    /// No service was prepared under that name.
    #[error("service \"{0}\" is not prepared: call `prepare_service` before each activation")]
    NotPrepared(String),
    /// The engine rejected the new list of methods.
    #[error("the engine rejected the service: {0}")]
    Engine(CallError),
}

impl From<CallError> for ServiceError {
    fn from(error: CallError) -> ServiceError {
        ServiceError::Engine(error)
    }
}
