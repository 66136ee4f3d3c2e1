//! Serves a plugin to the engine of this frame or worker.

use std::fmt;

use connector_core::{ClientConnector, Link, LinkEnd, Plugin, async_trait};
use thiserror::Error;
use tokio::sync::mpsc;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::js_sys::{self, Array, Function, Reflect};
use web_sys::{DedicatedWorkerGlobalScope, MessageEvent, MessagePort, SharedWorkerGlobalScope, Window};

use super::config::ClientConfig;
use super::panic::LastWords;
use super::{frame, worker};
use crate::config::LinkConfig;
use crate::events::Listener;

/// Engines of a shared worker that may wait to be accepted.
const BACKLOG: usize = 16;

/// The program runs where no engine can reach it.
#[derive(Debug, Clone, Error)]
#[error(
    "no engine can reach this page: load it in an iframe of the engine's page, run the plugin in a worker, or use \
     `serve_port`"
)]
#[non_exhaustive]
pub struct NoEngine;

/// For `#[wasm_bindgen(start)]` functions that return it.
impl From<NoEngine> for JsValue {
    fn from(error: NoEngine) -> JsValue {
        js_sys::Error::new(&error.to_string()).into()
    }
}

/// The plugin's end, to be served with [`connector_core::serve`].
pub struct WebClient(Source);

enum Source {
    /// The link to the only engine, until it is accepted.
    One(Option<Box<dyn Link>>),
    /// A shared worker, to which each engine connects with a port.
    Shared { ports: mpsc::Receiver<MessagePort>, config: LinkConfig, _listener: Listener, _last_words: LastWords },
}

impl WebClient {
    /// The engine's link of the frame or worker that runs this program. Messages are received from now on, and those that
    /// `keep-messages.js` has kept come first.
    ///
    /// # Errors
    /// The program runs in a page that is not in a frame.
    pub fn new(config: &ClientConfig) -> Result<WebClient, NoEngine> {
        let scope = js_sys::global();
        let one = |link| Ok(WebClient(Source::One(Some(Box::new(link)))));
        if let Some(window) = scope.dyn_ref::<Window>() {
            let parent = frame::parent_of(window).ok_or(NoEngine)?;
            return one(frame::link(window, parent, kept(), config));
        }
        match scope.dyn_into::<DedicatedWorkerGlobalScope>() {
            Ok(scope) => one(worker::link(scope, &kept(), &config.link)),
            Err(scope) => match scope.dyn_into::<SharedWorkerGlobalScope>() {
                Ok(scope) => Ok(WebClient::shared(&scope, &config.link)),
                Err(_) => Err(NoEngine),
            },
        }
    }

    /// The link behind a message port.
    pub fn of_port(port: MessagePort, config: &ClientConfig) -> WebClient {
        WebClient(Source::One(Some(Box::new(worker::link_of_port(port, &config.link)))))
    }

    fn shared(scope: &SharedWorkerGlobalScope, config: &LinkConfig) -> WebClient {
        let (connected, ports) = mpsc::channel(BACKLOG);
        let connect = move |event: MessageEvent| {
            if let Ok(port) = event.ports().get(0).dyn_into::<MessagePort>() {
                // More engines than that at once: closing the port tells the engine.
                if let Err(error) = connected.try_send(port) {
                    error.into_inner().close();
                }
            }
        };
        kept().into_iter().for_each(&connect);
        let listener = Listener::new(scope, "connect", connect);
        let panicked = scope.clone();
        // Engines that connect again then start another worker instead of this one.
        let last_words = LastWords::new(move |_| panicked.close());
        WebClient(Source::Shared { ports, config: config.clone(), _listener: listener, _last_words: last_words })
    }
}

/// The events that `keep-messages.js` has kept, if the page or the worker includes it.
fn kept() -> Vec<MessageEvent> {
    let scope = js_sys::global();
    let take = Reflect::get(&scope, &JsValue::from("takeKeptMessages")).ok();
    let take = take.and_then(|take| take.dyn_into::<Function>().ok());
    let events = take.and_then(|take| take.call0(&scope).ok()).map(|events| Array::from(&events));
    events.iter().flat_map(Array::iter).filter_map(|event| event.dyn_into().ok()).collect()
}

#[async_trait]
impl ClientConnector for WebClient {
    async fn accept(&mut self) -> Result<Box<dyn Link>, LinkEnd> {
        let over = || LinkEnd::Closed { code: None, reason: "a frame or worker has a single engine".to_owned() };
        match &mut self.0 {
            Source::One(link) => link.take().ok_or_else(over),
            Source::Shared { ports, config, .. } => match ports.recv().await {
                Some(port) => Ok(Box::new(worker::link_of_port(port, config))),
                None => Err(over()),
            },
        }
    }
}

impl fmt::Debug for WebClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebClient")
    }
}

/// Serves the plugin that `plugin` returns to the engine of this frame or worker, until the page or the worker ends.
/// `plugin` is called once for each engine: only a shared worker has several.
///
/// A frame's engine is the page that contains it, which must be of the same origin
/// ([`ClientConfig::allow_origin`]).
///
/// # Errors
/// The program runs in a page that is not in a frame.
pub fn serve(plugin: impl Fn() -> Plugin + Send + 'static) -> Result<(), NoEngine> {
    serve_with(plugin, ClientConfig::default())
}

/// As [`serve`], with a configuration.
///
/// # Errors
/// The program runs in a page that is not in a frame.
pub fn serve_with(plugin: impl Fn() -> Plugin + Send + 'static, config: ClientConfig) -> Result<(), NoEngine> {
    run(WebClient::new(&config)?, plugin, config);
    Ok(())
}

/// Serves the plugin behind a message port, with a configuration.
pub fn serve_port(port: MessagePort, plugin: impl Fn() -> Plugin + Send + 'static, config: ClientConfig) {
    run(WebClient::of_port(port, &config), plugin, config);
}

fn run(client: WebClient, plugin: impl Fn() -> Plugin + Send + 'static, config: ClientConfig) {
    wasm_bindgen_futures::spawn_local(async move {
        let end = connector_core::serve(client, plugin, config.session).await;
        tracing::info!(%end, "the plugin's link has ended");
    });
}
