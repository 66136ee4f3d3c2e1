//! What the author of a transport writes: how its two ends are made, and what it promises.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use connector_core::async_trait;

use super::memory::{Switch, memory};
use connector_core::{ClientConnector, ConnectError, Link, LinkEnd, PluginConnector, redacted_url};

/// Why a [`Place`] could not be made, for example because no port is free.
pub type PlaceError = Box<dyn Error + Send + Sync>;

/// A transport to be tried: makes a new [`Place`] for each case.
#[async_trait]
pub trait Fixture: Send + Sync {
    /// What the transport can and what it promises.
    fn capabilities(&self) -> Capabilities;

    /// Both ends of the transport, not connected yet, and apart from every other place. Runs within the case's own
    /// tokio runtime.
    ///
    /// # Errors
    /// Whatever keeps it from being made; the case fails with it.
    async fn place(&self) -> Result<Place, PlaceError>;
}

pub(super) type MakeConnector = Box<dyn Fn() -> Box<dyn PluginConnector> + Send + Sync>;

/// Both ends of a transport, and the hands on what is between them.
pub struct Place {
    pub(super) url: String,
    pub(super) client: Box<dyn ClientConnector>,
    pub(super) connector: MakeConnector,
    pub(super) control: Box<dyn Control>,
}

impl Place {
    /// The plugin's end, the URL it is reached at, and what makes an engine's end (asked once for each engine).
    pub fn new<P: PluginConnector>(
        url: impl Into<String>,
        client: impl ClientConnector,
        connector: impl Fn() -> P + Send + Sync + 'static,
    ) -> Place {
        Place {
            url: url.into(),
            client: Box::new(client),
            connector: Box::new(move || Box::new(connector())),
            control: Box::new(Untouched),
        }
    }

    /// With these hands on what is between the ends. Like the maker of engine's ends they are kept for as long as the
    /// place is used, and may own what it needs: a folder, a task.
    #[must_use]
    pub fn control(mut self, control: impl Control) -> Place {
        self.control = Box::new(control);
        self
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place").field("url", &redacted_url(&self.url)).finish_non_exhaustive()
    }
}

/// Hands on what is between the two ends: a proxy, a switch, a process. Each method is called only where the matching
/// [capability](Capabilities) is declared.
pub trait Control: Send + Sync + 'static {
    /// Breaks every link that is up, as a lost network or a killed process does, and lets none be made until
    /// [`heal`](Control::heal). For [`cut`](Capabilities::cut).
    fn cut(&self) {}

    /// Links can be made again, and carry again.
    fn heal(&self) {}

    /// From now on nothing is carried, and nothing is closed: a cable that was pulled, a process that hangs. For
    /// [`stall`](Capabilities::stall).
    fn stall(&self) {}

    /// Puts a frame of text on its way to the plugin's end, as it is, as if the engine's end of the newest link had
    /// written it. Nothing else is on its way meanwhile. For [`inject`](Capabilities::inject).
    fn inject(&self, frame: &str) {
        let _ = frame;
    }

    /// Puts bytes on their way to the plugin's end, as they are and without a frame around them, as if the engine's end
    /// of the newest link had written them. For [`inject_raw`](Capabilities::inject_raw).
    fn inject_raw(&self, bytes: &[u8]) {
        let _ = bytes;
    }

    /// Connects to the plugin's end as anybody can, says nothing, and stays connected for as long as the place is used.
    /// For [`strangers`](Capabilities::strangers).
    fn stranger(&self) {}

    /// How many connections of engines to this place are open: sockets, descriptors, or whatever a link holds. For
    /// [`counts`](Capabilities::counts).
    fn open(&self) -> usize {
        0
    }
}

struct Untouched;

impl Control for Untouched {}

impl Control for Switch {
    fn cut(&self) {
        self.turn_off(true);
        Switch::cut(self);
    }

    fn heal(&self) {
        self.turn_off(false);
    }

    fn stall(&self) {
        Switch::stall(self);
    }

    fn inject(&self, frame: &str) {
        Switch::inject(self, frame);
    }

    /// Bytes and frames are the same here.
    fn inject_raw(&self, bytes: &[u8]) {
        Switch::inject_raw(self, bytes);
    }

    fn open(&self) -> usize {
        Switch::open(self)
    }
}

/// What a transport can and what it promises beyond the contract of [`Link`]. The default is a transport of text that
/// can be redialled by several engines, and that the fixture cannot break.
///
/// ```
/// use conformance::Capabilities;
///
/// let capabilities = Capabilities::default().largest(16 << 20).cut().stall();
/// assert!(capabilities.cut && capabilities.text);
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Capabilities {
    /// Payloads cross as the JSON text they are, to the byte (white space between tokens aside). Without it the
    /// transport moves values, and what only text can say is not tried. Default true.
    pub text: bool,
    /// The largest message, in bytes of JSON, that is promised to cross. Default 1 MiB.
    pub largest: usize,
    /// The most messages that a link may take before it pushes back on a sender whose other end does not read,
    /// whatever buffers the system has for it included. Default 1,000,000.
    pub most_unread: usize,
    /// The same in bytes. Default 64 MiB.
    pub most_unread_bytes: usize,
    /// A plugin's end gives another link after the first has ended. Default true.
    pub redial: bool,
    /// Several engines can be linked to one plugin's end at once. Default true.
    pub engines: bool,
    /// A cut is never told as [`LinkEnd::Closed`], as it is where a stream's end is all that there is to be seen. (A close
    /// in order is always told as `Closed`.) Default true.
    pub tells_close_from_loss: bool,
    /// A frame that is no message is handed out as an error in its place, and the link lives on. Default true.
    pub bad_frames: bool,
    /// The fixture can break links: [`Control::cut`]. Default false.
    pub cut: bool,
    /// The fixture can stall links: [`Control::stall`]. Default false.
    pub stall: bool,
    /// The fixture can forge frames: [`Control::inject`]. Default false.
    pub inject: bool,
    /// The fixture can forge bytes: [`Control::inject_raw`]. Default false.
    pub inject_raw: bool,
    /// The fixture can connect as a stranger: [`Control::stranger`]. Default false.
    pub strangers: bool,
    /// The fixture can count what is open: [`Control::open`]. Default false.
    pub counts: bool,
    /// A link that is stalled ends by itself within this time, as [`LinkEnd::Silent`], and says so in
    /// [`Link::notices_silence`]. Default none: it does not, and the engine looks after silence.
    pub silence: Option<Duration>,
    /// How long a case waits for anything before it fails. Default 30 s, since machines are slow at times.
    pub patience: Duration,
}

