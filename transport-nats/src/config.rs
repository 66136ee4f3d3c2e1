//! Servers, logins, limits and timeouts.

use std::sync::Arc;
use std::time::Duration;

#[cfg(any(feature = "client", feature = "plugin"))]
use connector_core::BadSetting;

#[cfg(any(feature = "client", feature = "plugin"))]
use crate::connection::Connections;
use crate::tls::ClientConfig;

const MIB: usize = 1 << 20;

/// How a program proves to the NATS server who it is. The server's permissions of that user decide what it may do: see
/// [the crate's documentation](crate#permissions).
#[derive(Clone, Default, PartialEq, Eq, derive_more::Debug)]
#[non_exhaustive]
pub enum NatsLogin {
    /// Only with what a server's URL has: a user name and a password (`nats://USER:PASSWORD@HOST`), a token
    /// (`nats://TOKEN@HOST`), or nothing.
    #[default]
    None,
    /// A token that all clients share.
    #[debug("Token(…)")]
    Token(String),
    /// A user name and a password.
    #[debug("UserAndPassword({_0:?}, …)")]
    UserAndPassword(String, String),
    /// The seed of an nkey, as printed by `nk -gen user`: it begins with `SU`.
    #[debug("Nkey(…)")]
    Nkey(String),
    /// The text of a credentials file (`.creds`), with a JWT and a seed.
    #[debug("Credentials(…)")]
    Credentials(String),
}

/// How a plugin or a host reaches the NATS server, and the limits and timeouts of its sessions. Both ends use the same type.
///
/// Clones of a configuration share one connection to the server within a runtime, however many plugins and links use it. A
/// value with which nothing can work (a limit of 0, a time below 1 ms, a value outside of its documented range) is an error
/// of serving, and of connecting.
///
/// ```
/// use transport_nats::NatsConfig;
///
/// let config = NatsConfig::new("nats://127.0.0.1:4222").user_and_password("host", "s3cret").max_message(1 << 20);
/// assert!(!format!("{config:?}").contains("s3cret"));
/// ```
#[derive(Clone, derive_more::Debug)]
#[non_exhaustive]
pub struct NatsConfig {
    /// The URLs of the servers, `nats://HOST:PORT` or `tls://HOST:PORT`. Several servers of a cluster are tried in a random
    /// order.
    #[debug("{:?}", servers.iter().map(|server| connector_core::redacted_url(server)).collect::<Vec<_>>())]
    pub servers: Vec<String>,
    /// The first tokens of every subject, so that several installations can share a server. Default: `plugins`. Up to 128
    /// of the characters `A-Z a-z 0-9 _ - .`, without an empty token.
    pub prefix: String,
    /// How this program logs in. Default: not at all, or as a server's URL says.
    pub login: NatsLogin,
    /// Requires TLS, also for a `nats://` URL. Default: only for `tls://`.
    pub require_tls: bool,
    /// Trusted authorities and the client certificate. Default: none, which trusts the system's authorities.
    #[debug("{}", tls.is_some())]
    pub tls: Option<Arc<ClientConfig>>,
    /// The plugin's end: the replica's id, which engines show. Default: none, a random one. Up to 64 of the characters `A-Z
    /// a-z 0-9 _ -`. Each replica of a plugin needs its own id, so the name of a machine is one only if no other replica
    /// of the plugin runs there. Engines take replicas with the same id for one: each session goes to any of them, and when one
    /// stops, the link to all of them is made again.
    pub replica: Option<String>,
    /// The plugin's end: how many sessions a replica has at once. A further engine is refused, and may find another replica.
    /// Default: 256.
    pub max_sessions: usize,
    /// The largest message, in bytes, that is received or sent; the smaller limit of the two ends applies. Default: 16 MiB.
    /// At most 1 GiB. A message may be larger than the server's `max_payload`: it is sent in parts.
    pub max_message: usize,
    /// How many bytes the other end of a session may send before this end has read them. Default: 1 MiB. From 16 KiB to 32 MiB.
    ///
    /// The server cuts a client for which more than 64 MiB are pending, and one that takes nothing for 10 s although there is
    /// more than the system's buffers hold, about 2 MiB: keep this times the number of sessions over one connection below
    /// that if their programs may be slow.
    pub window: usize,
    /// Time without a frame from the other end after which it is probed. Default: 5 s. While a request is unanswered it is
    /// probed every 250 ms, so that the death of the other end is noticed at once.
    pub probe_interval: Duration,
    /// Time without a frame from the other end, although it was probed, after which the link ends as
    /// [`LinkEnd::Silent`](connector_core::LinkEnd::Silent), and in which the other end reads nothing, although more waits for
    /// it, after which the link ends as [`LinkEnd::TooSlow`](connector_core::LinkEnd::TooSlow). Default: 15 s. Must be longer
    /// than `probe_interval`.
    pub silence: Duration,
    /// Total time for reaching the server, logging in, and opening a session. Default: 5 s.
    pub connect_timeout: Duration,
    /// Time without progress after which closing a link is abandoned. Closing takes at most five times this in total.
    /// Default: 1 s.
    pub close_timeout: Duration,
    /// A [service](crate#services): how many requests an instance runs at once. A further one is answered with the code
    /// 503. Default: 256.
    pub max_requests: usize,
    /// A [service](crate#services): total time for a request, in the plugin's queue and running, after which it is cancelled
    /// and answered with the code 504. Default: 30 s. The plugin's own
    /// [`queue_timeout`](connector_core::PluginOptions::queue_timeout) applies as well.
    pub request_timeout: Duration,
    #[cfg(any(feature = "client", feature = "plugin"))]
    #[debug(skip)]
    pub(crate) connections: Connections,
}

