//! Receives an engine's events, and tells how its connection ended.

use std::sync::Arc;
use std::time::Duration;

use connector_core::{DecodeError, Inbox, LinkEnd};
use socketioxide::adapter::LocalAdapter;
use socketioxide::handler::{MessageHandler, Value};
use socketioxide::socket::{DisconnectReason, Socket};

/// Receives a socket's events.
#[derive(Clone)]
pub(super) struct Events(pub(super) Inbox);

/// Called by socketioxide's reader, which preserves the order of events. A closure would run in a spawned task.
impl MessageHandler<LocalAdapter, ()> for Events {
    fn call(&self, socket: Arc<Socket>, event: Value, _: Option<i64>) {
        let frame = match event {
            Value::Str(text, None) => Ok(text.into()),
            Value::Str(_, Some(_)) | Value::Bytes(_) => Err(DecodeError::WrongFrame("binary attachments")),
        };
        if self.0.push(frame).is_err() {
            // Fails if the buffer is full or the socket is gone; the connection ends in both cases.
            let _ = socket.disconnect();
        }
    }
}

/// The link end for a disconnect reason. `silence` is the time after which an engine counts as silent.
pub(super) fn link_end(reason: DisconnectReason, silence: Duration) -> LinkEnd {
    let closed = |reason: &str| LinkEnd::Closed { code: None, reason: reason.to_owned() };
    match reason {
        DisconnectReason::ClientNSDisconnect => closed("the engine left the namespace"),
        DisconnectReason::TransportClose => closed("the engine closed the connection"),
        DisconnectReason::HeartbeatTimeout => LinkEnd::Silent(silence),
        DisconnectReason::PacketParsingError => LinkEnd::BadFrame("not a socket.io packet".to_owned()),
        DisconnectReason::MultipleHttpPollingError => {
            LinkEnd::BadFrame("two concurrent long-polling requests".to_owned())
        }
        DisconnectReason::ServerNSDisconnect | DisconnectReason::ClosingServer => LinkEnd::Disconnected,
        // A reset, an end without a close, or a frame over the limit: socketioxide does not distinguish them.
        DisconnectReason::TransportError => LinkEnd::lost("the connection failed, or a frame exceeded the limit"),
    }
}
