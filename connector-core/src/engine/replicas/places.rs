//! Places that come and go.

use std::fmt;

use async_trait::async_trait;

use crate::connector::{ConnectError, PluginConnector};

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

    /// Where replicas are looked for, as the error of an activation for which none is found says it after "at", without
    /// secrets: for example the server that is asked, and for what. Asked for once, at registration.
    fn searched(&self) -> String {
        "its places".to_owned()
    }
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
    /// Replicas cannot be looked for now: what knows them is unreachable, or does not tell this program. It is asked again,
    /// after a delay that [`next`](Places::next) keeps. An activation for which no replica is found fails with this error, at
    /// once unless it is [retryable](ConnectError::is_retryable).
    SearchFailed {
        /// What was asked, as [`redacted_url`](crate::redacted_url()) shows it.
        url: String,
        /// Why. Its text says what to do about it.
        error: ConnectError,
    },
}

impl fmt::Debug for PlaceChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, replica) = match self {
            PlaceChange::Found { replica, .. } => ("Found", replica),
            PlaceChange::Draining { replica } => ("Draining", replica),
            PlaceChange::Gone { replica } => ("Gone", replica),
            PlaceChange::SearchFailed { url, error } => {
                return f.debug_struct("SearchFailed").field("url", url).field("error", error).finish();
            }
        };
        f.debug_struct(kind).field("replica", replica).finish_non_exhaustive()
    }
}
