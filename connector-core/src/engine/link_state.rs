//! The state of a plugin's link: as a host sees it, and the state machine of the connection that it is derived from, which
//! knows whether the link is up and which activation waits for it. No I/O, no tasks, no clock.

use std::{fmt, mem};

use crate::connector::{ConnectError, LinkEnd};

/// The state of a plugin's link.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum LinkState {
    /// The plugin is not active, so there is no link.
    Inactive,
    /// The first link since activation is being made.
    Connecting,
    /// The link is up and the handshake complete.
    Up,
    /// The link is down. The engine keeps reconnecting until the link is up or the plugin is deactivated, unless `why`
    /// is [`LinkEnd::Unreachable`] with a [`ConnectError::GivenUp`](crate::ConnectError::GivenUp): then the link stays
    /// down until the plugin is deactivated and activated again.
    Down {
        /// How the link ended, or why the last attempt failed.
        why: LinkEnd,
        /// The number of failed attempts since.
        tries: u32,
    },
}

impl LinkState {
    /// Whether calls reach the plugin.
    pub fn is_up(&self) -> bool {
        matches!(self, LinkState::Up)
    }

    /// Why calls are refused; `None` while the link is up.
    pub(super) fn down(&self) -> Option<LinkEnd> {
        match self {
            LinkState::Up => None,
            LinkState::Down { why, .. } => Some(why.clone()),
            LinkState::Inactive | LinkState::Connecting => Some(LinkEnd::Disconnected),
        }
    }
}

impl fmt::Display for LinkState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LinkState::Inactive => f.write_str("inactive"),
            LinkState::Connecting => f.write_str("connecting"),
            LinkState::Up => f.write_str("up"),
            LinkState::Down { why, tries } => write!(f, "down ({why}); tries since: {tries}"),
        }
    }
}

/// A plugin's connection. `W` identifies the activation that waits for the first handshake.
#[derive(Debug)]
pub(super) struct Connection<W> {
    state: State<W>,
    /// Whether the plugin is being deactivated, or the replica leaves it, so that the end of its supervisor is expected.
    stopping: bool,
    /// Whether the replica leaves its plugin, which is announced.
    leaving: bool,
}

#[derive(Debug)]
enum State<W> {
    Inactive,
    /// No link has been up since the activation began.
    Activating {
        waiter: W,
        last: Option<LinkEnd>,
        tries: u32,
    },
    /// A replica's: no link has been up since it joined. Its plugin's activation does not end with it.
    Joining {
        tries: u32,
    },
    Up,
    Down {
        why: LinkEnd,
        tries: u32,
    },
}

#[derive(Debug)]
pub(super) enum ConnectionEvent<W> {
    /// An activation begins. The supervisor of the previous one has ended.
    Activate(W),
    /// A replica joins its plugin. The supervisor of the previous time has ended.
    Join,
    /// The first handshake over a link is complete. `listed` if it listed the plugin's methods.
    Loaded { listed: bool },
    /// The link has ended, or could not be made.
    Failed(LinkEnd),
    /// The activation took too long.
    TimedOut,
    /// The plugin is being deactivated: the link must be closed.
    Stop,
    /// The replica leaves its plugin: the link must be closed.
    Leave,
    /// The supervisor has ended, so no link will be made.
    Ended,
    /// The plugin is inactive, whatever its supervisor still does.
    Reset,
}

/// The consequences of an event.
#[derive(Debug)]
pub(super) struct Effects<W> {
    /// The new public state, which the queue in front of the link follows.
    pub(super) published: Option<LinkState>,
    /// The activation that has ended.
    pub(super) activated: Option<(W, Activated)>,
    pub(super) next: Next,
}

/// How an activation ended.
#[derive(Debug)]
pub(super) enum Activated {
    Connected {
        listed: bool,
    },
    /// How the last attempt ended, if one did.
    Failed(Option<LinkEnd>),
    /// The engine or its runtime has ended.
    Gone,
}

/// What the supervisor does next. Unless it retries, it ends after its link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    Nothing,
    /// Announces that a lost link is up again, or one of a replica that has joined.
    AnnounceUp,
    /// Announces that the link is lost.
    AnnounceDown {
        retry: bool,
    },
    /// Announces that the link of a replica is closed, because it leaves its plugin.
    AnnounceLeft,
    /// Traces a failed attempt. `tries` counts them since the activation or the loss.
    TraceFailure {
        tries: u32,
        activating: bool,
        retry: bool,
    },
    /// Makes the plugin inactive: the supervisor has ended without a reason.
    Deactivate,
}

impl<W> Connection<W> {
    pub(super) fn new() -> Self {
        Connection { state: State::Inactive, stopping: false, leaving: false }
    }

