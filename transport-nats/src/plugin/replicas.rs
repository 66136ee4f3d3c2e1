//! Finds the replicas of a plugin.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_nats::{Message, Subscriber};
use connector_core::{ConnectError, Excerpt, PlaceChange, Places, Profile, ReconnectDelays, Replicas, async_trait};
use futures_util::StreamExt;
use tokio::time::{Instant, Interval, MissedTickBehavior};

use super::connector::NatsConnector;
use super::known::{Known, ReplicaChange};
use crate::config::NatsConfig;
use crate::connection::Connection;
use crate::control::{Answer, Request, read, write};
use crate::subjects::{SubjectError, Subjects, unguessable};

/// The bounds of the delays between attempts to reach the server.
const DELAYS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// Watches the replicas of a plugin: who serves it now, who comes, drains and goes.
///
/// Replicas announce their changes. Besides, all are asked at intervals
/// ([`NatsConfig::probe_interval`](NatsConfig#structfield.probe_interval)), and one that does not answer is gone: its machine
/// may have failed. At most 1,024 replicas of a plugin are known at once.
///
/// ```no_run
/// use transport_nats::{NatsConfig, NatsReplicas, ReplicaChange};
///
/// # async fn example() -> Result<(), transport_nats::SubjectError> {
/// let mut replicas = NatsReplicas::new("calculator", NatsConfig::new("nats://127.0.0.1:4222"))?;
/// while let ReplicaChange::Found { replica, url } = replicas.next().await {
///     println!("{replica} can be reached at {url}");
/// }
/// # Ok(())
/// # }
/// ```
pub struct NatsReplicas {
    config: NatsConfig,
    subjects: Subjects,
    known: Known,
    watching: Option<Watching>,
    delays: ReconnectDelays,
    /// When the server may be tried again.
    next_attempt: Option<Instant>,
}

struct Watching {
    connection: Arc<Connection>,
    announced: Subscriber,
    answers: Subscriber,
    reply: String,
    interval: Interval,
}

impl NatsReplicas {
    /// Watches the plugin with this name, at the servers of `config`. Nothing happens before [`next`](NatsReplicas::next).
    ///
    /// # Errors
    /// The prefix or the name cannot be part of a subject.
    pub fn new(plugin: &str, config: NatsConfig) -> Result<NatsReplicas, SubjectError> {
        let (subjects, delays) = (Subjects::new(&config.prefix, plugin)?, ReconnectDelays::new(DELAYS.0, DELAYS.1));
        Ok(NatsReplicas { config, subjects, known: Known::default(), watching: None, delays, next_attempt: None })
    }

    /// Begins again: [`next`](NatsReplicas::next) tells of every replica that is there, as of one just found.
    pub fn restart(&mut self) {
        (self.known, self.watching, self.next_attempt) = (Known::default(), None, None);
    }

    /// The next change. Waits as long as there is none; if the server is unreachable, it is tried again and again. Cancel
    /// safe: no change is lost. Must be called within a tokio runtime.
    pub async fn next(&mut self) -> ReplicaChange {
        loop {
            if let Some(change) = self.known.changes.pop_front() {
                return change;
            }
            match &mut self.watching {
                Some(watching) if !watching.connection.is_lost() => {
                    if !watching.watch(&mut self.known, &self.subjects).await {
                        self.watching = None;
                    }
                }
                _ => self.connect().await,
            }
        }
    }

    async fn connect(&mut self) {
        self.watching = None;
        if let Some(at) = self.next_attempt {
            tokio::time::sleep_until(at).await;
        }
        match Watching::new(&self.config, &self.subjects).await {
            Ok(watching) => {
                self.watching = Some(watching);
                (self.delays, self.next_attempt) = (ReconnectDelays::new(DELAYS.0, DELAYS.1), None);
            }
            Err(error) => {
                let plugin = self.subjects.url();
                tracing::debug!(plugin, error = %Excerpt::new(error), "the replicas of a plugin cannot be watched yet");
                self.next_attempt = Some(Instant::now() + self.delays.next_delay());
            }
        }
    }
}

/// The plugin `profile` (or just its name) with all the replicas that serve it at the NATS servers of `config`, as they come
/// and go: to be registered with an engine, which holds a link to each.
///
/// # Errors
/// The prefix or the name cannot be part of a subject.
pub fn replicas(profile: impl Into<Profile>, config: NatsConfig) -> Result<Replicas, SubjectError> {
    let profile = profile.into();
    let places = NatsReplicas::new(&profile.name, config)?;
    Ok(Replicas::new(profile).places(places))
}

#[async_trait]
impl Places for NatsReplicas {
    fn activated(&mut self) {
        self.restart();
    }

    async fn next(&mut self) -> Option<PlaceChange> {
        Some(match NatsReplicas::next(self).await {
            ReplicaChange::Found { replica, url } => {
                let connector = Box::new(NatsConnector::new(self.config.clone()));
                PlaceChange::Found { replica, url, connector }
            }
            ReplicaChange::Draining { replica } => PlaceChange::Draining { replica },
            ReplicaChange::Gone { replica } => PlaceChange::Gone { replica },
        })
    }
}

impl Watching {
    async fn new(config: &NatsConfig, subjects: &Subjects) -> Result<Watching, ConnectError> {
        let lost = |error: &dyn fmt::Display| ConnectError::failed(error.to_string());
        config.check().map_err(|bad| ConnectError::Refused(bad.to_string()))?;
        let connection = config.connections.get(config).await?;
        let client = connection.client();
        let reply = subjects.up(&unguessable().map_err(|error| lost(&error))?);
        let announced = client.subscribe(subjects.announce()).await.map_err(|error| lost(&error))?;
        let answers = client.subscribe(reply.clone()).await.map_err(|error| lost(&error))?;
        let mut interval = tokio::time::interval(config.probe_interval);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Watching { announced, answers, reply, interval, connection: Arc::clone(&connection) })
    }

    /// Takes the next message, or asks again. Returns `false` if the connection is lost.
    async fn watch(&mut self, known: &mut Known, subjects: &Subjects) -> bool {
        let url = |replica: &str| subjects.replica_url(replica);
        let client = self.connection.client().clone();
        tokio::select! {
            message = self.announced.next() => match message {
                Some(Message { payload, .. }) => {
                    if let Some(announcement) = read(&payload) {
                        known.announced(announcement, url);
                    }
                }
                None => return false,
            },
            message = self.answers.next() => match message {
                Some(Message { payload, .. }) => {
                    if let Some(Answer::Replica(replica)) = read(&payload) {
                        known.answered(replica, url);
                    }
                }
                None => return false,
            },
            asked = async {
                self.interval.tick().await;
                let asked = client.publish_with_reply(subjects.discover(), self.reply.clone(), write(&Request::Probe {}));
                asked.await.is_ok()
            } => {
                known.asked();
                return asked;
            }
        }
        true
    }
}

impl fmt::Debug for NatsReplicas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NatsReplicas").field("url", &self.subjects.url()).finish_non_exhaustive()
    }
}
