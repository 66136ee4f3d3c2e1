//! A plugin under test: its transport, its registration, and how its link is lost.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use conformance::{MemoryPlugin, Switch, memory};
use connector_core::{
    ClientConfig, ClientConnector, ConnectError, Engine, ExternalProfile, Link, LinkEnd, PluginConnector,
    PluginManager, PluginOptions, RegisterError, Registration, async_trait, serve,
};
use fastrand::Rng;
use tokio::task::JoinHandle;
use transport_ipc::local::{LocalConfig, LocalConnector, LocalName, LocalServer};
use transport_ipc::{ChannelKind, ChildConnector, Program, Restart};
use transport_worker::{Placement, WorkerConfig, WorkerConnector};
use transport_ws::{WsConnector, WsServer, WsServerConfig};

use super::hooks::{Hooks, Nature, lock, plugin};
use crate::processes;
use crate::proxy::Proxy;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    /// In the engine's process.
    Here,
    Thread,
    Task,
    Websocket,
    #[cfg(feature = "socketio")]
    Socketio,
    LocalSocket,
    Memory,
    Stdio,
    Node,
    Channel,
}

/// The transports of plugins, cyclically; cheap ones appear more often.
pub(crate) const TRANSPORTS: &[Transport] = &[
    Transport::Here,
    Transport::Thread,
    Transport::Task,
    Transport::Websocket,
    Transport::LocalSocket,
    Transport::Memory,
    Transport::Stdio,
    Transport::Node,
    Transport::Channel,
    #[cfg(feature = "socketio")]
    Transport::Socketio,
    Transport::Here,
    Transport::Thread,
    Transport::Websocket,
    Transport::LocalSocket,
    Transport::Here,
    Transport::Task,
    Transport::Websocket,
    Transport::Memory,
    Transport::Here,
    Transport::Thread,
    #[cfg(feature = "socketio")]
    Transport::Socketio,
    Transport::Here,
    Transport::Task,
    Transport::Websocket,
    Transport::LocalSocket,
];

impl Transport {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Transport::Here => "in-process",
            Transport::Thread => "thread",
            Transport::Task => "task",
            Transport::Websocket => "websocket",
            #[cfg(feature = "socketio")]
            Transport::Socketio => "socketio",
            Transport::LocalSocket => "local-socket",
            Transport::Memory => "memory",
            Transport::Stdio => "child-stdio",
            Transport::Node => "child-node",
            Transport::Channel => "child-local",
        }
    }

    pub(crate) fn is_child(self) -> bool {
        matches!(self, Transport::Stdio | Transport::Node | Transport::Channel)
    }
}

pub(crate) struct Subject {
    pub(crate) transport: Transport,
    pub(crate) nature: Arc<Nature>,
    /// Whether other plugins' hooks change its state, so that it is known only from its own hooks.
    pub(crate) meddled_with: bool,
    pub(crate) hooks: Arc<Hooks>,
    /// The hooks of plugins that were registered earlier under its name.
    pub(crate) past: Vec<Arc<Hooks>>,
    links: Links,
    peer: Peer,
}

/// Links dialled, or programs started, so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Links {
    /// Over the transport.
    pub(crate) of_transport: Arc<AtomicUsize>,
    /// For programs, over all channels; and their maximum.
    pub(crate) programs: Option<(Arc<AtomicUsize>, usize)>,
}

/// The other end, for the duration of the storm.
enum Peer {
    Nothing,
    Serving { url: String, proxy: Option<Proxy>, serving: JoinHandle<LinkEnd> },
    Memory { connector: MemoryPlugin, switch: Switch, serving: JoinHandle<LinkEnd> },
}

impl Drop for Peer {
    fn drop(&mut self) {
        match self {
            Peer::Nothing => {}
            Peer::Serving { serving, .. } | Peer::Memory { serving, .. } => serving.abort(),
        }
    }
}

impl Subject {
    pub(crate) async fn new(
        number: usize,
        meddling: Option<(Vec<String>, PluginManager)>,
        meddled_with: bool,
        links: Links,
        rng: &mut Rng,
    ) -> Result<Subject, Box<dyn std::error::Error>> {
        let transport = TRANSPORTS[number % TRANSPORTS.len()];
        let here = transport == Transport::Here;
        let nature = Arc::new(Nature {
            name: name(number),
            takes: [0, 0, 4, 20][rng.usize(..4)],
            // Behind a link that is harmless.
            fails: if here && meddling.is_none() { [0, 0, 3][number % 3] } else { 8 * u32::from(!here) },
            meddles: meddling,
            dice: Mutex::new(rng.fork()),
            client: Mutex::default(),
        });
        let hooks = Hooks::new(here);
        let (nature_, hooks_) = (Arc::clone(&nature), Arc::clone(&hooks));
        let make = move || plugin(&nature_, &hooks_);
        let peer = match transport {
            Transport::Here | Transport::Thread | Transport::Task => Peer::Nothing,
            Transport::Stdio | Transport::Node | Transport::Channel => Peer::Nothing,
            Transport::Websocket => {
                let config = WsServerConfig::default().max_connections(MANY).max_handshakes(MANY);
                let server = WsServer::bind("127.0.0.1:0", config).await?;
                proxied(server.url(), serving(server, make)).await?
            }
            #[cfg(feature = "socketio")]
            Transport::Socketio => {
                let config = transport_socketio::SocketIoServerConfig::default().max_connections(MANY);
                let server = transport_socketio::SocketIoServer::bind("127.0.0.1:0", config).await?;
                proxied(server.url(), serving(server, make)).await?
            }
            Transport::LocalSocket => {
                let server = LocalServer::bind(&LocalName::unique(), LocalConfig::default().max_connections(MANY))?;
                Peer::Serving { url: server.url(), proxy: None, serving: serving(server, make) }
            }
            Transport::Memory => {
                let (connector, accepts, switch) = memory();
                Peer::Memory { connector, switch, serving: serving(accepts, make) }
            }
        };
        Ok(Subject { transport, nature, meddled_with, hooks, past: Vec::new(), links, peer })
    }

