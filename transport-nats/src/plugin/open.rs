//! Opens a session with a replica.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use async_nats::message::OutboundMessage;
use async_nats::{Client, Message, StatusCode};
use connector_core::{ConnectError, Excerpt};
use futures_util::{SinkExt, StreamExt};

use crate::config::NatsConfig;
use crate::connection::Connection;
use crate::control::{Answer, Request, Terms, read, write};
use crate::link::{Inbox, NatsLink, Opened, Room};
use crate::subjects::{Subjects, unguessable};

/// How many replicas that stop are asked in turn. Each has left the queue group when it says so.
const MAX_STOPPING: usize = 16;

/// Why a session is not open.
struct NotOpened {
    error: ConnectError,
    /// Whether it is because the replica stops.
    stopping: bool,
}

impl From<ConnectError> for NotOpened {
    fn from(error: ConnectError) -> NotOpened {
        NotOpened { error, stopping: false }
    }
}

/// Opens a session with any replica, or with this one. Cancel safe: a session that is not returned ends at the replica as
/// well. The caller limits the time.
pub(super) async fn open(
    connection: Arc<Connection>,
    subjects: &Subjects,
    replica: Option<&str>,
    config: &NatsConfig,
    room: &Room,
) -> Result<NatsLink, ConnectError> {
    let mut left = MAX_STOPPING;
    loop {
        match ask(Arc::clone(&connection), subjects, replica, config, room).await {
            Err(NotOpened { stopping: true, .. }) if replica.is_none() && left > 0 => left -= 1,
            asked => return asked.map_err(|not_opened| not_opened.error),
        }
    }
}

async fn ask(
    connection: Arc<Connection>,
    subjects: &Subjects,
    replica: Option<&str>,
    config: &NatsConfig,
    room: &Room,
) -> Result<NatsLink, NotOpened> {
    let client = connection.client();
    let session = unguessable().map_err(|error| ConnectError::failed(error.to_string()))?;
    let (up, down) = (subjects.up(&session), subjects.down(&session));
    let target = replica.map_or_else(|| subjects.open(), |replica| subjects.replica(replica));
    let mut forbidden = connection.forbidden();
    let mut frames = client.subscribe(up.clone()).await.map_err(ConnectError::failed)?;
    let terms = Terms::of(config, client.max_payload());
    let request = write(&Request::Open(terms));
    let mut abandon = Abandon { client: client.clone(), to: Some(down.clone()) };
    client.publish_with_reply(target.clone(), up.clone(), request).await.map_err(ConnectError::failed)?;
    let answer = loop {
        tokio::select! {
            biased;
            answer = frames.next() => break answer,
            Ok(refusal) = forbidden.recv() => {
                let own = [&target, &up, &down].into_iter().any(|subject| refusal.is_about(subject));
                if own || refusal.is_of_any_subscription() {
                    return Err(ConnectError::Refused(refusal.to_string()).into());
                }
            }
        }
    };
    let answer = answer.ok_or_else(|| ConnectError::failed("the connection to the NATS server was lost"))?;
    let terms = accepted(&answer, &target)?;
    abandon.to = None;
    let (connection, inbox) = (Arc::clone(&connection), Inbox::new(config.max_message, room.clone()));
    let opened = Opened { connection, forbidden, frames, to: down, from: up, terms, inbox, place: None };
    Ok(NatsLink::new(opened, config))
}

fn accepted(answer: &Message, target: &str) -> Result<Terms, NotOpened> {
    if answer.status == Some(StatusCode::NO_RESPONDERS) {
        let text = format!(
            "no replica of the plugin serves at this NATS server (nothing subscribes to {target}): start the plugin, and \
             compare the prefix and the account at both ends"
        );
        return Err(ConnectError::Refused(text).into());
    }
    match read::<Answer>(&answer.payload) {
        Some(Answer::Opened { terms, .. }) => match terms.problem() {
            None => Ok(terms),
            Some(problem) => Err(ConnectError::Protocol(problem).into()),
        },
        Some(Answer::Refused { replica, reason, stopping }) => {
            let (replica, reason) = (Excerpt::up_to(64, replica), Excerpt::new(reason));
            let error = ConnectError::failed(format!("the replica {replica} refused the session: {reason}"));
            Err(NotOpened { error, stopping })
        }
        Some(Answer::Replica(_)) | None => {
            let text = format!(
                "the answer to {target} is not one of a replica: another program uses these subjects, so set another prefix"
            );
            Err(ConnectError::Protocol(text).into())
        }
    }
}

/// Tells the replica, if there is room, that nobody waits for the session any more. Otherwise the replica notices.
struct Abandon {
    client: Client,
    to: Option<String>,
}

impl Drop for Abandon {
    fn drop(&mut self) {
        let Some(to) = self.to.take() else { return };
        let nobody = &mut Context::from_waker(Waker::noop());
        if let Poll::Ready(Ok(())) = self.client.poll_ready_unpin(nobody) {
            let payload = crate::link::gone();
            let message = OutboundMessage { subject: to.into(), reply: None, payload, headers: None };
            let _ = self.client.start_send_unpin(message);
        }
    }
}
