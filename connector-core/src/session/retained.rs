//! The parts of a message that a session needs if the message cannot be sent.

use crate::wire::{Action, Id, Message, Name};

/// Fields of a message retained so that a failed send can be reported.
pub(crate) struct Retained {
    pub(crate) action: Action,
    pub(crate) id: Option<Id>,
    /// Of a response: what it answers, and whether it is an error already.
    pub(crate) answers: Option<(Name, Name)>,
    pub(crate) failed: bool,
}

impl Retained {
    pub(crate) fn of(message: &Message) -> Retained {
        let answers = match message.action {
            Action::Response => message.name.clone().zip(message.key.clone()),
            _ => None,
        };
        Retained { action: message.action, id: message.id.clone(), answers, failed: message.error.is_some() }
    }
}
