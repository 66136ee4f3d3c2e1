//! A well-behaved client beside an attack. It makes calls over a standing connection, and connects again and again as a
//! newcomer. It has its own thread, so that it shares only the machine with the attacker.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use connector_core::stp::{RequestHandler, StpConnector, StpService, StpTimeout};
use connector_core::{ClientConfig, ClientConnector, Engine, Plugin, PluginClient, Registration, connect};
use futures_util::future::join;
use serde_json::Value;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};
use transport_ws::stp::StpWsConnector;
use transport_ws::{WsConnectorConfig, WsServer, WsServerConfig};

use super::Result;
use super::victim::{Kind, TOKEN};

/// The pause after each call, and between newcomers.
const CALL_PAUSE: Duration = Duration::from_millis(2);
const JOIN_PAUSE: Duration = Duration::from_millis(200);
/// A call that takes longer has failed.
const CALL_LIMIT: Duration = Duration::from_secs(5);

/// A well-behaved client that runs. It ends when this is dropped.
pub(crate) struct Polite {
    stats: Arc<Mutex<Stats>>,
    _stop: oneshot::Sender<()>,
}

/// What the client has seen since the last [`Polite::take`].
#[derive(Default)]
pub(crate) struct Stats {
    calls: Vec<Duration>,
    joins: Vec<Duration>,
    failed: BTreeMap<String, usize>,
    /// When the pending call and the pending newcomer began.
    calling: Option<Instant>,
    joining: Option<Instant>,
}

impl Stats {
    /// The 99th percentile of the calls' latencies.
    pub(crate) fn p99(&self) -> Option<Duration> {
        let mut calls = self.calls.clone();
        calls.sort_unstable();
        let last = calls.len().checked_sub(1)?;
        Some(calls[(calls.len() * 99 / 100).min(last)])
    }

    /// The longest time that a newcomer needed; `None` if there are no newcomers.
    pub(crate) fn let_in(&self) -> Option<Duration> {
        self.joins.iter().copied().max()
    }

    /// The number of failed calls, and an example.
    pub(crate) fn failed(&self) -> Option<(usize, &str)> {
        let (error, _) = self.failed.iter().max_by_key(|(_, times)| **times)?;
        Some((self.failed.values().sum(), error))
    }

    fn called(&mut self, began: Instant, outcome: Result<()>) {
        self.calling = None;
        self.calls.push(began.elapsed());
        if let Err(error) = outcome {
            self.fail(error);
        }
    }

    fn joined(&mut self, began: Instant) {
        self.joining = None;
        self.joins.push(began.elapsed());
    }

    fn fail(&mut self, error: String) {
        *self.failed.entry(error).or_default() += 1;
    }
}

impl Polite {
    /// A client of the server at `url`.
    pub(crate) fn of_server(kind: Kind, url: &str) -> Result<Polite> {
        let way = Way::to(kind, url);
        let (polite, started) = Polite::start(async move |stats: Shared, ready: Ready| {
            let client = way.connect().await;
            let client = match client {
                Ok(client) => client,
                Err(error) => return drop(ready.send(Err(error))),
            };
            let _ = ready.send(Ok(String::new()));
            join(calls(&client, &stats), newcomers(&way, &stats)).await;
        });
        started.map(|_| polite)
    }

    /// A plugin that an engine dials at the returned URL. It calls `target`'s method with two numbers.
    pub(crate) fn of_engine(target: &'static str, method: &'static str) -> Result<(Polite, String)> {
        let (polite, started) = Polite::start(async move |stats: Shared, ready: Ready| {
            let mut server = match WsServer::bind("127.0.0.1:0", WsServerConfig::default()).await {
                Ok(server) => server,
                Err(error) => return drop(ready.send(Err(error.to_string()))),
            };
            let _ = ready.send(Ok(server.url()));
            // Each link that ends is followed by another, as the engine reconnects.
            while let Ok(link) = server.accept().await {
                let (client, session) = connect(link, Plugin::new("polite"), ClientConfig::default());
                let client = Client::Plugin(client, target, method);
                tokio::select! {
                    end = session => lock(&stats).fail(format!("its link ended: {end}")),
                    () = calls(&client, &stats) => {}
                }
            }
        });
        started.map(|url| (polite, url))
    }

    fn start<F: Future<Output = ()>>(
        program: impl FnOnce(Shared, Ready) -> F + Send + 'static,
    ) -> (Polite, Result<String>) {
        let (stats, (stop, stopped)) = (Shared::default(), oneshot::channel::<()>());
        let (ready, started) = std::sync::mpsc::sync_channel(1);
        let shared = Arc::clone(&stats);
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            match runtime {
                Ok(runtime) => runtime.block_on(async {
                    tokio::select! {
                        () = program(shared, ready) => {}
                        _ = stopped => {}
                    }
                }),
                Err(error) => drop(ready.send(Err(error.to_string()))),
            }
        });
        let started = started.recv().unwrap_or_else(|_| Err("the polite client did not start".to_owned()));
        (Polite { stats, _stop: stop }, started)
    }

    /// What it has seen since the last time. A pending call and a pending newcomer count with their age.
    pub(crate) fn take(&self) -> Stats {
        let mut stats = lock(&self.stats);
        let Stats { calling, joining, .. } = *stats;
        let mut taken = std::mem::replace(&mut *stats, Stats { calling, joining, ..Stats::default() });
        taken.calls.extend(calling.map(|since| since.elapsed()));
        taken.joins.extend(joining.map(|since| since.elapsed()));
        taken
    }
}

