//! Why a call, a cancel, a listener or an emit was not let through.

use thiserror::Error;

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
    /// The plugin is not active, may be activated by this call, but could not be: see
    /// [`ActivateError`](crate::ActivateError).
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