impl NatsConfig {
    /// A configuration for one server, such as `nats://127.0.0.1:4222`, and otherwise the defaults.
    pub fn new(server: impl Into<String>) -> NatsConfig {
        NatsConfig {
            servers: vec![server.into()],
            prefix: "plugins".to_owned(),
            login: NatsLogin::None,
            require_tls: false,
            tls: None,
            replica: None,
            max_sessions: 256,
            max_message: 16 * MIB,
            window: MIB,
            probe_interval: Duration::from_secs(5),
            silence: Duration::from_secs(15),
            connect_timeout: Duration::from_secs(5),
            close_timeout: Duration::from_secs(1),
            max_requests: 256,
            request_timeout: Duration::from_secs(30),
            #[cfg(any(feature = "client", feature = "plugin"))]
            connections: Connections::default(),
        }
    }

    /// Adds a server of the same cluster to [`servers`](NatsConfig#structfield.servers).
    #[must_use]
    pub fn server(mut self, url: impl Into<String>) -> NatsConfig {
        self.servers.push(url.into());
        self
    }

    /// Sets [`prefix`](NatsConfig#structfield.prefix). Default: `plugins`.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> NatsConfig {
        self.prefix = prefix.into();
        self
    }

    /// Logs in with a token: sets [`login`](NatsConfig#structfield.login).
    #[must_use]
    pub fn token(mut self, token: impl Into<String>) -> NatsConfig {
        self.login = NatsLogin::Token(token.into());
        self
    }

    /// Logs in with a user name and a password: sets [`login`](NatsConfig#structfield.login).
    #[must_use]
    pub fn user_and_password(mut self, user: impl Into<String>, password: impl Into<String>) -> NatsConfig {
        self.login = NatsLogin::UserAndPassword(user.into(), password.into());
        self
    }

    /// Logs in with an nkey: sets [`login`](NatsConfig#structfield.login).
    #[must_use]
    pub fn nkey(mut self, seed: impl Into<String>) -> NatsConfig {
        self.login = NatsLogin::Nkey(seed.into());
        self
    }

    /// Logs in with the text of a credentials file: sets [`login`](NatsConfig#structfield.login).
    #[must_use]
    pub fn credentials(mut self, text: impl Into<String>) -> NatsConfig {
        self.login = NatsLogin::Credentials(text.into());
        self
    }

    /// Sets [`require_tls`](NatsConfig#structfield.require_tls). Default: only for `tls://`.
    #[must_use]
    pub fn require_tls(mut self, required: bool) -> NatsConfig {
        self.require_tls = required;
        self
    }

    /// Sets [`tls`](NatsConfig#structfield.tls). Default: none, which trusts the system's authorities.
    #[must_use]
    pub fn tls(mut self, config: Arc<ClientConfig>) -> NatsConfig {
        self.tls = Some(config);
        self
    }

    /// Sets [`replica`](NatsConfig#structfield.replica). Default: none, a random one.
    #[must_use]
    pub fn replica(mut self, id: impl Into<String>) -> NatsConfig {
        self.replica = Some(id.into());
        self
    }

    /// Sets [`max_sessions`](NatsConfig#structfield.max_sessions). Default: 256.
    #[must_use]
    pub fn max_sessions(mut self, sessions: usize) -> NatsConfig {
        self.max_sessions = sessions;
        self
    }

    /// Sets [`max_message`](NatsConfig#structfield.max_message), in bytes. Default: 16 MiB; at most 1 GiB.
    #[must_use]
    pub fn max_message(mut self, bytes: usize) -> NatsConfig {
        self.max_message = bytes;
        self
    }

    /// Sets [`window`](NatsConfig#structfield.window), in bytes. Default: 1 MiB; from 16 KiB to 32 MiB.
    #[must_use]
    pub fn window(mut self, bytes: usize) -> NatsConfig {
        self.window = bytes;
        self
    }

    /// Sets [`probe_interval`](NatsConfig#structfield.probe_interval). Default: 5 s.
    #[must_use]
    pub fn probe_interval(mut self, interval: Duration) -> NatsConfig {
        self.probe_interval = interval;
        self
    }

    /// Sets [`silence`](NatsConfig#structfield.silence). Default: 15 s.
    #[must_use]
    pub fn silence(mut self, limit: Duration) -> NatsConfig {
        self.silence = limit;
        self
    }

    /// Sets [`connect_timeout`](NatsConfig#structfield.connect_timeout). Default: 5 s.
    #[must_use]
    pub fn connect_timeout(mut self, limit: Duration) -> NatsConfig {
        self.connect_timeout = limit;
        self
    }

    /// Sets [`close_timeout`](NatsConfig#structfield.close_timeout). Default: 1 s.
    #[must_use]
    pub fn close_timeout(mut self, limit: Duration) -> NatsConfig {
        self.close_timeout = limit;
        self
    }

    /// Sets [`max_requests`](NatsConfig#structfield.max_requests). Default: 256.
    #[must_use]
    pub fn max_requests(mut self, requests: usize) -> NatsConfig {
        self.max_requests = requests;
        self
    }

    /// Sets [`request_timeout`](NatsConfig#structfield.request_timeout). Default: 30 s.
    #[must_use]
    pub fn request_timeout(mut self, limit: Duration) -> NatsConfig {
        self.request_timeout = limit;
        self
    }
}