type Shared = Arc<Mutex<Stats>>;
type Ready = std::sync::mpsc::SyncSender<Result<String>>;

fn lock(stats: &Mutex<Stats>) -> MutexGuard<'_, Stats> {
    stats.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Calls without end, one after another.
async fn calls(client: &Client, stats: &Mutex<Stats>) {
    loop {
        let began = Instant::now();
        lock(stats).calling = Some(began);
        let called = timeout(CALL_LIMIT, client.call()).await;
        lock(stats).called(began, called.unwrap_or_else(|_| Err(format!("no answer within {CALL_LIMIT:?}"))));
        sleep(CALL_PAUSE).await;
    }
}

/// Connects and calls once, without end. A newcomer that fails tries again; its time counts from its first attempt.
async fn newcomers(way: &Way, stats: &Mutex<Stats>) {
    loop {
        let began = Instant::now();
        lock(stats).joining = Some(began);
        let client = loop {
            let joined = timeout(CALL_LIMIT, async {
                let client = way.connect().await?;
                client.call().await?;
                Ok::<_, String>(client)
            });
            if let Ok(Ok(client)) = joined.await {
                break client;
            }
            sleep(CALL_PAUSE).await;
        };
        lock(stats).joined(began);
        client.leave().await;
        sleep(JOIN_PAUSE).await;
    }
}

/// How a client connects.
pub(super) enum Way {
    /// As an engine that dials a plugin's server.
    Dial(Kind, String),
    /// As two services of a hub, of which one sends requests to the other.
    Hub(String),
}

pub(super) enum Client {
    Engine(Engine, PluginClient),
    Services(StpWsConnector, StpWsConnector, String),
    Plugin(PluginClient, &'static str, &'static str),
}

impl Way {
    pub(super) fn to(kind: Kind, url: &str) -> Way {
        match kind {
            Kind::Hub => Way::Hub(url.to_owned()),
            _ => Way::Dial(kind, url.to_owned()),
        }
    }

    pub(super) async fn connect(&self) -> Result<Client> {
        match self {
            Way::Dial(kind, url) => {
                let engine = Engine::new();
                let app = engine.register(Plugin::new("app")).map_err(text)?;
                engine.register(registration(*kind, url)).map_err(text)?;
                engine.manager().activate("app").await.map_err(text)?;
                engine.manager().activate("victim").await.map_err(text)?;
                Ok(Client::Engine(engine, app))
            }
            Way::Hub(url) => {
                // Each pair has its own session and method.
                let session = format!("polite{}", fastrand::u64(..));
                let url = format!("{url}/{session}");
                let (solver, asker) = (StpWsConnector::new(&url), StpWsConnector::new(&url));
                solver.on_request(RequestHandler::new(|message| async { Ok::<_, String>(message) }));
                let wait = StpTimeout::from_seconds(CALL_LIMIT.as_secs_f64());
                solver.connect(StpService::new("Solver", ["Echo"]), wait).await.map_err(text)?;
                asker.connect(StpService::new("Asker", [""; 0]), wait).await.map_err(text)?;
                Ok(Client::Services(asker, solver, r#"{"method":"Echo"}"#.to_owned()))
            }
        }
    }
}

impl Client {
    pub(super) async fn call(&self) -> Result<()> {
        match self {
            Client::Engine(_, app) => app.call::<u64>("victim", "echo", (7,)).await.map(drop).map_err(text),
            Client::Services(asker, _, message) => {
                asker.request(message, StpTimeout::from_seconds(30.0)).await.map(drop).map_err(text)
            }
            Client::Plugin(client, target, method) => {
                client.onload().await.map_err(text)?;
                client.call::<Value>(target, method, (0, 0)).await.map(drop).map_err(text)
            }
        }
    }

    pub(super) async fn leave(self) {
        match self {
            Client::Engine(engine, _) => engine.shutdown().await,
            Client::Services(asker, solver, _) => {
                let wait = StpTimeout::from_seconds(1.0);
                let _ = join(asker.disconnect(wait), solver.disconnect(wait)).await;
            }
            Client::Plugin(..) => {}
        }
    }
}

fn registration(kind: Kind, url: &str) -> Registration {
    match kind {
        Kind::WsToken => transport_ws::plugin_with("victim", url, WsConnectorConfig::default().token(TOKEN)),
        #[cfg(feature = "socketio")]
        Kind::Socketio => transport_socketio::plugin("victim", url),
        #[cfg(feature = "socketio")]
        Kind::SocketioToken => {
            let config = transport_socketio::SocketIoConnectorConfig::default().token(TOKEN);
            transport_socketio::plugin_with("victim", url, config)
        }
        Kind::Local => transport_ipc::local::plugin("victim", url),
        Kind::Ws | Kind::Hub | Kind::Engine => transport_ws::plugin("victim", url),
    }
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
