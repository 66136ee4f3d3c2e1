//! The state of a plugin's link, as a host sees it.

use std::fmt;

use crate::connector::LinkEnd;

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
