//! Sketch-thru-Plan (STP) over websockets: a connector for services, and a hub for testing them.
//!
//! - [`StpWsConnector`] implements [`StpConnector`](connector_core::stp::StpConnector): it dials an STP, registers, and
//!   reconnects after a loss.
//! - [`StpHub`] is a small STP server that services register with. [`list`] queries a running hub for its services.
//!
//! ```
//! use connector_core::stp::{RequestHandler, StpConnector, StpService, StpTimeout};
//! use transport_ws::stp::{StpHub, StpHubConfig, StpWsConnector};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let hub = StpHub::bind("127.0.0.1:0", StpHubConfig::default()).await?;
//! let url = format!("{}/exercise", hub.url());
//! tokio::spawn(hub.serve());
//!
//! let tasks = StpWsConnector::new(&url);
//! tasks.on_request(RequestHandler::new(|_message| async { Ok::<_, String>("[]".to_owned()) }));
//! tasks.connect(StpService::new("Tasks", ["GetTasks"]), StpTimeout::from_seconds(10.0)).await?;
//!
//! let map = StpWsConnector::new(&url);
//! let session = map.connect(StpService::new("Map", ["TaskAdded"]), StpTimeout::default()).await?;
//! assert_eq!(session, "exercise");
//! assert_eq!(map.request(r#"{"method":"GetTasks"}"#, StpTimeout::default()).await?, ["[]"]);
//! # Ok(())
//! # }
//! ```

mod config;
mod connector;
mod hub;
mod link;
mod reconnect;
mod request_queue;
mod service;

pub use config::StpWsConfig;
pub use connector::StpWsConnector;
pub use hub::{
    StpCounters, StpHub, StpHubConfig, StpHubHandle, StpListError, StpListedService, StpListedSession, StpListing, list,
};
pub(crate) use link::TextLink;
