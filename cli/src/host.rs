//! The engine of one command, with the plugins that its arguments name.

use std::future::pending;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueHint};
use connector_core::{ConnectError, Engine, LinkEnd, LinkState, Plugin, PluginClient, PluginOptions, Registration};
use connector_inspect::{Inspector, ServeError, ServeOptions};
use futures_util::future::join_all;
use transport_ipc::ChildEnd;

use crate::failure::{Failure, lines, with_stderr};
use crate::hint::AT;
use crate::host_file::HostFile;
use crate::loans::Loan;
use crate::nats::Nats;
use crate::output::line;
use crate::place::{Channel, NamedPlace, Place, Url};

#[derive(Args)]
pub(crate) struct Plugins {
    /// A plugin: its name, and its URL or the command that starts it. May be given several times.
    ///
    /// URLs: ws: and wss:, http: and https: for socket.io, nats: and tls: for a NATS server where the plugin is found by its
    /// name, local:PATH for a local socket.
    #[arg(long = "plugin", value_name = "NAME=URL|COMMAND")]
    plugins: Vec<String>,
    /// A host file, which has plugins with their options and the rules between them.
    #[arg(long, value_name = "FILE", env = "CONNECTOR_HOST", value_hint = ValueHint::FilePath)]
    host: Option<PathBuf>,
    /// The channel to plugins that are started.
    #[arg(long, value_enum, default_value_t)]
    channel: Channel,
    /// The token that plugins behind a URL, or a NATS server without a login in its URL, require.
    #[arg(long, env = "CONNECTOR_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// The time limit of each activation and each call, in seconds.
    #[arg(long, value_name = "SECONDS", default_value = "15", value_parser = seconds)]
    pub(crate) timeout: Duration,
    /// Starts this command as a plugin, with the name `plugin`.
    #[arg(last = true, value_name = "COMMAND", value_hint = ValueHint::CommandWithArguments)]
    command: Vec<String>,
}

pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    // The engine accepts no shorter limits.
    let seconds = text.parse::<f64>().ok().filter(|seconds| *seconds >= 0.001);
    seconds
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| "not a number of at least 0.001".to_owned())
}

/// A plugin to register.
pub(crate) struct Given {
    pub(crate) name: String,
    pub(crate) registration: Registration,
    pub(crate) options: PluginOptions,
    /// Whether it is activated at the start; otherwise a call does.
    pub(crate) at_start: bool,
    /// Its place in a host file.
    pub(crate) position: Option<String>,
}

impl Plugins {
    /// Adds a plugin behind a URL, with the name `plugin`.
    ///
    /// # Errors
    /// It is not a URL, or not one of a single plugin.
    pub(crate) fn add_url(&mut self, url: &str) -> Result<(), Failure> {
        match url.parse() {
            Ok(Place::Command(_)) => {
                let hint = "not a URL: give ws://…, http://… or local:PATH, --plugin NAME=COMMAND, or -- COMMAND";
                Err(Failure::usage(hint))
            }
            Ok(Place::Url(Url::Nats(_))) => {
                Err(Failure::usage("behind a NATS server a plugin is found by its name: give --plugin NAME=nats://…"))
            }
            Ok(_) => {
                self.plugins.push(format!("plugin={url}"));
                Ok(())
            }
            Err(error) => Err(Failure::usage(error)),
        }
    }

    /// The plugins of the command line.
    fn named(&self) -> Result<Vec<NamedPlace>, Failure> {
        // Parsed here and not by clap, whose errors show the whole argument: a URL may contain a password.
        let places = self.plugins.iter().map(|plugin| plugin.parse().map_err(Failure::usage));
        let mut places = places.collect::<Result<Vec<NamedPlace>, _>>()?;
        if !self.command.is_empty() {
            places.push(NamedPlace { name: "plugin".to_owned(), place: Place::Command(self.command.clone()) });
        }
        Ok(places)
    }

    pub(crate) fn host_file(&self) -> Result<Option<HostFile>, Failure> {
        self.host.as_deref().map(HostFile::read).transpose()
    }

    /// All plugins, those of the host file first.
    ///
    /// # Errors
    /// There is none, or one is wrong.
    pub(crate) fn given(&self, file: Option<&HostFile>) -> Result<Vec<Given>, Failure> {
        let base = PluginOptions::default().activation_timeout(self.timeout).queue_timeout(self.timeout);
        // A program that starts slowly would be ended, and started again, each time its handshake is late.
        let handshake = base.handshake_timeout.max(self.timeout);
        let base = base.handshake_timeout(handshake);
        let mut given = file.map_or(Ok(Vec::new()), |file| file.plugins(&base))?;
        // One for all, which share their connections.
        let nats = Nats::default();
        for plugin in self.named()? {
            let name = plugin.name.clone();
            let registration = plugin.registration(self.channel, self.token.as_deref(), &nats);
            let registration = registration.map_err(Failure::usage)?;
            given.push(Given { name, registration, options: base.clone(), at_start: true, position: None });
        }
        if given.is_empty() {
            let hint = "no plugin is given: add --plugin NAME=URL, --plugin NAME=COMMAND, --host FILE, or -- COMMAND";
            // A command that looks at a running engine needs no plugins.
            return Err(Failure::usage(match std::env::var_os("CONNECTOR_AT") {
                Some(_) => format!("{hint} (CONNECTOR_AT has no effect here: {AT})"),
                None => hint.to_owned(),
            }));
        }
        Ok(given)
    }

