//! The kinds of messages and of errors.

use serde::{Deserialize, Serialize};

/// The kind of a message (docs/protocol.md, section 2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Action {
    /// A call. `call` is accepted as well.
    Request,
    /// The response to a call.
    Response,
    /// Subscribe to an event. `listen` is accepted as well.
    On,
    /// Subscribe to an event's next occurrence.
    Once,
    /// Unsubscribe.
    Off,
    /// An event, as a plugin sends it.
    Emit,
    /// An event, as an engine sends it. Both sides accept both.
    Notification,
    /// Cancel calls: by name and method, or by id between native peers.
    Cancel,
    /// Further work waits for a call of a lent plugin. Only to the engine that lends it.
    Await,
}

impl Action {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Action::Request => "request",
            Action::Response => "response",
            Action::On => "on",
            Action::Once => "once",
            Action::Off => "off",
            Action::Emit => "emit",
            Action::Notification => "notification",
            Action::Cancel => "cancel",
            Action::Await => "await",
        }
    }

    pub(super) fn read(text: &str) -> Option<Action> {
        Some(match text {
            "request" | "call" => Action::Request,
            "response" => Action::Response,
            "on" | "listen" => Action::On,
            "once" => Action::Once,
            "off" => Action::Off,
            "emit" => Action::Emit,
            "notification" => Action::Notification,
            "cancel" => Action::Cancel,
            "await" => Action::Await,
            _ => return None,
        })
    }
}

/// The kind of a call's failure, which native engines send with the error's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum ErrorKind {
    /// An error returned by the plugin.
    Plugin,
    /// The plugin rejected the arguments.
    BadArguments,
    /// The engine refused the call.
    Refused,
    /// The call timed out.
    TimedOut,
    /// The call was cancelled.
    Cancelled,
    /// A link was lost.
    LinkLost,
}
