//! The connection to the NATS server, shared by the links of a configuration.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use async_nats::{Client, ConnectErrorKind, ConnectOptions, Event, ServerAddr, ServerError, Statistics};
use connector_core::{ConnectError, redacted_url};
use tokio::runtime::{Handle, Id};
use tokio::sync::broadcast;

use crate::config::{NatsConfig, NatsLogin};
use crate::forbidden::Forbidden;
use crate::link::{FRAME_COST, Wakers};
use crate::tls::ClientConfig;

/// Messages that async-nats holds for a subscription, beyond the data frames of a window. It drops the others, which a
/// session notices by their numbers.
const OTHER_MESSAGES: usize = 1024;
/// Refusals by the server that are kept for those who wait for one.
const REFUSALS: usize = 64;
/// Time for what was published last to reach the server once nobody uses the connection.
const FLUSH: Duration = Duration::from_secs(1);
/// The server reads what was sent before the connection is closed: closing a socket with unread data resets it.
const LINGER: Duration = Duration::from_millis(100);

/// The settings that a connection depends on.
#[derive(Clone, PartialEq)]
struct Settings {
    servers: Vec<String>,
    login: NatsLogin,
    require_tls: bool,
    tls: Option<SameTls>,
    window: usize,
}

#[derive(Clone)]
struct SameTls(Arc<ClientConfig>);

impl PartialEq for SameTls {
    fn eq(&self, other: &SameTls) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// The connections of a configuration and its clones: one for each runtime, and for each change of the settings.
#[derive(Clone, Default)]
pub(crate) struct Connections(Arc<Mutex<Vec<Kept>>>);

struct Kept {
    runtime: Id,
    settings: Settings,
    connection: Slot,
}

/// Locked while the connection is being made: others with the same settings wait for it, and those with other settings do not.
type Slot = Arc<tokio::sync::Mutex<Weak<Connection>>>;

impl Kept {
    fn is_used(&self) -> bool {
        // The task that connects and those that wait for it hold a handle each.
        Arc::strong_count(&self.connection) > 1
            || self.connection.try_lock().is_ok_and(|connection| usable(&connection).is_some())
    }
}

fn usable(connection: &Weak<Connection>) -> Option<Arc<Connection>> {
    connection.upgrade().filter(|connection| !connection.is_lost())
}

impl Connections {
    /// The connection of `config` in this runtime. Cancel safe; must be called within a runtime.
    pub(crate) async fn get(&self, config: &NatsConfig) -> Result<Arc<Connection>, ConnectError> {
        let settings = Settings::of(config);
        let slot = self.slot(Handle::current().id(), &settings);
        let mut connection = slot.lock().await;
        if let Some(connection) = usable(&connection) {
            return Ok(connection);
        }
        let new = Connection::open(config, &settings).await?;
        *connection = Arc::downgrade(&new);
        Ok(new)
    }

    fn slot(&self, runtime: Id, settings: &Settings) -> Slot {
        let mut kept = lock(&self.0);
        kept.retain(Kept::is_used);
        if let Some(known) = kept.iter().find(|kept| kept.runtime == runtime && kept.settings == *settings) {
            return Arc::clone(&known.connection);
        }
        let connection = Slot::default();
        kept.push(Kept { runtime, settings: settings.clone(), connection: Arc::clone(&connection) });
        connection
    }
}

impl Settings {
    fn of(config: &NatsConfig) -> Settings {
        Settings {
            servers: config.servers.clone(),
            login: config.login.clone(),
            require_tls: config.require_tls,
            tls: config.tls.clone().map(SameTls),
            window: config.window,
        }
    }

