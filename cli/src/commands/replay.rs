//! `connector replay`.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::pin::pin;

use clap::{Args, ValueHint};
use connector_core::{ClientConnector, Plugin};
use connector_inspect::{Difference, Replay as Player, ReplayError, Report};
use serde_json::{Value, json};
use transport_ipc::{Channel, IpcConfig};
use transport_ws::{WsServer, WsServerConfig};

use crate::failure::{Failure, lines};
use crate::host::Plugins;
use crate::interrupt::interrupted;
use crate::output::{line, print};

/// Plays the engine of a recording to its plugins, or one of its plugins to an engine, and lists the differences.
///
/// As the engine, it starts or dials the plugins that are given:
///
///     connector replay FILE --plugin calc='python3 plugin.py'
///
/// As a plugin, it serves at an address, or to the engine that started it:
///
///     connector replay FILE --as-plugin calc --listen 127.0.0.1:4000
///
/// With --mock, the plugin answers each call as it was answered in the recording with the same arguments, in any sequence:
///
///     connector call calc add 1 2 --plugin calc='connector replay FILE --as-plugin calc --mock'
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Replay {
    /// The recording.
    #[arg(value_hint = ValueHint::FilePath)]
    file: PathBuf,
    /// Plays this plugin, instead of the engine.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["plugins", "command"])]
    as_plugin: Option<String>,
    /// Serves the plugin behind a websocket at this address. Without it, to the engine that started this command.
    #[arg(long, value_name = "ADDRESS", requires = "as_plugin")]
    listen: Option<String>,
    /// Answers calls in any sequence, instead of playing the recorded one. A call that is not recorded is an error.
    #[arg(long, requires = "as_plugin", conflicts_with = "speed")]
    mock: bool,
    /// Sends messages at the recorded times, this many times faster. Without it, each as soon as those before it have been
    /// exchanged.
    #[arg(long, value_name = "FACTOR", value_parser = factor)]
    speed: Option<f64>,
    #[command(flatten)]
    plugins: Plugins,
    /// The channel to the engine that started this command.
    #[arg(skip)]
    channel: Option<Channel>,
}

fn factor(text: &str) -> Result<f64, String> {
    let factor = text.parse().ok().filter(|factor: &f64| factor.is_finite() && *factor > 0.0);
    factor.ok_or_else(|| "not a positive number".to_owned())
}

impl Replay {
    /// Takes the channel, before the program has threads.
    pub(crate) fn prepare(&mut self) -> Result<(), Failure> {
        if self.as_plugin.is_some() && self.listen.is_none() {
            self.channel = Some(Channel::find().map_err(|error| Failure::usage(error.to_string()))?);
        }
        Ok(())
    }

    pub(crate) async fn run(self, json: bool) -> Result<(), Failure> {
        let at_speed = |player: Player| match self.speed {
            Some(factor) => player.speed(factor),
            None => player,
        };
        let Some(name) = self.as_plugin else {
            let file = self.plugins.host_file()?;
            let mut differs = false;
            for given in self.plugins.given(file.as_ref())? {
                let mut player = at_speed(Player::engine(&self.file, &given.name)?.timeout(self.plugins.timeout));
                note(&player);
                let played = player.dial(given.registration).await;
                let played = played.map_err(|error| Failure::unreachable(format!("{}: {error}", given.name)));
                differs |= report(&given.name, &player.finish(), played, json, true)?;
            }
            return if differs { Err(Failure::differs()) } else { Ok(()) };
        };
        if self.mock {
            return mock(&self.file, &name, self.listen, self.channel).await;
        }
        let mut player = at_speed(Player::plugin(&self.file, &name)?);
        note(&player);
        let mut interrupted =
            pin!(interrupted().map_err(|error| Failure::usage(format!("cannot wait for Ctrl-C: {error}")))?);
        let is_served = self.listen.is_some();
        let played = tokio::select! {
            biased;
            () = &mut interrupted => Ok(()),
            played = serve(&mut player, self.listen, self.channel) => played,
        };
        let left = player.sessions_left();
        if left > 0 {
            let _ =
                writeln!(std::io::stderr(), "{left} recorded sessions were not played: no engine connected for them");
        }
        // Over the channel, standard output belongs to the messages.
        let differs = report(&name, &player.finish(), played, json, is_served)?;
        if differs || left > 0 { Err(Failure::differs()) } else { Ok(()) }
    }
}

