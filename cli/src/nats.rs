//! Plugins behind a NATS server, which are found by their names, with any number of replicas.

use connector_core::{Choice, Plugin, Registration, Serving};
use transport_nats::{NatsConfig, NatsConnector, NatsLogin, replicas};

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
    /// The URL is not one of a server, there are two logins, or the name or the prefix cannot be part of a subject.
    pub(crate) fn registration(
        &self,
        name: String,
        server: String,
        token: Option<&str>,
    ) -> Result<Registration, String> {
        let replicas = replicas(name, self.config_of(server, token)?).map_err(|error| error.to_string())?;
        Ok(replicas.choice(self.choice.clone()).idempotent(self.idempotent.clone()).into())
    }

    /// With a prefix for this borrower alone.
    ///
    /// # Errors
    /// The borrower's name cannot be part of one, or there is another prefix already. Two lenders that have different ones
    /// would meet under that of the borrower, and each would receive the other's calls.
    pub(crate) fn for_borrower(&self, borrower: &str) -> Result<Nats, String> {
        let (mut nats, own) = (self.clone(), &self.config.prefix);
        if *own != Nats::default().config.prefix {
            return Err(format!(
                "[nats] sets the prefix \"{own}\", and lent plugins are not served under it: set \"prefix\" in \"nats\" of the \
                 loan, and the same at the borrower, for example \"lent.{own}.{borrower}\""
            ));
        }
        nats.config.prefix = format!("lent.{borrower}");
        match NatsConnector::url("any", &nats.config) {
            Ok(_) => Ok(nats),
            Err(_) => Err("the name is part of the prefix \"lent.NAME\": give one of the characters A-Z a-z 0-9 _ - in \"to\", or \
                           set \"prefix\" in \"nats\""
                .to_owned()),
        }
    }

    /// Serves a plugin at this server. Returns its URL as well.
    ///
    /// # Errors
    /// As [`registration`](Nats::registration), or the server is unreachable or forbids it.
    pub(crate) async fn serve(
        &self,
        plugin: Plugin,
        server: String,
        token: Option<&str>,
    ) -> Result<(String, Serving), String> {
        let config = self.config_of(server, token)?;
        let url = NatsConnector::url(plugin.name(), &config).map_err(|error| error.to_string())?;
        let serving = transport_nats::serve(move || plugin.clone(), config).await;
        Ok((url, serving.map_err(|error| error.to_string())?))
    }

    fn config_of(&self, server: String, token: Option<&str>) -> Result<NatsConfig, String> {
        let url: url::Url = server.parse().map_err(|error| format!("not the URL of a NATS server: {error}"))?;
        if url.host_str().is_none_or(str::is_empty) {
            return Err("not the URL of a NATS server: give its host, as in nats://HOST:4222".to_owned());
        }
        if !matches!(url.path(), "" | "/") || url.query().is_some() {
            return Err("the URL of a NATS server has no path: the plugin is found by its name".to_owned());
        }
        let mut config = self.config.clone();
        if !url.username().is_empty() && config.login != NatsLogin::None {
            return Err("one login is enough: give it in the URL, or in the table `nats`".to_owned());
        }
        match token {
            Some(token) if url.username().is_empty() => config = config.token(token),
            _ => {}
        }
        Ok(config.server(server))
    }
}
