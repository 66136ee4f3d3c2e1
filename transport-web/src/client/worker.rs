//! A plugin in a worker: its engine is in the page, or the worker, that started it.

use wasm_bindgen::JsValue;
use web_sys::{DedicatedWorkerGlobalScope, MessageEvent, MessagePort};

use super::panic::LastWords;
use crate::codec::Frame;
use crate::config::LinkConfig;
use crate::events::Listener;
use crate::link::{Channel, Receiver, UNREADABLE, WebLink, port_link};

/// The page or worker that created this worker.
struct Creator {
    scope: DedicatedWorkerGlobalScope,
    _last_words: LastWords,
}

impl Channel for Creator {
    fn send(&self, frame: &Frame) -> Result<(), JsValue> {
        self.scope.post_message(&frame.object()?)
    }

    /// The worker ends with its link.
    fn close(&mut self, reason: &str) {
        let _ = self.send(&Frame::goodbye(reason));
        self.scope.close();
    }
}

/// The link to the page or worker that created this worker. Messages received since then come first.
pub(super) fn link(scope: DedicatedWorkerGlobalScope, kept: &[MessageEvent], config: &LinkConfig) -> WebLink {
    let receiver = Receiver::new(config);
    for event in kept {
        receiver.posted(&event.data());
    }
    let (messages, errors, panicked) = (receiver.clone(), receiver.clone(), scope.clone());
    let listeners = vec![
        Listener::new(&scope, "message", move |event: MessageEvent| messages.posted(&event.data())),
        Listener::new(&scope, "messageerror", move |_: MessageEvent| errors.bad(UNREADABLE)),
    ];
    let last_words = LastWords::new(move |reason| {
        let _ = Frame::goodbye(reason).object().and_then(|goodbye| panicked.post_message(&goodbye));
        panicked.close();
    });
    WebLink::new(Creator { scope, _last_words: last_words }, receiver, listeners)
}

/// A port whose engine learns of a panic.
struct EnginePort {
    port: MessagePort,
    _last_words: LastWords,
}

/// The link behind a port.
pub(super) fn link_of_port(port: MessagePort, config: &LinkConfig) -> WebLink {
    let panicked = port.clone();
    let last_words = LastWords::new(move |reason| Channel::close(&mut panicked.clone(), reason));
    port_link(&port.clone(), EnginePort { port, _last_words: last_words }, config)
}

impl Channel for EnginePort {
    fn send(&self, frame: &Frame) -> Result<(), JsValue> {
        Channel::send(&self.port, frame)
    }

    fn close(&mut self, reason: &str) {
        Channel::close(&mut self.port, reason);
    }
}
