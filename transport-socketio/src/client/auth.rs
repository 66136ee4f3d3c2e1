//! Authorizes engines: token and the number of connections.

use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use connector_core::{Inbox, Link, TraceLimit};
use serde::Deserialize;
use socketioxide::extract::SocketRef;
use socketioxide::socket::DisconnectReason;
use tokio::sync::mpsc;
use transport_server::{NoPlace, RefusalTexts, Ticket, token_matches};

use super::SocketIoServerConfig;
use super::events::{Events, link_end};
use super::link::SocketLink;
use super::sessions::{Place, SessionTicket, Sessions};
use crate::codec;

/// Authorizes engines, and hands over their links.
#[derive(Clone)]
pub(super) struct ConnectAuth {
    token: Option<Arc<str>>,
    max_message: usize,
    max_polling_body: usize,
    silence: Duration,
    sessions: Sessions,
    rejections: Arc<TraceLimit>,
    links: mpsc::Sender<Box<dyn Link>>,
}

/// The `auth` of a CONNECT packet.
#[derive(Deserialize)]
pub(super) struct AuthPayload {
    token: Option<String>,
}

/// Created before the engine learns that it is connected, so that no event arrives before its inbox exists.
#[derive(Clone)]
struct Authorized {
    inbox: Inbox,
    ticket: Arc<Ticket>,
}

pub(super) const REFUSALS: RefusalTexts = RefusalTexts::new("SocketIoServerConfig");

impl ConnectAuth {
    pub(super) fn new(
        config: &SocketIoServerConfig,
        links: mpsc::Sender<Box<dyn Link>>,
        rejections: Arc<TraceLimit>,
        sessions: Sessions,
    ) -> ConnectAuth {
        ConnectAuth {
            token: config.token.as_deref().map(Arc::from),
            max_message: config.max_message,
            max_polling_body: config.max_polling_body,
            silence: config.silence(),
            sessions,
            rejections,
            links,
        }
    }

    /// # Errors
    /// The text for the engine if it is rejected.
    pub(super) fn authorize(&self, socket: &SocketRef, payload: Option<AuthPayload>) -> Result<(), String> {
        let given = payload.and_then(|payload| payload.token);
        if let Some(token) = &self.token
            && !given.as_ref().is_some_and(|given| token_matches(token, given.as_bytes()))
        {
            return Err(self.reject(REFUSALS.token(given.is_some(), "`io(url, { auth: { token } })`")));
        }
        // Each session was opened through the layer, which gave it a ticket.
        let ticket = socket.req_parts().extensions.get::<SessionTicket>().map(|ticket| Arc::clone(&ticket.0));
        let placed = ticket.ok_or(NoPlace::NotPending).and_then(|ticket| ticket.take_place().map(|()| ticket));
        let ticket = placed.map_err(|none| self.reject(REFUSALS.no_place(none)))?;
        let inbox = Inbox::default();
        socket.on(codec::EVENT, Events(inbox.clone()));
        // Events of other names are reported as invalid messages.
        socket.on_fallback(Events(inbox.clone()));
        let (closing, silence) = (inbox.clone(), self.silence);
        socket.on_disconnect(move |reason: DisconnectReason| {
            closing.close(link_end(reason, silence));
            ready(())
        });
        socket.extensions.insert(Authorized { inbox, ticket });
        Ok(())
    }

    fn reject(&self, why: String) -> String {
        if let Some(left_out) = self.rejections.pass() {
            tracing::warn!(left_out, "a client was rejected: {why}");
        }
        why
    }

    /// Creates the link of an authorized engine.
    pub(super) async fn accept(self, socket: SocketRef) {
        let Some(Authorized { inbox, ticket }) = socket.extensions.remove::<Authorized>() else { return };
        let place = Place { ticket, sessions: self.sessions, sid: socket.id.to_string() };
        let link = Box::new(SocketLink::new(socket, inbox, self.max_message, self.max_polling_body, place));
        tracing::debug!("an engine connected");
        // Without a receiver the link is dropped, which closes it.
        let _ = self.links.send(link).await;
    }
}