    /// The names of all plugins.
    pub(crate) fn names(&self) -> Result<Vec<String>, Failure> {
        let file = self.host_file()?;
        let in_file = file.iter().flat_map(HostFile::names).map(str::to_owned);
        Ok(in_file.chain(self.named()?.into_iter().map(|plugin| plugin.name)).collect())
    }
}

/// An engine with the plugins, and the handle in whose name calls are made.
pub(crate) struct Host {
    pub(crate) engine: Engine,
    pub(crate) local: PluginClient,
    /// In the order of the host file and then of the command line.
    pub(crate) names: Vec<String>,
    /// Those of `names` that are activated at the start.
    pub(crate) at_start: Vec<String>,
    pub(crate) timeout: Duration,
}

/// The plugin of a path.
fn root(path: &str) -> &str {
    path.split_once('.').map_or(path, |(name, _)| name)
}

/// The name of the caller, which plugins see.
pub(crate) const CALLER: &str = "connector";
/// The engine's own plugin.
pub(crate) const MANAGER: &str = "manager";

impl Host {
    /// # Errors
    /// No plugin is given, or two of the same name; the host file is wrong.
    pub(crate) async fn new(plugins: Plugins) -> Result<Host, Failure> {
        Host::with_options(plugins, |options| options).await
    }

    /// As [`new`](Host::new); `adjust` has the last word about each plugin's options.
    pub(crate) async fn with_options(
        plugins: Plugins,
        adjust: impl Fn(PluginOptions) -> PluginOptions,
    ) -> Result<Host, Failure> {
        let (timeout, file) = (plugins.timeout, plugins.host_file()?);
        let mut given = plugins.given(file.as_ref())?;
        for plugin in &mut given {
            plugin.options = adjust(plugin.options.clone());
        }
        let builder = file.map_or_else(|| Ok(Engine::builder()), |file| file.engine())?;
        Host::start(builder.build(), given, timeout).await
    }

    /// The plugins of a host file, and what it lends to other engines.
    ///
    /// # Errors
    /// The file is wrong.
    pub(crate) async fn of_file(path: &Path) -> Result<(Host, Vec<Loan>), Failure> {
        let file = HostFile::read(path)?;
        let base = PluginOptions::default();
        let given = file.plugins(&base)?;
        let loans = file.loans()?;
        let host = Host::start(file.engine()?.build(), given, base.activation_timeout).await?;
        Ok((host, loans))
    }

    async fn start(engine: Engine, given: Vec<Given>, timeout: Duration) -> Result<Host, Failure> {
        let local = engine.register(Plugin::new(CALLER)).map_err(|error| Failure::usage(error.to_string()))?;
        let (mut names, mut at_start): (Vec<String>, Vec<String>) = Default::default();
        for Given { name, registration, options, at_start: is_at_start, position } in given {
            let wrong = |text: String| match &position {
                Some(position) => Failure::usage(format!("{position}: {text}")),
                None => Failure::usage(text),
            };
            if [CALLER, MANAGER].contains(&name.as_str()) {
                return Err(wrong(format!("the name {name} is reserved: choose another")));
            }
            if names.contains(&name) {
                return Err(wrong(format!("two plugins are named {name}: give each its own name")));
            }
            engine.register(registration.options(options)).map_err(|error| wrong(error.to_string()))?;
            names.push(name.clone());
            at_start.extend(is_at_start.then_some(name));
        }
        engine.manager().activate(CALLER).await?;
        Ok(Host { engine, local, names, at_start, timeout })
    }

    /// Serves a page that shows the engine.
    ///
    /// # Errors
    /// The port cannot be used, or a plugin has the page's name.
    pub(crate) async fn inspect(&self, options: ServeOptions) -> Result<Inspector, Failure> {
        let name = options.name.clone();
        let served = connector_inspect::serve(&self.engine, options).await;
        served.map_err(|error| match error {
            ServeError::Register(_) if self.names.contains(&name) => {
                Failure::usage(format!("the page acts as a plugin named {name}: give yours another name"))
            }
            error => Failure::usage(error.to_string()),
        })
    }

    /// Activates every plugin, all at once. Returns their names with what failed.
    pub(crate) async fn activate_all(&self) -> Vec<(&str, Result<(), Failure>)> {
        self.activate_each(&self.names).await
    }

    /// Activates plugins, all at once. Returns their names with what failed.
    pub(crate) async fn activate_each<'a>(&self, names: &'a [String]) -> Vec<(&'a str, Result<(), Failure>)> {
        let manager = self.engine.manager();
        join_all(names.iter().map(|name| {
            let manager = &manager;
            async move { (name.as_str(), manager.activate(name).await.map_err(Failure::from)) }
        }))
        .await
    }

    /// Activates the plugin at a path.
    pub(crate) async fn activate(&self, path: &str) -> Result<(), Failure> {
        let name = root(path);
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

    /// As [`activate`](Host::activate), and activates those that are active from the start, with which the plugin may work. Prints
    /// what fails of those.
    pub(crate) async fn activate_with_others(&self, path: &str) -> Result<(), Failure> {
        let others: Vec<_> = self.at_start.iter().filter(|name| *name != root(path)).cloned().collect();
        let (activated, others) = tokio::join!(self.activate(path), self.activate_each(&others));
        activated?;
        for (name, activated) in others {
            if let Err(failure) = activated {
                let _ = writeln!(std::io::stderr(), "{}: {}", line(name), lines(&failure.text()));
            }
        }
        Ok(())
    }

    /// Completes when the link of the plugin at a path stays down, with the reason. Cancel safe.
    pub(crate) async fn lost_for_good(&self, path: &str) -> Failure {
        let name = root(path);
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
