//! Reasons why the engine refuses an operation.

use thiserror::Error;

/// Why a call, a cancel, a subscription or an emit was refused. Uses the published engine's text where there is one.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// No plugin of that name.
    #[error("Cannot call {target} from {caller}, because {target} is not registered")]
    NotRegistered {
        /// The plugin called.
        target: String,
        /// The caller.
        caller: String,
    },
    /// The plugin is not active and may not be activated by this call.
    #[error("{caller} cannot call {method} of {target}, because {target} is not activated yet")]
    NotActivated {
        /// The plugin called.
        target: String,
        /// The caller.
        caller: String,
        /// The method called.
        method: String,
    },
    /// The plugin is not active, and its activation by this call failed: see [`ActivateError`](crate::ActivateError).
    #[error("{0}")]
    NotActivatable(String),
    /// The method is not in the plugin's profile.
    #[error(
        "Cannot call method \"{method}\" of \"{target}\" from \"{caller}\", because \"{method}\" is not exposed. Here is the list of exposed methods: {exposed}"
    )]
    NotExposed {
        /// The plugin called.
        target: String,
        /// The caller.
        caller: String,
        /// The method called.
        method: String,
        /// The callable methods: `"a","b"`.
        exposed: String,
    },
    /// [`cancel`](crate::PluginClient::cancel) of an unknown plugin.
    #[error("Cannot cancel {method} on {target} from {caller}, because {target} is not registered")]
    CancelNotRegistered {
        /// The plugin named.
        target: String,
        /// The caller.
        caller: String,
        /// The method named; `undefined` if none, as in the published engine.
        method: String,
    },
    /// [`cancel`](crate::PluginClient::cancel) of a plugin that is not active.
    #[error("{caller} cannot cancel {what}{target}, because {target} is not activated")]
    CancelNotActivated {
        /// The plugin named.
        target: String,
        /// The caller.
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
        /// The caller.
        caller: String,
        /// The method named.
        method: String,
        /// The callable methods: `"a","b"`.
        exposed: String,
    },
    /// The caller itself is not active.
    #[error("Plugin \"{name}\" is currently deactivated. {what}. Activate \"{name}\" first.")]
    Deactivated {
        /// The caller.
        name: String,
        /// The operation that it cannot perform.
        what: String,
    },
    /// The target's queue is full, or the limit of a link's pending calls is reached.
    #[error(
        "Cannot call {method} of {target} from {caller}, because {target} is busy: {waiting} calls are waiting. Try again later."
    )]
    Busy {
        /// The plugin called.
        target: String,
        /// The caller.
        caller: String,
        /// The method called.
        method: String,
        /// The number of pending calls.
        waiting: usize,
    },
    /// The target is being stopped gracefully, with all its replicas if it has several: it completes the calls that it
    /// runs, and takes no others.
    #[error("Cannot call {target}, because it is stopping. Try again later.")]
    Stopping {
        /// The plugin called.
        target: String,
    },
    /// The memory that is held for the caller's link has reached its limit: see
    /// [`PluginOptions::memory_limit`](crate::PluginOptions::memory_limit).
    #[error(
        "Cannot call {method} of {target} from {caller}, because {caller} uses too much memory: {why}. Try again later."
    )]
    OverBudget {
        /// The plugin called.
        target: String,
        /// The caller.
        caller: String,
        /// The method called.
        method: String,
        /// The bytes in use, and the limit.
        why: String,
    },
    /// The arguments exceed the limits of the JSON that is forwarded to the plugin: see
    /// [`PluginOptions::max_depth`](crate::PluginOptions::max_depth).
    #[error("Cannot call {method} of {target} from {caller}, because the arguments contain {why}")]
    TooComplex {
        /// The plugin called.
        target: String,
        /// The caller.
        caller: String,
        /// The method called.
        method: String,
        /// The limit.
        why: String,
    },
    /// The name of a plugin, method or event is too long.
    #[error("Cannot call or listen to a name of {length} bytes: names have at most {limit}")]
    NameTooLong {
        /// The length of the name, in bytes.
        length: usize,
        /// The bound.
        limit: usize,
    },
    /// Calls between plugins in the engine's process are nested so deeply that the stack might overflow.
    #[error(
        "Cannot call {method} of {target} from {caller}: it would be the call number {limit} within calls of plugins that wait for each other"
    )]
    TooDeep {
        /// The plugin called.
        target: String,
        /// The caller.
        caller: String,
        /// The method called.
        method: String,
        /// The bound.
        limit: u32,
    },
    /// The work has passed from one engine to another too often, for example because two engines lend each other plugins
    /// that call each other: see [`EngineBuilder::max_hops`](crate::EngineBuilder::max_hops).
    #[error(
        "Cannot call {method} of {target} from {caller}: the work would pass from one engine to another {hops} times, and may do so {limit} times ({chain})"
    )]
    TooManyHops {
        /// The plugin called.
        target: String,
        /// The caller.
        caller: String,
        /// The method called.
        method: String,
        /// How often the work would have passed from one engine to another.
        hops: u32,
        /// The bound.
        limit: u32,
        /// The way that it has come: `engine/plugin → engine/plugin → …`.
        chain: String,
    },
    /// The method `handshake` of a plugin behind a link, or called by one: the other end would confuse the call with the
    /// link's own handshake.
    #[error(
        "Cannot call \"handshake\" of {target} from {caller} over a link: the name is reserved for the link's own handshake"
    )]
    Reserved {
        /// The plugin called.
        target: String,
        /// The caller.
        caller: String,
    },
    /// There are too many listeners or stored events.
    #[error(
        "{name} cannot listen to {event} of {emitter}: {limit} is the most there may be. Call off for events no longer wanted."
    )]
    TooManyListeners {
        /// The subscribing plugin.
        name: String,
        /// The event.
        event: String,
        /// The emitter of the event.
        emitter: String,
        /// The bound.
        limit: usize,
    },
    /// The memory that is held for the listener's link has reached its limit: see
    /// [`PluginOptions::memory_limit`](crate::PluginOptions::memory_limit).
    #[error("{name} cannot listen to {event} of {emitter}, because {name} uses too much memory: {why}.")]
    OverBudgetToListen {
        /// The subscribing plugin.
        name: String,
        /// The event.
        event: String,
        /// The emitter of the event.
        emitter: String,
        /// The bytes in use, and the limit.
        why: String,
    },
    /// No engine has performed the handshake with this plugin yet: see
    /// [`PluginClient::onload`](crate::PluginClient::onload).
    #[error("Not connected to the IDE. Wait for the handshake (`onload`) before you call or emit")]
    NotConnected,
    /// The plugin's engine is gone, or has removed the plugin.
    #[error("Cannot use method \"{operation}\" from plugin \"{name}\". It is not registered in the engine.")]
    EngineGone {
        /// The plugin.
        name: String,
        /// The operation that failed.
        operation: &'static str,
    },
    /// An access rule denies it: see [`EngineBuilder::access_rule`](crate::EngineBuilder::access_rule).
    #[error("\"{from}\" may not {what}: the host's rule \"{rule}\" does not allow it")]
    Denied {
        /// The requesting plugin.
        from: String,
        /// The operation, such as `call "add" of "calculator"`.
        what: String,
        /// The rule's name.
        rule: String,
    },
    /// A refusal received from an engine over a link, with its text.
    #[error("{0}")]
    Reported(String),
}

impl Refusal {
    /// [`NotExposed`](Refusal::NotExposed) without the list of methods, which only the router has.
    pub(crate) fn not_exposed_unlisted(target: &str, caller: &str, method: &str) -> Refusal {
        Refusal::Reported(format!(
            "Cannot call method \"{method}\" of \"{target}\" from \"{caller}\", because \"{method}\" is not exposed."
        ))
    }
}
