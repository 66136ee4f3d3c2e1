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

/// How long a page or a worker may load its WebAssembly before it answers the handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(15);

/// Options that suit a page. It is not probed for silence: a page in the background runs its timers rarely, and a page that
/// was suspended runs them before the messages that have arrived meanwhile, so that probes would end healthy links.
fn in_page(profile: Profile, url: &str, connector: impl PluginConnector) -> Registration {
    let options = PluginOptions::default().health_interval(Duration::MAX).handshake_timeout(HANDSHAKE_TIMEOUT);
    Registration::behind(ExternalProfile::new(profile, url), connector).options(options)
}
