//! Places that come and go.

use std::fmt;

use async_trait::async_trait;

use crate::connector::PluginConnector;

/// Finds the replicas of a plugin: to register with [`Replicas::places`](super::Replicas::places). A transport with
/// discovery implements it.
#[async_trait]
pub trait Places: Send + 'static {
    /// Called when the plugin is being activated. What was told before no longer counts: [`next`](Places::next) tells of
    /// each place that is there, as of one just found.
    fn activated(&mut self);

    /// The next change. `None`: there will be no more until the next activation. Cancel safe: no change is lost.
    ///
    /// It is awaited while the plugin is active, and dropped when it is deactivated.
    async fn next(&mut self) -> Option<PlaceChange>;
}

/// A change of a plugin's places.
#[non_exhaustive]
pub enum PlaceChange {
    /// A replica is there. Its link is made, and made again after each loss until it is gone. If there is one of that name
    /// already, that one drains and is gone, and this takes its place: tell of each once.
    Found {
        /// The replica's name: not empty, at most 1 KiB.
        replica: String,
        /// The URL that is passed to the connector, after [`transform_url`](crate::PluginOptions::transform_url).
        url: String,
        /// What makes its links.
        connector: Box<dyn PluginConnector>,
    },
    /// A replica takes no more calls. Those that it runs may end. It is gone later.
    Draining {
        /// Its name.
        replica: String,
    },
    /// A replica is gone. If its link is still up, it is closed once the calls that it runs have ended.
    Gone {
        /// Its name.
        replica: String,
    },
}

impl fmt::Debug for PlaceChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, replica) = match self {
            PlaceChange::Found { replica, .. } => ("Found", replica),
            PlaceChange::Draining { replica } => ("Draining", replica),
            PlaceChange::Gone { replica } => ("Gone", replica),
        };
        f.debug_struct(kind).field("replica", replica).finish_non_exhaustive()
    }
}