    fn options(
        &self,
        config: &NatsConfig,
        servers: &[ServerAddr],
        state: &Arc<State>,
    ) -> Result<ConnectOptions, ConnectError> {
        let mut options = match &self.login {
            NatsLogin::None => match servers.iter().find_map(|server| Some((server.username()?, server.password()))) {
                Some((user, Some(password))) => {
                    ConnectOptions::with_user_and_password(decoded(user), decoded(password))
                }
                // As for NATS's own tools.
                Some((token, None)) => ConnectOptions::with_token(decoded(token)),
                None => ConnectOptions::new(),
            },
            NatsLogin::Token(token) => ConnectOptions::with_token(token.clone()),
            NatsLogin::UserAndPassword(user, password) => {
                ConnectOptions::with_user_and_password(user.clone(), password.clone())
            }
            NatsLogin::Nkey(seed) => ConnectOptions::with_nkey(seed.clone()),
            NatsLogin::Credentials(text) => ConnectOptions::with_credentials(text).map_err(|_| {
                ConnectError::Refused(
                    "NatsConfig::credentials is not the text of a credentials file: it has a JWT and a seed".to_owned(),
                )
            })?,
        };
        if let Some(SameTls(tls)) = &self.tls {
            options = options.tls_client_config((**tls).clone());
        }
        let events = Arc::downgrade(state);
        Ok(options
            .require_tls(self.require_tls)
            .connection_timeout(config.connect_timeout)
            // Longer than a session's own limit, whose end says more.
            .ping_interval(config.silence)
            .subscription_capacity(self.window / FRAME_COST + OTHER_MESSAGES)
            // A reconnect forgets what was written, so it ends the sessions. One attempt is the least that can be set.
            .max_reconnects(self.servers.len())
            .event_callback(move |event| {
                let events = events.clone();
                async move {
                    if let Some(state) = events.upgrade() {
                        state.on(event);
                    }
                }
            }))
    }
}

#[derive(Debug)]
struct State {
    lost: AtomicBool,
    forbidden: broadcast::Sender<Forbidden>,
    /// The links to wake when the connection is lost, or the server has refused something.
    links: Mutex<Vec<Weak<Wakers>>>,
}

impl State {
    fn on(&self, event: Event) {
        match event {
            Event::Disconnected | Event::Closed => self.lose(),
            Event::ServerError(ServerError::Other(text)) => {
                if let Some(forbidden) = Forbidden::read(text) {
                    let _ = self.forbidden.send(forbidden);
                    self.wake_links();
                }
            }
            _ => {}
        }
    }

    fn lose(&self) {
        self.lost.store(true, Ordering::Release);
        self.wake_links();
    }

