//! Reaches plugins behind a NATS server.

use std::sync::Arc;

use connector_core::{ConnectError, ExternalProfile, Link, PluginConnector, Profile, Registration, async_trait};
use tokio::sync::broadcast::{self, error::TryRecvError};

use super::open::open;
use crate::config::NatsConfig;
use crate::connection::Connection;
use crate::forbidden::Forbidden;
use crate::link::{NatsLink, Room};
use crate::subjects::Subjects;

/// The engine's end: opens sessions with the replicas of a plugin.
///
/// [`connect`](PluginConnector::connect) takes the `url` that [`NatsConnector::url`] makes. It returns
/// [`ConnectError::Refused`] when something must be put right: no server listens, the login is not accepted, no replica of
/// the plugin serves, or the server forbids this program to use one of the subjects. It returns
/// [`ConnectError::TimedOut`], [`ConnectError::Failed`] or [`ConnectError::Protocol`] when the next attempt may succeed.
#[derive(Debug)]
pub struct NatsConnector {
    config: NatsConfig,
    /// Kept for the next link while it works.
    connection: Option<Arc<Connection>>,
    /// What the server has refused since the last link was made: a link whose frames are refused ends at once, and another
    /// would, too.
    forbidden: Option<broadcast::Receiver<Forbidden>>,
    room: Room,
}

impl NatsConnector {
    /// Creates a connector over the servers of `config`.
    pub fn new(config: NatsConfig) -> NatsConnector {
        let room = Room::new(config.max_message);
        NatsConnector::sharing(room, config)
    }

    /// Shares the room for large messages with others of the same plugin.
    pub(super) fn sharing(room: Room, config: NatsConfig) -> NatsConnector {
        NatsConnector { config, connection: None, forbidden: None, room }
    }

    /// The `url` for the profile of the plugin with this name, for example `nats:plugins.calculator`: any of its replicas.
    ///
    /// # Errors
    /// [`NatsConfig::prefix`](NatsConfig#structfield.prefix) or the name cannot be part of a subject.
    pub fn url(plugin: &str, config: &NatsConfig) -> Result<String, crate::SubjectError> {
        Ok(Subjects::new(&config.prefix, plugin)?.url())
    }

    async fn connection(&mut self) -> Result<Arc<Connection>, ConnectError> {
        match &self.connection {
            Some(connection) if !connection.is_lost() => Ok(Arc::clone(connection)),
            _ => {
                let connection = self.config.connections.get(&self.config).await?;
                Ok(Arc::clone(self.connection.insert(connection)))
            }
        }
    }

    pub(crate) async fn open(&mut self, url: &str) -> Result<NatsLink, ConnectError> {
        let refused = |error: &dyn std::fmt::Display| ConnectError::Refused(error.to_string());
        self.config.check().map_err(|bad| refused(&bad))?;
        let (subjects, replica) = Subjects::parse(url).map_err(|bad| refused(&bad))?;
        let limit = self.config.connect_timeout;
        if let Some(refusal) = self.refusal(&subjects) {
            return Err(refused(&refusal));
        }
        let opened = async {
            let connection = self.connection().await?;
            open(connection, &subjects, replica.as_deref(), &self.config, &self.room).await
        };
        let opened = tokio::time::timeout(limit, opened).await.unwrap_or(Err(ConnectError::TimedOut(limit)));
        self.forbidden = self.connection.as_ref().map(|connection| connection.forbidden());
        opened
    }

    /// What the server has refused to the last link, which is forgotten.
    fn refusal(&mut self, subjects: &Subjects) -> Option<Forbidden> {
        let mut forbidden = self.forbidden.take()?;
        loop {
            match forbidden.try_recv() {
                Ok(refusal) if refusal.is_among(subjects) => return Some(refusal),
                Ok(_) | Err(TryRecvError::Lagged(_)) => {}
                Err(TryRecvError::Empty | TryRecvError::Closed) => return None,
            }
        }
    }
}

#[async_trait]
impl PluginConnector for NatsConnector {
    async fn connect(&mut self, url: &str) -> Result<Box<dyn Link>, ConnectError> {
        Ok(Box::new(self.open(url).await?))
    }

    fn activated(&mut self) {
        self.forbidden = None;
    }
}

/// The plugin `profile` (or just its name) that replicas serve at the NATS servers of `config`, to be registered with an
/// engine. A name that cannot be part of a subject is an error of activating the plugin.
pub fn plugin(profile: impl Into<Profile>, config: NatsConfig) -> Registration {
    let profile = profile.into();
    // The URL of an unusable name says so when it is connected to.
    let url = NatsConnector::url(&profile.name, &config).unwrap_or_else(|_| "nats:".to_owned());
    Registration::behind(ExternalProfile::new(profile, url), NatsConnector::new(config))
}
