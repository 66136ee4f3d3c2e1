//! Finds the replicas of a plugin.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use async_nats::{Message, Subscriber};
use connector_core::{ConnectError, Excerpt, PlaceChange, Places, Profile, Replicas, TraceLimit, async_trait};
use futures_util::StreamExt;
use tokio::sync::broadcast;
use tokio::time::{Instant, Interval, MissedTickBehavior};

use super::connector::NatsConnector;
use super::known::{Known, ReplicaChange};
use crate::config::NatsConfig;
use crate::connection::{Connection, shown};
use crate::control::{Answer, Request, read, write};
use crate::forbidden::Forbidden;
use crate::link::{Room, Wakers};
use crate::redial::Redial;
use crate::subjects::{SubjectError, Subjects, unguessable};

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
    redial: Redial,
    /// When the server may be tried again.
    next_attempt: Option<Instant>,
    traces: TraceLimit,
    /// Of the connectors to all replicas.
    room: Room,
}

struct Watching {
    connection: Arc<Connection>,
    /// Woken when the connection is lost, which the subscriptions survive if the client makes another.
    wakers: Arc<Wakers>,
    forbidden: broadcast::Receiver<Forbidden>,
    announced: Subscriber,
    answers: Subscriber,
    reply: String,
    interval: Interval,
    has_asked: bool,
}

impl NatsReplicas {
    /// Watches the plugin with this name, at the servers of `config`. Nothing happens before [`next`](NatsReplicas::next).
    ///
    /// # Errors
    /// The prefix or the name cannot be part of a subject.
    pub fn new(plugin: &str, config: NatsConfig) -> Result<NatsReplicas, SubjectError> {
        let (subjects, redial) = (Subjects::new(&config.prefix, plugin)?, Redial::new());
        let (known, traces, room) = (Known::default(), TraceLimit::default(), Room::new(config.max_message));
        Ok(NatsReplicas { config, subjects, known, watching: None, redial, next_attempt: None, traces, room })
    }

    /// Begins again: [`next`](NatsReplicas::next) tells of every replica that is there, as of one just found.
    pub fn restart(&mut self) {
        (self.known, self.watching, self.next_attempt) = (Known::default(), None, None);
    }

    /// The next change. Waits as long as there is none. If the server is unreachable, or forbids to watch the plugin, that is
    /// traced as a warning, and the server is tried again and again, with growing delays of up to 2 s. Cancel safe: no change
    /// is lost. Must be called within a tokio runtime.
    pub async fn next(&mut self) -> ReplicaChange {
        loop {
            match self.next_or_failure().await {
                Ok(change) => return change,
                Err(error) => {
                    if let Some(left_out) = self.traces.pass() {
                        let (plugin, error) = (self.subjects.url(), Excerpt::new(error));
                        tracing::warn!(plugin, %error, left_out, "the replicas of a plugin cannot be watched: trying again");
                    }
                }
            }
        }
    }

    /// The next change. Cancel safe.
    ///
    /// # Errors
    /// The replicas cannot be watched now. The next call tries it again.
    async fn next_or_failure(&mut self) -> Result<ReplicaChange, ConnectError> {
        loop {
            if let Some(change) = self.known.changes.pop_front() {
                return Ok(change);
            }
            if let Some(at) = self.next_attempt {
                tokio::time::sleep_until(at).await;
                self.next_attempt = None;
            }
            let watched = match &mut self.watching {
                Some(watching) => watching.watch(&mut self.known, &self.subjects).await,
                None => Watching::new(&self.config, &self.subjects).await.map(|new| {
                    self.redial.set_connected();
                    self.watching = Some(new);
                }),
            };
            if let Err(error) = watched {
                self.watching = None;
                self.next_attempt = Some(Instant::now() + self.redial.next_delay());
                return Err(error);
            }
        }
    }
}

