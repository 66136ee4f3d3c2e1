//! The fixture that a transport's author writes: how to make the two ends, and what the transport promises.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use connector_core::async_trait;

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

/// What a transport can do and what it promises beyond the contract of [`Link`]. The default is a text transport that
/// several engines can dial again and again, with a fixture that cannot break links.
///
/// ```
/// use conformance::Capabilities;
///
/// let capabilities = Capabilities::default().max_message(16 << 20).cut().stall();
/// assert!(capabilities.cut && capabilities.text);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// Payloads arrive as the same JSON text, to the byte (apart from whitespace between tokens). Without it the
    /// transport moves values, and cases that only text can express are skipped. Default true.
    pub text: bool,
    /// The largest message, in bytes of JSON, that is guaranteed to arrive. Default 1 MiB.
    pub max_message: usize,
    /// The most messages that a link may accept before it pushes back on a sender whose other end does not read,
    /// including the system's buffers. Default 1,000,000.
    pub max_unread: usize,
    /// The same in bytes. Default 64 MiB.
    pub max_unread_bytes: usize,
    /// A plugin's end returns another link after the first has ended. Default true.
    pub reconnect: bool,
    /// Several engines can be connected to one plugin's end at once. Default true.
    pub multiple_engines: bool,
    /// A cut is never reported as [`LinkEnd::Closed`]. `false` for a transport where both look like the end of a stream. (A
    /// graceful close is always reported as `Closed`.) Default true.
    pub distinguishes_loss: bool,
    /// A frame that is not a message is returned as an error in its position, and the link stays up. Default true.
    pub bad_frames: bool,
    /// The fixture can break links: [`Control::cut`]. Default false.
    pub cut: bool,
    /// The fixture can stall links: [`Control::stall`]. Default false.
    pub stall: bool,
    /// The fixture can forge frames: [`Control::inject`]. Default false.
    pub inject: bool,
    /// The fixture can forge bytes: [`Control::inject_raw`]. Default false.
    pub inject_raw: bool,
    /// The fixture can open idle connections: [`Control::connect_idle`]. Default false.
    pub idle_connections: bool,
    /// The fixture can count open connections: [`Control::open_connections`]. Default false.
    pub count_connections: bool,
    /// A stalled link ends on its own within this time, as [`LinkEnd::Silent`], and declares so in
    /// [`Link::notices_silence`]. Default none: the link does not end, and the engine detects silence.
    pub silence: Option<Duration>,
    /// How long a case waits for any one step before it fails. Default 30 s, which allows for slow machines.
    pub timeout: Duration,
}

impl Default for Capabilities {
    fn default() -> Capabilities {
        Capabilities {
            text: true,
            max_message: 1 << 20,
            max_unread: 1_000_000,
            max_unread_bytes: 64 << 20,
            reconnect: true,
            multiple_engines: true,
            distinguishes_loss: true,
            bad_frames: true,
            cut: false,
            stall: false,
            inject: false,
            inject_raw: false,
            idle_connections: false,
            count_connections: false,
            silence: None,
            timeout: Duration::from_secs(30),
        }
    }
}

macro_rules! setters {
    ($($(#[$doc:meta])* $name:ident($($argument:ident: $type:ty)?) => $value:expr;)*) => {
        impl Capabilities {
            $($(#[$doc])*
            #[must_use]
            pub fn $name(mut self $(, $argument: $type)?) -> Capabilities {
                self.$name = $value;
                self
            })*
        }
    };
}

setters! {
    /// Sets [`text`](Capabilities::text).
    text(yes: bool) => yes;
    /// Sets [`max_message`](Capabilities::max_message).
    max_message(bytes: usize) => bytes;
    /// Sets [`max_unread`](Capabilities::max_unread).
    max_unread(messages: usize) => messages;
    /// Sets [`max_unread_bytes`](Capabilities::max_unread_bytes).
    max_unread_bytes(bytes: usize) => bytes;
    /// Sets [`reconnect`](Capabilities::reconnect).
    reconnect(yes: bool) => yes;
    /// Sets [`multiple_engines`](Capabilities::multiple_engines).
    multiple_engines(yes: bool) => yes;
    /// Sets [`distinguishes_loss`](Capabilities::distinguishes_loss).
    distinguishes_loss(yes: bool) => yes;
    /// Sets [`bad_frames`](Capabilities::bad_frames).
    bad_frames(yes: bool) => yes;
    /// Declares [`cut`](Capabilities::cut).
    cut() => true;
    /// Declares [`stall`](Capabilities::stall).
    stall() => true;
    /// Declares [`inject`](Capabilities::inject).
    inject() => true;
    /// Declares [`inject_raw`](Capabilities::inject_raw).
    inject_raw() => true;
    /// Declares [`idle_connections`](Capabilities::idle_connections).
    idle_connections() => true;
    /// Declares [`count_connections`](Capabilities::count_connections).
    count_connections() => true;
    /// Declares [`silence`](Capabilities::silence).
    silence(within: Duration) => Some(within);
    /// Sets [`timeout`](Capabilities::timeout).
    timeout(limit: Duration) => limit;
}

/// A capability that a case requires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Need {
    /// [`Capabilities::text`].
    Text,
    /// [`Capabilities::reconnect`].
    Reconnect,
    /// [`Capabilities::multiple_engines`].
    MultipleEngines,
    /// [`Capabilities::distinguishes_loss`].
    DistinguishesLoss,
    /// [`Capabilities::bad_frames`].
    BadFrames,
    /// [`Capabilities::cut`].
    Cut,
    /// [`Capabilities::stall`].
    Stall,
    /// [`Capabilities::inject`].
    Inject,
    /// [`Capabilities::inject_raw`].
    InjectRaw,
    /// [`Capabilities::idle_connections`].
    IdleConnections,
    /// [`Capabilities::count_connections`].
    CountConnections,
    /// [`Capabilities::silence`].
    Silence,
}

impl Need {
    /// All of them.
    pub const ALL: &[Need] = &[
        Need::Text,
        Need::Reconnect,
        Need::MultipleEngines,
        Need::DistinguishesLoss,
        Need::BadFrames,
        Need::Cut,
        Need::Stall,
        Need::Inject,
        Need::InjectRaw,
        Need::IdleConnections,
        Need::CountConnections,
        Need::Silence,
    ];

    /// Why a case is skipped if this need is not met.
    pub(super) fn unmet(self, has: &Capabilities) -> Option<&'static str> {
        let (met, why) = match self {
            Need::Text => (has.text, "it moves values, not text"),
            Need::Reconnect => (has.reconnect, "its plugin's end returns only one link"),
            Need::MultipleEngines => (has.multiple_engines, "its plugin's end serves only one engine"),
            Need::DistinguishesLoss => (has.distinguishes_loss, "it does not distinguish a close from a loss"),
            Need::BadFrames => (has.bad_frames, "a bad frame ends its links"),
            Need::Cut => (has.cut, "its fixture cannot cut links"),
            Need::Stall => (has.stall, "its fixture cannot stall links"),
            Need::Inject => (has.inject, "its fixture cannot forge frames"),
            Need::InjectRaw => (has.inject_raw, "its fixture cannot forge bytes"),
            Need::IdleConnections => (has.idle_connections, "its fixture cannot open idle connections"),
            Need::CountConnections => (has.count_connections, "its fixture cannot count open connections"),
            Need::Silence => (has.silence.is_some(), "it does not detect silence"),
        };
        (!met).then_some(why)
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
