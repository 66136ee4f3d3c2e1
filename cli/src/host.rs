//! The engine of one command, with the plugins that its arguments name.

use std::future::pending;
use std::time::Duration;

use clap::Args;
use connector_core::{ConnectError, Engine, LinkEnd, LinkState, Plugin, PluginClient, PluginOptions};
use futures_util::future::join_all;

use transport_ipc::ChildEnd;

use crate::failure::{Failure, with_stderr};
use crate::place::{Channel, NamedPlace, Place};

#[derive(Args)]
pub(crate) struct Plugins {
    /// A plugin, by its URL or by the command that starts it; may be given several times. URLs: ws:, wss:, http: and https:
    /// for socket.io, local:PATH for a local socket.
    #[arg(long = "plugin", value_name = "NAME=URL|COMMAND")]
    plugins: Vec<String>,
    /// The channel to plugins that are started.
    #[arg(long, value_enum, default_value_t)]
    channel: Channel,
    /// The token that plugins behind a URL require.
    #[arg(long, env = "CONNECTOR_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// The time limit of each activation and each call, in seconds.
    #[arg(long, value_name = "SECONDS", default_value = "15", value_parser = seconds)]
    timeout: Duration,
    /// Starts this command as a plugin, with the name `plugin`.
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<f64>().ok().filter(|seconds| *seconds > 0.0);
    seconds
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| "not a positive number".to_owned())
}

/// An engine with the plugins, and the handle in whose name calls are made.
pub(crate) struct Host {
    pub(crate) engine: Engine,
    pub(crate) local: PluginClient,
    /// In the order of the command line.
    pub(crate) names: Vec<String>,
    pub(crate) timeout: Duration,
}

/// The name of the caller, which plugins see.
const CALLER: &str = "connector";

impl Host {
    /// # Errors
    /// No plugin is given, or two of the same name.
    pub(crate) async fn new(plugins: Plugins) -> Result<Host, Failure> {
        let Plugins { plugins, channel, token, timeout, command } = plugins;
        // Parsed here and not by clap, whose errors show the whole argument: a URL may contain a password.
        let places = plugins.iter().map(|plugin| plugin.parse().map_err(Failure::usage));
        let mut plugins = places.collect::<Result<Vec<NamedPlace>, _>>()?;
        if !command.is_empty() {
            plugins.push(NamedPlace { name: "plugin".to_owned(), place: Place::Command(command) });
        }
        if plugins.is_empty() {
            let hint = "no plugin is given: add --plugin NAME=URL, --plugin NAME=COMMAND, or -- COMMAND";
            return Err(Failure::usage(hint));
        }
        let options = PluginOptions::default().activation_timeout(timeout).queue_timeout(timeout);
        // A program that starts slowly would be ended, and started again, each time its handshake is late.
        let handshake = options.handshake_timeout.max(timeout);
        let options = options.handshake_timeout(handshake);
        let engine = Engine::builder().plugin_options(move |_| options.clone()).build();
        let local = engine.register(Plugin::new(CALLER)).map_err(|error| Failure::usage(error.to_string()))?;
        let mut names = Vec::new();
        for plugin in plugins {
            names.push(plugin.name.clone());
            let registration = plugin.registration(channel, token.as_deref()).map_err(Failure::usage)?;
            engine.register(registration).map_err(|error| Failure::usage(error.to_string()))?;
        }
        engine.manager().activate(CALLER).await?;
        Ok(Host { engine, local, names, timeout })
    }

    /// Activates every plugin, all at once. Returns their names with what failed.
    pub(crate) async fn activate_all(&self) -> Vec<(&str, Result<(), Failure>)> {
        let manager = self.engine.manager();
        join_all(self.names.iter().map(|name| {
            let manager = &manager;
            async move { (name.as_str(), manager.activate(name).await.map_err(Failure::from)) }
        }))
        .await
    }

    /// Activates the plugin at a path.
    pub(crate) async fn activate(&self, path: &str) -> Result<(), Failure> {
        let name = path.split_once('.').map_or(path, |(name, _)| name);
        if name == "manager" {
            // Its events are about the others.
            return self.activate_all().await.into_iter().try_for_each(|(_, activated)| activated);
        }
        if !self.names.iter().any(|known| known == name) {
            let known = self.names.join(", ");
            return Err(Failure::refused(format!("there is no plugin {name}; given are: {known}")));
        }
        Ok(self.engine.manager().activate(name).await?)
    }

    /// Completes when the link of the plugin at a path stays down, with the reason. Cancel safe.
    pub(crate) async fn lost_for_good(&self, path: &str) -> Failure {
        let name = path.split_once('.').map_or(path, |(name, _)| name);
        let stays_down = |state: &LinkState| {
            matches!(state, LinkState::Down { why: LinkEnd::Unreachable(ConnectError::GivenUp(_)), .. })
        };
        let Some(mut state) = self.engine.link_state(name) else { return pending().await };
        match state.wait_for(stays_down).await.as_deref() {
            Ok(LinkState::Down { why, .. }) => {
                Failure::lost(with_stderr(format!("the link to {name} is lost: {why}"), ChildEnd::of_link(why)))
            }
            _ => pending().await,
        }
    }

    pub(crate) async fn close(self) {
        self.engine.shutdown().await;
    }
}