impl Default for Capabilities {
    fn default() -> Capabilities {
        Capabilities {
            text: true,
            largest: 1 << 20,
            most_unread: 1_000_000,
            most_unread_bytes: 64 << 20,
            redial: true,
            engines: true,
            tells_close_from_loss: true,
            bad_frames: true,
            cut: false,
            stall: false,
            inject: false,
            inject_raw: false,
            strangers: false,
            counts: false,
            silence: None,
            patience: Duration::from_secs(30),
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
    /// Sets [`largest`](Capabilities::largest).
    largest(bytes: usize) => bytes;
    /// Sets [`most_unread`](Capabilities::most_unread).
    most_unread(messages: usize) => messages;
    /// Sets [`most_unread_bytes`](Capabilities::most_unread_bytes).
    most_unread_bytes(bytes: usize) => bytes;
    /// Sets [`redial`](Capabilities::redial).
    redial(yes: bool) => yes;
    /// Sets [`engines`](Capabilities::engines).
    engines(yes: bool) => yes;
    /// Sets [`tells_close_from_loss`](Capabilities::tells_close_from_loss).
    tells_close_from_loss(yes: bool) => yes;
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
    /// Declares [`strangers`](Capabilities::strangers).
    strangers() => true;
    /// Declares [`counts`](Capabilities::counts).
    counts() => true;
    /// Declares [`silence`](Capabilities::silence).
    silence(within: Duration) => Some(within);
    /// Sets [`patience`](Capabilities::patience).
    patience(limit: Duration) => limit;
}

/// A capability that a case cannot be run without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Need {
    /// [`Capabilities::text`].
    Text,
    /// [`Capabilities::redial`].
    Redial,
    /// [`Capabilities::engines`].
    Engines,
    /// [`Capabilities::tells_close_from_loss`].
    TellsCloseFromLoss,
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
    /// [`Capabilities::strangers`].
    Strangers,
    /// [`Capabilities::counts`].
    Counts,
    /// [`Capabilities::silence`].
    Silence,
}

impl Need {
    /// All of them.
    pub const ALL: &[Need] = &[
        Need::Text,
        Need::Redial,
        Need::Engines,
        Need::TellsCloseFromLoss,
        Need::BadFrames,
        Need::Cut,
        Need::Stall,
        Need::Inject,
        Need::InjectRaw,
        Need::Strangers,
        Need::Counts,
        Need::Silence,
    ];

    /// Why a case is skipped, if this is not met.
    pub(super) fn unmet(self, has: &Capabilities) -> Option<&'static str> {
        let (met, why) = match self {
            Need::Text => (has.text, "it moves values, not text"),
            Need::Redial => (has.redial, "its plugin's end gives one link only"),
            Need::Engines => (has.engines, "its plugin's end serves one engine only"),
            Need::TellsCloseFromLoss => (has.tells_close_from_loss, "it does not tell a close from a loss"),
            Need::BadFrames => (has.bad_frames, "a bad frame ends its links"),
            Need::Cut => (has.cut, "its fixture cannot cut links"),
            Need::Stall => (has.stall, "its fixture cannot stall links"),
            Need::Inject => (has.inject, "its fixture cannot forge frames"),
            Need::InjectRaw => (has.inject_raw, "its fixture cannot forge bytes"),
            Need::Strangers => (has.strangers, "its fixture cannot connect as a stranger"),
            Need::Counts => (has.counts, "its fixture cannot count what is open"),
            Need::Silence => (has.silence.is_some(), "it does not notice silence"),
        };
        (!met).then_some(why)
    }
}

/// The transport in memory, as a fixture: the one that the suite itself is tried with.
#[derive(Debug, Clone, Copy, Default)]
pub struct Memory;

#[async_trait]
impl Fixture for Memory {
    fn capabilities(&self) -> Capabilities {
        let little = Capabilities::default().most_unread(1000).most_unread_bytes(8 << 20);
        little.cut().stall().inject().inject_raw().counts()
    }

    async fn place(&self) -> Result<Place, PlaceError> {
        let (plugin, client, switch) = memory();
        Ok(Place::new("memory://", client, move || plugin.clone()).control(switch))
    }
}

/// Connectors that are chosen at run time.
pub(super) struct Boxed<T: ?Sized>(pub(super) Box<T>);

#[async_trait]
impl ClientConnector for Boxed<dyn ClientConnector> {
    async fn accept(&mut self) -> Result<Box<dyn Link>, LinkEnd> {
        self.0.accept().await
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