#[cfg(any(feature = "client", feature = "plugin"))]
impl NatsConfig {
    /// # Errors
    /// A setting with which no session can work.
    pub(crate) fn check(&self) -> Result<(), BadSetting> {
        BadSetting::not_zero("the number of NatsConfig::servers", self.servers.len())?;
        BadSetting::not_zero("NatsConfig::max_sessions", self.max_sessions)?;
        BadSetting::within("NatsConfig::max_message", self.max_message, 1..=1024 * MIB)?;
        BadSetting::within("NatsConfig::window", self.window, MIN_WINDOW..=MAX_WINDOW)?;
        BadSetting::lasts("NatsConfig::probe_interval", self.probe_interval)?;
        BadSetting::lasts("NatsConfig::silence", self.silence)?;
        BadSetting::lasts("NatsConfig::connect_timeout", self.connect_timeout)?;
        BadSetting::lasts("NatsConfig::close_timeout", self.close_timeout)?;
        BadSetting::not_zero("NatsConfig::max_requests", self.max_requests)?;
        BadSetting::lasts("NatsConfig::request_timeout", self.request_timeout)?;
        BadSetting::lasts(
            "NatsConfig::silence beyond probe_interval",
            self.silence.saturating_sub(self.probe_interval),
        )?;
        match &self.login {
            NatsLogin::None => Ok(()),
            NatsLogin::Token(token) => BadSetting::not_empty("NatsConfig::token", token),
            NatsLogin::UserAndPassword(user, _) => BadSetting::not_empty("the user in NatsConfig::login", user),
            NatsLogin::Nkey(seed) => BadSetting::not_empty("NatsConfig::nkey", seed),
            NatsLogin::Credentials(text) => BadSetting::not_empty("NatsConfig::credentials", text),
        }
    }
}

/// The least and the largest window, of either end.
#[cfg(any(feature = "client", feature = "plugin"))]
pub(crate) const MIN_WINDOW: usize = 16 << 10;
#[cfg(any(feature = "client", feature = "plugin"))]
pub(crate) const MAX_WINDOW: usize = 32 * MIB;

#[cfg(all(test, any(feature = "client", feature = "plugin")))]
mod tests {
    use super::*;

    #[test]
    fn a_setting_that_cannot_work_is_an_error() {
        let config = || NatsConfig::new("nats://127.0.0.1");
        config().check().unwrap();
        let second = Duration::from_secs(1);
        for (name, bad) in [
            ("max_sessions", config().max_sessions(0)),
            ("max_message", config().max_message(0)),
            ("window", config().window(1000)),
            ("window", config().window(usize::MAX)),
            ("probe_interval", config().probe_interval(Duration::ZERO)),
            ("silence", config().silence(Duration::ZERO)),
            ("silence", config().silence(second).probe_interval(second)),
            ("connect_timeout", config().connect_timeout(Duration::ZERO)),
            ("close_timeout", config().close_timeout(Duration::ZERO)),
            ("max_requests", config().max_requests(0)),
            ("request_timeout", config().request_timeout(Duration::ZERO)),
            ("token", config().token("")),
        ] {
            let error = bad.check().unwrap_err().to_string();
            assert!(error.contains(name), "{name}: {error}");
        }
    }

    #[test]
    fn no_secret_is_shown() {
        let secret = "hunter2";
        let config = NatsConfig::new("nats://user:hunter2@127.0.0.1:4222");
        for config in [
            config.clone(),
            config.clone().token(secret),
            config.clone().user_and_password("user", secret),
            config.clone().nkey(secret),
            config.credentials(secret),
        ] {
            assert!(!format!("{config:?}").contains(secret));
        }
    }
}
