//! The fixture that a transport's author writes: how to make the two ends.

use std::error::Error;
use std::fmt;

use connector_core::async_trait;

use super::capabilities::Capabilities;
use super::memory::{Switch, memory};
use connector_core::{ClientConnector, ConnectError, Link, LinkEnd, PluginConnector, redacted_url};

/// Why a [`Fixture`] could not make its [`Endpoints`], for example because no port is free.
pub type FixtureError = Box<dyn Error + Send + Sync>;

/// A transport under test: makes new [`Endpoints`] for each case.
#[async_trait]
pub trait Fixture: Send + Sync {
    /// What the transport can do and what it promises.
    fn capabilities(&self) -> Capabilities;

    /// Both ends of the transport, not connected yet and independent of any other endpoints. Runs within the case's
    /// tokio runtime.
    ///
    /// # Errors
    /// Whatever prevents it; the case then fails with that error.
    async fn endpoints(&self) -> Result<Endpoints, FixtureError>;
}

pub(super) type MakeConnector = Box<dyn Fn() -> Box<dyn PluginConnector> + Send + Sync>;

/// Both ends of a transport, and the control over the path between them.
pub struct Endpoints {
    pub(super) url: String,
    pub(super) client: Box<dyn ClientConnector>,
    pub(super) connector: MakeConnector,
    pub(super) control: Box<dyn Control>,
    pub(super) observed: bool,
}

impl Endpoints {
    /// From the plugin's end, its URL, and a function that makes an engine's end (called once for each engine).
    pub fn new<P: PluginConnector>(
        url: impl Into<String>,
        client: impl ClientConnector,
        connector: impl Fn() -> P + Send + Sync + 'static,
    ) -> Endpoints {
        Endpoints {
            url: url.into(),
            client: Box::new(client),
            connector: Box::new(move || Box::new(connector())),
            control: Box::new(NoControl),
            observed: false,
        }
    }

    /// Adds control over the path between the ends. Like the function that makes engine's ends, it is kept for as long as
    /// the endpoints are used, and may own what they need, such as a directory or a task.
    #[must_use]
    pub fn control(mut self, control: impl Control) -> Endpoints {
        self.control = Box::new(control);
        self
    }
}

impl fmt::Debug for Endpoints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoints").field("url", &redacted_url(&self.url)).finish_non_exhaustive()
    }
}

/// A fixture whose engines are observed: each message is encoded and each payload serialized, as a recorder does. An observer
/// must not change what the cases see.
///
/// ```
/// mod observed {
///     conformance::suite!(conformance::Observed(conformance::Memory), without: [IdleConnections, Silence]);
/// }
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Observed<F>(pub F);

#[async_trait]
impl<F: Fixture> Fixture for Observed<F> {
    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }

    async fn endpoints(&self) -> Result<Endpoints, FixtureError> {
        Ok(Endpoints { observed: true, ..self.0.endpoints().await? })
    }
}

/// Control over the path between the two ends: a proxy, a switch, a process. Each method is called only if the matching
/// [capability](Capabilities) is declared.
pub trait Control: Send + Sync + 'static {
    /// Breaks every link that is up, as a network failure or a killed process does, and prevents new ones until
    /// [`heal`](Control::heal). For [`cut`](Capabilities::cut).
    fn cut(&self) {}

    /// Allows links to be made and to carry messages again.
    fn heal(&self) {}

    /// From now on nothing is delivered and nothing is closed, as with an unplugged cable or a hanging process. For
    /// [`stall`](Capabilities::stall).
    fn stall(&self) {}

    /// Sends a text frame, unchanged, to the plugin's end, as if the engine's end of the newest link had written it.
    /// Nothing else is in transit meanwhile. For [`inject`](Capabilities::inject).
    fn inject(&self, frame: &str) {
        let _ = frame;
    }

    /// Sends bytes, unchanged and unframed, to the plugin's end, as if the engine's end of the newest link had written
    /// them. For [`inject_raw`](Capabilities::inject_raw).
    fn inject_raw(&self, bytes: &[u8]) {
        let _ = bytes;
    }

    /// Opens a connection to the plugin's end that sends nothing and stays open for as long as the endpoints are used. For
    /// [`idle_connections`](Capabilities::idle_connections).
    fn connect_idle(&self) {}

    /// How many connections of engines to these endpoints are open: sockets, descriptors, or whatever a link holds. For
    /// [`count_connections`](Capabilities::count_connections).
    fn open_connections(&self) -> usize {
        0
    }
}

struct NoControl;

impl Control for NoControl {}

impl Control for Switch {
    fn cut(&self) {
        self.refuse_connections(true);
        Switch::cut(self);
    }

    fn heal(&self) {
        self.refuse_connections(false);
    }

    fn stall(&self) {
        Switch::stall(self);
    }

    fn inject(&self, frame: &str) {
        Switch::inject(self, frame);
    }

    /// In memory, frames are bytes without framing.
    fn inject_raw(&self, bytes: &[u8]) {
        Switch::inject_raw(self, bytes);
    }

    fn open_connections(&self) -> usize {
        Switch::open_links(self)
    }
}

/// The in-memory transport as a fixture, which the suite itself is tested with.
#[derive(Debug, Clone, Copy, Default)]
pub struct Memory;

#[async_trait]
impl Fixture for Memory {
    fn capabilities(&self) -> Capabilities {
        let bounded = Capabilities::default().max_unread(1000).max_unread_bytes(8 << 20);
        bounded.cut().stall().inject().inject_raw().count_connections()
    }

    async fn endpoints(&self) -> Result<Endpoints, FixtureError> {
        let (plugin, client, switch) = memory();
        Ok(Endpoints::new("memory://", client, move || plugin.clone()).control(switch))
    }
}

/// A connector chosen at run time.
pub(super) struct Boxed<T: ?Sized>(pub(super) Box<T>);

#[async_trait]
impl ClientConnector for Boxed<dyn ClientConnector> {
    async fn accept(&mut self) -> Result<Box<dyn Link>, LinkEnd> {
        self.0.accept().await
    }

    fn stopping(&mut self) {
        self.0.stopping();
    }
}

#[async_trait]
impl PluginConnector for Boxed<dyn PluginConnector> {
    async fn connect(&mut self, url: &str) -> Result<Box<dyn Link>, ConnectError> {
        self.0.connect(url).await
    }

    fn registered(&mut self, plugin: &str) {
        self.0.registered(plugin);
    }

    fn activated(&mut self) {
        self.0.activated();
    }
}
