//! The plugin's end, for a plugin that its host serves on any thread.

use std::fmt;

use connector_core::{ClientConnector, Link, LinkEnd, async_trait};
use tokio::sync::mpsc;

/// The plugin's end of a [`pair`](crate::pair), to be served with [`connector_core::serve`] on any thread or runtime of
/// the host.
///
/// It returns a link each time the engine connects, and [`LinkEnd::Closed`] once the connector is dropped.
pub struct WorkerClient(pub(crate) mpsc::Receiver<Box<dyn Link>>);

#[async_trait]
impl ClientConnector for WorkerClient {
    async fn accept(&mut self) -> Result<Box<dyn Link>, LinkEnd> {
        self.0.recv().await.ok_or(LinkEnd::Closed { code: None, reason: String::new() })
    }
}

impl fmt::Debug for WorkerClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WorkerClient")
    }
}
