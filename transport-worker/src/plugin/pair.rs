//! A connector for a plugin that its host serves.

use std::fmt;

use connector_core::{ConnectError, Link, PluginConnector, async_trait};
use tokio::sync::mpsc;

use crate::client::WorkerClient;
use crate::config::DEFAULT_CAPACITY_BYTES;
use crate::link::links;
use crate::pipe::Capacity;

/// Links that may wait to be accepted.
const BACKLOG: usize = 16;

/// The two ends of a transport within the process, for a host that runs the plugin on its own thread or runtime;
/// [`worker`](crate::worker) does all that for you. `capacity` is [`WorkerConfig::capacity`](crate::WorkerConfig::capacity); the
/// limit in bytes is the default of [`WorkerConfig::capacity_bytes`](crate::WorkerConfig::capacity_bytes).
///
/// ```
/// use connector_core::{ClientConfig, Engine, ExternalProfile, Plugin, Registration, serve};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (connector, client) = transport_worker::pair(256);
/// let clock = Plugin::new("clock").method("hour", || async { 12 });
/// tokio::spawn(serve(client, move || clock.clone(), ClientConfig::default()));
///
/// let engine = Engine::new();
/// let local = engine.register(Plugin::new("local"))?;
/// engine.register(Registration::behind(ExternalProfile::new("clock", "worker:clock"), connector))?;
/// engine.manager().activate("local").await?;
/// assert_eq!(local.call::<i32>("clock", "hour", ()).await?, 12);
/// # Ok(()) }
/// ```
pub fn pair(capacity: usize) -> (PairConnector, WorkerClient) {
    let (dial, accept) = mpsc::channel(BACKLOG);
    (PairConnector { dial, capacity }, WorkerClient(accept))
}

/// The engine's end of a [`pair`]. It starts nothing: its links go to the [`WorkerClient`], and connecting is refused once
/// that is dropped. Each clone may belong to another engine.
#[derive(Clone)]
pub struct PairConnector {
    dial: mpsc::Sender<Box<dyn Link>>,
    capacity: usize,
}

#[async_trait]
impl PluginConnector for PairConnector {
    /// Ignores the URL: the other end is known.
    async fn connect(&mut self, _url: &str) -> Result<Box<dyn Link>, ConnectError> {
        let (here, there) = links(Capacity { messages: self.capacity, bytes: DEFAULT_CAPACITY_BYTES });
        let gone = |_| ConnectError::Refused("the other end is no longer served".to_owned());
        self.dial.send(Box::new(there)).await.map_err(gone)?;
        Ok(Box::new(here))
    }
}

impl fmt::Debug for PairConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PairConnector")
    }
}
