//! The conformance suite between threads of one process.
#![cfg(all(feature = "client", feature = "plugin"))]
#![allow(missing_docs)]

use connector_core::async_trait;
use connector_core::conformance::{Capabilities, Fixture, Place, PlaceError, suite};

struct Worker;

#[async_trait]
impl Fixture for Worker {
    fn capabilities(&self) -> Capabilities {
        Capabilities::default().text(false).most_unread(1000)
    }

    async fn place(&self) -> Result<Place, PlaceError> {
        let (connector, client) = transport_worker::pair(256);
        Ok(Place::new("worker:probe", client, move || connector.clone()))
    }
}

suite!(Worker);