/// The plugin `profile` (or just its name) with all the replicas that serve it at the NATS servers of `config`, as they come
/// and go: to be registered with an engine, which holds a link to each. An activation fails at once if the server is not there,
/// does not accept the login, or forbids one of the subjects.
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
        Some(match self.next_or_failure().await {
            Ok(ReplicaChange::Found { replica, url }) => {
                let connector = Box::new(NatsConnector::sharing(self.room.clone(), self.config.clone()));
                PlaceChange::Found { replica, url, connector }
            }
            Ok(ReplicaChange::Draining { replica }) => PlaceChange::Draining { replica },
            Ok(ReplicaChange::Gone { replica }) => PlaceChange::Gone { replica },
            Err(error) => PlaceChange::SearchFailed { url: self.subjects.url(), error },
        })
    }

    fn searched(&self) -> String {
        format!("{} on {}", self.subjects.url(), shown(&self.config.servers))
    }
}

impl Watching {
    async fn new(config: &NatsConfig, subjects: &Subjects) -> Result<Watching, ConnectError> {
        let lost = |error: &dyn fmt::Display| ConnectError::failed(error.to_string());
        config.check().map_err(|bad| ConnectError::Refused(bad.to_string()))?;
        let connection = config.connections.get(config).await?;
        let (client, forbidden) = (connection.client().clone(), connection.forbidden());
        let reply = subjects.up(&unguessable().map_err(|error| lost(&error))?);
        let announced = client.subscribe(subjects.announce()).await.map_err(|error| lost(&error))?;
        let answers = client.subscribe(reply.clone()).await.map_err(|error| lost(&error))?;
        let mut interval = tokio::time::interval(config.probe_interval);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let wakers = Arc::<Wakers>::default();
        connection.watch(&wakers);
        Ok(Watching { connection, wakers, forbidden, announced, answers, reply, interval, has_asked: false })
    }

    /// Takes the next message, or asks again.
    ///
    /// # Errors
    /// The connection is lost, or the server forbids one of the subjects.
    async fn watch(&mut self, known: &mut Known, subjects: &Subjects) -> Result<(), ConnectError> {
        let lost = || ConnectError::failed("the connection to the NATS server was lost");
        let (connection, wakers) = (&self.connection, &self.wakers);
        let is_lost = poll_fn(|cx| {
            wakers.reader.register(cx.waker());
            if connection.is_lost() { Poll::Ready(()) } else { Poll::Pending }
        });
        let url = |replica: &str| subjects.replica_url(replica);
        let client = self.connection.client().clone();
        tokio::select! {
            () = is_lost => return Err(lost()),
            Ok(refusal) = self.forbidden.recv() => {
                // What is forbidden to the link to one replica is forbidden to all.
                if refusal.is_among(subjects) || refusal.is_of_any_subscription() {
                    return Err(ConnectError::Refused(refusal.to_string()));
                }
            }
            message = self.announced.next() => {
                let Message { payload, .. } = message.ok_or_else(lost)?;
                if let Some(announcement) = read(&payload) {
                    known.announced(announcement, url);
                }
            }
            message = self.answers.next() => {
                let Message { payload, .. } = message.ok_or_else(lost)?;
                if let Some(Answer::Replica(replica)) = read(&payload) {
                    known.answered(replica, url);
                }
            }
            asked = async {
                self.interval.tick().await;
                client.publish_with_reply(subjects.discover(), self.reply.clone(), write(&Request::Probe {})).await
            } => {
                known.asked(!std::mem::replace(&mut self.has_asked, true));
                asked.map_err(|_| lost())?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for NatsReplicas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NatsReplicas").field("url", &self.subjects.url()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// A server that ends each connection once it has been made.
    #[tokio::test]
    async fn a_connection_that_does_not_last_is_followed_by_a_pause() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let config = NatsConfig::new(format!("nats://{}", listener.local_addr().unwrap()));
        // The end is noticed before the next question.
        let config = config.probe_interval(Duration::from_secs(3600)).silence(Duration::from_secs(7200));
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let info = r#"INFO {"server_id":"x","version":"2.10.0","max_payload":1048576,"headers":true}"#;
                client.write_all(format!("{info}\r\nPONG\r\n").as_bytes()).await.unwrap();
                let _ = client.read(&mut [0; 4096]).await;
            }
        });
        let mut replicas = NatsReplicas::new("probe", config).unwrap();
        for _ in 0..3 {
            let failed = tokio::time::timeout(Duration::from_secs(30), replicas.next_or_failure()).await;
            failed.unwrap().unwrap_err();
            assert!(replicas.watching.is_none() && replicas.next_attempt.is_some());
        }
    }
}