    fn wake_links(&self) {
        lock(&self.links).iter().filter_map(Weak::upgrade).for_each(|link| link.wake_both());
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One connection to the server, until it is lost. Others then make a new one.
pub(crate) struct Connection {
    client: Client,
    statistics: Arc<Statistics>,
    state: Arc<State>,
}

impl Connection {
    async fn open(config: &NatsConfig, settings: &Settings) -> Result<Arc<Connection>, ConnectError> {
        let forbidden = broadcast::Sender::new(REFUSALS);
        let state = Arc::new(State { lost: AtomicBool::new(false), forbidden, links: Mutex::default() });
        let servers = config.servers.iter().map(|server| server.parse()).collect::<Result<Vec<ServerAddr>, _>>();
        let servers = servers.map_err(|_| {
            let urls = shown(&config.servers);
            ConnectError::Refused(format!("NatsConfig::servers is {urls}: set URLs such as nats://127.0.0.1:4222"))
        })?;
        let options = settings.options(config, &servers, &state)?;
        let limit = config.connect_timeout;
        let client = match tokio::time::timeout(limit, options.connect(servers)).await {
            Ok(connected) => connected.map_err(|error| unreachable(&error, config))?,
            Err(_) => return Err(ConnectError::TimedOut(limit)),
        };
        Ok(Arc::new(Connection { statistics: client.statistics(), client, state }))
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Whether messages may have been lost.
    pub(crate) fn is_lost(&self) -> bool {
        // The event may be dropped or late; a reconnect is always counted.
        self.state.lost.load(Ordering::Acquire) || self.statistics.connects.load(Ordering::Relaxed) > 1
    }

    /// From now on, what the server refuses to this connection.
    pub(crate) fn forbidden(&self) -> broadcast::Receiver<Forbidden> {
        self.state.forbidden.subscribe()
    }

    /// Wakes a link when the connection is lost, or the server has refused something.
    pub(crate) fn watch(&self, wakers: &Arc<Wakers>) {
        let mut links = lock(&self.state.links);
        links.retain(|link| link.strong_count() > 0);
        links.push(Arc::downgrade(wakers));
        drop(links);
        if self.is_lost() {
            wakers.wake_both();
        }
    }
}

/// Gives what was published last time to arrive.
impl Drop for Connection {
    fn drop(&mut self) {
        if self.is_lost() {
            return;
        }
        let client = self.client.clone();
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move {
                let _ = tokio::time::timeout(FLUSH, client.flush()).await;
                tokio::time::sleep(LINGER).await;
            });
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("is_lost", &self.is_lost()).finish_non_exhaustive()
    }
}

/// A part of a URL.
fn decoded(part: &str) -> String {
    percent_encoding::percent_decode_str(part).decode_utf8_lossy().into_owned()
}

/// Without users and passwords.
pub(crate) fn shown(servers: &[String]) -> String {
    servers.iter().map(|server| redacted_url(server)).collect::<Vec<_>>().join(", ")
}

/// Why there is no connection. Only what must be put right refuses an activation.
fn unreachable(error: &async_nats::ConnectError, config: &NatsConfig) -> ConnectError {
    let servers = shown(&config.servers);
    match error.kind() {
        ConnectErrorKind::TimedOut => ConnectError::TimedOut(config.connect_timeout),
        ConnectErrorKind::AuthorizationViolation => ConnectError::Refused(format!(
            "the NATS server {servers} does not accept this program's login: compare NatsConfig::login with its users"
        )),
        ConnectErrorKind::Authentication => ConnectError::Refused(
            "NatsConfig::login has no usable seed: that of an nkey, or in a credentials file, begins with SU"
                .to_owned(),
        ),
        ConnectErrorKind::ServerParse => {
            ConnectError::Refused(format!("NatsConfig::servers is {servers}: set URLs such as nats://127.0.0.1:4222"))
        }
        ConnectErrorKind::Dns => ConnectError::Refused(format!(
            "the host of the NATS server {servers} is unknown: check NatsConfig::servers"
        )),
        ConnectErrorKind::Tls => tls_failed(&servers, error),
        ConnectErrorKind::Io if is_refused(error) => ConnectError::Refused(format!(
            "no NATS server listens at {servers}: start nats-server, or check NatsConfig::servers"
        )),
        ConnectErrorKind::Io => match cause::<rustls::Error>(error) {
            Some(rustls::Error::InvalidMessage(_)) => ConnectError::Refused(format!(
                "the NATS server {servers} does not speak TLS: configure it, or do without NatsConfig::require_tls and tls:// URLs"
            )),
            Some(error) => tls_failed(&servers, error),
            None => failed(&servers, error),
        },
        _ => failed(&servers, error),
    }
}

fn failed(servers: &str, error: &async_nats::ConnectError) -> ConnectError {
    ConnectError::failed(format!("the connection to the NATS server {servers} failed ({error})"))
}

fn tls_failed(servers: &str, error: &dyn Error) -> ConnectError {
    ConnectError::Refused(format!(
        "TLS with the NATS server {servers} failed ({error}): check NatsConfig::tls and the server's certificate"
    ))
}

fn is_refused(error: &async_nats::ConnectError) -> bool {
    cause::<io::Error>(error).is_some_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}

/// The first `T` among an error and its causes.
fn cause<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = match error.downcast_ref::<io::Error>() {
            // Its source would be that of the error in it.
            Some(outer) => outer.get_ref().map(|inner| inner as _),
            None => error.source(),
        };
    }
    None
}
