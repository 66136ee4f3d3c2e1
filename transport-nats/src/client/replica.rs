//! A replica's subscriptions, and what it answers.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use async_nats::{Message, StatusCode, Subscriber};
use connector_core::{ConnectError, Excerpt, TraceLimit};
use futures_util::StreamExt;
use tokio::sync::broadcast;

use super::ServeError;
use super::allowed::check_allowed;
use crate::config::NatsConfig;
use crate::connection::Connection;
use crate::control::{Announcement, Answer, Replica, Request, Terms, read, write};
use crate::forbidden::Forbidden;
use crate::link::{Inbox, NatsLink, Opened, Place, Room};
use crate::subjects::{Subjects, unguessable};

/// The queue group in which sessions are opened. Only a name: each plugin has its own subjects.
const GROUP: &str = "replicas";

/// What stays the same when the connection changes.
#[derive(Debug)]
pub(super) struct Identity {
    pub(super) subjects: Subjects,
    pub(super) id: String,
    pub(super) config: NatsConfig,
    /// The sessions of this replica.
    pub(super) sessions: Arc<Mutex<HashSet<String>>>,
    pub(super) traces: TraceLimit,
}

/// Frees the session's place.
struct Occupied {
    session: String,
    sessions: Arc<Mutex<HashSet<String>>>,
}

impl Drop for Occupied {
    fn drop(&mut self) {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.session);
    }
}

impl Identity {
    fn sessions(&self) -> usize {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    fn occupy(&self, session: &str) -> Result<Place, String> {
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        if sessions.len() >= self.config.max_sessions {
            return Err(format!("it has {} sessions, which is the limit (NatsConfig::max_sessions)", sessions.len()));
        }
        match sessions.insert(session.to_owned()) {
            true => Ok(Box::new(Occupied { session: session.to_owned(), sessions: Arc::clone(&self.sessions) })),
            false => Err("this session is open already".to_owned()),
        }
    }

    pub(super) fn describe(&self, draining: bool) -> Answer {
        Answer::Replica(Replica { id: self.id.clone(), sessions: self.sessions(), draining })
    }

    pub(super) fn trace_rubbish(&self, subject: &str) {
        if let Some(left_out) = self.traces.pass() {
            tracing::warn!(subject = %Excerpt::new(subject), left_out, "a message that is not from an engine is ignored");
        }
    }
}

/// The subscriptions over one connection.
pub(super) struct Subscribed {
    pub(super) connection: Arc<Connection>,
    /// Of the queue group; none while draining.
    pub(super) open: Option<Subscriber>,
    pub(super) own: Subscriber,
    pub(super) discover: Subscriber,
    pub(super) forbidden: broadcast::Receiver<Forbidden>,
}

impl Subscribed {
    /// Subscribes, and checks that the server allows what a replica does.
    pub(super) async fn new(identity: &Identity, draining: bool) -> Result<Subscribed, ServeError> {
        let Identity { subjects, id, config, .. } = identity;
        let limit = config.connect_timeout;
        let subscribing = async {
            let connection = config.connections.get(config).await?;
            let client = connection.client();
            let mut forbidden = connection.forbidden();
            let open = match draining {
                true => None,
                false => Some(client.queue_subscribe(subjects.open(), GROUP.to_owned()).await.map_err(lost)?),
            };
            // If another replica has this id by mistake, one of them opens a session, and they do not disturb each other.
            let own = client.queue_subscribe(subjects.replica(id), GROUP.to_owned()).await.map_err(lost)?;
            let discover = client.subscribe(subjects.discover()).await.map_err(lost)?;
            let replica = id.clone();
            let now = if draining { Announcement::Drain { replica } } else { Announcement::Come { replica } };
            client.publish(subjects.announce(), write(&now)).await.map_err(lost)?;
            // As a session's frames are.
            let session = unguessable().map_err(lost)?;
            let (up, down) = (subjects.up(&session), subjects.down(&session));
            let needed = [subjects.open(), subjects.replica(id), subjects.discover(), subjects.announce()];
            check_allowed(&connection, &mut forbidden, &up, &down, &needed).await?;
            Ok(Subscribed { open, own, discover, forbidden, connection: Arc::clone(&connection) })
        };
        match tokio::time::timeout(limit, subscribing).await {
            Ok(subscribed) => subscribed,
            Err(_) => Err(ConnectError::TimedOut(limit).into()),
        }
    }
}

fn lost(error: impl ToString) -> ConnectError {
    ConnectError::failed(error.to_string())
}

/// Leaves the queue group, and refuses what has arrived before the server knows that.
pub(super) async fn leave(identity: Arc<Identity>, connection: Arc<Connection>, mut open: Subscriber) {
    let refused = async {
        // An error means that the connection has ended, and with it the subscription.
        let _ = open.drain().await;
        while let Some(message) = open.next().await {
            answer(Arc::clone(&identity), Arc::clone(&connection), message, true).await;
        }
    };
    let _ = tokio::time::timeout(identity.config.connect_timeout, refused).await;
}

/// Answers a message to the subject of one replica or of all. Returns the link of a session that it opens.
pub(super) async fn answer(
    identity: Arc<Identity>,
    connection: Arc<Connection>,
    message: Message,
    draining: bool,
) -> Option<NatsLink> {
    let session = message.reply.as_deref().and_then(|reply| identity.subjects.session(reply));
    let (Some(session), Some(request)) = (session, read::<Request>(&message.payload)) else {
        if message.status != Some(StatusCode::NO_RESPONDERS) {
            identity.trace_rubbish(&message.subject);
        }
        return None;
    };
    if matches!(request, Request::Open(_)) && *message.subject == *identity.subjects.discover() {
        identity.trace_rubbish(&message.subject);
        return None;
    }
    let client = connection.client();
    let (up, down) = (identity.subjects.up(session), identity.subjects.down(session));
    let refused = |reason: String| Answer::Refused { replica: identity.id.clone(), reason, stopping: draining };
    let Request::Open(theirs) = request else {
        let _ = client.publish(up, write(&identity.describe(draining))).await;
        return None;
    };
    let terms = Terms::of(&identity.config, client.max_payload());
    let place = match theirs.problem().or_else(|| terms.problem()) {
        Some(problem) => Err(problem),
        None if draining => Err("it is stopping".to_owned()),
        None => identity.occupy(session),
    };
    let place = match place {
        Ok(place) => place,
        Err(reason) => {
            let _ = client.publish(up, write(&refused(reason))).await;
            return None;
        }
    };
    let forbidden = connection.forbidden();
    let frames = client.subscribe(down.clone()).await.ok()?;
    let opened = write(&Answer::Opened { replica: identity.id.clone(), terms });
    // If the engine is gone, the server says so to the session.
    client.publish_with_reply(up.clone(), down.clone(), opened).await.ok()?;
    let (connection, max_message) = (Arc::clone(&connection), identity.config.max_message);
    // What a session of an engine has incomplete does not keep those of others waiting.
    let inbox = Inbox::new(max_message, Room::new(max_message));
    let opened = Opened { connection, forbidden, frames, to: up, from: down, terms: theirs, inbox, place: Some(place) };
    Some(NatsLink::new(opened, &identity.config))
}