    pub(super) fn transition(&mut self, event: ConnectionEvent<W>) -> Effects<W> {
        let before = mem::replace(&mut self.state, State::Inactive);
        let kind = mem::discriminant(&before);
        let (state, activated, next) = match (event, before) {
            (ConnectionEvent::Activate(waiter), before) => {
                (self.stopping, self.leaving) = (false, false);
                (State::Activating { waiter, last: None, tries: 0 }, before.abandoned(), Next::Nothing)
            }
            (ConnectionEvent::Loaded { listed }, State::Activating { waiter, .. }) => {
                (State::Up, Some((waiter, Activated::Connected { listed })), Next::Nothing)
            }
            (ConnectionEvent::Join, before) => {
                (self.stopping, self.leaving) = (false, false);
                (State::Joining { tries: 0 }, before.abandoned(), Next::Nothing)
            }
            (ConnectionEvent::Loaded { .. }, State::Down { .. } | State::Joining { .. }) => {
                (State::Up, None, Next::AnnounceUp)
            }
            (ConnectionEvent::Failed(LinkEnd::Disconnected), State::Up) if self.leaving => {
                (State::Inactive, None, Next::AnnounceLeft)
            }
            // This end has closed the link, for a deactivation.
            (ConnectionEvent::Failed(LinkEnd::Disconnected), before) => {
                (State::Inactive, before.abandoned(), Next::Nothing)
            }
            (ConnectionEvent::Failed(end), State::Activating { waiter, last, tries }) => {
                let (tries, retry) = (tries + 1, !is_final(&end, last.as_ref()));
                let next = Next::TraceFailure { tries, activating: true, retry };
                match retry {
                    true => (State::Activating { waiter, last: Some(end), tries }, None, next),
                    false => (State::Inactive, Some((waiter, Activated::Failed(Some(end)))), next),
                }
            }
            (ConnectionEvent::Failed(why), State::Joining { tries }) => {
                let (tries, retry) = (tries + 1, !has_given_up(&why));
                let state = if retry { State::Joining { tries } } else { State::Down { why, tries } };
                (state, None, Next::TraceFailure { tries, activating: true, retry })
            }
            (ConnectionEvent::Failed(why), State::Up) => {
                let next = Next::AnnounceDown { retry: !has_given_up(&why) };
                (State::Down { why, tries: 0 }, None, next)
            }
            (ConnectionEvent::Failed(why), State::Down { tries, .. }) => {
                let (tries, retry) = (tries + 1, !has_given_up(&why));
                (State::Down { why, tries }, None, Next::TraceFailure { tries, activating: false, retry })
            }
            (ConnectionEvent::TimedOut, State::Activating { waiter, last, .. }) => {
                (State::Inactive, Some((waiter, Activated::Failed(last))), Next::Nothing)
            }
            (ConnectionEvent::Loaded { .. } | ConnectionEvent::TimedOut, state) => (state, None, Next::Nothing),
            (ConnectionEvent::Stop, state) => {
                self.stopping = true;
                (state, None, Next::Nothing)
            }
            (ConnectionEvent::Leave, state) => {
                (self.stopping, self.leaving) = (true, true);
                (state, None, Next::Nothing)
            }
            // Kept for its reason until the plugin is deactivated.
            (ConnectionEvent::Ended, State::Down { why, tries }) if has_given_up(&why) => {
                (State::Down { why, tries }, None, Next::Nothing)
            }
            (ConnectionEvent::Ended, before) if !self.stopping => {
                (State::Inactive, before.abandoned(), Next::Deactivate)
            }
            (ConnectionEvent::Failed(_) | ConnectionEvent::Ended | ConnectionEvent::Reset, before) => {
                (State::Inactive, before.abandoned(), Next::Nothing)
            }
        };
        self.state = state;
        let changed = kind != mem::discriminant(&self.state) || matches!(self.state, State::Down { .. });
        Effects { published: changed.then(|| self.link_state()), activated, next }
    }

    fn link_state(&self) -> LinkState {
        match &self.state {
            State::Inactive => LinkState::Inactive,
            State::Activating { .. } | State::Joining { .. } => LinkState::Connecting,
            State::Up => LinkState::Up,
            State::Down { why, tries } => LinkState::Down { why: why.clone(), tries: *tries },
        }
    }
}

impl<W> State<W> {
    fn abandoned(self) -> Option<(W, Activated)> {
        match self {
            State::Activating { waiter, .. } => Some((waiter, Activated::Gone)),
            _ => None,
        }
    }
}

/// Whether an activation whose attempt failed like this fails at once.
pub(super) fn is_final(end: &LinkEnd, last: Option<&LinkEnd>) -> bool {
    match end {
        LinkEnd::BadHandshake(_) => true,
        LinkEnd::Unreachable(error) if !error.is_retryable() => true,
        // One frame may have been corrupted in transit, but hardly two in a row.
        end => breaks_protocol(end) && last.is_some_and(breaks_protocol),
    }
}

/// What answered does not speak the transport's protocol, or not the plugin's.
fn breaks_protocol(end: &LinkEnd) -> bool {
    matches!(end, LinkEnd::BadFrame(_) | LinkEnd::Unreachable(ConnectError::Protocol(_)))
}

fn has_given_up(why: &LinkEnd) -> bool {
    matches!(why, LinkEnd::Unreachable(ConnectError::GivenUp(_)))
}

#[cfg(test)]
mod tests;
