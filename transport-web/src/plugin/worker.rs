//! Plugins in web workers.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};

use connector_core::{ConnectError, Excerpt, Link, LinkEnd, PluginConnector, Profile, Registration, async_trait};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{ErrorEvent, Event, MessageEvent, Worker, WorkerOptions, WorkerType};

use super::in_page;
use crate::codec::{Frame, error_text};
use crate::config::LinkConfig;
use crate::events::Listener;
use crate::link::{Channel, Receiver, UNREADABLE, WebLink};

/// Configures a [`WorkerConnector`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct WorkerConfig {
    /// Limits of the link. Default: [`LinkConfig::default`].
    pub link: LinkConfig,
    /// Whether the script is a module. Default: true, as in the published engine.
    pub module: bool,
}

impl Default for WorkerConfig {
    fn default() -> WorkerConfig {
        WorkerConfig { link: LinkConfig::default(), module: true }
    }
}

impl WorkerConfig {
    /// Sets [`link`](WorkerConfig#structfield.link), the limits of the link. Default: [`LinkConfig::default`].
    #[must_use]
    pub fn link(mut self, config: LinkConfig) -> WorkerConfig {
        self.link = config;
        self
    }

    /// Sets [`module`](WorkerConfig#structfield.module) to false, for a classic script. Default: a module.
    #[must_use]
    pub fn classic(mut self) -> WorkerConfig {
        self.module = false;
        self
    }
}

/// The engine's end: starts a worker and makes a link to it.
///
/// Each link has its own worker, which is terminated when the link ends. A script that cannot be loaded or fails before
/// its first message ends the link and fails an activation, with the script's URL in the error. WebAssembly that aborts
/// ends the link too. Other uncaught errors of a worker are traced.
#[derive(Debug)]
pub struct WorkerConnector {
    name: String,
    config: WorkerConfig,
    /// Why the last worker did not start. The next attempt reports it.
    failure: Arc<Mutex<Option<String>>>,
}

impl WorkerConnector {
    /// Creates a connector for the plugin `name`, which is also the worker's name.
    pub fn new(name: impl Into<String>, config: WorkerConfig) -> WorkerConnector {
        WorkerConnector { name: name.into(), config, failure: Arc::default() }
    }
}

/// The plugin `profile` (or just its name) in a worker that runs the module script at `url`, to be registered with an
/// engine, with the default configuration.
pub fn worker(profile: impl Into<Profile>, url: &str) -> Registration {
    worker_with(profile, url, WorkerConfig::default())
}

/// As [`worker`], with a configuration.
pub fn worker_with(profile: impl Into<Profile>, url: &str, config: WorkerConfig) -> Registration {
    let profile = profile.into();
    in_page(profile.clone(), url, WorkerConnector::new(profile.name, config))
}

#[async_trait]
impl PluginConnector for WorkerConnector {
    async fn connect(&mut self, url: &str) -> Result<Box<dyn Link>, ConnectError> {
        if let Some(failure) = self.failure.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Err(ConnectError::Refused(failure));
        }
        let options = WorkerOptions::new();
        options.set_type(if self.config.module { WorkerType::Module } else { WorkerType::Classic });
        options.set_name(&self.name);
        let worker = Worker::new_with_options(url, &options)
            .map_err(|error| ConnectError::Refused(format!("no worker can run {url}: {}", error_text(&error))))?;
        let receiver = Receiver::new(&self.config.link);
        let listeners = self.listen(&worker, url, &receiver);
        Ok(Box::new(WebLink::new(worker, receiver, listeners)))
    }

    /// A failure of an earlier activation does not count.
    fn activated(&mut self) {
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl WorkerConnector {
    fn listen(&self, worker: &Worker, url: &str, receiver: &Receiver) -> Vec<Listener> {
        let (messages, errors, ends, aborted) =
            (receiver.clone(), receiver.clone(), receiver.clone(), receiver.clone());
        let started = Rc::new(Cell::new(false));
        let has_started = Rc::clone(&started);
        let (name, url, failure) = (self.name.clone(), url.to_owned(), Arc::clone(&self.failure));
        let fail = move |text: String| {
            *failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(text.clone());
            ends.end(LinkEnd::lost(text));
        };
        vec![
            Listener::new(worker, "message", move |event: MessageEvent| {
                started.set(true);
                messages.posted(&event.data());
            }),
            Listener::new(worker, "messageerror", move |_: MessageEvent| errors.bad(UNREADABLE)),
            Listener::new(worker, "error", move |event: Event| {
                // An event without a message: the script was not found, or is not JavaScript.
                let Some(error) = event.dyn_ref::<ErrorEvent>() else {
                    return fail(format!(
                        "the worker's script {url} cannot be loaded; check that the URL answers with JavaScript"
                    ));
                };
                let text = format!("{} ({}:{})", error.message(), error.filename(), error.lineno());
                if !has_started.get() {
                    fail(format!("the worker's script {url} failed: {text}"));
                } else if text.contains("RuntimeError") {
                    aborted.end(LinkEnd::lost(format!("the worker's WebAssembly has aborted: {text}")));
                } else {
                    let error = Excerpt::new(&text);
                    tracing::warn!(plugin = name, %error, "an uncaught error in the plugin's worker");
                }
            }),
        ]
    }
}

impl Channel for Worker {
    fn send(&self, frame: &Frame) -> Result<(), JsValue> {
        self.post_message(&frame.object()?)
    }

    fn close(&mut self, _: &str) {
        self.terminate();
    }
}
