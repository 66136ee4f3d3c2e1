//! Plugins behind message ports.

use std::fmt;

use connector_core::{ConnectError, Link, PluginConnector, Profile, Registration, async_trait};
use wasm_bindgen::JsValue;
use web_sys::{MessagePort, SharedWorker};

use super::in_page;
use crate::codec::error_text;
use crate::config::LinkConfig;
use crate::link::port_link;

type Open = Box<dyn Fn(&str) -> Result<MessagePort, JsValue> + Send + Sync>;

/// The engine's end of a message port.
///
/// A port carries one link, so each link needs another. The port closes with its link. A browser without the port's
/// `close` event reports only the end of a plugin that leaves on purpose.
pub struct PortConnector {
    open: Open,
    config: LinkConfig,
}

impl PortConnector {
    /// Creates a connector that gets a port for each link from `open`: usually one end of a new `MessageChannel`, whose
    /// other end was passed to the plugin.
    pub fn new(
        open: impl Fn() -> Result<MessagePort, JsValue> + Send + Sync + 'static,
        config: LinkConfig,
    ) -> PortConnector {
        PortConnector { open: Box::new(move |_| open()), config }
    }
}

#[async_trait]
impl PluginConnector for PortConnector {
    async fn connect(&mut self, url: &str) -> Result<Box<dyn Link>, ConnectError> {
        let port = (self.open)(url).map_err(|error| ConnectError::failed(error_text(&error)))?;
        Ok(Box::new(port_link(&port.clone(), port, &self.config)))
    }
}

impl fmt::Debug for PortConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PortConnector").field("config", &self.config).finish_non_exhaustive()
    }
}

/// The plugin `profile` (or just its name) behind the message port that `open` returns for each link, to be registered
/// with an engine.
pub fn port(
    profile: impl Into<Profile>,
    open: impl Fn() -> Result<MessagePort, JsValue> + Send + Sync + 'static,
) -> Registration {
    let profile = profile.into();
    let url = format!("port:{}", profile.name);
    in_page(profile, &url, PortConnector::new(open, LinkConfig::default()))
}

/// The plugin `profile` (or just its name) in the shared worker that runs the module script at `url`, to be registered
/// with an engine. All engines of the same origin share the worker.
pub fn shared_worker(profile: impl Into<Profile>, url: &str) -> Registration {
    let open = |url: &str| {
        let options = web_sys::WorkerOptions::new();
        options.set_type(web_sys::WorkerType::Module);
        Ok(SharedWorker::new_with_worker_options(url, &options)?.port())
    };
    in_page(profile.into(), url, PortConnector { open: Box::new(open), config: LinkConfig::default() })
}
