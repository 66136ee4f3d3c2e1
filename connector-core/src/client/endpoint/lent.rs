//! What a plugin's end of a link does in addition if another engine lends the plugin.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use super::PluginRole;
use crate::client::PluginClient;
use crate::client::remote::RemoteClient;
use crate::engine::LentSession;
use crate::error::Fault;
use crate::excerpt::Excerpt;
use crate::link::Exchange;
use crate::plugin::Callback;
use crate::reconnect_delays::ReconnectDelays;
use crate::runtime;
use crate::session::{HANDSHAKE, PluginSide};
use crate::wire::{Id, Name, Payload};

/// What a plugin's end does in addition if another engine lends the plugin.
pub(super) struct LentRole {
    pub(super) session: Arc<LentSession>,
    pub(super) opening: Opening,
}

/// A lent plugin answers no handshake before its methods are known.
pub(super) enum Opening {
    /// No handshake of the borrower has arrived.
    Awaited,
    InProgress(Vec<HandshakeRequest>),
    Opened,
}

pub(super) struct HandshakeRequest {
    pub(super) id: Option<Id>,
    pub(super) echo: Option<Name>,
    pub(super) given: Option<Name>,
    pub(super) engine: Option<Name>,
}

/// Handshakes beyond these are not answered while the first one waits.
const MAX_WAITING_HANDSHAKES: usize = 16;
/// Time limit for the borrower to accept new methods. After it, the update is sent again.
const UPDATE_LIMIT: Duration = Duration::from_secs(10);

impl LentRole {
    pub(super) fn handshake(
        &mut self,
        shared: &Arc<RemoteClient>,
        exchange: &mut Exchange<PluginSide>,
        request: HandshakeRequest,
    ) {
        if let Err(refusal) = self.session.admit(request.engine.as_deref()) {
            // The peer ends the link, or it is not an engine, for which there is a limit.
            return exchange.session.respond(request.id, request.echo, Some(HANDSHAKE.into()), Err(refusal));
        }
        match &mut self.opening {
            Opening::Opened => {
                exchange.session.answer_handshake(request.id, request.echo, self.session.tell_methods());
            }
            Opening::InProgress(requests) if requests.len() >= MAX_WAITING_HANDSHAKES => {}
            Opening::InProgress(requests) => requests.push(request),
            Opening::Awaited => {
                self.opening = Opening::InProgress(vec![request]);
                exchange.run_hook(Box::pin(follow(Arc::clone(&self.session), Arc::clone(shared))));
            }
        }
    }

    /// The session, once the borrower has been admitted.
    pub(super) fn opened(&self) -> Option<&LentSession> {
        matches!(self.opening, Opening::Opened).then_some(&*self.session)
    }
}

/// Opens a lent plugin, and then tells the borrower of its new methods. Closes the link when its engine has ended.
async fn follow(lent: Arc<LentSession>, shared: Arc<RemoteClient>) -> Result<Payload, Fault> {
    let mut changes = lent.changes();
    let opened = lent.open().await;
    let is_open = opened.is_ok();
    shared.opened(opened);
    if !is_open {
        return Ok(Payload::null());
    }
    let client = PluginClient::behind(Arc::clone(&shared));
    let (mut untold, mut delays) = (None, update_delays());
    loop {
        let new = pin!(lent.new_methods(&mut changes));
        let new = match untold.take() {
            None => new.await,
            // Those that the borrower has not accepted, unless there are newer ones.
            Some(methods) => runtime::timeout(delays.next_delay(), new).await.unwrap_or(Some(methods)),
        };
        let Some(methods) = new else { break };
        let update = serde_json::json!({ "name": &*client.name(), "methods": &methods });
        match client.call_within::<()>(UPDATE_LIMIT, "manager", "updateProfile", (update,)).await {
            Ok(()) => delays = update_delays(),
            Err(error) => {
                untold = Some(methods);
                if let Some(left_out) = shared.traces.pass() {
                    let (plugin, error) = (Excerpt::new(client.name()), Excerpt::new(error));
                    tracing::warn!(?plugin, left_out, %error, "the borrower does not accept the new methods of a lent plugin: trying again");
                }
            }
        }
    }
    shared.disconnect();
    Ok(Payload::null())
}

fn update_delays() -> ReconnectDelays {
    ReconnectDelays::new(Duration::from_secs(1), Duration::from_secs(60))
}

impl PluginRole {
    /// A lent plugin's methods are known, or why it cannot be lent.
    pub(super) fn opened(&mut self, exchange: &mut Exchange<PluginSide>, opened: Result<(), Fault>) {
        let Some(lent) = &mut self.lent else { return };
        let next = if opened.is_ok() { Opening::Opened } else { Opening::Awaited };
        let Opening::InProgress(requests) = std::mem::replace(&mut lent.opening, next) else { return };
        let session = Arc::clone(&lent.session);
        for HandshakeRequest { id, echo, given, .. } in requests {
            match &opened {
                Ok(()) => {
                    if let Some(name) = given {
                        self.activate(exchange, &name);
                    }
                    exchange.session.answer_handshake(id, echo, session.tell_methods());
                }
                Err(refusal) => exchange.session.respond(id, echo, Some(HANDSHAKE.into()), Err(refusal.clone())),
            }
        }
    }

    /// Somebody at the borrower of a lent plugin listens to an event, or nobody any longer.
    pub(super) fn listened(&self, event: Name, by_anybody: bool) {
        let Some(lent) = self.lent.as_ref().and_then(LentRole::opened) else { return };
        let (shared, forwarded) = (Arc::downgrade(&self.shared), event.clone());
        let forward = move |args: &Payload| {
            if let Some(shared) = shared.upgrade() {
                shared.forward(forwarded.clone(), args.clone());
            }
            Ok(())
        };
        lent.listened(&event, by_anybody.then(|| Arc::new(forward) as Callback));
    }
}