/// Serves the recorded plugin, until it is interrupted or, over a channel, the engine ends.
async fn mock(file: &Path, name: &str, listen: Option<String>, channel: Option<Channel>) -> Result<(), Failure> {
    let plugin = connector_inspect::as_plugin(file, name)?;
    let interrupted = interrupted().map_err(|error| Failure::usage(format!("cannot wait for Ctrl-C: {error}")))?;
    if let Some(channel) = channel {
        channel.serve(plugin).until(interrupted).await;
        return Ok(());
    }
    // Read again for each engine, which begins with the first of several answers.
    drop(plugin);
    let (file, name) = (file.to_owned(), name.to_owned());
    let plugin = move || {
        connector_inspect::as_plugin(&file, &name).unwrap_or_else(|error| {
            let _ = writeln!(std::io::stderr(), "the recording cannot be read again: {error}");
            Plugin::new(name.as_str())
        })
    };
    let (url, serving) = transport_ws::serve(listen.unwrap_or_default(), plugin)
        .await
        .map_err(|error| Failure::usage(error.to_string()))?;
    let _ = writeln!(std::io::stderr(), "the plugin is at {url}; Ctrl-C ends it");
    serving.until(interrupted).await;
    Ok(())
}

/// Plays each session to the next engine that connects.
async fn serve(player: &mut Player, listen: Option<String>, channel: Option<Channel>) -> Result<(), Failure> {
    if let Some(channel) = channel {
        let link =
            channel.connect(IpcConfig::default()).await.map_err(|error| Failure::unreachable(error.to_string()))?;
        player.play(link).await;
        return Ok(());
    }
    let address = listen.unwrap_or_default();
    let server = WsServer::bind(&address, WsServerConfig::default()).await;
    let mut server = server.map_err(|error| Failure::usage(error.to_string()))?;
    let _ = writeln!(std::io::stderr(), "the plugin is at {}; Ctrl-C ends it", server.url());
    while player.sessions_left() > 0 {
        let link = server.accept().await.map_err(|end| Failure::unreachable(end.to_string()))?;
        player.play(link).await;
    }
    Ok(())
}

/// Says what is not played.
fn note(player: &Player) {
    if let Some(line) = player.torn() {
        let _ = writeln!(std::io::stderr(), "{line} was not written completely, and is left out");
    }
    if player.skipped() > 0 {
        let skipped = player.skipped();
        let _ =
            writeln!(std::io::stderr(), "{skipped} messages are left out: the recording began during their session");
    }
}

/// Prints what differs, unless nothing could be `played`. Returns whether anything does.
///
/// # Errors
/// Why not everything was played, or nothing reads the output any more.
fn report(
    plugin: &str,
    report: &Report,
    played: Result<(), Failure>,
    json: bool,
    to_stdout: bool,
) -> Result<bool, Failure> {
    let differences = report.differences.len() as u64 + report.omitted;
    if report.exchanged == 0 && differences == 0 {
        played.clone()?;
    }
    let text = match json {
        true => {
            let each = |difference: &Difference| {
                json!({
                    "file": difference.line.as_ref().map(|line| line.file.display().to_string()),
                    "line": difference.line.as_ref().map(|line| line.number),
                    "about": difference.about,
                    "expected": difference.expected,
                    "got": difference.got,
                })
            };
            let list: Vec<Value> = report.differences.iter().map(each).collect();
            line(
                &json!({
                    "name": plugin, "exchanged": report.exchanged, "differences": differences, "first": list,
                })
                .to_string(),
            )
        }
        false => {
            let text = report.to_string();
            let (list, summary) = text.rsplit_once('\n').map_or(("", text.as_str()), |(list, last)| (list, last));
            let list = if list.is_empty() { String::new() } else { lines(list) + "\n" };
            format!("{list}{}: {summary}", line(plugin))
        }
    };
    match to_stdout {
        true => print(text)?,
        false => {
            let _ = writeln!(std::io::stderr(), "{text}");
        }
    }
    played?;
    Ok(differences > 0)
}

impl From<ReplayError> for Failure {
    fn from(error: ReplayError) -> Failure {
        Failure::usage(error.to_string())
    }
}
