//! The engine's end: reaches plugins in frames, in workers, behind message ports and over websockets.

mod iframe;
mod mount;
mod port;
mod websocket;
mod worker;

use std::time::Duration;

use connector_core::{ExternalProfile, PluginConnector, PluginOptions, Profile, Registration};

pub use self::iframe::{IframeConfig, IframeConnector, iframe, iframe_with};
pub use self::mount::{Mount, View};
pub use self::port::{PortConnector, port, shared_worker};
pub use self::websocket::{WebSocketConnector, websocket};
pub use self::worker::{WorkerConfig, WorkerConnector, worker, worker_with};

/// A page in the background runs its timers rarely, and a page that was suspended runs them before the messages that have
/// arrived meanwhile: probing would end links that are well.
fn unprobed(profile: Profile, url: &str, connector: impl PluginConnector) -> Registration {
    let options = PluginOptions::default().health_interval(Duration::MAX);
    Registration::behind(ExternalProfile::new(profile, url), connector).options(options)
}