    pub(crate) fn name(&self) -> &str {
        &self.nature.name
    }

    /// Whether an activation succeeds unless another request reverts it.
    pub(crate) fn is_reliable(&self) -> bool {
        self.transport != Transport::Here || self.nature.fails == 0
    }

    /// Registers it, inactive.
    pub(crate) fn register(&mut self, engine: &Engine, program: &Path) -> Result<(), RegisterError> {
        let options = PluginOptions::default()
            .concurrency(8)
            .reconnect_delay(Duration::from_millis(5), Duration::from_millis(200));
        let place = |placement| {
            let (nature, hooks) = (Arc::clone(&self.nature), Arc::clone(&self.hooks));
            let config = WorkerConfig::default().placement(placement);
            let make = move || {
                // Before there is a link: this ends the thread or task.
                nature.may_fail();
                plugin(&nature, &hooks)
            };
            WorkerConnector::new(self.name(), make, config)
        };
        let child = |channel| {
            let program = Program::new(program).channel(channel).env(processes::MARK, processes::mark());
            // Most programs are killed; none may stay down because of that.
            let program = program.restart(Restart::Always).crash_budget(u32::MAX, Duration::from_secs(1));
            ChildConnector::new(program.env(processes::NAME, self.name()))
        };
        let connector: Box<dyn PluginConnector> = match self.transport {
            Transport::Here => {
                self.past.push(std::mem::replace(&mut self.hooks, Hooks::new(true)));
                return engine.register(plugin(&self.nature, &self.hooks).options(options)).map(drop);
            }
            Transport::Thread => Box::new(place(Placement::Thread)),
            Transport::Task => Box::new(place(Placement::Task)),
            Transport::Websocket => Box::new(WsConnector::default()),
            #[cfg(feature = "socketio")]
            Transport::Socketio => Box::new(transport_socketio::SocketIoConnector::default()),
            Transport::LocalSocket => Box::new(LocalConnector::default()),
            Transport::Memory => match &self.peer {
                Peer::Memory { connector, .. } => Box::new(connector.clone()),
                Peer::Serving { .. } | Peer::Nothing => unreachable!("it uses the in-memory transport"),
            },
            Transport::Stdio => Box::new(child(ChannelKind::Stdio)),
            Transport::Node => Box::new(child(ChannelKind::Node)),
            Transport::Channel => Box::new(child(ChannelKind::Local)),
        };
        let url = match &self.peer {
            Peer::Serving { url, proxy, .. } => proxy.as_ref().map_or(url, |proxy| &proxy.url),
            Peer::Memory { .. } | Peer::Nothing => "storm:",
        };
        let counted = Counted { connector, links: self.links.clone() };
        engine
            .register(Registration::behind(ExternalProfile::new(self.name(), url), counted).options(options))
            .map(drop)
    }

    /// Breaks its link, if it has one.
    pub(crate) fn lose(&self, rng: &mut Rng) -> bool {
        match &self.peer {
            _ if self.transport.is_child() => processes::kill(self.name()),
            Peer::Serving { proxy: Some(proxy), .. } if rng.bool() => {
                proxy.cut();
                true
            }
            Peer::Memory { switch, .. } if rng.bool() => {
                switch.cut();
                true
            }
            _ => self.nature.leave(),
        }
    }
}

impl Drop for Subject {
    /// Breaks the cycle: a handle held by a plugin keeps the plugin alive.
    fn drop(&mut self) {
        lock(&self.nature.client).take();
    }
}

/// A plugin's name.
pub(crate) fn name(number: usize) -> String {
    format!("{}-{number}", TRANSPORTS[number % TRANSPORTS.len()].name())
}

/// Old links may end after new ones have started.
const MANY: usize = 10_000;

fn serving(
    connector: impl ClientConnector,
    make: impl Fn() -> connector_core::Plugin + Send + Sync + 'static,
) -> JoinHandle<LinkEnd> {
    tokio::spawn(serve(connector, make, ClientConfig::default()))
}

async fn proxied(url: String, serving: JoinHandle<LinkEnd>) -> std::io::Result<Peer> {
    let proxy = Some(Proxy::start(&url, None).await?);
    Ok(Peer::Serving { url, proxy, serving })
}

/// Counts links, and limits the number of programs started.
struct Counted {
    connector: Box<dyn PluginConnector>,
    links: Links,
}

#[async_trait]
impl PluginConnector for Counted {
    async fn connect(&mut self, url: &str) -> Result<Box<dyn Link>, ConnectError> {
        if let Some((started, max)) = &self.links.programs
            && started.fetch_add(1, Ordering::Relaxed) >= *max
        {
            return Err(ConnectError::Refused("the storm has reached its limit of programs".to_owned()));
        }
        self.links.of_transport.fetch_add(1, Ordering::Relaxed);
        self.connector.connect(url).await
    }

    fn activated(&mut self) {
        self.connector.activated();
    }
}
