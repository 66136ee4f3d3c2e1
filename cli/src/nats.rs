//! Plugins behind a NATS server, which are found by their names, with any number of replicas.

use connector_core::{Choice, Registration};
use transport_nats::{NatsConfig, replicas};

/// How replicas are reached, and which of them runs a call. Plugins of clones share a connection if they have the same
/// server, login and TLS settings.
#[derive(Debug, Clone)]
pub(crate) struct Nats {
    /// Without servers.
    pub(crate) config: NatsConfig,
    pub(crate) choice: Choice,
    pub(crate) idempotent: Vec<String>,
}

impl Default for Nats {
    fn default() -> Nats {
        let mut config = NatsConfig::new("");
        config.servers.clear();
        Nats { config, choice: Choice::default(), idempotent: Vec::new() }
    }
}

impl Nats {
    /// A plugin at this server. A login in the server's URL is used instead of the token.
    ///
    /// # Errors
    /// The URL is not one of a server, or the name or the prefix cannot be part of a subject.
    pub(crate) fn registration(
        &self,
        name: String,
        server: String,
        token: Option<&str>,
    ) -> Result<Registration, String> {
        let url: url::Url = server.parse().map_err(|error| format!("not the URL of a NATS server: {error}"))?;
        if url.host_str().is_none_or(str::is_empty) {
            return Err("not the URL of a NATS server: give its host, as in nats://HOST:4222".to_owned());
        }
        if !matches!(url.path(), "" | "/") || url.query().is_some() {
            return Err("the URL of a NATS server has no path: the plugin is found by its name".to_owned());
        }
        let mut config = self.config.clone();
        match token {
            Some(token) if url.username().is_empty() => config = config.token(token),
            _ => {}
        }
        let replicas = replicas(name, config.server(server)).map_err(|error| error.to_string())?;
        Ok(replicas.choice(self.choice.clone()).idempotent(self.idempotent.clone()).into())
    }
}
