//! Plugins behind websockets, from a page.

use std::cell::Cell;
use std::fmt;
use std::rc::Rc;

use connector_core::{
    ConnectError, ExternalProfile, Link, LinkEnd, PluginConnector, Profile, Registration, async_trait, redacted_url,
};
use tokio::sync::oneshot;
use wasm_bindgen::JsValue;
use web_sys::{BinaryType, CloseEvent, Event, MessageEvent, WebSocket};

use crate::codec::{Frame, error_text};
use crate::config::LinkConfig;
use crate::events::Listener;
use crate::link::{Channel, Receiver, WebLink};

/// The engine's end: dials `ws://` and `wss://` URLs with the browser's own `WebSocket`.
///
/// A page cannot send a header, so it cannot send a token: the plugin's server must allow the page's origin
/// (`WsServerConfig::allow_origin` of transport-ws). A browser does not say why a websocket was refused. It answers pings
/// but sends none, so a silent plugin is detected by the engine's own probes.
#[derive(Default)]
pub struct WebSocketConnector {
    config: LinkConfig,
}

impl WebSocketConnector {
    /// Creates a connector.
    pub fn new(config: LinkConfig) -> WebSocketConnector {
        WebSocketConnector { config }
    }
}

impl fmt::Debug for WebSocketConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocketConnector").field("config", &self.config).finish()
    }
}

/// The plugin `profile` (or just its name) that is served at a websocket `url`, to be registered with an engine in a page.
pub fn websocket(profile: impl Into<Profile>, url: &str) -> Registration {
    Registration::behind(ExternalProfile::new(profile, url), WebSocketConnector::default())
}

/// A websocket, which is closed when this is dropped.
struct Socket(WebSocket);

impl Channel for Socket {
    fn send(&self, frame: &Frame) -> Result<(), JsValue> {
        self.0.send_with_str(frame.json())
    }

    fn buffered(&self) -> u32 {
        self.0.buffered_amount()
    }

    /// The browser sends what is buffered, and completes the closing handshake.
    fn close(&mut self, _: &str) {
        let _ = self.0.close();
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let _ = self.0.close();
    }
}

#[async_trait]
impl PluginConnector for WebSocketConnector {
    async fn connect(&mut self, url: &str) -> Result<Box<dyn Link>, ConnectError> {
        let socket = WebSocket::new(url).map_err(|error| ConnectError::Refused(error_text(&error)))?;
        socket.set_binary_type(BinaryType::Arraybuffer);
        let receiver = Receiver::new(&self.config);
        let (opened, open) = oneshot::channel();
        let listeners = listen(&socket, opened, &receiver);
        let socket = Socket(socket);
        match open.await {
            Ok(()) => Ok(Box::new(WebLink::new(socket, receiver, listeners))),
            Err(_) => Err(ConnectError::failed(format!(
                "the browser could not open a websocket to {}; check that the plugin runs there and allows this page's origin",
                redacted_url(url)
            ))),
        }
    }
}

fn listen(socket: &WebSocket, opened: oneshot::Sender<()>, receiver: &Receiver) -> Vec<Listener> {
    let (messages, ends) = (receiver.clone(), receiver.clone());
    let opened = Rc::new(Cell::new(Some(opened)));
    let failed = Rc::clone(&opened);
    vec![
        Listener::new(socket, "open", move |_: Event| {
            // The receiver is gone if the connector was dropped.
            let _ = opened.take().map(|opened| opened.send(()));
        }),
        Listener::new(socket, "message", move |event: MessageEvent| match event.data().as_string() {
            Some(text) => messages.text(text),
            None => messages.bad("binary frames"),
        }),
        Listener::new(socket, "close", move |event: CloseEvent| {
            drop(failed.take());
            let (code, reason) = (event.code(), event.reason());
            ends.end(match event.was_clean() {
                true => LinkEnd::Closed { code: Some(code), reason },
                false => LinkEnd::lost(format!("the websocket ended without a close (code {code})")),
            });
        }),
    ]
}
